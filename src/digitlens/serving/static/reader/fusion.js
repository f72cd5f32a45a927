// Fusion: the scores of digit detector, line recogniser and classifier made one probability.
//
// Scores are places, see places.js, with `classifier` (ten probabilities) and `isDigit` besides:
// what the classifier says of their tiles.

import { argmax, clip, interpolate, max, sum } from './arrays.js';
import { UNSEEN } from './places.js';
import { support } from './support.js';

const { fround } = Math;

const LEAST = 1e-4; // no network alone can rule a digit out
const USUAL = 28.0; // pixels: height of a digit that is neither small nor large
const EDGE = 2.0 ** -25; // the middle between 1 and its neighbour in float32: logits stay finite

/** Weights of a line reader's card that turn scores into calibrated probabilities. */
export class Fusion {
  constructor({ pool, weights, context = [], calibration = null }) {
    Object.assign(this, { pool, weights, context, calibration });
  }

  /** Which digit, by all networks: for each place ten probabilities that sum to 1. */
  probabilities(scores) {
    return scores.map((one) => softmax(opinions(one).map((row) => dot(this.pool, row))));
  }

  /** The probability that a digit is there and has its most probable value, for each place. */
  confidence(scores, probabilities) {
    const raw = this.raw(scores, probabilities);
    return this.calibration ? raw.map((share) => calibrated(this.calibration, share)) : raw;
  }

  /** How much speaks for each place, 0..1, before calibration. */
  raw(scores, probabilities) {
    const alone = scores.map((one, i) =>
      logistic(this.weights, features(one, probabilities[i])));
    if (!this.context.length) return alone;
    const own = alone.map(logit);
    const near = support(scores.map(({ box }) => box), own);
    return own.map((chance, i) => logistic(this.context, [chance, near[i]]));
  }
}

/** The higher of both scores that a digit is there. */
export function strengthOf({ objectness, mass }) {
  return Math.max(objectness, mass);
}

/** For each value what the networks say of it, and how far they are to be trusted. */
function opinions(one) {
  const size = sizeOf(one);
  return Array.from(one.classifier, (_, value) => {
    const said = [one.detector, one.recognizer, one.classifier];
    const logs = said.map((chances) => log(chances[value]));
    return [
      ...logs, ...logs.map((each) => size * each), ...logs.map((each) => one.lone * each),
      one.isDigit * logs[2],
    ];
  });
}

/** What speaks for a place. */
function features(one, probabilities) {
  const value = argmax(probabilities);
  const seen = Number(one.objectness > UNSEEN);
  const read = Number(one.symbol >= 0);
  return [
    seen,
    seen * logit(one.objectness),
    seen * log(one.detector[value]),
    read,
    read * logit(one.mass),
    read * logit(one.numeric),
    read * (1 - one.letters) * logit(one.numeric),
    read * log(one.recognizer[value]),
    read * logit(one.fluency),
    one.letters,
    logit(one.isDigit),
    log(one.classifier[value]),
    log(probabilities[value]),
    seen * read,
    one.lone,
    sizeOf(one),
  ];
}

/** 0 for a digit of usual height, 1 for one four times as high, -1 for one a quarter so high. */
function sizeOf({ box }) {
  return clip(Math.log2(Math.max(box[3] - box[1], 1) / USUAL) / 2, -1, 1.5);
}

function log(chance) {
  return Math.log(Math.max(chance, LEAST));
}

function logit(chance) {
  const inside = clip(chance, LEAST, 1 - LEAST);
  return Math.log(inside / (1 - inside));
}

function dot(weights, values) {
  return sum(values.map((value, i) => weights[i] * value));
}

function softmax(sums) {
  const chances = sums.map((value) => Math.exp(value - max(sums)));
  return Float32Array.from(chances, (chance) => chance / sum(chances));
}

/** The probability that something is right; `weights` are a constant, then one for each sign. */
function logistic([constant, ...slopes], signs) {
  return fround(1 / (1 + Math.exp(-clip(constant + dot(slopes, signs), -40, 40))));
}

/** From raw confidence to the probability of being right, by straight lines between logits. */
function calibrated({ confidence, probability }, raw) {
  const exact = (share) => {
    const inside = clip(share, EDGE, 1 - EDGE);
    return Math.log(inside) - Math.log1p(-inside);
  };
  const found = interpolate(exact(raw), confidence.map(exact), probability.map(exact));
  return fround(1 / (1 + Math.exp(-found)));
}
