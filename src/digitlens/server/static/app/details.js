// The selected digit: tile, ten probabilities, alternatives, and keys to correct it.
// @ts-check
import { reconstruct } from "./backend.js";
import { byId, make } from "./dom.js";
import { bytesOf } from "./corrections.js";
import { tilePixels } from "./raster.js";
import { alternatives, chance, percent, statusOf, valueOf } from "./reading.js";

/** Creates the bars and keys once; `correct` receives the correct digit, or "none". */
export function startDetails(correct) {
  const bars = Array.from({ length: 10 }, (_, value) =>
    make("li", {}, make("span", {}), make("i", {}), make("b", {}, `${value}`)),
  );
  byId("bars").replaceChildren(...bars);
  const keys = Array.from({ length: 10 }, (_, value) => key(`${value}`, () => correct(value)));
  byId("pad").replaceChildren(...keys, key("Not a digit", () => correct("none")));
  byId("wrong").addEventListener("click", () => openPad(byId("pad").hidden));
}

/** Shows or hides the correction keys. */
export function openPad(open) {
  byId("pad").hidden = !open;
  byId("wrong").setAttribute("aria-expanded", String(open));
}

function key(text, press) {
  const button = make("button", { type: "button" }, text);
  button.addEventListener("click", press);
  return button;
}

/**
 * @param {import("./reading.js").Digit|undefined} digit
 * @param {number} index
 * @param {number} count
 */
export function showDetails(digit, index, count) {
  byId("details").hidden = !digit;
  if (!digit) return;
  byId("details-title").textContent = count > 1 ? `Digit ${index + 1} of ${count}` : "This digit";
  byId("details").dataset.status = statusOf(digit);
  paintTile(digit);
  showReconstruction(digit);
  paintBars(digit);
  byId("facts").replaceChildren(...factsOf(digit));
  byId("uncorrect").hidden = digit.corrected === undefined;
  for (const button of byId("pad").children) {
    const value = valueOf(digit);
    const text = value === null ? "Not a digit" : `${value}`;
    button.setAttribute("aria-pressed", String(button.textContent === text));
  }
}

function paintTile(digit) {
  const canvas = byId("tile");
  canvas.setAttribute("aria-label", "Network input: bright ink on dark, 28 by 28 pixels");
  canvas.parentElement.hidden = !digit.tile;
  if (!digit.tile) return;
  canvas.getContext("2d").putImageData(tilePixels(bytesOf(digit.tile)), 0, 0);
}

let request;

/**
 * Shows the autoencoder's reconstruction of the selected digit once the server returns it; hides
 * it if there is none, as without a server.
 * @param {import("./reading.js").Digit} digit
 */
async function showReconstruction({ tile }) {
  if (tile && tile === request?.tile) return;
  request?.control.abort();
  const current = (request = { tile, control: new AbortController() });
  const result = tile ? await reconstruct(tile, current.control.signal).catch(() => undefined) : undefined;
  if (current !== request) return; // another digit was selected meanwhile
  byId("again").hidden = !result;
  if (result) paintReconstruction(result);
}

function paintReconstruction({ tile, error, drawn_better }) {
  const context = byId("again-tile").getContext("2d");
  context.putImageData(tilePixels(bytesOf(tile), [0.34, 0.71, 0.91]), 0, 0);
  const share = Math.round(100 * drawn_better);
  byId("again-text").textContent =
    `Reconstructed by the autoencoder with error ${error.toFixed(3)}; ` +
    `${share} % of MNIST’s digits have a smaller one.`;
}

function paintBars(digit) {
  [...byId("bars").children].forEach((row, value) => {
    const share = digit.probabilities[value];
    const [text, bar] = row.children;
    row.classList.toggle("first", value === digit.value);
    row.setAttribute("aria-label", `${value}: ${chance(share)}`);
    text.textContent = share >= 0.01 ? `${percent(share)}` : "";
    bar.style.height = `${Math.max(1, 70 * share)}px`;
  });
}

function factsOf(digit) {
  const parts = [make("strong", { class: `sign ${statusOf(digit)}` }, headlineOf(digit))];
  if (digit.corrected === undefined && digit.reason) parts.push(` ${asSentence(digit.reason)}`);
  else if (digit.corrected === undefined) {
    const likeliest = alternatives(digit, 0.01).slice(0, 2);
    const text = likeliest.map(([value, share]) => `${value} (${chance(share)})`).join(" or ");
    const otherwise = text ? `otherwise ${text}` : "no alternative above 1 %";
    parts.push(` ${percent(digit.confidence)} % sure, ${otherwise}.`);
  }
  return parts;
}

function headlineOf(digit) {
  if (digit.corrected === "none") return `Marked as not a digit; read as ${digit.value}.`;
  if (digit.corrected !== undefined) {
    const read = digit.status === "rejected" ? "not a digit" : digit.value;
    return `Corrected to ${digit.corrected}; read as ${read}.`;
  }
  if (digit.status === "rejected") return "Not a digit.";
  return digit.status === "unsure" ? `Not sure: ${digit.value}.` : `${digit.value}.`;
}

const asSentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;
