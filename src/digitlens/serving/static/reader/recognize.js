// Recognises lines: those that the line detector found, and those that lone digits make up.
//
// A recognised line is {line, crop, posteriors, symbols, scale}: where it stands, what the network
// saw, a Float32Array for each step, its characters, and columns of the crop a pixel of the page.

import { histogram, max, mean, medianOfBytes, quantileOf, range } from './arrays.js';
import { decode } from './decode.js';
import { HEIGHT, STEP, batchLines, cropLine } from './framing.js';
import { readLines } from './models.js';
import { linesOf } from './reading_order.js';
import { heightOf, widthOf } from './text_lines.js';

const { fround } = Math;

const LIKELY = 0.15; // score of a digit from which a line of its own is read for it
const MARGIN = 0.12; // heights: paper around a line that digits make up
const APART = 2.0; // heights: a wider gap between digits begins a new line
const LOWER = 0.4; // heights of a line: a digit on it is between these
const HIGHER = 1.4;
const INK = 0.35; // share of the strongest contrast in a line from which a pixel is ink

/** Reads lines. */
export async function recognize(page, lines, graph) {
  const crops = lines.map(({ quad }) => cropLine(page, quad));
  const read = [];
  for (const batch of batchLines(crops)) {
    const { data, steps, classes } = await readLines(graph, batch);
    batch.indices.forEach((index, i) => {
      const posteriors = range(crops[index].width / STEP).map((step) => {
        const start = (i * steps + step) * classes;
        return data.subarray(start, start + classes);
      });
      const [line, crop] = [lines[index], crops[index]];
      const scale = HEIGHT / Math.max(heightOf(line), 1e-3);
      read[index] = { line, crop, posteriors, symbols: decode(posteriors), scale };
    });
  }
  return read;
}

/** The lines to read: detected ones, and one for each group of digits that is on none. */
export function lineProposals({ lines: found, digits: all }) {
  const digits = all.filter(({ score }) => score > LIKELY);
  const sure = digits.filter(({ score }) => score > 0.5).map(({ box }) => box);
  const lines = found.filter((line) => !isPartOfDigit(line, sure));
  const boxes = digits.map(({ box }) => box);
  const left = boxes.filter((box) => !lines.some((line) => onLine(box, line)));
  return [...lines, ...groups(left).map(lineOf)];
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
  return along(line, x, y).map((place) => fround(place * scale));
}

/** The box of each character: between its neighbours, around the ink there. */
export function symbolBoxes(read) {
  const centres = read.symbols.map(({ centre }) => centre);
  if (!centres.length) return [];
  const between = centres.slice(1).map((centre, i) => (centres[i] + centre) / 2);
  const left = [Math.max(0, centres[0] - HEIGHT / 2), ...between];
  const right = [...between, Math.min(read.crop.width, centres.at(-1) + HEIGHT / 2)];
  const ink = inkOf(read.crop);
  return centres.map((centre, i) =>
    boxOf(read, ...tight(ink, read.crop.width,
      Math.max(left[i], centre - 0.6 * HEIGHT), Math.min(right[i], centre + 0.6 * HEIGHT))),
  );
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

/** How far a point is from a line's first corner, along it and across. */
function along({ quad: [origin, end, , below] }, x, y) {
  return [end, below].map((corner) => {
    const [right, down] = [corner[0] - origin[0], corner[1] - origin[1]];
    const length = Math.max(Math.hypot(right, down), 1e-6);
    return ((x - origin[0]) * right + (y - origin[1]) * down) / length;
  });
}

/** The upright box on the page around a part of the crop. */
function boxOf({ line: { quad: [origin, end, , below] }, scale }, columns, rows) {
  const [across, down] = [end, below].map((corner) => {
    const step = [corner[0] - origin[0], corner[1] - origin[1]];
    const length = Math.max(Math.hypot(...step), 1e-6);
    return step.map((value) => value / length);
  });
  const points = columns.flatMap((x) => rows.map((y) =>
    [0, 1].map((k) => origin[k] + (x * across[k] + y * down[k]) / scale)));
  const [xs, ys] = [0, 1].map((k) => points.map((point) => point[k]));
  return [Math.min(...xs), Math.min(...ys), max(xs), max(ys)].map(fround);
}

/** Columns and rows of the ink between two columns; all of the part if there is none. */
function tight(ink, width, left, right) {
  const start = Math.trunc(left);
  const stop = Math.min(Math.max(start + 1, Math.ceil(right)), width);
  let [x0, x1, y0, y1] = [Infinity, -1, Infinity, -1];
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = start; x < stop; x++) {
      if (!ink[y * width + x]) continue;
      [x0, x1] = [Math.min(x0, x), Math.max(x1, x)];
      [y0, y1] = [Math.min(y0, y), y];
    }
  }
  if (x1 < 0) return [[left, right], [0.1 * HEIGHT, 0.9 * HEIGHT]];
  return [[x0, x1 + 1], [y0, y1 + 1]];
}

/** Where a line differs from its paper: 1 or 0 for each pixel. */
function inkOf({ data, width }) {
  const paper = [0, 1, 2].map((channel) => medianOfBytes(data, channel, 3));
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
