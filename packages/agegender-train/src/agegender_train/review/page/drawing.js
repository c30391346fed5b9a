// How a face is shown: as a cell of the grid and, when it is the selected one, in detail beside it.

import { chip } from "./server.js";
import * as words from "./words.js";

const $ = (id) => document.getElementById(id);

// `face` is its labels, once they have arrived.
export function drawCell(cell, { place, of, state, isCurrent, face }) {
  if (!cell.firstChild) fill(cell, place, of);
  const [, mark, label, name] = cell.children;
  cell.className = `face ${state}${isCurrent ? " current" : ""}`;
  cell.setAttribute("aria-selected", isCurrent);
  mark.firstChild.setAttribute("href", `#sign-${state}`);
  if (!face) return;
  if (cell.firstChild.hasAttribute("src")) showChip(cell.firstChild, face.row, face.box);
  const guess = words.modelShort(face);
  label.replaceChildren(
    element("b", words.age(words.ageOf(face)), face.corrected_age ? "changed" : ""),
    " ",
    element("span", words.genderLetter(words.genderOf(face)), face.corrected_gender === null ? "" : "changed"),
    element("i", guess, words.isFar(face) ? "far" : ""),
  );
  if (guess) label.lastChild.title = `the model: ${words.model(face)}`;
  name.textContent = words.fileName(face);
  cell.setAttribute("aria-label", `${words.label(face)}, ${words.fileName(face)}, ${state}`);
}

function fill(cell, place, of) {
  cell.id = `face-${place}`;
  cell.dataset.place = place;
  cell.setAttribute("role", "option");
  cell.setAttribute("aria-label", `face ${place + 1}`);
  cell.setAttribute("aria-setsize", of);
  cell.setAttribute("aria-posinset", place + 1);
  const picture = Object.assign(new Image(), { alt: "", draggable: false });
  cell.append(picture, sign(), element("p", "", "label"), element("p", "", "name"));
}

export function loadPicture(cell, row, face) {
  const picture = cell.firstChild;
  if (!picture.hasAttribute("src")) showChip(picture, row, face?.box);
}

function showChip(picture, row, box) {
  if (picture.getAttribute("src") !== chip(row, box)) picture.src = chip(row, box);
}

export function drawDetail(face, place, of) {
  $("detail").classList.toggle("none", !face);
  if (!face) return;
  const picture = $("detail-picture");
  showChip(picture, face.row, face.box);
  picture.alt = words.label(face);
  const state = words.STATES[face.state];
  $("detail").dataset.state = state;
  $("detail-label").replaceChildren(
    element("b", words.age(words.ageOf(face))),
    ` ${words.gender(words.genderOf(face))} `,
    element("span", state, "state"),
  );
  $("detail-model").hidden = !words.hasGuess(face);
  if (words.hasGuess(face)) {
    $("detail-model").textContent = `model: ${words.model(face)}`;
    $("detail-model").classList.toggle("far", words.isFar(face));
  }
  const facts = [
    ["In the store", state === "corrected" ? `${words.age(face.age)}, ${words.gender(face.gender)}` : null],
    ["Face", face.box ? "another one than in the store" : null],
    ["File", face.key],
    ["Person", face.subject],
    ["Group", face.group],
    ["Dataset", face.dataset],
    ["Number", `${words.number(place + 1)} of ${words.number(of)}`],
  ].filter(([, value]) => value);
  $("detail-facts").replaceChildren(
    ...facts.flatMap(([name, value]) => [element("dt", name), element("dd", value, name.toLowerCase())]),
  );
}

const element = (name, text, className = "") =>
  Object.assign(document.createElement(name), { textContent: text, className });

function sign() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.append(document.createElementNS(svg.namespaceURI, "use"));
  return svg;
}
