// Draws boxes with values, confidences and alternatives over a drawing or a picture.
// @ts-check
import { make } from "./dom.js";
import { alternatives, chance, isRejected, percent, statusOf, valueOf } from "./reading.js";

const MIN_LISTED = 0.02; // least probability of an alternative shown on the label
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
  const marks = digits.map((digit, index) => ({ digit, index, rect: clipToLayer(layer, toLayer(digit.box)) }));
  const visible = marks.filter(({ digit }) => rejected || !isRejected(digit));
  const shown = visible.map((mark) => {
    const chosen = mark.index === selected && visible.length > 1;
    return { ...mark, frame: frame(mark, chosen), label: label(mark, chosen, visible.length) };
  });
  for (const { frame, label, index } of shown) {
    for (const part of [frame, label]) part?.addEventListener("click", () => choose(index));
  }
  layer.replaceChildren(...shown.map(({ frame }) => frame), ...shown.map(({ label }) => label));
  // The selected and the uncertain digits are placed first.
  const order = { unsure: 0, digit: 1, rejected: 2 };
  shown.sort((a, b) => rank(a, selected, order) - rank(b, selected, order));
  arrangeLabels(layer, shown, selected);
}

/**
 * Clips a box to the layer: it may extend beyond the paper.
 * @param {HTMLElement} layer
 * @param {number[]} box
 */
function clipToLayer({ clientWidth, clientHeight }, [x0, y0, x1, y1]) {
  const [right, bottom] = [clientWidth - 3, clientHeight - 3]; // the frame lies outside
  return [Math.max(3, x0), Math.max(3, y0), Math.min(right, x1), Math.min(bottom, y1)];
}

const isPlain = ({ digit, index }, selected) => index !== selected && statusOf(digit) !== "unsure";

const rank = ({ digit, index }, selected, order) => (index === selected ? -1 : order[statusOf(digit)]);

function frame({ digit, rect }, chosen) {
  const [x0, y0, x1, y1] = rect;
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
  const hasRoom = count <= MANY || chosen || status === "unsure";
  if (hasRoom) parts.push(make("span", {}, noteOf(digit)));
  if (hasRoom && digit.corrected === undefined) {
    const likeliest = alternatives(digit, MIN_LISTED).slice(0, 2);
    const text = likeliest.map(([other, share]) => `${other} ${chance(share)}`).join("  ");
    if (text) parts.push(make("small", {}, `or ${text}`));
  }
  return make("div", { class: `label ${status}${chosen ? " chosen" : ""}` }, ...parts);
}

function noteOf(digit) {
  if (digit.corrected !== undefined) return "corrected";
  return digit.status === "rejected" ? "no digit" : `${percent(digit.confidence)} %`;
}

function arrangeLabels(layer, shown, selected) {
  const area = { width: layer.clientWidth, height: layer.clientHeight };
  let places = placeLabels(labelSizes(shown), area);
  for (const size of ["short", "tiny"]) {
    const crowded = shown.filter((mark, i) => !places[i].isFree && mark.index !== selected);
    if (!crowded.length) break;
    const shortensAll = crowded.length > CROWDED * shown.length;
    for (const { label } of shortensAll ? shown.filter((mark) => isPlain(mark, selected)) : crowded) {
      label.classList.add(size);
    }
    places = placeLabels(labelSizes(shown), area);
  }
  shown.forEach(({ label, index }, i) => {
    // Without any room the label is hidden; the strip of digits still shows the value.
    label.hidden = !places[i].isFree && index !== selected && label.classList.contains("tiny");
    label.style.left = `${places[i].x}px`;
    label.style.top = `${places[i].y}px`;
  });
}

const labelSizes = (shown) =>
  shown.map(({ rect: [x0, y0, x1, y1], label }) => ({
    box: { x0, y0, x1, y1 },
    width: label.offsetWidth,
    height: label.offsetHeight,
  }));

/**
 * Places labels next to their boxes, so that they cover neither each other nor the digits.
 * @typedef {{x0: number, y0: number, x1: number, y1: number}} Rectangle
 * @param {{box: Rectangle, width: number, height: number}[]} labels In order of priority.
 * @param {{width: number, height: number}} area
 * @returns {{x: number, y: number, isFree: boolean}[]} Upper left corners; free if nothing is covered.
 */
function placeLabels(labels, area) {
  const boxes = labels.map(({ box }) => box);
  /** @type {Rectangle[]} */ const placed = [];
  return labels.map(({ box, width, height }) => {
    const options = candidates(box, width, height).map((corner) => {
      const rect = clampToArea(corner, width, height, area);
      const shift = Math.abs(rect.x0 - corner[0]) + Math.abs(rect.y0 - corner[1]);
      const hiddenArea = totalOverlap(placed, rect);
      const coveredArea = totalOverlap(boxes, rect);
      const isFree = hiddenArea === 0 && coveredArea < MAX_COVERED * width * height;
      return { rect, isFree, cost: 6 * hiddenArea + coveredArea + 4 * shift };
    });
    const best = options.reduce((a, b) => (b.cost < a.cost ? b : a));
    placed.push(best.rect);
    return { x: best.rect.x0, y: best.rect.y0, isFree: best.isFree };
  });
}

const GAP = 4;
const MAX_COVERED = 0.1; // fraction of a label that may cover a digit

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
function clampToArea([x, y], width, height, area) {
  const x0 = Math.max(2, Math.min(x, area.width - width - 2));
  const y0 = Math.max(2, Math.min(y, area.height - height - 2));
  return { x0, y0, x1: x0 + width, y1: y0 + height };
}

function totalOverlap(others, rect) {
  return others.reduce((sum, other) => sum + overlapArea(other, rect), 0);
}

function overlapArea(a, b) {
  const width = Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0);
  const height = Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0);
  return width > 0 && height > 0 ? width * height : 0;
}
