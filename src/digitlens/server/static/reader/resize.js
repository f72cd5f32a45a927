// Resizes pictures to the very bytes that Pillow gives: its filters, weights and passes.
//
// After libImaging/Resample.c and Reduce.c: two passes, one along rows and one along columns, the
// second on what the first one rounded. Bytes are weighed with whole numbers of 22 bits, floats
// with doubles.

export const BOX = {
  support: 0.5,
  weigh: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0),
};

export const BILINEAR = {
  support: 1,
  weigh: (x) => Math.max(0, 1 - Math.abs(x)),
};

export const BICUBIC = {
  support: 2,
  weigh(x) {
    const a = -0.5;
    const d = Math.abs(x);
    if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
  },
};

const FOUR = Int32Array.of(0, 1, 2, 3);
const PRECISION = 22; // bits of a weight behind the point
const ONE = 2 ** PRECISION;

/**
 * Resizes the part of a picture that lies in a box.
 *
 * @param picture {data, width, height, channels}; a Float32Array is resized as floats, bytes as
 *   bytes.
 * @param box x0, y0, x1, y1 in pixels of the picture, taken as float32; all of it unless given.
 * @returns A picture of width x height; the same one where nothing changes.
 */
export function resize(picture, width, height, filter, box) {
  const [x0, y0, x1, y1] = (box ?? [0, 0, picture.width, picture.height]).map(Math.fround);
  const bytes = !(picture.data instanceof Float32Array);
  const across = (from) => {
    if (width === from.width && x0 === 0 && x1 === width) return from;
    return resizeAcross(from, weightsOf(from.width, x0, x1, width, filter, bytes), bytes);
  };
  const down = (from) => {
    if (height === from.height && y0 === 0 && y1 === height) return from;
    return resizeDown(from, weightsOf(from.height, y0, y1, height, filter, bytes), bytes);
  };
  return downFirst(picture, width, height) ? across(down(picture)) : down(across(picture));
}

/** Whether so much more of the height goes than of the width: Pillow's rule from version 13 on. */
function downFirst(picture, width, height) {
  const less = picture.height - height;
  return less > 0 && less > 2 * (picture.width - width);
}

/**
 * Averages blocks of factor x factor pixels; those at the right and lower edge may be smaller.
 *
 * @param picture {data, width, height, channels} of bytes.
 */
export function reduce(picture, factor) {
  const { data, channels } = picture;
  const result = emptyPicture(
    Math.ceil(picture.width / factor), Math.ceil(picture.height / factor), channels, true,
  );
  let at = 0;
  for (let top = 0; top < picture.height; top += factor) {
    const bottom = Math.min(top + factor, picture.height);
    for (let left = 0; left < picture.width; left += factor) {
      const right = Math.min(left + factor, picture.width);
      const count = (right - left) * (bottom - top);
      const share = Math.trunc(Math.fround(2 ** 32 / (256 * count)));
      for (let c = 0; c < channels; c++) {
        let total = count >> 1;
        for (let y = top; y < bottom; y++) {
          const end = (y * picture.width + right) * channels;
          for (let i = (y * picture.width + left) * channels + c; i < end; i += channels) {
            total += data[i];
          }
        }
        result.data[at++] = Math.floor((total * share) / 2 ** 24);
      }
    }
  }
  return result;
}

/**
 * Maps a parallelogram of a picture of bytes to a rectangle, by cubic interpolation.
 *
 * @param corners Its corners [x, y]: top-left, top-right, bottom-right, bottom-left.
 * @returns A picture; black where the parallelogram reaches over the edge.
 */
