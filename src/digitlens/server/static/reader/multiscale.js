// At which scales a page is looked at, and what is found there: digits and lines of text.

import { argmax, clip, max, medianColour, middleOf, range, rint, tabulate } from './arrays.js';
import { encloses } from './ink.js';
import { CELL, findDigitsAt, textMap } from './models.js';
import { fuseBoxes } from './nms.js';
import {
  BICUBIC, BOX, emptyPicture, part, paste, reduce, resize, sidesAt,
} from './pictures.js';
import { centreOf, findLines, heightOf, widthOf } from './text_lines.js';

const { fround } = Math;

const DIGIT_SCALES = [96, 192]; // longest side of the page in copies for digits, in pixels
const LINE_SCALES = [640, 2560]; // the same, for lines: of the first copy, and at most
export const LIKELY = 0.15; // score of a digit from which a line of its own is read for it
const LARGEST = 1024; // pixels: longer pages are first reduced by a whole factor to about this
const SURE = 0.5; // score from which a digit explains the ink in its box
const ONLY = 0.4; // the same, of the likeliest one where none is sure
const AROUND = 0.1; // heights of a digit: its ink may reach so far over its box
const INNER = 6; // parts of a side: so near to the middle of a 0 there is paper
const FAINT = 0.2; // share of the strongest contrast from which a pixel is ink
const HIGH = 48.0; // pixels: on copies with digits as high as this the line detector sees them well
const COARSEST = 192; // pixels: on smaller copies the corners of lines are too far off
const DETAIL = 320; // pixels: longest side of the copy that is searched for anything fine
const BESIDE = 0.5; // heights of a digit: what is as near to its side, its line has ...
const ABOVE = 0.25; // ... and what is as near above and below
const ENLARGED = 2.0; // times its own size: a page shows no more in larger copies
const LEAST = 64; // pixels: shorter side from which a copy need not be enlarged
const SMALL = 18.0; // pixels: lower lines are looked for again on a larger copy ...
const WANTED = 26.0; // ... in which they are so high; their height is known to a few pixels
const TILE = 1024; // pixels: sides of the parts in which a large copy is looked at
const OVERLAP = 96; // pixels: a line at the border of two parts is whole in one of them
const MARGIN = 16; // pixels of paper around a copy: text at the edge of a picture has none

/** Text lines and digits of a page. One that shows a lone digit has no lines that say more. */
export async function detect(page, graphs) {
  const reduced = reducedPage(page);
  const { digits, explained } = await findDigits(page, graphs.finder, reduced);
  const isOneDigit = explained && digits.filter(({ score }) => score > LIKELY).length === 1;
  if (isOneDigit) return { lines: [], digits };
  const lines = await findText(page, graphs.detector, firstSize(reduced, page, digits));
  return { lines, digits: digits.filter((digit) => !isRing(digit, lines)) };
}

/**
 * Finds what may be digits on a page, on copies of several sizes.
 *
 * Copies that are mostly enlargement are left out, except the first, and so are those after one
 * that shows nothing but digits.
 *
 * @param reduced See `reducedPage`.
 * @returns {digits, explained}: candidates without doubles, see nms.js, and whether the last copy,
 *   reduced, shows nothing but digits.
 */
export async function findDigits(page, graph, reduced = reducedPage(page)) {
  const longest = Math.max(page.width, page.height);
  const found = [];
  let explained = false;
  for (const size of DIGIT_SCALES) {
    if (found.length && (explained || size >= ENLARGED * longest)) break;
    const copy = resized(reduced, size / longest, page);
    const digits = await findDigitsAt(graph, copy);
    explained = size <= longest && explainsInk(copy, digits);
    found.push(candidatesOf(digits, page, copy));
  }
  return { digits: fuseBoxes(found.flat()), explained };
}

/** What was found on a copy, in page pixels; what lies beyond the edge of the page is left out. */
function candidatesOf(found, page, copy) {
  const scales = ['width', 'height'].map((side) => fround(page[side] / copy[side]));
  return found.map(({ box: own, ...said }) => {
    const box = own.map((side, i) => side * scales[i % 2]);
    return { ...said, box, seen: fround(own[3] - own[1]) };
  }).filter(({ box }) => {
    // The model sees strokes at the edge go on where it makes a picture larger: no digits.
    const [x, y] = middleOf(box);
    return x >= 0 && y >= 0 && x <= page.width && y <= page.height;
  });
}

