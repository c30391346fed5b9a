// Faces in words and in boxes: the words of `agegender predict`.

let unsure = 0.7;
let unreadable = 0.3;

export function useThresholds(about) {
  unsure = about.unsure;
  unreadable = about.unreadable;
}

const years = (age) => Math.floor(age + 0.5);
const range = (interval) => `${years(interval[0])}-${years(interval[1])}`;
const sureness = (face) => Math.max(face.p_male, 1 - face.p_male);
const dim = (face) => face.quality !== null && face.quality < unreadable;

export function gender(face) {
  if (face.p_male === null) return "not known";
  return `${face.gender}${sureness(face) < unsure ? "?" : ""}`;
}

const percent = (face) => (face.p_male === null ? "" : ` ${Math.round(100 * sureness(face))}\u00a0%`);

function label(face) {
  const words = [];
  if (face.p_male !== null) words.push(gender(face));
  if (face.age !== null) words.push(years(face.age));
  if (face.age_interval !== null) words.push(`(${range(face.age_interval)})`);
  return words.join(" ");
}

export function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// Boxes over a picture of `width` x `height` pixels, whatever its size on the page.
export function showBoxes(figure, faces, width, height, mirrored = false) {
  figure.querySelectorAll(".box").forEach((box) => box.remove());
  faces.forEach((face, row) => {
    const [left, top, right, bottom] = face.box;
    const box = element("div", undefined, "box");
    const x = mirrored ? width - right : left;
    box.classList.toggle("dim", dim(face));
    box.classList.toggle("below", top < 0.12 * height);
    box.classList.toggle("leftwards", x > 0.6 * width);
    Object.assign(box.style, {
      left: `${(100 * x) / width}%`, top: `${(100 * top) / height}%`,
      width: `${(100 * (right - left)) / width}%`, height: `${(100 * (bottom - top)) / height}%`,
    });
    // A crowd's labels would hide its faces: there the number leads to the row of the table.
    const words = faces.length > 6 || dim(face) ? `${row + 1}` : label(face);
    box.append(element("span", words || `${row + 1}`));
    figure.append(box);
  });
}

// A table of faces. `first` is its first column: the title, and what stands there for a face and its row.
export function table(faces, first = ["face", (face, row) => row + 1], more = []) {
  const columns = [
    first,
    ["age", (face) => (face.age === null ? "not known" : years(face.age))],
    ["nine of ten", (face) => (face.age_interval === null ? "not known" : range(face.age_interval))],
    ["gender", (face) => gender(face) + percent(face)],
    ["quality", (face) => (face.quality === null ? "not known" : face.quality.toFixed(2))],
    ...more,
  ];
  const made = element("table");
  const head = made.createTHead().insertRow();
  columns.forEach(([title]) => {
    const cell = element("th", title);
    cell.scope = "col";
    head.append(cell);
  });
  const body = made.createTBody();
  faces.forEach((face, row) => {
    const line = body.insertRow();
    line.classList.toggle("dim", dim(face));
    columns.forEach(([, text]) => (line.insertCell().textContent = text(face, row)));
  });
  return made;
}
