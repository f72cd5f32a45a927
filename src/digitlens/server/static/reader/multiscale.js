// Detects digits and text lines on copies of a page, and chooses the scales of the copies.

import { argmax, clip, max, medianColour, middleOf, range, rint, tabulate } from './arrays.js';
import { encloses } from './ink.js';
import { CELL, findDigitsAt, textMap } from './models.js';
import { fuseBoxes } from './nms.js';
import {
  BICUBIC, BOX, emptyPicture, part, paste, reduce, resize, sidesAt,
} from './pictures.js';
import { centreOf, findLines, heightOf, widthOf } from './text_lines.js';

const { fround } = Math;

const DIGIT_SCALES = [96, 192]; // longest side, in pixels, of the copies for digits
const LINE_SCALES = [640, 2560]; // longest side of the first and the largest copy for lines
export const MIN_LINE_SCORE = 0.15; // score of a digit above which it gets a line of its own
const MAX_PAGE_SIDE = 1024; // pixels: longer pages are first reduced by a whole factor
const SURE_SCORE = 0.5; // score from which a digit explains the ink in its box
const FALLBACK_SCORE = 0.4; // the same for the likeliest digit if none is sure
const INK_MARGIN = 0.1; // digit heights: how far ink may extend beyond its box
const RING_PART = 6; // text within 1/6 of the sides of the centre of a 0 makes it a ring
const MIN_CONTRAST = 0.2; // fraction of the strongest contrast from which a pixel is ink
const DIGIT_HEIGHT = 48.0; // pixels: digit height at which the line detector works well
const MIN_LINE_SCALE = 192; // pixels: on smaller copies the corners of lines are too inaccurate
const DETAIL_SCALE = 320; // pixels: longest side of the copy searched for fine detail
const MARGIN_X = 0.5; // digit heights to the side of a digit that belong to its line ...
const MARGIN_Y = 0.25; // ... and above and below it
const MAX_SCALE = 2.0; // largest enlargement: more adds no detail
const MIN_SIDE = 64; // pixels: shorter side from which a copy need not be enlarged
const MIN_HEIGHT = 18.0; // pixels: lines lower than this are detected again on a larger copy ...
const TARGET_HEIGHT = 26.0; // ... at this height; heights are accurate to a few pixels
const PART_SIDE = 1024; // pixels: sides of the parts into which a large copy is split
const OVERLAP = 96; // pixels: a line at the border of two parts is whole in one of them
const PAPER_MARGIN = 16; // pixels of paper added around a copy, for text at the edge of a picture

/** Text lines and digits of a page. On a page that shows only one digit, lines are skipped. */
export async function detect(page, graphs) {
  const reduced = reducedPage(page);
  const { digits, explained } = await findDigits(page, graphs.finder, reduced);
  const isOneDigit = explained && digits.filter(({ score }) => score > MIN_LINE_SCORE).length === 1;
  if (isOneDigit) return { lines: [], digits };
  const lines = await findText(page, graphs.detector, firstSize(reduced, page, digits));
  return { lines, digits: digits.filter((digit) => !isRing(digit, lines)) };
}

/**
 * Detects digit candidates on copies of several sizes.
 *
 * Copies that would be mostly enlargement are skipped, except the first, and so are those after a
 * copy that shows nothing but digits.
 *
 * @param reduced See `reducedPage`.
 * @returns {digits, explained}: candidates without duplicates, see nms.js, and whether the last
 *   copy, if not enlarged, shows nothing but digits.
 */
export async function findDigits(page, graph, reduced = reducedPage(page)) {
  const longest = Math.max(page.width, page.height);
  const candidates = [];
  let explained = false;
  for (const size of DIGIT_SCALES) {
    if (candidates.length && (explained || size >= MAX_SCALE * longest)) break;
    const copy = resized(reduced, size / longest, page);
    const digits = await findDigitsAt(graph, copy);
    explained = size <= longest && explainsInk(copy, digits);
    candidates.push(candidatesOf(digits, page, copy));
  }
  return { digits: fuseBoxes(candidates.flat()), explained };
}

/** Detections of a copy in page pixels, without those beyond the edge of the page. */
function candidatesOf(detections, page, copy) {
  const scales = ['width', 'height'].map((side) => fround(page[side] / copy[side]));
  return detections.map(({ box: copyBox, ...scores }) => {
    const box = copyBox.map((side, i) => side * scales[i % 2]);
    return { ...scores, box, seen: fround(copyBox[3] - copyBox[1]) };
  }).filter(({ box }) => {
    // In its padding the model sees strokes at the edge continue: these are no digits.
    const [x, y] = middleOf(box);
    return x >= 0 && y >= 0 && x <= page.width && y <= page.height;
  });
}

