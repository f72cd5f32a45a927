// Recognises lines: those that the line detector found, and those that lone digits make up.
//
// A recognised line is {line, crop, posteriors, symbols, ink, spans, boxes, scale}: where it is,
// what the network saw, a Float32Array for each step, its characters; where the crop has ink, the
// first and last columns of characters there and their boxes on the page; and how many columns of
// the crop a pixel of the page is.

import {
  argmax, clip, histogram, max, mean, medianOfBytes, quantileOf, range, sum,
} from './arrays.js';
import { runsOf } from './ink.js';
import { DIGITS } from './alphabet.js';
import { decode } from './decode.js';
import { HEIGHT, STEP, WIDEST, batchLines, cropLine } from './framing.js';
import { part } from './images.js';
import { findSpots, readLines } from './models.js';
import { LIKELY } from './multiscale.js';
import { linesOf } from './reading_order.js';
import { heightOf, stepOf, widthOf } from './text_lines.js';

const { fround } = Math;

const MARGIN = 0.12; // heights: paper around a line that digits make up
const APART = 2.0; // heights: a wider gap between digits begins a new line
const LOWER = 0.4; // heights of a line: a digit on it is between these
const HIGHER = 1.4;
const BAND = [6, 42]; // rows that hold a line's own ink, not that of lines above and below
const NARROW = 0.7; // heights: width that a line has at least ...
const GROWN = 1.25; // ... after a narrower one was grown by this factor
const SHARED = 0.3; // of a digit's box on a line, from which no line of its own is read for it
const STROKES = 3; // most lines that may be found in one digit and be its strokes
const MUCH = 8192; // columns of all lines, from which on only parts with digits are read
const WHOLE = 3; // longest lines that are read whole even then
const SPOTTED = 0.1; // probability of a digit from which its part of a line is read
const SPACE = 0.3; // probability of a space from which a part may end there
const CONTEXT = 4; // steps between a digit and such a space, at least
const LOWEST = 0.3; // heights of a line: what is found of a digit's ink is more, else it is not all
const USUAL = [0.1 * HEIGHT, 0.9 * HEIGHT]; // rows of a character whose ink is not found
const EDGE = 3; // rows at the upper and at the lower edge of a crop
const ALIKE = 16; // levels of each channel: colours that differ by less are one
const INK = 0.35; // share of the strongest contrast in a line from which a pixel is ink

/** Reads lines; where there is much text, mostly those parts of it that have digits. */
export async function recognize(page, lines, { recognizer, spotter = null }) {
  let found = lines.map((line) => ({ line, crop: cropLine(page, line.quad) }));
  if (spotter && sum(found.map(({ crop }) => crop.width)) > MUCH) {
    const spots = await rowsOf(found, (batch) => findSpots(spotter, batch));
    found = partsWithDigits(found, spots);
  }
  const rows = await rowsOf(found, (batch) => readLines(recognizer, batch));
  return found.map(({ line, crop }, i) => {
    const scale = HEIGHT / Math.max(heightOf(line), 1e-3);
    return recognized({ line, crop, posteriors: rows[i], symbols: decode(rows[i]), scale });
  });
}

/** What a network says of the steps of each crop: a Float32Array each. */
async function rowsOf(found, network) {
  const rows = [];
  for (const batch of batchLines(found.map(({ crop }) => crop))) {
    const { data, steps, classes } = await network(batch);
    batch.indices.forEach((index, i) => {
      rows[index] = range(found[index].crop.width / STEP).map((step) => {
        const start = (i * steps + step) * classes;
        return data.subarray(start, start + classes);
      });
    });
  }
  return rows;
}

/** Cuts lines down to words with digits and those next to them; the longest lines stay whole. */
export function partsWithDigits(found, spots) {
  const area = ({ line }) => widthOf(line) * heightOf(line);
  const order = range(found.length).sort((a, b) => area(found[b]) - area(found[a]));
  const whole = new Set(order.slice(0, WHOLE));
  return found.flatMap((one, index) => (whole.has(index) ? [one]
    : nearDigits(spots[index]).map(([first, last]) => partOf(one, first, last))));
}

