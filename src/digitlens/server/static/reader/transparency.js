// Transparency: chooses the background of a transparent picture and flattens its pixels onto it.

// The background is black if a quarter of the pixels are at least half transparent and the rest is
// bright: white strokes would vanish on white.
const CLEAR = 128; // alpha below which a pixel counts as transparent
const MUCH = 0.25; // of the pixels
const BRIGHT = 160; // mean luminance, weighted by opacity

/** The gray level, 255 or 0, on which the content of RGBA pixels stands out. */
export function paperBelow(data) {
  let [clear, opacity, light] = [0, 0, 0];
  for (let i = 3; i < data.length; i += 4) if (data[i] < CLEAR) clear++;
  if (clear < (MUCH * data.length) / 4) return 255;
  for (let i = 0; i < data.length; i += 4) {
    opacity += data[i + 3];
    light += data[i + 3] * luminance(data[i], data[i + 1], data[i + 2]);
  }
  return light > BRIGHT * opacity ? 0 : 255;
}

function luminance(red, green, blue) {
  return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
}

/** One channel of a pixel flattened onto paper, with the integers of Pillow's alpha_composite. */
export function flattened(value, alpha, paper) {
  if (alpha === 255) return value;
  if (alpha === 0) return paper;
  const weight = Math.floor((alpha * 255 * 255 * 128) / (255 * 255));
  const total = value * weight + paper * (255 * 128 - weight) + (0x80 << 7);
  return ((total >> 8) + total) >> 8 >> 7;
}
