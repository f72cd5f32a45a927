// Cuts lines of text out of a page, straight and of one height; finds none.
//
// A quad is four points [x, y], top-left first, clockwise. Coordinates are continuous: pixel i
// reaches from i to i + 1.

import { argsortDown, boundsOf, clip, cornersOf, max, rint } from './arrays.js';
import { BICUBIC, emptyPicture, part, paste, reduce, resize, transform } from './pictures.js';

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

/**
 * Cuts out one line of text, straightened: a picture of HEIGHT rows, padded with gray, so many
 * times as wide as by the proportions of the line.
 */
export function cropLine(page, quad, stretch = 1) {
  const [across, down] = sidesOf(quad);
  const columns = clip(rint((stretch * HEIGHT * across) / down), 1, WIDEST);
  const width = Math.max(NARROWEST, Math.ceil(columns / STEP) * STEP);
  return batched([straightened(...surroundings(page, quad), columns)], width);
}

/** Puts crops of like widths together, the widest first: {indices, data, width, count} of each. */
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
    const batch = batched(indices.map((index) => crops[index]), width);
    return { indices, data: new Uint8Array(batch.data.buffer), width, count: indices.length };
  });
}

function fits(widest, count, width) {
  return width >= 0.8 * widest - 2 * STEP && count <= MOST && count * widest <= COLUMNS;
}

/** Crops one below the other, padded with gray. */
function batched(crops, width) {
  const batch = emptyPicture(width, HEIGHT * crops.length, 3);
  batch.data.fill(GRAY);
  crops.forEach((crop, i) => paste(batch, crop, 0, i * HEIGHT));
  return batch;
}

/** Mean lengths of the upper and lower, and of the left and right side, at least a pixel. */
function sidesOf(quad) {
  const [top, right, bottom, left] = quad.map(([x, y], i) => {
    const [toX, toY] = quad[(i + 1) % 4];
    return Math.hypot(toX - x, toY - y);
  });
  return [Math.max(1, (top + bottom) / 2), Math.max(1, (right + left) / 2)];
}

/** The part of a page round a quad, and the quad on it; edge pixels go on beyond the page. */
function surroundings(page, quad) {
  const [x0, y0, x1, y1] = boundsOf(quad);
  const left = Math.min(Math.floor(x0) - REACH, page.width - 1);
  const top = Math.min(Math.floor(y0) - REACH, page.height - 1);
  const [right, bottom] = [x1, y1].map((side) => Math.max(Math.ceil(side) + REACH, 1));
  return [part(page, [left, top, right, bottom]), quad.map(([x, y]) => [x - left, y - top])];
}

/** Maps a quad to a rectangle of so many columns. Lines are rectangles: no perspective is left. */
function straightened(piece, quad, columns) {
  const [across, down] = sidesOf(quad);
  const shrink = Math.max(1, Math.trunc(down / (SPARE * HEIGHT)));
  const picture = shrink > 1 ? reduce(piece, shrink) : piece;
  const corners = quad.map((point) => point.map((place) => place / shrink));
  const [[left, top], , [right, bottom]] = corners;
  const upright = cornersOf([left, top, right, bottom]).flat();
  const away = max(corners.flat().map((place, i) => Math.abs(place - upright[i])));
  if (right > left && bottom > top && away < LEVEL) {
    return resize(picture, columns, HEIGHT, BICUBIC, [left, top, right, bottom]);
  }
  const size = down <= HEIGHT
    ? [columns, HEIGHT]
    : [across, down].map((side) => Math.max(1, rint(side / shrink)));
  return resize(transform(picture, corners, ...size), columns, HEIGHT, BICUBIC);
}
