// Takes the ink of one digit out of a page, given its box; connected components of a mask.

import { above, clip, max, median, quantiles, range, rint, sum } from './arrays.js';
import { part, shrink } from './images.js';
import { emptyPicture } from './resize.js';

const { fround, hypot } = Math;

const MARGIN = 0.12; // of the longer side: paper seen around the box
const LONGEST = 64; // pixels; more than twice what a tile shows of it
const ENOUGH = 512; // pixels of the rim to know the paper by
const FAINT = 0.25; // of full ink: less is paper
const FOREIGN = 0.5; // share of a stroke's pixels outside the box: more, and it is a neighbour's
const RANGE = fround(0.85 - FAINT); // from paper to full ink
const STROKE = fround(0.3); // level from which a pixel belongs to a stroke
const COLOURS = [0, 1, 2];

/**
 * The ink of what stands in a box, bright on dark.
 *
 * @param box x0, y0, x1, y1 in page pixels; may reach over the page's edge.
 * @returns Bytes {data, width, height, channels: 1} at no more than 64 pixels a side, 0 where there
 *   is paper; all 0 when nothing in the box differs from what is around it.
 */
export function inkIn(page, box) {
  const { crop, inner } = cropped(page, box);
  const ink = emptyPicture(crop.width, crop.height, 1);
  const contrast = withoutPaper(crop, inner);
  const direction = inkDirection(contrast, inner);
  const strength = new Float32Array(inner.length);
  strength.forEach((_, i) => (strength[i] = along(direction, contrast, i)));
  const full = fround(fullInk(strength.filter((_, i) => inner[i])));
  if (full < 4) return ink;
  const level = strength.map((value) => clip(fround(fround(value / full) - FAINT) / RANGE, 0, 1));
  const foreign = foreignStrokes(above(level, STROKE), inner, crop.width, crop.height);
  level.forEach((value, i) => (ink.data[i] = foreign[i] ? 0 : rint(fround(value * 255))));
  return ink;
}

/** The part of the page around a box, shrunk, and which of its pixels lie in the box. */
function cropped(page, [x0, y0, x1, y1]) {
  const margin = Math.max(1.0, MARGIN * Math.max(x1 - x0, y1 - y0));
  const [left, right] = spanOf(x0 - margin, x1 + margin, page.width);
  const [top, bottom] = spanOf(y0 - margin, y1 + margin, page.height);
  // Two pixels for each that is wanted are enough to average, and quick to fetch.
  const longest = Math.max(bottom - top, right - left);
  const step = Math.max(1, Math.floor(longest / (2 * LONGEST)));
  const crop = shrink(part(page, left, top, right, bottom, step), LONGEST);
  const columns = within(crop.width, left, right, x0, x1);
  const rows = within(crop.height, top, bottom, y0, y1);
  const inner = new Uint8Array(crop.width * crop.height);
  rows.forEach((row, y) => row && inner.set(columns, y * crop.width));
  return { crop, inner };
}

function spanOf(low, high, size) {
  const start = Math.max(0, Math.trunc(low));
  const end = Math.min(size, Math.max(start + 1, Math.ceil(high)));
  return [Math.min(start, end - 1), end];
}

/** Which pixels of an axis have their middle between two places on the page: 1 or 0 each. */
function within(size, start, end, low, high) {
  const scale = size / (end - start);
  const middles = range(size).map((i) => (i + 0.5) / scale + start);
  return middles.map((middle) => Number(middle >= low && middle <= high));
}

/**
 * How far each pixel is from the paper's colour, RGB as the page.
 *
 * The colour is taken from the rim around the box, as a plane that may slope. Neighbours' strokes
 * in the rim do not count: what is far from its median is left out.
 */
function withoutPaper({ data, width, height }, inner) {
  const rim = rimOf(inner);
  const rows = [1e-6, 0.05 * rim.length, 0.05 * rim.length].map((stiff, a) =>
    [0, 1, 2, 3, 4, 5].map((b) => (a === b ? stiff : 0)));
  for (const i of nearPaper(data, rim)) {
    const place = [1, (i % width) / width - 0.5, Math.floor(i / width) / height - 0.5];
    const known = [...place, data[3 * i], data[3 * i + 1], data[3 * i + 2]];
    rows.forEach((row, a) => known.forEach((value, b) => (row[b] += place[a] * value)));
  }
  const [level, right, below] = solved(rows);
  const contrast = new Float32Array(data.length);
  for (let i = 0; i < contrast.length; i++) {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    const paper = fround(level[c] + fround(right[c] * fround(x / width - 0.5)));
    contrast[i] = data[i] - fround(paper + fround(below[c] * fround(y / height - 0.5)));
  }
  return contrast;
}

/** At most some thousand pixels outside the box; of all where there are hardly any. */
function rimOf(inner) {
  const outside = range(inner.length).filter((i) => !inner[i]);
  const rim = outside.length > 16 ? outside : range(inner.length);
  const step = Math.max(1, Math.floor(rim.length / ENOUGH));
  return rim.filter((_, i) => i % step === 0);
}

