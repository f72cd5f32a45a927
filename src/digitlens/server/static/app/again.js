// The chosen digit as the autoencoder draws it; only where there is a server, which has one.
import { redraw } from "./backend.js";
import { bytesOf } from "./corrections.js";
import { byId } from "./dom.js";

let asked;

/**
 * Shows the digit drawn again as soon as the server has done so; hides it where it cannot be.
 * @param {import("./reading.js").Digit} digit
 */
export async function showAgain({ tile }) {
  if (tile && tile === asked?.tile) return;
  asked?.control.abort();
  const own = (asked = { tile, control: new AbortController() });
  const drawn = tile ? await redraw(tile, own.control.signal).catch(() => undefined) : undefined;
  if (own !== asked) return; // another digit was chosen meanwhile
  byId("again").hidden = !drawn;
  if (drawn) paint(drawn);
}

function paint({ tile, error, drawn_better }) {
  const context = byId("again-tile").getContext("2d");
  const image = context.createImageData(28, 28);
  bytesOf(tile).forEach((ink, i) => {
    image.data.set([0.34 * ink, 0.71 * ink, 0.91 * ink, 255], 4 * i);
  });
  context.putImageData(image, 0, 0);
  const share = Math.round(100 * drawn_better);
  byId("again-text").textContent =
    `Drawn again by the autoencoder, from a few numbers. ${share} % of MNIST’s digits are drawn ` +
    `better (error ${error.toFixed(3)}).`;
}
