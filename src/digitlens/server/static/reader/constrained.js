// Decodes a number again under a pattern: constrained CTC decoding of places and lines.
//
// Port of reading/constrained.py and of decode.search for patterns. A step is {chars, blank,
// joined, place, line, column}: pairs of digit and probability; the probability of no digit; may it
// continue the digit of the previous step; its place, -1 if none; its line and column there.

import { argmax, boundsOf, grouped, max, range, sum } from './arrays.js';
import { BLANK, DIGITS, STRIDE, digitsOf, search } from './decode.js';
import { pageBox, percent } from './layout.js';
import { axesOf, heightOf } from './text_lines.js';

const MIN_CHANCE = 1e-6; // least probability of a digit considered at a step
const FAINT = 1e-3; // least probability of a digit at a step between characters
const MIN_ODDS = 1e-6; // least odds, relative to the best path, at which a pattern is applied
const PRIOR_MISTAKEN = 0.02; // fraction of pictures assumed to violate their pattern
const HALF_WIDTH = 0.25; // line heights: half the width of a digit without a box

/**
 * Chooses the most probable number that a pattern allows.
 *
 * @param view, layout, size, thresholds The arguments of `arrange`; `layout` is its result.
 * @param pattern {text, places}: as the user wrote it, and the result of `parsePattern`.
 * @returns {lines, characters, constrained}: digits outside the number are rejected; if nothing
 *   on the page matches the pattern, the reading is unchanged but unsure.
 */
export function constrain(view, layout, size, thresholds, { text, places }) {
  const steps = pageSteps(view, layout);
  const hypotheses = search(steps, places);
  const total = sum(hypotheses.map(({ odds }) => odds));
  const written = layout.characters.map((line) => line.map(({ char }) => char).join(''));
  const facts = { expected: [text], unconstrained: written.filter(Boolean).join('\n') };
  if (total < MIN_ODDS) {
    const constrained = { ...facts, decided_by: [], fulfilled: false };
    return { lines: markUnsure(layout.lines, text), characters: layout.characters, constrained };
  }
  const [best] = hypotheses;
  const mistrust = PRIOR_MISTAKEN / (total + PRIOR_MISTAKEN);
  const isSame = best.text === unconstrainedText(steps, layout);
  const chosen = new Map(best.steps.map((step, i) => {
    const char = best.text[i];
    // The unconstrained reading counts too if it is the same number.
    const change = isSame ? new Map(steps[step].chars).get(char) : 0;
    return [step, [char, (1 - mistrust) * oddsWith(hypotheses, char, step) / total
      + mistrust * change]];
  }));
  const lines = fitLayout(view, layout, size, steps, chosen, (digit, answer) =>
    judgeDigit(digit, answer, thresholds, text));
  const constrained = { ...facts, decided_by: isSame ? [] : [text], fulfilled: true };
  return { lines, characters: [], constrained };
}

/** The steps of a page in reading order. */
function pageSteps(view, layout) {
  const steps = [];
  const done = new Set();
  for (const row of layout.places) {
    const rowSteps = row.map((place) => placeStep(view, place));
    const parts = grouped(rowSteps, ({ line }, i) => line !== rowSteps[i - 1].line);
    const isSplit = new Set(parts.map(([{ line }]) => line)).size === parts.length;
    for (const part of parts) {
      const { line } = part[0];
      const isSorted = part.every(({ column }, i) => !i || part[i - 1].column <= column);
      steps.push(...(isSplit && isSorted && !done.has(line)
        ? addOtherSteps(view.lines[line], part) : part));
      done.add(line);
    }
  }
  return steps.filter(({ chars }) => chars.length);
}

function makeStep(chances, place, line, column, joined = false) {
  const chars = Array.from(chances, (chance, i) => [DIGITS[i], chance])
    .filter(([, chance]) => chance >= MIN_CHANCE);
  const blank = Math.max(0, 1 - sum(chars.map(([, chance]) => chance)));
  return { chars, blank, joined, place, line, column };
}

/** The step of a place, with the fused probabilities of all networks. */
function placeStep(view, place) {
  const { line, symbol, box } = view.scores[place];
  const chances = Array.from(view.probabilities[place]);
  const objectness = Math.min(1, view.confidence[place] / Math.max(max(chances), MIN_CHANCE));
  const column = view.lines[line].symbols[symbol]?.centre ?? view.lines[line].columnOf(box);
  return makeStep(chances.map((chance) => objectness * chance), place, line, column);
}

/** The steps of places, and further steps for digits in the posteriors of their line. */
function addOtherSteps({ posteriors, symbols }, placeSteps) {
  const { line } = placeSteps[0];
  const best = posteriors.map(argmax);
  const taken = placeSteps.map(({ column }) => Math.trunc(column / STRIDE));
  const isFree = best.map((_, i) => !taken.some((middle) => Math.abs(middle - i) < 2)
    && [i - 1, i, i + 1].every((k) => (best[k] ?? BLANK) === BLANK));
  const others = symbols.flatMap(({ centre, char, posterior }) => {
    const isTaken = placeSteps.some(({ column }) => Math.abs(column - centre) < 1e-3);
    const odds = repeatOdds(posteriors, best, Math.trunc(centre / STRIDE));
    const twice = Array.from(DIGITS, (each) => (each === char ? odds / (1 + odds) : 0));
    return [
      ...(isTaken ? [] : [makeStep(digitsOf(posterior), -1, line, centre)]),
      ...(odds > FAINT ? [makeStep(twice, -1, line, centre + 1e-3)] : []),
    ];
  });
  const isFaint = posteriors.map((row, i) => isFree[i] && sum(digitsOf(row)) > FAINT);
  const faint = range(posteriors.length).filter((i) => isFaint[i]).map((i) =>
    makeStep(digitsOf(posteriors[i]), -1, line, STRIDE * (i + 0.5), Boolean(isFaint[i - 1])));
  return [...placeSteps, ...others, ...faint].sort((a, b) => a.column - b.column);
}

