// Which view of a picture the panel shows: its numbers, its table, or the regions of a template.
// @ts-check
import { byId, onClick } from "./dom.js";

export class Panels {
  /**
   * @param {import("./view.js").View} view Of the numbers.
   * @param {Record<string, {show: (shown: any) => void, paintMarks: () => void}>} others By name.
   */
  constructor(view, others) {
    this.view = view;
    this.others = others;
    this.name = "numbers";
    this.shown = null;
    for (const name of this.#names) onClick(`view-${name}`, () => this.choose(name));
  }

  get #names() {
    return ["numbers", ...Object.keys(this.others)];
  }

  /** Shows a reading; a drawing has its numbers alone. */
  show(shown, empty) {
    this.shown = shown;
    this.view.show(shown, empty);
    const isPicture = Boolean(shown?.entry);
    byId("views").hidden = !isPicture;
    this.#open(isPicture ? this.name : "numbers");
  }

  /** Shows another view of the same picture. */
  choose(name) {
    this.name = name;
    this.#open(name);
  }

  /** Draws the marks anew, after the place of the picture changed. */
  refresh() {
    (this.others[this.open] ?? this.view).paintMarks();
  }

  #open(name) {
    this.open = name;
    this.view.isCovered = name !== "numbers";
    byId("panels").dataset.view = name;
    for (const each of this.#names) byId(`view-${each}`).setAttribute("aria-pressed", String(each === name));
    if (name === "numbers") this.view.paintMarks();
    else this.others[name].show(this.shown);
  }
}
