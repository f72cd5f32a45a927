// Runs the graphs on pixels, line crops and tiles.
//
// A graph is a function from {name: [type, data, shape]} to {name: {data, dims}}.

import { range } from './arrays.js';
import { HEIGHT } from './framing.js';
import { part } from './pictures.js';
import { SIDE } from './tiles.js';

const STEP = 32; // pixels; the graphs require page sides that are multiples of it
const MIN_SIDE = 128; // pixels: least side of a page for the digit detector
const MIN_SCORE = 0.03; // score below which detections are dropped
export const CELL = 2; // page pixels per side of each cell of a text map
const BATCH = 128; // tiles per call

/** Opens a graph, given as bytes, with onnxruntime-web. */
export async function openGraph(ort, bytes) {
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ['wasm'] });
  return (inputs) => {
    const feeds = Object.entries(inputs).map(([name, parts]) => [name, new ort.Tensor(...parts)]);
    return session.run(Object.fromEntries(feeds));
  };
}

/** Detects digits on a picture: {score, probabilities, box} of each. */
export async function findDigitsAt(graph, picture) {
  const { score, probabilities, box } = await graph({ page: pad(picture, MIN_SIDE) });
  const count = score.data.findIndex((each) => each < MIN_SCORE);
  return range(count < 0 ? score.data.length : count).map((i) => ({
    score: score.data[i],
    probabilities: probabilities.data.slice(10 * i, 10 * i + 10),
    box: box.data.slice(4 * i, 4 * i + 4),
  }));
}

/** The text map of a picture: for each cell, the probability that it lies in the core of a line. */
export async function textMap(graph, picture) {
  const { text: { data, dims } } = await graph({ page: pad(picture, 1) });
  const [height, width] = dims.slice(-2);
  const [columns, rows] = [picture.width, picture.height].map((side) => Math.ceil(side / CELL));
  return part({ data, width, height, channels: 1 }, [0, 0, columns, rows]);
}

/**
 * Runs the recogniser or the spotter on lines.
 *
 * @param batch {data, width, count}: RGB bytes of lines of HEIGHT rows.
 * @returns The steps of each line, one Float32Array each: the recogniser's posteriors of all
 *   characters, or the spotter's probabilities of a digit nearby and of a space.
 */
export async function readLines(graph, { data, width, count }) {
  const [out] = Object.values(await graph({ lines: ['uint8', data, [count, HEIGHT, width, 3]] }));
  const [, steps, classes] = out.dims;
  const stepAt = (i) => out.data.subarray(i * classes, (i + 1) * classes);
  return range(count).map((line) => range(steps).map((step) => stepAt(line * steps + step)));
}

/** Classifies tiles: {classifier, isDigit} of each, ten probabilities and that of being a digit. */
export async function classify(graph, tiles) {
  const results = [];
  for (let start = 0; start < tiles.length; start += BATCH) {
    const batch = tiles.slice(start, start + BATCH);
    const data = new Uint8Array(batch.length * SIDE * SIDE);
    batch.forEach((tile, i) => data.set(tile, i * SIDE * SIDE));
    const outputs = await graph({ tiles: ['uint8', data, [batch.length, SIDE, SIDE]] });
    batch.forEach((_, i) => results.push({
      classifier: outputs.probabilities.data.slice(10 * i, 10 * i + 10),
      isDigit: outputs.digit?.data[i] ?? 1,
    }));
  }
  return results;
}

/** A picture padded at the right and bottom to sides that the graphs accept, as their input. */
function pad(picture, minSide) {
  const [width, height] = [picture.width, picture.height].map((side) =>
    Math.max(minSide, Math.ceil(side / STEP) * STEP));
  const { data } = part(picture, [0, 0, width, height]);
  return ['uint8', new Uint8Array(data.buffer), [height, width, 3]];
}
