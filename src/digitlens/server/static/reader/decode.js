// Decodes what the line recogniser says of each step along a line into characters.
//
// Best-path decoding of a CTC network: the most probable class of each step, repetitions joined,
// blanks dropped. Posteriors are an array of Float32Arrays, one for each step.

import { argmax, sum } from './arrays.js';
import { BLANK, CHARACTERS, DIGITS, LATIN } from './alphabet.js';

const { fround } = Math;

const LETTERS = CHARACTERS.indexOf(LATIN); // their first class; the last one is any other sign
const WIDTH = 32; // prefixes that a search follows
const SLIGHT = 1e-6; // odds below which a prefix is not followed
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

/**
 * The numbers that a pattern allows, the most probable first: CTC prefix beam search.
 *
 * @param steps {chars, blank, joined} each, see constrained.js.
 * @param places See `parsePattern`.
 * @returns {text, odds, steps} of each: how many times as probable as the best path of all it is,
 *   and at which step each digit is seen.
 */
export function search(steps, places) {
  let beam = new Map([['', { blank: 1, last: 0, steps: [], top: 0 }]]);
  steps.map(scaled).forEach((step, place) => {
    beam = pruned(extended(beam, step, place, places));
  });
  return [...beam]
    .filter(([text, prefix]) => text.length === places.length && mass(prefix))
    .map(([text, prefix]) => ({ text, odds: mass(prefix), steps: prefix.steps }))
    .sort((a, b) => b.odds - a.odds);
}

/** The same with 1 for what is most probable. */
function scaled({ chars, blank, ...rest }) {
  const top = Math.max(blank, ...chars.map(([, chance]) => chance));
  return {
    ...rest, blank: blank / top, chars: chars.map(([char, chance]) => [char, chance / top]),
  };
}

function mass({ blank, last }) {
  return blank + last;
}

/** All beginnings after one step more. */
function extended(beam, step, place, places) {
  const found = new Map();
  const at = (text) => {
    if (!found.has(text)) found.set(text, { blank: 0, last: 0, steps: [], top: 0 });
    return found.get(text);
  };
  const offer = (prefix, top, steps) => {
    if (top > prefix.top) Object.assign(prefix, { top, steps });
  };
  for (const [text, old] of beam) {
    if (!step.joined) [old.blank, old.last] = [old.blank + old.last, 0];
    const whole = old.blank + old.last;
    const kept = at(text);
    kept.blank = whole * step.blank;
    let stays = kept.blank;
    for (const [char, chance] of step.chars) {
      const again = step.joined && text.endsWith(char);
      if (again) {
        kept.last += old.last * chance;
        stays += old.last * chance;
      }
      const likely = (again ? old.blank : whole) * chance;
      if (likely < SLIGHT || !places[text.length]?.includes(Number(char))) continue;
      const longer = at(text + char);
      longer.last += likely;
      offer(longer, likely, [...old.steps, place]);
    }
    offer(kept, stays, old.steps);
  }
  return found;
}

/** The most probable beginnings, and of each length the most probable one. */
function pruned(beam) {
  if (beam.size <= WIDTH) return beam;
  const ranked = [...beam].filter(([, prefix]) => mass(prefix) >= SLIGHT)
    .sort(([, a], [, b]) => mass(b) - mass(a));
  const kept = ranked.slice(0, WIDTH);
  const lengths = new Set(kept.map(([text]) => text.length));
  for (const entry of ranked.slice(WIDTH, 3 * WIDTH)) {
    if (!lengths.has(entry[0].length)) kept.push(entry);
    lengths.add(entry[0].length);
  }
  return new Map(kept);
}
