// Pictures {data, width, height, channels} in row order: cropped, turned and resized as in Pillow.
//
// A page has three channels of bytes, a plane one of float32. Resizing follows libImaging's
// Resample.c: along rows, then along columns of the rounded result; weights are 22-bit integers for
// bytes and doubles for floats.

import { clip, range, rint } from './arrays.js';
import { flattened, paperBelow } from './transparency.js';

const { fround } = Math;

export const BOX = { support: 0.5, weigh: (x) => Number(x > -0.5 && x <= 0.5) };
export const BILINEAR = { support: 1, weigh: (x) => Math.max(0, 1 - Math.abs(x)) };
export const BICUBIC = {
  support: 2,
  weigh(x) {
    const d = Math.abs(x);
    if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
    return d < 2 ? -0.5 * (((d - 5) * d + 8) * d - 4) : 0;
  },
};
const ONE = 2 ** 22; // weight 1 for bytes

/** A black picture. */
export function emptyPicture(width, height, channels, Kind = Uint8ClampedArray) {
  return { data: new Kind(width * height * channels), width, height, channels };
}

/** The page of an RGBA picture from a canvas, flattened onto the background from paperBelow. */
export function pageOf({ data, width, height }) {
  if (data.length !== width * height * 4 || !data.length) {
    throw new RangeError(`expected ${width} x ${height} RGBA pixels, found ${data.length} bytes`);
  }
  const page = emptyPicture(width, height, 3);
  const paper = paperBelow(data);
  for (let i = 0, to = 0; i < data.length; i += 4, to += 3) {
    for (let c = 0; c < 3; c++) page.data[to + c] = flattened(data[i + c], data[i + 3], paper);
  }
  return page;
}

/** Every `step`-th pixel of a part of a picture; edge pixels are repeated beyond its edge. */
export function part({ data, width, height, channels }, [left, top, right, bottom], step = 1) {
  const [columns, rows] = [right - left, bottom - top].map((side) => Math.ceil(side / step));
  const result = emptyPicture(columns, rows, channels, data.constructor);
  const isInside = step === 1 && left >= 0 && right <= width;
  for (let y = 0; y < rows; y++) {
    const row = width * clip(top + y * step, 0, height - 1);
    const offset = y * columns * channels;
    const span = [row + left, row + right].map((place) => place * channels);
    if (isInside) result.data.set(data.subarray(...span), offset);
    else for (let i = 0; i < columns * channels; i++) {
      const x = clip(left + Math.floor(i / channels) * step, 0, width - 1);
      result.data[offset + i] = data[(row + x) * channels + i % channels];
    }
  }
  return result;
}

/** Pastes a picture onto another one in place, and returns that. */
export function paste(target, { data, width, height }, left = 0, top = 0) {
  const { channels } = target;
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * width * channels, (y + 1) * width * channels);
    target.data.set(row, ((y + top) * target.width + left) * channels);
  }
  return target;
}

/** A page after `turn` counter-clockwise quarter turns. */
export function turned(page, turn) {
  if (!turn) return page;
  const { data, width, height } = page;
  const result = emptyPicture(height, width, 3);
  for (let x = width - 1, index = 0; x >= 0; x--) {
    for (let y = 0; y < height; y++) {
      for (let c = 0; c < 3; c++) result.data[index++] = data[3 * (y * width + x) + c];
    }
  }
  return turned(result, turn - 1);
}

/** The sides of a picture times a scale, at least one pixel each. */
export function sidesAt({ width, height }, scale) {
  return [width, height].map((side) => Math.max(1, rint(side * scale)));
}

/** A picture reduced by area averaging so that no side exceeds `longest` pixels. */
export function shrink(picture, longest) {
  const scale = longest / Math.max(picture.width, picture.height);
  return scale < 1 ? resize(picture, ...sidesAt(picture, scale), BOX) : picture;
}

/** Resizes a plane of floats: area average when shrinking, bilinear when growing. */
export function resizePlane(plane, width, height) {
  const shrinks = width * height < plane.width * plane.height;
  return resize(plane, width, height, shrinks ? BOX : BILINEAR);
}

/** Resizes the part of a picture in a box x0, y0, x1, y1; returns the input if nothing changes. */
export function resize(picture, width, height, filter, box) {
  const [x0, y0, x1, y1] = (box ?? [0, 0, picture.width, picture.height]).map(fround);
  const alongX = (from) => resizeAxis(from, 'width', width, x0, x1, filter);
  const alongY = (from) => resizeAxis(from, 'height', height, y0, y1, filter);
  // As Pillow does from version 13 on if the height shrinks much more than the width.
  const shrinkage = picture.height - height;
  const downFirst = shrinkage > 0 && shrinkage > 2 * (picture.width - width);
  return downFirst ? alongX(alongY(picture)) : alongY(alongX(picture));
}

