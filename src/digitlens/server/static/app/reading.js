// Values and texts of a reading, with the user's corrections; draws nothing.
// @ts-check

/**
 * @typedef {{value: number, confidence: number, status: "digit"|"unsure"|"rejected", reason: string,
 *   starts_number: boolean, box: number[], probabilities: number[], tile?: string,
 *   corrected?: number|"none"}} Digit
 * @typedef {{char: string, confidence: number, box: number[]}} Character
 * @typedef {{text: string, value: string|null}} Content
 * @typedef {Content & {kind: string, unit: string, digits: string, confidence: number,
 *   status: "number"|"unsure", reason: string, box: number[],
 *   alternatives: (Content & {probability: number})[], corrected?: Content}} NumberFound
 * @typedef {{name: string, page: number, page_count: number, seconds: number, text: string,
 *   digits_only: string, numbers_digits: string[], lines: Digit[][], characters?: Character[][],
 *   numbers: NumberFound[],
 *   width: number, height: number, model: string, model_sha256: string}} Reading
 * @typedef {{digit: Digit}|{mark: string}} Piece
 */

/** All digits in reading order, including rejected ones. */
export const digitsOf = (reading) => reading.lines.flat();

/** Whole percent, rounded down and never 100: nothing here is certain. */
export const percent = (share) => Math.min(99, Math.floor(100 * share));

/** A probability as text, "< 1 %" if it is small. */
export const chance = (share) => (share >= 0.01 ? `${percent(share)} %` : "< 1 %");

/** The corrected value; null for what is not a digit. */
export function valueOf(digit) {
  if (digit.corrected === "none") return null;
  if (digit.corrected !== undefined) return digit.corrected;
  return digit.status === "rejected" ? null : digit.value;
}

/** "digit", "unsure" or "rejected"; a corrected digit is never unsure. */
export function statusOf(digit) {
  if (digit.corrected === undefined) return digit.status;
  return digit.corrected === "none" ? "rejected" : "digit";
}

/**
 * Whether a candidate was rejected and not corrected.
 * @param {{status: string, corrected?: number|"none"}} digit
 */
export const isRejected = ({ status, corrected }) => status === "rejected" && corrected === undefined;

/** The other digits, most probable first, as [value, probability]. */
export function alternatives(digit, minShare = 0) {
  const ranked = digit.probabilities.map((share, value) => [value, share]);
  ranked.sort((a, b) => b[1] - a[1]);
  return ranked.filter(([value, share]) => value !== digit.value && share >= minShare);
}

/** The digits of a line, number by number. */
export function numbersOf(line) {
  const numbers = [[]];
  for (const digit of line) {
    if (digit.starts_number && numbers.at(-1).length) numbers.push([]);
    numbers.at(-1).push(digit);
  }
  return numbers;
}

/**
 * The content of a line, number by number: digits, including rejected ones, and marks.
 * @param {Reading} reading
 * @param {number} place Index of the line.
 * @returns {Piece[][]}
 */
export function piecesOf(reading, place) {
  const line = reading.lines[place];
  const written = reading.characters?.[place] ?? [];
  if (!written.length) return numbersOf(line).map((digits) => digits.map((digit) => ({ digit })));
  const indexOfBox = new Map(line.map((digit, index) => [digit.box.join(), index]));
  const numbers = [[]];
  let next = 0;
  const addDigits = (end) => numbers.at(-1).push(...line.slice(next, end).map((digit) => ({ digit })));
  for (const { char, box } of written) {
    const index = /[0-9]/.test(char) ? (indexOfBox.get(box.join()) ?? -1) : -1;
    if (index >= next) {
      addDigits(index + 1);
      next = index + 1;
    } else if (char === " ") numbers.push([]);
    else numbers.at(-1).push({ mark: char });
  }
  addDigits(line.length);
  return numbers;
}

/** The numbers with their marks, one text line per line of the page, without rejected digits. */
export function textOf(reading) {
  const chosen = reading.numbers.filter(({ corrected }) => corrected);
  const seen = new Set();
  const text = (pieces) => {
    const first = pieces.find(({ digit }) => digit)?.digit;
    const number = first && chosen.find(({ box }) => containsCentre(box, first.box));
    if (!number) return writtenText(pieces);
    const isRepeated = seen.has(number); // a number in several parts, such as a price with raised cents
    seen.add(number);
    return isRepeated ? "" : number.corrected.text;
  };
  const lines = reading.lines.map((_, place) =>
    piecesOf(reading, place).map(text).filter(Boolean).join(" "),
  );
  return lines.filter(Boolean).join("\n");
}

/** Whether the centre of `box` lies in `outer`. */
export function containsCentre(outer, box) {
  const [x0, y0, x1, y1] = outer;
  const [x, y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  return x >= x0 && x <= x1 && y >= y0 && y <= y1;
}

/** A number as written; empty if none of its digits is left. */
function writtenText(pieces) {
  const digits = pieces.filter(({ digit }) => digit);
  if (digits.length && digits.every(({ digit }) => valueOf(digit) === null)) return "";
  return pieces.map(({ digit, mark }) => mark ?? valueOf(digit) ?? "").join("");
}

/**
 * The verdict on a reading: a status and a sentence.
 * @param {Reading} reading
 * @returns {{status: "digit"|"unsure"|"rejected", text: string}}
 */
export function verdictOf(reading) {
  const digits = digitsOf(reading);
  const read = digits.filter((digit) => valueOf(digit) !== null);
  const doubtful = read.filter((digit) => statusOf(digit) === "unsure");
  if (!digits.length) return { status: "rejected", text: "No digit found." };
  if (!read.length) {
    return { status: "rejected", text: `Not a digit: ${digits[0].reason || "marked by hand"}.` };
  }
  if (!doubtful.length) {
    const sure = read.length === 1 ? "One digit, sure." : `${read.length} digits, all sure.`;
    return { status: "digit", text: sure };
  }
  if (read.length === 1) return { status: "unsure", text: `Not sure: ${doubtful[0].reason}.` };
  const first = `${valueOf(doubtful[0])}, ${doubtful[0].reason}`;
  const text = `${doubtful.length} of ${read.length} digits uncertain: ${first}.`;
  return { status: "unsure", text };
}

/** Carries corrections over to the matching digits of a new reading of the same picture. */
export function carryCorrections(previous, reading) {
  const corrected = previous ? digitsOf(previous).filter((digit) => digit.corrected !== undefined) : [];
  const pairs = [];
  for (const old of corrected) {
    const match = digitsOf(reading).find((digit) => iou(digit.box, old.box) > 0.6);
    if (match) {
      match.corrected = old.corrected;
      pairs.push([old, match]);
    }
  }
  return pairs;
}

/** Intersection over union of two boxes. */
export function iou(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return (width * height) / (area(a) + area(b) - width * height);
}

/** The reading with its boxes mapped from the raster to the drawing. */
export function mapBoxes(reading, { scale, left, top }) {
  const moveBox = ([x0, y0, x1, y1]) => [
    x0 * scale + left,
    y0 * scale + top,
    x1 * scale + left,
    y1 * scale + top,
  ];
  const moveAll = (parts) => parts?.map((part) => ({ ...part, box: moveBox(part.box) }));
  const [lines, characters] = [reading.lines, reading.characters ?? []].map((all) => all.map(moveAll));
  return { ...reading, lines, characters, numbers: moveAll(reading.numbers) };
}
