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

const UNREACHABLE = "The server does not respond. It may have stopped, or the network is down.";
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
const RETRIES = 4; // retries while the server is busy

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
  return MODE === "browser" ? readLocally(picture, options) : readOnServer(picture, options);
}

/** The constraints that the user entered. */
export const constraints = { expect: "", decimal: "" };

/** Name and hash of the model; empty before the first reading. */
export const model = { name: "", sha256: "" };

let reader;

/**
 * Loads the reader that runs in this browser; does nothing in server mode.
 * @param {(share: number) => void} [onProgress] Receives the fraction loaded, 0 to 1.
 */
export async function prepare(onProgress = () => {}) {
  if (MODE !== "browser") return;
  const report = ({ loaded, total }) => onProgress(loaded / Math.max(1, total));
  reader ??= import("../reader/index.js").then(({ createReader }) =>
    createReader(new URL(".", document.baseURI).href, { onProgress: report }),
  );
  Object.assign(model, (await reader).model);
}

/** @param {Picture} picture @param {Options} options */
async function readLocally(picture, { signal }) {
  try {
    await prepare();
  } catch (error) {
    reader = undefined;
    throw new ReadError("away", `Cannot load the reader: ${error.message}`);
  }
  const pixels = picture.pixels ?? pixelsOf(picture.bitmap);
  const start = performance.now();
  const reading = await (await reader).read(pixels, { ...constraints, tiles: true }).catch(asReadError);
  signal?.throwIfAborted();
  const seconds = (performance.now() - start) / 1000;
  return [{ name: "", page: 1, page_count: 1, seconds, ...reading }];
}

/** Turns the RangeError with which a reader rejects an invalid pattern into a ReadError. */
function asReadError(error) {
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

async function readOnServer(picture, options) {
  const body = picture.file ?? (await asPng(picture.pixels));
  for (let attempt = 0; ; attempt += 1) {
    const response = await requestReading(body, options);
    if (response.ok) return takeAnswer(response);
    const patient = options.patient && response.status === 429 && attempt < RETRIES;
    if (!patient) throw await problemOf(response);
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
export async function reconstruct(tile, signal) {
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

/** Query parameters: the constraints, and those in `extra`. */
function queryOf(extra) {
  const entries = Object.entries(constraints).filter(([, value]) => value);
  return new URLSearchParams({ ...extra, ...Object.fromEntries(entries) });
}

function requestReading(body, { signal }) {
  const type = body.type || "application/octet-stream";
  return post(`v1/read?${queryOf({ tiles: "true" })}`, body, signal, { "Content-Type": type });
}

async function post(address, body, signal, extra = {}) {
  const headers = { ...extra, ...authorization() };
  try {
    return await fetch(address, { method: "POST", body, headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ReadError("away", UNREACHABLE);
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
  if (constraints.decimal) form.append("decimal", constraints.decimal);
  const entries = Object.entries(options).filter(([, value]) => value);
  const response = await post(`v1/table?${new URLSearchParams(entries)}`, form, signal);
  if (!response.ok) throw await problemOf(response);
  return (await response.json()).tables;
}

async function takeAnswer(response) {
  const answer = await response.json();
  Object.assign(model, answer.model);
  return answer.readings;
}

async function problemOf(response) {
  const problem = await response.json().catch(() => ({}));
  const isInvalid = response.status === 422 && /:invalid$/.test(problem.type);
  const kind = isInvalid ? "known" : (KINDS[response.status] ?? "other");
  const detail = String(problem.detail ?? problem.title ?? "");
  return new ReadError(kind, [ADVICE[kind], detail].filter(Boolean).join(" "));
}

function pause(seconds, signal) {
  const delay = Math.min(5, Math.max(0.2, Number(seconds) || 0.5));
  return new Promise((resolve, reject) => {
    setTimeout(resolve, 1000 * delay);
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
    let isEntered = false;
    byId("token-form").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(TOKEN, field.value);
      isEntered = true;
      dialog.close();
    };
    byId("token-close").onclick = () => dialog.close();
    dialog.onclose = () => resolve(isEntered);
    field.value = "";
    dialog.showModal();
  });
}
