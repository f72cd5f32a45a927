// The numbers of a reading with their values and the user's corrections; draws nothing.
// @ts-check
import { holds, isRejected, percent, statusOf, valueOf, verdictOf } from "./reading.js";

/**
 * @typedef {import("./reading.js").NumberFound} NumberFound
 * @typedef {{number: NumberFound, digits: import("./reading.js").Digit[], text: string,
 *   value: string|null, status: "number"|"unsure", reason: string, corrected: boolean}} Amount
 */

const LEAST = 0.01; // least probability of an alternative offered

/**
 * The numbers of a reading in its order, each with its digits and its text and value as corrected.
 * @param {import("./reading.js").Reading} reading
 * @returns {Amount[]}
 */
export function amountsOf(reading) {
  const digits = reading.lines.flat();
  const amounts = reading.numbers.map((number) => {
    const own = digits.filter((digit) => holds(number.box, digit.box) && !isRejected(digit));
    return amount(number, own.length === number.digits.length ? own : []);
  });
  return amounts.filter(({ digits, text }) => !digits.length || /\d/.test(text));
}

/** Uncertain numbers first; otherwise in page order. */
export function doubtfulFirst(amounts) {
  return [true, false].flatMap((first) => amounts.filter(({ status }) => (status === "unsure") === first));
}

/** Choices for a number, as text and value: as read, and its alternatives. */
export function choicesOf({ number, text, value, corrected }) {
  const others = number.alternatives.filter(({ probability }) => probability >= LEAST);
  const all = [{ text: number.text, value: number.value, probability: number.confidence }, ...others];
  return corrected ? all.filter((each) => each.text !== text || each.value !== value) : all;
}

/** What the text of a number does not show: its value, kind and unit. */
export function meaningOf({ number: { kind, unit }, text, value }) {
  const says = value !== null && value !== text ? `= ${value}` : "";
  return [says, kind, unit && !text.includes(unit) ? unit : ""].filter(Boolean).join(" ");
}

/**
 * The verdict on a reading; uncertain also if all digits are sure but a number is not.
 * @param {import("./reading.js").Reading} reading
 */
export function verdict(reading) {
  const told = verdictOf(reading);
  const doubtful = amountsOf(reading).find(({ status }) => status === "unsure");
  if (told.status !== "digit" || !doubtful) return told;
  return { status: "unsure", text: `Not sure about ${doubtful.text}: ${doubtful.reason}.` };
}

/** @returns {Amount} */
function amount(number, digits) {
  const touched = digits.some(({ corrected }) => corrected !== undefined);
  const settled = number.corrected ?? (touched ? rewritten(number, digits) : undefined);
  // A corrected digit means that the user checked the number: only other digits may be uncertain.
  const isDoubtful = (digit) => statusOf(digit) === "unsure";
  const unsure = number.corrected ? false : touched ? digits.some(isDoubtful) : number.status === "unsure";
  const doubt = touched ? "another digit is uncertain" : number.reason;
  return {
    ...{ number, digits, text: number.text, value: number.value, ...settled },
    ...{ status: unsure ? "unsure" : "number", reason: unsure ? doubt : "" },
    corrected: Boolean(settled),
  };
}

/** The text with its corrected digits, and its value if that consists of the same digits. */
function rewritten(number, digits) {
  const now = digits.map((digit) => valueOf(digit) ?? "");
  const replaced = (text) => {
    let next = 0;
    return text.replace(/\d/g, () => `${now[next++] ?? ""}`);
  };
  const text = replaced(number.text);
  const known = number.alternatives.find((each) => each.text === text);
  const isPlain = number.value?.replace(/\D/g, "") === number.digits && !/date|time/.test(number.kind);
  const isWhole = now.every((each) => each !== "");
  return { text, value: known?.value ?? (isPlain && isWhole ? replaced(number.value) : null) };
}

/** The confidence of a number as text. */
export const sureness = ({ number, corrected }) =>
  (corrected ? "corrected" : `${percent(number.confidence)} %`);