/** Odds that a character occurs twice rather than once, from the blanks within its run. */
function repeatOdds(posteriors, best, place) {
  const start = Math.min(place, best.length - 1);
  const value = best[start];
  const isInside = (step) => [step - 1, step, step + 1].every((k) => best[k] === value);
  let odds = 0;
  for (const direction of [-1, 1]) {
    for (let step = direction > 0 ? start + 1 : start; isInside(step); step += direction) {
      odds += posteriors[step][BLANK] / posteriors[step][value];
    }
  }
  return odds;
}

/** The digits read without the pattern. */
function unconstrainedText(steps, layout) {
  const digits = new Map(layout.places.flat().map((place, i) => [place, layout.lines.flat()[i]]));
  return steps.map(({ place, chars, blank, joined }) => {
    if (place >= 0) {
      const { status, value } = digits.get(place);
      return status === 'rejected' ? '' : String(value);
    }
    const [char, chance] = chars[argmax(chars.map((pair) => pair[1]))];
    return !joined && chance > blank ? char : '';
  }).join('');
}

/** Total odds of the numbers that have the given digit at a step. */
function oddsWith(hypotheses, char, step) {
  return sum(hypotheses.map(({ text, steps, odds }) =>
    (text[steps.indexOf(step)] === char ? odds : 0)));
}

function markUnsure(lines, text) {
  const reason = `no number found that is as expected: ${text}`;
  return lines.map((line) => line.map((digit) =>
    (digit.status === 'rejected' ? digit : { ...digit, status: 'unsure', reason })));
}

/** Puts the digits of the chosen number into their lines. */
function fitLayout(view, layout, size, steps, chosen, judge) {
  const answers = new Map([...chosen].map(([step, answer]) => [steps[step].place, answer]));
  const places = layout.places.map((row) => [...row]);
  const lines = layout.lines.map((line, i) =>
    line.map((digit, k) => judge(digit, answers.get(places[i][k]))));
  const added = [...chosen.keys()].filter((step) => steps[step].place < 0).sort((a, b) => a - b);
  added.forEach((step, i) => {
    const [row, index] = positionOf(places, steps, step);
    lines[row].splice(index, 0, judge(newDigit(view, size, steps[step]), chosen.get(step)));
    places[row].splice(index, 0, view.scores.length + i);
    steps[step] = { ...steps[step], place: view.scores.length + i };
  });
  return lines;
}

/** Row and index at which to insert a digit without a place: next to a place on its line. */
function positionOf(places, steps, step) {
  const order = [...range(step).reverse(), ...range(steps.length).slice(step + 1)];
  const neighbour = order.find((i) => steps[i].line === steps[step].line && steps[i].place >= 0);
  const row = places.findIndex((each) => each.includes(steps[neighbour].place));
  return [row, places[row].indexOf(steps[neighbour].place) + (neighbour < step ? 1 : 0)];
}

function judgeDigit(digit, answer, thresholds, text) {
  const wasRejected = digit.status === 'rejected';
  if (!answer) {
    const reason = wasRejected ? digit.reason : 'more than the digits that were expected';
    return { ...digit, status: 'rejected', reason };
  }
  const [value, confidence] = [Number(answer[0]), answer[1]];
  const previous = wasRejected ? 'no digit' : `read as ${digit.value}`;
  const isSame = value === digit.value && !wasRejected;
  const [status, reason] = confidence < thresholds.digit
    ? ['unsure', `${percent(confidence)} % sure, also from what was expected`]
    : ['digit', isSame ? '' : `${previous} without expecting ${text}`];
  return { ...digit, value, confidence, status, reason };
}

/** A new digit for a step without a place: its box spans the line around the step's column. */
function newDigit(view, size, step) {
  const chances = new Map(step.chars);
  const shares = Array.from(DIGITS, (char) => chances.get(char) ?? MIN_CHANCE);
  const probabilities = shares.map((share) => share / sum(shares));
  const { line, scale } = view.lines[step.line];
  const [across] = axesOf(line);
  const half = HALF_WIDTH * heightOf(line);
  const corners = [line.quad[0], line.quad[3]].flatMap((corner) => [-half, half].map((offset) =>
    [0, 1].map((k) => corner[k] + across[k] * (step.column / scale[0] + offset))));
  return {
    value: argmax(probabilities), confidence: 0, probabilities,
    box: pageBox(boundsOf(corners), ...size), status: 'rejected', reason: '',
    startsNumber: false, tile: null,
  };
}
