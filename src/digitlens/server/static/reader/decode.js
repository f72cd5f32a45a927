// Decodes the posteriors of the line recogniser into characters.
//
// CTC best-path decoding and prefix beam search. Posteriors are an array of Float32Arrays, one per
// step along the line, with one probability for each of CHARACTERS.

import { argmax, clip, max, quantile, sum } from './arrays.js';

const { fround } = Math;

// The characters that the recogniser distinguishes; all others share the class OTHER_SIGN.
export const DIGITS = '0123456789';
const MARKS = ".,'-+/:%°()#*=×÷$€£¥§";
const LATIN = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
export const OTHER_SIGN = '\ufffd';
export const BLANK = 0; // class of the CTC blank
export const CHARACTERS = `\0${DIGITS}${MARKS} ${LATIN}${OTHER_SIGN}`; // by class

const LETTERS = CHARACTERS.indexOf(LATIN); // first class of letters; the last class is OTHER_SIGN
const BEAM_WIDTH = 32; // prefixes that a search follows
const MIN_PREFIX = 1e-6; // odds below which a prefix is dropped
export const STRIDE = 8; // columns of a line crop per step of the posteriors
export const SPACED = `${DIGITS}.,:/%$€£`; // characters next to which a space may be misread
// Priors on the spacing of print, in digit heights, each with its weight in pairs of characters.
const PRIOR_GAP = 0.13; // gap between two digits of a number
const GAP_WEIGHT = 2.0;
const SIDE_WEIGHT = 1.0; // weight of the prior on the offset of each character
const PRIOR_SPACE = 0.44; // what a space adds: 0.23 in narrow print, 0.9 in monospaced print
const SPACE_WEIGHT = 20.0;
const PRIOR_SPREAD = 0.15; // standard deviation of gaps in numbers
const SPREAD_WEIGHT = 5.0;
const EXTRA_SPREAD = 0.06; // additional standard deviation of spaces
const DOF = 4.0; // degrees of freedom: rounding to pixels makes some gaps far wider than others
const INITIAL_GAP = 0.35; // heights above the median gap that count as a space initially
const MAX_GAP = 1.2; // heights: cap of a gap in the estimate of the width of spaces
const MAX_SQUARE = 0.1; // squared heights: cap of a deviation in the estimate of the spread
const CLIP = 7.0; // logits: cap of the recogniser's evidence
const MIN_SPACE = 0.05; // probability of a space below which there is none
const EM_ITERATIONS = 5;
const BOOST = 100; // how many times rarer letters are in numbers than in the training lines
// Words of digits, marks and letters that look like digits, with at most two capitals after them.
const LIKE_NUMBER = `[\\dOoIl${MARKS.replace(/[-*+.()$]/g, '\\$&')}]+`;
const NUMERIC = new RegExp(`(?<!\\S)(?=\\S*\\d)(?:${LIKE_NUMBER}(?!\\S)`
  + `|(?=\\S*\\d\\S*\\d)${LIKE_NUMBER}(?=[A-Z]{1,2}(?!\\S)))`, 'g');
