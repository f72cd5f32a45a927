// The numbers of a reading with their values and the user's corrections; draws nothing.
// @ts-check
import { containsCentre, isRejected, percent, statusOf, valueOf, verdictOf } from "./reading.js";

/**
 * @typedef {import("./reading.js").NumberFound} NumberFound
 * @typedef {{number: NumberFound, digits: import("./reading.js").Digit[], text: string,
 *   value: string|null, status: "number"|"unsure", reason: string, corrected: boolean}} Amount
 */

const MIN_OFFERED = 0.01; // least probability of an alternative offered

/**
 * The numbers of a reading in its order, each with its digits and its text and value as corrected.
 * @param {import("./reading.js").Reading} reading
 * @returns {Amount[]}
 */
export function amountsOf(reading) {
  const digits = reading.lines.flat();
  const amounts = reading.numbers.map((number) => {
    const inside = digits.filter((digit) => containsCentre(number.box, digit.box) && !isRejected(digit));
    return makeAmount(number, inside.length === number.digits.length ? inside : []);
  });
  return amounts.filter(({ digits, text }) => !digits.length || /\d/.test(text));
}

/** Uncertain numbers first; otherwise in page order. */
export function doubtfulFirst(amounts) {
  return [true, false].flatMap((isUnsure) => amounts.filter(({ status }) => (status === "unsure") === isUnsure));
}

/** Choices for a number, as text and value: as read, and its alternatives. */
export function choicesOf({ number, text, value, corrected }) {
  const others = number.alternatives.filter(({ probability }) => probability >= MIN_OFFERED);
  const choices = [{ text: number.text, value: number.value, probability: number.confidence }, ...others];
  return corrected ? choices.filter((each) => each.text !== text || each.value !== value) : choices;
}

/** What the text of a number does not show: its value, kind and unit. */
export function meaningOf({ number: { kind, unit }, text, value }) {
  const valueText = value !== null && value !== text ? `= ${value}` : "";
  return [valueText, kind, unit && !text.includes(unit) ? unit : ""].filter(Boolean).join(" ");
}

/**
 * The verdict on a reading; uncertain also if all digits are sure but a number is not.
 * @param {import("./reading.js").Reading} reading
 */
export function verdict(reading) {
  const ofDigits = verdictOf(reading);
  const doubtful = amountsOf(reading).find(({ status }) => status === "unsure");
  if (ofDigits.status !== "digit" || !doubtful) return ofDigits;
  return { status: "unsure", text: `Not sure about ${doubtful.text}: ${doubtful.reason}.` };
}

/** @returns {Amount} */
function makeAmount(number, digits) {
  const hasCorrections = digits.some(({ corrected }) => corrected !== undefined);
  const correction = number.corrected ?? (hasCorrections ? applyCorrections(number, digits) : undefined);
  // A corrected digit means that the user checked the number: only other digits may be uncertain.
  const isDoubtful = (digit) => statusOf(digit) === "unsure";
  const isUnsure = number.corrected ? false : hasCorrections ? digits.some(isDoubtful) : number.status === "unsure";
  const doubt = hasCorrections ? "another digit is uncertain" : number.reason;
  return {
    ...{ number, digits, text: number.text, value: number.value, ...correction },
    ...{ status: isUnsure ? "unsure" : "number", reason: isUnsure ? doubt : "" },
    corrected: Boolean(correction),
  };
}

/** The text with its corrected digits, and its value if that consists of the same digits. */
function applyCorrections(number, digits) {
  const values = digits.map((digit) => valueOf(digit) ?? "");
  const replaceDigits = (text) => {
    let next = 0;
    return text.replace(/\d/g, () => `${values[next++] ?? ""}`);
  };
  const text = replaceDigits(number.text);
  const match = number.alternatives.find((each) => each.text === text);
  const isPlain = number.value?.replace(/\D/g, "") === number.digits && !/date|time/.test(number.kind);
  const isComplete = values.every((each) => each !== "");
  return { text, value: match?.value ?? (isPlain && isComplete ? replaceDigits(number.value) : null) };
}

/** The confidence of a number as text. */
export const confidenceText = ({ number, corrected }) =>
  (corrected ? "corrected" : `${percent(number.confidence)} %`);
