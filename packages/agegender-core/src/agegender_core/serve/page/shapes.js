// Lines and zones drawn over the frame, with points that can be dragged or moved with the arrow keys.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const text = (points) => points.map((point) => point.join(",")).join(" ");
const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];

export class Drawing {
  // `state` has `shapes`, each with kind, name and points, and `chosen`, the place of one of them.
  // `begin` is called before something changes, `moved` after it has; `choose` with the place of a shape.
  constructor(svg, frame, state, { begin, moved, choose }) {
    Object.assign(this, { svg, state, begin, moved, choose });
    [this.width, this.height] = frame;
    svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.shown = element("g");
    svg.append(element("image", { href: "frame.jpg", width: this.width, height: this.height }), this.shown);
    new ResizeObserver(() => this.draw()).observe(svg);
  }

  // How many pixels of the frame one pixel of the page is.
  get unit() {
    return this.width / Math.max(this.svg.clientWidth, 1);
  }

  draw() {
    const focused = document.activeElement?.dataset?.point;
    this.shown.replaceChildren(...this.state.shapes.map((shape, place) => this.shape(shape, place)));
    if (focused) this.svg.querySelector(`[data-point="${focused}"]`)?.focus();
  }

  shape(shape, place) {
    const { unit } = this;
    const group = element("g", { class: place === this.state.chosen ? "shape chosen" : "shape" });
    const kind = shape.kind === "zone" ? "polygon" : "polyline";
    const points = text(shape.points);
    if (shape.kind === "zone") group.append(element("polygon", { points, class: "inside" }));
    group.append(element(kind, { points, class: "under", "stroke-width": 5 * unit }));
    group.append(element(kind, { points, class: "over", "stroke-width": 2.5 * unit }));
    if (shape.kind === "line") group.append(this.arrow(shape.points));
    group.append(this.label(shape));
    group.addEventListener("pointerdown", () => place !== this.state.chosen && this.choose(place));
    if (shape.kind === "zone" && place === this.state.chosen) this.betweens(group, shape, place);
    shape.points.forEach((_, number) => group.append(this.handle(shape, place, number)));
    return group;
  }

  // Points to the left of the way from start to end, where in is.
  arrow([start, end]) {
    const length = Math.hypot(end[0] - start[0], end[1] - start[1]) || 1;
    const way = [(end[0] - start[0]) / length, (end[1] - start[1]) / length];
    const [x, y] = middle(start, end);
    const size = 16 * this.unit;
    const at = (along, left) => [x + size * (along * way[0] + left * way[1]), y + size * (along * way[1] - left * way[0])];
    return element("polygon", { points: text([at(-0.6, 0), at(0.6, 0), at(0, 1)]), class: "arrow", "stroke-width": this.unit });
  }

  label(shape) {
    const size = 15 * this.unit;
    const [x, y] = shape.kind === "line" ? middle(...shape.points) : shape.points.reduce((a, b) => (b[0] + b[1] < a[0] + a[1] ? b : a));
    const words = shape.kind === "line" ? `${shape.name}: in` : shape.name;
    const across = Math.min(Math.max(x + 10 * this.unit, 2), this.width - 0.62 * size * words.length);
    const made = element("text", { x: Math.max(across, 2), y: Math.min(y + 34 * this.unit, this.height - 4), "font-size": size, "stroke-width": 4 * this.unit });
    made.textContent = words;
    return made;
  }

  handle(shape, place, number) {
    const [cx, cy] = shape.points[number];
    const label = `${shape.name}, point ${number + 1} of ${shape.points.length}`;
    const made = element("g", { tabindex: 0, role: "button", "aria-label": label, "data-point": `${place}-${number}` });
    made.append(element("circle", { cx, cy, r: 22 * this.unit, class: "hit" }));
    made.append(element("circle", { cx, cy, r: 7 * this.unit, class: "point", "stroke-width": 2 * this.unit }));
    made.addEventListener("focus", () => place !== this.state.chosen && this.choose(place));
    made.addEventListener("pointerdown", (event) => this.drag(event, place, number));
    made.addEventListener("keydown", (event) => this.key(event, place, number));
    return made;
  }

  // Between two corners of a zone a smaller point makes a new corner when it is dragged.
  betweens(group, shape, place) {
    shape.points.forEach((point, number) => {
      const [cx, cy] = middle(point, shape.points[(number + 1) % shape.points.length]);
      const hit = element("circle", { cx, cy, r: 16 * this.unit, class: "hit", "data-between": `${place}-${number}` });
      hit.addEventListener("pointerdown", (event) => {
        this.begin();
        shape.points.splice(number + 1, 0, [cx, cy]);
        this.drag(event, place, number + 1, false);
      });
      group.append(hit, element("circle", { cx, cy, r: 4.5 * this.unit, class: "between", "stroke-width": 1.5 * this.unit }));
    });
  }

  drag(event, place, number, begin = true) {
    event.preventDefault();
    event.stopPropagation();
    if (begin) this.begin();
    this.state.chosen = place;
    const move = (moved) => this.put(place, number, this.position(moved));
    const stop = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", stop);
      removeEventListener("pointercancel", stop);
      this.moved();
      this.svg.querySelector(`[data-point="${place}-${number}"]`)?.focus();
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", stop);
    addEventListener("pointercancel", stop);
    this.draw();
  }

  position(event) {
    const box = this.svg.getBoundingClientRect();
    return [((event.clientX - box.left) * this.width) / box.width, ((event.clientY - box.top) * this.height) / box.height];
  }

  put(place, number, [x, y]) {
    const within = (value, most) => Math.round(Math.min(Math.max(value, 0), most));
    this.state.shapes[place].points[number] = [within(x, this.width), within(y, this.height)];
    this.draw();
  }

  key(event, place, number) {
    const shape = this.state.shapes[place];
    const step = (event.shiftKey ? 10 : 1) * Math.max(1, Math.round(this.unit * 2));
    const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const way = ways[event.key];
    if (way) {
      this.begin();
      this.put(place, number, [shape.points[number][0] + way[0], shape.points[number][1] + way[1]]);
    } else if (event.key === "Delete" && shape.kind === "zone" && shape.points.length > 3) {
      this.begin();
      shape.points.splice(number, 1);
      this.draw();
    } else return;
    event.preventDefault();
    this.moved();
  }
}
