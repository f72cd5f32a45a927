// The reader: detects lines and digits, recognises, fuses and puts in order.

import { inkIn } from './ink.js';
import { constrain } from './constrained.js';
import { parsePattern } from './pattern.js';
import { Fusion } from './fusion.js';
import { boxBack, pageOf, turned } from './images.js';
import { arrange } from './layout.js';
import { classify } from './models.js';
import { detect } from './multiscale.js';
import { bestTurn } from './orientation.js';
import { gather } from './places.js';
import { lineProposals, recognize } from './recognize.js';
import { asDict } from './results.js';
import { toTile } from './tiles.js';
import { codesOf, numbersOf } from './values.js';

/** Pictures in, readings out. */
export class DigitReader {
  /**
   * @param graphs {finder, detector, recognizer, spotter, classifier}, see models.js.
   * @param card Of the classifier.
   * @param lines Card of the line reader.
   */
  constructor(graphs, card, lines) {
    Object.assign(this, { graphs, card, thresholds: lines.thresholds });
    this.fusion = new Fusion(lines.fusion);
  }

  /**
   * Reads one picture.
   *
   * @param picture {data, width, height}: RGBA as a canvas gives it.
   * @param expect What is known of the number: how many digits, as in "4", or a pattern.
   * @param decimal The decimal mark, point or comma; else numbers tell, if they agree.
   * @param tiles Whether each digit comes with the 28 x 28 tile that the classifier was shown.
   * @returns The reading as plain values, see results.js.
   * @throws RangeError `expect` is no such pattern, or the picture has no pixels.
   */
  async read(picture, { expect = null, decimal = '', tiles = false } = {}) {
    const pattern = expect ? { text: String(expect).trim(), places: parsePattern(expect) } : null;
    const page = pageOf(picture);
    const { view, turn } = await this.upright(page);
    const size = [page.width, page.height];
    const shown = turn % 2 ? [size[1], size[0]] : size;
    const layout = arrange(view, shown, this.thresholds);
    const { lines, characters, constrained } = pattern
      ? constrain(view, layout, shown, this.thresholds, pattern) : layout;
    const byPlace = () => new Map(layout.places.flatMap((row, i) =>
      row.map((place, k) => [place, lines[i][k]])));
    const numbers = constrained?.fulfilled
      ? codesOf(lines) : numbersOf(layout.numbers, byPlace(), decimal);
    const back = (row) => row.map((one) => ({ ...one, box: boxBack(one.box, turn, ...size) }));
    return asDict({
      lines: lines.map(back), characters: characters.map(back), numbers: back(numbers), constrained,
    }, size, this.card, tiles);
  }

  async upright(page) {
    const view = await this.analyze(page);
    const turn = await bestTurn(view.lines, page, this.graphs.recognizer);
    return { view: turn ? await this.analyze(turned(page, turn)) : view, turn };
  }

  /** Finds and reads what is on a page as it lies, without judging. */
  async analyze(page) {
    const found = await detect(page, this.graphs);
    const lines = await recognize(page, lineProposals(found), this.graphs);
    const places = gather(found.digits, lines);
    const tiles = places.map(({ box }) => toTile(inkIn(page, box)));
    const named = await classify(this.graphs.classifier, tiles);
    const scores = places.map((place, i) => ({ ...place, ...named[i] }));
    return { lines, scores, tiles, ...this.fusion.fuse(scores) };
  }
}
