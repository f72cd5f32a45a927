// Reads pictures on the server or in this browser; no other module distinguishes the two.
// @ts-check
import { byId } from "./dom.js";
import { asPng } from "./raster.js";

/** A failed reading; `kind` selects the advice shown. */
export class ReadError extends Error {
  /** @param {"away"|"busy"|"large"|"type"|"known"|"token"|"slow"|"other"} kind */
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

const AWAY = "The server does not respond. It may have stopped, or the network is down.";
const KINDS = { 401: "token", 413: "large", 415: "type", 422: "type", 429: "busy", 504: "slow" };
const ADVICE = {
  token: "",
  large: "The picture is too large for this server.",
  type: "The picture cannot be read.",
  busy: "The server is busy. Try again in a moment.",
  known: "A constraint is invalid.",
  slow: "Reading took too long. Try a smaller picture.",
  other: "The server could not read the picture.",
};
const TOKEN = "digitlens-token";
const PATIENCE = 4; // retries while the server is busy

export const MODE =
  document.querySelector("meta[name=digitlens-mode]")?.getAttribute("content") ?? "server";

/**
 * @typedef {{pixels?: import("./raster.js").Pixels, file?: Blob, bitmap?: ImageBitmap|null}} Picture
 * @typedef {{signal?: AbortSignal, patient?: boolean, onBusy?: () => void}} Options
 */

/**
 * Reads a picture; returns one reading per page.
 * @param {Picture} picture Pixels, or a file with the bitmap that the browser decoded from it.
 * @param {Options} [options]
 * @returns {Promise<import("./reading.js").Reading[]>}
 */
export function read(picture, options = {}) {
  return MODE === "browser" ? readHere(picture, options) : readThere(picture, options);
}

/** The constraints that the user entered. */
export const known = { expect: "", decimal: "" };

/** Name and hash of the model; empty before the first reading. */
export const model = { name: "", sha256: "" };

let reader;

/**
 * Loads the reader that runs in this browser; does nothing in server mode.
 * @param {(share: number) => void} [onProgress] Receives the fraction loaded, 0 to 1.
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
    throw new ReadError("away", `Cannot load the reader: ${error.message}`);
  }
  const pixels = picture.pixels ?? pixelsOf(picture.bitmap);
  const begun = performance.now();
  const reading = await (await reader).read(pixels, { ...known, tiles: true }).catch(unfit);
  signal?.throwIfAborted();
  const seconds = (performance.now() - begun) / 1000;
  return [{ name: "", page: 1, page_count: 1, seconds, ...reading }];
}

/** Turns the RangeError with which a reader rejects an invalid pattern into a ReadError. */
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
  context.drawImage(bitmap, 0, 0); // keeps transparency: the reader chooses the background
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
 * The reconstruction of a tile by the server's autoencoder; undefined without a server.
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

/** Query parameters: the constraints, and those in `more`. */
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
 * Reads the table on each page of a file; needs a server.
 * @param {File} file
 * @param {{grid: string, rules: string, signal: AbortSignal}} options Empty strings are left out.
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
 * Prompts for the server's token.
 * @returns {Promise<boolean>} Whether one was entered.
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
