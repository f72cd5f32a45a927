// The framing of tiles: the ink of a digit in any size in, a 28 x 28 tile as in MNIST out.
//
// Ink and planes are {data, width, height, channels: 1}; ink is bytes, planes are float32.

import { above, clip, max, quantiles, rint } from './arrays.js';
import { resize } from './images.js';
import { emptyPicture } from './resize.js';

const { fround } = Math;

export const SIDE = 28; // of a tile
const FRAME = 20; // longest side of the digit in it

// Stroke widths in tile pixels: what lies outside is brought near MNIST's median from its side.
const THINNEST = 1.5;
const THICKENED = 2.2;
const FATTEST = 5.0;
const THINNED = 4.0;
const FINE = 80; // longest side at which strokes are measured and changed

/**
 * Frames one digit as MNIST does, and brings its strokes to widths that MNIST has.
 *
 * @param ink 0 where there is no ink of this digit, 255 where there is full ink.
 * @returns Uint8Array of 28 x 28, brightest pixel 255; all 0 when there is no ink.
 */
export function toTile(ink) {
  const plane = emptyPicture(ink.width, ink.height, 1, false);
  ink.data.forEach((value, i) => (plane.data[i] = value / 255));
  let digit = crop(plane);
  if (!digit) return new Uint8Array(SIDE * SIDE);
  digit = scaled(withUsualStrokes(digit), FRAME);
  const full = fround(255 / max(digit.data));
  return centred(digit, Uint8Array.from(digit.data, (value) => rint(fround(value * full))));
}

/** Mean width of the strokes in a mask, in pixels: twice the area over the length of its edge. */
export function strokeWidth(mask, width, height) {
  const at = (x, y) => x >= 0 && y >= 0 && x < width && y < height && mask[y * width + x];
  let [area, edge] = [0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!at(x, y)) continue;
      area++;
      if (!(at(x - 1, y) && at(x + 1, y) && at(x, y - 1) && at(x, y + 1))) edge++;
    }
  }
  return (2 * area) / edge;
}

function withUsualStrokes(digit) {
  const fine = scaled(digit, FINE);
  const step = FINE / FRAME;
  const half = max(fine.data) / 2;
  const mask = above(fine.data, half);
  const width = strokeWidth(mask, fine.width, fine.height) / step;
  if (width < THINNEST) {
    // Area averaging leaves a thin stroke faint; it is as black as a thick one.
    const [full] = quantiles(fine.data.filter((value) => value > half), [0.5]);
    const black = { ...fine, data: fine.data.map((value) => Math.min(value / full, 1)) };
    return crop(widened(black, ((THICKENED - width) / 2) * step));
  }
  if (width > FATTEST) return crop(thinned(fine, ((width - THINNED) / 2) * step)) ?? digit;
  return digit;
}

/** Grows bright strokes by a disc; the plane grows by as much on every side. */
function widened(plane, radius) {
  const reach = Math.trunc(radius);
  const grown = emptyPicture(plane.width + 2 * reach, plane.height + 2 * reach, 1, false);
  for (let dy = 0; dy <= 2 * reach; dy++) {
    for (let dx = 0; dx <= 2 * reach; dx++) {
      if ((dy - reach) ** 2 + (dx - reach) ** 2 <= radius ** 2) stamp(grown, plane, dx, dy);
    }
  }
  return grown;
}

/** The brighter of both, one plane laid on the other at a place. */
function stamp(under, plane, left, top) {
  for (let y = 0; y < plane.height; y++) {
    const to = (y + top) * under.width + left;
    for (let x = 0; x < plane.width; x++) {
      const value = plane.data[y * plane.width + x];
      if (value > under.data[to + x]) under.data[to + x] = value;
    }
  }
}

function thinned(plane, radius) {
  const reach = Math.trunc(radius);
  // Outside the plane is paper, which grows.
  const paper = emptyPicture(plane.width + 2 * reach, plane.height + 2 * reach, 1, false);
  paper.data.fill(1);
  const inverted = { ...plane, data: plane.data.map((value) => 1 - value) };
  for (let y = 0; y < plane.height; y++) {
    const row = inverted.data.subarray(y * plane.width, (y + 1) * plane.width);
    paper.data.set(row, (y + reach) * paper.width + reach);
  }
  const around = cut(widened(paper, radius), 2 * reach, 2 * reach, plane.width, plane.height);
  return { ...around, data: around.data.map((value) => 1 - value) };
}

/** The part of a plane that holds ink; null where there is none. */
function crop(plane) {
  let [left, top, right, bottom] = [plane.width, plane.height, 0, 0];
  plane.data.forEach((value, i) => {
    if (!value) return;
    const [x, y] = [i % plane.width, Math.floor(i / plane.width)];
    [left, top] = [Math.min(left, x), Math.min(top, y)];
    [right, bottom] = [Math.max(right, x + 1), Math.max(bottom, y + 1)];
  });
  return right ? cut(plane, left, top, right - left, bottom - top) : null;
}

function cut(plane, left, top, width, height) {
  const result = emptyPicture(width, height, 1, false);
  for (let y = 0; y < height; y++) {
    const from = (y + top) * plane.width + left;
    result.data.set(plane.data.subarray(from, from + width), y * width);
  }
  return result;
}

function scaled(digit, longest) {
  const scale = longest / Math.max(digit.height, digit.width);
  const [width, height] = [digit.width, digit.height].map((side) =>
    Math.max(1, rint(side * scale)),
  );
  return resize(digit, width, height);
}

function centred({ width, height }, digit) {
  const [rows, columns] = [new Float64Array(height), new Float64Array(width)];
  digit.forEach((value, i) => {
    rows[Math.floor(i / width)] += value;
    columns[i % width] += value;
  });
  const [top, left] = [startOf(rows), startOf(columns)];
  const tile = new Uint8Array(SIDE * SIDE);
  for (let y = 0; y < height; y++) {
    tile.set(digit.subarray(y * width, (y + 1) * width), (top + y) * SIDE + left);
  }
  return tile;
}

/** Where the digit starts, so that its centre of mass is right or below of the middle. */
function startOf(mass) {
  let [total, moment] = [0, 0];
  mass.forEach((value, i) => {
    total += value;
    moment += value * (i + 0.5);
  });
  return clip(Math.ceil(SIDE / 2 - moment / total), 0, SIDE - mass.length);
}
