// Frames the ink of a digit, of any size, as a 28 x 28 tile as in MNIST.

import { clip, max, quantile, rint, sum, tabulate } from './arrays.js';
import { grow } from './ink.js';
import { emptyPicture, part, paste, resizePlane, sidesAt } from './pictures.js';

const { fround } = Math;

export const SIDE = 28; // of a tile
const FRAME = 20; // longest side of the digit in it

// Stroke widths in tile pixels: widths outside the range are moved towards MNIST's median.
const MIN_STROKE = 1.5;
const THICKENED_STROKE = 2.2;
const MAX_STROKE = 5.0;
const THINNED_STROKE = 4.0;
const FINE_SIDE = 80; // longest side at which strokes are measured and changed

/**
 * Frames one digit as MNIST does, with stroke widths as in MNIST.
 *
 * @param ink Bytes: 0 without ink of this digit, 255 at full ink.
 * @returns Uint8Array of 28 x 28, brightest pixel 255; all 0 without ink.
 */
export function toTile(ink) {
  const tile = emptyPicture(SIDE, SIDE, 1, Uint8Array);
  const levels = tabulate(Float32Array, ink.data.length, (i) => ink.data[i] / 255);
  const cropped = crop({ ...ink, data: levels });
  if (!cropped) return tile.data;
  const digit = scaleTo(normaliseStrokes(cropped), FRAME);
  const { width, height } = digit;
  const full = fround(255 / max(digit.data));
  const data = tabulate(Uint8Array, width * height, (i) => rint(fround(digit.data[i] * full)));
  const left = startOf(data, width, (i) => i % width);
  const top = startOf(data, height, (i) => Math.floor(i / width));
  return paste(tile, { data, width, height }, left, top).data;
}

/** Start of a digit along an axis, so that its centre of mass is at or just past the middle. */
function startOf(data, length, placeOf) {
  const moment = sum(tabulate(Float64Array, data.length, (i) => data[i] * (placeOf(i) + 0.5)));
  return clip(Math.ceil(SIDE / 2 - moment / sum(data)), 0, SIDE - length);
}

/** Mean width of the strokes in a mask, in pixels: twice the area over the length of its edge. */
function strokeWidth(mask, width) {
  let edge = 0;
  for (let i = 0; i < mask.length; i++) {
    const column = i % width;
    const isInside = mask[i - width] && mask[i + width] && column && mask[i - 1]
      && column < width - 1 && mask[i + 1];
    if (mask[i] && !isInside) edge++;
  }
  return (2 * sum(mask)) / edge;
}

function normaliseStrokes(digit) {
  const fine = scaleTo(digit, FINE_SIDE);
  const step = FINE_SIDE / FRAME;
  const half = max(fine.data) / 2;
  const width = strokeWidth(fine.data.map((value) => value > half), fine.width) / step;
  if (width < MIN_STROKE) {
    // Area averaging leaves a thin stroke faint; this restores full black.
    const full = quantile(fine.data.filter((value) => value > half), 0.5);
    const black = { ...fine, data: fine.data.map((value) => Math.min(value / full, 1)) };
    return crop(dilate(black, ((THICKENED_STROKE - width) / 2) * step));
  }
  if (width <= MAX_STROKE) return digit;
  return crop(erode(fine, ((width - THINNED_STROKE) / 2) * step)) ?? digit;
}

/** Dilates bright strokes by a disc; the plane grows by its radius on every side. */
function dilate({ data, width, height }, radius) {
  const border = Math.trunc(radius);
  const grown = emptyPicture(width + 2 * border, height + 2 * border, 1, Float32Array);
  for (let dy = -border; dy <= border; dy++) {
    for (let dx = -border; dx <= border; dx++) {
      if (dy ** 2 + dx ** 2 > radius ** 2) continue;
      for (let y = 0, i = 0; y < height; y++) {
        const row = (y + border + dy) * grown.width + border + dx;
        for (let index = row; index < row + width; index++, i++) {
          if (data[i] > grown.data[index]) grown.data[index] = data[i];
        }
      }
    }
  }
  return grown;
}

/** Erodes bright strokes by a disc; the outside of the plane counts as paper. */
function erode(plane, radius) {
  const [border, { width, height }] = [Math.trunc(radius), plane];
  const padded = emptyPicture(width + 2 * border, height + 2 * border, 1, Float32Array);
  const inverted = ({ data, ...rest }) => ({ ...rest, data: data.map((value) => 1 - value) });
  const paper = dilate(inverted(paste(padded, plane, border, border)), radius);
  const box = [2 * border, 2 * border, 2 * border + width, 2 * border + height];
  return inverted(part(paper, box));
}

/** The part of a plane with ink; null without ink. */
function crop(plane) {
  const { data, width } = plane;
  const box = [Infinity, Infinity, 0, 0];
  data.forEach((value, i) => value && grow(box, i % width, Math.floor(i / width)));
  return box[2] ? part(plane, box) : null;
}

function scaleTo(digit, longest) {
  const scale = longest / Math.max(digit.height, digit.width);
  return resizePlane(digit, ...sidesAt(digit, scale));
}
