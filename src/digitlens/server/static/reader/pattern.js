// Parses the pattern of a number as written by a user: how many digits, and which ones where.

import { range } from './arrays.js';

const ANY = range(10);
const ALLOWED =
  'expected a number of digits from 1 to 99, or a pattern: # is any digit, 7 is that digit, ' +
  '[0-3] or [159] is one of these, and other signs are printed but not read, ' +
  'as in ####-##, 20## or [0-2]#:[0-5]#';

const MAX_DIGITS = 99; // digits
const PIECE = /\[([^[\]]*)\]|([0-9])|(#)|([^[\]])/uy;
const SET = /^(?:[0-9](?:-[0-9])?)+$/;
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

/**
 * Parses a pattern such as `4`, `####-##`, `20##` or `[0-2]#:[0-5]#`.
 *
 * @returns The allowed digits at each position, ascending.
 * @throws RangeError The pattern is invalid; the message says what is allowed.
 */
export function parsePattern(written) {
  const text = String(written).trim();
  if (/^[0-9]+$/.test(text)) {
    if (text[0] === '0' || text.length > 2) throw malformed(text, 'it is not a number of digits');
    return range(Number(text)).map(() => ANY);
  }
  const places = [...parsePieces(text)].filter((place) => place.length);
  if (places.length < 1 || places.length > MAX_DIGITS) {
    throw malformed(text, `it has ${places.length} places for digits`);
  }
  return places;
}

/** Yields the allowed digits of each position; an empty array for each printed sign. */
function* parsePieces(text) {
  for (PIECE.lastIndex = 0; PIECE.lastIndex < text.length;) {
    const position = PIECE.lastIndex;
    const [piece, set, digit, any] = PIECE.exec(text) ?? [''];
    if (!piece || UNPRINTABLE.test(piece)) {
      const found = String.fromCodePoint(text.codePointAt(position));
      throw malformed(text, `'${found}' is not allowed at position ${position + 1}`);
    }
    if (set !== undefined) yield parseSet(text, set);
    else if (any) yield ANY;
    else yield digit ? [Number(digit)] : [];
  }
}

function parseSet(text, inside) {
  const ranges = [...inside.matchAll(/[0-9](?:-[0-9])?/g)].map(([part]) => [
    Number(part[0]), Number(part.at(-1)),
  ]);
  if (!SET.test(inside) || ranges.some(([first, last]) => first > last)) {
    throw malformed(text, `[${inside}] is not a set of digits`);
  }
  return ANY.filter((value) => ranges.some(([first, last]) => first <= value && value <= last));
}

function malformed(text, reason) {
  return new RangeError(`${ALLOWED}; found '${text}': ${reason}`);
}
