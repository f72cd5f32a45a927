// Runs the classifier: tiles in, calibrated probabilities out.

import { inBatches } from './crop_model.js';
import { SIDE } from './tiles.js';

const BATCH = 128; // tiles a call

export class Classifier {
  /** @param run The graph, see PageModel. */
  constructor(card, run) {
    this.card = card;
    this.run = run;
  }

  /**
   * Probabilities of the ten digits for each tile.
   *
   * @param tiles Uint8Arrays of 28 x 28, ink bright on dark.
   * @returns Float32Arrays of 10.
   */
  async predict(tiles) {
    return inBatches(tiles, BATCH, 10, (data, count) =>
      this.run({ tiles: ['uint8', data, [count, SIDE, SIDE]] }),
    );
  }
}
