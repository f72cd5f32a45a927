// The table on a picture: cells editable by keyboard, uncertain ones marked; CSV and Excel export.
// @ts-check
import { readTables } from "./backend.js";
import { byId, make, onClick } from "./dom.js";
import { csvOf, save } from "./export.js";
import { chance } from "./reading.js";
import { workbook } from "./xlsx.js";

/**
 * @typedef {import("./reading.js").Content} Content
 * @typedef {Content & {kind: string|null, confidence: number, reason: string, quad: number[][],
 *   status: "number"|"words"|"empty"|"unsure", alternatives: (Content & {probability: number})[],
 *   corrected?: Content}} Cell
 */

const EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const MAX_WIDTH = 24; // characters per column

const RULE_PROBLEMS = {
  sudoku: " The cells form no valid Sudoku: they are shown as read, without its rules.",
  total: " A column does not add up to its last row: it was misread, or has no total.",
};

const isUnsure = (cell) => cell.status === "unsure" && !cell.corrected;
const contentOf = (cell) => cell.corrected ?? cell;

export class TableView {
  /** @param {{fail: (error: any, retry?: () => void) => void}} page */
  constructor(page) {
    this.page = page;
    /** @type {Cell[][]} */ this.rows = [];
    this.at = [0, 0];
    byId("cells").addEventListener("keydown", (event) => this.#moveFocus(event));
    byId("cells").addEventListener("focusin", (event) => this.#onFocus(event.target));
    byId("cells").addEventListener("input", ({ target }) => this.#onInput(target));
    byId("table-form").addEventListener("submit", (event) => event.preventDefault());
    for (const id of ["grid", "rules"]) byId(id).addEventListener("change", () => this.#requestTables());
    onClick("next-doubtful", () => this.#nextDoubtful());
    onClick("table-csv", () => {
      const texts = this.rows.map((row) => row.map((cell) => contentOf(cell).text));
      save(`${this.#stem}.csv`, "text/csv", csvOf(texts));
    });
    onClick("table-xlsx", () => {
      const cells = (cell) => ({ ...contentOf(cell), kind: cell.kind, unsure: isUnsure(cell) });
      save(`${this.#stem}.xlsx`, EXCEL, workbook(this.rows.map((row) => row.map(cells))));
    });
  }

  get #stem() {
    return `${this.shown.entry.name.replace(/\.\w+$/, "") || "picture"}-table`;
  }

  /** Shows the table of a picture; reads it the first time. */
  show(shown) {
    this.shown = shown;
    if (shown.entry.tables) this.#paint();
    else this.#requestTables();
  }

  /** Marks the uncertain cells and the one being edited on the picture. */
  paintMarks() {
    if (byId("panels").dataset.view !== "table") return; // the view changed during the request
    const marks = this.rows.flatMap((row, r) =>
      row.flatMap((cell, c) => {
        const isCurrent = this.at[0] === r && this.at[1] === c;
        return isUnsure(cell) || isCurrent ? [this.#mark(cell, isCurrent)] : [];
      }),
    );
    byId("marks").replaceChildren(...marks);
  }

  #mark(cell, isCurrent) {
    const [x0, y0, x1, y1] = this.shown.toLayer(boxOf(cell));
    const mark = make("div", { class: `box ${isUnsure(cell) ? "unsure" : "digit"}${isCurrent ? " chosen" : ""}` });
    Object.assign(mark.style, { left: `${x0}px`, top: `${y0}px`, width: `${x1 - x0}px`, height: `${y1 - y0}px` });
    return mark;
  }

  async #requestTables() {
    this.controller?.abort();
    const controller = (this.controller = new AbortController());
    const { entry } = this.shown;
    const options = { grid: byId("grid").value.trim().replace(/\s*[×,*]\s*/, "x"), rules: byId("rules").value };
    this.rows = [];
    this.#paintCells();
    this.#showVerdict("Reading the table …");
    try {
      const tables = await readTables(entry.file, { ...options, signal: controller.signal });
      if (controller.signal.aborted) return;
      entry.tables = tables;
      if (this.shown.entry === entry) this.#paint();
    } catch (error) {
      if (controller.signal.aborted || this.shown.entry !== entry) return;
      this.#showVerdict(error.message, "rejected");
      if (error.kind === "token") this.page.fail(error, () => this.#requestTables());
    }
  }

  #showVerdict(text, status = "") {
    byId("table-verdict").textContent = text;
    byId("table-verdict").className = `verdict ${status}`;
  }

  #paint() {
    const { tables, page } = this.shown.entry;
    const table = tables[page];
    this.rows = table.rows;
    const first = this.#doubtfulPlaces()[0];
    this.at = first ?? [0, 0];
    this.kept = table.kept ? "" : (RULE_PROBLEMS[table.rule] ?? "");
    this.#paintCells();
    this.#summarise();
  }

  #doubtfulPlaces() {
    return this.rows.flatMap((row, r) => row.flatMap((cell, c) => (isUnsure(cell) ? [[r, c]] : [])));
  }

  #summarise() {
    const [count, columns] = [this.#doubtfulPlaces().length, this.rows[0]?.length ?? 0];
    const doubt = count ? `${count} ${count === 1 ? "cell is" : "cells are"} uncertain.` : "All sure.";
    const size = `${this.rows.length} rows, ${columns} columns. `;
    this.#showVerdict(size + doubt + this.kept, count || this.kept ? "unsure" : "digit");
    byId("next-doubtful").hidden = !count;
    this.paintMarks();
  }

  #paintCells() {
    byId("table-save").hidden = !this.rows.length;
    byId("cell-note").textContent = "";
    byId("cell-choices").replaceChildren();
    const widths = (this.rows[0] ?? []).map((_, c) =>
      Math.min(MAX_WIDTH, Math.max(3, ...this.rows.map((row) => contentOf(row[c]).text.length))),
    );
    const rows = this.rows.map((row, r) =>
      make("tr", {}, ...row.map((cell, c) => make("td", {}, this.#field(cell, r, c, widths[c])))),
    );
    byId("cells").replaceChildren(make("tbody", {}, ...rows));
  }

  #field(cell, r, c, size) {
    const field = make("input", { size, autocomplete: "off", spellcheck: false, "data-at": `${r} ${c}` });
    this.#updateField(field, cell, r, c);
    return field;
  }

  #updateField(field, cell, r, c) {
    const { text } = contentOf(cell);
    if (field.value !== text) field.value = text;
    field.className = isUnsure(cell) ? "unsure" : cell.corrected ? "corrected" : "";
    field.tabIndex = this.at[0] === r && this.at[1] === c ? 0 : -1;
    const doubt = isUnsure(cell) ? `, not sure: ${cell.reason}` : "";
    field.setAttribute("aria-label", `Row ${r + 1}, column ${c + 1}${doubt}`);
  }

  /** @param {number[]} place */
  #fieldAt([r, c]) {
    return byId("cells").rows[r]?.cells[c]?.firstChild;
  }

