// Shows one reading: a strip of selectable digits, the verdict, marks and details.
// @ts-check
import { byId, make } from "./dom.js";
import { openPad, showDetails, startDetails } from "./details.js";
import { startNumbers } from "./numberlist.js";
import { amountsOf, verdict } from "./numbers.js";
import { showMarks } from "./overlay.js";
import {
  digitsOf,
  isRejected,
  iou,
  piecesOf,
  statusOf,
  textOf,
  valueOf,
} from "./reading.js";

const FEW = 3; // up to this many rejected candidates are shown by default

/** @typedef {{reading: import("./reading.js").Reading, toLayer: (box: number[]) => number[],
 *   announce?: boolean,
 *   entry?: import("./history.js").PictureEntry, reveal?: (box: number[]) => void}} Shown */

export class View {
  /**
   * @param {import("./corrections.js").Corrections} corrections
   * @param {() => void} changed Called when a correction changes the text.
   */
  constructor(corrections, changed) {
    this.corrections = corrections;
    this.changed = changed;
    this.selected = -1;
    this.isPicked = false;
    this.isCovered = false;
    /** @type {Shown|null} */ this.shown = null;
    startDetails((label) => this.correct(label));
    this.showNumbers = startNumbers({
      select: ({ digits: [first] }) => first && this.select(this.digits.indexOf(first)),
      choose: (amount, choice) => this.#correctNumber(amount, choice),
      undoCorrection: (amount) => this.#correctNumber(amount, undefined),
    });
    byId("uncorrect").addEventListener("click", () => this.undoCorrection());
    byId("rejected").addEventListener("change", () => this.#paint());
    byId("strip").addEventListener("keydown", (event) => this.#moveFocus(event));
  }

  get digits() {
    return this.shown ? digitsOf(this.shown.reading) : [];
  }

  /** Shows a reading; for null, the text `empty` instead. */
  show(shown, empty = "") {
    const previous = this.digits[this.selected];
    this.shown = shown;
    this.empty = empty;
    const index = this.isPicked && previous ? this.#indexNear(previous) : -1;
    if (index >= 0) this.selected = index;
    else this.#selectDefault();
    this.#offerRejected();
    this.#paint();
    if (shown?.announce) this.#announce();
  }

  /** Selects a digit; if `isPicked`, by the user, typing a digit corrects it. */
  select(index, isPicked = true) {
    this.selected = index;
    this.isPicked = isPicked;
    this.#paint();
    this.shown?.reveal?.(this.digits[index].box);
  }

  /** Corrects the selected digit. */
  correct(label) {
    const digit = this.digits[this.selected];
    if (!digit) return;
    this.#dropNumberCorrection(digit);
    this.corrections.set(digit, label, this.shown.reading.model);
    this.isPicked = true;
    openPad(false);
    this.#finishCorrection(label === "none" ? "Marked as not a digit." : `Corrected to ${label}.`);
  }

  /** Undoes the correction of the selected digit. */
  undoCorrection() {
    const digit = this.digits[this.selected];
    if (!digit) return;
    this.#dropNumberCorrection(digit);
    this.corrections.remove(digit);
    this.#finishCorrection("Correction undone.");
  }

  /** Corrects a number to one of its alternatives, and its digits with it. */
  #correctNumber({ number, digits }, choice) {
    number.corrected = choice && { text: choice.text, value: choice.value };
    const digitText = choice?.text.replace(/\D/g, "") ?? "";
    for (const [place, digit] of digits.entries()) {
      if (digitText.length !== digits.length) this.corrections.remove(digit);
      else this.corrections.set(digit, Number(digitText[place]), this.shown.reading.model);
    }
    this.isPicked = true;
    this.#finishCorrection(choice ? `Corrected to ${choice.text}.` : "Correction undone.");
  }

  /** Drops the correction of the number that holds a digit, as the digit itself is corrected. */
  #dropNumberCorrection(digit) {
    const amount = amountsOf(this.shown.reading).find(({ digits }) => digits.includes(digit));
    if (amount) delete amount.number.corrected;
  }

