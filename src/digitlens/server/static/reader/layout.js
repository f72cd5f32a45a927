// Layout: accepts or rejects digits, groups them into lines, finds the numbers with their marks.

import { argsort, clip, grouped, max, mean, middleOf, quantile, range, rint } from './arrays.js';
import { DIGITS, OTHER_SIGN } from './decode.js';
import { encloses } from './ink.js';
import { charactersOf, exponentsIn, numbersOn } from './numbers.js';
import { DIGIT, UNSEEN } from './places.js';
import { linesOf, numbersOf } from './reading_order.js';
import { heightOf } from './text_lines.js';

const MAX_GAP = 1.2; // digit heights: largest gap inside a number found as two lines, as in a comb
const MIN_OVERLAP = 0.4; // least vertical overlap of digits across such a gap, over the lower digit
const MAX_CELL_STEP = 1.5; // cells across: less than two cells, which an empty one separates
const MIN_EMPTY = 0.25; // fraction of neighbours in a grid with an empty cell between them
const MIN_READ_EXISTENCE = 0.3; // least existence of a digit that is read as one on a line with ...
const MIN_CLEAR = 2; // ... at least this many digits
const INK_LEVEL = 64; // level of a tile from which a pixel is ink
const MAX_SIZE_RATIO = 2; // largest ratio of line heights at which text counts as of a mark's size
const MIN_CHARACTERS = 2; // least number of characters of a text, ...
const MIN_LEGIBILITY = 0.5; // ... and their least mean confidence

/**
 * Assigns a status to each place and puts the digits in reading order.
 *
 * @param view {scores, probabilities, confidence, existence, tiles, lines}: one entry per place,
 *   and the lines read.
 * @param size Width and height of the page.
 * @param thresholds {digit, reject}: least confidence to be sure; below it, not a digit.
 * @returns {lines, characters, numbers, places}: the digits of each line, its numbers as written,
 *   their spots (see numbers.js), and the index of the place of each digit.
 */
export function arrange(view, size, thresholds) {
  const { scores, lines } = view;
  const digits = scores.map((_, place) => judgeDigit(view, place, size, thresholds));
  const accepted = range(digits.length).filter((i) => !isRejected(digits[i]));
  const rows = rowsOf(
    linesOf(accepted.map((i) => scores[i].box)).map((row) => row.map((i) => accepted[i])), scores,
  );
  const numbers = [...new Set(accepted.map((i) => scores[i].line))].flatMap((number) =>
    numbersOn(spotsOf(number, lines[number], scores, digits, size)));
  const starts = startsOf(rows, numbers, scores);
  const written = rows.map((row) => numbersIn(row, numbers, starts));
  for (const index of starts) digits[index].startsNumber = true;
  for (const index of range(digits.length)) {
    if (isRejected(digits[index])) insertRejected(rows, written, index, digits);
  }
  return {
    lines: rows.map((row) => row.map((i) => digits[i])), characters: written.map(charactersOf),
    numbers: written, places: rows,
  };
}

/**
 * A digit: rejected if its existence is low, else sure or unsure by its confidence.
 *
 * A digit without a clear value is kept if it surely is one, or on a line with other digits:
 * dropping it would make a number ten times smaller. So is one of low existence that is read as a
 * digit among others. An isolated mark may be dust: it is unsure at best, and so is a ring. The
 * exponent of a unit, as in m³, is rejected.
 */
function judgeDigit(view, place, size, { digit: threshold, reject }) {
  const [probabilities, confidence, existence] = [
    view.probabilities, view.confidence, view.existence].map((column) => column[place]);
  const { box, line, reads, letters, symbol } = view.scores[place];
  const [runnerUp, value] = argsort(probabilities).slice(-2);
  const digit = {
    value, confidence, probabilities, box: pageBox(box, ...size), status: 'digit', reason: '',
    startsNumber: false, tile: view.tiles[place],
  };
  const text = view.lines[line].symbols.map(({ char }) => char).join('');
  if (exponentsIn(text).includes(symbol)) {
    return { ...digit, status: 'rejected', reason: 'exponent of a unit' };
  }
  const percentSure = percent(confidence);
  const others = view.scores
    .filter((one, i) => one.line === line && view.confidence[i] >= reject).length;
  const isRead = reads === DIGIT && letters === 0 && others >= MIN_CLEAR;
  const isolated = isIsolated(view, place);
  if (existence < (isRead ? MIN_READ_EXISTENCE : others && !isolated ? reject : threshold)) {
    const reason = `hardly a digit, closest to ${value} (${percentSure} %)`;
    return { ...digit, status: 'rejected', reason };
  }
  if (confidence >= threshold && !isolated && !isRing(view, place, value)) return digit;
  const other = 1 - existence > probabilities[runnerUp] ? 'may be no digit'
    : `could be ${runnerUp} (${percent(probabilities[runnerUp])} %)`;
  return { ...digit, status: 'unsure', reason: `${percentSure} % sure, ${other}` };
}

