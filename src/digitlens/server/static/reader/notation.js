// Notations of numbers and dates, and all meanings that a text may have; port of notation.py.
//
// A meaning is {value, kind, unit, decimal, grouping, order}: the value in Python's format
// ('-12.50', '2021-04-27', '23:59:00'), null if none, and the notation that it presupposes.

export const CURRENCIES = '$€£¥';
export const SIGNS = `${CURRENCIES}§#`; // may precede a number
const MIN_CODE_DIGITS = 10; // without marks this many are a code, such as a phone number
const PIVOT = 69; // two-digit years below are 20xx, as in POSIX
const PRECISION = 10n ** 27n; // of quotients: 28 digits, as in Python

const fullMatch = (pattern) => new RegExp(`^(?:${pattern})$`);
const PARTS = fullMatch(
  `([-+(${SIGNS} ]*)([.]?\\d.*?)((?: ?[%${CURRENCIES}]| ?°[CF]?|[-)])*)`,
);
const UNIT = new RegExp(`[%${SIGNS}]|°[CF]?`, 'g');
const DATE = /^(\d{4}|\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{1,2})$/;
export const LIKE_DATE = /^(?:\d{4}|\d{1,2})([-/.])\d{1,2}\1\d{2,4}$/;
const TIME = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/;
const FRACTION = /^(0|[1-9]\d{0,2})\/([1-9]\d{0,2})$/;
const SCIENTIFIC = /^(\d+)(?:[.,](\d+))?[eE]([+-]?\d{1,3})$/;
export const ONE_MARK = /^\d{1,3}([.,])(?:\d{3}\1)+\d{1,2}$/; // 1.234.56: one was misread
const INDIAN = /^[1-9]\d?(?:,\d\d)+,\d{3}$/; // 12,34,567
const ORDERS = { '/': ['DMY', 'MDY', 'YMD'], '-': ['DMY', 'MDY', 'YMD'], '.': ['DMY', 'YMD'] };
const CODE = { value: null, kind: 'code', unit: '', decimal: '', grouping: '', order: '' };

const isDecimal = (text) => /^\d+$/.test(text);

/** All meanings of a text, most likely first; a code without value if it has none. */
export function meanings(text) {
  const [, lead, core, trail] = PARTS.exec(text) ?? [];
  const sign = core === undefined ? null : signOf(lead, trail);
  if (sign === null) return [CODE];
  const affixes = lead + trail;
  if (!affixes.trim()) {
    const dates = DATE.test(core) ? datesOf(core) : [];
    if (dates.length) return dates;
    if (TIME.test(core)) return [timeOf(core)];
  }
  const found = [...quantities(core)];
  if (!found.length) return [CODE];
  const unit = affixes.replace(/[-+() ]/g, '');
  const isMoney = unit !== '' && CURRENCIES.includes(unit);
  // Money seldom has three decimals.
  if (isMoney) found.sort((a, b) => (a.kind === 'decimal') - (b.kind === 'decimal'));
  return found.map((meaning) => ({
    ...meaning,
    value: `${sign}${meaning.value}`,
    kind: unit === '%' ? 'percent' : isMoney ? 'currency' : meaning.kind,
    unit,
  }));
}

/** Whether a meaning fits a known notation {decimal, grouping, order}, each possibly empty. */
export function fits(meaning, known) {
  const isEqual = (one, other) => !one || !other || one === other;
  const isMark = meaning.grouping === '.' || meaning.grouping === ',';
  return isEqual(meaning.decimal, known.decimal) && isEqual(meaning.order, known.order)
    && (!isMark || isEqual(meaning.grouping, known.grouping));
}

/** '' or '-'; null if there are too many signs or units around a number. */
function signOf(lead, trail) {
  const [opened, closed] = [lead.split('(').length - 1, trail.split(')').length - 1];
  const [signs, units] = [/[-+]/g, UNIT].map((each) => (lead + trail).match(each)?.length ?? 0);
  if (opened !== closed || opened + signs > 1 || units > 1) return null;
  return (lead + trail).includes('-') || opened ? '-' : '';
}

