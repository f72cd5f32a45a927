// The confusion matrix and the errors in it; selecting a cell shows only its errors.
// @ts-check
import { byId, make, onClick } from "./app/dom.js";
import { tilePixels } from "./app/raster.js";

const SHOWN = 20;
const SIDE = 28;

export class Errors {
  constructor() {
    this.tiles = new Uint8Array();
    this.chosen = null; // truth and answer of the selected cell
    this.cells = makeTable(byId("confusion"), (truth, answer) => this.#choose([truth, answer]));
    onClick("all", () => this.#choose(null));
  }

  /** @param {import("./course.js").Course} course */
  show(course) {
    this.course = course;
    if (!course.confusion) return;
    this.#showCells(course.confusion);
    this.#showMistakes(course.mistakes);
  }

  #choose(cell) {
    const same = cell && this.chosen && String(cell) === String(this.chosen);
    this.chosen = same ? null : cell;
    if (this.course) this.show(this.course);
  }

  #showCells(counts) {
    const maxCount = Math.max(1, ...counts.flatMap((row, i) => row.filter((_, j) => i !== j)));
    counts.forEach((row, truth) =>
      row.forEach((count, answer) => {
        const button = this.cells[truth][answer];
        const isCorrect = truth === answer;
        const share = isCorrect || !count ? 0 : 0.16 + 0.84 * Math.sqrt(count / maxCount);
        button.textContent = count ? `${count}` : "";
        button.disabled = isCorrect || !count;
        button.className = isCorrect ? "hit" : share > 0.6 ? "strong" : "";
        button.style.setProperty("--share", share.toFixed(3));
        const text = isCorrect ? `${truth} correct` : `${truth} read as ${answer}`;
        button.setAttribute("aria-label", `${text}: ${count}`);
        button.setAttribute("aria-pressed", String(String(this.chosen) === `${truth},${answer}`));
      }),
    );
  }

  #showMistakes(mistakes) {
    const { chosen } = this;
    const selected = chosen ? mistakes.filter(([, t, a]) => t === chosen[0] && a === chosen[1]) : mistakes;
    const count = this.tiles.length / SIDE ** 2;
    byId("mistakes-title").textContent = `Current mistakes: ${mistakes.length} of ${count.toLocaleString("en")}`;
    byId("mistakes-note").textContent = noteOf(chosen, selected.length);
    byId("all").hidden = !chosen;
    const items = selected.slice(0, SHOWN).map((mistake) => this.#item(mistake));
    const none = make("li", { class: "none" }, "None of the sample.");
    byId("mistakes").replaceChildren(...(items.length ? items : [none]));
  }

  #item([index, truth, answer, confidence]) {
    const canvas = make("canvas", { width: SIDE, height: SIDE, role: "img" });
    canvas.setAttribute("aria-label", `${truth} read as ${answer}`);
    paintTile(canvas, this.tiles.subarray(index * SIDE ** 2, (index + 1) * SIDE ** 2));
    const words = [make("b", {}, `${truth}`), " → ", make("b", {}, `${answer}`)];
    return make("li", {}, canvas, ...words, make("small", {}, `${Math.round(100 * confidence)} % sure`));
  }
}

/** Paints a tile, bright ink on dark. */
export function paintTile(canvas, tile) {
  canvas.getContext("2d").putImageData(tilePixels(tile), 0, 0);
}

function noteOf(chosen, count) {
  if (chosen) return `${chosen[0]} read as ${chosen[1]}: ${count}`;
  return count > SHOWN ? `The ${SHOWN} most confident ones.` : "Most confident first.";
}

function makeTable(place, onPress) {
  const digits = [...Array(10).keys()];
  const heads = digits.map((digit) => make("th", { scope: "col" }, `${digit}`));
  place.append(make("tr", {}, make("td"), ...heads));
  return digits.map((truth) => {
    const buttons = digits.map((answer) => {
      const button = make("button", { type: "button", disabled: true });
      button.addEventListener("click", () => onPress(truth, answer));
      return button;
    });
    const cells = buttons.map((button) => make("td", {}, button));
    place.append(make("tr", {}, make("th", { scope: "row" }, `${truth}`), ...cells));
    return buttons;
  });
}
