// Fusion: the scores of digit detector, line recogniser and classifier made one probability.
//
// Scores are places, see places.js, with `classifier` (ten probabilities) and `isDigit` besides:
// what the classifier says of their tiles.

import { argmax, clip, interpolate, max, sum } from './arrays.js';
import { UNSEEN } from './places.js';

const { fround } = Math;

const LEAST = 1e-4; // no network alone can rule a digit out
const DOUBT = 0.02; // a tile may be cut wrongly: what is no digit there may be one on the page
const USUAL = 28.0; // pixels: height of a digit that is neither small nor large
const EDGE = 2.0 ** -25; // the middle between 1 and its neighbour in float32: logits stay finite

/** A small network, of a line reader's card, that weighs what the other networks say. */
export class Fusion {
  constructor({ pool, layers, calibration = null }) {
    Object.assign(this, { pool, calibration });
    this.layers = Object.fromEntries(Object.entries(layers).map(([name, rows]) =>
      [name, rows[0].map((_, k) => rows.map((row) => row[k]))])); // by output
  }

  /**
   * What all networks together say of places.
   *
   * @returns {probabilities, confidence, existence}, each an array by place: ten probabilities that
   *   sum to 1; that a digit is there and has its most probable value; that there is one at all.
   */
  fuse(scores) {
    const said = scores.map((one) => this.#one(one));
    const [probabilities, confidence, existence] = ['chances', 'sure', 'exists']
      .map((name) => said.map((each) => each[name]));
    return { probabilities, confidence, existence };
  }

  #one(one) {
    const { first, second, third, exists, existing } = this.layers;
    const logs = opinions(one);
    const around = contextOf(one);
    const inputs = logs.map((row) => [...row.map((value) => value / logs[0].length), ...around]);
    const sums = inputs.map((row, value) =>
      dot(this.pool, logs[value]) + forward([first, second, third], row)[0]);
    const chances = softmax(sums);
    const [found] = forward([exists, existing], inputs[argmax(sums)]);
    const there = fround(1 / (1 + Math.exp(-clip(found, -40, 40))));
    const raw = fround(there * max(chances));
    const sure = this.calibration ? calibrated(this.calibration, raw) : raw;
    return { chances, sure, exists: there };
  }
}

/** What comes out of layers, a constant last in each output; between two layers none below 0. */
function forward(layers, values) {
  return layers.reduce((seen, layer, number) => {
    const inputs = [...(number ? seen.map((value) => Math.max(value, 0)) : seen), 1];
    return layer.map((weights) => dot(weights, inputs));
  }, values);
}

/** For each value the logarithms of what the networks say of it. */
function opinions(one) {
  const said = [one.detector, one.recognizer, one.classifier];
  return Array.from(one.classifier, (_, value) => said.map((chances) => log(chances[value])));
}

/** What is said of a place as a whole. */
function contextOf(one) {
  const seen = Number(one.objectness > UNSEEN);
  const highest = [one.detector, one.recognizer, one.classifier]
    .flatMap((chances) => Array.from(chances, log).sort((a, b) => a - b).slice(-2));
  return [
    3 * seen,
    seen * logit(one.objectness),
    logit(one.mass),
    logit(one.given),
    logit(one.numeric),
    logit(one.fluency),
    4 * one.letters,
    logit(one.isDigit, DOUBT),
    3 * one.lone,
    3 * one.text,
    3 * sizeOf(one),
    ...[0, 1, 2].map((reads) => 3 * Number(one.reads === reads)),
    ...highest,
  ].map((value) => value / 3);
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

/** From raw confidence to the probability of being right, by straight lines between logits. */
function calibrated({ confidence, probability }, raw) {
  const exact = (share) => {
    const inside = clip(share, EDGE, 1 - EDGE);
    return Math.log(inside) - Math.log1p(-inside);
  };
  const found = interpolate(exact(raw), confidence.map(exact), probability.map(exact));
  return fround(1 / (1 + Math.exp(-found)));
}
