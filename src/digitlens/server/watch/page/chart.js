// A chart of curves over the steps of a training, as SVG, independent of the quantity shown.
// @ts-check
import { make } from "./app/dom.js";

const LEFT = 44; // pixels for tick labels
const BOTTOM = 20;
const TOP = 6;
const RIGHT = 8;
const DRAWING = "http://www.w3.org/2000/svg";

/**
 * @typedef {{unit: (value: number) => number, ticks: (low: number, high: number) => number[],
 *   text: (value: number) => string, range: (values: number[]) => [number, number]}} Scale
 * @typedef {{kind: string, points: [number, number][]}} Line
 */

/** Logarithmic. @type {Scale} */
export const LOG = {
  unit: (value) => Math.log10(Math.max(value, 1e-9)),
  range: (values) => [Math.min(...values) / 1.15, Math.max(...values) * 1.1],
  ticks: (low, high) => {
    const all = [-6, -5, -4, -3, -2, -1, 0, 1, 2].flatMap((p) => [1, 2, 5].map((m) => m * 10 ** p));
    return all.filter((tick) => tick >= low && tick <= high);
  },
  text: (value) => `${Number(value.toPrecision(2))}`,
};

/** Logarithmic in the error: 90 to 99 % is as high as 99 to 99.9 %. @type {Scale} */
export const NINES = {
  unit: (value) => -Math.log10(Math.max(1 - value, 5e-4)),
  range: (values) => [0, Math.max(0.9, Math.min(0.9995, Math.max(...values)))],
  ticks: (low, high) =>
    [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999].filter((t) => t >= low && t <= high),
  text: (value) => `${Number((100 * value).toFixed(1))} %`,
};

/** Linear from zero. @type {Scale} */
export const LINEAR = {
  unit: (value) => value,
  range: (values) => [0, 1.05 * Math.max(...values, 1e-9)],
  ticks: (low, high) => [low, high / 1.05],
  text: (value) => `${Number(value.toPrecision(2))}`,
};

export class Chart {
  /**
   * @param {HTMLElement} figure
   * @param {string} title
   * @param {Scale} scale
   */
  constructor(figure, title, scale) {
    this.figure = figure;
    this.title = title;
    this.scale = scale;
    this.data = null;
    this.keys = make("span", { class: "row" });
    this.svg = document.createElementNS(DRAWING, "svg");
    this.svg.setAttribute("role", "img");
    figure.append(make("figcaption", {}, make("b", {}, title), this.keys), this.svg);
    new ResizeObserver(() => this.#draw()).observe(this.svg);
  }

  /**
   * @param {{steps: number, perEpoch: number, lines: Line[], dots: [number, number][],
   *   keys: {kind: string, name: string, value: string}[]}} data
   */
  show(data) {
    this.data = data;
    this.keys.replaceChildren(...data.keys.map(legendKey));
    const values = data.keys.map(({ name, value }) => `${name} ${value}`).join(", ");
    this.svg.setAttribute("aria-label", `${this.title}: ${values}`);
    this.#draw();
  }

  #draw() {
    const { data, svg } = this;
    const { clientWidth: width, clientHeight: height } = svg;
    const values = data?.lines.flatMap(({ points }) => points.map(([, y]) => y)) ?? [];
    if (!width || !values.length) {
      svg.replaceChildren();
      return;
    }
    const [low, high] = this.scale.range(values);
    const [bottom, top] = [this.scale.unit(low), this.scale.unit(high)];
    const x = (step) => LEFT + (step / data.steps) * (width - LEFT - RIGHT);
    const share = (value) => (this.scale.unit(value) - bottom) / (top - bottom || 1);
    const clamp = (value) => Math.min(1, Math.max(0, value));
    const y = (value) => height - BOTTOM - clamp(share(value)) * (height - BOTTOM - TOP);
    svg.replaceChildren(
      ...this.#ticks(low, high, y, width),
      ...epochMarks(data, x, height),
      ...data.lines.map(({ kind, points }) => element("path", { class: kind, d: path(points, x, y) })),
      ...data.dots.map(([step, value]) =>
        element("circle", { class: "dot", cx: x(step), cy: y(value), r: 4 }),
      ),
    );
  }

  #ticks(low, high, y, width) {
    let lastPosition = Infinity;
    return this.scale.ticks(low, high).flatMap((tick) => {
      const position = y(tick);
      if (lastPosition - position < 15) return []; // no room for the label
      lastPosition = position;
      const text = element("text", { x: LEFT - 8, y: position + 4, "text-anchor": "end" });
      text.textContent = this.scale.text(tick);
      return [element("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: position, y2: position }), text];
    });
  }
}

function epochMarks({ steps, perEpoch }, x, height) {
  if (!perEpoch) return [];
  const count = Math.round(steps / perEpoch);
  const every = Math.max(1, Math.ceil((count * 22) / (x(steps) - x(0))));
  const marks = [];
  for (let epoch = every; epoch <= count; epoch += every) {
    const position = x(epoch * perEpoch);
    const text = element("text", { x: position, y: height - 4, "text-anchor": epoch === count ? "end" : "middle" });
    text.textContent = epoch === every ? `epoch ${epoch}` : `${epoch}`;
    if (epoch === every && position - x(0) < 30) text.setAttribute("text-anchor", "start");
    marks.push(element("line", { class: "epoch", x1: position, x2: position, y1: TOP, y2: height - BOTTOM }), text);
  }
  return marks;
}

function path(points, x, y) {
  return points.map(([step, value], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
}

function legendKey({ kind, name, value }) {
  return make("span", { class: `key ${kind}` }, make("i"), `${name} `, make("b", {}, value));
}

function element(name, attributes) {
  const node = document.createElementNS(DRAWING, name);
  for (const [legendKey, value] of Object.entries(attributes)) node.setAttribute(legendKey, `${value}`);
  return node;
}
