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
  overlap,
  piecesOf,
  statusOf,
  textOf,
  valueOf,
} from "./reading.js";

const FEW = 3; // up to this many rejected candidates are shown by default

/** @typedef {{reading: import("./reading.js").Reading, toLayer: (box: number[]) => number[],
 *   spoken?: boolean,
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
    this.picked = false;
    this.isCovered = false;
    /** @type {Shown|null} */ this.shown = null;
    startDetails((label) => this.correct(label));
    this.showNumbers = startNumbers({
      select: ({ digits: [first] }) => first && this.select(this.digits.indexOf(first)),
      choose: (amount, said) => this.#chooseNumber(amount, said),
      takeBack: (amount) => this.#chooseNumber(amount, undefined),
    });
    byId("uncorrect").addEventListener("click", () => this.takeBack());
    byId("rejected").addEventListener("change", () => this.#paint());
    byId("strip").addEventListener("keydown", (event) => this.#steer(event));
  }

  get digits() {
    return this.shown ? digitsOf(this.shown.reading) : [];
  }

  /** Shows a reading; for null, the text `empty` instead. */
  show(shown, empty = "") {
    const before = this.digits[this.selected];
    this.shown = shown;
    this.empty = empty;
    const same = this.picked && before ? this.#closest(before) : -1;
    if (same >= 0) this.selected = same;
    else this.#chooseAlone();
    this.#offerRejected();
    this.#paint();
    if (shown?.spoken) this.#say();
  }

  /** Selects a digit; if `picked` by the user, typing a digit corrects it. */
  select(index, picked = true) {
    this.selected = index;
    this.picked = picked;
    this.#paint();
    this.shown?.reveal?.(this.digits[index].box);
  }

  /** Corrects the selected digit. */
  correct(label) {
    const digit = this.digits[this.selected];
    if (!digit) return;
    this.#forget(digit);
    this.corrections.set(digit, label, this.shown.reading.model);
    this.picked = true;
    openPad(false);
    this.#after(label === "none" ? "Marked as not a digit." : `Corrected to ${label}.`);
  }

  /** Undoes the correction of the selected digit. */
  takeBack() {
    const digit = this.digits[this.selected];
    if (!digit) return;
    this.#forget(digit);
    this.corrections.remove(digit);
    this.#after("Correction undone.");
  }

  /** Corrects a number to one of its alternatives, and its digits with it. */
  #chooseNumber({ number, digits }, said) {
    number.corrected = said && { text: said.text, value: said.value };
    const right = said?.text.replace(/\D/g, "") ?? "";
    for (const [place, digit] of digits.entries()) {
      if (right.length !== digits.length) this.corrections.remove(digit);
      else this.corrections.set(digit, Number(right[place]), this.shown.reading.model);
    }
    this.picked = true;
    this.#after(said ? `Corrected to ${said.text}.` : "Correction undone.");
  }

  /** Drops the correction of the number that holds a digit, as the digit itself is corrected. */
  #forget(digit) {
    const own = amountsOf(this.shown.reading).find(({ digits }) => digits.includes(digit));
    if (own) delete own.number.corrected;
  }

  #after(said) {
    this.#paint();
    if (document.activeElement === document.body) this.#focus();
    byId("say").textContent = `${said} ${this.#words()}`;
    this.changed();
  }

  #closest(before) {
    return this.digits.findIndex((digit) => overlap(digit.box, before.box) > 0.5);
  }

  /** Default selection: the first uncertain digit, else the last one read. */
  #chooseAlone() {
    const { digits } = this;
    const unsure = this.shown && amountsOf(this.shown.reading).find(({ status }) => status === "unsure");
    const isDoubtful = (digit) => statusOf(digit) === "unsure";
    const doubtful = digits.indexOf(digits.find(isDoubtful) ?? unsure?.digits[0]);
    const last = digits.findLastIndex((digit) => valueOf(digit) !== null);
    this.selected = doubtful >= 0 ? doubtful : last >= 0 ? last : digits.length - 1;
    this.picked = false;
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
    const held = strip.contains(document.activeElement);
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
    strip.dataset.size = size(this.digits.length, this.shown?.reading.lines ?? []);
    const chips = strip.querySelectorAll(".chip");
    if (chips.length && !strip.querySelector('[tabindex="0"]')) chips[0].tabIndex = 0;
    if (held) this.#focus();
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
      "aria-label": spoken(digit),
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

  #steer(event) {
    const chips = [...byId("strip").querySelectorAll(".chip")];
    const at = chips.indexOf(document.activeElement);
    const steps = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: chips.length - 1 };
    const next = chips[steps[event.key]];
    if (!next) return;
    event.preventDefault();
    this.select(Number(next.dataset.index));
    this.#focus();
  }

  #words() {
    const text = textOf(this.shown.reading).split("\n").map((line) => line.trim()).join(", ");
    return `${text ? `Reads ${text}. ` : ""}${verdict(this.shown.reading).text}`;
  }

  #say() {
    const words = this.#words();
    if (byId("say").textContent !== words) byId("say").textContent = words;
  }
}

function spoken(digit) {
  const value = valueOf(digit);
  if (digit.corrected !== undefined) {
    return value === null ? "Marked as not a digit" : `${value}, corrected`;
  }
  return value === null ? `Not a digit: ${digit.reason}` : `${value}, ${digit.reason || "sure"}`;
}

function size(count, lines) {
  const longest = Math.max(0, ...lines.map((line) => line.length));
  if (count > 40 || longest > 14) return "small";
  return count > 8 || longest > 6 ? "medium" : "large";
}