  #finishCorrection(message) {
    this.#paint();
    if (document.activeElement === document.body) this.#focus();
    byId("say").textContent = `${message} ${this.#spokenText()}`;
    this.changed();
  }

  #indexNear(previous) {
    return this.digits.findIndex((digit) => iou(digit.box, previous.box) > 0.5);
  }

  /** Default selection: the first uncertain digit, else the last one read. */
  #selectDefault() {
    const { digits } = this;
    const amount = this.shown && amountsOf(this.shown.reading).find(({ status }) => status === "unsure");
    const isDoubtful = (digit) => statusOf(digit) === "unsure";
    const doubtful = digits.indexOf(digits.find(isDoubtful) ?? amount?.digits[0]);
    const last = digits.findLastIndex((digit) => valueOf(digit) !== null);
    this.selected = doubtful >= 0 ? doubtful : last >= 0 ? last : digits.length - 1;
    this.isPicked = false;
  }

  #offerRejected() {
    const count = this.digits.filter(isRejected).length;
    const offered = count > FEW && count < this.digits.length;
    byId("show-rejected").hidden = !offered;
    byId("show-rejected").lastElementChild.textContent = `Show ${count} rejected candidates`;
    if (!offered) byId("rejected").checked = true;
    else if (!this.offered) byId("rejected").checked = false;
    this.offered = offered;
  }

  #paint() {
    const reading = this.shown?.reading;
    const { status, text } = reading ? verdict(reading) : { status: "", text: this.empty };
    byId("verdict").textContent = text;
    byId("verdict").className = `verdict ${status}`;
    byId("seconds").textContent = reading ? `${Math.round(1000 * reading.seconds)} ms` : "";
    byId("save").hidden = !this.digits.length;
    byId("copy").hidden = !reading || !textOf(reading);
    this.#paintStrip();
    this.paintMarks();
    this.showNumbers(reading, this.digits[this.selected]);
    showDetails(this.digits[this.selected], this.selected, this.digits.length);
  }

  /** Draws the marks of the digits, unless another view is shown. */
  paintMarks() {
    if (this.isCovered) return;
    const toLayer = this.shown?.toLayer ?? ((box) => box);
    showMarks(byId("marks"), this.digits, toLayer, {
      selected: this.selected,
      rejected: byId("rejected").checked,
      choose: (index) => this.select(index),
    });
  }

  #paintStrip() {
    const strip = byId("strip");
    const hadFocus = strip.contains(document.activeElement);
    let index = 0;
    const part = ({ digit, mark }) =>
      digit ? this.#chip(digit, index++) : [make("span", { class: "mark" }, mark)];
    const number = (pieces) => {
      const parts = pieces.flatMap(part);
      return parts.length ? [make("span", { class: "number" }, ...parts)] : [];
    };
    const lines = (this.shown?.reading.lines ?? []).map((_, place) =>
      make("div", { class: "line" }, ...piecesOf(this.shown.reading, place).flatMap(number)),
    );
    strip.replaceChildren(...lines);
    strip.dataset.size = sizeOf(this.digits.length, this.shown?.reading.lines ?? []);
    const chips = strip.querySelectorAll(".chip");
    if (chips.length && !strip.querySelector('[tabindex="0"]')) chips[0].tabIndex = 0;
    if (hadFocus) this.#focus();
  }

  #chip(digit, index) {
    const status = statusOf(digit);
    const value = valueOf(digit);
    if (isRejected(digit) && !byId("rejected").checked) return [];
    const chip = make("button", {
      type: "button",
      class: `chip ${status}`,
      tabIndex: index === this.selected ? 0 : -1,
      "aria-pressed": String(index === this.selected),
      "aria-label": spokenText(digit),
      "data-index": index,
    });
    chip.textContent = value === null ? "×" : `${value}`;
    chip.addEventListener("click", () => {
      this.select(index);
      this.#focus();
    });
    return [chip];
  }

  #focus() {
    byId("strip").querySelector(`[data-index="${this.selected}"]`)?.focus({ preventScroll: true });
  }

  #moveFocus(event) {
    const chips = [...byId("strip").querySelectorAll(".chip")];
    const index = chips.indexOf(document.activeElement);
    const steps = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: chips.length - 1 };
    const next = chips[steps[event.key]];
    if (!next) return;
    event.preventDefault();
    this.select(Number(next.dataset.index));
    this.#focus();
  }

  #spokenText() {
    const text = textOf(this.shown.reading).split("\n").map((line) => line.trim()).join(", ");
    return `${text ? `Reads ${text}. ` : ""}${verdict(this.shown.reading).text}`;
  }

  #announce() {
    const text = this.#spokenText();
    if (byId("say").textContent !== text) byId("say").textContent = text;
  }
}

function spokenText(digit) {
  const value = valueOf(digit);
  if (digit.corrected !== undefined) {
    return value === null ? "Marked as not a digit" : `${value}, corrected`;
  }
  return value === null ? `Not a digit: ${digit.reason}` : `${value}, ${digit.reason || "sure"}`;
}

function sizeOf(count, lines) {
  const longest = Math.max(0, ...lines.map((line) => line.length));
  if (count > 40 || longest > 14) return "small";
  return count > 8 || longest > 6 ? "medium" : "large";
}
