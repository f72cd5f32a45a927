// The paper on which a picture with transparency is shown: the one on which it is read.
import { paperBelow } from "../reader/transparency.js";

const ENOUGH = 256; // pixels of the longest side: what is bright is so in a small copy, too

/**
 * @param {ImageBitmap|null} bitmap
 * @returns {"#fff"|"#000"}
 */
export function paperOf(bitmap) {
  if (!bitmap) return "#fff";
  const scale = Math.min(1, ENOUGH / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.ceil(side * scale));
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0, width, height);
  return paperBelow(context.getImageData(0, 0, width, height).data) ? "#fff" : "#000";
}
