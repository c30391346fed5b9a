// The review page: what is shown, and what keys and buttons do.

import { drawCell, drawDetail, loadPicture } from "./drawing.js";
import { Grid } from "./grid.js";
import { chooseFace } from "./others.js";
import * as server from "./server.js";
import * as words from "./words.js";

const $ = (id) => document.getElementById(id);
const PAGE = 100; // faces whose labels are asked for at once
const KEPT = 5000; // faces whose labels are remembered
const UNDECIDED = 0;

let rows = new Int32Array(0); // the selection's faces in their order
let states = new Uint8Array(0); // of the same faces
let places = new Int32Array(0); // where each face of the store stands in the selection, or -1
let decided = 0;
let total = 0; // faces of the store
let version = 0;
let model = {};
let detector = null; // what finds other faces; null without the source of the store
const faces = new Map(); // labels by row
const asked = new Set(); // pages of labels that are on their way
const form = $("filters");
const grid = new Grid($("grid"), $("canvas"), { draw, load, seen });

// --- drawing ---

function draw(cell, place) {
  const isCurrent = place === grid.current;
  drawCell(cell, { place, of: rows.length, state: words.STATES[states[place]], isCurrent, face: faces.get(rows[place]) });
  if (isCurrent) grid.element.setAttribute("aria-activedescendant", cell.id);
}

function load(cell, place) {
  loadPicture(cell, rows[place], faces.get(rows[place]));
}

const drawCurrent = () => drawDetail(faces.get(rows[grid.current]), grid.current, rows.length);

function drawProgress() {
  const bar = $("progress");
  bar.setAttribute("aria-valuemax", rows.length);
  bar.setAttribute("aria-valuenow", decided);
  bar.setAttribute("aria-valuetext", `${decided} of ${rows.length}`);
  $("progress-bar").style.width = `${rows.length ? (100 * decided) / rows.length : 0}%`;
  $("progress-text").textContent = `${words.number(decided)} of ${words.number(rows.length)} decided`;
}

function drawModel() {
  const note = $("model-note");
  const wanted = form.elements.order.value.endsWith("-error");
  note.hidden = !wanted || (model.ready && !model.problem);
  note.classList.toggle("wrong", Boolean(model.problem));
  note.textContent = model.problem
    ? `No predictions: ${model.problem}.`
    : `${model.name} predicts all faces once: ${words.number(model.done ?? 0)} of ${words.number(total)}. ` +
      "Until then the faces are in the order of the store.";
}

function warn(text) {
  $("alert").textContent = text;
  $("alert").hidden = !text;
}

const say = (text) => ($("spoken").textContent = text);

// --- what is known of the faces ---

function seen(first, last) {
  for (let page = Math.floor(first / PAGE); page <= Math.floor((last - 1) / PAGE); page++) askFor(page);
}

async function askFor(page) {
  const missing = [...rows.subarray(page * PAGE, (page + 1) * PAGE)].filter((row) => !faces.has(row));
  if (!missing.length || asked.has(page)) return;
  const selection = rows;
  asked.add(page);
  try {
    for (const face of await server.faces(missing)) learn(face);
  } catch (error) {
    warn(error.message);
  } finally {
    if (rows === selection) asked.delete(page);
  }
  for (const row of faces.keys()) {
    if (faces.size <= KEPT) break;
    if (!grid.cells.has(places[row])) faces.delete(row);
  }
}

function learn(face) {
  faces.set(face.row, face);
  setState(face.row, face.state);
  const place = places[face.row];
  grid.redraw(place);
  if (place === grid.current) drawCurrent();
}

function setState(row, state) {
  const place = places[row];
  if (place < 0) return;
  decided += (state !== UNDECIDED) - (states[place] !== UNDECIDED);
  states[place] = state;
  drawProgress();
}

// --- the selection ---

function query() {
  const parts = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value.trim() && !(name === "order" && value === "store")) parts.set(name, value.trim());
  }
  return parts;
}

let shownOrder = "";

