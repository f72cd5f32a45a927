// Which characters of a line belong to its numbers: digits, and the marks that stand with them.
//
// A spot is {char, confidence, box, place}: a character of a line, and the index of the place that
// it is the digit of, -1 for any other character.

import { OTHER_SIGN } from './alphabet.js';
import { CURRENCIES, SIGNS } from './notation.js';

// A sign, bracket or currency before the first digit, unless it hangs on a word as in No-12.
const LEAD = `(?:(?<![^\\s(])[-+(]*(?:[${SIGNS}] ?)?[-+(]*|(?<![^\\s])\\.)?`;
// Digits, with marks between them; words such as e23 only as the exponent of a number.
const BODY =
  "\\d+(?:[.,'/:°%=+×÷*()-]{1,2}\\d+| ?[+×÷=] ?\\d+|(?<=\\d)[eE][+-]?\\d+(?![\\dA-Za-z]))*";
const TRAIL = `(?:-(?![\\w-])| ?[%${CURRENCIES}]| ?°(?:[CF](?![A-Za-z]))?|\\))*`;
const NUMBER = new RegExp(LEAD + BODY + TRAIL, 'g');

/** Half-open spans of the numbers of a text; brackets without a partner are left out of them. */
export function numberSpans(text) {
  return [...text.matchAll(NUMBER)].map(({ 0: number, index }) => balanced(number, index));
}

/** The characters of each number on a line of spots; the first knows of a lone bracket. */
export function numbersOn(spots) {
  const text = spots.map(({ char, place }) =>
    (place < 0 && /\d/.test(char) ? OTHER_SIGN : char)).join('');
  return numberSpans(text).map(([begin, end]) => {
    const [first, ...rest] = spots.slice(begin, end);
    const isOpen = text[begin - 1] === '(' && !text.includes(')', end);
    const isClosed = text[end] === ')' && !text.slice(0, begin).includes('(');
    const missed = isOpen ? ')' : isClosed ? '(' : '';
    return [{ ...first, missed }, ...rest];
  });
}

/** The characters of a line of numbers, with a space between two of them. */
export function charactersOf(numbers) {
  return numbers.flatMap((number, i) => {
    const own = number.map(({ char, confidence, box }) => ({ char, confidence, box }));
    if (!i) return own;
    const box = between(numbers[i - 1].at(-1).box, own[0].box);
    return [{ char: ' ', confidence: 1, box }, ...own];
  });
}

function between(left, right) {
  const [x0, x1] = [Math.min(left[2], right[0]), Math.max(left[2], right[0])];
  return [x0, Math.min(left[1], right[1]), Math.max(x0 + 1, x1), Math.max(left[3], right[3])];
}

/** Drops brackets at the ends of a number that have no partner. */
function balanced(number, index) {
  const surplus = (text) => text.split('(').length - text.split(')').length;
  let [text, begin] = [number, index];
  while (text.startsWith('(') && surplus(text) > 0) [text, begin] = [text.slice(1), begin + 1];
  while (text.endsWith(')') && surplus(text) < 0) text = text.slice(0, -1);
  return [begin, begin + text.length];
}
