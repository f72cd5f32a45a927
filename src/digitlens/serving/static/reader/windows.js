// Cuts a window around each candidate out of a page: the candidate and what stands next to it.

import { inColour, part } from './images.js';
import { BILINEAR, resize } from './resize.js';

export const SIDE = 56; // pixels of a window
export const CONTEXT = 2.1; // times the longer side of a candidate: what a window shows
const ENOUGH = 2.0; // pixels of the page for each of a window's; more would only be averaged away

/**
 * Square windows around boxes, all of one size; beyond its edge the page goes on as it ends.
 *
 * @param boxes Each x0, y0, x1, y1 in page pixels; may reach over the page's edge.
 * @returns Uint8Arrays of 56 x 56 x 3; each box in the middle, its longer side 27 pixels.
 */
export function windows(page, boxes) {
  return boxes.map(([x0, y0, x1, y1]) => {
    const half = (CONTEXT * Math.max(x1 - x0, y1 - y0, 1.0)) / 2;
    return new Uint8Array(inColour(shown(page, (x0 + x1) / 2, (y0 + y1) / 2, half)).data);
  });
}

function shown(page, x, y, half) {
  const step = Math.max(1, Math.trunc((2 * half) / (ENOUGH * SIDE)));
  const [left, right] = [Math.floor(x - half) - step, Math.ceil(x + half) + step];
  const [top, bottom] = [Math.floor(y - half) - step, Math.ceil(y + half) + step];
  const cut = part(page, left, top, right, bottom, step);
  const [start, above] = [(x - half - left) / step, (y - half - top) / step];
  const side = (2 * half) / step;
  const box = [start, above, Math.min(start + side, cut.width), Math.min(above + side, cut.height)];
  return resize(cut, SIDE, SIDE, BILINEAR, box);
}
