// What the server offers, and the token where it needs one.

import { startCamera } from "./camera.js";
import { useThresholds } from "./faces.js";
import { startLive } from "./live.js";
import { startPictures } from "./pictures.js";
import { json, onMissingToken, useToken } from "./server.js";

const get = (id) => document.getElementById(id);

function alert(text) {
  get("alert").textContent = text;
  get("alert").hidden = !text;
}

let asking = null;
onMissingToken((wasWrong) => {
  asking ??= new Promise((done) => {
    alert(wasWrong ? "The server does not know this token." : "");
    get("token").hidden = false;
    get("token-text").focus();
    get("token").addEventListener("submit", (event) => {
      event.preventDefault();
      useToken(get("token-text").value.trim());
      get("token").hidden = true;
      alert("");
      asking = null;
      done();
    }, { once: true });
  });
  return asking;
});

try {
  const about = await json("/about");
  useThresholds(about);
  get("model").textContent = `${about.version}${about.model ? `, ${about.model}` : ""}`;
  if (about.sources.length) startLive(about, alert);
  if (about.predicts) {
    get("predict").hidden = false;
    startPictures(about, alert);
    startCamera(alert);
  }
} catch (error) {
  alert(error.message);
}
