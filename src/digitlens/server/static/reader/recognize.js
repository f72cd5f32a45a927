// Recognises text lines: those that the line detector found, and those made up of digits.

import {
  argmax, boundsOf, clip, cornersOf, grouped, histogram, max, medianColour, middleOf,
  quantile, quantileOf, range, sum,
} from './arrays.js';
import {
  BLANK, CHARACTERS, DIGITS, SPACED, STRIDE, decode, spaceChances, withNumerals,
} from './decode.js';
import { HEIGHT, MAX_WIDTH, STEP, batchLines, cropLine } from './framing.js';
import { runsOf } from './ink.js';
import { readLines } from './models.js';
import { MIN_LINE_SCORE } from './multiscale.js';
import { part } from './pictures.js';
import { linesOf } from './reading_order.js';
import { alongLine, areaOf, axesOf, centreOf, heightOf, widthOf } from './text_lines.js';

const { fround } = Math;

const MARGIN = 0.12; // heights: paper around a line made up of digits
const MAX_GAP = 2.0; // heights: a wider gap between digits begins a new line
const MIN_HEIGHT = 0.4; // least and largest height of a digit on a line, in line heights
const MAX_HEIGHT = 1.4;
const LINE_ROWS = [6, 42]; // rows of a crop without ink of the lines above and below
const MIN_ASPECT = 0.7; // heights: least width of a line ...
const GROWTH = 1.25; // ... after a narrower one was grown by this factor
const MAX_COVERED = 0.3; // fraction of a digit's box on lines up to which it gets a line of its own
const MAX_STROKES = 3; // most lines within one digit that may be its strokes
const MAX_COLUMNS = 8192; // columns of all lines above which only parts with digits are read
const WHOLE_LINES = 3; // number of largest lines that are read whole even then
const DIGIT_THRESHOLD = 0.1; // probability of a digit above which its part of a line is read
const SPACE_THRESHOLD = 0.3; // probability of a space above which a part may end there
const CONTEXT = 4; // least steps between a digit and such a space
// CTC separates equal characters by a blank; crowded ones share a step, which leaves none.
const MIN_PITCH = 2.5; // steps per character read, below which a line is crowded
const STRETCH = 1.5; // factor by which it is widened and read again ...
const CONFIDENT = 0.9; // ... if some digit has a lower confidence than this
const MIN_INK_HEIGHT = 0.3; // line heights: lower ink of a digit is considered incomplete
const DEFAULT_ROWS = [0.1 * HEIGHT, 0.9 * HEIGHT]; // rows of a character whose ink is not found
const EDGE_ROWS = 3; // rows at the upper and lower edge of a crop
const COLOUR_TOLERANCE = 16; // levels per channel below which colours count as equal
const MIN_CONTRAST = 0.35; // fraction of the strongest contrast above which a pixel is ink

const SPACE_CLASS = CHARACTERS.indexOf(' ');

/** Reads lines; on pages with much text, mostly the parts with digits. */
export async function recognize(page, lines, { recognizer, spotter = null }) {
  let found = lines.map((line) =>
    ({ line, crop: cropLine(page, line.quad), columns: columnsOf(line) }));
  if (spotter && sum(found.map(({ crop }) => crop.width)) > MAX_COLUMNS) {
    found = partsWithDigits(found, await outputsOf(found, spotter));
  }
  const makeLine = ({ line, crop, columns }, rows) =>
    new RecognizedLine(line, crop, withNumerals(rows), columns);
  const rows = await outputsOf(found, recognizer);
  const read = found.map((entry, i) => makeLine(entry, rows[i]));
  const crowded = range(read.length).filter((i) => isCrowded(read[i]));
  const widened = crowded.map((i) => widenLine(page, read[i]));
  const widenedRows = await outputsOf(widened, recognizer);
  crowded.forEach((i, k) => {
    const widerLine = makeLine(widened[k], widenedRows[k]);
    if (countDigits(widerLine) > countDigits(read[i])) read[i] = widerLine;
  });
  return reviseSpaces(read);
}

/** Whether a line with an uncertain digit may have more characters than its crop can resolve. */
function isCrowded({ symbols, columns }) {
  const dense = columns < MIN_PITCH * STRIDE * symbols.length && STRETCH * columns < MAX_WIDTH;
  return dense
    && symbols.some(({ char, confidence }) => DIGITS.includes(char) && confidence < CONFIDENT);
}

