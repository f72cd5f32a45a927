// Editor for the regions of a template: named rectangles with their constraints, saved as TOML.
// @ts-check
import { byId, make, onClick } from "./dom.js";
import { save } from "./export.js";

/**
 * @typedef {{name: string, kind: string, expect: string, digits: number, decimals: number,
 *   unit: string, box: number[]}} Region
 */

const KINDS = { number: "number", counter: "meter counter", code: "code" };
const MIN_SIDE = 6; // picture pixels: smaller rectangles are accidental
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class RegionsView {
  constructor() {
    this.chosen = -1;
    byId("stage").addEventListener("pointerdown", (event) => this.#startDrag(event));
    byId("region-list").addEventListener("input", (event) => this.#edit(event.target));
    byId("region-list").addEventListener("focusin", ({ target }) => this.#choose(indexOf(target)));
    byId("region-list").addEventListener("keydown", (event) => this.#moveByKey(event));
    onClick("region-add", () => this.#addInMiddle());
    onClick("region-save", () => {
      save("template.toml", "application/toml", asToml(this.shown.entry.name, this.regions));
    });
  }

  /** @returns {Region[]} */
  get regions() {
    return (this.shown.entry.regions ??= []);
  }

  get #size() {
    const { width, height } = this.shown.reading;
    return [width, height, width, height];
  }

  /** Shows the regions of a picture. */
  show(shown) {
    this.shown = shown;
    byId("region-picture").textContent = shown.entry.name;
    this.#paint();
  }

  /** Draws the rectangles on the picture. */
  paintMarks() {
    byId("marks").replaceChildren(...this.regions.map((region, index) => this.#mark(region, index)));
  }

  #mark({ name, box }, index) {
    const [x0, y0, x1, y1] = this.shown.toLayer(box);
    const corner = make("i", { class: "corner" });
    const mark = make("div", { class: "box region", "data-index": index }, make("b", {}, name), corner);
    mark.classList.toggle("chosen", index === this.chosen);
    Object.assign(mark.style, { left: `${x0}px`, top: `${y0}px`, width: `${x1 - x0}px`, height: `${y1 - y0}px` });
    return mark;
  }

  #paint() {
    byId("region-list").replaceChildren(...this.regions.map((region, index) => this.#fields(region, index)));
    this.#checkRegions();
    this.paintMarks();
  }

  #checkRegions() {
    const isDocument = this.shown.reading.page_count > 1;
    const problems = isDocument ? ["A template needs a single-page picture."] : problemsOf(this.regions);
    byId("region-problem").textContent = problems[0] ?? "";
    byId("region-save").disabled = !this.regions.length || problems.length > 0;
  }

  #fields(region, index) {
    const field = (label, key, attributes = {}) => {
      const input = make("input", { value: region[key] || "", autocomplete: "off", "data-key": key, ...attributes });
      return make("label", {}, label, input);
    };
    const kind = make("select", { "data-key": "kind" });
    kind.append(...Object.entries(KINDS).map(([value, words]) => make("option", { value }, words)));
    kind.value = region.kind;
    const position = make("button", { type: "button", class: "text place" }, positionText(region));
    position.setAttribute("aria-label", `Position of ${region.name}: arrow keys move it, with Shift they resize it`);
    const remove = make("button", { type: "button", class: "quiet", "aria-label": `Remove ${region.name}` }, "Remove");
    remove.addEventListener("click", () => this.#remove(index));
    const numeric = { inputMode: "numeric", maxLength: 2 };
    return make(
      "li",
      { "data-index": index },
      ...[field("Name", "name"), make("label", {}, "Kind", kind)],
      ...[field("Expected", "expect"), field("Unit", "unit")],
      ...[field("Digits", "digits", numeric), field("Decimals", "decimals", numeric)],
      make("p", { class: "row" }, position, remove),
    );
  }

  #edit(field) {
    const region = this.regions[indexOf(field)];
    const { key } = field.dataset;
    const isCount = key === "digits" || key === "decimals";
    if (key === "name") field.value = field.value.replace(/[^\w-]/g, "-");
    region[key] = isCount ? Number(field.value.replace(/\D/g, "")) : field.value.trim();
    this.#checkRegions();
    this.paintMarks();
  }

  #choose(index) {
    if (index === this.chosen) return;
    this.chosen = index;
    this.paintMarks();
  }

  #moveByKey(event) {
    const step = STEPS[event.key];
    const field = /** @type {HTMLElement} */ (event.target);
    if (!step || !field.classList.contains("place")) return;
    event.preventDefault();
    const region = this.regions[indexOf(field)];
    const distance = Math.max(1, Math.round(this.#size[0] / 200));
    const [x, y] = step.map((side) => side * distance);
    this.#moveSides(region, event.shiftKey ? [0, 0, x, y] : [x, y, x, y]);
    this.paintMarks();
  }

  /** Moves sides of a region by `offsets`, within the picture and down to MIN_SIDE pixels. */
  #moveSides(region, offsets, before = region.box) {
    const box = before.map((side, i) => Math.round(Math.min(this.#size[i], Math.max(0, side + offsets[i]))));
    const isMove = offsets[0] === offsets[2] && offsets[1] === offsets[3];
    const keepsSize = !isMove || (box[2] - box[0] === before[2] - before[0] && box[3] - box[1] === before[3] - before[1]);
    if (!keepsSize || box[2] - box[0] < MIN_SIDE || box[3] - box[1] < MIN_SIDE) return;
    region.box = box;
    const button = byId("region-list").querySelector(`[data-index="${this.regions.indexOf(region)}"] .place`);
    if (button) button.textContent = positionText(region);
  }

  #addInMiddle() {
    const [width, height] = this.#size;
    const top = (0.4 + 0.05 * this.regions.length) % 0.8; // offset from the previous one
    this.#add([0.3 * width, top * height, 0.7 * width, (top + 0.2) * height].map(Math.round));
    this.#focus(".place");
  }

  #add(box) {
    let number = this.regions.length + 1;
    while (this.regions.some(({ name }) => name === `region-${number}`)) number += 1;
    const defaults = { kind: "number", expect: "", digits: 0, decimals: 0, unit: "" };
    this.chosen = this.regions.push({ name: `region-${number}`, ...defaults, box }) - 1;
    this.#paint();
  }

  #remove(index) {
    this.regions.splice(index, 1);
    this.chosen = -1;
    this.#paint();
    byId("region-add").focus();
  }

  #focus(selector) {
    const field = byId("region-list").querySelector(`[data-index="${this.chosen}"] ${selector}`);
    field?.focus();
    field?.select?.();
  }

  /** Drags out a new rectangle, moves the one under the pointer, or resizes it by its corner. */
  #startDrag(event) {
    if (byId("panels").dataset.view !== "regions" || event.button !== 0) return;
    event.preventDefault();
    const mark = event.target.closest(".region");
    const start = this.#pointOf(event);
    const region = mark && this.regions[indexOf(mark)];
    const sides = event.target.matches(".corner") ? [0, 0, 1, 1] : [1, 1, 1, 1];
    const before = region?.box;
    let drawnBox = null;
    const move = (moved) => {
      const [x, y] = this.#pointOf(moved);
      const offset = [x - start[0], y - start[1]];
      if (region) this.#moveSides(region, sides.map((side, i) => side * offset[i % 2]), before);
      else drawnBox = rectangle(start, [x, y]);
      this.paintMarks();
      if (drawnBox) byId("marks").append(this.#mark({ name: "", box: drawnBox }, -1));
    };
    const dragging = new AbortController();
    const end = () => {
      dragging.abort();
      if (region) this.chosen = this.regions.indexOf(region);
      else if (drawnBox && drawnBox[2] - drawnBox[0] >= MIN_SIDE && drawnBox[3] - drawnBox[1] >= MIN_SIDE) this.#add(drawnBox);
      this.paintMarks();
      if (region || drawnBox) this.#focus('[data-key="name"]');
    };
    addEventListener("pointermove", move, { signal: dragging.signal });
    for (const name of ["pointerup", "pointercancel"]) addEventListener(name, end, { signal: dragging.signal });
  }

  /** Position of a pointer in picture pixels. */
  #pointOf({ clientX, clientY }) {
    const { left, top } = byId("marks").getBoundingClientRect();
    const [x0, y0, x1] = this.shown.toLayer([0, 0, 1, 1]);
    const point = [(clientX - left - x0) / (x1 - x0), (clientY - top - y0) / (x1 - x0)];
    return point.map((side, i) => Math.round(Math.min(this.#size[i], Math.max(0, side))));
  }
}

const indexOf = (element) => Number(element.closest("[data-index]").dataset.index);

const positionText = ({ box: [x0, y0, x1, y1] }) => `${x0}, ${y0}; ${x1 - x0} × ${y1 - y0}`;

const rectangle = (a, b) => [...[0, 1].map((i) => Math.min(a[i], b[i])), ...[0, 1].map((i) => Math.max(a[i], b[i]))];

/** Errors that `digitlens watch` would report. @param {Region[]} regions */
function problemsOf(regions) {
  const names = regions.map(({ name }) => name);
  return regions.flatMap(({ name, kind, digits, decimals }, index) => {
    if (!name) return ["Each region needs a name."];
    if (names.indexOf(name) !== index) return [`Two regions are named ${name}.`];
    if (kind === "counter" && !digits) return [`${name}: a counter needs its number of digits.`];
    if (digits > 18) return [`${name}: at most 18 digits.`];
    return decimals > (digits || 18) ? [`${name}: at most ${digits || 18} decimals.`] : [];
  });
}

/** TOML in the format of `digitlens template`. @param {string} picture @param {Region[]} regions */
function asToml(picture, regions) {
  const parts = regions.map(({ name, box, ...fields }) => {
    const entries = Object.entries(fields).filter(([key, value]) => value && !(key === "kind" && value === "number"));
    const lines = entries.map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
    return `\n[regions.${name}]\nbox = [${box.join(", ")}]\n${lines.join("")}`;
  });
  return `picture = ${JSON.stringify(picture)}\n${parts.join("")}`;
}
