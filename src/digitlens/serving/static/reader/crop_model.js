// Runs the crop network: windows in, the digit in the middle of each or none.

import { SIDE } from './windows.js';

export const NONE = 10; // the class of what is no digit
export const CLASSES = 11;
const BATCH = 128; // windows a call

export class CropModel {
  /** @param run The graph, see PageModel. */
  constructor(run) {
    this.run = run;
  }

  /**
   * Probabilities of the ten digits and of none.
   *
   * @param windows Uint8Arrays of 56 x 56 x 3.
   * @returns Float32Arrays of 11.
   */
  async predict(windows) {
    return inBatches(windows, BATCH, CLASSES, (data, count) =>
      this.run({ windows: ['uint8', data, [count, SIDE, SIDE, 3]] }),
    );
  }
}

/** Runs a graph on arrays of bytes, so many a call; its one result is cut into rows. */
export async function inBatches(items, most, columns, run) {
  const rows = [];
  for (let start = 0; start < items.length; start += most) {
    const batch = items.slice(start, start + most);
    const data = new Uint8Array(batch.length * batch[0].length);
    batch.forEach((item, i) => data.set(item, i * item.length));
    const { probabilities } = await run(data, batch.length);
    batch.forEach((_, i) => {
      rows.push(probabilities.data.slice(i * columns, (i + 1) * columns));
    });
  }
  return rows;
}
