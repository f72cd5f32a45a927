// How sure: puts the votes on a candidate together and turns them into a calibrated probability.

import { argmax, clip, max, range } from './arrays.js';
import { calibrated } from './calibration.js';
import { logistic } from './logistic.js';
import { pooled } from './pool.js';
import { support } from './support.js';

const { fround } = Math;

export const POOL = [0.7, 0.4, 0.15, 0.0, 0.0, 0.0]; // unless the card says otherwise
const LEAST = 1e-4; // no vote alone can rule a digit out
const USUAL = 28.0; // pixels: height of a digit that is neither small nor large

/** What a page reader's card says of its own scores. */
export class Confidence {
  constructor({ pool = POOL, weights = [], context = [], calibration = null } = {}) {
    Object.assign(this, { pool, weights, context, calibration });
  }

  /** Takes it out of the card of a page reader: of all its results, or of a part by its name. */
  static of(card, part = '') {
    return new Confidence(part ? (card.results[part] ?? {}) : card.results);
  }

  /** Of all votes: for each candidate ten probabilities that sum to 1. */
  probabilities(votes) {
    return votes.map((vote) => pooled(this.pool, opinions(vote)));
  }

  /** How much speaks for each candidate, 0..1, before calibration. */
  raw(votes, probabilities) {
    if (!this.weights.length) {
      return votes.map(({ existence, digit }, i) =>
        fround(Math.sqrt(existence * digit) * max(probabilities[i], 0)),
      );
    }
    const alone = votes.map((vote, i) => logistic(this.weights, signs(vote, probabilities[i])));
    if (!this.context.length) return alone.map(fround);
    return surroundings(votes, alone).map((row) => fround(logistic(this.context, row)));
  }

  /** The probability that a digit is there and has its most probable value. */
  values(votes, probabilities) {
    const raw = this.raw(votes, probabilities);
    return this.calibration ? raw.map((share) => calibrated(this.calibration, share)) : raw;
  }
}

/** For each value the logarithms of the three voters, then the same times the size. */
function opinions(vote) {
  const size = sizeOf(vote);
  return range(10).map((value) => {
    const logs = vote.names.map((chances) => logOf(chances[value]));
    return [...logs, ...logs.map((log) => fround(size * log))];
  });
}

/** What speaks for a candidate: both scores, what each voter gives its value, and its size. */
function signs(vote, probabilities) {
  const value = argmax(probabilities);
  return [
    logitOf(vote.existence),
    logitOf(vote.digit),
    logOf(probabilities[value]),
    ...vote.names.map((chances) => logOf(chances[value])),
    sizeOf(vote),
  ];
}

/** What each candidate is by itself, and what its neighbours are: two logits. */
function surroundings(votes, alone) {
  const own = alone.map((chance) => logitOf(fround(chance)));
  const others = support(votes.map(({ box }) => box), own);
  return own.map((logit, i) => [logit, others[i]]);
}

/** 0 for a digit of usual height, 1 for one four times as high, -1 for one a quarter so high. */
function sizeOf({ box }) {
  const height = fround(box[3] - box[1]);
  return fround(clip(Math.log2(fround(Math.max(height, 1) / USUAL)) / 2, -1, 1.5));
}

function logOf(chance) {
  return fround(Math.log(Math.max(chance, fround(LEAST))));
}

function logitOf(chance) {
  const inside = clip(chance, fround(LEAST), fround(1 - LEAST));
  return fround(Math.log(fround(inside / fround(1 - inside))));
}
