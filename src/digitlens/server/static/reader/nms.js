// Non-maximum suppression: boxes from several scales made one candidate for each place.
//
// A candidate is {score, probabilities, box, seen}: how surely a digit is there, which one (ten),
// x0, y0, x1, y1 in page pixels, and its height in pixels of the copy that showed it best. All
// numbers are float32, as in Python.

import { argsortDown, clip, max, range, sum } from './arrays.js';

const { fround } = Math;

const SAME = 0.4; // overlap of two boxes, over their union: the same digit seen twice
const WITHIN = 0.75; // share of the smaller box inside the larger: a part of the same digit
const SMALL = 24.0; // pixels in a copy: heights between which a digit is seen best
const LARGE = 120.0;
const LEAST_WEIGHT = 0.3;

/** One candidate for each place, from the scale that shows it best; from high to low score. */
export function fuseBoxes(found) {
  const weights = found.map(({ score, seen }) => fround(score * scaleWeight(seen)));
  let free = argsortDown(weights);
  const kept = [];
  while (free.length) {
    const [best] = free;
    const shared = new Map(free.map((i) => [i, overlap(found[best].box, found[i].box)]));
    const same = free.filter((i) => i === best || shared.get(i)[0] > SAME);
    free = free.filter((i) => !same.includes(i) && shared.get(i)[1] <= WITHIN);
    const chances = agreed(same.map((i) => found[i].probabilities), same.map((i) => weights[i]));
    kept.push({ ...found[best], score: weights[best], probabilities: chances });
  }
  return kept;
}

/** How far a scale is to be trusted with digits of this height in pixels; 0.3 to 1. */
function scaleWeight(seen) {
  return fround(clip(Math.min(seen / SMALL, LARGE / Math.max(seen, 1)), LEAST_WEIGHT, 1));
}

/** The geometric mean, each scale counting as much as it is trusted. */
function agreed(probabilities, weights) {
  const logs = range(10).map((value) => sum(probabilities.map((row, i) =>
    weights[i] * Math.log(Math.max(row[value], 1e-6)))));
  const [most, weight] = [max(logs), Math.max(sum(weights), 1e-6)];
  const chances = logs.map((log) => Math.exp((log - most) / weight));
  const total = sum(chances);
  return Float32Array.from(chances, (chance) => chance / total);
}

/** Of two boxes, as float32: intersection over union, and over the smaller of both. */
export function overlap(box, other) {
  const right = Math.min(box[2], other[2]) - Math.max(box[0], other[0]);
  const down = Math.min(box[3], other[3]) - Math.max(box[1], other[1]);
  const common = fround(fround(Math.max(right, 0)) * fround(Math.max(down, 0)));
  const [area, areas] = [sizeOf(box), sizeOf(other)];
  const union = Math.max(fround(fround(areas + area) - common), 1e-6); // boxes may be empty
  return [fround(common / union), fround(common / Math.max(Math.min(areas, area), 1e-6))];
}

/** The area of a box. */
export function sizeOf([x0, y0, x1, y1]) {
  return fround(fround(x1 - x0) * fround(y1 - y0));
}