/** Whether all ink of a picture lies in boxes of sure digits, or of one. */
function explainsInk(copy, found) {
  const { data, width, height } = copy;
  const [red, green, blue] = paperOf(copy);
  const away = tabulate(Float32Array, width * height, (i) => Math.max(
    Math.abs(data[3 * i] - red), Math.abs(data[3 * i + 1] - green),
    Math.abs(data[3 * i + 2] - blue),
  ));
  const sure = found.filter(({ score }) => score >= SURE);
  const only = found.slice(0, 1).filter(({ score }) => score >= ONLY);
  const digits = sure.length ? sure : only;
  const plane = { ...copy, data: away };
  const isAround = digits.some((digit) => isZero(digit) && holdsInk(plane, digit));
  return !isAround && liesIn(away, width, digits.map(({ box }) => box), AROUND, AROUND);
}

const isZero = ({ probabilities }) => argmax(probabilities) === 0;

/** Contrast above which a pixel of a plane is ink. */
const inkFrom = (contrast) => Math.max(12, FAINT * max(contrast));

/** Whether a 0 is a ring around something: it encloses other ink. */
function holdsInk({ data, width, height }, { box }) {
  const sides = [width, height, width, height];
  const [x0, y0, x1, y1] = box.map((side, i) => clip(rint(side), 0, sides[i]));
  const [columns, rows] = [x1 - x0, y1 - y0];
  const least = inkFrom(data);
  const ink = tabulate(Uint8Array, Math.max(0, columns * rows), (i) =>
    data[(y0 + Math.floor(i / columns)) * width + x0 + (i % columns)] > least);
  return encloses(ink, columns, rows);
}

/** Whether a digit is a 0 that is a ring, as of a button or clock: text is in its middle. */
function isRing(digit, lines) {
  const { box: [x0, y0, x1, y1] } = digit;
  const [x, y] = middleOf(digit.box);
  return isZero(digit) && lines.some((line) => {
    const [across, down] = centreOf(line);
    return Math.abs(across - x) < (x1 - x0) / INNER && Math.abs(down - y) < (y1 - y0) / INNER
      && heightOf(line) < y1 - y0;
  });
}

/** Whether there is contrast in a plane, and all of it in boxes or so many heights away. */
function liesIn(contrast, width, boxes, beside, above) {
  const grown = boxes.map(([x0, y0, x1, y1]) => {
    const [aside, over] = [1 + beside * (y1 - y0), 1 + above * (y1 - y0)];
    return [x0 - aside, y0 - over, x1 + aside, y1 + over].map(Math.trunc);
  });
  const isInside = (x, y) => grown.some(([x0, y0, x1, y1]) =>
    x >= x0 && y >= y0 && x <= x1 && y <= y1);
  const least = inkFrom(contrast);
  return max(contrast) >= 24 && contrast.every((value, i) =>
    value <= least || isInside(i % width, Math.floor(i / width)));
}

/**
 * Longest side of the first copy on which to look for lines, in pixels.
 *
 * Where nothing is fine but what lies in sure digits or next to them, they say how large it has
 * to be: a few large digits on paper, be it in half a shadow, need no more than a small one.
 *
 * @param reduced See `reducedPage`.
 * @param page Its width and height.
 * @param digits Candidates, in pixels of the page.
 */
export function firstSize(reduced, page, digits) {
  const [longest, [usual]] = [Math.max(page.width, page.height), LINE_SCALES];
  const boxes = digits.filter(({ score }) => score >= SURE).map(({ box }) => box);
  const lowest = Math.min(longest, ...boxes.map(([, y0, , y1]) => fround(y1 - y0)));
  const wanted = Math.max(COARSEST, rint((HIGH * longest) / Math.max(lowest, 1)));
  if (!boxes.length || wanted >= Math.min(usual, ENLARGED * longest)) return usual;
  const scale = Math.min(1, DETAIL / longest);
  const copy = resized(reduced, scale, page);
  const shown = boxes.map((box) => [...box].map((side) => fround(side * fround(scale))));
  return liesIn(stepsOf(copy), copy.width, shown, BESIDE, ABOVE) ? wanted : usual;
}

