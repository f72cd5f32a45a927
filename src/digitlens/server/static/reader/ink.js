// Extracts the ink of one digit from a page, given its box; connected components of a mask.

import { argmax, clip, max, quantile, range, rint, sum, tabulate } from './arrays.js';
import { emptyPicture, part, shrink } from './pictures.js';

const { fround } = Math;

const MARGIN = 0.12; // of the longer side: paper included around the box
const MAX_SIDE = 64; // pixels; more than twice the resolution of a tile
const RIM_SAMPLES = 512; // rim pixels sampled to estimate the paper
const PAPER_LEVEL = 0.25; // fraction of full ink below which a pixel is paper
const MAX_OUTSIDE = 0.5; // fraction of a stroke outside the box above which it is of a neighbour
const RANGE = fround(0.85 - PAPER_LEVEL); // from paper to full ink
const STROKE = fround(0.3); // level above which a pixel belongs to a stroke
const COLOURS = [0, 1, 2];

/**
 * The ink in a box, bright on dark.
 *
 * @param box x0, y0, x1, y1 in page pixels; may extend beyond the page.
 * @returns A picture of bytes, at most 64 pixels a side, 0 on paper; all 0 if nothing in the box
 *   differs from its surroundings.
 */
export function inkIn(page, box) {
  const { crop, inner } = cropBox(page, box);
  const ink = emptyPicture(crop.width, crop.height, 1);
  const contrast = subtractPaper(crop, inner);
  const [red, green, blue] = inkDirection(contrast, inner);
  const strength = tabulate(Float32Array, inner.length, (i) =>
    red * contrast[3 * i] + green * contrast[3 * i + 1] + blue * contrast[3 * i + 2]);
  const full = fround(fullInkLevel(strength.filter((_, i) => inner[i])));
  if (full < 4) return ink;
  const levels = strength.map((value) =>
    clip(fround(fround(value / full) - PAPER_LEVEL) / RANGE, 0, 1));
  const { labels, areas } =
    connectedComponents(levels.map((value) => value > STROKE), crop.width, crop.height);
  const outside = new Uint32Array(areas.length + 1);
  labels.forEach((label, i) => (outside[label] += !inner[i]));
  const isForeign = (label) => label && outside[label] > MAX_OUTSIDE * areas[label - 1];
  ink.data.set(levels.map((value, i) => (isForeign(labels[i]) ? 0 : rint(fround(value * 255)))));
  return ink;
}

/** The part of the page around a box, shrunk, and a mask of its pixels inside the box. */
function cropBox(page, [x0, y0, x1, y1]) {
  const margin = Math.max(1.0, MARGIN * Math.max(x1 - x0, y1 - y0));
  const [left, right] = spanOf(x0 - margin, x1 + margin, page.width);
  const [top, bottom] = spanOf(y0 - margin, y1 + margin, page.height);
  // Sampling two pixels per output pixel is enough for averaging, and fast.
  const longest = Math.max(bottom - top, right - left);
  const step = Math.max(1, Math.floor(longest / (2 * MAX_SIDE)));
  const crop = shrink(part(page, [left, top, right, bottom], step), MAX_SIDE);
  const columns = maskBetween(crop.width, left, right, x0, x1);
  const rows = maskBetween(crop.height, top, bottom, y0, y1);
  const inner = new Uint8Array(crop.width * crop.height);
  rows.forEach((row, y) => row && inner.set(columns, y * crop.width));
  return { crop, inner };
}

function spanOf(low, high, size) {
  const start = Math.max(0, Math.trunc(low));
  const end = Math.min(size, Math.max(start + 1, Math.ceil(high)));
  return [Math.min(start, end - 1), end];
}

/** Mask of the pixels of an axis whose centre lies between two page coordinates. */
function maskBetween(size, start, end, low, high) {
  const scale = size / (end - start);
  const middles = range(size).map((i) => (i + 0.5) / scale + start);
  return middles.map((middle) => middle >= low && middle <= high);
}

/**
 * The difference of each pixel from the colour of the paper, in RGB.
 *
 * The paper is a plane, possibly sloping, fitted to the rim around the box. Pixels far from the
 * rim's median, such as strokes of neighbours, are left out of the fit.
 */
function subtractPaper({ data, width, height }, inner) {
  const rim = rimOf(inner);
  const rows = [1e-6, 0.05 * rim.length, 0.05 * rim.length].map((ridge, a) =>
    range(6).map((b) => (a === b ? ridge : 0)));
  for (const i of nearPaper(data, rim)) {
    const position = [1, (i % width) / width - 0.5, Math.floor(i / width) / height - 0.5];
    const equation = [...position, ...COLOURS.map((c) => data[3 * i + c])];
    rows.forEach((row, a) => equation.forEach((value, b) => (row[b] += position[a] * value)));
  }
  const [level, slopeX, slopeY] = solve(rows);
  return tabulate(Float32Array, data.length, (i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    const paper = fround(level[c] + fround(slopeX[c] * fround(x / width - 0.5)));
    return data[i] - fround(paper + fround(slopeY[c] * fround(y / height - 0.5)));
  });
}