// Shows what the filters ask for. The chosen face stays chosen, but a new order begins at its top.
async function select() {
  const parts = query();
  const order = `${parts.get("order")} ${model.ready}`;
  const chosen = order === shownOrder ? rows[grid.current] : undefined;
  let found;
  try {
    found = await server.rows(parts);
  } catch (error) {
    form.elements.ages.setAttribute("aria-invalid", "true");
    return warn(error.message);
  }
  shownOrder = order;
  form.elements.ages.removeAttribute("aria-invalid");
  warn("");
  history.replaceState(null, "", `?${parts}`);
  ({ rows, states } = found);
  places.fill(-1);
  rows.forEach((row, place) => (places[row] = place));
  decided = states.reduce((sum, state) => sum + (state !== UNDECIDED), 0);
  asked.clear();
  $("empty").hidden = rows.length > 0;
  grid.reset(rows.length, Math.max(0, chosen === undefined ? 0 : places[chosen]));
  drawProgress();
  drawCurrent();
  drawModel();
  const set = parts.size - parts.has("order");
  $("filters-button").textContent = set ? `Filters (${set})` : "Filters";
  if (parts.get("order")?.endsWith("-error") && !model.ready && !model.problem) await askModel();
}

async function askModel() {
  await server.predict().catch((error) => warn(error.message));
  await lookForChanges();
}

// --- moving and deciding ---

function goTo(place) {
  if (!rows.length) return;
  closeAge();
  grid.goTo(place);
  drawCurrent();
}

function nextUndecided() {
  const next = states.indexOf(UNDECIDED, grid.current + 1);
  const place = next < 0 ? states.indexOf(UNDECIDED) : next;
  if (place < 0) say("Every face of this selection is decided");
  else goTo(place);
}

// Decisions go to the server one after the other, however fast the keys come.
let queue = Promise.resolve();

function inOrder(work) {
  queue = queue.then(work).then(
    () => warn(""),
    (error) => {
      if (!(error instanceof server.Refused)) throw error;
      warn(error.message);
    },
  );
  return queue;
}

// `label` is the correction, or a function that gives it for the face when its turn comes.
function decide(action, label, { goOn = true } = {}) {
  const place = grid.current;
  const row = rows[place];
  if (row === undefined) return;
  const known = faces.get(row);
  inOrder(async () => {
    const corrected = typeof label === "function" ? label(faces.get(row) ?? known) : label;
    const [face] = await server.decide(row, action, corrected);
    learn(face);
    say(`${words.fileName(face)}: ${words.STATES[face.state]}, ${words.label(face)}`);
  });
  if (goOn) goTo(place + 1);
}

const setGender = (gender) => decide("correct", { gender }, { goOn: false });

function flipGender() {
  if (faces.has(rows[grid.current])) {
    decide("correct", (face) => ({ gender: words.genderOf(face) === 0 ? 1 : 0 }), { goOn: false });
  }
}

function undo() {
  inOrder(async () => {
    const [face] = await server.undo();
    if (!face) return say("Nothing to undo");
    learn(face);
    if (places[face.row] >= 0) goTo(places[face.row]);
    say(`Undone: ${words.fileName(face)} is ${words.STATES[face.state]}, ${words.label(face)}`);
  });
}

async function openOthers() {
  const row = rows[grid.current];
  if (row === undefined) return;
  if (!detector) return warn("To choose another face, start agegender review with --source and what the store was made from.");
  try {
    const box = await chooseFace(row, detector);
    if (box && rows[grid.current] === row) decide("correct", { box }, { goOn: false });
  } catch (error) {
    if (!(error instanceof server.Refused)) throw error;
    warn(error.message);
  }
}

function openAge(text = "") {
  if (!rows.length) return;
  $("age-form").hidden = false;
  $("age-problem").textContent = "";
  $("age").value = text;
  $("age").focus();
}

function closeAge() {
  if ($("age-form").hidden) return;
  const hadFocus = $("age-form").contains(document.activeElement);
  $("age-form").hidden = true;
  if (hadFocus) grid.element.focus({ preventScroll: true });
}

function saveAge(event) {
  event.preventDefault();
  const match = /^\s*(\d{1,3})\s*(?:[-–]\s*(\d{1,3}))?\s*$/.exec($("age").value);
  const [low, high] = match ? [Number(match[1]), Number(match[2] ?? match[1])] : [1, 0];
  if (low > high || high > 100) {
    $("age-problem").textContent = "An age from 0 to 100, or a range such as 20-29";
    return;
  }
  decide("correct", { age: low === high ? `${low}` : `${low}-${high}` });
}

