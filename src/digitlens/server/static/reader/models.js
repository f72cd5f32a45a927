// Runs the graphs: pixels, line crops and tiles in, what the networks say of them out.
//
// A graph is a function from {name: [type, data, shape]} to {name: {data, dims}}.

import { range } from './arrays.js';
import { HEIGHT } from './framing.js';
import { part } from './pictures.js';
import { SIDE } from './tiles.js';

const STEP = 32; // pixels; sides of the pages that graphs take are multiples of it
const LEAST = 128; // pixels a side, for the digit detector
const FAINTEST = 0.03; // score below which nothing is reported
export const CELL = 2; // pixels of the page a side of each cell of a text map
const BATCH = 128; // tiles a call

/** Opens the bytes of a graph with onnxruntime-web. */
export async function openGraph(ort, bytes) {
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ['wasm'] });
  return (inputs) => {
    const feeds = Object.entries(inputs).map(([name, parts]) => [name, new ort.Tensor(...parts)]);
    return session.run(Object.fromEntries(feeds));
  };
}

/** Finds digits on a picture: {score, probabilities, box} of each. */
export async function findDigitsAt(graph, picture) {
  const { score, probabilities, box } = await graph({ page: padded(picture, LEAST) });
  const count = score.data.findIndex((each) => each < FAINTEST);
  return range(count < 0 ? score.data.length : count).map((i) => ({
    score: score.data[i],
    probabilities: probabilities.data.slice(10 * i, 10 * i + 10),
    box: box.data.slice(4 * i, 4 * i + 4),
  }));
}

/** Finds text: the probability that the core of a line is there, for each cell of a picture. */
export async function textMap(graph, picture) {
  const { text: { data, dims } } = await graph({ page: padded(picture, 1) });
  const [height, width] = dims.slice(-2);
  const [columns, rows] = [picture.width, picture.height].map((side) => Math.ceil(side / CELL));
  return part({ data, width, height, channels: 1 }, [0, 0, columns, rows]);
}

/**
 * Runs a graph on lines, which reads them or finds digits and spaces on them.
 *
 * @param batch {data, width, count}: bytes of lines of HEIGHT rows in colour.
 * @returns For each line its steps, a Float32Array each: the posteriors of all characters, or that
 *   a digit is near and that a space is there.
 */
export async function readLines(graph, { data, width, count }) {
  const [said] = Object.values(await graph({ lines: ['uint8', data, [count, HEIGHT, width, 3]] }));
  const [, steps, classes] = said.dims;
  const stepAt = (i) => said.data.subarray(i * classes, (i + 1) * classes);
  return range(count).map((line) => range(steps).map((step) => stepAt(line * steps + step)));
}

/** Names tiles: {classifier, isDigit} of each, ten probabilities and that it is a digit at all. */
export async function classify(graph, tiles) {
  const named = [];
  for (let start = 0; start < tiles.length; start += BATCH) {
    const batch = tiles.slice(start, start + BATCH);
    const data = new Uint8Array(batch.length * SIDE * SIDE);
    batch.forEach((tile, i) => data.set(tile, i * SIDE * SIDE));
    const said = await graph({ tiles: ['uint8', data, [batch.length, SIDE, SIDE]] });
    batch.forEach((_, i) => named.push({
      classifier: said.probabilities.data.slice(10 * i, 10 * i + 10),
      isDigit: said.digit?.data[i] ?? 1,
    }));
  }
  return named;
}

/** A picture grown at the right and bottom to sides that the graphs take, as their input. */
function padded(picture, least) {
  const [width, height] = [picture.width, picture.height].map((side) =>
    Math.max(least, Math.ceil(side / STEP) * STEP));
  const { data } = part(picture, [0, 0, width, height]);
  return ['uint8', new Uint8Array(data.buffer), [height, width, 3]];
}
