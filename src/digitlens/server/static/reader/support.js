// Support: digits stand beside digits, letters beside letters; neighbours speak for or against.

import { clip } from './arrays.js';

const { abs, exp, fround, log, max } = Math;

const NEAR = 1.5; // heights: at this distance a neighbour has 1 / e of its say
const FAR = 4.0; // heights: it has none
const BESIDE = 0.7; // heights: middles may be so far above or below each other
const ALIKE = 0.6; // logarithm: heights may differ by a factor of 1.8
const NONE = 0.3; // say of nobody: one neighbour far away is not much
const SURE = 6.0; // logits; nobody says more

/**
 * The mean logit of each candidate's neighbours in its line, nearer ones counting more.
 *
 * @param boxes Of the candidates of one page.
 * @param logits Of each being right, seen by itself.
 * @returns Float32Array; 0 where there is nobody.
 */
export function support(boxes, logits) {
  const places = boxes.map(([x0, y0, x1, y1]) => ({
    x: fround(x0 + x1) / 2,
    y: fround(y0 + y1) / 2,
    height: max(fround(y1 - y0), 1),
  }));
  return Float32Array.from(places, (one, i) => {
    let [total, heard] = [0, NONE];
    places.forEach((other, k) => {
      const say = k === i ? 0 : sayOf(one, other);
      total += say * clip(logits[k], -SURE, SURE);
      heard += say;
    });
    return total / heard;
  });
}

function sayOf(one, other) {
  const across = abs(one.x - other.x) / one.height;
  const down = abs(one.y - other.y) / one.height;
  const alike = abs(log(one.height / other.height)) < ALIKE;
  return across < FAR && down < BESIDE && alike ? exp(-across / NEAR) : 0;
}
