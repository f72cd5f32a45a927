// Quarter turns: finds out that a page lies on its side or stands on its head.

import { argmax, max, mean, range, sum } from './arrays.js';
import { inColour, shrink, turned } from './images.js';

const LOOK = 448; // longest side of the page in the looks that compare turns
const FINE = 0.85; // confidence: where digits are read so surely on average, the page is upright
const BETTER = 2.0; // times the evidence of the page as it is
const COUNTS = 0.5; // score from which a digit is evidence
// Words that stand on their head look like numbers (bath: 4709), and few photos do.
const COUNTS_ON_ITS_HEAD = 0.65;
const LEAST = 1.2; // evidence of two digits: one alone turns no page

/**
 * How many quarter turns, counter-clockwise, make digits of what is on the page.
 *
 * @param model Looks, see PageModel.
 * @param confidence Of what was found on the page as it is.
 * @returns 0 to 3; 0 where the page reads well as it is, or no turn is clearly better.
 */
export async function bestTurn(page, model, confidence) {
  const found = confidence.filter((share) => share > 0.3);
  if (!confidence.length || (found.length && mean(found) > FINE)) return 0;
  const small = inColour(shrink(page, LOOK));
  const evidence = [];
  for (const turn of range(4)) {
    const look = await model.look(turned(small, turn));
    evidence.push(evidenceOf(look, turn === 2 ? COUNTS_ON_ITS_HEAD : COUNTS));
  }
  const best = argmax(evidence);
  return evidence[best] > Math.max(LEAST, BETTER * evidence[0]) ? best : 0;
}

/** The boxes of a turned page on the page as it was, of that width and height. */
export function turnedBack(lines, turn, width, height) {
  if (!turn) return lines;
  return lines.map((line) =>
    line.map((digit) => ({ ...digit, box: back(digit.box, turn, width, height) })),
  );
}

function evidenceOf({ found }, least) {
  const sure = found.map(({ score, probabilities }) => score * max(probabilities, 0));
  return sum(sure.filter((share) => share > least).map((share) => share ** 2));
}

function back([x0, y0, x1, y1], turn, width, height) {
  if (turn === 1) return [width - y1, x0, width - y0, x1];
  if (turn === 2) return [width - x1, height - y1, width - x0, height - y0];
  return [y0, height - x1, y1, height - x0];
}