const countDigits = ({ symbols }) => symbols.filter(({ char }) => DIGITS.includes(char)).length;

const widenLine = (page, { line }) =>
  ({ line, crop: cropLine(page, line.quad, STRETCH), columns: columnsOf(line, STRETCH) });

/** Number of columns of its crop that a line covers; the rest is padding. */
export const columnsOf = (line, stretch = 1) =>
  Math.min(MAX_WIDTH, (stretch * widthOf(line) * HEIGHT) / Math.max(heightOf(line), 1e-3));

/** The lines of a page, with spaces around digits revised by the spacing of its print. */
export function reviseSpaces(lines) {
  const revised = [...lines];
  const pairs = lines.flatMap((read, number) => spacedPairs(read, number));
  const chances = pairs.length ? spaceChances(pairs) : [];
  pairs.forEach(({ number, between, isParted }, i) => {
    if (chances[i] > 0.5 === isParted) return;
    const { line, crop, posteriors, columns } = revised[number];
    const changed = setSpace(posteriors, between, chances[i]);
    revised[number] = new RecognizedLine(line, crop, changed, columns);
  });
  return revised;
}

/** Pairs of a digit and its neighbour, adjacent or separated by a space; see `spaceChances`. */
function spacedPairs(read, number) {
  const { symbols, spans, rows, posteriors, scale: [scaleX, scaleY] } = read;
  const isDigit = (i) => DIGITS.includes(symbols[i].char);
  const places = range(symbols.length).filter((i) => SPACED.includes(symbols[i].char));
  const neighbours = places.slice(1).map((j, k) => [places[k], j])
    .filter(([i, j]) => symbols.slice(i + 1, j).every(({ char }) => char === ' '))
    .filter((pair) => pair.some(isDigit));
  if (!neighbours.length) return [];
  const height = quantile(places.filter(isDigit).map((i) => rows[i][1] - rows[i][0]), 0.5);
  return neighbours.map((pair) => {
    const [first, last] = pair.map((i) => Math.trunc(symbols[i].centre / STRIDE));
    return {
      number,
      between: [first + 1, last],
      gap: ((spans[pair[1]][0] - spans[pair[0]][1]) * scaleY) / scaleX / height,
      sides: pair.map((i) => SPACED.indexOf(symbols[i].char)),
      space: max(posteriors.slice(first + 1, last).map((row) => row[SPACE_CLASS]), 0),
      isParted: pair[1] - pair[0] > 1,
    };
  });
}

/** Posteriors with the probability of a space in a range of steps adjusted to `chance`. */
function setSpace(posteriors, [first, last], chance) {
  const changed = posteriors.map((row) => row.slice());
  const between = changed.slice(first, last);
  const spaces = between.map((row) => row[SPACE_CLASS]);
  if (chance < 0.5) {
    between.forEach((row, i) => {
      row[BLANK] += (1 - chance) * spaces[i];
      row[SPACE_CLASS] *= chance;
    });
  } else if (between.length) {
    const best = argmax(spaces);
    const scale = (1 - chance) / Math.max(1 - spaces[best], 1e-6);
    between[best].set(between[best].map((value) => scale * value));
    between[best][SPACE_CLASS] = chance;
  }
  return changed;
}

/** The output of a network for each crop: a Float32Array per step. */
async function outputsOf(found, graph) {
  const rows = [];
  for (const batch of batchLines(found.map(({ crop }) => crop))) {
    const outputs = await readLines(graph, batch);
    batch.indices.forEach((index, i) => {
      rows[index] = outputs[i].slice(0, found[index].crop.width / STEP);
    });
  }
  return rows;
}

/** A line with its characters; their positions are computed on first use. */
export class RecognizedLine {
  #ink;
  #spans;
  #rows;
  #boxes;

  constructor(line, crop, posteriors, columns = columnsOf(line)) {
    Object.assign(this, { line, crop, posteriors, columns, symbols: decode(posteriors) });
    // Crop columns and rows per page pixel; long lines are compressed.
    this.scale = [[columns, widthOf(line)], [HEIGHT, heightOf(line)]].map(
      ([shown, side]) => shown / Math.max(side, 1e-3));
  }

