// Non-maximum suppression: boxes from several scales made one candidate for each place.
//
// A candidate is {score, probabilities, box, seen}: how surely a digit is there, which one (ten),
// x0, y0, x1, y1 in page pixels, and its height in pixels of the copy that showed it best. All
// numbers are float32, as in Python.

import { argsortDown, clip, max, sum } from './arrays.js';

const { fround } = Math;

const SAME = 0.4; // overlap of two boxes, over their union: the same digit seen twice
const WITHIN = 0.75; // share of the smaller box inside the larger: a part of the same digit
const SMALL = 24.0; // pixels in a copy: heights between which a digit is seen best
const LARGE = 120.0;
const LEAST_WEIGHT = 0.3;

/**
 * One candidate for each place, from the scale that shows it best; values from all.
 *
 * @returns Candidates that do not overlap much, from high to low score.
 */
export function fuseBoxes(found) {
  const weights = found.map(({ score, seen }) => fround(score * scaleWeight(seen)));
  const order = argsortDown(weights);
  const free = new Set(order);
  const kept = [];
  for (const index of order) {
    if (!free.has(index)) continue;
    const same = [];
    for (const other of free) {
      const [union, within] = overlap(found[index].box, found[other].box);
      if (union > SAME || other === index) same.push(other);
      if (union > SAME || within > WITHIN || other === index) free.delete(other);
    }
    const probabilities = agreed(
      same.map((i) => found[i].probabilities), same.map((i) => weights[i]),
    );
    kept.push({ ...found[index], score: weights[index], probabilities });
  }
  return kept;
}

/** How far a scale is to be trusted with digits of this height in pixels; 0.3 to 1. */
function scaleWeight(seen) {
  const small = fround(seen / SMALL);
  const large = fround(LARGE / Math.max(seen, 1));
  return fround(clip(Math.min(small, large), LEAST_WEIGHT, 1));
}

/** The geometric mean, each scale counting as much as it is trusted. */
function agreed(probabilities, weights) {
  const logs = Array.from({ length: 10 }, (_, value) =>
    sum(probabilities.map((row, i) => weights[i] * Math.log(Math.max(row[value], 1e-6)))),
  );
  const [most, weight] = [max(logs), Math.max(sum(weights), 1e-6)];
  const chances = logs.map((log) => Math.exp((log - most) / weight));
  const total = sum(chances);
  return Float32Array.from(chances, (chance) => chance / total);
}

/**
 * Of two boxes: intersection over union, and over the smaller of both.
 *
 * @returns [union, part], each as float32.
 */
export function overlap(box, other) {
  const right = Math.min(box[2], other[2]) - Math.max(box[0], other[0]);
  const down = Math.min(box[3], other[3]) - Math.max(box[1], other[1]);
  const common = fround(fround(Math.max(right, 0)) * fround(Math.max(down, 0)));
  const [area, areas] = [areaOf(box), areaOf(other)];
  const union = Math.max(fround(fround(areas + area) - common), 1e-6); // boxes may be empty
  return [fround(common / union), fround(common / Math.max(Math.min(areas, area), 1e-6))];
}

function areaOf(box) {
  return fround(fround(box[2] - box[0]) * fround(box[3] - box[1]));
}
