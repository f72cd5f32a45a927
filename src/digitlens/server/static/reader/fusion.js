// Fusion: the scores of digit detector, line recogniser and classifier made one probability.
//
// The arithmetic is a graph, fusion.onnx, which tools/fusion_graph.py makes.

import { range } from './arrays.js';

// What the graph takes of each place, see places.js, with what the classifier says of its tile, and
// how many numbers that is.
const COLUMNS = {
  box: 4, objectness: 1, detector: 10, mass: 1, given: 1, numeric: 1, recognizer: 10, reads: 1,
  fluency: 1, letters: 1, lone: 1, text: 1, classifier: 10, isDigit: 1,
};
const UNCALIBRATED = { confidence: [0, 1], probability: [0, 1] };

/** The weights of a fusion, of a line reader's card, as the graph takes them. */
export function weightsOf({ pool, layers, calibration = UNCALIBRATED }) {
  const { confidence, probability } = calibration;
  const tables = { ...layers, calibration: [confidence, probability] };
  const inputs = Object.entries(tables).map(([name, rows]) =>
    [name, ['float64', Float64Array.from(rows.flat()), [rows.length, rows[0].length]]]);
  return { ...Object.fromEntries(inputs), pool: ['float64', Float64Array.from(pool), [3]] };
}

/**
 * What all networks together say of places.
 *
 * @returns {probabilities, confidence, existence}, each by place: ten probabilities that sum to 1;
 *   that a digit is there and has its most probable value; that there is one at all.
 */
export async function fuse(graph, weights, scores) {
  if (!scores.length) return { probabilities: [], confidence: [], existence: [] };
  const columns = Object.entries(COLUMNS).map(([name, width]) => {
    const data = new Float32Array(scores.length * width);
    scores.forEach(({ [name]: said }, i) => data.set(width > 1 ? said : [said], i * width));
    return [name, ['float32', data, [scores.length, width]]];
  });
  const said = await graph({ ...weights, ...Object.fromEntries(columns) });
  const [chances, confidence, existence] = ['probabilities', 'confidence', 'existence']
    .map((name) => said[name].data);
  const probabilities = range(scores.length).map((i) => chances.slice(10 * i, 10 * i + 10));
  return { probabilities, confidence, existence };
}
