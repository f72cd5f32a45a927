// Non-maximum suppression: fuses boxes from several scales into one candidate per digit.
//
// A candidate is {score, probabilities, box, seen}: the probability that a digit is there, ten
// probabilities of its value, x0, y0, x1, y1 in page pixels, and its height in pixels of the copy
// that showed it best. All numbers are float32, as in Python.

import { argsortDown, clip, max, range, sum } from './arrays.js';

const { fround } = Math;

const MAX_IOU = 0.4; // IoU above which two boxes are the same digit
const MAX_CONTAINMENT = 0.75; // fraction of the smaller box in the larger above which it is part
const MIN_HEIGHT = 24.0; // pixels in a copy: range of heights that are detected best
const MAX_HEIGHT = 120.0;
const MIN_WEIGHT = 0.3;

/** One candidate per digit, from the scale that shows it best, by descending score. */
export function fuseBoxes(found) {
  const weights = found.map(({ score, seen }) => fround(score * scaleWeight(seen)));
  let free = argsortDown(weights);
  const fused = [];
  while (free.length) {
    const [best] = free;
    const overlaps = new Map(free.map((i) => [i, overlap(found[best].box, found[i].box)]));
    const group = free.filter((i) => i === best || overlaps.get(i)[0] > MAX_IOU);
    free = free.filter((i) => !group.includes(i) && overlaps.get(i)[1] <= MAX_CONTAINMENT);
    const chances = geoMean(group.map((i) => found[i].probabilities), group.map((i) => weights[i]));
    fused.push({ ...found[best], score: weights[best], probabilities: chances });
  }
  return fused;
}

/** Weight of a scale for digits of this height in pixels, 0.3 to 1. */
function scaleWeight(seen) {
  return fround(clip(Math.min(seen / MIN_HEIGHT, MAX_HEIGHT / Math.max(seen, 1)), MIN_WEIGHT, 1));
}

/** The weighted geometric mean of probabilities, normalised. */
function geoMean(probabilities, weights) {
  const logs = range(10).map((value) => sum(probabilities.map((row, i) =>
    weights[i] * Math.log(Math.max(row[value], 1e-6)))));
  const [maxLog, weight] = [max(logs), Math.max(sum(weights), 1e-6)];
  const chances = logs.map((log) => Math.exp((log - maxLog) / weight));
  const total = sum(chances);
  return Float32Array.from(chances, (chance) => chance / total);
}

/** Intersection of two boxes over their union, and over the smaller box, as float32. */
export function overlap(box, other) {
  const width = Math.min(box[2], other[2]) - Math.max(box[0], other[0]);
  const height = Math.min(box[3], other[3]) - Math.max(box[1], other[1]);
  const shared = fround(fround(Math.max(width, 0)) * fround(Math.max(height, 0)));
  const [area, areas] = [sizeOf(box), sizeOf(other)];
  const union = Math.max(fround(fround(areas + area) - shared), 1e-6); // boxes may be empty
  return [fround(shared / union), fround(shared / Math.max(Math.min(areas, area), 1e-6))];
}

/** The area of a box. */
export function sizeOf([x0, y0, x1, y1]) {
  return fround(fround(x1 - x0) * fround(y1 - y0));
}
