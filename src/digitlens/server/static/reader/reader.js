// The reader: detects lines and digits, recognises, classifies, fuses and arranges them.

import { constrain } from './constrained.js';
import { fuse, weightsOf } from './fusion.js';
import { inkIn } from './ink.js';
import { arrange, numberDigits } from './layout.js';
import { classify } from './models.js';
import { detect } from './multiscale.js';
import { bestTurn } from './orientation.js';
import { parsePattern } from './pattern.js';
import { pageOf, turned } from './pictures.js';
import { gather } from './places.js';
import { lineProposals, recognize } from './recognize.js';
import { toTile } from './tiles.js';
import { codesOf, numbersOf } from './values.js';

/** Turns pictures into readings. */
export class DigitReader {
  /**
   * @param graphs {finder, detector, recognizer, spotter, classifier, fusion}, see models.js.
   * @param card Card of the classifier.
   * @param lines Card of the line reader.
   */
  constructor(graphs, card, lines) {
    Object.assign(this, { graphs, card, thresholds: lines.thresholds });
    this.weights = weightsOf(lines.fusion);
  }

  /**
   * Reads one picture.
   *
   * @param picture {data, width, height}: RGBA from a canvas.
   * @param expect Constraint on the number: how many digits, as in "4", or a pattern.
   * @param decimal The decimal mark, point or comma; if empty, inferred from unambiguous numbers.
   * @param tiles Whether to include the 28 x 28 tile of each digit, the classifier's input.
   * @returns The reading as plain values, see `asDict`.
   * @throws RangeError `expect` is not a valid pattern, or the picture has no pixels.
   */
  async read(picture, { expect = null, decimal = '', tiles = false } = {}) {
    const pattern = expect ? { text: String(expect).trim(), places: parsePattern(expect) } : null;
    const page = pageOf(picture);
    const { view, turn } = await this.upright(page);
    const { width, height } = page;
    const size = turn % 2 ? [height, width] : [width, height];
    const layout = arrange(view, size, this.thresholds);
    const { lines, characters, constrained } = pattern
      ? constrain(view, layout, size, this.thresholds, pattern) : layout;
    const digitsByPlace = () => new Map(layout.places.flatMap((row, i) =>
      row.map((place, k) => [place, lines[i][k]])));
    const numbers = constrained?.fulfilled
      ? codesOf(lines) : numbersOf(layout.numbers, digitsByPlace(), decimal);
    const toPage = (row) => row.map((each) =>
      ({ ...each, box: unturnBox(each.box, turn, width, height) }));
    return {
      ...asDict(lines.map(toPage), characters.map(toPage), toPage(numbers), tiles),
      width, height, model: this.card.name, model_sha256: this.card.sha256,
      ...(constrained && { constrained }),
    };
  }

  async upright(page) {
    const view = await this.analyze(page);
    const turn = await bestTurn(view.lines, view.confidence, page, this.graphs.recognizer);
    return { view: turn ? await this.analyze(turned(page, turn)) : view, turn };
  }

  /** Detects, reads and scores the places of a page as it lies, without accepting or rejecting. */
  async analyze(page) {
    const found = await detect(page, this.graphs);
    const lines = await recognize(page, lineProposals(found), this.graphs);
    const places = gather(found.digits, lines);
    const tiles = places.map(({ box }) => toTile(inkIn(page, box)));
    const classified = await classify(this.graphs.classifier, tiles);
    const scores = places.map((place, i) => ({ ...place, ...classified[i] }));
    const fused = await fuse(this.graphs.fusion, this.weights, scores);
    return { lines, scores, tiles, ...fused };
  }
}

/** Maps a box of a turned page back to the original page of the given width and height. */
export function unturnBox([x0, y0, x1, y1], turn, width, height) {
  return [
    [x0, y0, x1, y1], [width - y1, x0, width - y0, x1],
    [width - x1, height - y1, width - x0, height - y0], [y0, height - x1, y1, height - x0],
  ][turn];
}

/** The reading as JSON-ready values, with the names and numbers of Reading.as_dict in Python. */
export function asDict(lines, characters, numbers, tiles = false) {
  const written = characters.length
    ? characters.map((line) => line.map(({ char }) => char).join(''))
    : lines.map((line) => digitsIn(line).join(' '));
  const digits = lines.map((line) => digitsIn(line).join(''));
  return {
    text: written.filter(Boolean).join('\n'),
    digits_only: digits.filter(Boolean).join('\n'),
    numbers,
    numbers_digits: lines.flatMap(digitsIn),
    lines: lines.map((line) => line.map((digit) => digitAsDict(digit, tiles))),
    characters: characters.map((line) => line.map(({ char, confidence, box }) => ({
      char, confidence: roundShare(confidence), box,
    }))),
  };
}

function digitAsDict({ value, confidence, status, reason, startsNumber, ...digit }, tiles) {
  return {
    value, confidence: roundShare(confidence), status, reason, starts_number: startsNumber,
    box: digit.box, probabilities: Array.from(digit.probabilities, roundShare),
    ...(tiles && { tile: btoa(String.fromCharCode(...(digit.tile ?? []))) }),
  };
}

const digitsIn = (line) =>
  numberDigits(line).map((digits) => digits.map(({ value }) => value).join(''));

const roundShare = (share) => Number(share.toFixed(6));
