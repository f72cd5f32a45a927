// Rasterises a drawing for the reader: its bounds plus a margin, dark on white, small.
// @ts-check

// Up to 224 pixels the reader makes two passes of 20 ms; above, three passes of 50 ms.
// On 120 drawings of one and of four digits both sizes gave the same readings.
export const SMALL = 224;
export const LARGE = 448;
// Of the height. Ink that fills half of its picture is read as a digit even if uncertain; on a page
// where anything may be drawn, letters must be rejected (2 of 39 were read at 0.4, 1 of 39 now).
const MARGIN = 0.55;

/**
 * @typedef {{data: Uint8ClampedArray<ArrayBuffer>, width: number, height: number}} Pixels RGBA.
 * @typedef {{scale: number, left: number, top: number}} Place Drawing = picture * scale + left, top.
 */

/**
 * @param {import("./strokes.js").Drawing} drawing
 * @param {number} side Longest side of the picture, in pixels.
 * @returns {{pixels: Pixels, place: Place}|null} Null when there is no ink.
 */
export function rasterise(drawing, side) {
  const bounds = drawing.bounds;
  if (!bounds) return null;
  const [left, top, width, height] = withMargin(bounds);
  const scale = Math.max(width, height) / side;
  const canvas = new OffscreenCanvas(Math.ceil(width / scale), Math.ceil(height / scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.setTransform(1 / scale, 0, 0, 1 / scale, -left / scale, -top / scale);
  drawing.paint(context, "#000");
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "#fff";
  context.fillRect(left, top, width + scale, height + scale);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  return hasInk(pixels.data) ? { pixels, place: { scale, left, top } } : null;
}

/**
 * @param {Pixels|ImageData} pixels
 * @returns {Promise<Blob>} A PNG file.
 */
export function asPng({ data, width, height }) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/** RGBA pixels of a tile, bright ink on dark. @param {Uint8Array} tile 28 × 28 bytes. */
export function tilePixels(tile, [red, green, blue] = [1, 1, 1]) {
  const image = new ImageData(28, 28);
  tile.forEach((ink, i) => image.data.set([red * ink, green * ink, blue * ink, 255], 4 * i));
  return image;
}

function withMargin([x0, y0, x1, y1]) {
  const margin = MARGIN * Math.max(y1 - y0, 0.4 * (x1 - x0), 40);
  return [x0 - margin, y0 - margin, x1 - x0 + 2 * margin, y1 - y0 + 2 * margin];
}

function hasInk(data) {
  for (let i = 0; i < data.length; i += 4) if (data[i] < 128) return true;
  return false;
}
