// A grid of any number of cells, of which only those in sight are in the document.

const GAP = 8;
const TEXT = 42; // under a cell's picture
const AHEAD = 2; // rows above and below the visible ones
const SETTLED = 80; // ms without scrolling, after which pictures are loaded

export class Grid {
  // element scrolls, canvas inside it holds the cells; draw(cell, place) fills one, load(cell) asks for its picture,
  // seen(first, last) is called with the range of places in the document.
  constructor(element, canvas, { draw, load, seen }) {
    Object.assign(this, { element, canvas, draw, load, seen });
    this.count = 0;
    this.columns = 1;
    this.current = 0;
    this.cells = new Map();
    this.lastTop = 0;
    element.addEventListener("scroll", () => this.#soon(), { passive: true });
    new ResizeObserver(() => this.#measure()).observe(element);
  }

  // Shows `count` cells anew, with the current one in sight.
  reset(count, current) {
    this.count = count;
    this.current = current;
    for (const cell of this.cells.values()) cell.remove();
    this.cells.clear();
    this.#measure();
  }

  goTo(place) {
    const before = this.current;
    this.current = Math.max(0, Math.min(this.count - 1, place));
    this.#intoSight();
    this.#render();
    this.redraw(before);
    this.redraw(this.current);
  }

  // One screen less a row.
  get pageStep() {
    return Math.max(1, Math.floor(this.element.clientHeight / this.rowHeight) - 1) * this.columns;
  }

  redraw(place) {
    const cell = this.cells.get(place);
    if (cell) this.draw(cell, place);
  }

  redrawAll() {
    for (const place of this.cells.keys()) this.redraw(place);
  }

  #measure() {
    const style = getComputedStyle(this.element);
    const width = this.element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    if (width <= 0) return;
    const least = width < 480 ? 104 : 128;
    this.columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    this.cellWidth = Math.floor((width - GAP * (this.columns - 1)) / this.columns);
    this.rowHeight = this.cellWidth + TEXT + GAP;
    this.canvas.style.height = `${Math.ceil(this.count / this.columns) * this.rowHeight}px`;
    this.#intoSight();
    this.#render(true);
  }

  #intoSight() {
    if (!this.rowHeight) return;
    const top = Math.floor(this.current / this.columns) * this.rowHeight;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.rowHeight > scrollTop + clientHeight) {
      this.element.scrollTop = Math.min(top, top + this.rowHeight + GAP - clientHeight);
    }
  }

  #soon() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      this.#render();
    });
  }

  #render(moved = false) {
    if (!this.rowHeight) return;
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / this.rowHeight) - AHEAD) * this.columns;
    const last = Math.min(this.count, (Math.ceil((scrollTop + clientHeight) / this.rowHeight) + AHEAD) * this.columns);
    for (const [place, cell] of this.cells) {
      if (place < first || place >= last) {
        cell.remove();
        this.cells.delete(place);
      }
    }
    for (let place = first; place < last; place++) {
      let cell = this.cells.get(place);
      if (!cell || moved) {
        const column = place % this.columns;
        const row = Math.floor(place / this.columns);
        if (!cell) {
          cell = document.createElement("div");
          this.cells.set(place, cell);
          this.canvas.append(cell);
          this.draw(cell, place);
        }
        cell.style.width = `${this.cellWidth}px`;
        cell.style.transform = `translate(${column * (this.cellWidth + GAP)}px, ${row * this.rowHeight}px)`;
      }
    }
    // A scroll bar that is pulled through thousands of faces must not ask for each of them.
    const far = Math.abs(scrollTop - this.lastTop) > clientHeight;
    this.lastTop = scrollTop;
    clearTimeout(this.settling);
    if (far) this.settling = setTimeout(() => this.#loadIfSettled(), SETTLED);
    else this.#loadAll();
  }

  // A slow page may take longer than SETTLED for a frame: only the next one tells whether the scrolling goes on.
  #loadIfSettled() {
    requestAnimationFrame(() => {
      if (this.waiting === undefined) this.#loadAll();
    });
  }

  #loadAll() {
    let first = this.count;
    let last = 0;
    for (const [place, cell] of this.cells) {
      this.load(cell, place);
      first = Math.min(first, place);
      last = Math.max(last, place + 1);
    }
    if (first < last) this.seen(first, last);
  }
}
