// Pictures that are dropped or chosen: each with its boxes and its table.

import { element, showBoxes, table } from "./faces.js";
import { predictFile } from "./server.js";

const KEPT = 20;
const results = document.getElementById("results");
let queue = Promise.resolve();

export function startPictures(about, alert) {
  const drop = document.getElementById("drop");
  const input = document.getElementById("files");
  const take = (files) => {
    alert("");
    for (const file of files) {
      const place = element("article", undefined, "result");
      place.append(element("h3", file.name), element("p", "Waiting.", "quiet"));
      results.prepend(place);
      // One after the other, so that those that were dropped first are answered first.
      queue = queue.then(() => show(place, file, about));
    }
    while (results.children.length > KEPT) results.lastChild.remove();
  };
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop") take([...event.dataTransfer.files]);
    });
  }
  document.addEventListener("paste", (event) => take([...event.clipboardData.files]));
}

async function show(place, file, about) {
  const note = place.querySelector("p");
  note.textContent = "Looking.";
  try {
    if (file.size > about.max_bytes) {
      throw new Error(`This file has ${file.size.toLocaleString("en")} bytes; the server takes ${about.max_bytes.toLocaleString("en")}.`);
    }
    const row = await predictFile(file);
    if (row.error !== null && row.width === null) throw new Error(row.error);
    await showRow(place, file, row);
    note.textContent = found(row.faces.length);
  } catch (error) {
    note.className = "why";
    note.textContent = error.message;
  }
}

const found = (count) => (count === 0 ? "No face was found." : count === 1 ? "1 face" : `${count} faces`);

async function showRow(place, file, row) {
  const figure = element("figure", undefined, "picture");
  const image = element("img");
  image.alt = `${file.name}: ${found(row.faces.length)}`;
  figure.append(image);
  const shown = await shows(image, URL.createObjectURL(file));
  if (shown && image.naturalWidth === row.width && image.naturalHeight === row.height) {
    showBoxes(figure, row.faces, row.width, row.height);
  } else {
    // What the browser can't show, such as HEIC or TIFF, the server can draw.
    const drawn = await predictFile(file, true);
    if (drawn.annotated) await shows(image, `data:image/jpeg;base64,${drawn.annotated}`);
    else image.remove();
  }
  place.append(figure);
  if (row.faces.length) place.append(table(row.faces));
}

async function shows(image, address) {
  image.src = address;
  try {
    await image.decode();
    return true;
  } catch {
    return false;
  } finally {
    URL.revokeObjectURL(address);
  }
}
