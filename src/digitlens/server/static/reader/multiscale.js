// At which scales a page is looked at, and what is found there: text lines and lone digits.

import { medianOfBytes, range, rint } from './arrays.js';
import { part } from './images.js';
import { lookAround } from './looks.js';
import { textMap } from './models.js';
import { BICUBIC, BOX, emptyPicture, resize } from './resize.js';
import { findLines, heightOf, widthOf } from './text_lines.js';

const { fround } = Math;

const DIGIT_SCALES = [96, 192]; // longest side of the page in looks for digits, in pixels
const LINE_SCALES = [640, 1280, 2560]; // the same, for lines
const ENLARGED = 2.0; // times its own size: a line detector sees no more in larger copies
const LEAST = 64; // pixels: shorter side from which a copy need not be enlarged
const SMALL = 14.0; // pixels: lower lines are looked at again on a larger copy
const TILE = 1024; // pixels: sides of the parts in which a large copy is looked at
const OVERLAP = 96; // pixels: a line at the border of two parts is whole in one of them
const MARGIN = 16; // pixels of paper around a copy: text at the edge of a picture has none

/** Text lines and digits of a page: {lines, digits}. */
export async function detect(page, graphs) {
  const digits = await lookAround(page, graphs.finder, DIGIT_SCALES);
  return { lines: await findText(page, graphs.detector), digits };
}

/** Finds text lines on ever larger copies, as long as those found are small. */
async function findText(page, graph) {
  const longest = Math.max(page.width, page.height);
  const shortest = Math.min(page.width, page.height);
  const largest = Math.max(1, Math.min(ENLARGED, LEAST / shortest));
  let found = [];
  for (const size of LINE_SCALES) {
    const scale = Math.min(size / longest, largest);
    found = await seenAt(page, scale, graph);
    const low = found.filter((line) => Math.min(heightOf(line), widthOf(line)) * scale < SMALL);
    if (scale === largest || (found.length && low.length <= found.length / 4)) break;
    if (!found.length && size > LINE_SCALES[0]) break;
  }
  return found;
}

async function seenAt(page, scale, graph) {
  const copy = framed(scaled(page, scale));
  const lines = [];
  for (const [y0, y1] of parts(copy.height)) {
    for (const [x0, x1] of parts(copy.width)) {
      const map = await textMap(graph, part(copy, x0, y0, x1, y1));
      const place = (value, start) => fround(fround(value + start - MARGIN) / fround(scale));
      for (const { quad, score } of findLines(map, (y1 - y0) / map.height)) {
        lines.push({ quad: quad.map(([x, y]) => [place(x, x0), place(y, y0)]), score });
      }
    }
  }
  return lines;
}

/** Overlapping parts of one side, all of it if it is short enough. */
function parts(length) {
  if (length <= TILE * 1.25) return [[0, length]];
  const count = Math.ceil((length - OVERLAP) / (TILE - OVERLAP));
  const step = (length - OVERLAP) / count;
  return range(count).map((i) => [rint(i * step), rint((i + 1) * step) + OVERLAP]);
}

/** A picture with a margin of the colour that most of its edge has. */
function framed({ data, width, height }) {
  const out = emptyPicture(width + 2 * MARGIN, height + 2 * MARGIN, 3);
  const colour = paperOf(data, width, height);
  for (let i = 0; i < out.data.length; i++) out.data[i] = colour[i % 3];
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * width * 3, (y + 1) * width * 3);
    out.data.set(row, ((y + MARGIN) * out.width + MARGIN) * 3);
  }
  return out;
}

function paperOf(data, width, height) {
  const edge = new Uint8Array(6 * (width + height));
  const rows = [data.subarray(0, 3 * width), data.subarray(3 * width * (height - 1))];
  rows.forEach((row, i) => edge.set(row, 3 * width * i));
  for (let y = 0, to = 6 * width; y < height; y++, to += 6) {
    const [left, right] = [3 * width * y, 3 * width * (y + 1) - 3];
    edge.set(data.subarray(left, left + 3), to);
    edge.set(data.subarray(right, right + 3), to + 3);
  }
  return [0, 1, 2].map((channel) => Math.trunc(medianOfBytes(edge, channel, 3)));
}

function scaled(page, scale) {
  if (scale === 1) return page;
  const [width, height] = [page.width, page.height].map((side) => Math.max(1, rint(side * scale)));
  return resize(page, width, height, scale > 1 ? BICUBIC : BOX);
}
