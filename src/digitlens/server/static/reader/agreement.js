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
 * @param views The looks: {scale, candidates}.
 * @param page {width, height}, which each look showed all of.
 * @returns For each the mean score of those looks, each counting as much as it is trusted; the
 *   candidate's own score where there is none.
 */
export function agreement(found, views, page) {
  return found.map(({ score, box }) => {
    const [x0, y0, x1, y1] = box;
    // Most of a digit has to be in the look.
    const there = holds(x0, x1, page.width) && holds(y0, y1, page.height);
    let [total, weight] = [0, 0];
    for (const { scale, candidates } of there ? views : []) {
      const able = trust(fround(fround(y1 - y0) * scale));
      if (able < ABLE) continue;
      total += able * scoreAt(box, candidates);
      weight += able;
    }
    return weight > 0 ? fround(total / weight) : score;
  });
}

function holds(low, high, size) {
  const [middle, half] = [(low + high) / 2, (high - low) / 4];
  return fround(middle - half) >= 0 && fround(middle + half) <= size;
}

function scoreAt(box, candidates) {
  let best = UNSEEN;
  for (const other of candidates) {
    if (other.score > best && overlap(box, other.box)[0] > SAME) best = other.score;
  }
  return best;
}
