// Reads digits from pictures: finds and classifies them, and says what it is not sure of.

import { sum } from './arrays.js';
import { valuesOf, withoutDoubles } from './candidates.js';
import { compose, fitted } from './compose.js';
import { Confidence } from './confidence.js';
import { parsePattern } from './expect.js';
import { pageOf, turned } from './images.js';
import { lookAround } from './looks.js';
import { isolatedStrokes } from './plain.js';
import { asDict } from './results.js';
import { bestTurn, turnedBack } from './turns.js';
import { castTwoVotes, castVotes, tilesOf } from './voters.js';

const { fround } = Math;

const LEAST = 0.15; // score of a candidate that is looked at closer, and kept as rejected at least
// Confidence in every stroke of a plain drawing from which the page network is not asked: at 0.8,
// digits that touch are taken for one.
const ENOUGH = 0.9;
// Likewise, below which it is taken for no digit. What is wider than high may be digits that touch.
const HOPELESS = 0.1;
const WIDE = 1.2; // times the height

/** Pictures in, readings out. */
export class DigitReader {
  /**
   * @param finder PageModel.
   * @param crops CropModel.
   * @param classifier Classifier.
   */
  constructor(finder, crops, classifier) {
    Object.assign(this, { finder, crops, classifier });
    this.confidence = Confidence.of(finder.card);
    this.plainly = Confidence.of(finder.card, 'plain');
    this.thresholds = finder.card.thresholds;
  }

  /**
   * Reads one picture.
   *
   * @param picture {data, width, height}: RGBA as a canvas gives it.
   * @param expect What is known of the number: how many digits, as in "4", or a pattern.
   * @param tiles Whether each digit comes with the 28 x 28 tile that the classifier was shown of
   *   it, or would have been shown where it was not asked.
   * @returns The reading as plain values, see results.js.
   * @throws RangeError `expect` is no such pattern, or the picture has no pixels.
   */
  async read(picture, { expect = null, tiles = false } = {}) {
    const pattern = expect ? parsePattern(expect) : null;
    const page = pageOf(picture);
    const { seen, turn } = await this.upright(page);
    const { width, height } = seen.page;
    const { found, probabilities, confidence } = seen;
    let lines = compose(found, probabilities, confidence, [width, height], this.thresholds);
    if (pattern) lines = fitted(lines, pattern, this.thresholds);
    if (tiles) lines = lines.map((line) => withTiles(line, seen));
    lines = turnedBack(lines, turn, page.width, page.height);
    return asDict(lines, page.width, page.height, this.classifier.card);
  }

  /** What was seen on a page after the turn that makes digits of it. */
  async upright(page) {
    const drawn = this.plainly.weights.length ? await this.glimpse(page) : null;
    if (drawn && isSettled(drawn)) return { seen: drawn, turn: 0 };
    const seen = await this.look(page, drawn ? lowestOf(drawn) : 0);
    if (drawn && evidenceOf(drawn) > evidenceOf(seen)) return { seen: drawn, turn: 0 };
    if (drawn?.found.length === 1) return { seen, turn: 0 }; // one digit turns no page
    const turn = await bestTurn(page, this.finder, seen.confidence);
    if (turn) {
      const other = await this.look(turned(page, turn));
      if (evidenceOf(other) > evidenceOf(seen)) return { seen: other, turn };
    }
    return { seen, turn: 0 };
  }

  /** Finds and classifies on a page as it lies, without judging. */
  async look(page, lowest = 0) {
    const around = await lookAround(page, this.finder, lowest);
    const found = around.found.filter(({ score }) => score >= LEAST);
    const votes = await castVotes(page, found, this.crops, this.classifier);
    const probabilities = this.confidence.probabilities(votes);
    const confidence = this.confidence.values(votes, probabilities);
    const boxes = found.map(({ box }) => box);
    const kept = withoutDoubles(boxes, valuesOf(probabilities), confidence);
    const chosen = (list) => kept.map((i) => list[i]);
    return {
      page,
      found: chosen(found),
      probabilities: chosen(probabilities),
      confidence: chosen(confidence),
      tiles: chosen(votes.map(({ tile }) => tile)),
    };
  }

  /** What two networks say of the strokes of a plain drawing; null on any other page. */
  async glimpse(page) {
    const drawn = isolatedStrokes(page);
    if (!drawn) return null;
    const places = drawn.boxes.map((box) => box.map((side) => side / drawn.scale));
    const cast = await castTwoVotes(drawn.page, places, this.crops, this.classifier);
    const votes = cast.map((vote, i) => ({ ...vote, box: drawn.boxes[i] }));
    const probabilities = this.plainly.probabilities(votes);
    const confidence = this.plainly.values(votes, probabilities);
    const found = votes.map(({ existence, names, box }) => ({
      score: existence, probabilities: names[0], box,
    }));
    const tiles = votes.map(({ tile }) => tile);
    return { page, found, probabilities, confidence, tiles };
  }
}

/** Whether the page network is not needed: each stroke surely is a digit, or none is one. */
function isSettled({ confidence, found }) {
  if (confidence.every((share) => share >= ENOUGH)) return true;
  return found.every(({ box: [x0, y0, x1, y1] }, i) =>
    confidence[i] < HOPELESS && fround(x1 - x0) <= fround(WIDE * fround(y1 - y0)));
}

/** Height of the lowest candidate, in page pixels. */
function lowestOf({ found }) {
  return Math.min(...found.map(({ box }) => fround(box[3] - box[1])));
}

/** How much speaks for digits: the squares of all confidences above one half. */
function evidenceOf({ confidence }) {
  return sum(confidence.filter((share) => share > 0.5).map((share) => share ** 2));
}

function withTiles(line, { page, tiles }) {
  return line.map((digit) => {
    const tile = tiles[digit.candidate] ?? tilesOf(page, [digit.box])[0];
    return { ...digit, tile };
  });
}
