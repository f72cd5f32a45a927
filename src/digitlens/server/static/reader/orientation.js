// Orientation: which way up a page is, by which way its lines read best.

import { argmax, argsortDown, boundsOf, cornersOf, mean, sum } from './arrays.js';
import { recognize } from './recognize.js';
import { areaOf, heightOf, isTall, widthOf } from './text_lines.js';

const FLUENT = 0.97; // mean confidence of characters from which a page is upright
const BETTER = 1.3; // times the evidence of the page as it is
const CERTAIN = 0.98; // mean confidence from which what stands on its head may be read
const SURER = 0.03; // by which it has to be surer than what stands upright
const FEW = 4; // characters; digits on their head are like digits (1609): fewer turn no page ...
const BOTH = '01689.,:-+%() '; // ... nor do any number of those that are alike either way up
const LEAST = 1.5; // evidence of two characters: one alone turns no page
const LINES = 6; // longest lines that are read in other turns
const STACKED = 1.5; // times as high as wide: lines that may be one on its side
const LONG = 2.0; // times as high as wide, or as wide as high: text, no lone character

/**
 * After how many quarter turns, counter-clockwise, a page seems to read clearly better.
 *
 * @param read The lines of the page as it lies.
 * @param recognizer Its graph.
 * @returns The best turn, 0 if there is none.
 */
export async function bestTurn(read, page, recognizer) {
  const detected = read.filter(({ line }) => line.score);
  const found = detected.length ? detected : read;
  const order = argsortDown(found.map(({ line }) => areaOf(asFound(line)))).slice(0, LINES);
  const some = order.map((i) => found[i]);
  if (!some.length || fluencyOf(some) > FLUENT || isLone(some)) return 0;
  let lines = some.map(({ line }) => asFound(line));
  const tall = lines.filter((line) => heightOf(line) > LONG * widthOf(line));
  let turns = 2 * sum(tall.map(areaOf)) > sum(lines.map(areaOf)) ? [1, 3] : [2];
  const whole = { quad: cornersOf(boundsOf(lines.flatMap(({ quad }) => quad))), score: 0 };
  if (turns[0] === 2 && lines.length > 1 && heightOf(whole) > STACKED * widthOf(whole)) {
    // Characters that lie on their side one above the other may have been found one by one.
    [lines, turns] = [[whole], [1, 3]];
  }
  // A lone character is not several on their head.
  const isNarrow = widthOf(lines[0]) < LONG * heightOf(lines[0]);
  if (turns[0] === 2 && isNarrow && some.length === 1 && some[0].symbols.length === 1) return 0;
  const turned = [];
  for (const turn of turns) {
    const there = lines.map(({ quad, score }) =>
      ({ quad: quad.map((_, i) => quad[(i + turn) % 4]), score }));
    turned.push(await recognize(page, there, { recognizer }));
  }
  const best = argmax(turned.map(evidenceOf));
  const isBetter = turns[best] === 2 ? isUpsideDown : readsBetter;
  return isBetter(turned[best], some) ? turns[best] : 0;
}

/** Whether all there is reads upright as one character for certain: a 1 is no line on its side. */
function isLone(read) {
  const confidence = read.flatMap(({ symbols }) => symbols.map((symbol) => symbol.confidence));
  return confidence.length === 1 && confidence[0] > FLUENT;
}

function readsBetter(turned, upright) {
  return evidenceOf(turned) > Math.max(LEAST, BETTER * evidenceOf(upright));
}

/** Whether numbers, or words, read without a doubt on their head, and not as they stand. */
function isUpsideDown(turned, upright) {
  const sure = fluencyOf(turned);
  const chars = turned.flatMap(({ symbols }) => symbols.map(({ char }) => char));
  const letters = chars.filter((char) => /\p{L}/u.test(char)).length;
  const isTold = chars.some((char) => !BOTH.includes(char));
  const natural = letters >= FEW || (!letters && isTold);
  const surer = sure > CERTAIN && sure > fluencyOf(upright) + SURER;
  return surer && natural && chars.length >= FEW && evidenceOf(turned) > 0.85 * evidenceOf(upright);
}

/** How well lines read: the squares of confidences above one half, of lines of two or more. */
function evidenceOf(read) {
  return sum(read.filter(({ symbols }) => symbols.length > 1)
    .flatMap(({ symbols }) => symbols.map(({ confidence }) => confidence))
    .filter((share) => share > 0.5).map((share) => share ** 2));
}

/** Mean confidence of all characters; 0 for a line that is turned, or has none. */
function fluencyOf(read) {
  return mean(read.flatMap(({ line, symbols }) =>
    symbols.length && !isTall(asFound(line)) ? symbols.map(({ confidence }) => confidence) : [0]));
}

/** A line without the paper that was added to a narrow one. */
const asFound = ({ quad, score, found = quad }) => ({ quad: found, score });
