// The drawing canvas: pen, eraser and keyboard, smooth at any pixel density.
// @ts-check
import { paintStroke } from "./strokes.js";

const PALM_MS = 600; // ms after stylus input during which touches are ignored as the palm
const STEP = 8; // pixels per arrow key
const SLIP = 4; // pixels a pointer must move on a label before it draws
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Paper {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement|null} labels Clickable layer over the canvas; a stroke may begin on it.
   * @param {import("./strokes.js").Drawing} drawing
   * @param {{moved: () => void, lifted: () => void}} listeners
   */
  constructor(canvas, labels, drawing, listeners) {
    this.canvas = canvas;
    this.drawing = drawing;
    this.listeners = listeners;
    this.onView = () => {};
    this.tool = "pen";
    this.width = 14;
    this.scale = 1;
    this.context = canvas.getContext("2d");
    this.stroke = null;
    this.pointer = null;
    this.labelPress = null; // pointerdown on a label, not moved yet
    this.lastPenTime = -Infinity;
    this.cursor = null; // pen position under keyboard control, in drawing coordinates
    this.#listen(labels);
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  /** Fits the canvas to its layout size; a drawing that no longer fits is scaled down. */
  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const [, , right, bottom] = this.drawing.bounds ?? [0, 0, 0, 0];
    this.scale = Math.min(1, width / Math.max(1, right + 4), height / Math.max(1, bottom + 4));
    this.density = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * this.density);
    this.canvas.height = Math.round(height * this.density);
    this.repaint();
    this.onView?.();
  }

  /** Repaints everything. */
  repaint() {
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.#setStyle();
    this.drawing.paint(this.context, this.ink);
    if (this.cursor && document.activeElement === this.canvas) this.#paintCursor();
  }

  #setStyle() {
    const density = this.density * this.scale;
    this.context.setTransform(density, 0, 0, density, 0, 0);
    this.ink = getComputedStyle(this.canvas).color;
  }

  #listen(labels) {
    const { canvas } = this;
    labels?.addEventListener("pointerdown", (event) => (this.labelPress = canvas.hidden ? null : event));
    window.addEventListener("pointermove", (event) => this.#startFromLabel(event));
    window.addEventListener("pointerup", () => (this.labelPress = null));
    window.addEventListener("pointercancel", () => (this.labelPress = null));
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.#up(event));
    }
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.#dropCursor());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  #down(event) {
    if (this.pointer !== null || event.button > 0) return;
    if (event.pointerType === "pen") this.lastPenTime = performance.now();
    if (event.pointerType === "touch" && performance.now() - this.lastPenTime < PALM_MS) return;
    event.preventDefault();
    this.cursor = null;
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
    this.canvas.classList.add("touched"); // hides the focus ring, which only keyboard use needs
    const isEraser = this.tool === "eraser" || (event.buttons & 32) > 0; // 32: eraser end of a stylus
    this.#beginStroke(isEraser ? "eraser" : "pen", this.#point(event));
  }

  /** Starts a stroke on a pressed label once the pointer moves; otherwise the label is selected. */
  #startFromLabel(event) {
    const press = this.labelPress;
    if (event.pointerId !== press?.pointerId) return;
    if (Math.hypot(event.clientX - press.clientX, event.clientY - press.clientY) < SLIP) return;
    this.labelPress = null;
    this.#down(press);
    this.#move(event);
  }

  #move(event) {
    if (event.pointerId !== this.pointer) return;
    if (event.pointerType === "pen") this.lastPenTime = performance.now();
    const events = event.getCoalescedEvents?.() ?? [];
    this.#extendStroke((events.length ? events : [event]).map((each) => this.#point(each)));
  }

  #up(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.stroke = null;
    this.listeners.lifted();
  }

  #beginStroke(kind, point) {
    this.stroke = this.drawing.begin(kind, point);
    this.#setStyle();
    paintStroke(this.context, this.stroke, this.ink);
    this.listeners.moved();
  }

  #extendStroke(points) {
    const from = this.stroke.points.length;
    this.stroke.points.push(...points);
    this.#setStyle();
    paintStroke(this.context, this.stroke, this.ink, from);
    this.listeners.moved();
  }

  /** Position of a pointer in the drawing and stroke width, which grows with stylus pressure. */
  #point(event) {
    const box = this.canvas.getBoundingClientRect();
    const pressed = event.pointerType === "pen" && event.pressure > 0;
    const width = this.width * (pressed ? 0.4 + 1.2 * event.pressure : 1);
    const round = (value) => Math.round(10 * value) / 10;
    return [
      round((event.clientX - box.left) / this.scale),
      round((event.clientY - box.top) / this.scale),
      round(this.tool === "eraser" ? 1.8 * width : width),
    ];
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " || event.key === "Enter") this.#togglePen();
    else if (event.key in ARROWS) this.#moveCursor(ARROWS[event.key], event.shiftKey ? 2 : STEP);
    else return;
    event.preventDefault();
    this.canvas.classList.remove("touched");
    this.repaint();
  }

  #togglePen() {
    this.cursor ??= this.#startPoint();
    if (this.stroke) {
      this.stroke = null;
      this.listeners.lifted();
    } else {
      this.#beginStroke(this.tool, [...this.cursor, this.width]);
    }
  }

  #moveCursor([dx, dy], step) {
    const [x, y] = this.cursor ?? this.#startPoint();
    const { clientWidth, clientHeight } = this.canvas;
    const clamp = (value, limit) => Math.min(limit / this.scale, Math.max(0, value));
    this.cursor = [clamp(x + dx * step, clientWidth), clamp(y + dy * step, clientHeight)];
    if (this.stroke) this.#extendStroke([[...this.cursor, this.width]]);
  }

  #startPoint() {
    const { clientWidth, clientHeight } = this.canvas;
    return [clientWidth / 2 / this.scale, clientHeight / 3 / this.scale];
  }

  #dropCursor() {
    const isDrawing = this.stroke && this.pointer === null;
    this.cursor = null;
    this.canvas.classList.remove("touched");
    if (isDrawing) {
      this.stroke = null;
      this.listeners.lifted();
    }
    if (this.pointer === null) this.repaint();
  }

  #paintCursor() {
    const [x, y] = this.cursor;
    const { context } = this;
    context.lineWidth = 1.5;
    context.strokeStyle = this.ink;
    context.beginPath();
    context.arc(x, y, this.width / 2 + 4, 0, 2 * Math.PI);
    for (const [dx, dy] of Object.values(ARROWS)) {
      context.moveTo(x + dx * 14, y + dy * 14);
      context.lineTo(x + dx * 22, y + dy * 22);
    }
    context.stroke();
  }
}
