// Takes the ink of one digit out of a page, given its box, so that it can be framed as a tile.

import { above, clip, max, mean, median, quantiles, range, rint } from './arrays.js';
import { connectedComponents } from './components.js';
import { part, shrink } from './images.js';
import { emptyPicture } from './resize.js';
import { eigen, length, solve } from './small_matrices.js';

const { fround } = Math;

const MARGIN = 0.12; // of the longer side: paper seen around the box
const LONGEST = 64; // pixels; more than twice what a tile shows of it
const ENOUGH = 512; // pixels of the rim to know the paper by
const FAINT = 0.25; // of full ink: less is paper
const FOREIGN = 0.5; // share of a stroke's pixels outside the box: more, and it is a neighbour's
const RANGE = fround(0.85 - FAINT); // from paper to full ink
const STROKE = fround(0.3); // level from which a pixel belongs to a stroke

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
  const strength = alongInk(withoutPaper(crop, inner), inner);
  const full = fround(fullInk(strength.filter((_, i) => inner[i])));
  if (full < 4) return ink;
  const level = strength.map((value) => clip(fround(fround(value / full) - FAINT) / RANGE, 0, 1));
  const strokes = above(level, STROKE);
  const foreign = foreignStrokes(strokes, inner, crop.width, crop.height);
  level.forEach((value, i) => (ink.data[i] = foreign[i] ? 0 : rint(fround(value * 255))));
  return ink;
}

/** The part of the page around a box, shrunk, and which of its pixels lie in the box. */
function cropped(page, [x0, y0, x1, y1]) {
  const margin = Math.max(1.0, MARGIN * Math.max(x1 - x0, y1 - y0));
  let [left, top] = [x0, y0].map((low) => Math.max(0, Math.trunc(low - margin)));
  const right = Math.min(page.width, Math.max(left + 1, Math.ceil(x1 + margin)));
  const bottom = Math.min(page.height, Math.max(top + 1, Math.ceil(y1 + margin)));
  [left, top] = [Math.min(left, right - 1), Math.min(top, bottom - 1)];
  // Two pixels for each that is wanted are enough to average, and quick to fetch.
  const longest = Math.max(bottom - top, right - left);
  const step = Math.max(1, Math.floor(longest / (2 * LONGEST)));
  const crop = shrink(part(page, left, top, right, bottom, step), LONGEST);
  const columns = within(crop.width, left, right, x0, x1);
  const rows = within(crop.height, top, bottom, y0, y1);
  const inner = rows.flatMap((row) => columns.map((column) => row && column));
  return { crop, inner };
}

/** Which pixels of an axis have their middle between two places on the page. */
function within(size, start, end, low, high) {
  const scale = size / (end - start);
  return range(size).map((i) => {
    const middle = (i + 0.5) / scale + start;
    return middle >= low && middle <= high;
  });
}

/**
 * How far each pixel is from the paper's colour: one array for each channel.
 *
 * The colour is taken from the rim around the box, as a plane that may slope. Neighbours' strokes
 * in the rim do not count: what is far from its median is left out.
 */
function withoutPaper({ data, width, height, channels }, inner) {
  const planes = range(channels).map((c) =>
    new Float32Array(width * height).map((_, i) => data[i * channels + c]),
  );
  const near = nearPaper(planes, rimOf(inner));
  const matrix = [0, 1, 2].map(() => [0, 0, 0]);
  const wanted = planes.map(() => [0, 0, 0]);
  for (const i of near.places) {
    const row = [1, (i % width) / width - 0.5, Math.floor(i / width) / height - 0.5];
    row.forEach((one, a) => {
      row.forEach((other, b) => (matrix[a][b] += one * other));
      planes.forEach((plane, c) => (wanted[c][a] += one * plane[i]));
    });
  }
  [1e-6, 0.05 * near.of, 0.05 * near.of].forEach((stiff, a) => (matrix[a][a] += stiff));
  return planes.map((plane, c) => {
    const [level, right, below] = solve(matrix, wanted[c]).map(fround);
    return plane.map((value, i) => {
      const across = fround((i % width) / width - 0.5);
      const down = fround(Math.floor(i / width) / height - 0.5);
      const paper = fround(level + fround(right * across));
      return value - fround(paper + fround(below * down));
    });
  });
}

/** At most some thousand pixels outside the box; of all where there are hardly any. */
function rimOf(inner) {
  const outside = range(inner.length).filter((i) => !inner[i]);
  const rim = outside.length > 16 ? outside : range(inner.length);
  const step = Math.max(1, Math.floor(rim.length / ENOUGH));
  return rim.filter((_, i) => i % step === 0);
}

/** Those places of the rim that are near its usual colour, and of how many. */
function nearPaper(planes, rim) {
  const middle = planes.map((plane) => median(rim.map((i) => plane[i])));
  const away = rim.map((i) => max(planes.map((plane, c) => Math.abs(plane[i] - middle[c]))));
  const most = Math.max(6.0, quantiles(away, [0.6])[0]);
  return { places: rim.filter((_, k) => away[k] <= most), of: rim.length };
}

/** One plane from three: along the direction in which the box differs most from its paper. */
function alongInk(contrast, inner) {
  const count = inner.length;
  const pixels = range(count).filter((i) => inner[i]);
  if (!pixels.length) return new Float32Array(count);
  const sizes = pixels.map((i) => max(contrast.map((plane) => Math.abs(plane[i]))));
  const least = 0.5 * max(sizes);
  const strong = pixels
    .filter((_, k) => sizes[k] >= least)
    .map((i) => contrast.map((plane) => plane[i]));
  const direction = inkDirection(strong, contrast.length);
  return new Float32Array(count).map((_, i) =>
    contrast.reduce((total, plane, c) => total + direction[c] * plane[i], 0),
  );
}

/** The usual direction of the strongest pixels, as a vector of length 1. */
function inkDirection(strong, channels) {
  const direction = range(channels).map((c) => mean(strong.map((pixel) => pixel[c])));
  const size = length(direction);
  if (size >= 0.3 * mean(strong.map(length))) {
    return direction.map((value) => fround(value / Math.max(size, 1e-6)));
  }
  // Dark and bright at once: take the stronger side.
  const matrix = range(channels).map((a) =>
    range(channels).map((b) => strong.reduce((total, pixel) => total + pixel[a] * pixel[b], 0)),
  );
  const axis = eigen(matrix);
  const cubes = strong.reduce(
    (total, pixel) => total + pixel.reduce((dot, value, c) => dot + value * axis[c], 0) ** 3, 0,
  );
  return axis.map((value) => fround(value * Math.sign(cubes)));
}

/** What counts as full ink, of the strengths in a box. */
function fullInk(strength) {
  if (!strength.length) return 0;
  // A thin pen covers less than 7 % of a large box: what is paper to 93 % is not all of it.
  const [usual, strongest] = quantiles(strength, [0.93, 0.995]);
  return Math.max(usual, 0.6 * strongest);
}

/** Pixels of strokes that lie mostly outside the box. */
function foreignStrokes(mask, inner, width, height) {
  const { labels, areas } = connectedComponents(mask, width, height);
  const outside = new Float64Array(areas.length + 1);
  labels.forEach((label, i) => {
    if (!inner[i]) outside[label]++;
  });
  const foreign = areas.map((area, k) => outside[k + 1] > FOREIGN * area);
  return Array.from(labels, (label) => label > 0 && foreign[label - 1]);
}
