// Runs the page reader network: pixels in, digits with boxes and scores out.

import { part } from './images.js';

export const STEP = 32; // pixels; sides of what the graph takes are multiples of it
export const LEAST = 128; // pixels a side
export const FAINTEST = 0.03; // score below which nothing is reported

export class PageModel {
  /**
   * @param card The model's card, model.json.
   * @param run From {name: [type, data, shape]} to {name: {data, dims}}: the graph.
   */
  constructor(card, run) {
    this.card = card;
    this.run = run;
  }

  /**
   * Looks at a picture once, at the size that it has.
   *
   * @param picture {data, width, height, channels: 3}.
   * @returns {found, width, height}; found from high to low score, each {score, probabilities,
   *   box}, boxes in pixels of the picture.
   */
  async look(picture) {
    const { data, width, height } = framed(picture);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length);
    const results = await this.run({ page: ['uint8', bytes, [height, width, 3]] });
    const [score, probabilities, boxes] = [
      results.score.data, results.probabilities.data, results.box.data,
    ];
    const found = [];
    for (let i = 0; i < score.length && score[i] >= FAINTEST; i++) {
      found.push({
        score: score[i],
        probabilities: probabilities.slice(10 * i, 10 * i + 10),
        box: boxes.slice(4 * i, 4 * i + 4),
      });
    }
    return { found, width: picture.width, height: picture.height };
  }
}

/** Grows a picture at the right and bottom to sides that the graph takes. */
function framed(picture) {
  const grown = (side) => Math.max(LEAST, Math.ceil(side / STEP) * STEP);
  const [width, height] = [grown(picture.width), grown(picture.height)];
  if (width === picture.width && height === picture.height) return picture;
  return part(picture, 0, 0, width, height);
}
