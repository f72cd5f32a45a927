// Fusion: the scores of digit detector, line recogniser and classifier made one probability.
//
// Scores are places, see places.js, with `classifier` (ten probabilities) and `isDigit` besides:
// what the classifier says of their tiles.

import { argmax, clip, interpolate, max, sum } from './arrays.js';
import { UNSEEN } from './places.js';

const { fround } = Math;

const GROUPS = 3; // of places, by what the recogniser reads there; each has weights of its own
const LEAST = 1e-4; // no network alone can rule a digit out
const DOUBT = 0.02; // a tile may be cut wrongly: what is no digit there may be one on the page
const USUAL = 28.0; // pixels: height of a digit that is neither small nor large
const EDGE = 2.0 ** -25; // the middle between 1 and its neighbour in float32: logits stay finite

/** Weights of a line reader's card that turn scores into calibrated probabilities. */
export class Fusion {
  constructor({ pool, weights, existing, calibration = null }) {
    Object.assign(this, { pool, weights, existing, calibration });
  }

  /**
   * What all networks together say of places.
   *
   * @returns {probabilities, confidence, existence}, each an array by place: ten probabilities that
   *   sum to 1; that a digit is there and has its most probable value; that there is one at all.
   */
  fuse(scores) {
    const probabilities = scores.map((one) =>
      softmax(opinions(one).map((row) => dot(this.pool, row))));
    const columns = scores.map((one, i) => features(one, probabilities[i]));
    const raw = byGroup(this.weights, scores, columns);
    const confidence = this.calibration
      ? raw.map((share) => calibrated(this.calibration, share)) : raw;
    return { probabilities, confidence, existence: byGroup(this.existing, scores, columns) };
  }
}

/** Logistic regression on the features of places, with other weights for each group of them. */
function byGroup(weights, scores, columns) {
  const count = weights.length / GROUPS;
  return scores.map(({ reads }, i) =>
    logistic(weights.slice(reads * count, (reads + 1) * count), columns[i]));
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
  return [
    seen,
    seen * logit(one.objectness),
    seen * log(one.detector[value]),
    logit(one.mass),
    logit(one.given),
    logit(one.numeric),
    (1 - one.letters) * logit(one.numeric),
    log(one.recognizer[value]),
    logit(one.fluency),
    one.letters,
    logit(one.isDigit, DOUBT),
    one.lone,
    one.text,
    log(one.classifier[value]),
    log(probabilities[value]),
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

/** In float32, as in Python: near to 1 the difference to float64 is felt. */
function logit(chance, least = LEAST) {
  const inside = fround(clip(chance, fround(least), fround(1 - least)));
  return fround(Math.log(fround(inside / fround(1 - inside))));
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
