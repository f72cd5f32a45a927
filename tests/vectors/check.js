// Holds the reader of the browser to the test vectors: runs each function on what a case gives.

const READER = new URL('../../src/digitlens/server/static/reader/', import.meta.url);
const load = (name) => import(new URL(name, READER));

const [
  constraining, framing, fusing, inks, layout, models, multiscale, notation, numbers, order,
  patterns, pictures, placing, reader, recognizing, textLines, tiles, values, decoding,
] = await Promise.all(
  [
    'constrained', 'framing', 'fusion', 'ink', 'layout', 'models', 'multiscale',
    'notation', 'numbers', 'reading_order', 'pattern', 'pictures', 'places', 'reader', 'recognize',
    'text_lines', 'tiles', 'values', 'decode',
  ].map((name) => load(`${name}.js`)),
);

const CLASSES = 86;
const THRESHOLDS = { digit: 0.9, reject: 0.5 };
const FILTERS = { box: pictures.BOX, bilinear: pictures.BILINEAR, bicubic: pictures.BICUBIC };

/** From the name of a file of vectors to the function: what a case gives in, its result out. */
const functions = {
  flatten: (given) => packed(pictures.pageOf({ ...given, data: bytesOf(given.bytes) })),
  async resize({ width, height, filter, box, ...given }) {
    const picture = await pictureOf(given);
    return packed(pictures.resize(picture, width, height, FILTERS[filter], box ?? undefined));
  },
  reduce: async ({ factor, ...given }) => packed(pictures.reduce(await pictureOf(given), factor)),
  resize_plane({ plane, width, height }) {
    const data = Float32Array.from(plane.flat());
    const flat = { data, width: plane[0].length, height: plane.length, channels: 1 };
    return rowsOf(pictures.resizePlane(flat, width, height));
  },
  crop_line: async ({ quad, ...given }) =>
    packed(framing.cropLine(await pictureOf(given), quad.map(floats))),
  text_lines({ bytes, width, height, scale }) {
    const data = Float32Array.from(bytesOf(bytes), (value) => value / 255);
    return textLines.findLines({ data, width, height }, scale);
  },
  decode({ posteriors }) {
    const found = decoding.decode(posteriors.map(posteriorsOf));
    return {
      text: found.map(({ char }) => char).join(''),
      centres: found.map(({ centre }) => centre),
      confidence: found.map(({ confidence }) => confidence),
    };
  },
  space_chances: ({ gaps, sides, spaces }) => decoding.spaceChances(
    gaps.map((gap, i) => ({ gap, sides: sides[i], space: spaces[i] })),
  ),
  number_spans: ({ text }) => numbers.numberSpans(text),
  meanings: ({ text }) => notation.meanings(text).map(toldMeaning),
  values({ texts, decimal }) {
    const pieces = texts.map((text) => ({ text, found: notation.meanings(text), doubt: '' }));
    const known = values.settleNotation({ decimal, grouping: '', order: '' }, pieces);
    const chosen = pieces.map(({ text, found }) => values.chooseMeanings(text, found, known));
    return chosen.map(([meant, doubt]) => ({ meant: meant.map(toldMeaning), doubt }));
  },
  digit_parts: ({ lines }) => recognizing.partsWithDigits(
    lines.map(({ quad, score, spots }) => ({
      line: { quad: quad.map(floats), score },
      crop: pictures.emptyPicture(8 * spots.length, 48, 3),
      columns: recognizing.columnsOf({ quad: quad.map(floats) }),
    })),
    lines.map(({ spots }) => spots.map(floats)),
  ).map(({ line, columns }) => ({ ...line, columns })),
  numerals: ({ posteriors }) => decoding.decode(
    decoding.withNumerals(posteriors.map(posteriorsOf)),
  ).map(({ char }) => char).join(''),
  proposals: ({ lines, digits }) => recognizing.lineProposals({
    lines: lines.map(({ quad, score }) => ({ quad: quad.map(floats), score })),
    digits: digits.map(candidateOf),
  }).map(({ quad, score }) => ({ quad, score })),
  places: async (given) => (await placesOf(given)).found.map((
    { box, detector, recognizer, ...rest },
  ) => ({ ...rest, boxes: [...box], detector: [...detector], recognizer: [...recognizer] })),
  async fusion(given) {
    const { probabilities, confidence, existence } = await viewOf(given);
    return {
      probabilities: probabilities.map((row) => [...row]),
      confidence: [...confidence], existence: [...existence],
    };
  },
  async layout({ size, turn, expect, ...given }) {
    const view = await viewOf(given);
    const shown = turn % 2 ? [size[1], size[0]] : size;
    let found = layout.arrange(view, shown, THRESHOLDS);
    if (expect) {
      const pattern = { text: expect, places: patterns.parsePattern(expect) };
      found = constraining.constrain(view, found, shown, THRESHOLDS, pattern);
    }
    const back = (digit) => ({ ...digit, box: reader.unturnBox(digit.box, turn, ...size) });
    const lines = found.lines.map((line) => line.map(back));
    const { numbers: _, ...rest } = reader.asDict(lines, found.characters, []);
    const [width, height] = size;
    const constrained = found.constrained && { constrained: found.constrained };
    return { ...rest, width, height, model: 'vectors', model_sha256: '', ...constrained };
  },
  components({ mask }) {
    const width = mask[0].length;
    const flat = [...mask.join('')].map((sign) => sign === '#');
    const { labels, boxes, areas } = inks.connectedComponents(flat, width, mask.length);
    return { labels: rowsOf({ data: labels, width, height: mask.length }), boxes, areas };
  },
  ink_in: async ({ box, ...given }) => packed(inks.inkIn(await pictureOf(given), floats(box))),
  to_tile(given) {
    const data = tiles.toTile({ ...given, data: bytesOf(given.bytes) });
    return packed({ data, width: tiles.SIDE, height: tiles.SIDE, channels: 1 });
  },
  async scales({ answers, ...given }) {
    const script = new Script(answers);
    const graph = (inputs) => script.look(inputs);
    const page = await pictureOf(given);
    const reduced = multiscale.reducedPage(page);
    const found = await multiscale.findDigits(page, graph, reduced);
    return {
      shown: script.shown,
      explained: found.explained,
      first: multiscale.firstSize(reduced, page, found.digits),
      found: found.digits.map(({ score, probabilities, box, seen }) => ({
        score, probabilities: [...probabilities], box: [...box], seen,
      })),
    };
  },
  lines: ({ boxes }) => order.linesOf(boxes),
  numbers: ({ boxes }) => order.numbersOf(boxes),
  pattern({ text }) {
    try {
      return patterns.parsePattern(text);
    } catch {
      return null;
    }
  },
};

