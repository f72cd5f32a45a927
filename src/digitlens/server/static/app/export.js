// Exports a reading as text to copy, and as JSON and CSV to save.
// @ts-check
import { make } from "./dom.js";
import { amountsOf } from "./numbers.js";
import { textOf, valueOf } from "./reading.js";

// The columns of `digitlens read --csv`, and the user's correction.
const COLUMNS =
  "path,page,line,index,value,confidence,status,x0,y0,x1,y1,starts_number,reason,number,number_text," +
  "number_value,number_kind,number_unit,number_status,number_confidence,corrected";

/** @param {import("./reading.js").Reading} reading */
export function asJson(reading) {
  /** @param {any} part */
  const withWholeBox = ({ tile: _, box, ...rest }) => ({ ...rest, box: box.map(Math.round) });
  const lines = reading.lines.map((line) => line.map(withWholeBox));
  const numbers = reading.numbers.map(withWholeBox);
  const corrected = lines.flat().some((digit) => digit.corrected !== undefined);
  const text = corrected ? { corrected_text: textOf(reading) } : {};
  return `${JSON.stringify({ ...reading, ...text, lines, numbers }, null, 2)}\n`;
}

/** @param {import("./reading.js").Reading} reading */
export function asCsv(reading) {
  const numbers = new Map(
    amountsOf(reading).flatMap(({ digits, text, value, status, number: { kind, unit, confidence } }, index) =>
      digits.map((digit) => [digit, [index, text, value ?? "", kind, unit, status, confidence.toFixed(6)]]),
    ),
  );
  const rows = reading.lines.flatMap((line, number) =>
    line.map((digit, index) => [
      ...[reading.name, reading.page, number, index, digit.value, digit.confidence.toFixed(6)],
      ...[digit.status, ...digit.box.map(Math.round), Number(digit.starts_number), digit.reason],
      ...(numbers.get(digit) ?? Array(7).fill("")),
      digit.corrected === undefined ? "" : (valueOf(digit) ?? "none"),
    ]),
  );
  return csvOf([COLUMNS.split(","), ...rows]);
}

/**
 * CSV with one row per number of the readings.
 * @param {import("./reading.js").Reading[]} readings
 */
export function numbersCsv(readings) {
  const head = "path,page,number,text,value,kind,unit,confidence,status,reason,corrected";
  const rows = readings.flatMap((reading) =>
    amountsOf(reading).map(({ number, text, value, status, reason, corrected }, index) => [
      ...[reading.name, reading.page, index, text, value ?? "", number.kind, number.unit],
      ...[number.confidence.toFixed(6), status, reason, Number(corrected)],
    ]),
  );
  return csvOf([head.split(","), ...rows]);
}

/** @param {any[][]} rows */
export const csvOf = (rows) => rows.map((row) => `${row.map(csvCell).join(",")}\n`).join("");

// Quotes where needed; prefixes text that a spreadsheet would run as a formula, unless a number.
function csvCell(value) {
  const isFormula = /^[=+@\t-]/.test(value) && !/^[-+]?[\d.,]+$/.test(value);
  const text = isFormula ? `'${value}` : `${value}`;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Saves a file as a download. */
export function save(name, type, content) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Copies text; falls back to execCommand, as pages without TLS have no clipboard API. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = make("textarea", { value: text, class: "hidden" });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}