/** Whether all ink of a picture lies in the boxes of sure digits, or else of the likeliest one. */
function explainsInk(copy, found) {
  const { data, width, height } = copy;
  const [red, green, blue] = paperOf(copy);
  const contrast = tabulate(Float32Array, width * height, (i) => Math.max(
    Math.abs(data[3 * i] - red), Math.abs(data[3 * i + 1] - green),
    Math.abs(data[3 * i + 2] - blue),
  ));
  const digits = confidentOf(found);
  const plane = { ...copy, data: contrast };
  const hasRing = digits.some((digit) => isZero(digit) && enclosesInk(plane, digit));
  const boxes = digits.map(({ box }) => box);
  return !hasRing && isWithin(contrast, width, boxes, INK_MARGIN, INK_MARGIN);
}

/** The digits, by falling score, that explain ink. */
function confidentOf(digits) {
  const sure = digits.filter(({ score }) => score >= SURE_SCORE);
  return sure.length ? sure : digits.slice(0, 1).filter(({ score }) => score >= FALLBACK_SCORE);
}

const isZero = ({ probabilities }) => argmax(probabilities) === 0;

/** Contrast above which a pixel of a plane is ink. */
const inkThreshold = (contrast) => Math.max(12, MIN_CONTRAST * max(contrast));

/** Whether a 0 encloses other ink, and so is a ring. */
function enclosesInk({ data, width, height }, { box }) {
  const sides = [width, height, width, height];
  const [x0, y0, x1, y1] = box.map((side, i) => clip(rint(side), 0, sides[i]));
  const [columns, rows] = [x1 - x0, y1 - y0];
  const threshold = inkThreshold(data);
  const ink = tabulate(Uint8Array, Math.max(0, columns * rows), (i) =>
    data[(y0 + Math.floor(i / columns)) * width + x0 + (i % columns)] > threshold);
  return encloses(ink, columns, rows);
}

/** Whether a 0 is a ring, as of a button or clock: it has text at its centre. */
function isRing(digit, lines) {
  const { box: [x0, y0, x1, y1] } = digit;
  const [x, y] = middleOf(digit.box);
  return isZero(digit) && lines.some((line) => {
    const [across, down] = centreOf(line);
    return Math.abs(across - x) < (x1 - x0) / RING_PART
      && Math.abs(down - y) < (y1 - y0) / RING_PART
      && heightOf(line) < y1 - y0;
  });
}

/** Whether a plane has contrast, all within boxes grown by the given digit heights. */
function isWithin(contrast, width, boxes, beside, above) {
  const grown = boxes.map(([x0, y0, x1, y1]) => {
    const [marginX, marginY] = [1 + beside * (y1 - y0), 1 + above * (y1 - y0)];
    return [x0 - marginX, y0 - marginY, x1 + marginX, y1 + marginY].map(Math.trunc);
  });
  const isInside = (x, y) => grown.some(([x0, y0, x1, y1]) =>
    x >= x0 && y >= y0 && x <= x1 && y <= y1);
  const threshold = inkThreshold(contrast);
  return max(contrast) >= 24 && contrast.every((value, i) =>
    value <= threshold || isInside(i % width, Math.floor(i / width)));
}

/**
 * Longest side of the first copy for lines, in pixels.
 *
 * If all fine detail lies in or next to sure digits, their height determines the size: a few large
 * digits on paper, even in partial shadow, need only a small copy.
 *
 * @param reduced See `reducedPage`.
 * @param page Its width and height.
 * @param digits Candidates, in pixels of the page.
 */
export function firstSize(reduced, page, digits) {
  const [longest, [usual]] = [Math.max(page.width, page.height), LINE_SCALES];
  const boxes = confidentOf(digits).map(({ box }) => box);
  const lowest = Math.min(longest, ...boxes.map(([, y0, , y1]) => fround(y1 - y0)));
  const wanted = Math.max(MIN_LINE_SCALE, rint((DIGIT_HEIGHT * longest) / Math.max(lowest, 1)));
  if (!boxes.length || wanted >= Math.min(usual, MAX_SCALE * longest)) return usual;
  const scale = Math.min(1, DETAIL_SCALE / longest);
  const copy = resized(reduced, scale, page);
  const copyBoxes = boxes.map((box) => [...box].map((side) => fround(side * fround(scale))));
  return isWithin(gradientOf(copy), copy.width, copyBoxes, MARGIN_X, MARGIN_Y) ? wanted : usual;
}

