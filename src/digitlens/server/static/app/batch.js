// Reads many pictures in sequence: a list with progress, uncertain ones first, and one CSV file.
// @ts-check
import { askToken } from "./backend.js";
import { byId, make, onClick } from "./dom.js";
import { numbersCsv, save } from "./export.js";
import { amountsOf, doubtfulFirst } from "./numbers.js";

/**
 * @typedef {import("./history.js").PictureEntry} PictureEntry
 * @typedef {{file: File, state: "waiting"|"reading"|"failed"|"done", problem?: string,
 *   entry?: PictureEntry}} Item
 */

const LISTED = 6; // numbers listed per picture
const ORDER = ["unsure", "failed", "reading", "done", "waiting"];

export class Batch {
  /**
   * @param {(file: File, signal: AbortSignal) => Promise<PictureEntry>} read
   * @param {(entry: PictureEntry) => void} open Shows a picture already read.
   */
  constructor(read, open) {
    this.read = read;
    this.open = open;
    /** @type {Item[]} */ this.items = [];
    this.controller = null;
    /** @type {PictureEntry|undefined} */ this.current = undefined;
    onClick("batch-stop", () => this.controller?.abort());
    onClick("batch-go", () => this.#retry());
    onClick("batch-csv", () => save("numbers.csv", "text/csv", numbersCsv(this.#readings)));
    onClick("batch-close", () => this.#close());
  }

  get #readings() {
    return this.items.flatMap(({ entry }) => entry?.readings ?? []);
  }

  /** Appends pictures to the queue. @param {File[]} files */
  add(files) {
    this.items.push(...files.map((file) => ({ file, state: /** @type {const} */ ("waiting") })));
    if (this.controller) this.#paint();
    else this.#run();
  }

  /** Updates a picture that was corrected or read again. @param {PictureEntry} entry */
  put(entry) {
    const item = this.items.find((each) => each.entry?.id === entry.id);
    if (!item) return;
    if (this.current === item.entry) this.current = entry;
    item.entry = entry;
    this.#paint();
  }

  async #run() {
    const { signal } = (this.controller = new AbortController());
    for (let item; !signal.aborted && (item = this.items.find(({ state }) => state === "waiting")); ) {
      await this.#readOne(item, signal);
    }
    if (this.controller.signal === signal) this.controller = null;
    this.#paint();
  }

  async #readOne(item, signal) {
    item.state = "reading";
    this.#paint();
    try {
      const entry = await this.read(item.file, signal);
      const isFirst = !this.items.some((each) => each.entry);
      Object.assign(item, { state: "done", entry });
      if (isFirst) this.#show(entry);
      else forgetPixels(entry);
    } catch (error) {
      const hasToken = error.kind === "token" && (await askToken());
      item.state = hasToken || signal.aborted ? "waiting" : "failed";
      item.problem = error.message;
    }
  }

  #show(entry) {
    this.current = entry;
    this.open(entry);
    this.#paint();
  }

  #retry() {
    for (const item of this.items) if (item.state === "failed") item.state = "waiting";
    this.#run();
  }

  #close() {
    this.controller?.abort();
    this.items = [];
    this.current = undefined;
    this.#paint();
  }

  #paint() {
    const rows = this.items.map((item, index) => ({ item, index, ...rowOf(item) }));
    const count = (rank) => rows.filter((each) => each.rank === rank).length;
    const [failed, waiting, doubtful] = [count("failed"), count("waiting"), count("unsure")];
    const read = rows.filter(({ item }) => item.entry).length;
    byId("batch").hidden = !rows.length;
    Object.assign(byId("batch-progress"), { max: Math.max(1, rows.length), value: read + failed });
    const parts = [`${read} of ${rows.length} read`];
    if (doubtful) parts.push(`${doubtful} uncertain`);
    if (failed) parts.push(`${failed} failed`);
    byId("batch-count").textContent = parts.join(", ");
    byId("batch-stop").hidden = !this.controller;
    byId("batch-go").hidden = Boolean(this.controller) || !(failed || waiting);
    byId("batch-go").textContent = waiting ? "Read the rest" : "Try again";
    byId("batch-csv").disabled = !read;
    rows.sort((a, b) => ORDER.indexOf(a.rank) - ORDER.indexOf(b.rank) || a.index - b.index);
    const focusedIndex = /** @type {HTMLElement} */ (document.activeElement).dataset.picture;
    byId("batch-list").replaceChildren(...rows.map((each) => this.#row(each)));
    if (focusedIndex) byId("batch-list").querySelector(`[data-picture="${focusedIndex}"]`)?.focus();
  }

  #row({ item, index, rank, text, note }) {
    const parts = [make("b", {}, item.file.name || "picture"), make("span", {}, text), make("i", {}, note)];
    const button = make("button", { type: "button", class: rank, disabled: !item.entry, "data-picture": index }, ...parts);
    button.setAttribute("aria-current", String(Boolean(item.entry) && item.entry === this.current));
    button.addEventListener("click", () => this.#show(item.entry));
    return make("li", {}, button);
  }
}

/** The row of a picture in the list, and its rank there. @param {Item} item */
function rowOf({ state, problem, entry }) {
  if (!entry) {
    const note = { waiting: "waiting", reading: "reading …", failed: "failed", done: "" }[state];
    return { rank: state, text: state === "failed" ? problem : "", note };
  }
  const amounts = doubtfulFirst(entry.readings.flatMap(amountsOf));
  const doubtful = amounts.filter(({ status }) => status === "unsure").length;
  const texts = amounts.slice(0, LISTED).map((amount) => (amount.status === "unsure" ? `${amount.text}?` : amount.text));
  const rest = amounts.length > LISTED ? [`and ${amounts.length - LISTED} more`] : [];
  const note = doubtful ? `${doubtful} uncertain` : "sure";
  return {
    rank: doubtful ? "unsure" : "done",
    text: [...texts, ...rest].join("   ") || "no number",
    note: amounts.length ? note : "",
  };
}

/** Frees the large decoded picture; opening the entry decodes it again. */
function forgetPixels(entry) {
  entry.bitmap?.close();
  entry.bitmap = null;
}
