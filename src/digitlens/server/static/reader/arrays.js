// What NumPy does with numbers and short arrays, as far as reading needs it: rounding and ties too.

/** To the nearest whole number, halves to the even one, as np.rint and Python's round. */
export function rint(value) {
  const near = Math.round(value);
  return value % 1 && value % 0.5 === 0 && near % 2 ? near - 1 : near;
}

/** The value, or the nearest end of the range; the high end where the range is empty. */
export const clip = (value, low, high) => Math.min(Math.max(value, low), high);

/** `count` whole numbers from 0 on. */
export const range = (count) => [...Array(count).keys()];

/** A typed array of a kind with a value for each index. */
export function tabulate(Kind, count, valueAt) {
  const values = new Kind(count);
  for (let i = 0; i < count; i++) values[i] = valueAt(i);
  return values;
}

/** Indices from the lowest to the highest key; equal keys keep their order. */
export const argsort = (keys) => [...keys.keys()].sort((a, b) => keys[a] - keys[b]);

/** The same from the highest key to the lowest. */
export const argsortDown = (keys) => [...keys.keys()].sort((a, b) => keys[b] - keys[a]);

/** The largest value, at least `initial`. */
export function max(values, initial = -Infinity) {
  let most = initial;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  return most;
}

/** Index of the first largest value; -1 of nothing. */
export const argmax = (values) => values.indexOf(max(values));

export function sum(values) {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
}

export const mean = (values) => sum(values) / values.length;

/** A quantile by a straight line between neighbours, the method "linear" of np.quantile. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return between((rank) => sorted[rank], share * (sorted.length - 1));
}

/** The quantile of whole numbers that a histogram counts. */
export function quantileOf(counts, share) {
  return between((rank) => {
    let value = 0;
    for (let seen = counts[0]; seen <= rank; seen += counts[value]) value++;
    return value;
  }, share * (sum(counts) - 1));
}

function between(valueAt, place) {
  const low = valueAt(Math.floor(place));
  return low + (valueAt(Math.ceil(place)) - low) * (place % 1);
}

/** How many of each whole number below `count` there are in every `step`-th value. */
export function histogram(values, count, first = 0, step = 1) {
  const counts = new Uint32Array(count);
  for (let i = first; i < values.length; i += step) counts[values[i]]++;
  return counts;
}

/** The median colour of RGB bytes. */
export function medianColour(bytes) {
  return [0, 1, 2].map((channel) => quantileOf(histogram(bytes, 256, channel, 3), 0.5));
}

/** Items in groups, a new one wherever `starts(item, index)` says so. */
export function grouped(items, starts) {
  const groups = [];
  items.forEach((item, i) => {
    if (!i || starts(item, i)) groups.push([]);
    groups.at(-1).push(item);
  });
  return groups;
}

/** The upright box around points: x0, y0, x1, y1. */
export function boundsOf(points) {
  const [xs, ys] = [0, 1].map((k) => points.map((point) => point[k]));
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** The corners of a box as a quad: top-left first, clockwise. */
export const cornersOf = ([x0, y0, x1, y1]) => [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];

/** The middle of a box. */
export const middleOf = ([x0, y0, x1, y1]) => [(x0 + x1) / 2, (y0 + y1) / 2];
