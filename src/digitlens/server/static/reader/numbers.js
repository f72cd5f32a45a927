// Selects the characters of a line that belong to numbers: digits, and the marks around them.
//
// A spot is {char, confidence, box, place}: a character of a line; `place` is the place index of a
// digit, else -1.

import { OTHER_SIGN } from './decode.js';
import { CURRENCIES, ONE_MARK, SIGNS } from './notation.js';

// A sign, bracket or currency before the first digit, unless attached to a word as in No-12.
const SIGN = '(?:[+(]|-(?!-))*'; // several hyphens are no sign: they guard an amount on a check
const LEAD = `(?:(?<![^\\s(])${SIGN}(?:[${SIGNS}] ?)?${SIGN}|(?<![^\\s])\\.)?`;
// Digits with marks between them; e23 only as the exponent of a number.
const BODY =
  "\\d+(?:[.,'/:°%=+×÷*()-]{1,2}\\d+| ?[+×÷=] ?\\d+|(?<=\\d)[eE][+-]?\\d+(?![\\dA-Za-z]))*";
const BEHIND = '-(?![\\w-])| ?%| ?°(?:[CF](?![A-Za-z]))?|\\)';
// Consecutive prices each have their own currency, on the same side as the first one.
const PRICED =
  `(?:(?<![^\\s(])${SIGN}|(?<=\\d))[${CURRENCIES}] ?${SIGN}${BODY}(?:${BEHIND})*`;
const TRAIL = `(?:${BEHIND}|[${CURRENCIES}]| [${CURRENCIES}](?!\\d))*`;
const NUMBER = new RegExp(`${PRICED}|${LEAD}${BODY}${TRAIL}`, 'g');
const SIGN_BEFORE = /^ *- +$/; // all that is before a number
const SIGN_BEHIND = /^ +- *$/; // all that is behind it
// Two amounts with decimals and no space between, as on a tag with an old and a new price.
const RUN_TOGETHER = /^(\D*\d+([.,])\d\d)\d+\2\d\d\D*$/;
// The first of two times or dates that a hyphen joins, as in opening hours.
const DATE = '\\d{1,2}\\1(?:\\d{4}|\\d\\d)';
const RANGE = new RegExp('^(?:\\d{1,2}:\\d\\d(?=-\\d{1,2}:\\d\\d$)' +
  `|\\d{1,2}([./])${DATE}(?=-\\d{1,2}\\1${DATE}$))`);

// Units whose exponent is a digit, but not a number.
const POWER = /(?<![A-Za-z])[cdkm]?m([23])(?![\dA-Za-z])/g;

/** Positions of the exponents of units in a text. */
export const exponentsIn = (text) =>
  [...text.matchAll(POWER)].map(({ 0: unit, index }) => index + unit.length - 1);

/** Half-open spans of the numbers of a text, without unmatched brackets and guards. */
export function numberSpans(text) {
  const surplus = (part) => part.split('(').length - part.split(')').length;
  return [...text.matchAll(NUMBER)].flatMap(({ 0: number, index }) => {
    let [begin, end] = [0, number.length];
    while (number[begin] === '(' && surplus(number.slice(begin)) > 0) begin++;
    while (number[end - 1] === ')' && surplus(number.slice(begin, end)) < 0) end--;
    [begin, end] = withoutGuards(text, index + begin, index + end).map((place) => place - index);
    const trimmed = number.slice(begin, end);
    const pair = !ONE_MARK.test(trimmed) && trimmed.match(RUN_TOGETHER);
    const range = !pair && trimmed.match(RANGE);
    const cut = begin + (pair ? pair[1].length : range ? range[0].length : trimmed.length);
    const spans = cut < end ? [[begin, cut], [range ? cut + 1 : cut, end]] : [[begin, end]];
    return spans.map((span) => span.map((place) => index + place));
  });
}

/** A span without the hyphens of a number with one on either side, as around that of a page. */
function withoutGuards(text, begin, end) {
  const [before, behind] = [text[begin] === '-', text[end - 1] === '-'];
  const isGuarded = (before || SIGN_BEFORE.test(text.slice(0, begin)))
    && (behind || SIGN_BEHIND.test(text.slice(end)));
  return isGuarded ? [begin + Number(before), end - Number(behind)] : [begin, end];
}

/** The spots of each number on a line; the first one has `missed`, the missing bracket, and
 * `inText`, whether the line has other text. */
export function numbersOn(spots) {
  const text = spots.map(({ char, place }) =>
    (place < 0 && /\d/.test(char) ? OTHER_SIGN : char)).join('');
  return numberSpans(text).map(([begin, end]) => {
    const [first, ...rest] = spots.slice(begin, end);
    const isOpen = text[begin - 1] === '(' && !text.includes(')', end);
    const isClosed = text[end] === ')' && !text.slice(0, begin).includes('(');
    const missed = isOpen ? ')' : isClosed ? '(' : '';
    const inText = Boolean((text.slice(0, begin) + text.slice(end)).trim());
    return [{ ...first, missed, inText }, ...rest];
  });
}

/** The characters of the numbers of a line, with spaces between numbers. */
export function charactersOf(numbers) {
  return numbers.flatMap((number, i) => {
    const chars = number.map(({ char, confidence, box }) => ({ char, confidence, box }));
    if (!i) return chars;
    const [left, right] = [numbers[i - 1].at(-1).box, chars[0].box];
    const [x0, x1] = [left[2], right[0]].sort((a, b) => a - b);
    const [top, bottom] = [Math.min(left[1], right[1]), Math.max(left[3], right[3])];
    return [{ char: ' ', confidence: 1, box: [x0, top, Math.max(x0 + 1, x1), bottom] }, ...chars];
  });
}
