// Converts a text map to text lines: rotated rectangles with a score.
//
// The post-processing of DB (Liao et al., 2020). A line is {quad, score}, see framing.js; a
// rectangle is {centre, axis, size}, its axis a unit vector along the width that points right.

import { argsortDown, boundsOf, clip, cornersOf, mean, middleOf, range, sum } from './arrays.js';
import { connectedComponents } from './ink.js';

const { fround, hypot } = Math;

const TALL_ASPECT = 1.5; // height over width above which a line may be one character or turned text
const MAX_LINES = 3000; // lines per map, the largest first
const MIN_SIDE = 1.5; // cells; thinner components are noise
const UPRIGHT_SLACK = 1.1; // an upright box is used up to this multiple of the smallest area
const SAMPLE_ROWS = 6; // grid of points at which the map is sampled for the score of a line
const SAMPLE_COLUMNS = 32;
const THRESHOLD = 0.3; // probability above which a cell belongs to a line's core
const MIN_SCORE = 0.5; // lines with a lower mean probability are dropped
const UNCLIP = 1.6; // a core's sides move out by this multiple of its area over its perimeter

/** The text lines of a map {data, width, height}, with `scale` page pixels per cell. */
export function findLines(map, scale) {
  return coreRectangles(map).flatMap((rectangle) => {
    const score = scoreOf(map, rectangle);
    if (score < MIN_SCORE) return [];
    const [width, height] = rectangle.size;
    const margin = (width * height * UNCLIP) / Math.max(2 * (width + height), 1e-9);
    const grown = { ...rectangle, size: [width + 2 * margin, height + 2 * margin] };
    const quad = cornersOf([-0.5, -0.5, 0.5, 0.5]).map((corner) => pointOf(grown, ...corner));
    return [{ quad: quad.map((point) => point.map((place) => fround(place * scale))), score }];
  });
}

/** Length of a line along its reading direction, in pixels. */
export const widthOf = ({ quad: [start, end] }) => fround(hypot(...stepOf(start, end)));

/** Length of a line across its reading direction, in pixels. */
export const heightOf = ({ quad: [start, , , end] }) => fround(hypot(...stepOf(start, end)));

/** The centre of a line. */
export const centreOf = ({ quad }) => [0, 1].map((k) => mean(quad.map((point) => point[k])));

export const areaOf = (line) => widthOf(line) * heightOf(line);

/** The vector from one point to another, in float32 as the points. */
const stepOf = (start, end) => [fround(end[0] - start[0]), fround(end[1] - start[1])];

/** Whether a line may be a lone character or text turned by a right angle. */
export const isTall = (line) => heightOf(line) > TALL_ASPECT * widthOf(line);

/** Unit vectors along a line and across it. */
export function axesOf({ quad: [origin, end, , below] }) {
  return [end, below].map((corner) => {
    const step = stepOf(origin, corner);
    return step.map((value) => value / Math.max(hypot(...step), 1e-6));
  });
}

/** Coordinates of a point along and across a line, from its first corner. */
export function alongLine(line, point) {
  const [x, y] = stepOf(line.quad[0], point.map(fround));
  return axesOf(line).map(([right, down]) => x * right + y * down);
}

/** The smallest rectangles around the connected components of a map, without noise. */
function coreRectangles({ data, width, height }) {
  const isCore = data.map((value) => value > THRESHOLD);
  const { labels, boxes, areas } = connectedComponents(isCore, width, height);
  const large = range(boxes.length).filter((k) => leastSide(boxes[k]) >= MIN_SIDE);
  const kept = argsortDown(large.map((k) => areas[k])).slice(0, MAX_LINES).map((i) => large[i]);
  return kept.sort((a, b) => a - b)
    .map((k) => {
      const hull = hullOf(labels, width, k + 1, boxes[k]);
      return preferUpright(smallestRectangle(hull), boxes[k]);
    })
    .filter(({ size }) => Math.min(...size) >= MIN_SIDE);
}