export function transform(picture, [origin, right, , below], width, height) {
  const [a, d] = [(right[0] - origin[0]) / width, (right[1] - origin[1]) / width];
  const [b, e] = [(below[0] - origin[0]) / height, (below[1] - origin[1]) / height];
  const { data, channels } = picture;
  const result = emptyPicture(width, height, channels);
  const [steps, rows, down] = [new Int32Array(4), new Int32Array(4), new Float64Array(4)];
  let at = -channels;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      at += channels;
      const u = a * (x + 0.5) + b * (y + 0.5) + origin[0];
      const v = d * (x + 0.5) + e * (y + 0.5) + origin[1];
      if (u < 0 || v < 0 || u >= picture.width || v >= picture.height) continue;
      const column = Math.floor(u - 0.5);
      const row = Math.floor(v - 0.5);
      for (let k = 0; k < 4; k++) {
        steps[k] = inside(column + k - 1, picture.width) * channels;
        rows[k] = inside(row + k - 1, picture.height) * picture.width * channels;
      }
      for (let c = 0; c < channels; c++) {
        for (let k = 0; k < 4; k++) down[k] = cubic(data, rows[k] + c, steps, u - 0.5 - column);
        result.data[at + c] = Math.trunc(cubic(down, 0, FOUR, v - 0.5 - row));
      }
    }
  }
  return result;
}

function inside(place, size) {
  return Math.min(Math.max(place, 0), size - 1);
}

/** The curve through four values, between the second and the third. */
function cubic(values, from, steps, share) {
  const v1 = values[from + steps[0]];
  const v2 = values[from + steps[1]];
  const v3 = values[from + steps[2]];
  const v4 = values[from + steps[3]];
  const bend = 2 * (v1 - v2) + v3 - v4;
  return v2 + share * (v3 - v1 + share * (bend + share * (v2 - v1 + v4 - v3)));
}

/** A black picture. */
export function emptyPicture(width, height, channels, bytes = true) {
  const size = width * height * channels;
  const data = bytes ? new Uint8ClampedArray(size) : new Float32Array(size);
  return { data, width, height, channels };
}

/** For each new pixel of one axis the first old one that it takes from, and the weights. */
function weightsOf(size, low, high, wanted, filter, bytes) {
  const scale = Math.fround(high - low) / wanted;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  return Array.from({ length: wanted }, (_, i) => {
    const centre = low + (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(size, Math.trunc(centre + support + 0.5));
    const weights = new Float64Array(end - start);
    let total = 0;
    for (let k = 0; k < weights.length; k++) {
      weights[k] = filter.weigh((k + start - centre + 0.5) * (1 / stretch));
      total += weights[k];
    }
    for (let k = 0; k < weights.length; k++) {
      if (total !== 0) weights[k] /= total;
      if (bytes) weights[k] = Math.trunc(weights[k] * ONE + (weights[k] < 0 ? -0.5 : 0.5));
    }
    return { start, weights };
  });
}

function resizeAcross(picture, columns, bytes) {
  const { data, width, height, channels } = picture;
  const result = emptyPicture(columns.length, height, channels, bytes);
  const half = bytes ? ONE / 2 : 0;
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (const { start, weights } of columns) {
      const from = (y * width + start) * channels;
      for (let c = 0; c < channels; c++) {
        let total = half;
        for (let k = 0, i = from + c; k < weights.length; k++, i += channels) {
          total += data[i] * weights[k];
        }
        result.data[at++] = bytes ? total >> PRECISION : total;
      }
    }
  }
  return result;
}

function resizeDown(picture, rows, bytes) {
  const { data, width, channels } = picture;
  const length = width * channels;
  const result = emptyPicture(width, rows.length, channels, bytes);
  const totals = new Float64Array(length);
  rows.forEach(({ start, weights }, y) => {
    totals.fill(bytes ? ONE / 2 : 0);
    for (let k = 0; k < weights.length; k++) {
      const from = (start + k) * length;
      for (let i = 0; i < length; i++) totals[i] += data[from + i] * weights[k];
    }
    const to = y * length;
    for (let i = 0; i < length; i++) {
      result.data[to + i] = bytes ? totals[i] >> PRECISION : totals[i];
    }
  });
  return result;
}