/** The largest difference, over channels, of each pixel to its left and upper neighbours. */
function gradientOf({ data, width, height }) {
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
 * Detects text lines on increasingly large copies while more than a quarter of them are small.
 *
 * The cost of a copy grows with its area, so each is only as large as the lines on the previous one
 * require, at most twice the page; if none were found, one larger copy is tried.
 *
 * @param first Longest side of the first copy; if it is smaller than usual and shows no line, the
 *   usual size follows as if it were the first.
 */
async function findText(page, graph, first) {
  const longest = Math.max(page.width, page.height);
  const shortest = Math.min(page.width, page.height);
  const [usual, maxSize] = LINE_SCALES;
  const largest = Math.min(
    Math.max(1, Math.min(MAX_SCALE, MIN_SIDE / shortest)), maxSize / longest,
  );
  for (let size = first; ;) {
    const scale = Math.min(size / longest, largest);
    const found = await linesAt(page, scale, graph);
    if (size < usual && !found.length) {
      size = usual;
      continue;
    }
    const heights = found.map((line) => Math.min(heightOf(line), widthOf(line)) * scale);
    const low = heights.sort((a, b) => a - b)[Math.trunc(heights.length / 4)] ?? TARGET_HEIGHT / 2;
    if (scale === largest || low >= MIN_HEIGHT || (!found.length && size > usual)) return found;
    size = rint((size * TARGET_HEIGHT) / low);
  }
}

async function linesAt(page, scale, graph) {
  const map = await textMapOf(addMargin(resized(page, scale, page)), graph);
  const toPage = (value) => fround(fround(value - PAPER_MARGIN) / fround(scale));
  return findLines(map, CELL).map(({ quad, score }) => ({
    quad: quad.map((corner) => corner.map(toPage)), score,
  }));
}

/** The text map of a copy, assembled from its overlapping parts so that no line is cut. */
async function textMapOf(copy, graph) {
  const [width, height] = [copy.width, copy.height].map((side) => Math.ceil(side / CELL));
  const map = emptyPicture(width, height, 1, Float32Array);
  for (const [y0, y1, top] of parts(copy.height)) {
    for (const [x0, x1, left] of parts(copy.width)) {
      const partMap = await textMap(graph, part(copy, [x0, y0, x1, y1]));
      const cells = part(partMap, [left, top, partMap.width, partMap.height]);
      paste(map, cells, x0 / CELL + left, y0 / CELL + top);
    }
  }
  return map;
}

/**
 * Overlapping parts of one side, or all of it if short enough: start, end, and the number of first
 * cells to take from the previous part.
 */
function parts(length) {
  if (length <= PART_SIDE * 1.25) return [[0, length, 0]];
  const count = Math.ceil((length - OVERLAP) / (PART_SIDE - OVERLAP));
  const step = (length - OVERLAP) / count;
  const starts = range(count).map((i) => CELL * rint((i * step) / CELL));
  return starts.map((start, i) => [
    start, i + 1 < count ? starts[i + 1] + OVERLAP : length, i ? Math.trunc(OVERLAP / 2 / CELL) : 0,
  ]);
}

/** A picture with a margin in the median colour of its edge. */
function addMargin(copy) {
  const canvas = emptyPicture(copy.width + 2 * PAPER_MARGIN, copy.height + 2 * PAPER_MARGIN, 3);
  const colour = paperOf(copy);
  for (let i = 0; i < canvas.data.length; i++) canvas.data[i] = colour[i % 3];
  return paste(canvas, copy, PAPER_MARGIN, PAPER_MARGIN);
}

/** The median colour of the edge of a picture. */
function paperOf(copy) {
  const { width, height } = copy;
  const edge = (...box) => [...part(copy, box).data];
  return medianColour([
    ...edge(0, 0, width, 1), ...edge(0, height - 1, width, height),
    ...edge(0, 0, 1, height), ...edge(width - 1, 0, width, height),
  ]).map(Math.trunc);
}

/** The page reduced for the copies for digits, without loss for them. */
export function reducedPage(page) {
  const factor = Math.floor(Math.max(page.width, page.height) / MAX_PAGE_SIDE);
  return factor > 1 ? reduce(page, factor) : page;
}

/** A picture, full or reduced, resized to the given scale of its page. */
function resized(picture, scale, page) {
  const [width, height] = sidesAt(page, scale);
  return resize(picture, width, height, width > picture.width ? BICUBIC : BOX);
}
