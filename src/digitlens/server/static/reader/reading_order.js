// Puts digits into reading order: boxes into lines, and a line into the numbers written on it.
//
// Knows boxes only. All lengths are measured in digit heights, so neither the resolution nor the
// place on the page matters.

import { argmax, argsort, grouped, max, mean, middleOf, quantile, range, sum } from './arrays.js';

// Slant of the page
const STEEPEST = 30.0; // degrees; a page turned by 25 still fits with the unevenness of its lines
const STEP = 0.5; // degrees
const SPREAD = 0.2; // digit heights: how far the digits of one line miss its slope
const LEVEL = 0.5; // trust in a level page, in pairs of neighbours
const FAR = 12.0; // digit heights: pairs further apart say too little about the slant

// Lines
const MEMORY = 8; // digits at the end of a line that tell where it goes on
const STIFF = 4.0; // digit heights: how strongly a line keeps to the slant of the page
const REACH = 2.0; // digit heights: so far a line is continued along its bend, then along the page
const OVERLAP = 0.3; // share of the lower height that a digit has in common with its line
const SMALLER = 0.25; // height of the smaller of two neighbours, of the larger

// Numbers
const SPACE = 0.25; // digit heights: a gap that splits is larger than the typical one by this ...
const LOOSE = 1.3; // ... and by this factor
const TIGHT = 0.1; // digit heights: digits that touch by chance do not make other gaps wide
const WIDEST = 2.2; // digit heights: a larger gap splits even where all gaps are alike

/**
 * Puts digits into lines, whatever the slant of the page, up to 25 degrees.
 *
 * @param boxes x0, y0, x1, y1 of each digit, y downwards.
 * @returns Indices of the digits: lines from top to bottom, each from left to right.
 */
export function linesOf(boxes) {
  if (!boxes.length) return [];
  const places = levelled(boxes);
  const lines = [];
  for (const place of places.toSorted((a, b) => a.x - b.x || a.y - b.y)) {
    const shares = lines.map((line) => shareOf(line, place));
    const best = argmax(shares);
    if (shares[best] > OVERLAP) lines[best].push(place);
    else lines.push([place]);
  }
  const middles = lines.map((line) => mean(line.map(({ y }) => y)));
  return argsort(middles).map((i) => lines[i].map(({ index }) => index));
}

/**
 * Splits a line into the numbers on it, where a gap is wider than is usual on that line.
 *
 * @param boxes Of the digits of one line, from left to right.
 * @returns Positions in `boxes`, number by number.
 */
export function numbersOf(boxes) {
  const height = quantile(boxes.map((box) => box[3] - box[1]), 0.5);
  const gaps = boxes.slice(1).map((box, i) => (box[0] - boxes[i][2]) / height);
  const widest = widestInside(gaps);
  return grouped(range(boxes.length), (i) => gaps[i - 1] > widest);
}

/** Centres from the first box on, on a page without slant, and heights. */
function levelled(boxes) {
  const [left, top] = middleOf(boxes[0]);
  const places = boxes.map((box, index) => {
    const [x, y] = middleOf(box);
    return { index, x: x - left, y: y - top, height: box[3] - box[1] };
  });
  const slope = slopeOf(places);
  return places.map((place) => ({ ...place, y: place.y - slope * place.x }));
}

/** The slope that most pairs of near digits agree on, level if they are few. */
function slopeOf(places) {
  const pairs = nearPairs(places.toSorted((a, b) => a.x - b.x));
  const angles = range((2 * STEEPEST) / STEP + 1).map((k) => -STEEPEST + k * STEP);
  const votes = angles.map((angle) => {
    const slope = tangent(angle);
    return LEVEL / (1 + (angle / 10) ** 2) + sum(pairs.map(([right, down]) =>
      Math.exp(-(((down - right * slope) / SPREAD) ** 2 / 2)) / (1 + right ** 2)));
  });
  return tangent(angles[argmax(votes)]);
}

function nearPairs(places) {
  const steepest = tangent(STEEPEST);
  return places.flatMap((first, i) => places.slice(i + 1).map((second) => {
    const unit = (first.height + second.height) / 2;
    return [(second.x - first.x) / unit, (second.y - first.y) / unit];
  }).filter(([right, down]) =>
    right < FAR && Math.abs(down) < right * steepest + 2 * SPREAD));
}

const tangent = (degrees) => Math.tan((degrees * Math.PI) / 180);

/** How much of a digit's height lies on a line; the smaller of both is the whole. */
function shareOf(line, { x, y, height: own }) {
  const last = line.slice(-MEMORY);
  const height = max(last.map((other) => other.height));
  const [low, high] = [Math.min(height, own), Math.max(height, own)];
  if (low < SMALLER * high) return 0;
  const away = Math.abs(continued(last, x) - y);
  const common = Math.min(low, (height + own) / 2 - away);
  // Among lines that hold the digit completely, the one with its middle there is the right one.
  return common / low - (0.1 * away) / high;
}

/** Where a line goes on: y of its middle at x = `to`; tall digits count more. */
function continued(line, to) {
  const squares = sum(line.map(({ height }) => height ** 2));
  const weighted = (value) =>
    sum(line.map((digit) => (digit.height ** 2 / squares) * value(digit)));
  const middle = weighted(({ x }) => x);
  const level = weighted(({ y }) => y);
  const height = weighted((digit) => digit.height);
  const spread = weighted(({ x }) => (x - middle) ** 2) + (STIFF * height) ** 2 / line.length;
  const slope = weighted(({ x, y }) => (x - middle) * (y - level)) / spread;
  const end = line.at(-1).x;
  return level + slope * (end - middle + Math.min(to - end, REACH * height));
}

/**
 * The widest gap that is still inside a number, in digit heights.
 *
 * The gap that a third of all are narrower than is taken to be inside; what fits to it joins it.
 */
function widestInside(gaps) {
  const third = Math.floor(gaps.length / 3);
  let inside = gaps.toSorted((a, b) => a - b).slice(third, third + 1);
  let widest = -Infinity;
  while (inside.length && limit(inside) > widest) {
    widest = limit(inside);
    inside = gaps.filter((gap) => gap <= widest);
  }
  return Math.min(widest, WIDEST);
}

const limit = (inside) => SPACE + LOOSE * Math.max(TIGHT, mean(inside));
