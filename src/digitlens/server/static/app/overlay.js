// Draws boxes with values, confidences and alternatives over a drawing or a picture.
// @ts-check
import { make } from "./dom.js";
import { alternatives, chance, isRejected, percent, statusOf, valueOf } from "./reading.js";

const TOLD = 0.02; // least probability of an alternative shown on the label
const CROWDED = 0.2; // fraction of labels without room above which all are shortened
const LOW = 24; // pixels: boxes lower than this have thinner lines
const MANY = 60; // digits above which labels show only the value

/**
 * @param {HTMLElement} layer
 * @param {import("./reading.js").Digit[]} digits
 * @param {(box: number[]) => number[]} toLayer Maps the reading's coordinates to layer pixels.
 * @param {{selected: number, rejected: boolean, choose: (index: number) => void}} options
 */
export function showMarks(layer, digits, toLayer, { selected, rejected, choose }) {
  const marks = digits.map((digit, index) => ({ digit, index, at: within(layer, toLayer(digit.box)) }));
  const wanted = marks.filter(({ digit }) => rejected || !isRejected(digit));
  const shown = wanted.map((mark) => {
    const chosen = mark.index === selected && wanted.length > 1;
    return { ...mark, frame: frame(mark, chosen), label: label(mark, chosen, wanted.length) };
  });
  for (const { frame, label, index } of shown) {
    for (const part of [frame, label]) part?.addEventListener("click", () => choose(index));
  }
  layer.replaceChildren(...shown.map(({ frame }) => frame), ...shown.map(({ label }) => label));
  // The selected and the uncertain digits are placed first.
  const order = { unsure: 0, digit: 1, rejected: 2 };
  shown.sort((a, b) => rank(a, selected, order) - rank(b, selected, order));
  settle(layer, shown, selected);
}

/**
 * Clips a box to the layer: it may extend beyond the paper.
 * @param {HTMLElement} layer
 * @param {number[]} box
 */
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
    // Without any room the label is hidden; the strip of digits still shows the value.
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

/**
 * Places labels next to their boxes, so that they cover neither each other nor the digits.
 * @typedef {{x0: number, y0: number, x1: number, y1: number}} Rectangle
 * @param {{box: Rectangle, width: number, height: number}[]} wanted In order of priority.
 * @param {{width: number, height: number}} area
 * @returns {{x: number, y: number, free: boolean}[]} Upper left corners; free if nothing is covered.
 */
function placeLabels(wanted, area) {
  const boxes = wanted.map(({ box }) => box);
  /** @type {Rectangle[]} */ const taken = [];
  return wanted.map(({ box, width, height }) => {
    const choices = candidates(box, width, height).map((corner) => {
      const at = clamped(corner, width, height, area);
      const moved = Math.abs(at.x0 - corner[0]) + Math.abs(at.y0 - corner[1]);
      const hidden = total(taken, at);
      const covered = total(boxes, at);
      const free = hidden === 0 && covered < HARDLY * width * height;
      return { at, free, cost: 6 * hidden + covered + 4 * moved };
    });
    const best = choices.reduce((a, b) => (b.cost < a.cost ? b : a));
    taken.push(best.at);
    return { x: best.at.x0, y: best.at.y0, free: best.free };
  });
}

const GAP = 4;
const HARDLY = 0.1; // fraction of a label that may cover a digit

/** Above, below; above at either edge; right, left; below at either edge. */
function candidates({ x0, y0, x1, y1 }, width, height) {
  const [middle, above, below] = [(x0 + x1 - width) / 2, y0 - height - GAP, y1 + GAP];
  const centre = (y0 + y1 - height) / 2;
  return [
    [middle, above],
    [middle, below],
    [x0, above],
    [x1 - width, above],
    [x1 + GAP, centre],
    [x0 - width - GAP, centre],
    [x0, below],
    [x1 - width, below],
  ];
}

/** @param {number[]} corner */
function clamped([x, y], width, height, area) {
  const x0 = Math.max(2, Math.min(x, area.width - width - 2));
  const y0 = Math.max(2, Math.min(y, area.height - height - 2));
  return { x0, y0, x1: x0 + width, y1: y0 + height };
}

function total(others, at) {
  return others.reduce((sum, other) => sum + shared(other, at), 0);
}

function shared(a, b) {
  const wide = Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0);
  const high = Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0);
  return wide > 0 && high > 0 ? wide * high : 0;
}
