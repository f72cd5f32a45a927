// Reading order: groups boxes into lines, and splits a line into its numbers.
//
// Uses boxes only. Lengths are in digit heights, so the result does not depend on resolution or
// position.

import { argmax, argsort, grouped, max, mean, middleOf, quantile, range, sum } from './arrays.js';

// Slant of the page
const MAX_SLANT = 30.0; // degrees; leaves room for uneven lines on a page slanted by 25
const SLANT_STEP = 0.5; // degrees
const SPREAD = 0.2; // digit heights: scatter of the digits of a line around its slope
const LEVEL_WEIGHT = 0.5; // weight of the prior for a level page, in pairs of neighbours
const MAX_DX = 12.0; // digit heights: pairs further apart carry too little information on the slant

// Lines
const FIT_DIGITS = 8; // digits at the end of a line used to extrapolate it
const STIFFNESS = 4.0; // digit heights: how strongly a line keeps to the slant of the page
const REACH = 2.0; // digit heights for which a line follows its own bend, then the page's slant
const MIN_OVERLAP = 0.3; // least overlap of a digit with its line, over the lower height
const MIN_HEIGHT_RATIO = 0.25; // least ratio of the heights of two neighbours

// Numbers
const GAP_OFFSET = 0.25; // digit heights by which a splitting gap exceeds the typical one, ...
const GAP_FACTOR = 1.3; // ... in addition to this factor
const MIN_GAP = 0.1; // digit heights: least typical gap, as digits may touch by chance
const MAX_GAP = 2.2; // digit heights: a larger gap always splits

/**
 * Groups digits into lines on a page slanted by up to 25 degrees.
 *
 * @param boxes x0, y0, x1, y1 of each digit, y downwards.
 * @returns Indices of the digits: lines from top to bottom, each from left to right.
 */
export function linesOf(boxes) {
  if (!boxes.length) return [];
  const places = removeSlant(boxes);
  const lines = [];
  for (const place of places.toSorted((a, b) => a.x - b.x || a.y - b.y)) {
    const shares = lines.map((line) => shareOf(line, place));
    const best = argmax(shares);
    if (shares[best] > MIN_OVERLAP) lines[best].push(place);
    else lines.push([place]);
  }
  const middles = lines.map((line) => mean(line.map(({ y }) => y)));
  return argsort(middles).map((i) => lines[i].map(({ index }) => index));
}

/**
 * Splits a line into its numbers at gaps wider than is typical of the line.
 *
 * @param boxes Boxes of the digits of one line, from left to right.
 * @returns Indices into `boxes`, number by number.
 */
export function numbersOf(boxes) {
  const height = quantile(boxes.map((box) => box[3] - box[1]), 0.5);
  const gaps = boxes.slice(1).map((box, i) => (box[0] - boxes[i][2]) / height);
  const widest = widestInside(gaps);
  return grouped(range(boxes.length), (i) => gaps[i - 1] > widest);
}

/** Centres relative to the first box, with the slant removed, and heights. */
function removeSlant(boxes) {
  const [left, top] = middleOf(boxes[0]);
  const places = boxes.map((box, index) => {
    const [x, y] = middleOf(box);
    return { index, x: x - left, y: y - top, height: box[3] - box[1] };
  });
  const slope = slopeOf(places);
  return places.map((place) => ({ ...place, y: place.y - slope * place.x }));
}

/** The slope that most pairs of nearby digits support; level if there are few. */
function slopeOf(places) {
  const pairs = nearPairs(places.toSorted((a, b) => a.x - b.x));
  const angles = range((2 * MAX_SLANT) / SLANT_STEP + 1).map((k) => -MAX_SLANT + k * SLANT_STEP);
  const votes = angles.map((angle) => {
    const slope = tangent(angle);
    return LEVEL_WEIGHT / (1 + (angle / 10) ** 2) + sum(pairs.map(([right, down]) =>
      Math.exp(-(((down - right * slope) / SPREAD) ** 2 / 2)) / (1 + right ** 2)));
  });
  return tangent(angles[argmax(votes)]);
}

function nearPairs(places) {
  const steepest = tangent(MAX_SLANT);
  return places.flatMap((first, i) => places.slice(i + 1).map((second) => {
    const unit = (first.height + second.height) / 2;
    return [(second.x - first.x) / unit, (second.y - first.y) / unit];
  }).filter(([right, down]) =>
    right < MAX_DX && Math.abs(down) < right * steepest + 2 * SPREAD));
}

const tangent = (degrees) => Math.tan((degrees * Math.PI) / 180);

/** The vertical overlap of a digit with a line, as a fraction of the lower height. */
function shareOf(line, { x, y, height: ownHeight }) {
  const last = line.slice(-FIT_DIGITS);
  const height = max(last.map((other) => other.height));
  const [low, high] = [Math.min(height, ownHeight), Math.max(height, ownHeight)];
  if (low < MIN_HEIGHT_RATIO * high) return 0;
  const distance = Math.abs(extrapolate(last, x) - y);
  const overlap = Math.min(low, (height + ownHeight) / 2 - distance);
  // Among lines that fully contain the digit, the one with the nearest centre wins.
  return overlap / low - (0.1 * distance) / high;
}

/** Extrapolates a line: y of its centre at `targetX`; tall digits weigh more. */
function extrapolate(line, targetX) {
  const squares = sum(line.map(({ height }) => height ** 2));
  const weighted = (value) =>
    sum(line.map((digit) => (digit.height ** 2 / squares) * value(digit)));
  const middle = weighted(({ x }) => x);
  const level = weighted(({ y }) => y);
  const height = weighted((digit) => digit.height);
  const spread = weighted(({ x }) => (x - middle) ** 2) + (STIFFNESS * height) ** 2 / line.length;
  const slope = weighted(({ x, y }) => (x - middle) * (y - level)) / spread;
  const end = line.at(-1).x;
  return level + slope * (end - middle + Math.min(targetX - end, REACH * height));
}

/**
 * The widest gap that is still inside a number, in digit heights.
 *
 * Starts from the lower tertile of the gaps and adds gaps up to the limit until it stops growing.
 */
function widestInside(gaps) {
  const third = Math.floor(gaps.length / 3);
  let inside = gaps.toSorted((a, b) => a - b).slice(third, third + 1);
  let widest = -Infinity;
  while (inside.length && limit(inside) > widest) {
    widest = limit(inside);
    inside = gaps.filter((gap) => gap <= widest);
  }
  return Math.min(widest, MAX_GAP);
}

const limit = (inside) => GAP_OFFSET + GAP_FACTOR * Math.max(MIN_GAP, mean(inside));
