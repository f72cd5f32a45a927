// The training so far, as the server tells it: first all of it, then what is new.
// @ts-check

/**
 * @typedef {[number, number, number, number]} Step Number, loss, accuracy, learning rate.
 * @typedef {[number, number, number]} Check Number of the step, loss, accuracy on the sample.
 * @typedef {[number, number, number, number]} Mistake Index in the sample, truth, answer, confidence.
 */

export class Course {
  constructor() {
    this.#begin();
  }

  #begin() {
    /** @type {Step[]} */ this.steps = [];
    /** @type {Check[]} */ this.checks = [];
    /** @type {number[][]|null} */ this.confusion = null;
    /** @type {Mistake[]} */ this.mistakes = [];
    this.progress = null;
    this.ended = "";
  }

  /** Takes up what the server told; @returns {boolean} whether the network was looked at anew. */
  take(news) {
    if (news.whole) this.#begin();
    this.steps = this.steps.concat(news.steps);
    this.checks = this.checks.concat(news.checks);
    this.progress = news.progress ?? this.progress;
    this.ended = news.ended;
    if (!news.confusion) return false;
    this.confusion = news.confusion;
    this.mistakes = news.mistakes;
    return true;
  }

  /** Rows of the epochs done. */
  get rows() {
    return this.progress?.rows ?? [];
  }

  /** Steps of an epoch; 0 before there is one. */
  get perEpoch() {
    return this.progress ? this.progress.steps / this.progress.epochs : 0;
  }

  /** The validation accuracy that is known best: of the last epoch, or until then of the sample. */
  get accuracy() {
    const row = this.rows.at(-1);
    if (this.checks.length && (!row || this.checks.at(-1)[0] > row.epoch * this.perEpoch)) {
      return this.checks.at(-1)[2];
    }
    return row?.val_accuracy ?? this.checks.at(-1)?.[2];
  }
}
