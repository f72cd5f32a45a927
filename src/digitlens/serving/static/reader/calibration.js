// From raw confidence to the probability of being right, as a small monotone table.

import { clip, interpolate } from './arrays.js';

const EDGE = 2.0 ** -25; // the middle between 1 and its neighbour in float32: logits stay finite

/** The probability for a raw confidence, by straight lines between the logits of the table. */
export function calibrated({ confidence, probability }, raw) {
  const found = interpolate(logit(raw), confidence.map(logit), probability.map(logit));
  return Math.fround(1 / (1 + Math.exp(-found)));
}

function logit(share) {
  const inside = clip(share, EDGE, 1 - EDGE);
  return Math.log(inside) - Math.log1p(-inside);
}
