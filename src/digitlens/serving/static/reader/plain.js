// Finds the digits of plain drawings without a network: strokes that stand apart on flat paper.
//
// A drawing on a screen, a scan of clean paper, an enlarged tile: there each stroke is a candidate,
// and all that is left to say is which digit it is. Everything else is left to looks.

import { above, argsort, max, median, quantiles, range, rint } from './arrays.js';
import { connectedComponents } from './components.js';
import { shrink } from './images.js';
import { emptyPicture } from './resize.js';
import { strokeWidth } from './tiles.js';

const { fround } = Math;

const LONGEST = 320; // pixels of the copy in which ink is looked for
const RIM = 2; // pixels at the edge that show the paper
const SMALLEST = 8; // pixels; smaller copies have no rim to speak of
const NEARLY_ALL = 0.99; // of the edge is paper
const CONTRAST = 64.0; // gray levels between paper and full ink
const INK = 0.4; // of full ink
const FLAT = 0.12; // of full ink: paper differs less from its median ...
const GRAIN = 12.0; // ... or by so many gray levels
const MOST_INK = 0.4; // of all pixels
const SOFT = 0.1; // of the largest stroke's longer side: so far from ink, gray is a stroke's edge
const STRAY = 0.01; // of all pixels may be gray and far from ink
const SPECK = 0.2; // of the largest stroke's longer side: what is smaller is no digit
const SPECKS = 4; // with more of them, the paper is not plain
const DIGITS = 12; // with more strokes, it is a page
const LEAST = 14; // pixels in the copy: longer side of a digit
const GAP = 2; // columns between two digits
const REDUCED = 2; // pages so many times larger than the copy lose thin lines in it
const HAIR = 2.5; // pixels of the copy, each as dark as its darkest spot: a thin line there

/**
 * The strokes of a plain drawing.
 *
 * @returns {boxes, page, scale}: Float32Arrays x0, y0, x1, y1 from left to right in page pixels, at
 *   least one; the page, or where its pen is as thin as a hair a copy of it that still shows the
 *   pen, dark on bright; and page pixels of a pixel of the copy, 1 for the page itself. null where
 *   the page is anything else: paper with a pattern or shadows, grays that belong to no stroke,
 *   strokes above one another, too many or too small.
 */
export function isolatedStrokes(page) {
  const { width, height } = page;
  const longest = Math.max(width, height);
  const factor = Math.ceil(longest / LONGEST);
  if (Math.min(width, height) < SMALLEST * factor) return null;
  const rim = edgeOf(width, height, factor);
  const paper = paperOf(page, rim);
  const away = rim.map((i) => distance(page.data, i, page.channels, paper));
  if (quantiles(away, [NEARLY_ALL])[0] > fround(FLAT * 255)) return null;
  const thin = factor >= REDUCED ? hairlines(page, factor, paper) : null;
  if (thin) {
    const boxes = strokes(thin);
    return boxes && { boxes: grown(boxes, factor), page: darkOnBright(thin), scale: factor };
  }
  const copy = shrink(page, LONGEST);
  const boxes = strokes(awayFrom(copy, paperOf(copy, edgeOf(copy.width, copy.height))));
  const scale = longest / Math.max(copy.width, copy.height);
  return boxes && { boxes: grown(boxes, fround(scale)), page, scale: 1 };
}

function grown(boxes, scale) {
  return boxes.map((box) => Float32Array.from(box, (side) => side * scale));
}

/**
 * A plane of the farthest from the paper of factor x factor pixels, if strokes are thin, or null.
 *
 * An average would leave next to nothing of a line of one pixel.
 */
function hairlines(page, factor, paper) {
  const [width, height] = [page.width, page.height].map((side) => Math.floor(side / factor));
  const away = emptyPicture(width, height, 1, false);
  for (let y = 0; y < height * factor; y++) {
    const row = Math.floor(y / factor) * width;
    for (let x = 0; x < width * factor; x++) {
      const to = row + Math.floor(x / factor);
      const far = distance(page.data, y * page.width + x, page.channels, paper);
      if (far > away.data[to]) away.data[to] = far;
    }
  }
  const level = fround(INK * max(away.data));
  const ink = above(away.data, level);
  return ink.includes(1) && strokeWidth(ink, width, height) < HAIR ? away : null;
}

