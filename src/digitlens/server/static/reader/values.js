// Values of the numbers on a page, by the marks and the date order that the page uses.
//
// Port of the part of values.py that uses the text alone: which marks a page uses, and the meaning
// of a number under them. Geometry is not considered: cents without a mark, gaps, columns.

import { fits, LIKE_DATE, meanings, ONE_MARK, CURRENCIES } from './notation.js';
import { numberDigits, percent } from './layout.js';

export const SURE_MARK = 0.8; // confidence from which a mark is accepted as read

const MONEY_OF_NOTHING = new RegExp(`[${CURRENCIES}] ?0\\d|^0\\d+ ?[${CURRENCIES}]`);
const soleOf = (marks) => (marks.size === 1 ? [...marks][0] : '');

/**
 * The numbers of a page with their values, in the format of Number.as_dict in Python.
 *
 * @param rows The numbers of each line, each an array of spots, see numbers.js.
 * @param digits Map from place to digit, see layout.js.
 * @param decimal The decimal mark; empty if unknown.
 */
export function numbersOf(rows, digits, decimal) {
  const pieces = rows.flat().map((spots) => {
    const text = spots.map(({ char }) => char).join('');
    const marks = spots.filter(({ place }) => place < 0);
    return { spots, text, found: meanings(text), doubt: doubtfulMark(marks) };
  });
  const known = settleNotation({ decimal, grouping: '', order: '' }, pieces);
  return pieces.map((piece) => numberOf(piece, digits, known));
}

/** The known notation, completed by what all unambiguous numbers agree on. */
export function settleNotation(known, pieces) {
  const sure = pieces.filter(({ found, doubt }) => found.length === 1 && !doubt);
  const agreed = (key) => soleOf(new Set(sure.map(({ found: [one] }) => one[key]).filter(Boolean)));
  const [decimal, order] = ['decimal', 'order'].map((key) => known[key] || agreed(key));
  const likely = pieces.some(({ text }) => text.includes('$')) ? 'MDY' : '';
  return { ...known, decimal, order, likely };
}

/** The meanings of a text that fit the known notation, and the reason if they are uncertain. */
export function chooseMeanings(text, found, known) {
  const orderRank = ({ order }) => (known.likely && order !== known.likely ? 1 : 0);
  const fitting = found.filter((each) => fits(each, known))
    .sort((one, other) => orderRank(one) - orderRank(other));
  if (!fitting.length) {
    const marks = known.decimal ? `${known.decimal} as decimal mark` : known.grouping;
    return [found, `not written as expected, with ${marks || known.order}`];
  }
  if (fitting.length > 1) return [fitting, fitting.map(({ value }) => value).join(' or ')];
  if (MONEY_OF_NOTHING.test(text)) return [fitting, 'money without a mark behind 0'];
  if ((text.match(/[\d.,]+/g) ?? []).some((part) => ONE_MARK.test(part))) {
    return [fitting, 'the same mark for groups and decimals'];
  }
  return [fitting, found[0].kind === 'code' && LIKE_DATE.test(text) ? 'no such date' : ''];
}

/** Numbers as digits only, without values, as when a pattern decided them. */
export function codesOf(lines) {
  return lines.flatMap(numberDigits).map((digits) => {
    const text = digits.map(({ value }) => value).join('');
    return numberFrom(digits, digits, text, meanings(''), doubtfulDigit(digits));
  });
}

function numberOf({ spots, text, found, doubt }, digits, known) {
  const own = spots.filter(({ place }) => place >= 0).map(({ place }) => digits.get(place));
  let [fitting, unclear] = chooseMeanings(text, found, known);
  if (spots[0].inText && !unclear) [fitting, unclear] = withoutMinus(text, fitting);
  const missed = spots.map((spot) => spot.missed).find(Boolean);
  const bracket = missed ? `may have ${missed} beside it` : '';
  return numberFrom(spots, own, text, fitting, doubtfulDigit(own) || doubt || unclear || bracket);
}

/** Within text, brackets need not be a minus: 4.5 (872), (212) 555; amounts excepted. */
function withoutMinus(text, found) {
  const [{ value, kind, unit }] = found;
  if (text[0] !== '(' || value === null || unit || !['integer', 'code'].includes(kind)) {
    return [found, ''];
  }
  const plain = { ...found[0], value: value.replace('-', '') };
  return [[...found, plain], `${value} or ${plain.value}`];
}

function numberFrom(spots, digits, text, fitting, reason) {
  const joint = spots.reduce((product, { confidence }) => product * confidence, 1);
  const probability = Number((joint / fitting.length).toFixed(6));
  const [{ value, kind, unit }, ...others] = fitting;
  const boxes = spots.map(({ box }) => box);
  return {
    text, value, kind, unit,
    digits: digits.map((digit) => digit.value).join(''),
    confidence: probability,
    status: reason ? 'unsure' : 'number',
    reason,
    box: [Math.min, Math.min, Math.max, Math.max].map((most, i) => most(...boxes.map((b) => b[i]))),
    alternatives: others.map((each) => ({ text, value: each.value, probability })),
  };
}

function doubtfulDigit(digits) {
  const first = digits.findIndex(({ reason }) => reason);
  return first < 0 ? '' : `digit ${first + 1}: ${digits[first].reason}`;
}

function doubtfulMark(marks) {
  const faint = marks.find(({ confidence }) => confidence < SURE_MARK);
  return faint ? `${percent(faint.confidence)} % sure of ${faint.char}` : '';
}
