// Orientation: finds the quarter turn in which the lines of a page read best.

import { argmax, argsortDown, boundsOf, cornersOf, mean, sum } from './arrays.js';
import { recognize } from './recognize.js';
import { areaOf, heightOf, isTall, widthOf } from './text_lines.js';

const UPRIGHT_FLUENCY = 0.97; // mean confidence of characters above which a page is upright
const EVIDENCE_RATIO = 1.3; // required ratio of evidence to that of the unturned page
const MIN_FLUENCY = 0.98; // mean confidence above which upside-down text may be accepted
const FLUENCY_GAIN = 0.03; // required margin of that confidence over the upright reading
const MIN_TEXT = 4; // characters: fewer turn no page, as turned digits resemble digits (1609)
const AMBIGUOUS = "01689.,':-+%()/$ "; // alike either way up: these alone turn no page
const MIN_EVIDENCE = 1.5; // evidence of two characters: one alone turns no page
const MAX_LINES = 6; // number of largest lines read in other turns
const STACK_ASPECT = 1.5; // height over width above which all lines may be one line on its side
const TEXT_ASPECT = 2.0; // aspect ratio from which a line is text rather than a lone character

/**
 * The number of counter-clockwise quarter turns after which a page reads clearly better.
 *
 * @param recognized The lines of the page as it lies.
 * @param digits Fused confidence of each possible digit on these lines.
 * @param recognizer The recogniser's graph.
 * @returns The best turn, 0 if none is better.
 */
export async function bestTurn(recognized, digits, page, recognizer) {
  const detected = recognized.filter(({ line }) => line.score);
  const candidates = detected.length ? detected : recognized;
  const order = argsortDown(candidates.map(({ line }) => areaOf(unpadded(line))));
  const sample = order.slice(0, MAX_LINES).map((i) => candidates[i]);
  if (!sample.length || fluencyOf(sample) > UPRIGHT_FLUENCY || isOneDigit(sample, digits)) return 0;
  let lines = sample.map(({ line }) => unpadded(line));
  const tall = lines.filter((line) => heightOf(line) > TEXT_ASPECT * widthOf(line));
  let turns = 2 * sum(tall.map(areaOf)) > sum(lines.map(areaOf)) ? [1, 3] : [2];
  const block = { quad: cornersOf(boundsOf(lines.flatMap(({ quad }) => quad))), score: 0 };
  if (turns[0] === 2 && lines.length > 1 && heightOf(block) > STACK_ASPECT * widthOf(block)) {
    // Characters of a line on its side may have been detected as separate stacked lines.
    [lines, turns] = [[block], [1, 3]];
  }
  // A lone character cannot be several characters upside down.
  const isNarrow = widthOf(lines[0]) < TEXT_ASPECT * heightOf(lines[0]);
  if (turns[0] === 2 && isNarrow && sample.length === 1 && sample[0].symbols.length === 1) return 0;
  const readings = [];
  for (const turn of turns) {
    const turnedLines = lines.map(({ quad, score }) =>
      ({ quad: quad.map((_, i) => quad[(i + turn) % 4]), score }));
    readings.push(await recognize(page, turnedLines, { recognizer }));
  }
  const best = argmax(readings.map(evidenceOf));
  const isBetter = turns[best] === 2 ? isUpsideDown : readsBetter;
  return isBetter(readings[best], sample) ? turns[best] : 0;
}

/** Whether there is one sure digit and nothing else: an upright 1 is no line on its side. */
function isOneDigit(read, digits) {
  const characters = sum(read.map(({ symbols }) => symbols.length));
  return characters <= 1 && digits.length === 1 && digits[0] > UPRIGHT_FLUENCY;
}

function readsBetter(turned, upright) {
  return evidenceOf(turned) > Math.max(MIN_EVIDENCE, EVIDENCE_RATIO * evidenceOf(upright));
}

/** Whether numbers or words read with certainty upside down, and worse as they stand. */
function isUpsideDown(turned, upright) {
  const fluency = fluencyOf(turned);
  const chars = turned.flatMap(({ symbols }) => symbols.map(({ char }) => char));
  const letters = chars.filter((char) => /\p{L}/u.test(char)).length;
  const isDistinct = chars.some((char) => !AMBIGUOUS.includes(char));
  const natural = letters >= MIN_TEXT || (!letters && isDistinct);
  const surer = fluency > MIN_FLUENCY && fluency > fluencyOf(upright) + FLUENCY_GAIN;
  return surer && natural && chars.length >= MIN_TEXT
    && evidenceOf(turned) > 0.85 * evidenceOf(upright);
}

/** Evidence of lines: sum of squared confidences above 0.5, in lines of two or more characters. */
function evidenceOf(read) {
  return sum(read.filter(({ symbols }) => symbols.length > 1)
    .flatMap(({ symbols }) => symbols.map(({ confidence }) => confidence))
    .filter((share) => share > 0.5).map((share) => share ** 2));
}

/** Mean confidence of all characters; a line that is not read adds a 0. */
function fluencyOf(read) {
  return mean(read.flatMap((each) =>
    isRead(each) ? each.symbols.map(({ confidence }) => confidence) : [0]));
}

/** Whether a line, not a tall one, has characters: more than one if it is wide. */
function isRead({ line, symbols }) {
  const found = unpadded(line);
  const isWide = widthOf(found) > TEXT_ASPECT * heightOf(found);
  return symbols.length > Number(isWide) && !isTall(found);
}

/** A line without the paper added to narrow lines. */
const unpadded = ({ quad, score, found = quad }) => ({ quad: found, score });
