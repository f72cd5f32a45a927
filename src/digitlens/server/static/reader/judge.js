// Judges candidates: stated, doubtful or rejected, with the reason in a few words.

import { argsort, clip, rint } from './arrays.js';

/**
 * Makes an answer of one candidate, see results.js.
 *
 * @param existence That a digit is there, 0..1.
 * @param probabilities Which one, ten numbers.
 * @param confidence Calibrated probability that there is this digit.
 * @param box Where it stands.
 * @param thresholds {digit, reject}: least confidence to be sure; below it, not a digit.
 */
export function judge(existence, probabilities, confidence, box, thresholds) {
  const [second, value] = argsort(probabilities).slice(-2);
  const digit = {
    value, confidence, probabilities, box, status: 'digit', reason: '', startsNumber: false,
  };
  if (confidence >= thresholds.digit) return digit;
  if (confidence >= thresholds.reject) {
    const reason = doubt(existence, probabilities, second, confidence);
    return { ...digit, status: 'unsure', reason };
  }
  const reason = `hardly a digit, closest to ${value} (${percent(confidence)} %)`;
  return { ...digit, status: 'rejected', reason };
}

/** A box in whole pixels that lies on the page. */
export function pageBox(box, width, height) {
  const [left, top, right, bottom] = Array.from(box, rint);
  const [x0, y0] = [clip(left, 0, width - 1), clip(top, 0, height - 1)];
  return [x0, y0, clip(right, x0 + 1, width), clip(bottom, y0 + 1, height)];
}

/** A share in whole percent, as text. */
export function percent(share) {
  return String(rint(100 * share));
}

function doubt(existence, chances, second, confidence) {
  const sure = `${percent(confidence)} % sure`;
  if (1 - existence > chances[second]) return `${sure}, may be no digit`;
  return `${sure}, could be ${second} (${percent(chances[second])} %)`;
}