function darkOnBright(thin) {
  const full = fround(255 / max(thin.data));
  const levels = thin.data.map((value) => rint(fround(255 - fround(value * full))));
  const data = new Uint8ClampedArray(levels);
  return { ...thin, data };
}

/** A plane of how far each pixel is from the paper. */
function awayFrom({ data, width, height, channels }, paper) {
  const away = emptyPicture(width, height, 1, false);
  for (let i = 0; i < away.data.length; i++) away.data[i] = distance(data, i, channels, paper);
  return away;
}

/**
 * The pixels of every `step`-th row and column that are two or less from the edge.
 *
 * Those of a corner come as often as edges meet there.
 */
function edgeOf(width, height, step = 1) {
  const [columns, rows] = [width, height].map((side) =>
    range(Math.ceil(side / step)).map((i) => i * step),
  );
  const ends = (places) => [...places.slice(0, RIM), ...places.slice(-RIM)];
  return [
    ...ends(rows).flatMap((y) => columns.map((x) => y * width + x)),
    ...ends(columns).flatMap((x) => rows.map((y) => y * width + x)),
  ];
}

/** The colour that most of these pixels have. */
function paperOf({ data, channels }, pixels) {
  return range(channels).map((c) => median(pixels.map((i) => data[i * channels + c])));
}

function distance(data, i, channels, paper) {
  let most = 0;
  for (let c = 0, from = i * channels; c < channels; c++) {
    const away = Math.abs(data[from + c] - paper[c]);
    if (away > most) most = away;
  }
  return most;
}

/** Boxes of strokes in a plane of distances from the paper, if there is nothing beside them. */
function strokes({ data, width, height }) {
  const full = max(data);
  const flat = fround(Math.max(GRAIN, FLAT * full));
  const rim = edgeOf(width, height).map((i) => data[i]);
  if (full < CONTRAST || quantiles(rim, [NEARLY_ALL])[0] > flat) return null;
  const level = fround(INK * full);
  const ink = above(data, level);
  const all = connectedComponents(ink, width, height).boxes;
  const longer = all.map(([x0, y0, x1, y1]) => Math.max(x1 - x0, y1 - y0));
  const largest = max(longer);
  const large = all.filter((_, i) => longer[i] >= SPECK * largest);
  const boxes = argsort(large.map(([x0]) => x0)).map((i) => large[i]);
  const near = around(ink, width, height, Math.max(3, Math.ceil(SOFT * largest)));
  const plain =
    count(ink.length, (i) => ink[i]) / ink.length <= MOST_INK &&
    count(ink.length, (i) => data[i] > flat && !near[i]) / ink.length <= STRAY &&
    all.length - boxes.length <= SPECKS &&
    boxes.length <= DIGITS &&
    Math.min(...longer.filter((side) => side >= SPECK * largest)) >= LEAST &&
    standApart(boxes);
  return plain ? boxes : null;
}

function count(length, holds) {
  let found = 0;
  for (let i = 0; i < length; i++) if (holds(i)) found++;
  return found;
}

function standApart(boxes) {
  let right = -Infinity;
  return boxes.every(([x0, , x1]) => {
    const apart = x0 >= right + GAP;
    right = Math.max(right, x1);
    return apart;
  });
}

/** The pixels of a mask and all that are within reach of it, in rows and columns. */
function around(mask, width, height, reach) {
  const down = spread(mask, width, 1, height, width, reach);
  return spread(down, height, width, width, 1, reach);
}

/** Grows a mask along lines that start `gap` apart, of `length` pixels that lie `stride` apart. */
function spread(mask, lines, gap, length, stride, reach) {
  const result = new Uint8Array(mask.length);
  for (let line = 0; line < lines; line++) {
    let until = -1;
    for (let k = 0; k < length + reach; k++) {
      if (k < length && mask[line * gap + k * stride]) until = k + reach;
      // The last ink within reach behind this place, or ahead of it.
      const place = k - reach;
      if (place >= 0 && until >= place) result[line * gap + place * stride] = 1;
    }
  }
  return result;
}
