// Reads pictures, by the server or within this browser: the one place that knows which.
// @ts-check
import { byId } from "./dom.js";
import { asPng } from "./raster.js";

/** Something went wrong with a reading; `kind` says what may help. */
export class ReadError extends Error {
  /** @param {"away"|"busy"|"large"|"type"|"known"|"token"|"slow"|"other"} kind */
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

const AWAY = "The server does not answer. It may have been stopped, or the network is gone.";
const KINDS = { 401: "token", 413: "large", 415: "type", 422: "type", 429: "busy", 504: "slow" };
const ADVICE = {
  token: "",
  large: "The picture is too large for this server.",
  type: "This is no picture that can be read.",
  busy: "The server is busy. Try again in a moment.",
  known: "What is said to be known cannot be used.",
  slow: "Reading took too long. Try a smaller picture.",
  other: "The server could not read this.",
};
const TOKEN = "digitlens-token";
const PATIENCE = 4; // times that a busy server is asked again

export const MODE =
  document.querySelector("meta[name=digitlens-mode]")?.getAttribute("content") ?? "server";

/**
 * @typedef {{pixels?: import("./raster.js").Pixels, file?: Blob, bitmap?: ImageBitmap|null}} Picture
 * @typedef {{signal?: AbortSignal, patient?: boolean, onBusy?: () => void}} Options
 */

/**
 * Reads a picture: one reading a page.
 * @param {Picture} picture Pixels, or a file and what the browser made of it.
 * @param {Options} [options]
 * @returns {Promise<import("./reading.js").Reading[]>}
 */
export function read(picture, options = {}) {
  return MODE === "browser" ? readHere(picture, options) : readThere(picture, options);
}

/** What the visitor says is known of the numbers. */
export const known = { expect: "", decimal: "" };

/** The name and hash of the models, once something was read. */
export const model = { name: "", sha256: "" };

let reader;

/**
 * Loads the reader that runs in this browser; does nothing where a server reads.
 * @param {(share: number) => void} [onProgress] Told how much of it is there, 0 to 1.
 */
export async function prepare(onProgress = () => {}) {
  if (MODE !== "browser") return;
  const told = ({ loaded, total }) => onProgress(loaded / Math.max(1, total));
  reader ??= import("../reader/index.js").then(({ createReader }) =>
    createReader(new URL(".", document.baseURI).href, { onProgress: told }),
  );
  Object.assign(model, (await reader).model);
}

/** @param {Picture} picture @param {Options} options */
async function readHere(picture, { signal }) {
  try {
    await prepare();
  } catch (error) {
    reader = undefined;
    throw new ReadError("away", `The reader cannot be loaded: ${error.message}`);
  }
  const pixels = picture.pixels ?? pixelsOf(picture.bitmap);
  const begun = performance.now();
  const reading = await (await reader).read(pixels, { ...known, tiles: true }).catch(unfit);
  signal?.throwIfAborted();
  const seconds = (performance.now() - begun) / 1000;
  return [{ name: "", page: 1, page_count: 1, seconds, ...reading }];
}

/** A reader refuses by RangeError what is no pattern. */
function unfit(error) {
  if (!(error instanceof RangeError)) throw error;
  throw new ReadError("known", `${ADVICE.known} ${error.message}`);
}

function pixelsOf(bitmap) {
  if (!bitmap) {
    throw new ReadError("type", "This browser cannot open the file. Save it as PNG or JPEG.");
  }
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0); // what is transparent stays so: the reader says on what it lies
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

async function readThere(picture, options) {
  const body = picture.file ?? (await asPng(picture.pixels));
  for (let attempt = 0; ; attempt += 1) {
    const response = await ask(body, options);
    if (response.ok) return answer(response);
    const patient = options.patient && response.status === 429 && attempt < PATIENCE;
    if (!patient) throw await problem(response);
    options.onBusy?.();
    await pause(response.headers.get("Retry-After"), options.signal);
  }
}

/**
 * A tile as the server's autoencoder draws it; nothing where there is no server.
 * @param {string} tile 28 × 28 bytes in base64.
 * @param {AbortSignal} signal
 * @returns {Promise<{tile: string, error: number, drawn_better: number}|undefined>}
 */
export async function redraw(tile, signal) {
  if (MODE === "browser") return undefined;
  const body = JSON.stringify({ tiles: tile });
  const headers = { "Content-Type": "application/json", ...authorization() };
  const response = await fetch("v1/reconstruct", { method: "POST", body, headers, signal });
  return response.ok ? (await response.json()).reconstructions[0] : undefined;
}

function authorization() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** The words of a query that say what is known, and others. */
function queryOf(more) {
  const said = Object.entries(known).filter(([, value]) => value);
  return new URLSearchParams({ ...more, ...Object.fromEntries(said) });
}

function ask(body, { signal }) {
  const type = body.type || "application/octet-stream";
  return post(`v1/read?${queryOf({ tiles: "true" })}`, body, signal, { "Content-Type": type });
}

async function post(address, body, signal, more = {}) {
  const headers = { ...more, ...authorization() };
  try {
    return await fetch(address, { method: "POST", body, headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ReadError("away", AWAY);
  }
}

/**
 * Reads the table of each page of a file, by the server alone.
 * @param {File} file
 * @param {{grid: string, rules: string, signal: AbortSignal}} options What is known, if anything.
 */
export async function readTables(file, { signal, ...options }) {
  const form = new FormData();
  form.append("file", file);
  if (known.decimal) form.append("decimal", known.decimal);
  const said = Object.entries(options).filter(([, value]) => value);
  const response = await post(`v1/table?${new URLSearchParams(said)}`, form, signal);
  if (!response.ok) throw await problem(response);
  return (await response.json()).tables;
}

async function answer(response) {
  const told = await response.json();
  Object.assign(model, told.model);
  return told.readings;
}

async function problem(response) {
  const told = await response.json().catch(() => ({}));
  const isKnown = response.status === 422 && /:invalid$/.test(told.type);
  const kind = isKnown ? "known" : (KINDS[response.status] ?? "other");
  const detail = String(told.detail ?? told.title ?? "");
  return new ReadError(kind, [ADVICE[kind], detail].filter(Boolean).join(" "));
}

function pause(seconds, signal) {
  const wait = Math.min(5, Math.max(0.2, Number(seconds) || 0.5));
  return new Promise((resolve, reject) => {
    setTimeout(resolve, 1000 * wait);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/**
 * Asks the visitor for the server's token.
 * @returns {Promise<boolean>} Whether there is one now.
 */
export function askToken() {
  const dialog = byId("token");
  const field = byId("token-value");
  return new Promise((resolve) => {
    let given = false;
    byId("token-form").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(TOKEN, field.value);
      given = true;
      dialog.close();
    };
    byId("token-close").onclick = () => dialog.close();
    dialog.onclose = () => resolve(given);
    field.value = "";
    dialog.showModal();
  });
}
