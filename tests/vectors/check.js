// Holds the reader of the browser to the test vectors: runs each function on what a case gives.

const READER = new URL('../../src/digitlens/serving/static/reader/', import.meta.url);
const load = (name) => import(new URL(name, READER));

const [
  candidates, components, composing, confidence, crops, expecting, images, layout, looks, plain, resizing,
  results, supporting, tiles, turns, windowing,
] = await Promise.all(
  [
    'candidates', 'components', 'compose', 'confidence', 'crops', 'expect', 'images', 'layout',
    'looks', 'plain', 'resize', 'results', 'support', 'tiles', 'turns', 'windows',
  ].map((name) => load(`${name}.js`)),
);

const THRESHOLDS = { digit: 0.9, reject: 0.5 };
const FILTERS = { box: resizing.BOX, bilinear: resizing.BILINEAR, bicubic: resizing.BICUBIC };

/** From the name of a file of vectors to the function: what a case gives in, its result out. */
const functions = {
  flatten: (given) => packed(images.pageOf({ ...given, data: bytesOf(given.bytes) })),
  async resize({ width, height, filter, box, ...given }) {
    const picture = await pictureOf(given);
    return packed(resizing.resize(picture, width, height, FILTERS[filter], box ?? undefined));
  },
  reduce: async ({ factor, ...given }) => packed(resizing.reduce(await pictureOf(given), factor)),
  resize_plane({ plane, width, height }) {
    const data = Float32Array.from(plane.flat());
    const flat = { data, width: plane[0].length, height: plane.length, channels: 1 };
    return rowsOf(images.resize(flat, width, height));
  },
  async windows({ boxes, ...given }) {
    const side = windowing.SIDE;
    // A gray page gives windows of three like channels; the vectors hold what the network is given.
    return windowing.windows(await pictureOf(given), boxes.map(floats)).map((data) =>
      packed({ data, width: side, height: side, channels: 3 }),
    );
  },
  components({ mask }) {
    const width = mask[0].length;
    const flat = [...mask.join('')].map((sign) => sign === '#');
    const { labels, boxes, areas } = components.connectedComponents(flat, width, mask.length);
    return { labels: rowsOf({ data: labels, width, height: mask.length }), boxes, areas };
  },
  ink_in: async ({ box, ...given }) => packed(crops.inkIn(await pictureOf(given), floats(box))),
  to_tile(given) {
    const data = tiles.toTile({ ...given, data: bytesOf(given.bytes) });
    return packed({ data, width: tiles.SIDE, height: tiles.SIDE, channels: 1 });
  },
  async looks({ answers, ...given }) {
    const model = new Script(answers);
    const { found, glances } = await looks.lookAround(await pictureOf(given), model);
    return {
      shown: model.shown,
      regions: glances.map(({ region }) => region),
      found: found.map(({ score, probabilities, box, seen }) => ({
        score, probabilities: [...probabilities], box: [...box], seen,
      })),
    };
  },
  doubles: ({ boxes, values, confidence: sure }) =>
    candidates.withoutDoubles(boxes.map(floats), values, floats(sure)),
  support: ({ boxes, logits }) => [...supporting.support(boxes.map(floats), floats(logits))],
  confidence({ card, existence, digit, names, boxes }) {
    const says = confidence.Confidence.of({ results: card });
    const votes = boxes.map((box, i) => ({
      existence: Math.fround(existence[i]),
      digit: Math.fround(digit[i]),
      names: names[i].map(floats),
      box: floats(box),
    }));
    const probabilities = says.probabilities(votes);
    return {
      probabilities: probabilities.map((row) => [...row]),
      confidence: says.values(votes, probabilities),
    };
  },
  lines: ({ boxes }) => layout.linesOf(boxes),
  numbers: ({ boxes }) => layout.numbersOf(boxes),
  compose({ found, probabilities, confidence: sure, size, turn, expect }) {
    const places = found.map(candidateOf);
    const chances = probabilities.map(floats);
    let lines = composing.compose(places, chances, [...floats(sure)], size, THRESHOLDS);
    if (expect) lines = composing.fitted(lines, expecting.parsePattern(expect), THRESHOLDS);
    lines = turns.turnedBack(lines, turn, ...size);
    return results.asDict(lines, ...size, { name: 'vectors', sha256: '' });
  },
  pattern({ text }) {
    try {
      return expecting.parsePattern(text);
    } catch {
      return null;
    }
  },
  async strokes(given) {
    const found = plain.isolatedStrokes(await pictureOf(given));
    if (!found) return null;
    const shown = found.scale > 1 ? packed(found.page) : null;
    return { boxes: found.boxes.map((box) => [...box]), scale: found.scale, shown };
  },
};

