// Switches the panel between the views of a picture: numbers, table, and template regions.
// @ts-check
import { byId, onClick } from "./dom.js";

export class Panels {
  /**
   * @param {import("./view.js").View} view The view of the numbers.
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

  /** Shows a reading; a drawing has only the view of its numbers. */
  show(shown, empty) {
    this.shown = shown;
    this.view.show(shown, empty);
    const isPicture = Boolean(shown?.entry);
    byId("views").hidden = !isPicture;
    this.#showView(isPicture ? this.name : "numbers");
  }

  /** Shows another view of the same picture. */
  choose(name) {
    this.name = name;
    this.#showView(name);
  }

  /** Redraws the marks after the picture was moved or resized. */
  refresh() {
    (this.others[this.current] ?? this.view).paintMarks();
  }

  #showView(name) {
    this.current = name;
    this.view.isCovered = name !== "numbers";
    byId("panels").dataset.view = name;
    for (const each of this.#names) byId(`view-${each}`).setAttribute("aria-pressed", String(each === name));
    if (name === "numbers") this.view.paintMarks();
    else this.others[name].show(this.shown);
  }
}
