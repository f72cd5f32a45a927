// Looks at a page several times: all of it at a few sizes, then closer where that pays.

import { agreement } from './agreement.js';
import { argsortDown, linspace, median, rint } from './arrays.js';
import { merged } from './candidates.js';
import { inColour, part } from './images.js';
import { LEAST } from './page_model.js';
import { BICUBIC, BOX, reduce, resize } from './resize.js';

const { fround } = Math;

export const SIZES = [96, 192, 448, 1024]; // longest side of the whole page, in pixels
const ENLARGED = 2.0; // times its own size: larger looks show nothing more, except the first
const COSTLY = 448; // pixels: larger looks cost too much to be mostly enlargement ...
const HARDLY = 1.15; // ... and are taken up to so many times the page's own size
const TALL = 40.0; // pixels in a look: usual height of digits that larger looks show no better
const LOW = 14.0; // pixels in a look: what may be a digit and is lower needs a larger look
const HUGE = 130.0; // pixels in a look: higher digits are seen better in a smaller one
const TINY = 16.0; // pixels in a look: digits that are lower are looked at again, closer
const WANTED = 30.0; // pixels: height that a closer look gives them
const SURE = 0.5; // score from which a digit counts as found
const FAIRLY = 0.35; // likewise, of two tiny digits that call for a closer look
const LIKELY = 0.2;
const AREA = 1_000_000; // pixels of one closer look
const TILES = 12; // closer looks at most
const FLAT = 5.0; // gray levels: where every patch deviates less, there are no digits
const PATCH = 32; // samples a side

/**
 * Finds what may be digits on a page, whatever their size.
 *
 * @param model Looks, see PageModel.
 * @returns {found, glances}: candidates without doubles, and the looks they come from.
 */
export async function lookAround(page, model, lowest = 0) {
  let { found, glances } = await lookAtAll(page, model, lowest);
  const closer = closerLooks(page, found, glances.at(-1).scale);
  for (const { region, scale } of closer) {
    glances.push(glance(await model.look(cutOut(page, region, scale)), region));
  }
  if (closer.length) found = mergedOf(glances);
  return { found, glances };
}

/** Looks at the whole page, each time larger, as long as that may show more. */
async function lookAtAll(page, model, lowest) {
  const { width, height } = page;
  const longest = Math.max(width, height);
  const picture = reduced(page);
  const glances = [];
  for (const size of SIZES) {
    if (glances.length && !isLarger(size, longest, lowest)) break;
    if (size > COSTLY) {
      const found = mergedOf(glances);
      if (seenWell(found, glances.at(-1).scale)) return { found, glances };
    }
    const look = await model.look(sized(picture, size / longest, width, height));
    glances.push(glance(look, [0, 0, width, height]));
  }
  return { found: mergedOf(glances), glances };
}

/** Whether a look is not mostly enlargement, and shows what is lowest at a usual height. */
function isLarger(size, longest, lowest) {
  const most = size <= COSTLY ? ENLARGED : HARDLY;
  return size < most * longest && lowest * size <= HUGE * longest;
}

/** Whether digits are large in the closest look, and nothing that may be one is small there. */
function seenWell(found, scale) {
  const sure = found.filter(({ score }) => score > SURE);
  if (!sure.length || found.some(({ score, seen }) => score > LIKELY && seen < LOW)) return false;
  return median(sure.map(({ box }) => fround(box[3] - box[1]))) * scale >= TALL;
}

/** One look and the part of the page that it showed: {look, region, scale, candidates}. */
export function glance(look, region) {
  const [x0, y0, x1, y1] = region;
  const scale = Math.max(look.height, look.width) / Math.max(x1 - x0, y1 - y0);
  return { look, region, scale, candidates: candidatesOf(look, region) };
}

/** What was found, in page pixels; what lies beyond the edge of the look is left out. */
function candidatesOf(look, [x0, y0, x1, y1]) {
  const scales = [fround((x1 - x0) / look.width), fround((y1 - y0) / look.height)];
  const starts = [x0, y0];
  return look.found.flatMap(({ score, probabilities, box: own }) => {
    const box = own.map((v, i) => fround(fround(v * scales[i % 2]) + starts[i % 2]));
    // The model sees strokes at the edge go on where it makes a picture larger: no digits.
    const [x, y] = [fround(box[0] + box[2]) / 2, fround(box[1] + box[3]) / 2];
    if (x < x0 || y < y0 || x > x1 || y > y1) return [];
    return [{ score, probabilities, box, seen: fround(own[3] - own[1]) }];
  });
}

function mergedOf(glances) {
  const found = merged(glances.flatMap(({ candidates }) => candidates));
  const agreed = agreement(found, glances);
  const all = found.map((one, i) => ({ ...one, score: fround((one.score + agreed[i]) / 2) }));
  return argsortDown(all.map(({ score }) => score)).map((i) => all[i]);
}

