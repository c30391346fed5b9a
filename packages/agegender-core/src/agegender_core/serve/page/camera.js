// The browser's camera: one frame after the other goes to the server, the next when the last is answered.

import { showBoxes, table } from "./faces.js";
import { predictFrame } from "./server.js";

const WIDEST = 640;
const LEAST_MS = 100;
const get = (id) => document.getElementById(id);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
let stream = null;
let facing = "user";
let running = null;

export function startCamera(alert) {
  const button = get("camera-start");
  button.addEventListener("click", () => open(alert));
  get("camera-stop").addEventListener("click", stop);
  get("camera-other").addEventListener("click", async () => {
    facing = facing === "user" ? "environment" : "user";
    await stop();
    await open(alert);
  });
}

async function open(alert) {
  alert("");
  if (!navigator.mediaDevices) {
    alert("Browsers give the camera only to pages of the same machine or with https. Choose pictures instead: a phone lets you take one.");
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, width: { ideal: WIDEST } }, audio: false });
  } catch (error) {
    const denied = error.name === "NotAllowedError";
    alert(denied ? "The browser was not allowed to use the camera." : "There is no camera that the browser can use.");
    return;
  }
  const video = get("video");
  video.srcObject = stream;
  await video.play();
  get("camera").hidden = false;
  get("camera-start").disabled = true;
  get("camera-picture").classList.toggle("mirrored", facing === "user");
  const ending = new AbortController();
  running = { ending, done: look(video, ending.signal, alert) };
}

async function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  running?.ending.abort();
  await running?.done;
  running = null;
  get("camera").hidden = true;
  get("camera-start").disabled = false;
  get("camera-faces").replaceChildren();
  showBoxes(get("camera-picture"), [], 1, 1);
}

async function look(video, signal, alert) {
  const canvas = document.createElement("canvas");
  while (!signal.aborted) {
    const start = performance.now();
    try {
      const scale = Math.min(1, WIDEST / video.videoWidth);
      canvas.width = Math.round(video.videoWidth * scale);
      canvas.height = Math.round(video.videoHeight * scale);
      canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
      const row = await predictFrame(blob, signal);
      if (signal.aborted) return;
      showBoxes(get("camera-picture"), row.faces, row.width, row.height, facing === "user");
      get("camera-faces").replaceChildren(...(row.faces.length ? [table(row.faces)] : []));
      alert("");
    } catch (error) {
      if (signal.aborted) return;
      alert(error.message);
      await pause(1000 * (error.wait ?? 1));
    }
    await pause(Math.max(0, LEAST_MS - (performance.now() - start)));
  }
}
