// Digits that the visitor corrected: kept in this browser, and given as a data set.
// @ts-check
import { asPng, tilePixels } from "./raster.js";
import { zip } from "./zip.js";

const KEY = "digitlens-corrections";

/** @typedef {{id: string, tile: string, label: number|"none", value: number, status: string,
 *   confidence: number, model: string, when: string}} Correction */

export class Corrections {
  /** @param {() => void} changed Called when there are more or fewer. */
  constructor(changed) {
    this.changed = changed;
    this.ids = new WeakMap();
    /** @type {Correction[]} */ this.list = stored();
    addEventListener("storage", (event) => {
      if (event.key !== KEY) return;
      this.list = stored(); // another tab of this page wrote
      changed();
    });
  }

  /**
   * Says what a digit is.
   * @param {import("./reading.js").Digit} digit
   * @param {number|"none"} label
   */
  set(digit, label, model) {
    const right = digit.status === "rejected" ? "none" : digit.value;
    if (label === right && digit.status !== "unsure") {
      this.remove(digit); // it was read so already
      return;
    }
    digit.corrected = label;
    if (digit.tile) this.#put(digit, { label, model });
  }

  /** Takes a correction back. */
  remove(digit) {
    delete digit.corrected;
    const id = this.ids.get(digit);
    this.ids.delete(digit);
    this.#write(stored().filter((each) => each.id !== id));
  }

  /** A digit was read again, perhaps with one more stroke: its newest tile is kept. */
  carry(old, fresh) {
    const id = this.ids.get(old);
    if (!id || !fresh.tile) return;
    this.ids.set(fresh, id);
    const list = stored();
    const record = list.find((each) => each.id === id);
    if (record) record.tile = fresh.tile;
    this.#write(list);
  }

  /** Deletes all that was kept. */
  clear() {
    this.ids = new WeakMap();
    this.#write([]);
  }

  /** How many have a digit as label, and how many are none. */
  get counts() {
    const none = this.list.filter((each) => each.label === "none").length;
    return { digits: this.list.length - none, none };
  }

  /** A zip file with tiles/00001.png … and labels.csv; what is no digit is left out. */
  async dataset() {
    const digits = this.list.filter((each) => each.label !== "none");
    const name = (i) => `tiles/${String(i + 1).padStart(5, "0")}.png`;
    const files = await Promise.all(
      digits.map(async ({ tile }, i) => {
        const png = await asPng(tilePixels(bytesOf(tile)));
        return { name: name(i), content: new Uint8Array(await png.arrayBuffer()) };
      }),
    );
    const lines = ["file,label", ...digits.map(({ label }, i) => `${name(i)},${label}`), ""];
    files.push({ name: "labels.csv", content: new TextEncoder().encode(lines.join("\n")) });
    return zip(files);
  }

  #put(digit, { label, model }) {
    const id = this.ids.get(digit) ?? crypto.getRandomValues(new Uint32Array(2)).join("-");
    this.ids.set(digit, id);
    const { tile, value, status, confidence } = digit;
    const when = new Date().toISOString();
    const record = { id, tile, label, value, status, confidence, model, when };
    this.#write([...stored().filter((each) => each.id !== id), record]);
  }

  #write(list) {
    this.list = list;
    try {
      localStorage.setItem(KEY, JSON.stringify(list));
      this.full = false;
    } catch {
      this.full = true; // said on the page: download and delete
    }
    this.changed();
  }
}

/** The 784 bytes of a tile. */
export const bytesOf = (tile) => Uint8Array.from(atob(tile), (character) => character.charCodeAt(0));

function stored() {
  try {
    const list = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(list) ? list.filter((each) => typeof each?.tile === "string") : [];
  } catch {
    return [];
  }
}
