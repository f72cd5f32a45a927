// What NumPy does with numbers and short arrays, as far as reading needs it: rounding and ties too.

/** To the nearest whole number, halves to the even one, as np.rint and Python's round. */
export function rint(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/** The value, or the nearest end of the range; the high end where the range is empty. */
export function clip(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** Indices from the lowest to the highest key; equal keys keep their order. */
export function argsort(keys) {
  return Array.from(keys, (_, i) => i).sort((a, b) => keys[a] - keys[b]);
}

/** Indices from the highest to the lowest key; equal keys keep their order. */
export function argsortDown(keys) {
  return Array.from(keys, (_, i) => i).sort((a, b) => keys[b] - keys[a]);
}

/** Index of the first largest value; -1 of nothing. */
export function argmax(values) {
  let best = values.length ? 0 : -1;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** The largest value, at least `initial`. */
export function max(values, initial = -Infinity) {
  let best = initial;
  for (let i = 0; i < values.length; i++) if (values[i] > best) best = values[i];
  return best;
}

export function sum(values) {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
}

export function mean(values) {
  return sum(values) / values.length;
}

/** The middle value, or the mean of both; NaN of nothing. */
export function median(values) {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Quantiles by straight lines between neighbours, the method "linear" of np.quantile. */
export function quantiles(values, shares) {
  const sorted = Float64Array.from(values).sort();
  return shares.map((share) => {
    const place = share * (sorted.length - 1);
    const low = Math.floor(place);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
  });
}

/** Straight lines through points of rising x; level beyond the ends. */
export function interpolate(at, x, y) {
  if (at <= x[0]) return y[0];
  const last = x.length - 1;
  if (at >= x[last]) return y[last];
  let k = 0;
  while (x[k + 1] <= at) k++;
  return y[k] + ((y[k + 1] - y[k]) / (x[k + 1] - x[k])) * (at - x[k]);
}

/** `count` whole numbers from 0 on. */
export function range(count) {
  const numbers = [];
  for (let i = 0; i < count; i++) numbers.push(i);
  return numbers;
}

/** Which values are above a level: 1 or 0 each. */
export function above(values, level) {
  const mask = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) if (values[i] > level) mask[i] = 1;
  return mask;
}

/** How many of some whole numbers below `count` there are of each. */
export function histogram(values, count, first = 0, step = 1) {
  const counts = new Uint32Array(count);
  for (let i = first; i < values.length; i += step) counts[values[i]]++;
  return counts;
}

/** A quantile of the numbers that a histogram counts, see `quantiles`. */
export function quantileOf(counts, share) {
  const place = share * (sum(counts) - 1);
  const [low, rest] = [Math.floor(place), place - Math.floor(place)];
  let [value, before] = [0, counts[0]];
  while (before <= low) before += counts[++value];
  let next = value;
  if (rest) while (before <= low + 1) before += counts[++next];
  return value + (next - value) * rest;
}

/** The median of every `step`-th byte from the first one on. */
export function medianOfBytes(bytes, first, step) {
  return quantileOf(histogram(bytes, 256, first, step), 0.5);
}