const toldMeaning = ({ value, kind, unit, decimal, grouping, order: dates }) =>
  [value, kind, unit, decimal, grouping, dates];

/** A digit detector that says what it is told to, and remembers what it was shown. */
class Script {
  constructor(answers) {
    this.answers = [...answers];
    this.shown = [];
  }

  async look({ page: [, data, [height, width]] }) {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
    const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    this.shown.push({ width, height, sha256 });
    const found = this.answers.shift() ?? [];
    return {
      score: { data: floats(found.map(({ score }) => score)) },
      probabilities: { data: floats(found.flatMap(({ probabilities }) => probabilities)) },
      box: { data: floats(found.flatMap(({ box }) => box)) },
    };
  }
}

/** The places of a page and its lines, as a recogniser that is told its posteriors reads them. */
async function placesOf({ lines: given, digits, ...rest }) {
  const page = await pictureOf(rest);
  const lines = [];
  for (const { quad, score, posteriors } of given) {
    const line = { quad: quad.map(floats), score };
    const crop = framing.cropLine(page, line.quad);
    lines.push(new recognizing.RecognizedLine(line, crop, posteriors.map(posteriorsOf)));
  }
  return { lines, found: placing.gather(digits.map(candidateOf), lines) };
}

/** The same, judged by a classifier that is told its answers. */
async function viewOf({ named, is_digit: isDigit, card, ...given }) {
  const { lines, found } = await placesOf(given);
  const scores = found.map((place, i) => ({
    ...place, classifier: floats(named[i % named.length]), isDigit: isDigit[i % named.length],
  }));
  const said = await fusing.fuse(await fusionGraph(), fusing.weightsOf(card), scores);
  return { lines, scores, tiles: [], ...said };
}

/** The graph of the fusion, run by what the site beside the project has. */
async function fusionGraph() {
  const ort = await import('/site/vendor/onnxruntime-web/ort.wasm.bundle.min.js');
  ort.env.wasm.numThreads = 1;
  const bytes = await (await fetch(new URL('fusion.onnx', READER))).arrayBuffer();
  return models.openGraph(ort, new Uint8Array(bytes));
}

/** A step's posteriors from pairs of class and probability; the rest is the blank's. */
function posteriorsOf(pairs) {
  const row = new Float32Array(CLASSES);
  pairs.forEach(([number, chance]) => (row[number] = chance));
  row[0] = 1 - pairs.reduce((total, [, chance]) => total + chance, 0);
  return row;
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

/** A picture of the vectors as a page. */
async function pictureOf({ picture }) {
  const blob = await (await fetch(new URL(`pictures/${picture}`, import.meta.url))).blob();
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none' });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  return pictures.pageOf(context.getImageData(0, 0, bitmap.width, bitmap.height));
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