/** The quantities that a text of digits and marks may denote. */
function* quantities(core) {
  if (isDecimal(core)) {
    const isCode = core.length >= MIN_CODE_DIGITS || (core.length > 1 && core[0] === '0');
    yield { ...CODE, value: shiftPoint(core, 0), kind: isCode ? 'code' : 'integer' };
  } else if (FRACTION.test(core)) {
    const [, top, bottom] = FRACTION.exec(core);
    yield { ...CODE, value: quotient(BigInt(top), BigInt(bottom)), kind: 'fraction' };
  } else if (SCIENTIFIC.test(core)) {
    const [, digits, places = '', power] = SCIENTIFIC.exec(core);
    const value = shiftPoint(digits + places, Number(power) - places.length);
    yield { ...CODE, value, kind: 'decimal' };
  } else if (ONE_MARK.test(core)) {
    const places = core.length - 1 - Math.max(core.lastIndexOf('.'), core.lastIndexOf(','));
    yield { ...CODE, value: shiftPoint(core.replace(/\D/g, ''), -places), kind: 'decimal' };
  } else {
    yield* markedValues(core, '.');
    yield* markedValues(core, ',');
  }
}

/** The value of digits with points, commas and apostrophes, given the decimal mark. */
function* markedValues(core, decimal) {
  const mark = core.indexOf(decimal);
  const [integer, fraction] = mark < 0 ? [core, ''] : [core.slice(0, mark), core.slice(mark + 1)];
  const other = decimal === '.' ? ',' : '.';
  const grouping = [other, "'", ' '].find((char) => integer.includes(char)) ?? '';
  const isGrouped = fullMatch(`[1-9]\\d{0,2}(?:${grouping}\\d{3})+`).test(integer);
  if (grouping && !isGrouped && !(grouping === ',' && INDIAN.test(integer))) return;
  if ((mark >= 0 && !isDecimal(fraction)) || (integer && !grouping && !isDecimal(integer))) return;
  const value = shiftPoint(integer.replace(/\D/g, '') + fraction, -fraction.length);
  if (mark < 0 && "' ".includes(grouping)) { // the same for either decimal mark
    if (decimal === '.') yield { ...CODE, value, kind: 'integer', grouping };
    return;
  }
  yield { ...CODE, value, kind: mark < 0 ? 'integer' : 'decimal', decimal, grouping };
}

/** Digits times a power of ten, without an exponent. */
function shiftPoint(digits, power) {
  const stripped = digits.replace(/^0+(?=\d)/, '');
  if (power >= 0) return stripped === '0' ? stripped : stripped + '0'.repeat(power);
  const padded = stripped.padStart(1 - power, '0');
  return `${padded.slice(0, power)}.${padded.slice(power)}`;
}

function quotient(top, bottom) {
  let [scaled, places] = [top, 0];
  while (scaled % bottom && scaled / bottom < PRECISION) {
    [scaled, places] = [scaled * 10n, places + 1];
  }
  const rounded = scaled / bottom + (2n * (scaled % bottom) > bottom ? 1n : 0n);
  return shiftPoint(String(rounded), -places);
}

function timeOf(core) {
  const [hour, minute, second] = TIME.exec(core).slice(1).map((part) => Number(part ?? 0));
  if (hour > 23 || minute > 59 || second > 59) return CODE;
  const value = [hour, minute, second].map((part) => String(part).padStart(2, '0')).join(':');
  return { ...CODE, value, kind: 'time' };
}

/** The distinct dates that a text may denote. */
function datesOf(core) {
  const [, first, separator, ...rest] = DATE.exec(core);
  const parts = [first, ...rest];
  const hasLongYear = parts.some(({ length }) => length === 4);
  const orders = new Map();
  for (const order of ORDERS[separator]) {
    const [year, month, day] = ['Y', 'M', 'D'].map((part) => parts[order.indexOf(part)]);
    if (year.length !== (hasLongYear ? 4 : 2)) continue;
    if (!hasLongYear && order === 'YMD' && separator !== '-') continue;
    const value = dayOf(Number(year) + centuryOf(year), Number(month), Number(day));
    if (value) orders.set(value, orders.has(value) ? '' : order);
  }
  return [...orders].map(([value, order]) => ({ ...CODE, value, kind: 'date', order }));
}

function centuryOf(year) {
  if (year.length === 4) return 0;
  return Number(year) < PIVOT ? 2000 : 1900;
}

/** A day as 2021-04-27; empty if it does not exist. */
function dayOf(year, month, day) {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isDay = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return isDay && year > 0 && month > 0 ? date.toISOString().slice(0, 10) : '';
}
