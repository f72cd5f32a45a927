// A drawing as undoable strokes; paints itself on any 2D context at any scale.
// @ts-check

/**
 * @typedef {[number, number, number]} Point x, y and pen width.
 * @typedef {{kind: "pen"|"eraser"|"clear", points: Point[], entryId?: number}} Stroke
 */

export class Drawing {
  constructor() {
    /** @type {Stroke[]} */ this.strokes = [];
    /** @type {Stroke[]} */ this.undone = [];
  }

  /** Begins a stroke; discards undone strokes. */
  begin(kind, point) {
    this.strokes.push({ kind, points: [point] });
    this.undone = [];
    return this.strokes.at(-1);
  }

  /** Clears the drawing, undoably; undo returns `entryId`. */
  clear(entryId) {
    if (this.visible.length) {
      this.strokes.push({ kind: "clear", points: [], entryId });
      this.undone = [];
    }
  }

  /** @returns {Stroke|undefined} The stroke undone. */
  undo() {
    const stroke = this.strokes.pop();
    if (stroke) this.undone.push(stroke);
    return stroke;
  }

  /** @returns {Stroke|undefined} The stroke redone. */
  redo() {
    const stroke = this.undone.pop();
    if (stroke) this.strokes.push(stroke);
    return stroke;
  }

  /** The strokes since the last clear. */
  get visible() {
    return this.strokes.slice(this.strokes.findLastIndex((s) => s.kind === "clear") + 1);
  }

  /** @returns {[number, number, number, number]|null} x0, y0, x1, y1 of all pen strokes. */
  get bounds() {
    const penStrokes = this.visible.filter((stroke) => stroke.kind === "pen");
    const points = penStrokes.flatMap((stroke) => stroke.points);
    if (!points.length) return null;
    /** @type {[number, number, number, number]} */
    const bounds = [Infinity, Infinity, -Infinity, -Infinity];
    for (const [x, y, w] of points) {
      bounds[0] = Math.min(bounds[0], x - w / 2);
      bounds[1] = Math.min(bounds[1], y - w / 2);
      bounds[2] = Math.max(bounds[2], x + w / 2);
      bounds[3] = Math.max(bounds[3], y + w / 2);
    }
    return bounds;
  }

  /** Paints the visible strokes. */
  paint(context, colour) {
    for (const stroke of this.visible) paintStroke(context, stroke, colour);
  }
}

/**
 * Paints a stroke from the given point on, so that a growing stroke is painted incrementally.
 * @param {CanvasRenderingContext2D} context
 * @param {Stroke} stroke
 * @param {string} colour
 * @param {number} from Index of the first point not yet painted.
 */
export function paintStroke(context, stroke, colour, from = 0) {
  const { points } = stroke;
  context.globalCompositeOperation = stroke.kind === "eraser" ? "destination-out" : "source-over";
  context.strokeStyle = context.fillStyle = colour;
  context.lineCap = context.lineJoin = "round";
  if (from === 0) paintDot(context, points[0]);
  for (let i = Math.max(1, from); i < points.length; i += 1) paintSegment(context, points, i);
  context.globalCompositeOperation = "source-over";
}

function paintDot(context, [x, y, width]) {
  context.beginPath();
  context.arc(x, y, width / 2, 0, 2 * Math.PI);
  context.fill();
}

/** Paints the segment from the midpoint before the previous point to this point, as a curve. */
function paintSegment(context, points, i) {
  const [x, y, width] = points[i];
  const [px, py, previousWidth] = points[i - 1];
  const [qx, qy] = points[Math.max(0, i - 2)];
  context.lineWidth = (width + previousWidth) / 2;
  context.beginPath();
  context.moveTo((qx + px) / 2, (qy + py) / 2);
  context.quadraticCurveTo(px, py, (px + x) / 2, (py + y) / 2);
  context.lineTo(x, y);
  context.stroke();
}
