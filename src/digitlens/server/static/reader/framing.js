// Crops text lines, straightened and of one height, given their quads.
//
// A quad is four points [x, y], top-left first, clockwise. Coordinates are continuous: pixel i
// spans i to i + 1.

import { argsortDown, boundsOf, clip, cornersOf, max, rint } from './arrays.js';
import { BICUBIC, emptyPicture, part, paste, reduce, resize, transform } from './pictures.js';

export const HEIGHT = 48; // pixels; of a line crop
export const STEP = 8; // columns; widths of crops are multiples of it
const MIN_WIDTH = 16; // columns of a crop
export const MAX_WIDTH = 1280;
const GRAY = 127; // padding of a crop
const SUPPORT = 2; // pixels: support of bicubic interpolation around a point
const MIN_REDUCED_HEIGHT = 4 / 3; // crop heights: least height of a line after reduction
const UPRIGHT_TOLERANCE = 0.01; // pixels: tolerance within which a quad counts as upright
const BATCH_CROPS = 16; // crops per batch
const BATCH_COLUMNS = 4096; // per batch, unless a single crop has more

/**
 * Crops one text line, straightened, to HEIGHT rows, padded with gray; `stretch` scales its width
 * relative to the proportions of the line.
 */
export function cropLine(page, quad, stretch = 1) {
  const [across, down] = meanSides(quad);
  const columns = clip(rint((stretch * HEIGHT * across) / down), 1, MAX_WIDTH);
  const width = Math.max(MIN_WIDTH, Math.ceil(columns / STEP) * STEP);
  return stackPadded([straighten(...cropSurroundings(page, quad), columns)], width);
}

/** Batches crops of similar width, widest first: {indices, data, width, count} of each batch. */
export function batchLines(crops) {
  const groups = [];
  for (const index of argsortDown(crops.map(({ width }) => width))) {
    const group = groups.at(-1);
    if (group && fitsBatch(crops[group[0]].width, group.length + 1, crops[index].width)) {
      group.push(index);
    } else groups.push([index]);
  }
  return groups.map((indices) => {
    const { width } = crops[indices[0]];
    const batch = stackPadded(indices.map((index) => crops[index]), width);
    return { indices, data: new Uint8Array(batch.data.buffer), width, count: indices.length };
  });
}

function fitsBatch(widest, count, width) {
  return width >= 0.8 * widest - 2 * STEP
    && count <= BATCH_CROPS && count * widest <= BATCH_COLUMNS;
}

/** Stacks crops vertically, padded with gray. */
function stackPadded(crops, width) {
  const batch = emptyPicture(width, HEIGHT * crops.length, 3);
  batch.data.fill(GRAY);
  crops.forEach((crop, i) => paste(batch, crop, 0, i * HEIGHT));
  return batch;
}

/** Mean width and mean height of a quad, at least one pixel each. */
function meanSides(quad) {
  const [top, right, bottom, left] = quad.map(([x, y], i) => {
    const [toX, toY] = quad[(i + 1) % 4];
    return Math.hypot(toX - x, toY - y);
  });
  return [Math.max(1, (top + bottom) / 2), Math.max(1, (right + left) / 2)];
}

/** The part of a page around a quad, and the quad in it; edge pixels are repeated off the page. */
function cropSurroundings(page, quad) {
  const [x0, y0, x1, y1] = boundsOf(quad);
  const left = Math.min(Math.floor(x0) - SUPPORT, page.width - 1);
  const top = Math.min(Math.floor(y0) - SUPPORT, page.height - 1);
  const [right, bottom] = [x1, y1].map((side) => Math.max(Math.ceil(side) + SUPPORT, 1));
  return [part(page, [left, top, right, bottom]), quad.map(([x, y]) => [x - left, y - top])];
}

/** Maps a quad to the given number of columns; affine, since lines are rectangles. */
function straighten(surroundings, quad, columns) {
  const [across, down] = meanSides(quad);
  const shrink = Math.max(1, Math.trunc(down / (MIN_REDUCED_HEIGHT * HEIGHT)));
  const picture = shrink > 1 ? reduce(surroundings, shrink) : surroundings;
  const corners = quad.map((point) => point.map((place) => place / shrink));
  const [[left, top], , [right, bottom]] = corners;
  const upright = cornersOf([left, top, right, bottom]).flat();
  const deviation = max(corners.flat().map((place, i) => Math.abs(place - upright[i])));
  if (right > left && bottom > top && deviation < UPRIGHT_TOLERANCE) {
    return resize(picture, columns, HEIGHT, BICUBIC, [left, top, right, bottom]);
  }
  const size = down <= HEIGHT
    ? [columns, HEIGHT]
    : [across, down].map((side) => Math.max(1, rint(side / shrink)));
  return resize(transform(picture, corners, ...size), columns, HEIGHT, BICUBIC);
}
