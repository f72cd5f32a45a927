// Opinion pool: weighs what several voters say of a value into one probability for each value.

import { max, sum } from './arrays.js';

/**
 * Probabilities of all voters: the weighted geometric mean, rows sum to 1.
 *
 * @param weights One for each column.
 * @param opinions For each value its columns of logarithms.
 * @returns Float32Array, one probability for each value.
 */
export function pooled(weights, opinions) {
  const sums = opinions.map((columns) => sum(columns.map((log, d) => log * weights[d])));
  const most = max(sums);
  const chances = sums.map((value) => Math.exp(value - most));
  const total = sum(chances);
  return Float32Array.from(chances, (chance) => chance / total);
}
