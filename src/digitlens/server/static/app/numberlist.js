// The list of numbers with their values: uncertain ones first, each with its alternatives.
// @ts-check
import { byId, make } from "./dom.js";
import { amountsOf, choicesOf, doubtfulFirst, meaningOf, confidenceText } from "./numbers.js";
import { chance } from "./reading.js";

/**
 * @typedef {import("./numbers.js").Amount} Amount
 * @typedef {{select: (amount: Amount) => void, choose: (amount: Amount, choice: import("./reading.js").Content) => void,
 *   undoCorrection: (amount: Amount) => void}} Actions
 */

/** @param {Actions} actions */
export function startNumbers(actions) {
  const list = byId("number-list");
  list.addEventListener("keydown", (event) => moveFocus(list, event));
  return (reading, selected) => paintList(list, reading, selected, actions);
}

/** @param {Actions} actions */
function paintList(list, reading, selected, actions) {
  const amounts = reading ? amountsOf(reading) : [];
  const [only] = amounts;
  // The digits alone say everything about a lone integer.
  const isPlain = amounts.length === 1 && only.number.status === "number" && /^\d+$/.test(only.text);
  byId("numbers").hidden = !amounts.length || isPlain;
  const doubtful = amounts.filter(({ status }) => status === "unsure").length;
  byId("numbers-count").textContent = doubtful ? `${doubtful} of ${amounts.length} uncertain` : "";
  const focused = list.contains(document.activeElement) && document.activeElement.closest("li");
  const numbers = doubtfulFirst(amounts);
  const items = numbers.map((amount) => makeItem(amount, amount.digits.includes(selected), actions));
  list.replaceChildren(...items);
  const chosen = items.find((each) => each.querySelector('[aria-pressed="true"]'));
  setTabStops(items, chosen ?? items[0]);
  if (focused) items[numbers.findIndex(({ number }) => number.text === focused.dataset.text)]?.firstChild.focus();
}

/**
 * @param {Amount} amount
 * @param {boolean} isChosen
 * @param {Actions} actions
 */
function makeItem(amount, isChosen, { select, choose, undoCorrection }) {
  const { status, text, reason, corrected, number } = amount;
  const label = `${text} ${meaningOf(amount)}, ${confidenceText(amount)}${reason && `, not sure: ${reason}`}`;
  const head = make(
    "button",
    { type: "button", class: `amount ${status}`, "aria-pressed": isChosen, "aria-label": label },
    ...[make("b", {}, text), make("span", {}, meaningOf(amount)), make("i", {}, confidenceText(amount))],
  );
  head.addEventListener("click", () => select(amount));
  const others = choicesOf(amount).map((each) => {
    const choiceText = each.value && each.value !== each.text ? `${each.text} = ${each.value}` : each.text;
    const button = make("button", { type: "button", class: "text" }, choiceText, make("small", {}, chance(each.probability)));
    button.addEventListener("click", () => choose(amount, each));
    return button;
  });
  if (corrected) {
    const undoButton = make("button", { type: "button", class: "quiet" }, "Undo correction");
    undoButton.addEventListener("click", () => undoCorrection(amount));
    others.push(undoButton);
  }
  const buttons = status === "unsure" || corrected ? others : [];
  return make(
    "li",
    { "data-text": number.text },
    head,
    ...(reason ? [make("p", { class: "fine" }, reason)] : []),
    ...(buttons.length ? [make("p", { class: "row", role: "group", "aria-label": `Alternatives for ${text}` }, ...buttons)] : []),
  );
}

/** Roving tabindex: Tab reaches one item and its buttons, arrow keys move to the others. */
function setTabStops(items, current) {
  for (const each of items) {
    for (const button of each.querySelectorAll("button")) button.tabIndex = each === current ? 0 : -1;
  }
}

function moveFocus(list, event) {
  const items = [...list.children];
  const index = items.indexOf(/** @type {Element} */ (event.target).closest("li"));
  const steps = { ArrowUp: index - 1, ArrowDown: index + 1, Home: 0, End: items.length - 1 };
  const next = items[steps[event.key]];
  if (!next) return;
  event.preventDefault();
  setTabStops(items, next);
  next.firstChild.focus();
}