/** Whether a lone mark is too small for the digit detector, and no text has its size. */
function isIsolated({ scores, lines }, place) {
  const { lone, objectness, line } = scores[place];
  if (!lone || objectness > UNSEEN) return false;
  const height = Math.max(heightOf(lines[line].line), 1e-3);
  return !lines.some((read) => {
    const share = heightOf(read.line) / height;
    return share > 1 / MAX_SIZE_RATIO && share < MAX_SIZE_RATIO && isWord(read);
  });
}

/** Whether a lone 0 may be a ring around something, such as a face. */
function isRing({ scores, tiles }, place, value) {
  if (value !== 0 || !scores[place].lone) return false;
  const tile = tiles[place];
  const side = Math.sqrt(tile.length);
  return encloses(tile.map((level) => level >= INK_LEVEL), side, side);
}

function isWord({ symbols }) {
  return symbols.filter(({ char }) => char !== ' ').length >= MIN_CHARACTERS
    && mean(symbols.map(({ confidence }) => confidence)) > MIN_LEGIBILITY;
}

/** Merges rows that share a text line; each row from left to right. */
function rowsOf(rows, scores) {
  let merged = [];
  for (const row of rows) {
    const lines = new Set(row.map((i) => scores[i].line));
    const joined = merged.filter((other) => other.some((i) => lines.has(scores[i].line)));
    const [first, ...rest] = joined.length ? joined : [[]];
    if (!joined.length) merged.push(first);
    first.push(...row, ...rest.flat());
    merged = merged.filter((other) => !rest.includes(other));
  }
  return merged.map((row) => {
    const middles = row.map((i) => Math.fround(scores[i].box[0] + scores[i].box[2]));
    return argsort(middles).map((i) => row[i]);
  });
}

const spotOf = ({ value, confidence, box }, place) =>
  ({ char: String(value), confidence, box, place });

const isRejected = ({ status }) => status === 'rejected';

/** The spots of a line: accepted digits with their fused value, other characters as read. */
function spotsOf(number, read, scores, digits, size) {
  const onLine = range(scores.length).filter((i) => scores[i].line === number);
  const known = new Map(onLine.map((i) => [scores[i].symbol, i]));
  const characters = read.symbols.map(({ char, centre, confidence }, symbol) => {
    const place = known.get(symbol) ?? -1;
    if (place >= 0 && !isRejected(digits[place])) return [centre, spotOf(digits[place], place)];
    const box = pageBox(read.boxes[symbol], ...size);
    const spotChar = DIGITS.includes(char) ? OTHER_SIGN : char;
    return [centre, { char: spotChar, confidence, box, place: -1 }];
  });
  const others = onLine.filter((i) => scores[i].symbol < 0 && !isRejected(digits[i]))
    .map((i) => [read.columnOf(scores[i].box), spotOf(digits[i], i)]);
  return [...characters, ...others].sort(([one], [other]) => one - other).map(([, spot]) => spot);
}

const firstPlace = (number) => number.find(({ place }) => place >= 0).place;

/**
 * The numbers whose first digit is in a row, from left to right.
 *
 * Joins the parts of a number found as several lines, as in a comb.
 */
function numbersIn(row, numbers, starts) {
  const byFirst = new Map(numbers.map((number) => [firstPlace(number), number]));
  const joined = [];
  for (const place of row.filter((index) => byFirst.has(index))) {
    const previous = joined.length && !starts.has(place) ? joined.pop() : [];
    joined.push([...previous, ...byFirst.get(place)]);
  }
  return joined;
}