/** A page model that says what it is told to, and remembers what it was shown. */
class Script {
  constructor(answers) {
    this.answers = [...answers];
    this.shown = [];
  }

  async look({ data, width, height }) {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
    const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    this.shown.push({ width, height, sha256 });
    const found = (this.answers.shift() ?? []).map((row) => candidateOf({ seen: 0, ...row }));
    return { found, width, height };
  }
}

function candidateOf({ score, probabilities, box, seen }) {
  return {
    score: Math.fround(score),
    probabilities: floats(probabilities),
    box: floats(box),
    seen: Math.fround(seen),
  };
}

function floats(values) {
  return Float32Array.from(values);
}

function rowsOf({ data, width, height }) {
  return Array.from({ length: height }, (_, y) => [...data.slice(y * width, (y + 1) * width)]);
}

function packed({ data, width, height, channels }) {
  return { width, height, channels, bytes: btoa(String.fromCharCode(...data)) };
}

function bytesOf(text) {
  return Uint8ClampedArray.from(atob(text), (sign) => sign.charCodeAt(0));
}

/** A picture of the vectors as a page; a gray one as Pillow makes it of colours. */
async function pictureOf({ picture, gray = false }) {
  const blob = await (await fetch(new URL(`pictures/${picture}`, import.meta.url))).blob();
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none' });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const page = images.pageOf(context.getImageData(0, 0, bitmap.width, bitmap.height));
  if (!gray) return page;
  const data = new Uint8ClampedArray(page.width * page.height);
  for (let i = 0; i < data.length; i++) {
    const [r, g, b] = page.data.subarray(3 * i, 3 * i + 3);
    data[i] = (19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16;
  }
  return { ...page, data, channels: 1 };
}

/** Where two results differ by more than a tolerance: a path and both values, or nothing. */
function difference(found, wanted, tolerance, path = '') {
  if (typeof wanted === 'number') {
    return Math.abs(found - wanted) <= tolerance ? null : { path, found, wanted };
  }
  if (wanted === null || typeof wanted !== 'object') {
    return found === wanted ? null : { path, found, wanted };
  }
  if ('bytes' in wanted) {
    const rest = ({ bytes, ...others }) => ({ ...others, data: [...bytesOf(bytes)] });
    return difference(rest(found), rest(wanted), tolerance, path);
  }
  if (Object.keys(found ?? {}).length !== Object.keys(wanted).length) {
    return { path, found, wanted };
  }
  for (const key of Object.keys(wanted)) {
    const away = difference(found[key], wanted[key], tolerance, `${path}/${key}`);
    if (away) return away;
  }
  return null;
}

/** Runs all cases of one function; what was wrong with which. */
export async function check(name) {
  const { tolerance, cases } = await (await fetch(new URL(`${name}.json`, import.meta.url))).json();
  const wrong = [];
  for (const [number, { input, output }] of cases.entries()) {
    const away = difference(await functions[name](input), output, tolerance);
    if (away) wrong.push({ number, ...away });
  }
  return { cases: cases.length, wrong };
}
