// Reads a number again in the light of a pattern: constrained CTC decoding of places and lines.
//
// The twin of reading/constrained.py and of decode.search for patterns. A step is {chars, blank,
// joined, place, line, column}: pairs of digit and probability; the probability of none; whether it
// goes on with the digit of the step before; what it stands for, -1 for no place.

import { argmax, max, range, sum } from './arrays.js';
import { BLANK, DIGITS } from './alphabet.js';
import { STRIDE, search } from './decode.js';
import { pageBox, percent } from './layout.js';
import { placeOf } from './recognize.js';
import { heightOf, widthOf } from './text_lines.js';

const LEAST = 1e-6; // probability from which a digit is considered at a step
const FAINT = 1e-3; // probability of a digit from which a step between characters counts
const BELIEVED = 1e-6; // odds, against the best path, from which a pattern is believed ...
const MISTAKEN = 0.02; // ... and share of pictures on which it does not hold
const HALF = 0.25; // heights: half the width of a digit that has no box

/**
 * Chooses the most probable number that a pattern allows.
 *
 * @param view What was seen on the page, see `arrange`.
 * @param layout What `arrange` made of it.
 * @param size Width and height of the page.
 * @param thresholds See `judge`.
 * @param pattern {text, places}: as it was written, and see `parsePattern`.
 * @returns {lines, characters, constrained}: digits that are no part of the number are rejected;
 *   where nothing seen agrees with the pattern, all stays as it was read, but is unsure.
 */
export function constrain(view, layout, size, thresholds, { text, places }) {
  const steps = stepsOf(view, layout);
  const found = search(steps, places);
  const held = sum(found.map(({ odds }) => odds));
  const written = layout.characters.map((line) => line.map(({ char }) => char).join(''));
  const told = { expected: [text], unconstrained: written.filter(Boolean).join('\n') };
  if (held < BELIEVED) {
    const constrained = { ...told, decided_by: [], fulfilled: false };
    return { lines: doubted(layout.lines, text), characters: layout.characters, constrained };
  }
  const [best] = found;
  const mistaken = MISTAKEN / (held + MISTAKEN);
  const same = best.text === without(steps, layout);
  const chosen = new Map(best.steps.map((step, i) => {
    const char = best.text[i];
    const share = shareOf(found, char, step) / held;
    // Mistaken or not, it is what was read without.
    const alone = same ? new Map(steps[step].chars).get(char) : 0;
    return [step, [char, (1 - mistaken) * share + mistaken * alone]];
  }));
  const lines = fitted(view, layout, size, steps, chosen, (digit, char, sure) =>
    judged(digit, char, sure, thresholds, text));
  const constrained = { ...told, decided_by: same ? [] : [text], fulfilled: true };
  return { lines, characters: [], constrained };
}

/** What is seen on a page, in reading order. */
function stepsOf(view, layout) {
  const found = [];
  const done = new Set();
  for (const row of layout.places) {
    const parts = [];
    for (const place of row) {
      const { line } = view.scores[place];
      if (parts.at(-1)?.line !== line) parts.push({ line, places: [] });
      parts.at(-1).places.push(place);
    }
    const apart = new Set(parts.map(({ line }) => line)).size === parts.length;
    for (const { line, places } of parts) {
      const known = places.map((place) => stepOfPlace(view, place));
      const sorted = known.every(({ column }, i) => !i || known[i - 1].column <= column);
      const whole = apart && sorted && !done.has(line);
      done.add(line);
      found.push(...(whole ? withRest(view.lines[line], known) : known));
    }
  }
  return found.filter(({ chars }) => chars.length);
}

function stepOf(chances, place, line, column, joined = false) {
  const chars = Array.from(chances, (chance, i) => [DIGITS[i], chance])
    .filter(([, chance]) => chance >= LEAST);
  const blank = Math.max(0, 1 - sum(chars.map(([, chance]) => chance)));
  return { chars, blank, joined, place, line, column };
}

