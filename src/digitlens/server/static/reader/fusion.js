// Fuses the scores of digit detector, line recogniser and classifier into one probability.
//
// The arithmetic is in a graph, fusion.onnx, written by tools/fusion_graph.py.

import { range } from './arrays.js';

// Inputs of the graph for each place, see places.js, and the classifier's output for its tile, with
// the width of each.
const COLUMNS = {
  box: 4, objectness: 1, detector: 10, mass: 1, given: 1, numeric: 1, recognizer: 10, reads: 1,
  fluency: 1, letters: 1, lone: 1, text: 1, classifier: 10, isDigit: 1,
};
const UNCALIBRATED = { confidence: [0, 1], probability: [0, 1] };

/** The fusion weights of a line reader's card, as inputs of the graph. */
export function weightsOf({ pool, layers, calibration = UNCALIBRATED }) {
  const { confidence, probability } = calibration;
  const tables = { ...layers, calibration: [confidence, probability] };
  const inputs = Object.entries(tables).map(([name, rows]) =>
    [name, ['float64', Float64Array.from(rows.flat()), [rows.length, rows[0].length]]]);
  return { ...Object.fromEntries(inputs), pool: ['float64', Float64Array.from(pool), [3]] };
}

/**
 * Fuses the scores of places.
 *
 * @returns {probabilities, confidence, existence}, one entry per place: ten probabilities that sum
 *   to 1; the probability that the most probable value is right; that there is a digit at all.
 */
export async function fuse(graph, weights, scores) {
  if (!scores.length) return { probabilities: [], confidence: [], existence: [] };
  const columns = Object.entries(COLUMNS).map(([name, width]) => {
    const data = new Float32Array(scores.length * width);
    scores.forEach(({ [name]: values }, i) => data.set(width > 1 ? values : [values], i * width));
    return [name, ['float32', data, [scores.length, width]]];
  });
  const outputs = await graph({ ...weights, ...Object.fromEntries(columns) });
  const [chances, confidence, existence] = ['probabilities', 'confidence', 'existence']
    .map((name) => outputs[name].data);
  const probabilities = range(scores.length).map((i) => chances.slice(10 * i, 10 * i + 10));
  return { probabilities, confidence, existence };
}
