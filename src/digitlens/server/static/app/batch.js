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

const SHOWN = 6; // numbers listed per picture
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
    this.control = null;
    /** @type {PictureEntry|undefined} */ this.shown = undefined;
    onClick("batch-stop", () => this.control?.abort());
    onClick("batch-go", () => this.#again());
    onClick("batch-csv", () => save("numbers.csv", "text/csv", numbersCsv(this.#readings)));
    onClick("batch-close", () => this.#close());
  }

  get #readings() {
    return this.items.flatMap(({ entry }) => entry?.readings ?? []);
  }

  /** Appends pictures to the queue. @param {File[]} files */
  add(files) {
    this.items.push(...files.map((file) => ({ file, state: /** @type {const} */ ("waiting") })));
    if (this.control) this.#paint();
    else this.#run();
  }

  /** Updates a picture that was corrected or read again. @param {PictureEntry} entry */
  put(entry) {
    const item = this.items.find((each) => each.entry?.id === entry.id);
    if (!item) return;
    if (this.shown === item.entry) this.shown = entry;
    item.entry = entry;
    this.#paint();
  }

  async #run() {
    const { signal } = (this.control = new AbortController());
    for (let item; !signal.aborted && (item = this.items.find(({ state }) => state === "waiting")); ) {
      await this.#readOne(item, signal);
    }
    if (this.control.signal === signal) this.control = null;
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
      const isGiven = error.kind === "token" && (await askToken());
      item.state = isGiven || signal.aborted ? "waiting" : "failed";
      item.problem = error.message;
    }
  }

  #show(entry) {
    this.shown = entry;
    this.open(entry);
    this.#paint();
  }

  #again() {
    for (const item of this.items) if (item.state === "failed") item.state = "waiting";
    this.#run();
  }

  #close() {
    this.control?.abort();
    this.items = [];
    this.shown = undefined;
    this.#paint();
  }

  #paint() {
    const all = this.items.map((item, index) => ({ item, index, ...facts(item) }));
    const count = (rank) => all.filter((each) => each.rank === rank).length;
    const [failed, waiting, doubtful] = [count("failed"), count("waiting"), count("unsure")];
    const read = all.filter(({ item }) => item.entry).length;
    byId("batch").hidden = !all.length;
    Object.assign(byId("batch-progress"), { max: Math.max(1, all.length), value: read + failed });
    const words = [`${read} of ${all.length} read`];
    if (doubtful) words.push(`${doubtful} uncertain`);
    if (failed) words.push(`${failed} failed`);
    byId("batch-count").textContent = words.join(", ");
    byId("batch-stop").hidden = !this.control;
    byId("batch-go").hidden = Boolean(this.control) || !(failed || waiting);
    byId("batch-go").textContent = waiting ? "Read the rest" : "Try again";
    byId("batch-csv").disabled = !read;
    all.sort((a, b) => ORDER.indexOf(a.rank) - ORDER.indexOf(b.rank) || a.index - b.index);
    const held = /** @type {HTMLElement} */ (document.activeElement).dataset.picture;
    byId("batch-list").replaceChildren(...all.map((each) => this.#row(each)));
    if (held) byId("batch-list").querySelector(`[data-picture="${held}"]`)?.focus();
  }

  #row({ item, index, rank, text, note }) {
    const parts = [make("b", {}, item.file.name || "picture"), make("span", {}, text), make("i", {}, note)];
    const button = make("button", { type: "button", class: rank, disabled: !item.entry, "data-picture": index }, ...parts);
    button.setAttribute("aria-current", String(Boolean(item.entry) && item.entry === this.shown));
    button.addEventListener("click", () => this.#show(item.entry));
    return make("li", {}, button);
  }
}

/** The row of a picture in the list, and its rank there. @param {Item} item */
function facts({ state, problem, entry }) {
  if (!entry) {
    const note = { waiting: "waiting", reading: "reading …", failed: "failed", done: "" }[state];
    return { rank: state, text: state === "failed" ? problem : "", note };
  }
  const amounts = doubtfulFirst(entry.readings.flatMap(amountsOf));
  const doubtful = amounts.filter(({ status }) => status === "unsure").length;
  const texts = amounts.slice(0, SHOWN).map((amount) => (amount.status === "unsure" ? `${amount.text}?` : amount.text));
  const more = amounts.length > SHOWN ? [`and ${amounts.length - SHOWN} more`] : [];
  const note = doubtful ? `${doubtful} uncertain` : "sure";
  return {
    rank: doubtful ? "unsure" : "done",
    text: [...texts, ...more].join("   ") || "no number",
    note: amounts.length ? note : "",
  };
}

/** Frees the large decoded picture; opening the entry decodes it again. */
function forgetPixels(entry) {
  entry.bitmap?.close();
  entry.bitmap = null;
}
