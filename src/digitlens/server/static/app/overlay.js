// Draws boxes with values, confidences and alternatives over a drawing or a picture.
import { make } from "./dom.js";
import { placeLabels } from "./labels.js";
import { alternatives, chance, isRejected, percent, statusOf, valueOf } from "./reading.js";

const TOLD = 0.02; // probability from which an alternative stands on the label
const CROWDED = 0.2; // share of labels without room from which on all are shorter
const LOW = 24; // pixels: lower boxes have thinner lines
const MANY = 60; // digits from which labels have the value only

/**
 * @param {HTMLElement} layer
 * @param {import("./reading.js").Digit[]} digits
 * @param {(box: number[]) => number[]} toLayer From the reading's coordinates to pixels of the layer.
 * @param {{selected: number, rejected: boolean, choose: (index: number) => void}} options
 */
export function showMarks(layer, digits, toLayer, { selected, rejected, choose }) {
  const marks = digits.map((digit, index) => ({ digit, index, at: within(layer, toLayer(digit.box)) }));
  const shown = marks.filter(({ digit }) => rejected || !isRejected(digit));
  for (const mark of shown) {
    const chosen = mark.index === selected && shown.length > 1;
    mark.frame = frame(mark, chosen);
    mark.label = label(mark, chosen, shown.length);
    for (const part of [mark.frame, mark.label]) {
      part?.addEventListener("click", () => choose(mark.index));
    }
  }
  layer.replaceChildren(...shown.map(({ frame }) => frame), ...shown.map(({ label }) => label));
  // The chosen and the doubtful choose their places first.
  const order = { unsure: 0, digit: 1, rejected: 2 };
  shown.sort((a, b) => rank(a, selected, order) - rank(b, selected, order));
  settle(layer, shown, selected);
}

/** The part of a box that is on the layer: one may reach beyond the paper. */
function within({ clientWidth, clientHeight }, [x0, y0, x1, y1]) {
  const [right, bottom] = [clientWidth - 3, clientHeight - 3]; // the frame lies outside
  return [Math.max(3, x0), Math.max(3, y0), Math.min(right, x1), Math.min(bottom, y1)];
}

const isPlain = ({ digit, index }, selected) => index !== selected && statusOf(digit) !== "unsure";

const rank = ({ digit, index }, selected, order) => (index === selected ? -1 : order[statusOf(digit)]);

function frame({ digit, at }, chosen) {
  const [x0, y0, x1, y1] = at;
  const low = y1 - y0 < LOW ? " low" : "";
  const box = make("div", { class: `box ${statusOf(digit)}${chosen ? " chosen" : ""}${low}` });
  Object.assign(box.style, {
    left: `${x0 - 2}px`,
    top: `${y0 - 2}px`,
    width: `${x1 - x0 + 4}px`,
    height: `${y1 - y0 + 4}px`,
  });
  return box;
}

function label({ digit }, chosen, count) {
  const value = valueOf(digit);
  const status = statusOf(digit);
  const parts = [make("b", {}, value === null ? "×" : `${value}`)];
  const roomy = count <= MANY || chosen || status === "unsure";
  if (roomy) parts.push(make("span", {}, note(digit)));
  if (roomy && digit.corrected === undefined) {
    const others = alternatives(digit, TOLD).slice(0, 2);
    const words = others.map(([other, share]) => `${other} ${chance(share)}`).join("  ");
    if (words) parts.push(make("small", {}, `or ${words}`));
  }
  return make("div", { class: `label ${status}${chosen ? " chosen" : ""}` }, ...parts);
}

function note(digit) {
  if (digit.corrected !== undefined) return "corrected";
  return digit.status === "rejected" ? "no digit" : `${percent(digit.confidence)} %`;
}

function settle(layer, shown, selected) {
  const area = { width: layer.clientWidth, height: layer.clientHeight };
  let places = placeLabels(wanted(shown), area);
  for (const less of ["short", "tiny"]) {
    const crowded = shown.filter((mark, i) => !places[i].free && mark.index !== selected);
    if (!crowded.length) break;
    const all = crowded.length > CROWDED * shown.length;
    for (const { label } of all ? shown.filter((mark) => isPlain(mark, selected)) : crowded) {
      label.classList.add(less);
    }
    places = placeLabels(wanted(shown), area);
  }
  shown.forEach(({ label, index }, i) => {
    // Where there is no room at all, the line of digits beside the picture says it.
    label.hidden = !places[i].free && index !== selected && label.classList.contains("tiny");
    label.style.left = `${places[i].x}px`;
    label.style.top = `${places[i].y}px`;
  });
}

const wanted = (shown) =>
  shown.map(({ at: [x0, y0, x1, y1], label }) => ({
    box: { x0, y0, x1, y1 },
    width: label.offsetWidth,
    height: label.offsetHeight,
  }));
