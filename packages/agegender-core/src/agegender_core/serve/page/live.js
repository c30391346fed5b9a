// A running stream: its newest frame, who is there, counts over time, health.

import { showChart } from "./chart.js";
import { element, table } from "./faces.js";
import { frame, json } from "./server.js";

const EVERY_MS = 1000;
const get = (id) => document.getElementById(id);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
let source = 0;
let changed = new AbortController();

export function startLive(about, alert) {
  get("live").hidden = false;
  get("privacy-title").textContent = "This page stores nothing.";
  get("privacy-text").textContent = "It shows what the server sees now. Whoever runs the stream may record it.";
  get("source-label").hidden = about.sources.length < 2;
  about.sources.forEach((name, number) => get("source").add(new Option(name, number)));
  get("source").addEventListener("change", (event) => {
    source = Number(event.target.value);
    changed.abort();
    changed = new AbortController();
  });
  get("live-picture").hidden = !about.shows_frames;
  get("live-note").hidden = about.shows_frames;
  if (about.shows_frames) frames();
  numbers(alert);
}

// The next is asked for when this one is shown: a slow viewer skips frames.
async function frames() {
  const image = get("live-image");
  let [number, shown] = [0, source];
  for (;;) {
    try {
      if (shown !== source) [number, shown] = [0, source];
      const newer = document.hidden ? null : await frame(shown, number, changed.signal);
      if (newer === null) {
        await pause(document.hidden ? 500 : 0);
        continue;
      }
      number = newer.number;
      const address = URL.createObjectURL(newer.blob);
      image.src = address;
      await image.decode().catch(() => {});
      URL.revokeObjectURL(address);
    } catch (error) {
      await pause(error.name === "AbortError" ? 0 : 1000);
    }
  }
}

async function numbers(alert) {
  for (;;) {
    try {
      const state = await json("/live");
      showSource(state.sources[source]);
      showHealth(state.health, source);
      alert("");
    } catch (error) {
      alert(error.message);
    }
    await pause(EVERY_MS);
  }
}

function showSource(state) {
  const more = [["there for", (face) => `${Math.round(face.seconds)} s`]];
  const faces = state.faces.length ? table(state.faces, ["track", (face) => face.track_id], more) : element("p", "Nobody.", "quiet");
  get("live-faces").replaceChildren(faces);
  const { female, male, unknown } = state.people;
  showFigures(get("people"), [
    ["people", female + male + unknown], ["female", female], ["male", male],
    ...(unknown ? [["not known", unknown]] : []),
  ]);
  showChart(get("chart"), state.history);
  get("counts-title").hidden = !state.counts.length;
  get("counts").replaceChildren(...state.counts.map(counted));
}

function counted(region) {
  const figures = region.line === undefined
    ? `${region.now} now, ${region.visits} in all, ${region.stays} stayed`
    : `${region.in} in, ${region.out} out`;
  const pair = element("div");
  pair.append(element("dt", region.line ?? region.zone), element("dd", figures));
  return pair;
}

function showHealth(health, number) {
  const of = health.sources?.[number];
  if (!of) return;
  const figures = [["frames a second", health.frames_per_second], ["frames", of.frames_processed]];
  if (of.live) figures.push(["dropped", of.frames_dropped], ["age of a frame", `${of.frame_age_ms.median ?? "-"} ms`]);
  if (of.frames_broken) figures.push(["broken", of.frames_broken]);
  if (health.memory_mb) figures.push(["memory", `${Math.round(health.memory_mb)} MB`]);
  if (of.problem) figures.push(["problem", of.problem]);
  showFigures(get("health"), figures);
}

function showFigures(list, figures) {
  list.replaceChildren(
    ...figures.map(([title, value]) => {
      const pair = element("div");
      pair.append(element("dt", title), element("dd", typeof value === "number" ? value.toLocaleString("en") : value));
      return pair;
    }),
  );
}