const LETTER = /[Oo]|[Il](?=\W?[\dOo])/g; // after a number, l is a litre
// Words of digits and marks with a mark as in numbers, and lone letters before some of these.
const LONE =
  /(?<!\S)(?=\S*[.,:/'-])(?:[^\sA-Za-z]|[A-DF-Za-df-z](?=[^\sA-Za-z]))+(?!\S)/g;
const DIGITS_PER_LETTER = 2; // least digits per such letter
const DIGIT_LIKE = { O: '0Oo', o: '0Oo', I: '1Il', l: '1Il' };

/** The probabilities of the ten digits at a step. */
export const digitsOf = (row) => row.subarray(1, 1 + DIGITS.length);

/**
 * The characters of the most probable path, from left to right.
 *
 * @returns {char, posterior, centre, confidence} of each: `posterior` is the row of its most
 *   confident step, `centre` its position in columns of the line crop.
 */
export function decode(posteriors) {
  const best = posteriors.map(argmax);
  return best.flatMap((value, begin) => {
    if (value === BLANK || value === best[begin - 1]) return [];
    const after = best.findIndex((other, i) => i > begin && other !== value);
    const run = posteriors.slice(begin, after < 0 ? best.length : after);
    const strength = run.map((row) => row[value]);
    const moment = sum(strength.map((share, i) => share * (begin + i + 0.5)));
    const peak = argmax(strength);
    return [{
      char: CHARACTERS[value],
      posterior: run[peak],
      centre: STRIDE * fround(moment / sum(strength)),
      confidence: strength[peak],
    }];
  });
}

/** Posteriors in which letters inside numbers that look like digits are replaced by digits. */
export function withNumerals(posteriors) {
  const symbols = decode(posteriors);
  const text = symbols.map(({ char }) => char).join('');
  const likeDigits = [...text.matchAll(NUMERIC)].flatMap((word) =>
    [...word[0].matchAll(LETTER)].map(({ index }) => word.index + index));
  const loneLetters = [...text.matchAll(LONE)].flatMap((word) => {
    const letters = [...word[0].matchAll(/[A-Za-z]/g)].map(({ index }) => word.index + index);
    const isNumber = DIGITS_PER_LETTER * letters.length <= word[0].replace(/[^0-9]/g, '').length;
    return isNumber ? letters.filter((k) => !(text[k] in DIGIT_LIKE)) : [];
  });
  const letters = [...likeDigits, ...loneLetters];
  if (!letters.length) return posteriors;
  const changed = posteriors.map((row) => row.slice());
  for (const { char, posterior, centre } of letters.map((index) => symbols[index])) {
    const candidates = DIGIT_LIKE[char] ?? `${DIGITS[argmax([...digitsOf(posterior)])]}${char}`;
    const [old, ...others] = [...candidates].map((each) => CHARACTERS.indexOf(each));
    const odds = (BOOST * posterior[old]) / sum(others.map((other) => posterior[other]));
    if (odds <= 1) continue;
    for (const row of runAround(changed, posteriors, Math.trunc(centre / STRIDE))) {
      row[old] += (sum(others.map((other) => row[other])) * odds) / (1 + odds);
      for (const other of others) row[other] /= 1 + odds;
    }
  }
  return changed;
}

/** The run of rows around a step with the same most probable class. */
function runAround(rows, posteriors, step) {
  const isSame = posteriors.map((row) => argmax(row) === argmax(posteriors[step]));
  const end = isSame.indexOf(false, step);
  return rows.slice(isSame.lastIndexOf(false, step) + 1, end < 0 ? rows.length : end);
}

/**
 * The evidence for a digit between two columns in a line's posteriors.
 *
 * @returns {mass, given, numeric, values}: the probability of a digit; the same given a character,
 *   and given one that is no letter, as on a line of numbers; ten probabilities of its value.
 */
export function digitEvidence(posteriors, begin, end) {
  const first = clip(Math.trunc(begin / STRIDE), 0, posteriors.length - 1);
  const rows = posteriors.slice(first, Math.max(first + 1, Math.ceil(end / STRIDE)));
  const masses = rows.map((row) => sum(digitsOf(row)));
  const best = argmax(masses);
  const [row, mass] = [rows[best], masses[best]];
  const character = 1 - row[BLANK];
  const share = (rest) => fround(mass / Math.max(rest, mass, 1e-6));
  return {
    mass: fround(mass),
    given: share(character),
    numeric: share(character - sum(row.subarray(LETTERS))),
    values: digitsOf(row).map((chance) => (chance + 1e-5) / (mass + 1e-4)),
  };
}

/**
 * Probability of a space for each pair of neighbours on a page, from the recogniser and the gaps.
 *
 * @param pairs {gap, sides, space} each: gap in digit heights, indices of both characters in
 *   SPACED, and the recogniser's probability of a space.
 */
export function spaceChances(pairs) {
  const gaps = pairs.map(({ gap }) => gap);
  const zeros = Array(SPACED.length).fill(0);
  let [byLeft, byRight] = [zeros, zeros];
  let typical = quantile(gaps, 0.5);
  let spaces = gaps.map((gap) => Number(gap > typical + INITIAL_GAP));
  const residual = (left, right) => pairs.map(({ gap, sides: [a, b] }) => gap - left[a] - right[b]);
  const dot = (weights, values) => sum(values.map((value, i) => weights[i] * value));
  const meanOffsets = (side, weights, values) => zeros.map((_, char) => {
    const matches = pairs.map(({ sides }, i) => (sides[side] === char ? weights[i] : 0));
    return (dot(matches, values) - typical * sum(matches)) / (sum(matches) + SIDE_WEIGHT);
  });
  for (let round = 0; round < EM_ITERATIONS; round++) {
    const inNumber = spaces.map((space) => 1 - space);
    typical = (dot(inNumber, residual(byLeft, byRight)) + GAP_WEIGHT * PRIOR_GAP)
      / (sum(inNumber) + GAP_WEIGHT);
    byRight = meanOffsets(1, inNumber, residual(byLeft, zeros));
    byLeft = meanOffsets(0, inNumber, residual(zeros, byRight));
    const excess = residual(byLeft, byRight).map((gap) => gap - typical);
    const width = (dot(spaces, excess.map((gap) => Math.min(gap, MAX_GAP)))
      + SPACE_WEIGHT * PRIOR_SPACE) / (sum(spaces) + SPACE_WEIGHT);
    const spread = (dot(inNumber, excess.map((gap) => Math.min(gap ** 2, MAX_SQUARE)))
      + SPREAD_WEIGHT * PRIOR_SPREAD ** 2) / (sum(inNumber) + SPREAD_WEIGHT);
    spaces = excess.map((gap, i) => {
      const { space } = pairs[i];
      if (space < MIN_SPACE) return 0;
      const odds = Math.log(Math.max(space, 1e-9) / Math.max(1 - space, 1e-9));
      const ifSpace = logDensity(Math.min(gap - width, 0), spread + EXTRA_SPREAD ** 2);
      return 1 / (1 + Math.exp(logDensity(gap, spread) - ifSpace - clip(odds, -CLIP, CLIP)));
    });
  }
  return spaces;
}

/** Log density of Student's t up to a constant; `spread` is the squared scale. */
function logDensity(deviation, spread) {
  return -Math.log(spread) / 2 - (DOF + 1) / 2 * Math.log1p(deviation ** 2 / (DOF * spread));
}

/**
 * The numbers that a pattern allows, most probable first: CTC prefix beam search.
 *
 * @param steps {chars, blank, joined} each, see constrained.js.
 * @param places The result of `parsePattern`.
 * @returns {text, odds, steps} of each: `odds` is its probability relative to the unconstrained
 *   best path, `steps` the step of each digit.
 */
export function search(steps, places) {
  let beam = new Map([['', { blank: 1, last: 0, steps: [], top: 0 }]]);
  steps.forEach((step, i) => (beam = pruneBeam(extendBeam(beam, scaleStep(step), i, places))));
  return [...beam]
    .filter(([text, prefix]) => text.length === places.length && mass(prefix))
    .map(([text, prefix]) => ({ text, odds: mass(prefix), steps: prefix.steps }))
    .sort((a, b) => b.odds - a.odds);
}

/** A step scaled so that its maximum is 1. */
function scaleStep({ chars, blank, joined }) {
  const top = max(chars.map(([, chance]) => chance), blank);
  return { joined, blank: blank / top, chars: chars.map(([char, chance]) => [char, chance / top]) };
}

const mass = ({ blank, last }) => blank + last;

/** All prefixes after one more step. */
function extendBeam(beam, { chars, blank, joined }, index, places) {
  const prefixes = new Map();
  const prefixOf = (text) => {
    if (!prefixes.has(text)) prefixes.set(text, { blank: 0, last: 0, steps: [], top: 0 });
    return prefixes.get(text);
  };
  const offer = (prefix, top, steps) => {
    if (top > prefix.top) Object.assign(prefix, { top, steps });
  };
  for (const [text, old] of beam) {
    const total = mass(old);
    const same = prefixOf(text);
    same.blank = total * blank;
    let reached = same.blank;
    for (const [char, chance] of chars) {
      const isRepeat = joined && text.endsWith(char);
      if (isRepeat) {
        same.last += old.last * chance;
        reached += old.last * chance;
      }
      const likely = (isRepeat ? old.blank : total) * chance;
      if (likely < MIN_PREFIX || !places[text.length]?.includes(Number(char))) continue;
      const longer = prefixOf(text + char);
      longer.last += likely;
      offer(longer, likely, [...old.steps, index]);
    }
    offer(same, reached, old.steps);
  }
  return prefixes;
}

/** The most probable prefixes, and the most probable one of each further length. */
function pruneBeam(beam) {
  if (beam.size <= BEAM_WIDTH) return beam;
  const ranked = [...beam].filter(([, prefix]) => mass(prefix) >= MIN_PREFIX)
    .sort(([, a], [, b]) => mass(b) - mass(a));
  const kept = ranked.slice(0, BEAM_WIDTH);
  const lengths = new Set(kept.map(([text]) => text.length));
  for (const entry of ranked.slice(BEAM_WIDTH, 3 * BEAM_WIDTH)) {
    if (!lengths.has(entry[0].length)) kept.push(entry);
    lengths.add(entry[0].length);
  }
  return new Map(kept);
}
