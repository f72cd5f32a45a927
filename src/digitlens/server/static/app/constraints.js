// The form for constraints on the numbers: what is expected, and the decimal mark.
// @ts-check
import { constraints, MODE } from "./backend.js";
import { byId } from "./dom.js";

const SHAPES = "Number of digits, or a pattern with # for each digit";
const HELP = {
  server: `${SHAPES}; or range 0..500, >= 7, one of 12, 15, luhn, ean, isbn, iban. Several: 5; luhn.`,
  browser: `${SHAPES}.`,
};

/** @param {() => void} changed Called when a constraint changes. */
export function startConstraints(changed) {
  byId("expect-help").textContent = HELP[MODE];
  const apply = () => {
    const entered = { expect: byId("expect").value.trim(), decimal: byId("decimal").value };
    if (entered.expect === constraints.expect && entered.decimal === constraints.decimal) return;
    Object.assign(constraints, entered);
    const mark = { "": "", ".": "decimal point", ",": "decimal comma" }[entered.decimal];
    byId("known-text").textContent = [entered.expect, mark].filter(Boolean).join(", ");
    changed();
  };
  for (const id of ["expect", "decimal"]) byId(id).addEventListener("change", apply);
  byId("known-form").addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  byId("expect").addEventListener("keydown", (event) => {
    if (event.key === "Escape") byId("expect").value = constraints.expect;
  });
}
