// Finds places for labels beside their boxes, so that they hide neither each other nor the digits.

/**
 * @typedef {{x0: number, y0: number, x1: number, y1: number}} Rectangle
 * @param {{box: Rectangle, width: number, height: number}[]} wanted The first choose first.
 * @param {{width: number, height: number}} area
 * @returns {{x: number, y: number, free: boolean}[]} Upper left corners; not free: over a label or a digit.
 */
export function placeLabels(wanted, area) {
  const boxes = wanted.map(({ box }) => box);
  /** @type {Rectangle[]} */ const taken = [];
  return wanted.map(({ box, width, height }) => {
    const choices = candidates(box, width, height).map((corner) => {
      const at = clamped(corner, width, height, area);
      const moved = Math.abs(at.x0 - corner[0]) + Math.abs(at.y0 - corner[1]);
      const hidden = total(taken, at);
      const covered = total(boxes, at);
      const free = hidden === 0 && covered < HARDLY * width * height;
      return { at, free, cost: 6 * hidden + covered + 4 * moved };
    });
    const best = choices.reduce((a, b) => (b.cost < a.cost ? b : a));
    taken.push(best.at);
    return { x: best.at.x0, y: best.at.y0, free: best.free };
  });
}

const GAP = 4;
const HARDLY = 0.1; // share of a label that may lie over a digit

/** Above, below, right, left; then above and below at either edge. */
function candidates({ x0, y0, x1, y1 }, width, height) {
  const [middle, above, below] = [(x0 + x1 - width) / 2, y0 - height - GAP, y1 + GAP];
  const centre = (y0 + y1 - height) / 2;
  return [
    [middle, above],
    [middle, below],
    [x0, above],
    [x1 - width, above],
    [x1 + GAP, centre],
    [x0 - width - GAP, centre],
    [x0, below],
    [x1 - width, below],
  ];
}

function clamped([x, y], width, height, area) {
  const x0 = Math.max(2, Math.min(x, area.width - width - 2));
  const y0 = Math.max(2, Math.min(y, area.height - height - 2));
  return { x0, y0, x1: x0 + width, y1: y0 + height };
}

function total(others, at) {
  return others.reduce((sum, other) => sum + shared(other, at), 0);
}

function shared(a, b) {
  const wide = Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0);
  const high = Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0);
  return wide > 0 && high > 0 ? wide * high : 0;
}