/** The step of a place: the digits by all networks. */
function stepOfPlace(view, place) {
  const { line, symbol, box } = view.scores[place];
  const chances = Array.from(view.probabilities[place]);
  const exists = Math.min(1, view.confidence[place] / Math.max(max(chances), LEAST));
  const column = symbol >= 0 ? view.lines[line].symbols[symbol].centre
    : placeOf(view.lines[line], (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)[0];
  return stepOf(chances.map((chance) => exists * chance), place, line, column);
}

/** The steps of places, and all else that the posteriors of their line may hold. */
function withRest({ posteriors, symbols }, known) {
  const { line } = known[0];
  const best = posteriors.map(argmax);
  const taken = best.map((_, i) => range(3).some((k) => (best[i + k - 1] ?? BLANK) !== BLANK));
  for (const { column } of known) {
    const middle = Math.trunc(column / STRIDE);
    for (const i of range(3)) {
      if (middle + i > 0 && middle + i - 1 < taken.length) taken[middle + i - 1] = true;
    }
  }
  const digitsOf = (row) => row.subarray(1, 1 + DIGITS.length);
  const found = [...known];
  for (const { centre, char, posterior } of symbols) {
    if (!known.some(({ column }) => Math.abs(column - centre) < 1e-3)) {
      found.push(stepOf(digitsOf(posterior), -1, line, centre));
    }
    const again = againAt(posteriors, best, Math.trunc(centre / STRIDE));
    if (again > FAINT && DIGITS.includes(char)) {
      const chances = Array.from(DIGITS, (each) => (each === char ? again / (1 + again) : 0));
      found.push(stepOf(chances, -1, line, centre + 1e-3));
    }
  }
  const faint = posteriors.map((row, i) => !taken[i] && sum(digitsOf(row)) > FAINT);
  faint.forEach((counts, i) => {
    if (!counts) return;
    const column = STRIDE * (i + 0.5);
    found.push(stepOf(digitsOf(posteriors[i]), -1, line, column, Boolean(faint[i - 1])));
  });
  return found.sort((a, b) => a.column - b.column);
}

/** How much rather a character stands twice than once: by the blanks within its run. */
function againAt(posteriors, best, place) {
  const middle = Math.min(place, best.length - 1);
  const value = best[middle];
  let odds = 0;
  for (const way of [-1, 1]) {
    let step = way > 0 ? middle + 1 : middle;
    while (step > 0 && step < best.length - 1
      && range(3).every((k) => best[step + k - 1] === value)) {
      odds += posteriors[step][BLANK] / posteriors[step][value];
      step += way;
    }
  }
  return odds;
}

/** What is read without the pattern. */
function without(steps, layout) {
  const digits = new Map(layout.places.flatMap((row, i) =>
    row.map((place, k) => [place, layout.lines[i][k]])));
  return steps.map(({ place, chars, blank, joined }) => {
    if (place >= 0) {
      const { status, value } = digits.get(place);
      return status === 'rejected' ? '' : String(value);
    }
    const [char, chance] = chars[argmax(chars.map((pair) => pair[1]))];
    return !joined && chance > blank ? char : '';
  }).join('');
}

/** The odds of all numbers that have a digit at a step. */
function shareOf(found, char, step) {
  return sum(found.map(({ text, steps, odds }) =>
    (text[steps.indexOf(step)] === char ? odds : 0)));
}

function doubted(lines, text) {
  const reason = `no number found that is as expected: ${text}`;
  return lines.map((line) => line.map((digit) =>
    (digit.status === 'rejected' ? digit : { ...digit, status: 'unsure', reason })));
}

/** The digits of the number that was chosen, in the lines where they stand. */
function fitted(view, layout, size, steps, chosen, judge) {
  const known = new Map([...chosen].map(([step, answer]) => [steps[step].place, answer]));
  const places = layout.places.map((row) => [...row]);
  const lines = layout.lines.map((line, i) =>
    line.map((digit, k) => judge(digit, ...(known.get(places[i][k]) ?? ['', 0]))));
  const fresh = [...chosen.keys()].filter((step) => steps[step].place < 0).sort((a, b) => a - b);
  fresh.forEach((step, i) => {
    const [row, index] = positionOf(places, steps, step);
    const digit = newDigit(view, size, steps[step]);
    lines[row].splice(index, 0, judge(digit, ...chosen.get(step)));
    places[row].splice(index, 0, view.scores.length + i);
    steps[step] = { ...steps[step], place: view.scores.length + i };
  });
  return lines;
}

/** The row and position of a digit without a place: next to a place on the same line. */
function positionOf(places, steps, step) {
  const order = [...range(step).reverse(), ...range(steps.length).slice(step + 1)];
  const near = order.find((i) => steps[i].line === steps[step].line && steps[i].place >= 0);
  const row = places.findIndex((each) => each.includes(steps[near].place));
  return [row, places[row].indexOf(steps[near].place) + (near < step ? 1 : 0)];
}

function judged(digit, char, sure, thresholds, text) {
  const wasRejected = digit.status === 'rejected';
  if (!char) {
    const reason = wasRejected ? digit.reason : 'more than the digits that were expected';
    return { ...digit, status: 'rejected', reason };
  }
  const answer = { ...digit, value: Number(char), confidence: sure };
  if (sure < thresholds.digit) {
    const reason = `${percent(sure)} % sure, also from what was expected`;
    return { ...answer, status: 'unsure', reason };
  }
  const before = wasRejected ? 'no digit' : `read as ${digit.value}`;
  const same = answer.value === digit.value && !wasRejected;
  return { ...answer, status: 'digit', reason: same ? '' : `${before} without expecting ${text}` };
}

function newDigit(view, size, step) {
  const chances = new Map(step.chars);
  const shares = Array.from(DIGITS, (char) => chances.get(char) ?? LEAST);
  const total = sum(shares);
  const probabilities = shares.map((share) => share / total);
  const { line: { quad }, line, scale } = view.lines[step.line];
  const across = [0, 1].map((k) => (quad[1][k] - quad[0][k]) / Math.max(widthOf(line), 1e-3));
  const reach = HALF * heightOf(line);
  const corners = [quad[0], quad[3]].flatMap((corner) => [-reach, reach].map((away) =>
    [0, 1].map((k) => corner[k] + across[k] * (step.column / scale + away))));
  const [x, y] = [0, 1].map((k) => corners.map((corner) => corner[k]));
  const box = pageBox([Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)], ...size);
  return {
    value: argmax(probabilities), confidence: 0, probabilities, box, status: 'rejected', reason: '',
    startsNumber: false, tile: null,
  };
}