/** Regions to look at again, each with a scale; `seen` is the scale of the closest look. */
function closerLooks(page, found, seen) {
  const { width, height } = page;
  const likely = found.filter(({ score }) => score > LIKELY);
  const tiny = likely.filter((one) => one.seen < TINY);
  let [scale, region] = [0, null];
  if (callForCloser(tiny, likely)) {
    const typical = median(tiny.map(({ box }) => fround(box[3] - box[1])));
    scale = Math.min(ENLARGED, WANTED / Math.max(typical, 1));
    region = around(tiny, 2 * typical, width, height);
  } else if (
    Math.max(height, width) > 1.5 * SIZES.at(-1) && !found.some(({ score }) => score > SURE)
  ) {
    scale = Math.min(1.0, 3 * seen);
    region = [0, 0, width, height];
  }
  return !region || scale < 1.3 * seen ? [] : tilesOf(page, region, scale);
}

function callForCloser(tiny, likely) {
  if (tiny.length < 2 || tiny.length < likely.length / 2) return false;
  const scores = tiny.map(({ score }) => score).sort((a, b) => b - a);
  return scores[1] > FAIRLY;
}

function around(tiny, pad, width, height) {
  const side = (k, choose) => tiny.reduce((best, { box }) => choose(best, box[k]), tiny[0].box[k]);
  return [
    Math.trunc(Math.max(0, fround(side(0, Math.min) - pad))),
    Math.trunc(Math.max(0, fround(side(1, Math.min) - pad))),
    Math.ceil(Math.min(width, fround(side(2, Math.max) + pad))),
    Math.ceil(Math.min(height, fround(side(3, Math.max) + pad))),
  ];
}

function tilesOf(page, [x0, y0, x1, y1], wanted) {
  const { columns, rows, scale } = grid(x1 - x0, y1 - y0, wanted);
  const [xs, ys] = [linspace(x0, x1, columns + 1), linspace(y0, y1, rows + 1)];
  const lap = 40 / scale; // a digit on the border of two regions is whole in one of them
  const tiles = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const region = [
        Math.trunc(Math.max(x0, xs[column] - lap)),
        Math.trunc(Math.max(y0, ys[row] - lap)),
        Math.trunc(Math.min(x1, xs[column + 1] + lap)),
        Math.trunc(Math.min(y1, ys[row + 1] + lap)),
      ];
      if (hasContrast(part(page, ...region, 2))) tiles.push({ region, scale });
    }
  }
  return tiles;
}

/** Columns and rows of looks at a region, and the largest scale at which they are few enough. */
function grid(width, height, wanted) {
  for (let scale = wanted; ; scale *= 0.95) {
    const [side, area] = [Math.sqrt(AREA) / scale, AREA / scale ** 2];
    // A strip is seen in looks that are as long as it is narrow.
    const across = area / Math.max(LEAST / scale, Math.min(side, height));
    const down = area / Math.max(LEAST / scale, Math.min(side, width));
    const [columns, rows] = [Math.ceil(width / across), Math.ceil(height / down)];
    if (columns * rows <= TILES) return { columns, rows, scale };
  }
}

/** Whether any patch is not flat; a digit alone would be lost in the deviation of the whole. */
function hasContrast(picture) {
  for (let top = 0; top < picture.height; top += PATCH) {
    for (let left = 0; left < picture.width; left += PATCH) {
      // Beyond the edge the picture goes on as it ends.
      const patch = part(picture, left, top, left + PATCH, top + PATCH);
      for (let c = 0; c < patch.channels; c++) if (deviation(patch, c) > FLAT) return true;
    }
  }
  return false;
}

function deviation({ data, channels }, channel) {
  let [total, squares] = [0, 0];
  for (let i = channel; i < data.length; i += channels) {
    total += data[i];
    squares += data[i] ** 2;
  }
  const count = data.length / channels;
  return Math.sqrt(Math.max(0, squares / count - (total / count) ** 2));
}

/** A copy that still has all that the largest look at the whole page shows. */
function reduced(page) {
  const factor = Math.floor(Math.max(page.width, page.height) / SIZES.at(-1));
  return inColour(factor > 1 ? reduce(page, factor) : page);
}

function sized(picture, scale, ...size) {
  const [width, height] = size.map((side) => Math.max(1, rint(side * scale)));
  return resize(picture, width, height, width > picture.width ? BICUBIC : BOX);
}

function cutOut(page, region, scale) {
  const [x0, y0, x1, y1] = region;
  return sized(inColour(part(page, ...region)), scale, x1 - x0, y1 - y0);
}