/** How far each pixel is from its neighbours to the left and above, the most in any channel. */
function stepsOf({ data, width, height }) {
  const steps = new Uint8Array(width * height);
  data.forEach((value, i) => {
    const pixel = Math.floor(i / 3);
    const left = pixel % width ? Math.abs(value - data[i - 3]) : 0;
    const above = pixel >= width ? Math.abs(value - data[i - 3 * width]) : 0;
    steps[pixel] = Math.max(steps[pixel], left, above);
  });
  return steps;
}

/**
 * Finds text lines on ever larger copies, as long as more than a quarter of them are small.
 *
 * The cost of a copy grows with its area. So each is as large as the lines on the one before ask
 * for, at most twice the page; where none were found, that is tried once.
 *
 * @param first Longest side of the first copy; where that is a smaller one than usual and shows
 *   none, it counts for nothing.
 */
async function findText(page, graph, first) {
  const longest = Math.max(page.width, page.height);
  const shortest = Math.min(page.width, page.height);
  const [usual, most] = LINE_SCALES;
  const largest = Math.min(Math.max(1, Math.min(ENLARGED, LEAST / shortest)), most / longest);
  for (let size = first; ;) {
    const scale = Math.min(size / longest, largest);
    const found = await seenAt(page, scale, graph);
    if (size < usual && !found.length) {
      size = usual;
      continue;
    }
    const heights = found.map((line) => Math.min(heightOf(line), widthOf(line)) * scale);
    const low = heights.sort((a, b) => a - b)[Math.trunc(heights.length / 4)] ?? WANTED / 2;
    if (scale === largest || low >= SMALL || (!found.length && size > usual)) return found;
    size = rint((size * WANTED) / low);
  }
}

async function seenAt(page, scale, graph) {
  const map = await textMapOf(framed(resized(page, scale, page)), graph);
  const place = (value) => fround(fround(value - MARGIN) / fround(scale));
  return findLines(map, CELL).map(({ quad, score }) => ({
    quad: quad.map((corner) => corner.map(place)), score,
  }));
}

/** The text map of a copy, put together of those of its parts, so that no line is cut. */
async function textMapOf(copy, graph) {
  const [width, height] = [copy.width, copy.height].map((side) => Math.ceil(side / CELL));
  const map = emptyPicture(width, height, 1, Float32Array);
  for (const [y0, y1, top] of parts(copy.height)) {
    for (const [x0, x1, left] of parts(copy.width)) {
      const seen = await textMap(graph, part(copy, [x0, y0, x1, y1]));
      const own = part(seen, [left, top, seen.width, seen.height]);
      paste(map, own, x0 / CELL + left, y0 / CELL + top);
    }
  }
  return map;
}

/**
 * Overlapping parts of one side, all of it if it is short enough: start and end of each, and how
 * many of its first cells the part before it sees better.
 */
function parts(length) {
  if (length <= TILE * 1.25) return [[0, length, 0]];
  const count = Math.ceil((length - OVERLAP) / (TILE - OVERLAP));
  const step = (length - OVERLAP) / count;
  const starts = range(count).map((i) => CELL * rint((i * step) / CELL));
  return starts.map((start, i) => [
    start, i + 1 < count ? starts[i + 1] + OVERLAP : length, i ? Math.trunc(OVERLAP / 2 / CELL) : 0,
  ]);
}

/** A picture with a margin of the colour that most of its edge has. */
function framed(copy) {
  const around = emptyPicture(copy.width + 2 * MARGIN, copy.height + 2 * MARGIN, 3);
  const colour = paperOf(copy);
  for (let i = 0; i < around.data.length; i++) around.data[i] = colour[i % 3];
  return paste(around, copy, MARGIN, MARGIN);
}

/** The colour that most of the edge of a picture has. */
function paperOf(copy) {
  const { width, height } = copy;
  const edge = (...box) => [...part(copy, box).data];
  return medianColour([
    ...edge(0, 0, width, 1), ...edge(0, height - 1, width, height),
    ...edge(0, 0, 1, height), ...edge(width - 1, 0, width, height),
  ]).map(Math.trunc);
}

/** A copy that still has all that copies for digits show. */
export function reducedPage(page) {
  const factor = Math.floor(Math.max(page.width, page.height) / LARGEST);
  return factor > 1 ? reduce(page, factor) : page;
}

/** A picture at a scale of the size that its page has. */
function resized(picture, scale, page) {
  const [width, height] = sidesAt(page, scale);
  return resize(picture, width, height, width > picture.width ? BICUBIC : BOX);
}
