// The drawing, classified repeatedly during training, and the network's current answer.
// @ts-check
import { Paper } from "./app/canvas.js";
import { byId, make, onClick } from "./app/dom.js";
import { LiveReader } from "./app/live.js";
import { rasterise } from "./app/raster.js";
import { Drawing } from "./app/strokes.js";
import { paintTile } from "./errors.js";

const SIDE = 140; // pixels of the picture sent: five per pixel of a tile, 20 kB
const MAX_ANSWERS = 26; // answers shown side by side

export class Board {
  constructor() {
    this.drawing = new Drawing();
    this.step = 0;
    this.trail = [];
    const listeners = { moved: () => this.#moved(), lifted: () => this.#lifted() };
    this.paper = new Paper(byId("paper"), null, this.drawing, listeners);
    this.paper.width = 18;
    this.live = new LiveReader(
      (options) => this.#requestAnswer(options),
      (answer) => this.#show(answer),
      () => {}, // status.js reports a lost connection
    );
    byId("bars").replaceChildren(...[...Array(10).keys()].map(bar));
    onClick("undo", () => this.#undo());
    onClick("clear", () => this.#clear());
    this.#show(null);
  }

  /** Requests a new answer after a step at which the network was evaluated. */
  renew(step) {
    this.step = step;
    if (this.drawing.visible.length && !this.live.running.size) this.live.readNow();
  }

  #moved() {
    this.trail = [];
    byId("hint").hidden = true;
    this.live.moved();
  }

  #lifted() {
    this.trail = [];
    this.#updateButtons();
    this.live.readNow();
  }

  #undo() {
    this.drawing.undo();
    this.paper.repaint();
    this.#lifted();
  }

  #clear() {
    this.drawing.clear();
    this.paper.repaint();
    this.#lifted();
  }

  #updateButtons() {
    const empty = !this.drawing.visible.length;
    byId("hint").hidden = !empty;
    byId("undo").disabled = !this.drawing.strokes.length;
    byId("clear").disabled = empty;
  }

  async #requestAnswer({ signal }) {
    const raster = rasterise(this.drawing, SIDE);
    if (!raster) return null;
    const { step } = this;
    const { data, width } = raster.pixels;
    const ink = Uint8Array.from({ length: data.length / 4 }, (_, i) => 255 - data[4 * i]);
    const headers = { "Content-Type": "application/octet-stream" };
    const request = { method: "POST", body: ink, headers, signal };
    const response = await fetch(`answer?width=${width}`, request);
    if (!response.ok) throw new Error(`the server responded with status ${response.status}`);
    return { ...(await response.json()), step };
  }

  #show(answer) {
    const chances = answer?.probabilities;
    paintTile(byId("tile"), answer?.tile ?? new Uint8Array(784));
    paintBars(chances);
    byId("asked").textContent = chances ? `after step ${answer.step.toLocaleString("en")}` : "";
    byId("verdict").replaceChildren(...verdict(answer));
    if (!chances) this.trail = [];
    else if (this.trail.at(-1)?.step !== answer.step) this.#addToTrail(answer);
    this.#showTrail();
    if (answer && answer.step < this.step) this.live.readNow(); // trained further meanwhile
  }

  #addToTrail({ probabilities, step }) {
    const confidence = Math.max(...probabilities);
    this.trail.push({ value: probabilities.indexOf(confidence), confidence, step });
    this.trail = this.trail.slice(-MAX_ANSWERS);
  }

  #showTrail() {
    byId("trail-box").hidden = this.trail.length < 2;
    const items = this.trail.map(({ value, confidence, step }) => {
      const title = `step ${step}: ${value}, ${Math.round(100 * confidence)} %`;
      const item = make("li", { title }, `${value}`);
      item.style.setProperty("--share", confidence.toFixed(2));
      return item;
    });
    byId("trail").replaceChildren(...items);
  }
}

function verdict(answer) {
  if (!answer) return [];
  if (!answer.probabilities) return ["The network is not trained yet."];
  const confidence = Math.max(...answer.probabilities);
  const value = answer.probabilities.indexOf(confidence);
  const digitText = answer.digit === null ? "" : `; a digit at all: ${Math.round(100 * answer.digit)} %`;
  return [make("b", {}, `${value}`), `, ${Math.round(100 * confidence)} % sure${digitText}`];
}

function bar(value) {
  return make("li", {}, make("span"), make("i"), make("b", {}, `${value}`));
}

function paintBars(chances) {
  const first = chances ? chances.indexOf(Math.max(...chances)) : -1;
  [...byId("bars").children].forEach((row, value) => {
    const share = chances?.[value] ?? 0;
    const [text, column] = row.children;
    row.classList.toggle("first", value === first);
    row.setAttribute("aria-label", `${value}: ${Math.round(100 * share)} %`);
    text.textContent = share >= 0.01 ? `${Math.round(100 * share)}` : "";
    column.style.height = `${Math.max(1, 70 * share)}px`;
  });
}
