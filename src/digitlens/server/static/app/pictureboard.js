// Shows pictures, dropped, pasted, chosen or photographed, with what was read on them.
// @ts-check
import { MODE, read, ReadError } from "./backend.js";
import { byId, onClick } from "./dom.js";
import { carryCorrections, textOf } from "./reading.js";
import { paperBelow } from "../reader/transparency.js";

const PICTURES = /^(image\/|application\/(pdf|octet-stream)|$)/;
const LEGIBLE = 30; // screen pixels: height of digits in an enlarged picture
const LARGEST = 6000; // pixels per side of a canvas: the limit of some phones
const GRAINY = 3; // magnification from which pixels are shown without smoothing

export class PictureBoard {
  /** @param {any} page See DrawBoard. */
  constructor(page) {
    this.page = page;
    this.entry = null;
    this.controller = null;
    onClick("previous", () => this.turnPage(-1));
    onClick("next", () => this.turnPage(1));
    onClick("enlarge", () => this.#enlarge(byId("enlarge").getAttribute("aria-pressed") !== "true"));
    new ResizeObserver(() => this.#repaint()).observe(byId("stage"));
  }

  /** Reads a picture and shows it. */
  async open(file, id = this.page.history.next()) {
    this.controller?.abort();
    const controller = (this.controller = new AbortController());
    this.page.fail(null);
    this.page.busy("Reading …");
    try {
      const entry = await this.read(file, controller.signal, id);
      if (controller.signal.aborted) return;
      if (this.entry?.id === id) this.#carryOver(this.entry, entry);
      this.entry = entry;
      this.show(true);
      this.remember();
    } catch (error) {
      if (!controller.signal.aborted) this.page.fail(withFileName(error, file), () => this.open(file));
    }
    if (this.controller === controller) this.page.busy("");
  }

  /** Carries corrections, regions and page over to a new reading of the same picture. */
  #carryOver(previous, entry) {
    Object.assign(entry, { regions: previous.regions, page: previous.page });
    for (const [page, reading] of entry.readings.entries()) {
      const pairs = carryCorrections(previous.readings[page], reading);
      for (const [old, fresh] of pairs) this.page.corrections.carry(old, fresh);
    }
  }

  /** Shows a picture read before, decoding it again if needed. */
  async showEntry(entry) {
    this.controller?.abort();
    entry.bitmap ??= await createImageBitmap(entry.file).catch(() => null);
    this.entry = entry;
    this.show();
  }

  /** Shows the picture and its reading, or a hint how to open one. */
  show(announce = false) {
    const { entry } = this;
    byId("hint-picture").hidden = Boolean(entry);
    byId("sheet").hidden = !entry;
    byId("stage").classList.toggle("filled", Boolean(entry));
    this.#showPages();
    this.#enlarge(false);
    byId("enlarge").hidden = true;
    if (!entry) {
      this.page.show(null, "The result appears here.");
      return;
    }
    const reading = entry.readings[entry.page];
    byId("sheet").setAttribute("aria-label", `Picture ${entry.name}`);
    byId("stage").style.setProperty("--shape", `${reading.width} / ${reading.height}`);
    this.#paint(reading);
    byId("enlarge").hidden = this.#legibleZoom(reading) < 1.5;
    const toLayer = (box) => this.#toLayer(box);
    this.page.show({ reading, entry, toLayer, announce, reveal: (box) => this.#reveal(box) }, "");
  }

  /** Reads the picture again under the current constraints. */
  async readAgain() {
    if (this.entry) await this.open(this.entry.file, this.entry.id);
  }

  /** Shows another page of the same file. */
  turnPage(step) {
    const { entry } = this;
    entry.page = Math.min(entry.readings.length - 1, Math.max(0, entry.page + step));
    this.show(true);
  }

  /** Stores the picture in the history with its text, corrections included. */
  remember() {
    const { entry } = this;
    entry.text = entry.readings.map(textOf).filter(Boolean).join("\n");
    this.page.history.put(entry);
    this.page.corrected(entry);
  }

  /**
   * Reads a picture without showing it.
   * @returns {Promise<import("./history.js").PictureEntry>}
   */
  async read(file, signal, id = this.page.history.next()) {
    const name = file.name || "picture";
    if (!file.size) throw new ReadError("type", "The file is empty.");
    if (!PICTURES.test(file.type)) {
      throw new ReadError("type", `Expected a picture, found ${file.type}. Choose PNG, JPEG or WebP.`);
    }
    const bitmap = await createImageBitmap(file).catch(() => null);
    const onBusy = () => this.page.busy("The server is busy. Retrying …");
    const picture = MODE === "browser" ? { bitmap } : { file };
    const readings = await read(picture, { signal, patient: true, onBusy });
    const namedReadings = readings.map((reading) => ({ ...reading, name }));
    const paper = paperOf(bitmap);
    return { id, kind: "picture", text: "", name, file, bitmap, paper, readings: namedReadings, page: 0 };
  }

  #showPages() {
    const count = this.entry?.readings.length ?? 0;
    byId("pages").hidden = count < 2;
    if (count < 2) return;
    byId("page-number").textContent = `Page ${this.entry.page + 1} of ${count}`;
    byId("previous").disabled = this.entry.page === 0;
    byId("next").disabled = this.entry.page === count - 1;
  }

  #repaint() {
    if (!this.entry || byId("sheet").hidden) return;
    this.#paint(this.entry.readings[this.entry.page]);
    this.page.refresh();
  }

  /** The magnification at which the median digit is LEGIBLE. */
  #legibleZoom({ lines }) {
    const heights = lines.flat().map(({ box }) => (box[3] - box[1]) * this.scale);
    heights.sort((a, b) => a - b);
    return heights.length ? LEGIBLE / heights[heights.length >> 1] : 1;
  }

