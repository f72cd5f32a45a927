// The drawing and its tools: requests readings while the user draws and passes them to the page.
// @ts-check
import { read } from "./backend.js";
import { Paper } from "./canvas.js";
import { byId, onClick } from "./dom.js";
import { LiveReader } from "./live.js";
import { LARGE, rasterise, SMALL } from "./raster.js";
import { carryCorrections, digitsOf, mapBoxes, textOf } from "./reading.js";
import { Drawing } from "./strokes.js";

const LOW = 28; // pixels: if a digit is lower than this, the drawing is read again at LARGE

export class DrawBoard {
  /**
   * @param {{show: (shown: import("./view.js").Shown|null, empty: string) => void,
   *   fail: (error: Error, retry?: () => void) => void, refresh: () => void,
   *   busy: (text: string) => void, history: import("./history.js").History,
   *   corrections: import("./corrections.js").Corrections}} page
   */
  constructor(page) {
    this.page = page;
    this.reading = null;
    this.entryId = 0;
    this.drawing = new Drawing();
    const listeners = { moved: () => this.#moved(), lifted: () => this.#lifted() };
    this.paper = new Paper(byId("paper"), byId("marks"), this.drawing, listeners);
    this.paper.onView = () => this.page.refresh();
    this.live = new LiveReader(
      (options) => this.#read(options),
      (answer, final) => this.#showAnswer(answer, final),
      (error) => this.page.fail(error, () => this.#lifted()),
    );
    this.#listen();
  }

  /** Shows the last reading of the drawing. */
  show(announce = false) {
    const toLayer = (box) => box.map((value) => value * this.paper.scale);
    const shown = this.reading && { reading: this.reading, toLayer, announce };
    const empty = this.drawing.visible.length ? "" : "The result appears here as you draw.";
    this.page.show(shown, empty);
    byId("hint-draw").hidden = this.drawing.visible.length > 0;
    this.#updateButtons();
  }

  /** Reads the drawing again under the current constraints. */
  readAgain() {
    if (this.drawing.visible.length) this.live.readNow();
  }

  /** Loads a drawing from the history; undo restores the previous one. */
  open(entry) {
    this.drawing.clear(this.entryId);
    this.entryId = entry.id;
    this.drawing.strokes.push(...entry.strokes);
    this.#changed();
  }

  /** Stores the drawing in the history with its text, corrections included. */
  remember() {
    if (!this.reading || !digitsOf(this.reading).length) return;
    this.entryId ||= this.page.history.next();
    const strokes = this.drawing.visible.map(({ kind, points }) => ({ kind, points }));
    const text = textOf(this.reading);
    this.page.history.put({ id: this.entryId, kind: "drawing", text, strokes });
  }

  undo() {
    const stroke = this.drawing.undo();
    if (stroke?.kind === "clear") this.entryId = stroke.entryId;
    if (stroke) this.#changed();
  }

  redo() {
    const stroke = this.drawing.redo();
    if (stroke?.kind === "clear") this.entryId = 0;
    if (stroke) this.#changed();
  }

  clear() {
    this.drawing.clear(this.entryId);
    this.entryId = 0;
    this.#changed();
  }

  /** Selects a tool, "pen" or "eraser". */
  selectTool(tool) {
    this.paper.tool = tool;
    for (const name of ["pen", "eraser"]) {
      byId(name).setAttribute("aria-pressed", String(name === tool));
    }
  }

  #listen() {
    for (const name of ["undo", "redo", "clear"]) onClick(name, () => this[name]());
    for (const name of ["pen", "eraser"]) onClick(name, () => this.selectTool(name));
    byId("width").addEventListener("input", (event) => {
      this.paper.width = Number(event.target.value);
    });
  }

  #changed() {
    this.paper.resize();
    this.#lifted();
  }

  #moved() {
    byId("hint-draw").hidden = true;
    this.live.moved();
  }

  #lifted() {
    this.#updateButtons();
    if (this.drawing.visible.length) {
      this.live.readNow();
      return;
    }
    this.live.stop();
    this.reading = null;
    this.show();
  }

  #updateButtons() {
    byId("undo").disabled = !this.drawing.strokes.length;
    byId("redo").disabled = !this.drawing.undone.length;
    byId("clear").disabled = !this.drawing.visible.length;
  }

  /** Reads the drawing at SMALL and, if it is final and has low digits, again at LARGE. */
  async #read({ signal, final, onEarly }) {
    const small = await this.#readAt(SMALL, { signal, patient: final });
    if (!final || !small.reading || small.lowest >= LOW) return small.reading;
    onEarly(small.reading);
    return (await this.#readAt(LARGE, { signal, patient: true })).reading;
  }

  async #readAt(side, options) {
    const raster = rasterise(this.drawing, side);
    if (!raster) return { reading: null, lowest: Infinity };
    const onBusy = () => this.page.busy("The server is busy. Retrying …");
    const [reading] = await read({ pixels: raster.pixels }, { ...options, onBusy });
    const lowest = Math.min(...digitsOf(reading).map(({ box }) => box[3] - box[1]));
    return { reading: { ...mapBoxes(reading, raster.place), name: "drawing.png" }, lowest };
  }

  #showAnswer(reading, final) {
    if (reading) {
      const pairs = carryCorrections(this.reading, reading);
      if (final) for (const [old, fresh] of pairs) this.page.corrections.carry(old, fresh);
    }
    this.reading = reading;
    this.page.busy("");
    this.show(final);
    if (final) this.remember();
  }
}
