// Places that may hold a digit: what the digit detector found and the recogniser read, matched.
//
// A place is {box, objectness, detector, mass, numeric, recognizer, line, symbol, fluency, letters,
// lone}: where; that a digit is there and which one, by the digit detector; that it is there, the
// same if letters are ruled out, and which one, by the line recogniser; the number of its line, and
// of its character there or -1; how sure the recogniser is of that line's characters on average;
// the share of letters in its word; 1 if it is alone on its line, else 0.

import { argmax, argsortDown, mean, rint } from './arrays.js';
import { DIGITS } from './alphabet.js';
import { STRIDE, digitEvidence } from './decode.js';
import { overlap } from './overlap.js';
import { onLine, placeOf } from './recognize.js';

const { fround } = Math;

export const UNSEEN = 1e-4; // score of what the digit detector did not find
const ALONE = 0.15; // score from which a digit counts that the recogniser has no character for
const SURE = 0.5; // confidence of a mark or letter that explains what is in its box
const MAY_BE = 0.05; // that a character is a digit, by the recogniser, to be looked into
const HARDLY = 0.005; // the same, where nothing but letters speaks against it
const DOUBLE = 0.45; // overlap of two boxes over their union: one place
const WITHIN = 0.7; // share of the smaller box that is inside the larger: a part of it
const EVEN = new Float32Array(DIGITS.length).fill(0.1);

/** All places where detector or recogniser see a digit, those of both only once. */
export function gather(digits, lines) {
  return apart(lines.flatMap((line, number) => placesOn(line, number, digits)));
}

function placesOn(read, number, digits) {
  const { symbols, boxes } = read;
  const here = digits.filter(({ box }) => onLine(box, read.line));
  const spans = here.map(({ box }) => spanOf(read, box));
  const partner = partners(spans, here.map(({ score }) => score), symbols);
  const rest = withoutSymbols(read);
  const places = [];
  const add = (box, objectness, detector, { values: recognizer, ...said }, symbol) =>
    places.push({ box, objectness, detector, ...said, recognizer, symbol });
  here.forEach(({ box, score, probabilities }, i) => {
    const symbol = partner[i];
    if (symbol < 0 && (score <= ALONE || isInMark(read, box))) return;
    const said = symbol < 0 ? digitEvidence(rest, ...spans[i]) : evidenceOf(symbols[symbol]);
    add(box, score, probabilities, said, symbol);
  });
  symbols.forEach((character, symbol) => {
    const said = evidenceOf(character);
    const maybe = said.mass > MAY_BE || (said.mass > HARDLY && said.numeric > MAY_BE);
    if (maybe && !partner.includes(symbol)) add(boxes[symbol], UNSEEN, EVEN, said, symbol);
  });
  const fluency = symbols.length ? mean(symbols.map(({ confidence }) => confidence)) : 0;
  const letters = lettersAround(symbols.map(({ char }) => char).join(''));
  const lone = Number(Math.max(symbols.length, places.length) === 1);
  return places.map((place) => ({
    ...place, line: number, fluency, letters: letters[place.symbol] ?? 0, lone,
  }));
}

/** Whether the middle of a box is in a mark or letter, such as the rings of %. */
function isInMark({ symbols, boxes }, [x0, y0, x1, y1]) {
  const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
  return symbols.some(({ char, confidence }, i) => {
    const [left, top, right, bottom] = boxes[i];
    const inside = x > left && x < right && y > top && y < bottom;
    return inside && confidence > SURE && !/\d/.test(char);
  });
}

/** First and last column of a box in a line crop. */
function spanOf(read, [x0, y0, x1, y1]) {
  const half = ((x1 - x0) / 2) * read.scale;
  const [column] = placeOf(read, (x0 + x1) / 2, (y0 + y1) / 2);
  return [column - half, column + half];
}

/** The character of each digit, the surest digits choosing first; -1 for none. */
function partners(spans, score, symbols) {
  const partner = spans.map(() => -1);
  const free = symbols.map(() => true);
  for (const index of argsortDown(score)) {
    const [first, last] = spans[index];
    const away = symbols.map(({ centre }, symbol) => {
      const near = centre > first - STRIDE / 2 && centre < last + STRIDE / 2;
      return free[symbol] && near ? -Math.abs(centre - (first + last) / 2) : -Infinity;
    });
    const best = argmax(away);
    if (best < 0 || away[best] === -Infinity) continue;
    partner[index] = best;
    free[best] = false;
  }
  return partner;
}

/** The posteriors of a line, nothing where they make up its characters. */
function withoutSymbols({ posteriors, symbols }) {
  const rest = [...posteriors];
  for (const { centre } of symbols) {
    const step = rint(centre / STRIDE - 0.5);
    for (const place of [step - 1, step, step + 1]) {
      const inside = Math.min(Math.max(place, 0), rest.length - 1);
      rest[inside] = new Float32Array(rest[inside].length);
    }
  }
  return rest;
}

function evidenceOf({ posterior }) {
  return digitEvidence([posterior], 0, STRIDE);
}

/** The share of letters in the word of each character of a text. */
function lettersAround(text) {
  const words = text.split(' ');
  return words.flatMap((word, i) => {
    const share = (word.match(/[A-Za-z]/g) ?? []).length / Math.max(1, word.length);
    const its = new Array(word.length).fill(share);
    return i < words.length - 1 ? [...its, 0] : its;
  });
}

/** Those that are left when places that overlap a stronger one are dropped. */
function apart(places) {
  const strength = places.map(({ objectness, mass }) =>
    fround(fround(Math.max(objectness, 1e-3) * mass) + fround(0.1 * mass)));
  const left = places.map(() => true);
  for (const index of argsortDown(strength)) {
    if (!left[index]) continue;
    places.forEach(({ box }, other) => {
      if (other === index || !left[other]) return;
      const [union, part] = overlap(places[index].box, box);
      if (union > DOUBLE || part > WITHIN) left[other] = false;
    });
  }
  return places.filter((_, i) => left[i]);
}