  #onFocus(field) {
    const previous = this.#fieldAt(this.at);
    if (previous) previous.tabIndex = -1;
    field.tabIndex = 0;
    this.at = field.dataset.at.split(" ").map(Number);
    this.#showNote();
    this.paintMarks();
    this.shown.reveal?.(boxOf(this.#current));
  }

  get #current() {
    return this.rows[this.at[0]][this.at[1]];
  }

  #showNote() {
    const cell = this.#current;
    const note = cell.corrected ? `Read as ${cell.text || "empty"}. Escape reverts to it.` : cell.reason;
    byId("cell-note").textContent = `Row ${this.at[0] + 1}, column ${this.at[1] + 1}${note ? `: ${note}` : ""}`;
    const asRead = { text: cell.text, value: cell.value, probability: cell.confidence };
    const choices = isUnsure(cell) ? [asRead, ...cell.alternatives.slice(0, 3)] : [];
    byId("cell-choices").replaceChildren(...choices.map((choice) => this.#choiceButton(choice)));
  }

  #choiceButton(choice) {
    const text = choice.text || "empty";
    const label = choice.value && choice.value !== choice.text ? `${text} = ${choice.value}` : text;
    const button = make("button", { type: "button", class: "text" }, label, make("small", {}, chance(choice.probability)));
    button.addEventListener("click", () => {
      this.#correct({ text: choice.text, value: choice.value });
      this.#fieldAt(this.at).focus();
    });
    return button;
  }

  /** Corrects the focused cell; undefined restores it as read. */
  #correct(correction) {
    const cell = this.#current;
    if (correction) cell.corrected = correction;
    else delete cell.corrected;
    this.#updateField(this.#fieldAt(this.at), cell, ...this.at);
    this.#showNote();
    this.#summarise();
  }

  #onInput({ value: text }) {
    this.#correct({ text, value: /^-?\d+(\.\d+)?$/.test(text) ? text : null });
  }

  #nextDoubtful() {
    const places = this.#doubtfulPlaces();
    const [r, c] = this.at;
    const next = places.find(([y, x]) => y > r || (y === r && x > c)) ?? places[0];
    this.#fieldAt(next)?.focus();
  }

  #moveFocus(event) {
    const field = event.target;
    const [r, c] = this.at;
    const isAllSelected = field.selectionStart === 0 && field.selectionEnd === field.value.length;
    const isAtStart = isAllSelected || (field.selectionStart === 0 && field.selectionEnd === 0);
    const isAtEnd = isAllSelected || field.selectionStart === field.value.length;
    const steps = { ArrowUp: [r - 1, c], ArrowDown: [r + 1, c], Enter: [r + 1, c] };
    if (isAtStart) steps.ArrowLeft = [r, c - 1];
    if (isAtEnd) steps.ArrowRight = [r, c + 1];
    if (event.key === "Escape") this.#correct(undefined);
    const next = steps[event.key] && this.#fieldAt(steps[event.key]);
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.select();
  }
}

/** @param {Cell} cell */
function boxOf({ quad }) {
  const [xs, ys] = [0, 1].map((side) => quad.map((point) => point[side]));
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}
