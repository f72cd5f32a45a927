// A drawing as strokes that can be undone; paints itself on any 2D context, at any scale.
// @ts-check

/**
 * @typedef {[number, number, number]} Point x, y and width of the pen there.
 * @typedef {{kind: "pen"|"eraser"|"clear", points: Point[], entry?: number}} Stroke
 */

export class Drawing {
  constructor() {
    /** @type {Stroke[]} */ this.strokes = [];
    /** @type {Stroke[]} */ this.undone = [];
  }

  /** Begins a stroke; the strokes that were undone are gone. */
  begin(kind, point) {
    this.strokes.push({ kind, points: [point] });
    this.undone = [];
    return this.strokes.at(-1);
  }

  /** Takes everything away, so that it can be undone; `entry` comes back with the undo. */
  clear(entry) {
    if (this.visible.length) {
      this.strokes.push({ kind: "clear", points: [], entry });
      this.undone = [];
    }
  }

  /** @returns {Stroke|undefined} What was taken back. */
  undo() {
    const stroke = this.strokes.pop();
    if (stroke) this.undone.push(stroke);
    return stroke;
  }

  /** @returns {Stroke|undefined} What is there again. */
  redo() {
    const stroke = this.undone.pop();
    if (stroke) this.strokes.push(stroke);
    return stroke;
  }

  /** The strokes since everything was last taken away. */
  get visible() {
    return this.strokes.slice(this.strokes.findLastIndex((s) => s.kind === "clear") + 1);
  }

  /** @returns {[number, number, number, number]|null} x0, y0, x1, y1 of all that a pen drew. */
  get bounds() {
    const pens = this.visible.filter((stroke) => stroke.kind === "pen");
    const all = pens.flatMap((stroke) => stroke.points);
    if (!all.length) return null;
    /** @type {[number, number, number, number]} */
    const bounds = [Infinity, Infinity, -Infinity, -Infinity];
    for (const [x, y, w] of all) {
      bounds[0] = Math.min(bounds[0], x - w / 2);
      bounds[1] = Math.min(bounds[1], y - w / 2);
      bounds[2] = Math.max(bounds[2], x + w / 2);
      bounds[3] = Math.max(bounds[3], y + w / 2);
    }
    return bounds;
  }

  /** Paints all that is visible. */
  paint(context, colour) {
    for (const stroke of this.visible) paintStroke(context, stroke, colour);
  }
}

/**
 * Paints a stroke from one of its points on, so that a stroke that grows is painted piece by piece.
 * @param {CanvasRenderingContext2D} context
 * @param {Stroke} stroke
 * @param {string} colour
 * @param {number} from Index of the first point that was not painted yet.
 */
export function paintStroke(context, stroke, colour, from = 0) {
  const { points } = stroke;
  context.globalCompositeOperation = stroke.kind === "eraser" ? "destination-out" : "source-over";
  context.strokeStyle = context.fillStyle = colour;
  context.lineCap = context.lineJoin = "round";
  if (from === 0) paintDot(context, points[0]);
  for (let i = Math.max(1, from); i < points.length; i += 1) paintPiece(context, points, i);
  context.globalCompositeOperation = "source-over";
}

function paintDot(context, [x, y, width]) {
  context.beginPath();
  context.arc(x, y, width / 2, 0, 2 * Math.PI);
  context.fill();
}

/** From the middle before a point to that point, bent where the stroke bends. */
function paintPiece(context, points, i) {
  const [x, y, width] = points[i];
  const [px, py, before] = points[i - 1];
  const [qx, qy] = points[Math.max(0, i - 2)];
  context.lineWidth = (width + before) / 2;
  context.beginPath();
  context.moveTo((qx + px) / 2, (qy + py) / 2);
  context.quadraticCurveTo(px, py, (px + x) / 2, (py + y) / 2);
  context.lineTo(x, y);
  context.stroke();
}