const KEYS = {
  ArrowLeft: () => goTo(grid.current - 1),
  ArrowRight: () => goTo(grid.current + 1),
  ArrowUp: () => grid.current >= grid.columns && goTo(grid.current - grid.columns),
  ArrowDown: () => goTo(grid.current + grid.columns),
  PageUp: () => goTo(grid.current - grid.pageStep),
  PageDown: () => goTo(grid.current + grid.pageStep),
  Home: () => goTo(0),
  End: () => goTo(rows.length - 1),
  a: () => decide("accept"),
  r: () => decide("reject"),
  e: () => openAge(),
  g: flipGender,
  m: () => setGender(1),
  f: () => setGender(0),
  b: openOthers,
  u: undo,
  n: nextUndecided,
  "/": () => (showFilters(true), form.elements.ages.focus()),
  "?": () => $("help").showModal(),
};
Object.assign(KEYS, { h: KEYS.ArrowLeft, j: KEYS.ArrowDown, k: KEYS.ArrowUp, l: KEYS.ArrowRight });

function onKey(event) {
  if (event.key === "Escape" && !$("age-form").hidden) return closeAge();
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, select")) {
    if (event.key === "Escape") grid.element.focus();
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isDigit = /^\d$/.test(key);
  if (!isDigit && !Object.hasOwn(KEYS, key)) return;
  event.preventDefault();
  if (isDigit) openAge(key);
  else KEYS[key]();
}

function showFilters(open) {
  form.classList.toggle("open", open);
  $("filters-button").setAttribute("aria-expanded", open);
}

// --- other tabs, and the model at work ---

async function lookForChanges() {
  clearTimeout(lookForChanges.next);
  if (!document.hidden) {
    try {
      await queue;
      const now = await server.changes(version);
      version = now.version;
      const stale = now.changed.map(([row]) => row).filter((row) => faces.has(row));
      for (const [row, state] of now.changed) {
        setState(row, state);
        grid.redraw(places[row]);
      }
      for (let i = 0; i < stale.length; i += PAGE) (await server.faces(stale.slice(i, i + PAGE))).forEach(learn);
      const isNew = now.model.ready && !model.ready;
      model = now.model;
      drawModel();
      if (isNew) {
        faces.clear();
        await select();
      }
    } catch (error) {
      if (!(error instanceof server.Refused)) throw error;
      warn(error.message);
    }
  }
  lookForChanges.next = setTimeout(lookForChanges, model.running ? 500 : 3000);
}

// --- beginning ---

function offer(name, values) {
  const least = name === "dataset" ? 2 : 1;
  $(`${name}-filter`).hidden = values.length < least;
  form.elements[name].append(...values.map((value) => new Option(value, value)));
}

async function begin() {
  let about;
  try {
    about = await server.about();
  } catch (error) {
    return warn(error.message);
  }
  ({ version, model, detector } = about);
  $("others-button").hidden = !detector;
  total = about.faces;
  places = new Int32Array(total).fill(-1);
  document.title = `Review ${about.name}`;
  $("store").textContent = about.name;
  $("store").title = about.path;
  offer("dataset", about.datasets);
  offer("group", about.groups);
  for (const [name, value] of new URLSearchParams(location.search)) if (form.elements[name]) form.elements[name].value = value;
  grid.element.focus({ preventScroll: true });
  await select();
  lookForChanges();
}

document.addEventListener("keydown", onKey);
document.addEventListener("visibilitychange", () => document.hidden || lookForChanges());
// After a choice with the mouse, keys go to the faces; after one with the keyboard, the user may choose further.
let byPointer = false;
document.addEventListener("pointerdown", () => (byPointer = true), true);
document.addEventListener("keydown", () => (byPointer = false), true);
form.addEventListener("change", () => {
  select();
  if (byPointer) grid.element.focus({ preventScroll: true });
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  select();
  grid.element.focus({ preventScroll: true });
});
form.addEventListener("reset", () => setTimeout(select));
$("filters-button").addEventListener("click", () => showFilters(!form.classList.contains("open")));
$("help-button").addEventListener("click", () => $("help").showModal());
$("canvas").addEventListener("click", (event) => {
  const cell = event.target.closest(".face");
  if (cell) goTo(Number(cell.dataset.place));
});
$("age-form").addEventListener("submit", saveAge);
$("age-cancel").addEventListener("click", closeAge);
const ACTS = { accept: KEYS.a, reject: KEYS.r, age: KEYS.e, gender: KEYS.g, face: KEYS.b, undo: KEYS.u };
$("actions").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) ACTS[button.dataset.act]();
});
begin();