  #enlarge(isEnlarged) {
    const stage = byId("stage");
    byId("enlarge").setAttribute("aria-pressed", String(isEnlarged));
    byId("enlarge").textContent = isEnlarged ? "Whole picture" : "Enlarge";
    if (isEnlarged) {
      const maxZoom = LARGEST / (Math.max(stage.clientWidth, stage.clientHeight) * devicePixelRatio);
      const zoom = Math.min(maxZoom, this.#legibleZoom(this.entry.readings[this.entry.page]));
      stage.style.setProperty("--zoom", String(Math.max(1, zoom)));
    }
    stage.classList.toggle("enlarged", isEnlarged);
    this.#repaint();
    if (isEnlarged) stage.scrollTo({ left: this.left - 12, top: this.top - 12 });
  }

  /** Scrolls a digit into view if the picture is enlarged. */
  #reveal(box) {
    const stage = byId("stage");
    if (!stage.classList.contains("enlarged")) return;
    const [x0, y0, x1, y1] = this.#toLayer(box);
    const left = (x0 + x1 - stage.clientWidth) / 2;
    stage.scrollTo({ left, top: (y0 + y1 - stage.clientHeight) / 2 });
  }

  /** Paints the page as large as the stage allows; blank if the browser cannot decode the file. */
  #paint({ width, height }) {
    const canvas = byId("sheet");
    const density = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = canvas;
    canvas.width = Math.round(clientWidth * density);
    canvas.height = Math.round(clientHeight * density);
    this.scale = Math.min(clientWidth / width, clientHeight / height);
    this.left = (clientWidth - width * this.scale) / 2;
    this.top = (clientHeight - height * this.scale) / 2;
    const context = canvas.getContext("2d");
    context.setTransform(density, 0, 0, density, 0, 0);
    context.imageSmoothingEnabled = this.scale < GRAINY;
    context.imageSmoothingQuality = "high";
    const place = [this.left, this.top, width * this.scale, height * this.scale];
    context.fillStyle = this.entry.paper;
    context.fillRect(...place);
    if (this.#matchesShape(width / height)) context.drawImage(this.entry.bitmap, ...place);
  }

  #matchesShape(shape) {
    const { bitmap, page } = this.entry;
    return bitmap && page === 0 && Math.abs(bitmap.width / bitmap.height / shape - 1) < 0.02;
  }

  #toLayer([x0, y0, x1, y1]) {
    const { scale, left, top } = this;
    return [x0 * scale + left, y0 * scale + top, x1 * scale + left, y1 * scale + top];
  }
}

function withFileName(error, file) {
  const readError = new ReadError(error.kind ?? "other", `${file.name || "The picture"}: ${error.message}`);
  return readError;
}

const SAMPLE_SIDE = 256; // pixels of the longest side of the copy whose brightness is measured

/**
 * The background of a picture with transparency: the same one that the reader uses.
 * @param {ImageBitmap|null} bitmap
 * @returns {"#fff"|"#000"}
 */
function paperOf(bitmap) {
  if (!bitmap) return "#fff";
  const scale = Math.min(1, SAMPLE_SIDE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.ceil(side * scale));
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0, width, height);
  return paperBelow(context.getImageData(0, 0, width, height).data) ? "#fff" : "#000";
}
