// Digits that the user corrected: stored in this browser, and exported as a data set.
// @ts-check
import { asPng, tilePixels } from "./raster.js";
import { zip } from "./zip.js";

const KEY = "digitlens-corrections";

/** @typedef {{id: string, tile: string, label: number|"none", value: number, status: string,
 *   confidence: number, model: string, when: string}} Correction */

export class Corrections {
  /** @param {() => void} changed Called after the list changes. */
  constructor(changed) {
    this.changed = changed;
    this.ids = new WeakMap();
    /** @type {Correction[]} */ this.list = loadStored();
    addEventListener("storage", (event) => {
      if (event.key !== KEY) return;
      this.list = loadStored(); // written by another tab
      changed();
    });
  }

  /**
   * Records the correct value of a digit.
   * @param {import("./reading.js").Digit} digit
   * @param {number|"none"} label
   */
  set(digit, label, model) {
    const readLabel = digit.status === "rejected" ? "none" : digit.value;
    if (label === readLabel && digit.status !== "unsure") {
      this.remove(digit); // already read as this value
      return;
    }
    digit.corrected = label;
    if (digit.tile) this.#store(digit, { label, model });
  }

  /** Removes a correction. */
  remove(digit) {
    delete digit.corrected;
    const id = this.ids.get(digit);
    this.ids.delete(digit);
    this.#save(loadStored().filter((each) => each.id !== id));
  }

  /** Moves a correction to the same digit in a newer reading, with its newest tile. */
  carry(oldDigit, newDigit) {
    const id = this.ids.get(oldDigit);
    if (!id || !newDigit.tile) return;
    this.ids.set(newDigit, id);
    const list = loadStored();
    const record = list.find((each) => each.id === id);
    if (record) record.tile = newDigit.tile;
    this.#save(list);
  }

  /** Deletes all corrections. */
  clear() {
    this.ids = new WeakMap();
    this.#save([]);
  }

  /** The number of corrections to a digit, and of those marked as not a digit. */
  get counts() {
    const none = this.list.filter((each) => each.label === "none").length;
    return { digits: this.list.length - none, none };
  }

  /** A zip file with tiles/00001.png … and labels.csv, without those marked as not a digit. */
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

  #store(digit, { label, model }) {
    const id = this.ids.get(digit) ?? crypto.getRandomValues(new Uint32Array(2)).join("-");
    this.ids.set(digit, id);
    const { tile, value, status, confidence } = digit;
    const when = new Date().toISOString();
    const record = { id, tile, label, value, status, confidence, model, when };
    this.#save([...loadStored().filter((each) => each.id !== id), record]);
  }

  #save(list) {
    this.list = list;
    try {
      localStorage.setItem(KEY, JSON.stringify(list));
      this.isFull = false;
    } catch {
      this.isFull = true; // the page then advises to download and delete
    }
    this.changed();
  }
}

/** The 784 bytes of a tile. */
export const bytesOf = (tile) => Uint8Array.from(atob(tile), (character) => character.charCodeAt(0));

function loadStored() {
  try {
    const list = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(list) ? list.filter((each) => typeof each?.tile === "string") : [];
  } catch {
    return [];
  }
}
