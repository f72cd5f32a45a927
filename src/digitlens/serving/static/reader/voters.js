// Asks each network for its vote on candidates: which digit it is, if it is one at all.
//
// A vote is {existence, digit, names, box, tile}: that a digit is there, by the page network and by
// the crop network; which one, by the page network, the crop network and the classifier of tiles;
// and the tile that the classifier was shown, where it was asked.

import { argmax, max } from './arrays.js';
import { NONE } from './crop_model.js';
import { inkIn } from './crops.js';
import { toTile } from './tiles.js';
import { windows } from './windows.js';

const { fround } = Math;

const CERTAIN = 0.95; // probability of a value that two networks agree on: a third is not asked
const HOPELESS = 0.02; // probability of being a digit: nobody needs to know which

/**
 * The votes on candidates.
 *
 * Where the page and the crop network are certain of the same value, or the crop network of seeing
 * no digit, the classifier is not asked, and the crop network's vote stands for its own.
 */
export async function castVotes(page, found, crops, classifier) {
  const seen = await crops.predict(windows(page, found.map(({ box }) => box)));
  const votes = found.map(({ score, probabilities, box }, i) => {
    const { digit, named } = namedBy(seen[i]);
    return { existence: score, digit, names: [probabilities, named, named], box };
  });
  const asked = votes.filter(isAsked);
  const tiles = tilesOf(page, asked.map(({ box }) => box));
  const answers = await classifier.predict(tiles);
  asked.forEach((vote, i) => {
    vote.names = [vote.names[0], vote.names[1], answers[i]];
    vote.tile = tiles[i];
  });
  return votes;
}

/**
 * The votes of crop network and classifier alone, on boxes that no network found.
 *
 * The crop network's vote stands for the page network's.
 */
export async function castTwoVotes(page, boxes, crops, classifier) {
  const seen = await crops.predict(windows(page, boxes));
  const tiles = tilesOf(page, boxes);
  const answers = await classifier.predict(tiles);
  return boxes.map((box, i) => {
    const { digit, named } = namedBy(seen[i]);
    return { existence: digit, digit, names: [named, named, answers[i]], box, tile: tiles[i] };
  });
}

/** What stands in boxes, framed for the classifier: Uint8Arrays of 28 x 28. */
export function tilesOf(page, boxes) {
  return boxes.map((box) => toTile(inkIn(page, box)));
}

/** Of the eleven probabilities of the crop network: that it is a digit, and which one if so. */
function namedBy(seen) {
  const chances = seen.slice(0, NONE);
  const digit = chances.reduce((total, chance) => fround(total + chance), 0);
  return { digit, named: chances.map((chance) => chance / Math.max(digit, fround(1e-6))) };
}

function isAsked({ digit, names: [network, crop] }) {
  const agreed = argmax(network) === argmax(crop);
  return !(agreed && Math.min(max(network), max(crop)) > CERTAIN) && digit > HOPELESS;
}