/** Those places of the rim that are near its usual colour. */
function nearPaper(data, rim) {
  const middle = COLOURS.map((c) => median(rim.map((i) => data[3 * i + c])));
  const away = rim.map((i) => max(middle.map((usual, c) => Math.abs(data[3 * i + c] - usual))));
  const most = Math.max(6.0, quantiles(away, [0.6])[0]);
  return rim.filter((_, k) => away[k] <= most);
}

/** Solves three equations with three right sides each: Gauss and Jordan's elimination. */
function solved(rows) {
  rows.forEach((pivot, k) => {
    rows.forEach((row, i) => {
      const factor = i === k ? 0 : row[k] / pivot[k];
      row.forEach((_, j) => (row[j] -= factor * pivot[j]));
    });
  });
  return rows.map((row, k) => row.slice(3).map((value) => fround(value / row[k])));
}

/** The direction in which the box differs most from its paper, as a vector of length 1. */
function inkDirection(contrast, inner) {
  const colours = range(inner.length)
    .filter((i) => inner[i])
    .map((i) => contrast.subarray(3 * i, 3 * i + 3));
  const sizes = colours.map((colour) => max(colour.map(Math.abs)));
  const least = 0.5 * max(sizes);
  const strong = colours.filter((_, k) => sizes[k] >= least);
  const total = COLOURS.map((c) => sum(strong.map((colour) => colour[c])));
  const length = hypot(...total);
  return total.map((value) => fround(value / Math.max(length, 1e-6)));
}

function along(direction, contrast, i) {
  const from = 3 * i;
  return direction[0] * contrast[from] + direction[1] * contrast[from + 1] +
    direction[2] * contrast[from + 2];
}

/** What counts as full ink, of the strengths in a box. */
function fullInk(strength) {
  if (!strength.length) return 0;
  // A thin pen covers less than 7 % of a large box: what is paper to 93 % is not all of it.
  const [usual, strongest] = quantiles(strength, [0.93, 0.995]);
  return Math.max(usual, 0.6 * strongest);
}

/** Pixels of strokes that lie mostly outside the box: 1 or 0 each. */
function foreignStrokes(mask, inner, width, height) {
  const { runs, areas } = connectedComponents(mask, width, height);
  const outside = areas.map(() => 0);
  for (const { row, start, end, part: its } of runs) {
    for (let i = row * width + start; i < row * width + end; i++) if (!inner[i]) outside[its]++;
  }
  const foreign = new Uint8Array(mask.length);
  for (const { row, start, end, part: its } of runs) {
    if (outside[its] > FOREIGN * areas[its]) {
      foreign.fill(1, row * width + start, row * width + end);
    }
  }
  return foreign;
}

/**
 * Finds the 8-connected parts of a mask by joining its horizontal runs.
 *
 * @param mask Uint8Array or array of booleans, width x height.
 * @returns {runs, boxes, areas}: runs row by row, each {row, start, end, part}; parts are numbered
 *   in the order of their first pixel; boxes x0, y0, x1, y1, half-open; areas in pixels.
 */
export function connectedComponents(mask, width, height) {
  const runs = runsOf(mask, width, height);
  const [boxes, areas] = [[], []];
  joined(runs).forEach((k, i) => {
    const run = runs[i];
    run.part = k;
    if (k === boxes.length) {
      boxes.push([run.start, run.row, run.end, run.row + 1]);
      areas.push(0);
    }
    const box = boxes[k];
    box[0] = Math.min(box[0], run.start);
    box[2] = Math.max(box[2], run.end);
    box[3] = run.row + 1;
    areas[k] += run.end - run.start;
  });
  return { runs, boxes, areas };
}

/** The horizontal runs of a mask, row by row: {row, start, end}. */
export function runsOf(mask, width, height) {
  const runs = [];
  for (let row = 0; row < height; row++) {
    const from = row * width;
    for (let x = 0; x < width; x++) {
      if (!mask[from + x]) continue;
      const start = x;
      while (x < width && mask[from + x]) x++;
      runs.push({ row, start, end: x, part: 0 });
    }
  }
  return runs;
}

/** Which part each run belongs to, numbered in the order of their first members. */
function joined(runs) {
  const parent = runs.map((_, i) => i);
  let above = 0;
  runs.forEach(({ row, start, end }, i) => {
    while (runs[above].row < row - 1) above++;
    // Runs of the row before that end too early touch none of the later ones either.
    while (runs[above].row === row - 1 && runs[above].end < start) above++;
    for (let k = above; runs[k].row === row - 1 && runs[k].start <= end; k++) {
      join(parent, k, i);
    }
  });
  const numbers = new Map();
  return runs.map((_, i) => {
    const root = rootOf(parent, i);
    if (!numbers.has(root)) numbers.set(root, numbers.size);
    return numbers.get(root);
  });
}

function rootOf(parent, i) {
  while (parent[i] !== i) {
    parent[i] = parent[parent[i]];
    i = parent[i];
  }
  return i;
}

function join(parent, one, other) {
  const [a, b] = [rootOf(parent, one), rootOf(parent, other)];
  parent[Math.max(a, b)] = Math.min(a, b);
}
