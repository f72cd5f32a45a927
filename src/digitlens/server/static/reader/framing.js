// Cuts lines of text out of a page, straight and of one height; finds none.
//
// A quad is four points [x, y], top-left first, clockwise. Coordinates are continuous: pixel i
// reaches from i to i + 1.

import { argsortDown, clip, max, rint } from './arrays.js';
import { part } from './images.js';
import { BICUBIC, emptyPicture, reduce, resize, transform } from './resize.js';

export const HEIGHT = 48; // pixels; of a line crop
export const STEP = 8; // columns; widths of crops are multiples of it
const NARROWEST = 16; // columns of a crop
export const WIDEST = 1280;
const GRAY = 127; // what a crop is padded with
const REACH = 2; // pixels that bicubic interpolation looks at beyond a point
const SPARE = 4 / 3; // heights of a crop that are left of a line that is reduced
const LEVEL = 0.01; // pixels by which the corners of an upright quad differ at most
const MOST = 16; // crops of one batch
const COLUMNS = 4096; // of one batch, unless a single crop has more

/** Cuts out one line of text, straightened: a picture of HEIGHT rows, padded with gray. */
export function cropLine(page, quad) {
  const [across, down] = sidesOf(quad);
  const columns = clip(rint((HEIGHT * across) / down), 1, WIDEST);
  const [piece, corners] = surroundings(page, quad);
  const line = straightened(piece, corners, columns);
  const width = Math.max(NARROWEST, Math.ceil(columns / STEP) * STEP);
  return width === columns ? line : padded(line, width);
}

/**
 * Puts crops of like widths together, the widest first.
 *
 * @returns {indices, data, width, count} of each batch; see `readLines`.
 */
export function batchLines(crops) {
  const groups = [];
  for (const index of argsortDown(crops.map(({ width }) => width))) {
    const group = groups.at(-1);
    if (group && fits(crops[group[0]].width, group.length + 1, crops[index].width)) {
      group.push(index);
    } else groups.push([index]);
  }
  return groups.map((indices) => {
    const { width } = crops[indices[0]];
    const data = new Uint8Array(indices.length * HEIGHT * width * 3);
    indices.forEach((index, i) => {
      data.set(padded(crops[index], width).data, i * HEIGHT * width * 3);
    });
    return { indices, data, width, count: indices.length };
  });
}

function fits(widest, count, width) {
  return width >= 0.8 * widest - 2 * STEP && count <= MOST && count * widest <= COLUMNS;
}

function padded(crop, width) {
  if (crop.width === width) return crop;
  const wide = emptyPicture(width, HEIGHT, 3);
  wide.data.fill(GRAY);
  const length = crop.width * 3;
  for (let y = 0; y < HEIGHT; y++) {
    wide.data.set(crop.data.subarray(y * length, (y + 1) * length), y * width * 3);
  }
  return wide;
}

/** Mean lengths of the upper and lower, and of the left and right side, at least a pixel. */
function sidesOf(quad) {
  const length = (i, k) => Math.hypot(quad[k][0] - quad[i][0], quad[k][1] - quad[i][1]);
  return [
    Math.max(1, (length(0, 1) + length(2, 3)) / 2), Math.max(1, (length(1, 2) + length(3, 0)) / 2),
  ];
}

/** The part of a page round a quad, and the quad on it; edge pixels go on beyond the page. */
function surroundings(page, quad) {
  const spans = [page.width, page.height].map((size, k) => {
    const places = quad.map((point) => point[k]);
    return [
      Math.min(Math.floor(-max(places.map((place) => -place))) - REACH, size - 1),
      Math.max(Math.ceil(max(places)) + REACH, 1),
    ];
  });
  const [[left, right], [top, bottom]] = spans;
  return [part(page, left, top, right, bottom), quad.map(([x, y]) => [x - left, y - top])];
}

/** Maps a quad to a rectangle of so many columns. Lines are rectangles: no perspective is left. */
function straightened(piece, quad, columns) {
  const [across, down] = sidesOf(quad);
  const shrink = Math.max(1, Math.trunc(down / (SPARE * HEIGHT)));
  const picture = shrink > 1 ? reduce(piece, shrink) : piece;
  const corners = quad.map((point) => point.map((place) => place / shrink));
  const [[left, top], , [right, bottom]] = corners;
  const upright = [[left, top], [right, top], [right, bottom], [left, bottom]];
  const away = max(corners.map(([x, y], i) =>
    Math.max(Math.abs(x - upright[i][0]), Math.abs(y - upright[i][1]))));
  if (right > left && bottom > top && away < LEVEL) {
    return resize(picture, columns, HEIGHT, BICUBIC, [left, top, right, bottom]);
  }
  const [width, height] = down <= HEIGHT
    ? [columns, HEIGHT]
    : [across, down].map((side) => Math.max(1, rint(side / shrink)));
  return resize(transform(picture, corners, width, height), columns, HEIGHT, BICUBIC);
}