const leastSide = ([x0, y0, x1, y1]) => Math.min(x1 - x0, y1 - y0);

/** Corners of the convex hull of a component of square cells, clockwise on the screen. */
function hullOf(labels, width, label, [x0, y0, x1, y1]) {
  const rows = range(y1 - y0).map((row) => {
    const cells = labels.subarray((y0 + row) * width + x0, (y0 + row) * width + x1);
    return [x0 + cells.indexOf(label), x0 + cells.lastIndexOf(label) + 1];
  });
  const chain = (xs) => convexChain(xs.flatMap((x, row) => [[x, y0 + row], [x, y0 + row + 1]]));
  const inside = chain(rows.map(([left]) => -left)).reverse();
  return [...chain(rows.map(([, right]) => right)), ...inside.map(([x, y]) => [-x, y])];
}

/** The points of a chain with increasing y that lie on its right convex hull. */
function convexChain(points) {
  const kept = [];
  for (const point of points) {
    while (kept.length > 1 && isFlat(kept.at(-2), kept.at(-1), point)) kept.pop();
    kept.push(point);
  }
  return kept;
}

function isFlat([x0, y0], [x1, y1], [x2, y2]) {
  return (x1 - x0) * (y2 - y1) <= (x2 - x1) * (y1 - y0);
}

/** The smallest-area rectangle around a hull; it shares a side with the hull. */
function smallestRectangle(hull) {
  let best = { area: Infinity };
  hull.forEach(([x, y], i) => {
    const [next, down] = hull[(i + 1) % hull.length];
    const length = Math.max(hypot(next - x, down - y), 1e-12);
    const [ux, uy] = [(next - x) / length, (down - y) / length];
    const box = boundsOf(hull.map(([px, py]) => [px * ux + py * uy, py * ux - px * uy]));
    const size = [box[2] - box[0], box[3] - box[1]];
    const area = size[0] * size[1];
    if (area < best.area) best = { area, ux, uy, middle: middleOf(box), size };
  });
  return levelRectangle(best);
}

/** Turns a rectangle by quarters until its first axis points right. */
function levelRectangle({ ux, uy, middle: [along, across], size }) {
  const isSteep = Math.abs(uy) > Math.abs(ux);
  const [x, y] = isSteep ? [-uy, ux] : [ux, uy];
  return {
    centre: [along * ux - across * uy, along * uy + across * ux],
    axis: x < 0 ? [-x, -y] : [x, y],
    size: isSteep ? size.toReversed() : size,
  };
}

/** Replaces a rectangle by the upright box if that is hardly larger. */
function preferUpright(rectangle, box) {
  const size = [box[2] - box[0], box[3] - box[1]];
  if (size[0] * size[1] > UPRIGHT_SLACK * rectangle.size[0] * rectangle.size[1]) return rectangle;
  return { centre: middleOf(box), axis: [1, 0], size };
}

/** A point of a rectangle, given as fractions -0.5..0.5 of its width and height. */
function pointOf({ centre, axis: [x, y], size: [width, height] }, along, across) {
  const [right, down] = [along * width, across * height];
  return [centre[0] + right * x - down * y, centre[1] + right * y + down * x];
}

/** The mean of the map in a rectangle, sampled on a grid. */
function scoreOf({ data, width, height }, rectangle) {
  return sum(range(SAMPLE_ROWS * SAMPLE_COLUMNS).map((i) => {
    const along = ((i % SAMPLE_COLUMNS) + 0.5) / SAMPLE_COLUMNS - 0.5;
    const across = (Math.floor(i / SAMPLE_COLUMNS) + 0.5) / SAMPLE_ROWS - 0.5;
    const [x, y] = pointOf(rectangle, along, across);
    const row = clip(Math.trunc(y), 0, height - 1);
    return data[row * width + clip(Math.trunc(x), 0, width - 1)];
  })) / (SAMPLE_ROWS * SAMPLE_COLUMNS);
}
