// What was read in this tab: pictures in memory, drawings also in the tab's session storage.
// @ts-check
import { byId, make } from "./dom.js";
import { Drawing } from "./strokes.js";

const KEY = "digitlens-history";
const MAX_ENTRIES = 24;
const [WIDTH, HEIGHT] = [208, 144]; // pixels of a thumbnail, displayed at half size

/**
 * @typedef {{id: number, kind: "drawing", text: string, strokes: import("./strokes.js").Stroke[]}}
 *   DrawingEntry
 * @typedef {{id: number, kind: "picture", text: string, name: string, file: File,
 *   bitmap: ImageBitmap|null, paper: string, readings: import("./reading.js").Reading[], page: number,
 *   tables?: {rows: import("./table.js").Cell[][], kept: boolean}[],
 *   regions?: import("./regions.js").Region[]}} PictureEntry
 */

export class History {
  /** @param {(entry: DrawingEntry|PictureEntry) => void} open Called with the selected entry. */
  constructor(open) {
    this.open = open;
    /** @type {(DrawingEntry|PictureEntry)[]} */ this.entries = loadStored();
    this.count = Math.max(0, ...this.entries.map((entry) => entry.id));
    byId("forget").addEventListener("click", () => this.#replace([]));
    this.paint();
  }

  /** Returns a new entry id. */
  next() {
    return (this.count += 1);
  }

  /** Adds an entry, or replaces the one with the same id. */
  put(entry) {
    const exists = this.entries.some(({ id }) => id === entry.id);
    const others = this.entries.map((each) => (each.id === entry.id ? entry : each));
    this.#replace(exists ? others : [entry, ...this.entries].slice(0, MAX_ENTRIES));
  }

  /** Repaints the list in the colours of the theme. */
  paint() {
    byId("history").hidden = !this.entries.length;
    byId("history-list").replaceChildren(...this.entries.map((entry) => this.#item(entry)));
  }

  #replace(entries) {
    this.entries = entries;
    const drawings = entries.filter(({ kind }) => kind === "drawing");
    try {
      sessionStorage.setItem(KEY, JSON.stringify(drawings));
    } catch {
      // Over the storage quota: the list lives only as long as the page.
    }
    this.paint();
  }

  #item(entry) {
    const text = entry.text.replaceAll("\n", " ") || "no digit";
    const label = `${entry.kind === "picture" ? entry.name : "Drawing"}: ${text}. Open`;
    const button = make("button", { type: "button", "aria-label": label });
    button.append(thumbnail(entry), make("span", {}, text));
    button.addEventListener("click", () => this.open(entry));
    return make("li", {}, button);
  }
}

function thumbnail(entry) {
  const canvas = make("canvas", { width: WIDTH, height: HEIGHT });
  const context = canvas.getContext("2d");
  if (entry.kind === "drawing") paintDrawing(context, entry.strokes);
  else if (entry.bitmap) paintBitmap(context, entry);
  return canvas;
}

function paintDrawing(context, strokes) {
  const drawing = new Drawing();
  drawing.strokes = strokes;
  const bounds = drawing.bounds;
  if (!bounds) return;
  const [x0, y0, x1, y1] = bounds;
  const scale = Math.min((WIDTH - 32) / (x1 - x0), (HEIGHT - 32) / (y1 - y0));
  const left = (WIDTH - scale * (x0 + x1)) / 2;
  context.setTransform(scale, 0, 0, scale, left, (HEIGHT - scale * (y0 + y1)) / 2);
  drawing.paint(context, getComputedStyle(document.body).color);
}

function paintBitmap(context, { bitmap, paper }) {
  context.fillStyle = paper;
  context.fillRect(0, 0, WIDTH, HEIGHT);
  const scale = Math.max(WIDTH / bitmap.width, HEIGHT / bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (WIDTH - width) / 2, (HEIGHT - height) / 2, width, height);
}

function loadStored() {
  try {
    const entries = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return entries.filter((entry) => Array.isArray(entry?.strokes) && Number.isInteger(entry.id));
  } catch {
    return [];
  }
}
