// Pages: a decoded picture brought to the form that is read, cut, shrunk and turned.
//
// A page is {data, width, height, channels: 3}: bytes, row by row, RGB.

import { rint } from './arrays.js';
import { BILINEAR, BOX, emptyPicture, resize as resizePicture } from './resize.js';
import { flattened, paperBelow } from './transparency.js';

/** The page of a picture as a canvas gives it: RGBA, transparency laid on what paperBelow says. */
export function pageOf({ data, width, height }) {
  if (data.length !== width * height * 4 || !data.length) {
    throw new RangeError(`expected ${width} x ${height} RGBA pixels, found ${data.length} bytes`);
  }
  const page = emptyPicture(width, height, 3);
  const pixels = page.data;
  const paper = paperBelow(data);
  for (let i = 0, to = 0; i < data.length; i += 4, to += 3) {
    const alpha = data[i + 3];
    pixels[to] = flattened(data[i], alpha, paper);
    pixels[to + 1] = flattened(data[i + 1], alpha, paper);
    pixels[to + 2] = flattened(data[i + 2], alpha, paper);
  }
  return page;
}

/** Resizes one plane of floats: area average when it shrinks, bilinear when it grows. */
export function resize(plane, width, height) {
  if (plane.width === width && plane.height === height) return plane;
  const shrinks = width * height < plane.width * plane.height;
  return resizePicture(plane, width, height, shrinks ? BOX : BILINEAR);
}

/** A page scaled down by area averaging so that no side is longer than `longest` pixels. */
export function shrink(page, longest) {
  const scale = longest / Math.max(page.width, page.height);
  if (scale >= 1) return page;
  const [width, height] = [page.width, page.height].map((side) => Math.max(1, rint(side * scale)));
  return resizePicture(page, width, height, BOX);
}

/** Every `step`-th pixel of a part of a page; beyond its edge the page goes on as it ends. */
export function part(page, left, top, right, bottom, step = 1) {
  const { data, width, height, channels } = page;
  const cut = emptyPicture(
    Math.ceil((right - left) / step), Math.ceil((bottom - top) / step), channels,
  );
  const whole = step === 1 && left >= 0 && right <= width;
  const pixels = cut.data;
  let at = 0;
  for (let y = top; y < bottom; y += step) {
    const row = Math.min(Math.max(y, 0), height - 1) * width;
    if (whole) {
      pixels.set(data.subarray((row + left) * channels, (row + right) * channels), at);
      at += cut.width * channels;
      continue;
    }
    for (let x = left; x < right; x += step) {
      const from = (row + Math.min(Math.max(x, 0), width - 1)) * channels;
      for (let c = 0; c < channels; c++) pixels[at++] = data[from + c];
    }
  }
  return cut;
}

/** A page after so many quarter turns, counter-clockwise. */
export function turned(page, turn) {
  if (!turn) return page;
  const { data, width, height } = page;
  const result = emptyPicture(height, width, 3);
  let at = 0;
  for (let x = width - 1; x >= 0; x--) {
    for (let y = 0; y < height; y++, at += 3) {
      const from = 3 * (y * width + x);
      result.data[at] = data[from];
      result.data[at + 1] = data[from + 1];
      result.data[at + 2] = data[from + 2];
    }
  }
  return turned(result, turn - 1);
}

/** A box of a turned page on the page as it was, of that width and height. */
export function boxBack([x0, y0, x1, y1], turn, width, height) {
  if (turn === 1) return [width - y1, x0, width - y0, x1];
  if (turn === 2) return [width - x1, height - y1, width - x0, height - y0];
  return turn ? [y0, height - x1, y1, height - x0] : [x0, y0, x1, y1];
}
