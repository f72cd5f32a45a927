// From a text map to text lines: rotated rectangles with a score; knows nothing of characters.
//
// The post-processing of DB (Liao et al., 2020). A line is {quad, score}, see framing.js; a
// rectangle is {centre, axis, size}, its axis a unit vector along the width that points right.

import { above, argsortDown, clip, range } from './arrays.js';
import { connectedComponents } from './ink.js';

const { fround, hypot } = Math;

const TALL = 1.5; // times its width: a higher line may be a lone character or turned text
const MOST = 3000; // lines of one map, the largest first
const LEAST_SIDE = 1.5; // cells; thinner spots are noise
const UPRIGHT_SLACK = 1.1; // an upright box is taken up to so many times the smallest area
const ACROSS = 6; // points of a line at which the map is looked up for its score
const ALONG = 32;
const THRESHOLD = 0.3; // probability from which a cell belongs to a line's core
const LEAST_SCORE = 0.5; // lines with a lower mean probability are dropped
const UNCLIP = 1.6; // a core's sides move out by so many times its area over its perimeter
const CORNERS = [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]];

/** The text lines of a map {data, width, height}, with so many pixels of the page a cell. */
export function findLines(map, scale) {
  const lines = [];
  for (const rectangle of coreRectangles(above(map.data, THRESHOLD), map.width, map.height)) {
    const score = scoreOf(map, rectangle);
    if (score < LEAST_SCORE) continue;
    const [width, height] = rectangle.size;
    const distance = (width * height * UNCLIP) / Math.max(2 * (width + height), 1e-9);
    const grown = { ...rectangle, size: [width + 2 * distance, height + 2 * distance] };
    const quad = CORNERS.map((corner) => pointOf(grown, ...corner).map((v) => fround(v * scale)));
    lines.push({ quad, score });
  }
  return lines;
}

/** Pixels along the reading direction of a line. */
export function widthOf({ quad: [start, end] }) {
  return fround(hypot(...stepOf(start, end)));
}

/** Pixels across the reading direction of a line. */
export function heightOf({ quad: [start, , , end] }) {
  return fround(hypot(...stepOf(start, end)));
}

/** The way from one point to another, in float32 as the points. */
export function stepOf(start, end) {
  return [fround(end[0] - start[0]), fround(end[1] - start[1])];
}

/** Whether a line can be a lone character or text that is turned by a right angle. */
export function isTall(line) {
  return heightOf(line) > TALL * widthOf(line);
}

/** The smallest rectangles round the connected parts of a mask, but for those of noise. */
function coreRectangles(mask, width, height) {
  const { boxes, areas, runs } = connectedComponents(mask, width, height);
  const large = range(boxes.length).filter((k) => leastSide(boxes[k]) >= LEAST_SIDE);
  const kept = argsortDown(large.map((k) => areas[k])).slice(0, MOST).map((i) => large[i]);
  const outlines = new Map(kept.sort((a, b) => a - b).map((k) => [k, emptyOutline(boxes[k])]));
  for (const { row, start, end, part } of runs) {
    const outline = outlines.get(part);
    if (!outline) continue;
    const y = row - outline.top;
    outline.left[y] = Math.min(outline.left[y], start);
    outline.right[y] = Math.max(outline.right[y], end);
  }
  return [...outlines]
    .map(([k, outline]) => uprightWhereNear(smallestRectangle(hullOf(outline)), boxes[k]))
    .filter(({ size }) => Math.min(...size) >= LEAST_SIDE);
}

function leastSide([x0, y0, x1, y1]) {
  return Math.min(x1 - x0, y1 - y0);
}

function emptyOutline([, top, , bottom]) {
  const rows = bottom - top;
  return { top, left: new Array(rows).fill(Infinity), right: new Array(rows).fill(0) };
}

/** Corners of the convex hull of a part made of square cells, clockwise on the screen. */
function hullOf({ top, left, right }) {
  const last = left.length - 1;
  const lines = range(left.length + 1);
  const beside = (row, sides, choose) =>
    choose(sides[Math.max(row - 1, 0)], sides[Math.min(row, last)]);
  const outside = convex(lines.map((row) => [beside(row, right, Math.max), top + row]));
  const inside = convex(lines.map((row) => [-beside(row, left, Math.min), top + row]));
  return [...outside, ...inside.reverse().map(([x, y]) => [-x, y])];
}

/** The points of a chain with rising y that stand out to the right. */
function convex(points) {
  const kept = [];
  for (const point of points) {
    while (kept.length > 1 && isFlat(kept.at(-2), kept.at(-1), point)) kept.pop();
    kept.push(point);
  }
  return kept;
}

function isFlat(before, point, after) {
  return (
    (point[0] - before[0]) * (after[1] - point[1]) <= (after[0] - point[0]) * (point[1] - before[1])
  );
}

/** The rectangle of the least area round a hull: one of its sides is a side of the hull. */
function smallestRectangle(hull) {
  let best = { area: Infinity };
  hull.forEach(([x, y], i) => {
    const [next, down] = hull[(i + 1) % hull.length];
    const length = Math.max(hypot(next - x, down - y), 1e-12);
    const [ux, uy] = [(next - x) / length, (down - y) / length];
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const [px, py] of hull) {
      const [along, across] = [px * ux + py * uy, py * ux - px * uy];
      [left, right] = [Math.min(left, along), Math.max(right, along)];
      [top, bottom] = [Math.min(top, across), Math.max(bottom, across)];
    }
    const area = (right - left) * (bottom - top);
    if (area < best.area) best = { area, ux, uy, left, top, right, bottom };
  });
  return levelled(best);
}

/** Turns a rectangle by quarters until its first axis points right. */
function levelled({ ux, uy, left, top, right, bottom }) {
  const [along, across] = [(left + right) / 2, (top + bottom) / 2];
  const centre = [along * ux - across * uy, along * uy + across * ux];
  const steep = Math.abs(uy) > Math.abs(ux);
  const [x, y] = steep ? [-uy, ux] : [ux, uy];
  const [width, height] = [right - left, bottom - top];
  const size = steep ? [height, width] : [width, height];
  return { centre, axis: x < 0 ? [-x, -y] : [x, y], size };
}

/** Takes the upright box instead of a rectangle that is hardly smaller. */
function uprightWhereNear(rectangle, [x0, y0, x1, y1]) {
  const size = [x1 - x0, y1 - y0];
  if (size[0] * size[1] > UPRIGHT_SLACK * rectangle.size[0] * rectangle.size[1]) return rectangle;
  return { centre: [(x0 + x1) / 2, (y0 + y1) / 2], axis: [1, 0], size };
}

/** A point of a rectangle, given as shares -0.5..0.5 of its width and height. */
function pointOf({ centre, axis: [x, y], size: [width, height] }, along, across) {
  const [right, down] = [along * width, across * height];
  return [centre[0] + right * x - down * y, centre[1] + right * y + down * x];
}

/** The mean of the map in a rectangle, from points on a grid. */
function scoreOf({ data, width, height }, rectangle) {
  let total = 0;
  for (let i = 0; i < ACROSS; i++) {
    for (let k = 0; k < ALONG; k++) {
      const [x, y] = pointOf(rectangle, (k + 0.5) / ALONG - 0.5, (i + 0.5) / ACROSS - 0.5);
      const row = clip(Math.trunc(y), 0, height - 1);
      total += data[row * width + clip(Math.trunc(x), 0, width - 1)];
    }
  }
  return total / (ACROSS * ALONG);
}
