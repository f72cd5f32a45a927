// How much boxes overlap: whether two of them are of the same digit.

const { fround } = Math;

/**
 * Of two boxes: intersection over union, and over the smaller of both.
 *
 * @returns [union, part], each as float32.
 */
export function overlap(box, other) {
  const right = Math.min(box[2], other[2]) - Math.max(box[0], other[0]);
  const down = Math.min(box[3], other[3]) - Math.max(box[1], other[1]);
  const common = fround(fround(Math.max(right, 0)) * fround(Math.max(down, 0)));
  const [area, areas] = [areaOf(box), areaOf(other)];
  const union = Math.max(fround(fround(areas + area) - common), 1e-6); // boxes may be empty
  return [fround(common / union), fround(common / Math.max(Math.min(areas, area), 1e-6))];
}

function areaOf(box) {
  return fround(fround(box[2] - box[0]) * fround(box[3] - box[1]));
}
