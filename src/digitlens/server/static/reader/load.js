// Loads what reads: onnxruntime-web, the graphs and their cards, from the folder of the site.

import { DigitReader } from './reader.js';
import { emptyPicture } from './resize.js';

export const LISTING = 'site.json';
const WARM = 2; // times; from then on a drawing takes about as long as ever

/**
 * Loads the models of a site.
 *
 * @param base Address of its folder.
 * @param onProgress Called with {loaded, total} in bytes.
 * @throws Error Something cannot be fetched or is damaged; says what.
 */
export async function loadReader(base, onProgress = () => {}) {
  const site = await (await fetched(new URL(LISTING, base), { cache: 'no-cache' })).json();
  const { runtime, classifier, pages, lines } = site;
  const graphs = { finder: pages.graph, detector: lines.detector, recognizer: lines.recognizer,
    classifier: classifier.graph, ...(lines.spotter && { spotter: lines.spotter }) };
  const wanted = [runtime.wasm, ...Object.values(graphs)];
  const total = wanted.reduce((sum, name) => sum + site.files[name].size, 0);
  let loaded = 0;
  const advance = (size) => onProgress({ loaded: Math.min((loaded += size), total), total });
  // With its hash in the address, a file of an earlier site is not taken from the browser's cache.
  const address = (name) => new URL(`${name}?${site.files[name].sha256.slice(0, 12)}`, base);
  const card = async (name) => (await fetched(address(name))).json();
  const [ort, tiles, reader, wasm, ...parts] = await Promise.all([
    import(address(runtime.module)), card(classifier.card), card(lines.card),
    ...wanted.map((name) => bytesOf(address(name), advance)),
  ]);
  configure(ort, wasm);
  const run = {};
  for (const [i, name] of Object.keys(graphs).entries()) run[name] = await opened(ort, parts[i]);
  return new DigitReader(run, tiles, reader);
}

/** Reads a stroke a few times: browsers run a program slowly until they have seen it run. */
export async function warmUp(reader) {
  if (!reader) return;
  const page = emptyPicture(160, 160, 3);
  page.data.fill(255);
  for (let y = 30; y < 130; y++) page.data.fill(0, (y * 160 + 74) * 3, (y * 160 + 86) * 3);
  for (let k = 0; k < WARM; k++) await reader.analyze(page);
}

/** One thread, unless the host isolates its pages: else browsers share no memory. */
export function configure(ort, wasm) {
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.proxy = false;
  if (!globalThis.crossOriginIsolated) ort.env.wasm.numThreads = 1;
}

/** A graph as a function from {name: [type, data, shape]} to {name: {data, dims}}. */
async function opened(ort, graph) {
  const session = await ort.InferenceSession.create(graph, { executionProviders: ['wasm'] });
  return (inputs) => {
    const feeds = Object.entries(inputs).map(([name, parts]) => [name, new ort.Tensor(...parts)]);
    return session.run(Object.fromEntries(feeds));
  };
}

async function fetched(url, options) {
  const answer = await fetch(url, options);
  if (!answer.ok) throw new Error(`${url.pathname} cannot be fetched: ${answer.status}`);
  return answer;
}

async function bytesOf(url, advance) {
  const { body } = await fetched(url);
  const chunks = [];
  for (const stream = body.getReader(); ; ) {
    const { done, value } = await stream.read();
    if (done) break;
    chunks.push(value);
    advance(value.length);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}
