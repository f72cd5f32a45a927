// History of the training as sent by the server: first the whole of it, then updates.
// @ts-check

/**
 * @typedef {[number, number, number, number]} Step Number, loss, accuracy, learning rate.
 * @typedef {[number, number, number]} Check Step number, loss, accuracy on the sample.
 * @typedef {[number, number, number, number]} Mistake Index in the sample, truth, answer, confidence.
 */

export class Course {
  constructor() {
    this.#reset();
  }

  #reset() {
    /** @type {Step[]} */ this.steps = [];
    /** @type {Check[]} */ this.checks = [];
    /** @type {number[][]|null} */ this.confusion = null;
    /** @type {Mistake[]} */ this.mistakes = [];
    this.progress = null;
    this.ended = "";
  }

  /** Adds an update from the server; @returns {boolean} whether it has a new evaluation. */
  add(update) {
    if (update.whole) this.#reset();
    this.steps = this.steps.concat(update.steps);
    this.checks = this.checks.concat(update.checks);
    this.progress = update.progress ?? this.progress;
    this.ended = update.ended;
    if (!update.confusion) return false;
    this.confusion = update.confusion;
    this.mistakes = update.mistakes;
    return true;
  }

  /** Rows of the finished epochs. */
  get rows() {
    return this.progress?.rows ?? [];
  }

  /** Steps per epoch; 0 before the first update. */
  get perEpoch() {
    return this.progress ? this.progress.steps / this.progress.epochs : 0;
  }

  /** The latest validation accuracy: of the last epoch, or of a later check on the sample. */
  get accuracy() {
    const row = this.rows.at(-1);
    if (this.checks.length && (!row || this.checks.at(-1)[0] > row.epoch * this.perEpoch)) {
      return this.checks.at(-1)[2];
    }
    return row?.val_accuracy ?? this.checks.at(-1)?.[2];
  }
}
