// Agreement: a digit is seen at more than one size; what only one look takes for a digit is not.

import { SAME, trust } from './candidates.js';
import { overlap } from './overlap.js';

const { fround } = Math;

const ABLE = 0.55; // trust from which a look should have seen a digit of that height
const UNSEEN = 0.02; // score of what it did not see

/**
 * How far the looks that should have seen each candidate agree that a digit is there.
 *
 * @param found Candidates of all looks, without doubles.
 * @param views The looks: {region, scale, candidates}.
 * @returns For each the mean score of those looks, each counting as much as it is trusted; the
 *   candidate's own score where there is none.
 */
export function agreement(found, views) {
  return found.map(({ score, box }) => {
    let [total, weight] = [0, 0];
    for (const view of views) {
      const able = ability(box, view);
      if (!able) continue;
      total += able * scoreAt(box, view.candidates);
      weight += able;
    }
    return weight > 0 ? fround(total / weight) : score;
  });
}

function ability([x0, y0, x1, y1], { region, scale }) {
  // Most of a digit has to be in the look.
  const inside =
    holds(region[0], region[2], (x0 + x1) / 2, (x1 - x0) / 4) &&
    holds(region[1], region[3], (y0 + y1) / 2, (y1 - y0) / 4);
  const able = trust(fround(fround(y1 - y0) * scale));
  return inside && able >= ABLE ? able : 0;
}

function holds(low, high, middle, half) {
  return fround(middle - half) >= low && fround(middle + half) <= high;
}

function scoreAt(box, candidates) {
  let best = UNSEEN;
  for (const other of candidates) {
    if (other.score > best && overlap(box, other.box)[0] > SAME) best = other.score;
  }
  return best;
}