/** The digits that begin a number, except the first digit of each row. */
function startsOf(rows, numbers, scores) {
  const starts = new Set(numbers.map(firstPlace));
  const inCells = areInCells(rows, scores);
  const areOne = (left, right) =>
    !(inCells && left.lone && right.lone) && areJoined(left, right);
  for (const row of rows) {
    const parts = numbersOf(row.map((i) => scores[i].box));
    const separate = new Set(parts.map(([first]) => row[first]));
    row.forEach((index, i) => {
      if (!i || (!separate.has(index) && areOne(scores[row[i - 1]], scores[index]))) {
        starts.delete(index);
      }
    });
  }
  return starts;
}

/** Whether neighbours on two lines are close enough to belong to one number. */
function areJoined(left, right) {
  const heights = [left, right].map(({ box }) => Math.max(box[3] - box[1], 1));
  const gap = (right.box[0] - left.box[2]) / Math.min(...heights);
  const [top, bottom] = [
    Math.max(left.box[1], right.box[1]), Math.min(left.box[3], right.box[3])];
  // Digits of the line above or below lie in between where two lines converge.
  const level = (bottom - top) / Math.min(...heights);
  return left.line !== right.line && gap < MAX_GAP && level > MIN_OVERLAP;
}

/** Whether lone characters stand in a grid of about square cells, some of them empty. */
function areInCells(rows, scores) {
  const lone = rows.map((row) => row.map((i) => scores[i]).filter((place) => place.lone)
    .map(({ box }) => middleOf(box)));
  const spacings = lone.flatMap((row) => row.slice(1).map(([x], i) => x - row[i][0]));
  if (!spacings.length) return false;
  const middles = lone.flat();
  const maxDistance = max(middles.flat());
  const nearest = middles.map(([x, y]) => {
    const offsets = middles.map((other) => [Math.abs(other[0] - x), Math.abs(other[1] - y)]);
    return [0, 1].map((k) => Math.min(
      maxDistance, ...offsets.filter((pair) => pair[k] > pair[1 - k]).map((pair) => pair[k])));
  });
  const [columnPitch, rowPitch] = [0, 1].map((k) => quantile(nearest.map((pair) => pair[k]), 0.5));
  const empty = spacings.filter((spacing) => spacing > MAX_CELL_STEP * columnPitch);
  return rowPitch < MAX_CELL_STEP * columnPitch && empty.length >= MIN_EMPTY * spacings.length;
}

/** Inserts a rejected digit into the row at its position, or into a new row. */
function insertRejected(rows, written, index, digits) {
  const [x0, y0, , y1] = digits[index].box;
  const middle = (y0 + y1) / 2;
  const boxesOf = (row) => row.map((i) => digits[i].box);
  const distance = (box) => Math.abs(box[0] - x0);
  const target = rows.find((row) => {
    const near = boxesOf(row).reduce((a, b) => (distance(b) < distance(a) ? b : a));
    return near[1] <= middle && middle <= near[3];
  });
  if (target) {
    target.splice(boxesOf(target).filter((box) => box[0] <= x0).length, 0, index);
    return;
  }
  const above = rows.filter((row) => boxesOf(row).some((box) => box[1] <= y0)).length;
  rows.splice(above, 0, [index]);
  written.splice(above, 0, []);
}

/** The digits of each number of a line; a rejected first digit still separates its number. */
export function numberDigits(line) {
  return grouped(line, ({ startsNumber }) => startsNumber)
    .map((digits) => digits.filter((digit) => !isRejected(digit)))
    .filter(({ length }) => length);
}

/** A box rounded to whole pixels and clipped to the page, at least one pixel a side. */
export function pageBox(box, width, height) {
  const [left, top, right, bottom] = Array.from(box, rint);
  const [x0, y0] = [clip(left, 0, width - 1), clip(top, 0, height - 1)];
  return [x0, y0, clip(right, x0 + 1, width), clip(bottom, y0 + 1, height)];
}

/** A fraction in whole percent, as text. */
export const percent = (share) => String(rint(100 * share));
