// Looks for digits on a page at a few sizes, and merges what was found.

import { rint } from './arrays.js';
import { merged } from './candidates.js';
import { findDigits } from './models.js';
import { BICUBIC, BOX, reduce, resize } from './resize.js';

const { fround } = Math;

const LARGEST = 1024; // pixels: longer pages are first reduced by a whole factor to about this
const ENLARGED = 2.0; // times its own size: larger looks show nothing more, except the first

/**
 * Finds what may be digits on a page.
 *
 * @param graph The digit detector.
 * @param sizes Longest side of the page in each look, in pixels, rising.
 * @returns Candidates without doubles, see candidates.js.
 */
export async function lookAround(page, graph, sizes) {
  const longest = Math.max(page.width, page.height);
  const factor = Math.floor(longest / LARGEST);
  const picture = factor > 1 ? reduce(page, factor) : page;
  const views = [];
  for (const size of sizes) {
    if (views.length && size >= ENLARGED * longest) break;
    const [width, height] = [page.width, page.height].map((side) =>
      Math.max(1, rint((side * size) / longest)),
    );
    const method = width > picture.width ? BICUBIC : BOX;
    const found = await findDigits(graph, resize(picture, width, height, method));
    views.push(candidatesOf(found, page, width, height));
  }
  return merged(views.flat());
}

/** What was found, in page pixels; what lies beyond the edge of the page is left out. */
function candidatesOf(found, page, width, height) {
  const scales = [fround(page.width / width), fround(page.height / height)];
  return found.flatMap(({ score, probabilities, box: own }) => {
    const box = own.map((side, i) => fround(side * scales[i % 2]));
    // The model sees strokes at the edge go on where it makes a picture larger: no digits.
    const [x, y] = [fround(box[0] + box[2]) / 2, fround(box[1] + box[3]) / 2];
    if (x < 0 || y < 0 || x > page.width || y > page.height) return [];
    return [{ score, probabilities, box, seen: fround(own[3] - own[1]) }];
  });
}
