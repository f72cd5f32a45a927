// Places that may hold a digit: matches the digit detector's boxes with the characters read.
//
// A place is {box, objectness, detector, mass, given, numeric, recognizer, line, symbol, reads,
// fluency, letters, lone, text}: its box; existence and ten value probabilities by the digit
// detector; by the recogniser, the probability of a digit, the same given a character, and given a
// character that is no letter, and ten value probabilities; the index of its line, and of its
// character there or -1; what that is: NOTHING, DIGIT or MARK, which is any other character; mean
// confidence of the line's characters; fraction of letters in its word; 1 if it is alone on its
// line, else 0; the score of its line, 0 for a line made up of digits.

import { argmax, argsortDown, clip, mean, rint, sum } from './arrays.js';
import { DIGITS, STRIDE, digitEvidence, digitsOf } from './decode.js';
import { overlap, sizeOf } from './nms.js';
import { onLine } from './recognize.js';

const { fround } = Math;

const NOTHING = 0; // kinds of character that the recogniser reads at a place
export const DIGIT = 1;
const MARK = 2;
export const UNSEEN = 1e-4; // objectness of places that the digit detector did not find
const MIN_LONE_SCORE = 0.15; // score above which a digit without a character counts
const MIN_IOU = 0.2; // least IoU, in columns, of a digit and its character
const CONFIDENT = 0.5; // confidence of characters, and score of digits, that counts as sure
const MIN_MASS = 0.05; // the recogniser's probability of a digit above which a character is a place
const MAX_IOU = 0.45; // IoU above which two boxes are one place
const MAX_CONTAINMENT = 0.7; // fraction of the smaller box in the larger above which it is its part
const MIN_ENCLOSED = 3; // sure digits inside a box from which it is a column, and no digit
const UNIFORM = new Float32Array(DIGITS.length).fill(0.1);

/** All places where the detector or the recogniser sees a digit, without duplicates. */
export function gather(digits, lines) {
  return dropDuplicates(lines.flatMap((line, number) => placesOn(line, number, digits)));
}

function placesOn(read, number, digits) {
  const { symbols } = read;
  const candidates = digits.filter(({ box }) => onLine(box, read.line))
    .map((digit) => ({ ...digit, span: spanOf(read, digit.box) }))
    .filter(({ span }) => charactersIn(read, span) < 2);
  const symbolOf = matchSymbols(candidates, read);
  const remaining = zeroSymbols(read);
  const evidence = symbols.map(({ posterior }) => digitEvidence([posterior], 0, STRIDE));
  const makePlace = (symbol, box, objectness, detector, { values: recognizer, ...facts }) =>
    ({ box, objectness, detector, ...facts, recognizer, symbol });
  const detected = candidates.flatMap(({ box, score, probabilities, span }, i) => {
    const symbol = symbolOf[i];
    if (symbol < 0 && score <= MIN_LONE_SCORE) return [];
    const facts = evidence[symbol] ?? digitEvidence(remaining, ...span);
    const isDoubtful = symbol >= 0 && score < CONFIDENT;
    return makePlace(symbol, isDoubtful ? read.boxes[symbol] : box, score, probabilities, facts);
  });
  const others = evidence.flatMap((facts, symbol) => {
    if (facts.mass <= MIN_MASS || symbolOf.includes(symbol)) return [];
    return makePlace(symbol, read.boxes[symbol], UNSEEN, UNIFORM, facts);
  });
  const places = [...detected, ...others];
  const letters = lettersAround(symbols);
  const ofLine = {
    line: number,
    fluency: symbols.length ? mean(symbols.map(({ confidence }) => confidence)) : 0,
    lone: Number(Math.max(symbols.length, places.length) === 1),
    text: read.line.score,
  };
  return places.map((place) => ({
    ...place, ...ofLine, reads: readAs(symbols[place.symbol]), letters: letters[place.symbol] ?? 0,
  }));
}

