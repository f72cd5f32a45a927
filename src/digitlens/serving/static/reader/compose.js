// Composes a reading: judges candidates and puts them into lines, numbers and expected patterns.

import { clip, max } from './arrays.js';
import { fit } from './expect.js';
import { judge, pageBox, percent } from './judge.js';
import { linesOf, numbersOf } from './layout.js';

const FILLS = 0.5; // of the page's height
const SUBJECT = 0.5; // of the usual confidence is enough for what fills an otherwise empty page

/**
 * Lines from top to bottom, each from left to right; what is rejected stands in them, marked.
 *
 * @param found Candidates.
 * @param probabilities Of each, final.
 * @param confidence Of each, calibrated.
 * @param size Width and height of the page.
 * @param thresholds See `judge`.
 * @returns Lines of digits, see results.js; each has the index of its candidate as `candidate`.
 */
export function compose(found, probabilities, confidence, size, thresholds) {
  let digits = found.map(({ score, box }, i) => ({
    ...judge(score, probabilities[i], confidence[i], pageBox(box, ...size), thresholds),
    candidate: i,
  }));
  if (digits.every(isRejected)) digits = withSubject(digits, size, SUBJECT * thresholds.reject);
  const kept = digits.filter((digit) => !isRejected(digit));
  const boxes = kept.map(({ candidate }) => found[candidate].box);
  const lines = linesOf(boxes).map((line) =>
    withNumbers(line.map((i) => kept[i]), line.map((i) => boxes[i])),
  );
  // What is no digit says nothing about the lines of digits: it joins the one that it is on.
  digits.filter(isRejected).forEach((digit) => insert(lines, digit));
  return lines;
}

/**
 * Chooses among candidates and their alternatives those that a known pattern asks for.
 *
 * @param lines A reading's, rejected digits among them.
 * @param pattern What the number looks like.
 * @param thresholds See `judge`.
 * @returns The same digits; those that do not fit are rejected, and a digit that had another value
 *   or was rejected says so.
 */
export function fitted(lines, pattern, thresholds) {
  const digits = lines.flat();
  if (!digits.length) return lines;
  // Confidence is that there is a digit and that it has this value.
  const existence = digits.map(({ confidence, probabilities }) =>
    confidence / max(probabilities, 1e-6),
  );
  const probabilities = digits.map((digit) => digit.probabilities);
  const choice = fit(pattern, probabilities, existence.map((share) => clip(share, 0, 1)));
  const chosen = new Map(choice.map(({ candidate, ...rest }) => [candidate, rest]));
  const answers = digits.map((digit, i) =>
    expected(digit, chosen.get(i), Math.min(1, existence[i]), thresholds),
  );
  let next = 0;
  return lines.map((line) => line.map(() => answers[next++]));
}

function isRejected({ status }) {
  return status === 'rejected';
}

function expected(digit, chosen, existence, thresholds) {
  if (!chosen) {
    if (isRejected(digit)) return digit;
    return { ...digit, status: 'rejected', reason: 'more than the digits that were expected' };
  }
  const { value } = chosen;
  const confidence = existence * chosen.confidence;
  if (confidence >= thresholds.digit) {
    return { ...digit, value, confidence, status: 'digit', reason: '' };
  }
  const reason = `${percent(confidence)} % sure, also from what was expected`;
  return { ...digit, value, confidence, status: 'unsure', reason };
}

function withNumbers(digits, boxes) {
  const starts = new Set(numbersOf(boxes).slice(1).map((number) => number[0]));
  return digits.map((digit, i) => ({ ...digit, startsNumber: starts.has(i) }));
}

/** Doubts the one thing that fills its picture: it is what the picture was taken for. */
function withSubject(digits, [, height], least) {
  const large = digits.filter(({ box }) => box[3] - box[1] >= FILLS * height);
  if (!large.length) return digits;
  const best = large.reduce((a, b) => (b.confidence > a.confidence ? b : a));
  if (best.confidence < least) return digits;
  const whole = Math.min(99, Math.trunc(100 * best.confidence));
  const reason = `${whole} % sure, read because it fills the picture`;
  return digits.map((digit) => (digit === best ? { ...digit, status: 'unsure', reason } : digit));
}

function insert(lines, digit) {
  const [x0, y0, , y1] = digit.box;
  const middle = (y0 + y1) / 2;
  for (const line of lines) {
    const away = ({ box }) => Math.abs(box[0] - x0);
    const near = line.reduce((a, b) => (away(b) < away(a) ? b : a));
    if (near.box[1] <= middle && middle <= near.box[3]) {
      line.splice(line.filter(({ box }) => box[0] <= x0).length, 0, digit);
      return;
    }
  }
  const above = lines.filter((line) => Math.min(...line.map(({ box }) => box[1])) <= y0).length;
  lines.splice(above, 0, [digit]);
}
