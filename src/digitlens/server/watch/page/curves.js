// The three charts of a training: loss, accuracy, learning rate.
// @ts-check
import { byId } from "./app/dom.js";
import { Chart, LINEAR, LOG, NINES } from "./chart.js";

const SMOOTH = 0.9; // decay of the moving mean per step: single batches are noisy

export class Curves {
  constructor() {
    this.loss = new Chart(byId("loss"), "Loss", LOG);
    this.accuracy = new Chart(byId("accuracy"), "Accuracy", NINES);
    this.rate = new Chart(byId("rate"), "Learning rate", LINEAR);
  }

  /** @param {import("./course.js").Course} course */
  show(course) {
    if (!course.progress) return;
    const pairs = [
      [this.loss, 1, "val_loss", (value) => value.toFixed(3)],
      [this.accuracy, 2, "val_accuracy", (value) => `${(100 * value).toFixed(2)} %`],
    ];
    for (const [chart, column, name, text] of pairs) showPair(chart, course, column, name, text);
    /** @type {[number, number][]} */
    const rates = course.steps.map((step) => [step[0], step[3]]);
    this.rate.show({
      ...frame(course),
      lines: [{ kind: "train", points: rates }],
      dots: [],
      keys: rates.length ? [{ kind: "train", name: "", value: rates.at(-1)[1].toPrecision(2) }] : [],
    });
  }
}

function showPair(chart, course, column, name, text) {
  const raw = course.steps.map((step) => [step[0], step[column]]);
  const train = smoothed(raw);
  const valid = course.checks.map((check) => [check[0], check[column]]);
  const dots = course.rows.flatMap((row) =>
    name in row ? [[row.epoch * course.perEpoch, row[name]]] : [],
  );
  const keys = [];
  if (train.length) keys.push({ kind: "train", name: "training", value: text(train.at(-1)[1]) });
  if (valid.length) keys.push({ kind: "valid", name: "validation", value: text(valid.at(-1)[1]) });
  chart.show({
    ...frame(course),
    lines: [
      { kind: "raw", points: raw },
      { kind: "train", points: train },
      { kind: "valid", points: valid },
    ],
    dots,
    keys,
  });
}

const frame = (course) => ({ steps: course.progress.steps, perEpoch: course.perEpoch });

/** The exponential moving mean, corrected for its start. */
function smoothed(points) {
  let [sum, weight] = [0, 0];
  return points.map(([step, value]) => {
    sum = SMOOTH * sum + value;
    weight = SMOOTH * weight + 1;
    return [step, sum / weight];
  });
}
