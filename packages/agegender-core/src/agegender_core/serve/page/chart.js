// How many were in view, as a line over time.

import { element } from "./faces.js";

const SVG = "http://www.w3.org/2000/svg";
const clock = (seconds) => new Date(1000 * seconds).toLocaleTimeString("en-GB");

const drawn = (name, attributes) => {
  const made = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
};

// `history`: [seconds since 1970, in view, seen so far] by time.
export function showChart(figure, history) {
  if (history.length < 2) return figure.replaceChildren();
  const [first, last] = [history[0][0], history.at(-1)[0]];
  const most = Math.max(1, ...history.map((point) => point[1]));
  const x = (time) => (1000 * (time - first)) / Math.max(last - first, 1e-9);
  const y = (count) => 100 - (100 * count) / most;
  const steps = history.map(([time, count], n) => `${n ? `H${x(time)}V` : `M0 `}${y(count)}`);
  const svg = drawn("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img" });
  svg.setAttribute("aria-label", `People in view from ${clock(first)} to ${clock(last)}: ${most} at most, ${history.at(-1)[1]} now.`);
  svg.append(drawn("line", { x1: 0, x2: 1000, y1: 100, y2: 100 }), drawn("line", { x1: 0, x2: 1000, y1: 0, y2: 0 }));
  svg.append(drawn("path", { d: steps.join("") }));
  const caption = element("figcaption");
  caption.append(element("span", clock(first)), element("span", `in view, ${most} at most`), element("span", clock(last)));
  figure.replaceChildren(svg, caption);
}
