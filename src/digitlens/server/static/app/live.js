// Schedules readings of a drawing in progress, so that the result for the newest strokes wins.
// @ts-check

const PACE = 250; // ms between two readings while the pen moves: four results a second are enough

export class Live {
  /**
   * @param {(options: {signal: AbortSignal, final: boolean, early: (answer: any) => void})
   *   => Promise<any>} read May report an early answer before it returns the final one.
   * @param {(answer: any, final: boolean) => void} show
   * @param {(error: Error) => void} fail Called for final readings only.
   */
  constructor(read, show, fail) {
    this.read = read;
    this.show = show;
    this.fail = fail;
    this.started = 0;
    this.shown = 0;
    this.last = -PACE;
    /** @type {Map<number, AbortController>} */ this.running = new Map();
  }

  /** The pen moved: reads at most every PACE ms, and not while a reading is in flight. */
  moved() {
    if (this.running.size || performance.now() - this.last < PACE) return;
    this.last = performance.now();
    this.#start(false);
  }

  /** The pen was lifted: reads at once and drops older requests. */
  settled() {
    this.stop();
    return this.#start(true);
  }

  /** Aborts all running requests; their answers are not shown. */
  stop() {
    for (const controller of this.running.values()) controller.abort();
    this.running.clear();
    this.shown = this.started;
  }

  async #start(final) {
    const number = (this.started += 1);
    const controller = new AbortController();
    this.running.set(number, controller);
    const early = (answer) => {
      if (number > this.shown) this.show(answer, false);
    };
    try {
      const answer = await this.read({ signal: controller.signal, final, early });
      if (number > this.shown) {
        this.shown = number;
        this.show(answer, final);
      }
    } catch (error) {
      if (final && number > this.shown && !controller.signal.aborted) this.fail(error);
    } finally {
      this.running.delete(number);
    }
  }
}