/** A part of a line, from one step to before another. */
function partOf({ line, crop }, first, last) {
  const columns = Math.min(WIDEST, (widthOf(line) * HEIGHT) / Math.max(heightOf(line), 1e-3));
  const [left, right] = [first, last].map((step) => Math.min((STEP * step) / columns, 1));
  const [topLeft, topRight, bottomRight, bottomLeft] = line.quad;
  const between = (a, b, share) => [0, 1].map((k) => fround(a[k] + share * fround(b[k] - a[k])));
  const quad = [
    between(topLeft, topRight, left), between(topLeft, topRight, right),
    between(bottomLeft, bottomRight, right), between(bottomLeft, bottomRight, left),
  ];
  const cut = part(crop, STEP * first, 0, STEP * last, HEIGHT);
  return { line: { quad, score: line.score }, crop: cut };
}

/** Parts of a line with digits, from a space before them to one after them: [first, end]. */
export function nearDigits(spots) {
  const steps = range(spots.length);
  const spaces = steps.filter((step) => spots[step][1] > fround(SPACE));
  const parts = [];
  for (const step of steps.filter((each) => spots[each][0] > fround(SPOTTED))) {
    const first = spaces.findLast((space) => space <= step - CONTEXT) ?? 0;
    const end = (spaces.find((space) => space >= step + CONTEXT) ?? spots.length - 1) + 1;
    const last = parts.at(-1);
    if (last && first < last[1]) last[1] = end;
    else parts.push([first, end]);
  }
  return parts;
}

/** The lines to read: detected ones, and one for each group of digits that is on none. */
export function lineProposals({ lines: found, digits: all }) {
  const digits = all.filter(({ score, box }) => score > LIKELY && held(box, found) <= STROKES);
  const sure = digits.filter(({ score }) => score > 0.5).map(({ box }) => box);
  const lines = found.filter((line) => !isPartOfDigit(line, sure));
  const boxes = digits.map(({ box }) => box);
  const left = boxes.filter((box) => held(box, lines) < 2
    && !lines.some((line) => sharedWith(line, box) > SHARED));
  return [...lines, ...groups(left).map(lineOf)].map(withPaper);
}

/** A line as narrow as a stroke, with paper around it: alone it would be an edge. */
function withPaper(line) {
  const [width, height] = [widthOf(line), heightOf(line)];
  if (width > NARROW * height) return line;
  const [across, down] = axesOf(line);
  const middle = [0, 1].map((k) => mean(line.quad.map((point) => point[k])));
  const half = (GROWN * height) / 2;
  const reach = Math.max(NARROW * half, (GROWN * width) / 2);
  const quad = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([right, below]) => [0, 1].map((k) =>
    fround(middle[k] + right * reach * across[k] + below * half * down[k])));
  return { quad, score: line.score, found: line.quad };
}

/** Of how many lines a box holds the middle; the paper between two is no digit. */
function held([x0, y0, x1, y1], lines) {
  return lines.filter(({ quad }) => {
    const [x, y] = [0, 1].map((k) => mean(quad.map((point) => point[k])));
    return x > x0 && x < x1 && y > y0 && y < y1;
  }).length;
}

/** How much of a box is on a line; what it shows is read there. */
function sharedWith(line, [x0, y0, x1, y1]) {
  const axes = axesOf(line);
  const lengths = [widthOf(line), heightOf(line)];
  const shares = along(line, (x0 + x1) / 2, (y0 + y1) / 2).map((place, i) => {
    const [right, down] = axes[i].map(Math.abs);
    const reach = Math.max(((x1 - x0) / 2) * right + ((y1 - y0) / 2) * down, 1e-3);
    const inside = Math.min(place + reach, lengths[i]) - Math.max(place - reach, 0);
    return clip(inside / (2 * reach), 0, 1);
  });
  return shares[0] * shares[1];
}

/** Whether a box is of a size with a line and has its middle on it. */
export function onLine([x0, y0, x1, y1], line) {
  const [x, y] = along(line, (x0 + x1) / 2, (y0 + y1) / 2);
  const [width, height] = [widthOf(line), heightOf(line)];
  const inside = x > 0 && x < width && y > 0 && y < height;
  return inside && y1 - y0 > LOWER * height && y1 - y0 < HIGHER * height;
}