  /** Mask of the ink in the crop, 1 or 0 for each pixel. */
  get ink() {
    return (this.#ink ??= inkOf(this.crop));
  }

  /** First and last column of each character; a space gets no ink. */
  get spans() {
    return (this.#spans ??= spansOf(this));
  }

  /** First and last row of the ink of each character. */
  get rows() {
    return (this.#rows ??= this.spans.map((_, i) => rowsWithInk(this, i)));
  }

  /** The upright box on the page of each character. */
  get boxes() {
    this.#boxes ??= this.spans.map((span, i) => boxOf(this, span, this.rows[i]));
    return this.#boxes;
  }

  /** The crop column of the centre of a box on the page. */
  columnOf(box) {
    return fround(fround(alongLine(this.line, middleOf(box))[0]) * fround(this.scale[0]));
  }
}

/** Splits lines into parts around words with digits; the largest lines stay whole. */
export function partsWithDigits(found, spots) {
  const largest = range(found.length)
    .sort((a, b) => areaOf(found[b].line) - areaOf(found[a].line)).slice(0, WHOLE_LINES);
  return found.flatMap((entry, index) => (largest.includes(index) ? [entry]
    : digitRanges(spots[index]).map(([first, last]) => partOf(entry, first, last))));
}

/** The part of a line from step `first` to before step `last`. */
function partOf({ line, crop, columns }, first, last) {
  const columnEnds = [first, last].map((step) => Math.min(STEP * step, columns));
  const [left, right] = columnEnds.map((end) => end / columns);
  const [topLeft, topRight, bottomRight, bottomLeft] = line.quad;
  const lerp = (a, b, share) => [0, 1].map((k) => fround(a[k] + share * fround(b[k] - a[k])));
  const quad = [
    lerp(topLeft, topRight, left), lerp(topLeft, topRight, right),
    lerp(bottomLeft, bottomRight, right), lerp(bottomLeft, bottomRight, left),
  ];
  const cut = part(crop, [STEP * first, 0, STEP * last, HEIGHT]);
  return { line: { quad, score: line.score }, crop: cut, columns: columnEnds[1] - columnEnds[0] };
}

/** Ranges of steps [first, end] with digits, each from a space before to a space after them. */
function digitRanges(spots) {
  const steps = range(spots.length);
  const spaces = steps.filter((step) => spots[step][1] > fround(SPACE_THRESHOLD));
  const parts = [];
  for (const step of steps.filter((each) => spots[each][0] > fround(DIGIT_THRESHOLD))) {
    const first = spaces.findLast((space) => space <= step - CONTEXT) ?? 0;
    const end = (spaces.find((space) => space >= step + CONTEXT) ?? spots.length - 1) + 1;
    const last = parts.at(-1);
    if (last && first < last[1]) last[1] = end;
    else parts.push([first, end]);
  }
  return parts;
}

/** The lines to read: detected lines, and one for each group of digits outside them. */
export function lineProposals({ lines: found, digits: all }) {
  const digits = all.filter(({ score, box }) =>
    score > MIN_LINE_SCORE && linesIn(box, found) <= MAX_STROKES);
  const sure = digits.filter(({ score }) => score > 0.5).map(({ box }) => box);
  const lines = found.filter((line) => !isPartOfDigit(line, sure));
  const outside = digits.map(({ box }) => box).filter((box) =>
    linesIn(box, lines) < 2 && sum(lines.map((line) => shareOnLine(line, box))) <= MAX_COVERED);
  return [...lines, ...groupDigits(outside).map(lineOf)].map(addPaper);
}

/** Adds paper around a line as narrow as a stroke, which would otherwise look like an edge. */
function addPaper(line) {
  const [width, height] = [widthOf(line), heightOf(line)];
  if (width > MIN_ASPECT * height) return line;
  const [[across, down], centre] = [axesOf(line), centreOf(line)];
  const half = (GROWTH * height) / 2;
  const reach = Math.max(MIN_ASPECT * half, (GROWTH * width) / 2);
  const quad = cornersOf([-reach, -half, reach, half]).map(([right, below]) => [0, 1].map((k) =>
    fround(centre[k] + right * across[k] + below * down[k])));
  return { quad, score: line.score, found: line.quad };
}

/** Number of lines whose centre lies in a box; a box over several lines is no digit. */
function linesIn([x0, y0, x1, y1], lines) {
  return lines.map(centreOf).filter(([x, y]) => x > x0 && x < x1 && y > y0 && y < y1).length;
}

/** Fraction of a box that lies on a line. */
function shareOnLine(line, box) {
  const axes = axesOf(line);
  const lengths = [widthOf(line), heightOf(line)];
  const [across, along] = alongLine(line, middleOf(box)).map((place, i) => {
    const [right, down] = axes[i].map(Math.abs);
    const reach = ((box[2] - box[0]) / 2) * right + ((box[3] - box[1]) / 2) * down;
    const half = Math.max(reach, 1e-3);
    const overlap = Math.min(place + half, lengths[i]) - Math.max(place - half, 0);
    return clip(overlap / (2 * half), 0, 1);
  });
  return across * along;
}

/** Whether a box matches the height of a line and has its centre on it. */
export function onLine(box, line) {
  const [x, y] = alongLine(line, middleOf(box));
  const [width, height, boxHeight] = [widthOf(line), heightOf(line), box[3] - box[1]];
  const isInside = x > 0 && x < width && y > 0 && y < height;
  return isInside && boxHeight > MIN_HEIGHT * height && boxHeight < MAX_HEIGHT * height;
}

/** Whether a line is only a stroke of a larger digit. */
function isPartOfDigit({ quad }, boxes) {
  const [left, top, right, bottom] = boundsOf(quad);
  const area = Math.max(1e-3, (right - left) * (bottom - top));
  return boxes.some(([x0, y0, x1, y1]) => {
    const wide = Math.max(0, Math.min(x1, right) - Math.max(x0, left));
    const high = Math.max(0, Math.min(y1, bottom) - Math.max(y0, top));
    return (wide * high) / area > 0.6 && y1 - y0 > MAX_HEIGHT * (bottom - top);
  });
}

/** Boxes of digits, grouped by line and split at wide gaps. */
function groupDigits(boxes) {
  const lines = linesOf(boxes).map((line) => line.map((index) => boxes[index]));
  return lines.flatMap((line) => grouped(line, (box, i) => isApart(line[i - 1], box)));
}

function isApart(last, box) {
  const heights = [last[3] - last[1], box[3] - box[1]];
  const height = Math.max(...heights);
  return box[0] - last[2] > MAX_GAP * height || Math.min(...heights) < 0.5 * height;
}

/** A line around boxes, from left to right, along the direction from the first to the last. */
function lineOf(boxes) {
  const middles = boxes.map(middleOf);
  const [right, down] = [0, 1].map((k) => middles.at(-1)[k] - middles[0][k]);
  const length = Math.abs(down) < Math.abs(right) ? Math.hypot(right, down) : 0;
  const [ux, uy] = length ? [right / length, down / length] : [1, 0];
  const corners = boxes.flatMap((box, i) => {
    // On a slanted line the corners of upright boxes extend too far.
    if (Math.abs(uy) <= 0.02) return cornersOf(box);
    const [[x, y], wide, high] = [middles[i], (box[2] - box[0]) / 2, (box[3] - box[1]) / 2];
    return [
      [x - ux * wide, y - uy * wide], [x + ux * wide, y + uy * wide],
      [x + uy * high, y - ux * high], [x - uy * high, y + ux * high],
    ];
  });
  const [x0, y0, x1, y1] = boundsOf(corners.map(([x, y]) => [x * ux + y * uy, y * ux - x * uy]));
  const margin = MARGIN * (y1 - y0);
  const quad = cornersOf([x0 - margin, y0 - margin, x1 + margin, y1 + margin])
    .map(([a, b]) => [fround(a * ux - b * uy), fround(a * uy + b * ux)]);
  return { quad, score: 0 };
}

/** The upright box on the page around a part of the crop. */
function boxOf({ line, scale: [wide, high] }, [first, last], [top, bottom]) {
  const [[origin], [across, down]] = [line.quad, axesOf(line)];
  return boundsOf(cornersOf([first, top, last, bottom]).map(([x, y]) =>
    [0, 1].map((k) => origin[k] + (x * across[k]) / wide + (y * down[k]) / high))).map(fround);
}

/**
 * First and last column of each character.
 *
 * Strokes that touch, in columns, form one run. A run with one character belongs to it; one with
 * several is cut halfway between neighbours, unless one of them can take a free run next to it. A
 * lone character gets all runs near it, such as both sides of a ring.
 */
function spansOf({ ink, crop: { width }, symbols, columns }) {
  const inked = new Uint8Array(width);
  for (let i = LINE_ROWS[0] * width; i < LINE_ROWS[1] * width; i++) inked[i % width] |= ink[i];
  const [runs, reach] = [runsOf(inked.fill(0, Math.ceil(columns))), 0.3 * HEIGHT];
  const distance = (centre, { start, end }) => Math.max(start - centre, centre - end, 0);
  const centres = symbols.filter(({ char }) => char !== ' ').map(({ centre }) => centre);
  // For each character the run that contains it, else the nearest.
  const runOf = centres.map((centre) => argmax(runs.map((run) => -distance(centre, run))));
  const free = range(runs.length).filter((k) => !runOf.includes(k)
    && centres.some((centre) => distance(centre, runs[k]) <= reach));
  for (const k of free) {
    const nearest = argmax(centres.map((centre) => -distance(centre, runs[k])));
    if (runOf.filter((run) => run === runOf[nearest]).length > 1) runOf[nearest] = k;
  }
  const all = centres.length === 1 ? [...free, runOf[0]] : [];
  const spans = centres.map((centre, i) => {
    const run = runs[runOf[i]];
    if (!run || distance(centre, run) > reach) return [Math.max(0, centre - reach), centre + reach];
    const { start } = runs[Math.min(runOf[i], ...all)];
    const { end } = runs[Math.max(runOf[i], ...all)];
    const boundary = (k, side) => (runOf[k] === runOf[i] ? (centres[k] + centre) / 2 : side);
    const first = Math.max(start, boundary(i - 1, start));
    return [first, Math.max(Math.min(end, boundary(i + 1, end)), first + 1)];
  }).values();
  return symbols.map(({ char, centre }) =>
    (char === ' ' ? [centre, centre + 1] : spans.next().value).map(fround));
}

/** First and last row of the ink of a character, without ink of the lines above and below. */
function rowsWithInk({ ink, spans, symbols, crop: { width } }, i) {
  const [start, end] = spans[i].map(Math.trunc);
  const inked = range(HEIGHT).map((y) => Number(ink
    .subarray(y * width + start, y * width + Math.min(Math.max(start + 1, end), width))
    .includes(1)));
  const runs = runsOf(inked);
  const inner = runs.filter((run) => runs.length === 1 || (run.start > 0 && run.end < HEIGHT));
  const [top, bottom] = inner.length ? [inner[0].start, inner.at(-1).end] : DEFAULT_ROWS;
  const isPartial = bottom - top < MIN_INK_HEIGHT * HEIGHT && DIGITS.includes(symbols[i].char);
  return isPartial ? DEFAULT_ROWS : [top, bottom];
}

function inkOf({ data, width }) {
  const paper = paperOf(data, width);
  const contrast = new Uint16Array(width * HEIGHT); // in half gray levels
  for (let i = 0; i < data.length; i++) {
    const [pixel, distance] = [Math.floor(i / 3), 2 * Math.abs(data[i] - paper[i % 3])];
    if (distance > contrast[pixel]) contrast[pixel] = distance;
  }
  const strongest = quantileOf(histogram(contrast, 512), 0.98);
  const threshold = 2 * Math.max(12, (MIN_CONTRAST * strongest) / 2);
  return contrast.map((distance) => (distance > threshold ? 1 : 0));
}

/** The median colour of a crop, or of its edges if more pixels match that. */
function paperOf(data, width) {
  const ends = 3 * EDGE_ROWS * width;
  const edge = [...data.subarray(0, ends), ...data.subarray(-ends)];
  const [inner, outer] = [data, edge].map(medianColour);
  if (inner.every((value, c) => Math.abs(value - outer[c]) < COLOUR_TOLERANCE)) return inner;
  const countAlike = (paper) => range(data.length / 3).filter((i) =>
    paper.every((value, c) => Math.abs(data[3 * i + c] - value) < COLOUR_TOLERANCE)).length;
  return countAlike(outer) > countAlike(inner) ? outer : inner;
}
