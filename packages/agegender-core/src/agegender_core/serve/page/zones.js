// The lines and zones of a drawing: their list, undo, and the file that they make.

import { Drawing } from "./shapes.js";

const get = (id) => document.getElementById(id);
const ANCHORS = { middle: "middle of the face", top: "top of the face", bottom: "bottom of the face" };
const state = { shapes: [], chosen: -1, saved: "" };
const earlier = [];
let about, drawing;

function alert(text) {
  get("alert").textContent = text;
  get("alert").hidden = !text;
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The command that serves this page has ended: start it again to go on.");
  }
  const said = await response.json();
  if (!response.ok) throw new Error(said.error);
  return said;
}

// What the file has, as JSON.
function toDocument() {
  const common = ({ name, anchor, source }) => ({ name, anchor, ...(source == null ? {} : { source }) });
  const of = (kind) => state.shapes.filter((shape) => shape.kind === kind);
  return {
    ...(about.ages ? { ages: about.ages } : {}),
    line: of("line").map((shape) => ({ ...common(shape), start: shape.points[0], end: shape.points[1] })),
    zone: of("zone").map((shape) => ({ ...common(shape), points: shape.points, stay: shape.stay })),
  };
}

const post = (path) => ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(toDocument()) });

const copyOf = () => JSON.stringify({ shapes: state.shapes, chosen: state.chosen });

function begin() {
  earlier.push(copyOf());
  get("undo").disabled = false;
}

function undo() {
  if (!earlier.length) return;
  Object.assign(state, JSON.parse(earlier.pop()));
  get("undo").disabled = !earlier.length;
  changed();
}

let asked = 0;
async function changed(listed = true) {
  drawing.draw();
  if (listed) list();
  get("saved").hidden = true;
  const mine = ++asked;
  if (!state.shapes.length) {
    alert("");
    get("toml").textContent = "";
    get("save").disabled = true;
    return;
  }
  try {
    const { toml } = await post("check");
    if (mine !== asked) return;
    get("toml").textContent = toml;
    get("save").disabled = toml === state.saved;
    alert("");
  } catch (error) {
    if (mine !== asked) return;
    get("save").disabled = true;
    alert(error.message);
  }
}

function choose(place) {
  state.chosen = place;
  drawing.draw();
  document.querySelectorAll(".region").forEach((one, number) => one.classList.toggle("chosen", number === place));
}

function freeName(kind) {
  const taken = new Set(state.shapes.map((shape) => shape.name));
  for (let number = 1; ; number++) if (!taken.has(`${kind} ${number}`)) return `${kind} ${number}`;
}

function add(kind) {
  begin();
  const [width, height] = about.frame;
  const at = (x, y) => [Math.round(x * width), Math.round(y * height)];
  const points = kind === "line" ? [at(0.5, 0.2), at(0.5, 0.8)] : [at(0.3, 0.3), at(0.7, 0.3), at(0.7, 0.7), at(0.3, 0.7)];
  state.shapes.push({ kind, name: freeName(kind), points, anchor: "middle", source: null, stay: 5 });
  state.chosen = state.shapes.length - 1;
  changed();
}

function field(name, input, set) {
  const label = document.createElement("label");
  label.append(name, input);
  let before = null;
  input.addEventListener("focus", () => (before = copyOf()));
  input.addEventListener("input", () => {
    if (before !== null) earlier.push(before);
    before = null;
    get("undo").disabled = false;
    set(input.value);
    changed(false);
  });
  return label;
}

function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

function button(text, act) {
  const made = make("button", { type: "button", textContent: text });
  made.addEventListener("click", () => {
    begin();
    act();
    changed();
  });
  return made;
}

function list() {
  get("regions").replaceChildren(...state.shapes.map((shape, place) => {
    const card = make("section", { className: place === state.chosen ? "region chosen" : "region" });
    card.addEventListener("focusin", () => place !== state.chosen && choose(place));
    card.append(make("h2", { textContent: shape.kind === "line" ? "Line" : "Zone" }));
    card.append(field("Name", make("input", { value: shape.name, spellcheck: false }), (value) => (shape.name = value)));
    const anchors = make("select", {});
    for (const anchor of about.anchors) anchors.append(new Option(ANCHORS[anchor] ?? anchor, anchor, false, anchor === shape.anchor));
    card.append(field("Counts", anchors, (value) => (shape.anchor = value)));
    if (shape.kind === "zone") {
      const stay = make("input", { type: "number", min: 0, step: "any", value: shape.stay });
      card.append(field("Stay, s", stay, (value) => (shape.stay = value === "" ? null : Number(value))));
    }
    const buttons = make("div", { className: "buttons" });
    if (shape.kind === "line") buttons.append(button("Turn around", () => shape.points.reverse()));
    buttons.append(button("Remove", () => {
      state.shapes.splice(place, 1);
      state.chosen = -1;
    }));
    card.append(buttons);
    return card;
  }));
}

async function save() {
  get("save").disabled = true;
  try {
    state.saved = (await post("save")).toml;
    get("saved").textContent = `Saved. Use it: ${about.command}`;
    get("saved").hidden = false;
    alert("");
  } catch (error) {
    get("save").disabled = false;
    alert(error.message);
  }
}

get("add-line").addEventListener("click", () => add("line"));
get("add-zone").addEventListener("click", () => add("zone"));
get("undo").addEventListener("click", undo);
get("save").addEventListener("click", save);
get("copy").addEventListener("click", () => navigator.clipboard.writeText(get("toml").textContent));
addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.target.matches("input")) {
    event.preventDefault();
    undo();
  }
});
addEventListener("beforeunload", (event) => {
  if (earlier.length && get("toml").textContent !== state.saved) event.preventDefault();
});

try {
  about = await ask("about");
  state.shapes = [
    ...about.line.map((line) => ({ kind: "line", stay: 5, ...line })),
    ...about.zone.map((zone) => ({ kind: "zone", ...zone })),
  ];
  drawing = new Drawing(get("drawing"), about.frame, state, { begin, moved: () => changed(), choose });
  await changed();
  if (about.line.length + about.zone.length) {
    state.saved = get("toml").textContent;
    get("save").disabled = true;
  }
} catch (error) {
  alert(error.message);
}
