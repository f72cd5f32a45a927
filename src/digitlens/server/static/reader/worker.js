// The worker thread that reads pictures, so that the page stays responsive.

import { openGraph } from './models.js';
import { emptyPicture } from './pictures.js';
import { DigitReader } from './reader.js';

const LISTING = 'site.json';
const FUSION = 'reader/fusion.onnx';
const WARM = 2; // warm-up passes, after which the time per drawing is stable

let reader;

/** Messages are {id, task, ...}; each is answered in order by {id, result} or {id, error}. */
let queue = Promise.resolve();
self.onmessage = ({ data: message }) => {
  queue = queue.then(() => answer(message));
};

async function answer({ id, task, ...parameters }) {
  try {
    self.postMessage({ id, result: await tasks[task](id, parameters) });
  } catch (error) {
    self.postMessage({ id, error: { name: error.name, message: error.message } });
  }
  // If this fails, so does the first reading, which reports the error.
  if (task === 'load') await warmUp().catch(() => {});
}

const tasks = {
  async load(id, { base }) {
    reader = await loadReader(base, (progress) => self.postMessage({ id, progress }));
    return { name: reader.card.name, sha256: reader.card.sha256 };
  },
  read: (id, { picture, options }) => reader.read(picture, options),
};

/** Loads onnxruntime-web, graphs and cards from a site's folder; reports {loaded, total} bytes. */
async function loadReader(base, onProgress) {
  const site = await (await fetchOk(new URL(LISTING, base), { cache: 'no-cache' })).json();
  const { runtime, classifier, pages, lines } = site;
  const graphs = {
    finder: pages.graph, detector: lines.detector, recognizer: lines.recognizer,
    classifier: classifier.graph, fusion: FUSION, ...(lines.spotter && { spotter: lines.spotter }),
  };
  const downloads = [runtime.wasm, ...Object.values(graphs)];
  const total = downloads.reduce((size, name) => size + site.files[name].size, 0);
  let loaded = 0;
  const advance = (size) => onProgress({ loaded: Math.min((loaded += size), total), total });
  // The hash in the URL keeps the browser from using a cached file of an earlier export.
  const address = (name) => new URL(`${name}?${site.files[name].sha256.slice(0, 12)}`, base);
  const card = async (name) => (await fetchOk(address(name))).json();
  const [ort, tiles, reading, wasm, ...parts] = await Promise.all([
    import(address(runtime.module)), card(classifier.card), card(lines.card),
    ...downloads.map((name) => bytesOf(address(name), advance)),
  ]);
  Object.assign(ort.env.wasm, { wasmBinary: wasm, proxy: false });
  // Browsers share memory between threads only if the host isolates its pages.
  if (!globalThis.crossOriginIsolated) ort.env.wasm.numThreads = 1;
  const run = {};
  for (const [i, name] of Object.keys(graphs).entries()) run[name] = await openGraph(ort, parts[i]);
  return new DigitReader(run, tiles, reading);
}

/** Reads a stroke a few times, as browsers run code slowly until it is optimised. */
async function warmUp() {
  const page = emptyPicture(160, 160, 3);
  page.data.fill(255);
  for (let y = 30; y < 130; y++) page.data.fill(0, (y * 160 + 74) * 3, (y * 160 + 86) * 3);
  for (let k = 0; k < WARM; k++) await reader.analyze(page);
}

async function fetchOk(url, options) {
  const answer = await fetch(url, options);
  if (!answer.ok) throw new Error(`cannot fetch ${url.pathname}: status ${answer.status}`);
  return answer;
}

async function bytesOf(url, advance) {
  const chunks = [];
  const body = (await fetchOk(url)).body.getReader();
  for (let next = await body.read(); !next.done; next = await body.read()) {
    chunks.push(next.value);
    advance(next.value.length);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}