/** Where a point of the page is in a line's crop: column, row. */
export function placeOf({ line, scale }, x, y) {
  return along(line, x, y).map((place) => fround(fround(place) * fround(scale)));
}

/** The same with the columns and boxes of its characters, once they are asked for. */
export function recognized(read) {
  lazily(read, 'ink', () => inkOf(read.crop));
  lazily(read, 'spans', () => spansOf(read));
  return lazily(read, 'boxes', () => read.spans.map((span, i) => {
    const [first, last] = span.map(Math.trunc);
    const rows = inkedRows(read.ink, read.crop.width, first, last);
    const partial = rows[1] - rows[0] < LOWEST * HEIGHT && DIGITS.includes(read.symbols[i].char);
    return boxOf(read, span, partial ? USUAL : rows);
  }));
}

function lazily(read, name, make) {
  let value;
  return Object.defineProperty(read, name, { get: () => (value ??= make()) });
}

/** First and last column of each character. */
function spansOf({ ink, crop: { width }, symbols }) {
  const inked = new Uint8Array(width);
  for (let i = BAND[0] * width; i < BAND[1] * width; i++) inked[i % width] |= ink[i];
  const spans = symbolSpans(inked, symbols.map(({ centre }) => centre));
  return spans.map((span) => span.map(fround));
}

/** Whether a line is but a stroke of a digit that is larger. */
function isPartOfDigit({ quad }, boxes) {
  const [xs, ys] = [quad.map(([x]) => x), quad.map(([, y]) => y)];
  const [left, top, right, bottom] = [Math.min(...xs), Math.min(...ys), max(xs), max(ys)];
  const area = Math.max(1e-3, (right - left) * (bottom - top));
  return boxes.some(([x0, y0, x1, y1]) => {
    const wide = Math.max(0, Math.min(x1, right) - Math.max(x0, left));
    const high = Math.max(0, Math.min(y1, bottom) - Math.max(y0, top));
    return (wide * high) / area > 0.6 && y1 - y0 > HIGHER * (bottom - top);
  });
}

/** Digits that stand together on a line, as their boxes. */
function groups(boxes) {
  return linesOf(boxes).flatMap((line) => {
    const parts = [];
    line.map((index) => boxes[index]).forEach((box, i, row) => {
      if (!i || isApart(row[i - 1], box)) parts.push([]);
      parts.at(-1).push(box);
    });
    return parts;
  });
}

function isApart(last, box) {
  const heights = [last[3] - last[1], box[3] - box[1]];
  const height = Math.max(...heights);
  return box[0] - last[2] > APART * height || Math.min(...heights) < 0.5 * height;
}

/** A line around boxes, from left to right, along the direction in which they go on. */
function lineOf(boxes) {
  const middles = boxes.map(([x0, y0, x1, y1]) => [(x0 + x1) / 2, (y0 + y1) / 2]);
  const [first, last] = [middles[0], middles.at(-1)];
  const [right, down] = [last[0] - first[0], last[1] - first[1]];
  const length = Math.abs(down) < Math.abs(right) ? Math.hypot(right, down) : 0;
  const [ux, uy] = length ? [right / length, down / length] : [1, 0];
  // Of a turned line the corners of upright boxes reach too far.
  const turned = Math.abs(uy) > 0.02;
  const corners = boxes.flatMap(([x0, y0, x1, y1], i) => {
    if (!turned) return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
    const [[x, y], wide, high] = [middles[i], (x1 - x0) / 2, (y1 - y0) / 2];
    return [
      [x - ux * wide, y - uy * wide], [x + ux * wide, y + uy * wide],
      [x + uy * high, y - ux * high], [x - uy * high, y + ux * high],
    ];
  });
  const spans = [
    corners.map(([x, y]) => x * ux + y * uy), corners.map(([x, y]) => y * ux - x * uy),
  ].map((places) => [Math.min(...places), max(places)]);
  const margin = MARGIN * (spans[1][1] - spans[1][0]);
  const [[x0, x1], [y0, y1]] = spans.map(([low, high]) => [low - margin, high + margin]);
  const quad = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]].map(([a, b]) => [
    fround(a * ux - b * uy), fround(a * uy + b * ux),
  ]);
  return { quad, score: 0 };
}

