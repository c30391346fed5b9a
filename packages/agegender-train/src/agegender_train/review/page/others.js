// A face's picture with all faces in it, to choose the one that the label is about.

import { others, picture } from "./server.js";

const $ = (id) => document.getElementById(id);
const NUMBERED = 9; // faces that a key chooses
const SVG = "http://www.w3.org/2000/svg";

// The box that was chosen, or null.
export async function chooseFace(row, detector) {
  const found = await others(row);
  const dialog = $("others");
  $("others-note").textContent = found.boxes.length
    ? `Choose the face that the label is about: click on it, or press its number. Found by ${detector}; dashed: the face as it is.`
    : `${detector} finds no face in this picture. To leave it out of training and tests, reject it.`;
  $("others-picture").src = picture(row);
  const drawing = $("others-boxes");
  drawing.setAttribute("viewBox", `0 0 ${found.width} ${found.height}`);
  const unit = Math.max(found.width, found.height) / 100;
  drawing.replaceChildren(...(found.box ? [outline(found.box, "now")] : []), ...found.boxes.map((box, i) => face(box, i, unit)));
  return new Promise((resolve) => {
    const onKey = (event) => {
      const box = found.boxes[Number(event.key) - 1];
      if (!box || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      dialog.close(event.key);
    };
    const onClick = (event) => {
      const chosen = event.target.closest(".choice");
      if (chosen) dialog.close(chosen.dataset.number);
    };
    const onEnter = (event) => event.key === "Enter" && onClick(event);
    dialog.addEventListener("keydown", onKey);
    drawing.addEventListener("click", onClick);
    drawing.addEventListener("keydown", onEnter);
    dialog.addEventListener(
      "close",
      () => {
        dialog.removeEventListener("keydown", onKey);
        drawing.removeEventListener("click", onClick);
        drawing.removeEventListener("keydown", onEnter);
        $("others-picture").removeAttribute("src");
        resolve(found.boxes[Number(dialog.returnValue) - 1] ?? null);
      },
      { once: true },
    );
    dialog.returnValue = "";
    dialog.showModal();
  });
}

function outline([left, top, right, bottom], name) {
  return element("rect", { class: name, x: left, y: top, width: right - left, height: bottom - top });
}

function face(box, i, unit) {
  const number = element("text", { x: box[0], y: box[1] - unit, "font-size": 3 * unit });
  number.textContent = i < NUMBERED ? i + 1 : "";
  const choice = element("g", { class: "choice", tabindex: 0, role: "button", "data-number": i + 1, "aria-label": `face ${i + 1}` });
  choice.append(outline(box, "found"), number);
  return choice;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
