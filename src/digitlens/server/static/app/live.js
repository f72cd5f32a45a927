// Schedules readings of a drawing in progress, so that the result for the newest strokes wins.
// @ts-check

const PACE = 250; // ms between two readings while the pen moves: four results a second are enough

export class LiveReader {
  /**
   * @param {(options: {signal: AbortSignal, final: boolean, onEarly: (answer: any) => void})
   *   => Promise<any>} read May report an early answer before it returns the final one.
   * @param {(answer: any, final: boolean) => void} show
   * @param {(error: Error) => void} fail Called for final readings only.
   */
  constructor(read, show, fail) {
    this.read = read;
    this.show = show;
    this.fail = fail;
    this.lastStarted = 0;
    this.lastShown = 0;
    this.lastTime = -PACE;
    /** @type {Map<number, AbortController>} */ this.running = new Map();
  }

  /** The pen moved: reads at most every PACE ms, and not while a reading is in flight. */
  moved() {
    if (this.running.size || performance.now() - this.lastTime < PACE) return;
    this.lastTime = performance.now();
    this.#start(false);
  }

  /** The pen was lifted: reads at once and drops older requests. */
  readNow() {
    this.stop();
    return this.#start(true);
  }

  /** Aborts all running requests; their answers are not shown. */
  stop() {
    for (const controller of this.running.values()) controller.abort();
    this.running.clear();
    this.lastShown = this.lastStarted;
  }

  async #start(final) {
    const id = (this.lastStarted += 1);
    const controller = new AbortController();
    this.running.set(id, controller);
    const onEarly = (answer) => {
      if (id > this.lastShown) this.show(answer, false);
    };
    try {
      const answer = await this.read({ signal: controller.signal, final, onEarly });
      if (id > this.lastShown) {
        this.lastShown = id;
        this.show(answer, final);
      }
    } catch (error) {
      if (final && id > this.lastShown && !controller.signal.aborted) this.fail(error);
    } finally {
      this.running.delete(id);
    }
  }
}
