// Runs the graphs: pixels, line crops and tiles in, what the networks say of them out.
//
// A graph is a function from {name: [type, data, shape]} to {name: {data, dims}}.

import { HEIGHT } from './framing.js';
import { part } from './images.js';
import { SIDE } from './tiles.js';

const STEP = 32; // pixels; sides of the pages that graphs take are multiples of it
const LEAST = 128; // pixels a side, for the digit detector
const FAINTEST = 0.03; // score below which nothing is reported
export const CELL = 2; // pixels of the page a side of each cell of a text map
const BATCH = 128; // tiles a call

/** Finds digits: a picture {data, width, height} in, {score, probabilities, box} of each out. */
export async function findDigitsAt(graph, picture) {
  const { score, probabilities, box } = await graph({ page: padded(picture, LEAST) });
  const found = [];
  for (let i = 0; i < score.data.length && score.data[i] >= FAINTEST; i++) {
    found.push({
      score: score.data[i],
      probabilities: probabilities.data.slice(10 * i, 10 * i + 10),
      box: box.data.slice(4 * i, 4 * i + 4),
    });
  }
  return found;
}

/** Finds text: the probability that the core of a line is there, for each cell of a picture. */
export async function textMap(graph, picture) {
  const { text } = await graph({ page: padded(picture, 1) });
  const columns = text.dims.at(-1);
  const [width, height] = [picture.width, picture.height].map((side) => Math.ceil(side / CELL));
  const data = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    data.set(text.data.subarray(y * columns, y * columns + width), y * width);
  }
  return { data, width, height };
}

/**
 * Reads lines: the posteriors of the characters along each.
 *
 * @param batch {data, width, count}: bytes of lines of HEIGHT rows in colour.
 * @returns {data, steps, classes}; data is float32[count, steps, classes].
 */
export async function readLines(graph, { data, width, count }) {
  const { posteriors } = await graph({ lines: ['uint8', data, [count, HEIGHT, width, 3]] });
  const [, steps, classes] = posteriors.dims;
  return { data: posteriors.data, steps, classes };
}

/**
 * Finds digits on lines, without reading them.
 *
 * @param batch See `readLines`.
 * @returns The same with two numbers a step: that a digit is near, that a space is there.
 */
export async function findSpots(graph, { data, width, count }) {
  const { spots } = await graph({ lines: ['uint8', data, [count, HEIGHT, width, 3]] });
  const [, steps, classes] = spots.dims;
  return { data: spots.data, steps, classes };
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
      isDigit: said.digit ? said.digit.data[i] : 1,
    }));
  }
  return named;
}

/** A picture grown at the right and bottom to sides that the graphs take, as their input. */
function padded(picture, least) {
  const grown = (side) => Math.max(least, Math.ceil(side / STEP) * STEP);
  const [width, height] = [grown(picture.width), grown(picture.height)];
  const { data } = part(picture, 0, 0, width, height);
  return ['uint8', new Uint8Array(data.buffer), [height, width, 3]];
}