/** Unit vectors along a line and across it. */
function axesOf({ quad: [origin, end, , below] }) {
  return [end, below].map((corner) => {
    const step = stepOf(origin, corner);
    const length = Math.max(Math.hypot(...step), 1e-6);
    return step.map((value) => value / length);
  });
}

/** How far a point is from a line's first corner, along it and across. */
function along(line, ...point) {
  const [x, y] = stepOf(line.quad[0], point.map(fround));
  return axesOf(line).map(([right, down]) => x * right + y * down);
}

/** The upright box on the page around a part of the crop. */
function boxOf({ line, scale }, columns, rows) {
  const [[origin], [across, down]] = [line.quad, axesOf(line)];
  const points = columns.flatMap((x) => rows.map((y) =>
    [0, 1].map((k) => origin[k] + (x * across[k] + y * down[k]) / scale)));
  const [xs, ys] = [0, 1].map((k) => points.map((point) => point[k]));
  return [Math.min(...xs), Math.min(...ys), max(xs), max(ys)].map(fround);
}

/**
 * First and last column of each character.
 *
 * Strokes that touch, in columns, are one run. A run with one character is its own; one with
 * several is cut where the middle between two of them is.
 */
function symbolSpans(inked, centres) {
  const runs = runsOf(inked, inked.length, 1);
  const reach = 0.3 * HEIGHT;
  const away = (centre, { start, end }) => Math.max(start - centre, centre - end, 0);
  // Of each character the run that it lies in, else the nearest.
  const owner = centres.map((centre) => argmax(runs.map((run) => -away(centre, run))));
  return centres.map((centre, i) => {
    const run = runs[owner[i]];
    if (!run || away(centre, run) > reach) return [Math.max(0, centre - reach), centre + reach];
    const middle = (k, side) => (owner[k] === owner[i] ? (centres[k] + centre) / 2 : side);
    const first = Math.max(run.start, middle(i - 1, run.start));
    return [first, Math.max(Math.min(run.end, middle(i + 1, run.end)), first + 1)];
  });
}

/** First and last row of the ink in a part of a line, without that of lines above and below. */
function inkedRows(ink, width, start, end) {
  const inked = new Uint8Array(HEIGHT);
  const stop = Math.min(Math.max(start + 1, end), width);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = start; x < stop; x++) inked[y] |= ink[y * width + x];
  }
  const runs = runsOf(inked, HEIGHT, 1);
  const inner = runs.filter((run) => runs.length === 1 || (run.start > 0 && run.end < HEIGHT));
  return inner.length ? [inner[0].start, inner.at(-1).end] : USUAL;
}

/** Where a line differs from its paper: 1 or 0 for each pixel. */
function inkOf({ data, width }) {
  const paper = paperOf(data, width);
  const away = new Uint16Array(width * HEIGHT); // in half gray levels
  for (let i = 0; i < away.length; i++) {
    for (let c = 0; c < 3; c++) {
      const distance = 2 * Math.abs(data[3 * i + c] - paper[c]);
      if (distance > away[i]) away[i] = distance;
    }
  }
  const strongest = quantileOf(histogram(away, 512), 0.98) / 2;
  const least = 2 * Math.max(12, INK * strongest);
  return away.map((distance) => (distance > least ? 1 : 0));
}

/** The median colour of a crop, or of its edges if more pixels are like that. */
function paperOf(data, width) {
  const ends = 3 * EDGE * width;
  const edge = new Uint8ClampedArray(2 * ends);
  edge.set(data.subarray(0, ends));
  edge.set(data.subarray(data.length - ends), ends);
  const [usual, outer] = [data, edge].map((pixels) =>
    [0, 1, 2].map((channel) => medianOfBytes(pixels, channel, 3)));
  if (usual.every((value, c) => Math.abs(value - outer[c]) < ALIKE)) return usual;
  const alike = (paper) => {
    let count = 0;
    for (let i = 0; i < data.length; i += 3) {
      count += paper.every((value, c) => Math.abs(data[i + c] - value) < ALIKE);
    }
    return count;
  };
  return alike(outer) > alike(usual) ? outer : usual;
}
