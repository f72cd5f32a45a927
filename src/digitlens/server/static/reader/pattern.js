// Fits what was found to what is known of a number: how many digits, and which ones where.
//
// Knows probabilities in reading order; neither boxes nor pictures.

import { argmax, clip, max, range, sum } from './arrays.js';
import { percent } from './layout.js';

export const ANY = range(10);
export const ALLOWED =
  'expected a number of digits from 1 to 99, or a pattern: # is any digit, 7 is that digit, ' +
  '[0-3] or [159] is one of these, and other signs are printed but not read, ' +
  'as in ####-##, 20## or [0-2]#:[0-5]#';

const MOST = 99; // places
const LEAST = 1e-9; // probabilities are not taken to be nearer to 0 or 1 than this
const MISSING = 1e5; // costs more than any digit can gain: a place stays empty only if it has to
const EARLY = 1e-6; // of equal fits, the one with the empty places at the end
const PIECE = /\[([^[\]]*)\]|([0-9])|(#)|([^[\]])/uy;
const SET = /^(?:[0-9](?:-[0-9])?)+$/;
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

/**
 * Reads a pattern as a user writes it: `4`, `####-##`, `20##`, `[0-2]#:[0-5]#`.
 *
 * @returns For each place the digits that are allowed there, ascending.
 * @throws RangeError It is no such pattern; the message says what is allowed.
 */
export function parsePattern(written) {
  const text = String(written).trim();
  if (/^[0-9]+$/.test(text)) return anyDigits(text);
  const places = [...pieces(text)].filter((place) => place.length);
  if (places.length < 1 || places.length > MOST) {
    throw refused(text, `it has ${places.length} places for digits`);
  }
  return places;
}

/**
 * Chooses candidates and their values so that together they are the most probable number.
 *
 * Every place gets a candidate if there are enough; then the product of existence x probability of
 * the value of those kept and 1 - existence of those left out is the largest possible.
 *
 * @param pattern See parsePattern.
 * @param probabilities Of each value, if the candidate is a digit; candidates in reading order.
 * @param existence Probability that a candidate is a digit at all.
 * @returns Those kept, in order: {candidate, place, value, confidence}; how probable each value is
 *   among those that are allowed in its place.
 */
export function fit(pattern, probabilities, existence) {
  const fitting = probabilities.map((row) => {
    const scores = Array.from(row, (chance) => Math.max(chance, LEAST));
    return pattern.map((place) => ANY.map((value) => (place.includes(value) ? scores[value] : 0)));
  });
  const gains = fitting.map((places, j) => {
    const exists = clip(existence[j], LEAST, 1 - LEAST);
    return places.map((scores) => Math.log(max(scores)) + Math.log(exists / (1 - exists)));
  });
  return bestPath(gains, pattern.length).map(([candidate, place]) => {
    const scores = fitting[candidate][place];
    return { candidate, place, value: argmax(scores), confidence: max(scores) / sum(scores) };
  });
}

/**
 * Chooses among digits and their alternatives those that a known pattern asks for.
 *
 * @param lines A reading's, rejected digits among them.
 * @param pattern What the number looks like.
 * @param thresholds See `judge`.
 * @returns The same digits; those that do not fit are rejected, and a digit that had another value
 *   or was rejected says so.
 */
export function fitted(lines, pattern, thresholds) {
  const digits = lines.flat();
  if (!digits.length) return lines;
  // Confidence is that there is a digit and that it has this value.
  const existence = digits.map(({ confidence, probabilities }) =>
    confidence / max(probabilities, 1e-6),
  );
  const probabilities = digits.map((digit) => digit.probabilities);
  const choice = fit(pattern, probabilities, existence.map((share) => clip(share, 0, 1)));
  const chosen = new Map(choice.map(({ candidate, ...rest }) => [candidate, rest]));
  const answers = digits.map((digit, i) =>
    expected(digit, chosen.get(i), Math.min(1, existence[i]), thresholds),
  );
  let next = 0;
  return lines.map((line) => line.map(() => answers[next++]));
}

function expected(digit, chosen, existence, thresholds) {
  if (!chosen) {
    if (digit.status === 'rejected') return digit;
    return { ...digit, status: 'rejected', reason: 'more than the digits that were expected' };
  }
  const { value } = chosen;
  const confidence = existence * chosen.confidence;
  if (confidence >= thresholds.digit) {
    return { ...digit, value, confidence, status: 'digit', reason: '' };
  }
  const reason = `${percent(confidence)} % sure, also from what was expected`;
  return { ...digit, value, confidence, status: 'unsure', reason };
}

/** A pattern of any digits from their number. */
function anyDigits(text) {
  if (text[0] === '0' || text.length > 2) throw refused(text, 'it is no number of digits');
  return range(Number(text)).map(() => ANY);
}

/** Each place as what is allowed there, and each printed sign as an empty place. */
function* pieces(text) {
  let position = 0;
  while (position < text.length) {
    PIECE.lastIndex = position;
    const piece = PIECE.exec(text);
    if (!piece || UNPRINTABLE.test(piece[0])) {
      const found = String.fromCodePoint(text.codePointAt(position));
      throw refused(text, `'${found}' cannot stand at position ${position + 1}`);
    }
    position = PIECE.lastIndex;
    if (piece[1] !== undefined) yield setOf(text, piece[1]);
    else if (piece[4] !== undefined) yield [];
    else yield piece[3] ? ANY : [Number(piece[2])];
  }
}

function setOf(text, inside) {
  const ranges = [...inside.matchAll(/[0-9](?:-[0-9])?/g)].map(([part]) => [
    Number(part[0]), Number(part.at(-1)),
  ]);
  if (!SET.test(inside) || ranges.some(([first, last]) => first > last)) {
    throw refused(text, `[${inside}] is no set of digits`);
  }
  return ANY.filter((value) => ranges.some(([first, last]) => first <= value && value <= last));
}

function refused(text, reason) {
  return new RangeError(`${ALLOWED}; found '${text}': ${reason}`);
}

/** The candidates kept, in order, with the places that they fill; gains are [candidate][place]. */
function bestPath(gains, places) {
  const count = gains.length;
  let best = [0, ...gains.map(() => -Infinity)]; // of all up to a place, by the last one kept
  const before = range(places).map((place) => {
    const ways = range(count + 1).map((to) =>
      best.map((value, from) => {
        if (from === to) return value - MISSING - EARLY * (places - place);
        return from < to ? value + gains[to - 1][place] : -Infinity;
      }),
    );
    best = ways.map((values) => max(values));
    return ways.map(argmax);
  });
  let last = argmax(best);
  const path = [];
  for (const place of range(places).reverse()) {
    const previous = before[place][last];
    if (previous !== last) path.push([last - 1, place]);
    last = previous;
  }
  return path.reverse();
}
