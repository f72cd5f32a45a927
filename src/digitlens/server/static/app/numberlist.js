// The list of numbers with their values: uncertain ones first, each with its alternatives.
// @ts-check
import { byId, make } from "./dom.js";
import { amountsOf, choicesOf, doubtfulFirst, meaningOf, sureness } from "./numbers.js";
import { chance } from "./reading.js";

/**
 * @typedef {import("./numbers.js").Amount} Amount
 * @typedef {{select: (amount: Amount) => void, choose: (amount: Amount, said: import("./reading.js").Said) => void,
 *   takeBack: (amount: Amount) => void}} Actions
 */

/** @param {Actions} actions */
export function startNumbers(actions) {
  const list = byId("number-list");
  list.addEventListener("keydown", (event) => steer(list, event));
  return (reading, selected) => paint(list, reading, selected, actions);
}

/** @param {Actions} actions */
function paint(list, reading, selected, actions) {
  const amounts = reading ? amountsOf(reading) : [];
  const [alone] = amounts;
  // The digits alone say everything about a lone integer.
  const isPlain = amounts.length === 1 && alone.number.status === "number" && /^\d+$/.test(alone.text);
  byId("numbers").hidden = !amounts.length || isPlain;
  const doubtful = amounts.filter(({ status }) => status === "unsure").length;
  byId("numbers-count").textContent = doubtful ? `${doubtful} of ${amounts.length} uncertain` : "";
  const held = list.contains(document.activeElement) && document.activeElement.closest("li");
  const numbers = doubtfulFirst(amounts);
  const items = numbers.map((amount) => item(amount, amount.digits.includes(selected), actions));
  list.replaceChildren(...items);
  const chosen = items.find((each) => each.querySelector('[aria-pressed="true"]'));
  rove(items, chosen ?? items[0]);
  if (held) items[numbers.findIndex(({ number }) => number.text === held.dataset.text)]?.firstChild.focus();
}

/**
 * @param {Amount} amount
 * @param {boolean} isChosen
 * @param {Actions} actions
 */
function item(amount, isChosen, { select, choose, takeBack }) {
  const { status, text, reason, corrected, number } = amount;
  const label = `${text} ${meaningOf(amount)}, ${sureness(amount)}${reason && `, not sure: ${reason}`}`;
  const head = make(
    "button",
    { type: "button", class: `amount ${status}`, "aria-pressed": isChosen, "aria-label": label },
    ...[make("b", {}, text), make("span", {}, meaningOf(amount)), make("i", {}, sureness(amount))],
  );
  head.addEventListener("click", () => select(amount));
  const others = choicesOf(amount).map((each) => {
    const words = each.value && each.value !== each.text ? `${each.text} = ${each.value}` : each.text;
    const button = make("button", { type: "button", class: "text" }, words, make("small", {}, chance(each.probability)));
    button.addEventListener("click", () => choose(amount, each));
    return button;
  });
  if (corrected) {
    const back = make("button", { type: "button", class: "quiet" }, "Undo correction");
    back.addEventListener("click", () => takeBack(amount));
    others.push(back);
  }
  const more = status === "unsure" || corrected ? others : [];
  return make(
    "li",
    { "data-text": number.text },
    head,
    ...(reason ? [make("p", { class: "fine" }, reason)] : []),
    ...(more.length ? [make("p", { class: "row", role: "group", "aria-label": `Alternatives for ${text}` }, ...more)] : []),
  );
}

/** Roving tabindex: Tab reaches one item and its buttons, arrow keys move to the others. */
function rove(items, current) {
  for (const each of items) {
    for (const button of each.querySelectorAll("button")) button.tabIndex = each === current ? 0 : -1;
  }
}

function steer(list, event) {
  const items = [...list.children];
  const at = items.indexOf(/** @type {Element} */ (event.target).closest("li"));
  const steps = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: items.length - 1 };
  const next = items[steps[event.key]];
  if (!next) return;
  event.preventDefault();
  rove(items, next);
  next.firstChild.focus();
}
