// The NumPy operations that the reader needs, with NumPy's rounding and order of ties.

/** Rounds to the nearest integer, halves to even, as np.rint and Python's round do. */
export function rint(value) {
  const near = Math.round(value);
  return value % 1 && value % 0.5 === 0 && near % 2 ? near - 1 : near;
}

/** Clamps a value to a range; returns `high` if the range is empty. */
export const clip = (value, low, high) => Math.min(Math.max(value, low), high);

/** The integers from 0 to count - 1. */
export const range = (count) => [...Array(count).keys()];

/** A typed array of the given kind, filled by index. */
export function tabulate(Kind, count, valueAt) {
  const values = new Kind(count);
  for (let i = 0; i < count; i++) values[i] = valueAt(i);
  return values;
}

/** Indices in ascending order of keys; stable. */
export const argsort = (keys) => [...keys.keys()].sort((a, b) => keys[a] - keys[b]);

/** Indices in descending order of keys; stable. */
export const argsortDown = (keys) => [...keys.keys()].sort((a, b) => keys[b] - keys[a]);

/** The largest value, at least `initial`. */
export function max(values, initial = -Infinity) {
  let most = initial;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  return most;
}

/** Index of the first maximum; -1 for an empty array. */
export const argmax = (values) => values.indexOf(max(values));

export function sum(values) {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
}

export const mean = (values) => sum(values) / values.length;

/** A quantile by linear interpolation, the method "linear" of np.quantile. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return between((rank) => sorted[rank], share * (sorted.length - 1));
}

/** The quantile of integers given as a histogram. */
export function quantileOf(counts, share) {
  return between((rank) => {
    let value = 0;
    for (let seen = counts[0]; seen <= rank; seen += counts[value]) value++;
    return value;
  }, share * (sum(counts) - 1));
}

function between(valueAt, position) {
  const lower = valueAt(Math.floor(position));
  return lower + (valueAt(Math.ceil(position)) - lower) * (position % 1);
}

/** Counts of the integers below `count` among every `step`-th value from `first` on. */
export function histogram(values, count, first = 0, step = 1) {
  const counts = new Uint32Array(count);
  for (let i = first; i < values.length; i += step) counts[values[i]]++;
  return counts;
}

/** The median colour of RGB bytes. */
export function medianColour(bytes) {
  return [0, 1, 2].map((channel) => quantileOf(histogram(bytes, 256, channel, 3), 0.5));
}

/** Splits items into groups; a new group begins where `starts(item, index)` is true. */
export function grouped(items, starts) {
  const groups = [];
  items.forEach((item, i) => {
    if (!i || starts(item, i)) groups.push([]);
    groups.at(-1).push(item);
  });
  return groups;
}

/** The bounding box of points: x0, y0, x1, y1. */
export function boundsOf(points) {
  const [xs, ys] = [0, 1].map((k) => points.map((point) => point[k]));
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** The corners of a box as a quad: top-left first, clockwise. */
export const cornersOf = ([x0, y0, x1, y1]) => [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];

/** The centre of a box. */
export const middleOf = ([x0, y0, x1, y1]) => [(x0 + x1) / 2, (y0 + y1) / 2];
