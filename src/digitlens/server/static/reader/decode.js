// Decodes what the line recogniser says of each step along a line into characters.
//
// Best-path decoding of a CTC network: the most probable class of each step, repetitions joined,
// blanks dropped. Posteriors are an array of Float32Arrays, one for each step.

import { argmax, sum } from './arrays.js';
import { BLANK, CHARACTERS, DIGITS, LATIN } from './alphabet.js';

const { fround } = Math;

const LETTERS = CHARACTERS.indexOf(LATIN); // their first class; the last one is any other sign
export const STRIDE = 8; // columns of a line crop that each step of the posteriors covers

/**
 * The characters of the most probable path, from left to right.
 *
 * @returns {char, posterior, centre, confidence} of each: its posterior at the step that is surest
 *   of it, and where it stands, in columns of the line crop.
 */
export function decode(posteriors) {
  const best = posteriors.map(argmax);
  const strength = posteriors.map((row, i) => row[best[i]]);
  const symbols = [];
  for (let begin = 0; begin < best.length; begin++) {
    if (best[begin] === BLANK || best[begin] === best[begin - 1]) continue;
    let [surest, total, moment] = [begin, 0, 0];
    for (let i = begin; best[i] === best[begin]; i++) {
      if (strength[i] > strength[surest]) surest = i;
      total += strength[i];
      moment += strength[i] * (i + 0.5);
    }
    symbols.push({
      char: CHARACTERS[best[begin]],
      posterior: posteriors[surest],
      centre: STRIDE * fround(moment / total),
      confidence: strength[surest],
    });
  }
  return symbols;
}

/**
 * What a line's posteriors say of a digit between two columns.
 *
 * @returns {mass, given, numeric, values}: that there is a digit, the same if there is a character
 *   at all, and if that is no letter, as on a line of numbers; which digit, if there is one.
 */
export function digitEvidence(posteriors, begin, end) {
  const first = Math.min(Math.max(0, Math.trunc(begin / STRIDE)), posteriors.length - 1);
  const last = Math.min(Math.max(first + 1, Math.ceil(end / STRIDE)), posteriors.length);
  const rows = posteriors.slice(first, last);
  const masses = rows.map((row) => sum(row.subarray(1, 1 + DIGITS.length)));
  const surest = argmax(masses);
  const [row, mass] = [rows[surest], masses[surest]];
  const [blank, letters] = [row[BLANK], sum(row.subarray(LETTERS))];
  const values = row.slice(1, 1 + DIGITS.length).map((chance) => (chance + 1e-5) / (mass + 1e-4));
  const of = (rest) => fround(mass / Math.max(rest, mass, 1e-6));
  return { mass: fround(mass), given: of(1 - blank), numeric: of(1 - blank - letters), values };
}
