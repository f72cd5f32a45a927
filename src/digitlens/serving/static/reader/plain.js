// Finds the digits of plain drawings without a network: strokes that stand apart on flat paper.
//
// A drawing on a screen, a scan of clean paper, an enlarged tile: there each stroke is a candidate,
// and all that is left to say is which digit it is. Everything else is left to looks.

import { argsort, max, median, quantiles, range } from './arrays.js';
import { connectedComponents } from './components.js';
import { part, shrink } from './images.js';

const { fround } = Math;

const LONGEST = 320; // pixels of the copy in which ink is looked for
const RIM = 2; // pixels at the edge that show the paper
const SMALLEST = 8; // pixels; smaller copies have no rim to speak of
const CONTRAST = 64.0; // gray levels between paper and full ink
const INK = 0.4; // of full ink
const FLAT = 0.12; // of full ink: paper differs less from its median ...
const GRAIN = 12.0; // ... or by so many gray levels
const MOST_INK = 0.4; // of all pixels
const SOFT = 0.1; // of the largest stroke's longer side: so far from ink, gray is a stroke's edge
const STRAY = 0.002; // of all pixels may be gray and far from ink
const SPECK = 0.2; // of the largest stroke's longer side: what is smaller is no digit
const SPECKS = 4; // with more of them, the paper is not plain
const DIGITS = 12; // with more strokes, it is a page
const LEAST = 14; // pixels in the copy: longer side of a digit
const GAP = 2; // columns between two digits

/**
 * The boxes of strokes that stand side by side on flat paper.
 *
 * @returns Float32Arrays x0, y0, x1, y1 from left to right, in page pixels, at least one; null
 *   where the page is anything else: paper with a pattern or shadows, grays that belong to no
 *   stroke, strokes above one another, too many or too small.
 */
export function isolatedStrokes(page) {
  const longest = Math.max(page.width, page.height);
  const step = Math.max(1, Math.floor(longest / LONGEST));
  const sample = part(page, 0, 0, page.width, page.height, step);
  if (deviation(sample, rimOf(sample)) > fround(FLAT * 255)) return null;
  const copy = shrink(page, LONGEST);
  if (Math.min(copy.width, copy.height) < SMALLEST) return null;
  const rim = rimOf(copy);
  const paper = paperOf(copy, rim);
  const away = range(copy.width * copy.height).map((i) => distance(copy, i, paper));
  const full = max(away);
  const ink = fround(INK * full);
  const flat = fround(Math.max(GRAIN, FLAT * full));
  if (full < CONTRAST || deviation(copy, rim) > flat) return null;
  const boxes = strokes(
    away.map((value) => value > ink), away.map((value) => value > flat), copy,
  );
  const scale = longest / Math.max(copy.width, copy.height);
  return boxes && boxes.map((box) => Float32Array.from(box, (side) => side * scale));
}

/** The pixels at the edge, those of the corners as often as edges meet there. */
function rimOf({ width, height }) {
  const [columns, rows] = [range(width), range(height)];
  const edge = (places) => [...places.slice(0, RIM), ...places.slice(-RIM)];
  return [
    ...edge(rows).flatMap((y) => columns.map((x) => y * width + x)),
    ...edge(columns).flatMap((x) => rows.map((y) => y * width + x)),
  ];
}

/** The colour that most of these pixels have. */
function paperOf({ data, channels }, pixels) {
  return range(channels).map((c) => median(pixels.map((i) => data[i * channels + c])));
}

/** How far most of these pixels are from their usual colour. */
function deviation(picture, pixels) {
  const paper = paperOf(picture, pixels);
  return quantiles(pixels.map((i) => distance(picture, i, paper)), [0.99])[0];
}

function distance({ data, channels }, i, paper) {
  let most = 0;
  for (let c = 0; c < channels; c++) {
    most = Math.max(most, Math.abs(data[i * channels + c] - paper[c]));
  }
  return most;
}

/** Boxes of strokes in the copy, if there is nothing beside them. */
function strokes(ink, gray, { width, height }) {
  const all = connectedComponents(ink, width, height).boxes;
  const longer = all.map(([x0, y0, x1, y1]) => Math.max(x1 - x0, y1 - y0));
  const largest = max(longer);
  const large = all.filter((_, i) => longer[i] >= SPECK * largest);
  const boxes = argsort(large.map(([x0]) => x0)).map((i) => large[i]);
  const near = around(ink, width, height, Math.max(3, Math.ceil(SOFT * largest)));
  const share = (mask) => mask.filter(Boolean).length / mask.length;
  const plain =
    share(ink) <= MOST_INK &&
    share(gray.map((value, i) => value && !near[i])) <= STRAY &&
    all.length - boxes.length <= SPECKS &&
    boxes.length <= DIGITS &&
    Math.min(...longer.filter((side) => side >= SPECK * largest)) >= LEAST &&
    standApart(boxes);
  return plain ? boxes : null;
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

/** Grows a mask along one axis: `lines` of them, `length` pixels that lie `stride` apart. */
function spread(mask, lines, gap, length, stride, reach) {
  const grown = new Uint8Array(mask.length);
  for (let line = 0; line < lines; line++) {
    let until = -1;
    for (let k = 0; k < length + reach; k++) {
      if (k < length && mask[line * gap + k * stride]) until = k + reach;
      const place = k - reach;
      // A pixel is near ink that came up to `reach` after it, or up to `reach` before it.
      if (place >= 0 && place < length && until >= place) grown[line * gap + place * stride] = 1;
    }
  }
  return grown;
}
