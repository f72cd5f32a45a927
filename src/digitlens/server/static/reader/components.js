// Connected components of a mask; knows pixels, not digits.

/**
 * Finds the 8-connected parts of a mask by joining its horizontal runs.
 *
 * @param mask Uint8Array or array of booleans, width x height.
 * @returns {runs, boxes, areas}: runs row by row, each {row, start, end, part}; parts are numbered
 *   in the order of their first pixel; boxes x0, y0, x1, y1, half-open; areas in pixels.
 */
export function connectedComponents(mask, width, height) {
  const runs = runsOf(mask, width, height);
  const [boxes, areas] = [[], []];
  joined(runs).forEach((k, i) => {
    const run = runs[i];
    run.part = k;
    if (k === boxes.length) {
      boxes.push([run.start, run.row, run.end, run.row + 1]);
      areas.push(0);
    }
    const box = boxes[k];
    box[0] = Math.min(box[0], run.start);
    box[2] = Math.max(box[2], run.end);
    box[3] = run.row + 1;
    areas[k] += run.end - run.start;
  });
  return { runs, boxes, areas };
}

/** The horizontal runs of a mask, row by row: {row, start, end}. */
export function runsOf(mask, width, height) {
  const runs = [];
  for (let row = 0; row < height; row++) {
    const from = row * width;
    for (let x = 0; x < width; x++) {
      if (!mask[from + x]) continue;
      const start = x;
      while (x < width && mask[from + x]) x++;
      runs.push({ row, start, end: x, part: 0 });
    }
  }
  return runs;
}

/** Which part each run belongs to, numbered in the order of their first members. */
function joined(runs) {
  const parent = runs.map((_, i) => i);
  let above = 0;
  runs.forEach(({ row, start, end }, i) => {
    while (runs[above].row < row - 1) above++;
    // Runs of the row before that end too early touch none of the later ones either.
    while (runs[above].row === row - 1 && runs[above].end < start) above++;
    for (let k = above; runs[k].row === row - 1 && runs[k].start <= end; k++) {
      join(parent, k, i);
    }
  });
  const numbers = new Map();
  return runs.map((_, i) => {
    const root = rootOf(parent, i);
    if (!numbers.has(root)) numbers.set(root, numbers.size);
    return numbers.get(root);
  });
}

function rootOf(parent, i) {
  while (parent[i] !== i) {
    parent[i] = parent[parent[i]];
    i = parent[i];
  }
  return i;
}

function join(parent, one, other) {
  const [a, b] = [rootOf(parent, one), rootOf(parent, other)];
  parent[Math.max(a, b)] = Math.min(a, b);
}