function resizeAxis(picture, side, size, low, high, filter) {
  const { data, width, height, channels, [side]: oldSize } = picture;
  if (size === oldSize && low === 0 && high === size) return picture;
  const isBytes = !(data instanceof Float32Array);
  const taps = tapsOf(oldSize, low, high, size, filter, isBytes);
  const [count, stride] = side === 'width' ? [height, channels] : [1, width * channels];
  const resized = new data.constructor(count * size * stride);
  for (let row = 0, index = 0; row < count; row++) {
    for (const { start, weights } of taps) {
      const first = (row * oldSize + start) * stride;
      for (let i = 0; i < stride; i++) {
        let total = isBytes ? ONE / 2 : 0;
        for (let k = 0, place = first + i; k < weights.length; k++, place += stride) {
          total += data[place] * weights[k];
        }
        resized[index++] = isBytes ? total >> 22 : total;
      }
    }
  }
  return { width, height, channels, data: resized, [side]: size };
}

/** For each new pixel of an axis, the first source pixel and the weights. */
function tapsOf(size, low, high, newSize, { support, weigh }, isBytes) {
  const scale = fround(high - low) / newSize;
  const stretch = Math.max(scale, 1);
  return range(newSize).map((i) => {
    const centre = low + (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support * stretch + 0.5));
    const end = Math.min(size, Math.trunc(centre + support * stretch + 0.5));
    const weights = new Float64Array(end - start)
      .map((_, k) => weigh((k + start - centre + 0.5) * (1 / stretch)));
    const total = weights.reduce((all, weight) => all + weight, 0) || 1;
    const shares = weights.map((weight) => weight / total);
    const toInteger = (share) => Math.trunc(share * ONE + (share < 0 ? -0.5 : 0.5));
    return { start, weights: isBytes ? shares.map(toInteger) : shares };
  });
}

/** Averages blocks of factor x factor pixels; blocks at the right and bottom may be smaller. */
export function reduce({ data, width, height, channels }, factor) {
  const [columns, rows] = [width, height].map((side) => Math.ceil(side / factor));
  const result = emptyPicture(columns, rows, channels);
  for (let index = 0; index < result.data.length; index++) {
    const [pixel, c] = [Math.floor(index / channels), index % channels];
    const [left, top] = [factor * (pixel % columns), factor * Math.floor(pixel / columns)];
    const [right, bottom] = [Math.min(left + factor, width), Math.min(top + factor, height)];
    const count = (right - left) * (bottom - top);
    let total = count >> 1;
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) total += data[(y * width + x) * channels + c];
    }
    result.data[index] = Math.floor((total * Math.trunc(fround(ONE * 4 / count))) / (ONE * 4));
  }
  return result;
}

/**
 * Maps a parallelogram of a picture of bytes to a rectangle by bicubic interpolation.
 *
 * @param corners Its corners [x, y]: top-left, top-right, bottom-right, bottom-left.
 * @returns A picture, black beyond the edge of the source.
 */
export function transform(picture, [[x0, y0], [x1, y1], , [x3, y3]], width, height) {
  const [a, d] = [(x1 - x0) / width, (y1 - y0) / width];
  const [b, e] = [(x3 - x0) / height, (y3 - y0) / height];
  const { data, channels } = picture;
  const result = emptyPicture(width, height, channels);
  const [across, down] = [new Float64Array(4), new Float64Array(4)];
  for (let index = 0; index < result.data.length; index += channels) {
    const [x, y] = [(index / channels) % width + 0.5, Math.floor(index / channels / width) + 0.5];
    const [u, v] = [a * x + b * y + x0, d * x + e * y + y0];
    if (u < 0 || v < 0 || u >= picture.width || v >= picture.height) continue;
    const [left, top] = [Math.floor(u - 0.5), Math.floor(v - 0.5)];
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < 4; i++) {
        const row = clip(top + i - 1, 0, picture.height - 1) * picture.width;
        for (let k = 0; k < 4; k++) {
          across[k] = data[(row + clip(left + k - 1, 0, picture.width - 1)) * channels + c];
        }
        down[i] = cubic(across[0], across[1], across[2], across[3], u - 0.5 - left);
      }
      result.data[index + c] = Math.trunc(cubic(down[0], down[1], down[2], down[3], v - 0.5 - top));
    }
  }
  return result;
}

/** Cubic interpolation through four values, between the second and the third. */
function cubic(v1, v2, v3, v4, share) {
  const bend = 2 * (v1 - v2) + v3 - v4;
  return v2 + share * (v3 - v1 + share * (bend + share * (v2 - v1 + v4 - v3)));
}