function readAs(symbol) {
  if (!symbol) return NOTHING;
  return DIGITS.includes(symbol.char) ? DIGIT : MARK;
}

/** Number of sure characters whose centre is well inside a span; a span of two is no digit. */
function charactersIn({ symbols }, [first, last]) {
  const margin = 0.15 * (last - first);
  return symbols.filter(({ centre, confidence }) =>
    confidence > CONFIDENT && centre > first + margin && centre < last - margin).length;
}

/** First and last column of a box in a line crop. */
function spanOf(read, box) {
  const half = ((box[2] - box[0]) / 2) * read.scale[0];
  return [-half, half].map((offset) => fround(read.columnOf(box) + offset));
}

/**
 * The index of the character of each digit, -1 for none; digits choose by descending score.
 *
 * A digit is matched with the character that maximises the shared columns plus the agreement on
 * the value.
 */
function matchSymbols(candidates, { spans, symbols }) {
  const symbolOf = candidates.map(() => -1);
  for (const index of argsortDown(candidates.map(({ score }) => score))) {
    const scores = symbols.map(({ posterior }, symbol) => {
      const shared = spanIou(spans[symbol], candidates[index].span);
      if (symbolOf.includes(symbol) || shared <= MIN_IOU) return 0;
      const values = digitsOf(posterior);
      return shared + sum(candidates[index].probabilities.map((chance, k) => chance * values[k]));
    });
    const best = argmax(scores);
    if (scores[best] > 0) symbolOf[index] = best;
  }
  return symbolOf;
}

/** Intersection over union of two spans of columns. */
function spanIou([first, last], [low, high]) {
  const common = Math.min(last, high) - Math.max(first, low);
  return clip(common / Math.max(Math.max(last, high) - Math.min(first, low), 1e-3), 0, 1);
}

/** The posteriors of a line, zeroed around its characters. */
function zeroSymbols({ posteriors, symbols }) {
  const steps = symbols.map(({ centre }) => rint(centre / STRIDE - 0.5));
  const taken = new Set(steps.flatMap((step) => [step - 1, step, step + 1])
    .map((step) => clip(step, 0, posteriors.length - 1)));
  return posteriors.map((row, i) => (taken.has(i) ? new Float32Array(row.length) : row));
}

/** For each character, the fraction of letters in its word. */
function lettersAround(symbols) {
  const words = symbols.map(({ char }) => char).join('').split(' ');
  return words.flatMap((word) => {
    const share = (word.match(/[A-Za-z]/g) ?? []).length / Math.max(1, word.length);
    return [...Array(word.length).fill(share), 0];
  });
}

/**
 * Drops places that overlap a stronger one.
 *
 * Different characters of one line stay distinct, however much their boxes overlap. A place with
 * several sure digits inside is dropped itself.
 */
function dropDuplicates(places) {
  const strength = places.map(({ objectness, mass }) =>
    fround(fround(Math.max(objectness, 1e-3) * mass) + fround(0.1 * mass)));
  const kept = new Set(places);
  for (const place of argsortDown(strength).map((i) => places[i])) {
    if (!kept.has(place)) continue;
    const overlapped = [...kept].filter((other) => {
      const areDistinct = other.line === place.line && other.symbol >= 0 && place.symbol >= 0;
      if (other === place || areDistinct) return false;
      const [union, fraction] = overlap(place.box, other.box);
      return union > MAX_IOU || fraction > MAX_CONTAINMENT;
    });
    // A box around digits hides them from the detector, so digits read on text lines count too.
    const inside = overlapped.filter(({ box, mass, objectness, text, lone }) =>
      (objectness > CONFIDENT || (text > 0 && !lone)) && mass > CONFIDENT
      && sizeOf(box) < sizeOf(place.box));
    // The same digit may be on two lines.
    const isSingle = new Set(inside.map(({ box }) => box.join())).size < MIN_ENCLOSED;
    for (const other of isSingle ? overlapped : [place]) kept.delete(other);
  }
  return [...kept];
}