/** Up to about a thousand pixels outside the box; of the whole crop if there are hardly any. */
function rimOf(inner) {
  const outside = range(inner.length).filter((i) => !inner[i]);
  const rim = outside.length > 16 ? outside : range(inner.length);
  const step = Math.max(1, Math.floor(rim.length / RIM_SAMPLES));
  return rim.filter((_, i) => i % step === 0);
}

/** The rim pixels near its median colour. */
function nearPaper(data, rim) {
  const median = COLOURS.map((c) => quantile(rim.map((i) => data[3 * i + c]), 0.5));
  const contrast = rim.map((i) => max(median.map((value, c) => Math.abs(data[3 * i + c] - value))));
  const limit = Math.max(6.0, quantile(contrast, 0.6));
  return rim.filter((_, k) => contrast[k] <= limit);
}

/** Solves three equations with three right-hand sides by Gauss-Jordan elimination. */
function solve(rows) {
  rows.forEach((pivot, k) => {
    rows.forEach((row, i) => {
      const factor = i === k ? 0 : row[k] / pivot[k];
      row.forEach((_, j) => (row[j] -= factor * pivot[j]));
    });
  });
  return rows.map((row, k) => row.slice(3).map((value) => fround(value / row[k])));
}

/** Unit vector of the colour difference between the strongest ink in the box and the paper. */
function inkDirection(contrast, inner) {
  const colours = range(inner.length)
    .filter((i) => inner[i])
    .map((i) => contrast.subarray(3 * i, 3 * i + 3));
  const norms = colours.map((colour) => max(colour.map(Math.abs)));
  const threshold = 0.5 * max(norms);
  const strong = colours.filter((_, k) => norms[k] >= threshold);
  const total = COLOURS.map((c) => sum(strong.map((colour) => colour[c])));
  return total.map((value) => fround(value / Math.max(Math.hypot(...total), 1e-6)));
}

/** The strength that counts as full ink in a box. */
function fullInkLevel(strength) {
  if (!strength.length) return 0;
  // A thin pen covers less than 7 % of a large box, where the 93rd percentile is still paper.
  return Math.max(quantile(strength, 0.93), 0.6 * quantile(strength, 0.995));
}

/**
 * The 8-connected components of a mask, width x height, in the order of their first pixel.
 *
 * @returns {labels, boxes, areas}: the component of each pixel from 1 on, 0 for background; the
 *   half-open box x0, y0, x1, y1 and the pixel count of each component.
 */
export function connectedComponents(mask, width, height) {
  const labels = new Int32Array(mask.length);
  const [boxes, areas] = [[], []];
  for (let first = 0; first < mask.length; first++) {
    if (!mask[first] || labels[first]) continue;
    const label = boxes.length + 1;
    const box = [width, height, 0, 0];
    const queue = [first];
    labels[first] = label;
    for (let next = 0; next < queue.length; next++) {
      const [x, y] = [queue[next] % width, Math.floor(queue[next] / width)];
      grow(box, x, y);
      for (let row = Math.max(y - 1, 0); row <= Math.min(y + 1, height - 1); row++) {
        for (let column = Math.max(x - 1, 0); column <= Math.min(x + 1, width - 1); column++) {
          const pixel = row * width + column;
          if (!mask[pixel] || labels[pixel]) continue;
          labels[pixel] = label;
          queue.push(pixel);
        }
      }
    }
    boxes.push(box);
    areas.push(queue.length);
  }
  return { labels, boxes, areas };
}

/** Extends a box, x0, y0, x1, y1, to include a pixel. */
export function grow(box, x, y) {
  box[0] = Math.min(box[0], x);
  box[1] = Math.min(box[1], y);
  box[2] = Math.max(box[2], x + 1);
  box[3] = Math.max(box[3], y + 1);
}

/** The runs of a row of ones and zeros: {start, end}, half-open. */
export function runsOf(row) {
  const starts = [...row.keys()].filter((i) => row[i] && !row[i - 1]);
  return starts.map((start) => {
    const end = row.indexOf(0, start);
    return { start, end: end < 0 ? row.length : end };
  });
}

/** Whether the box of the largest component contains another component, as in a ring. */
export function encloses(mask, width, height) {
  const { boxes, areas } = connectedComponents(mask, width, height);
  if (!boxes.length) return false;
  const [left, top, right, bottom] = boxes[argmax(areas)];
  return boxes.some(([x0, y0, x1, y1]) => x0 > left && y0 > top && x1 < right && y1 < bottom);
}
