// Orientation: which way up a page is, by which way its lines read best.

import { argmax, argsortDown, mean, sum } from './arrays.js';
import { recognize } from './recognize.js';
import { heightOf, isTall, widthOf } from './text_lines.js';

const FLUENT = 0.97; // mean confidence of characters from which a page is upright
const BETTER = 1.3; // times the evidence of the page as it is
const CERTAIN = 0.98; // mean confidence from which what stands on its head may be read
const SURER = 0.03; // by which it has to be surer than what stands upright
const FEW = 4; // characters; digits on their head are like digits (1609): fewer turn no page
const LEAST = 1.5; // evidence of two characters: one alone turns no page
const LINES = 6; // longest lines that are read in other turns
const LONG = 2.0; // times as high as wide: text that is turned, no lone character

/**
 * After how many quarter turns, counter-clockwise, a page seems to read clearly better.
 *
 * @param read The lines of the page as it lies.
 * @param graph The line recogniser.
 * @returns The best turn, 0 if there is none.
 */
export async function bestTurn(read, page, graph) {
  const detected = read.filter(({ line }) => line.score);
  const found = detected.length ? detected : read;
  const order = argsortDown(found.map(({ line }) => areaOf(line))).slice(0, LINES);
  const some = order.map((i) => found[i]);
  if (!some.length || fluencyOf(some) > FLUENT) return 0;
  const areas = some.map(({ line }) => areaOf(line));
  const tall = sum(areas.filter((_, i) => heightOf(some[i].line) > LONG * widthOf(some[i].line)));
  const turns = 2 * tall > sum(areas) ? [1, 3] : [2];
  const turned = [];
  for (const turn of turns) {
    turned.push(await recognize(page, some.map(({ line }) => turnedLine(line, turn)), graph));
  }
  const best = argmax(turned.map(evidenceOf));
  const isBetter = turns[best] === 2 ? isUpsideDown : readsBetter;
  return isBetter(turned[best], some) ? turns[best] : 0;
}

function readsBetter(turned, upright) {
  return evidenceOf(turned) > Math.max(LEAST, BETTER * evidenceOf(upright));
}

/** Whether numbers, or words, read without a doubt on their head, and not as they stand. */
function isUpsideDown(turned, upright) {
  const sure = fluencyOf(turned);
  const chars = turned.flatMap(({ symbols }) => symbols.map(({ char }) => char));
  const letters = chars.filter((char) => /\p{L}/u.test(char)).length;
  const natural = !letters || letters >= FEW;
  const surer = sure > CERTAIN && sure > fluencyOf(upright) + SURER;
  return surer && natural && chars.length >= FEW && evidenceOf(turned) > 0.85 * evidenceOf(upright);
}

/** How well lines read: the squares of confidences above one half, of lines of two or more. */
function evidenceOf(read) {
  const long = read.filter(({ symbols }) => symbols.length > 1);
  const sure = long.flatMap(({ symbols }) => symbols.map(({ confidence }) => confidence));
  return sum(sure.filter((share) => share > 0.5).map((share) => share ** 2));
}

/** Mean confidence of all characters; 0 for a line that is turned, or has none. */
function fluencyOf(read) {
  return mean(read.flatMap(({ line, symbols }) =>
    symbols.length && !isTall(line) ? symbols.map(({ confidence }) => confidence) : [0]));
}

function areaOf(line) {
  return widthOf(line) * heightOf(line);
}

/** The same part of the page, its text going as it will after quarter turns of the page. */
function turnedLine({ quad, score }, turn) {
  return { quad: quad.map((_, i) => quad[(i + turn) % 4]), score };
}
