// The thread that reads, so that the page stays responsive: pictures come in, readings go out.

import { loadReader, warmUp } from './load.js';

let reader;

/** Messages are {id, task, ...}; each is answered by {id, result} or {id, error}, in order. */
let before = Promise.resolve();
self.onmessage = ({ data: message }) => {
  before = before.then(() => answer(message));
};

async function answer({ id, task, ...rest }) {
  try {
    self.postMessage({ id, result: await tasks[task](id, rest) });
  } catch (error) {
    self.postMessage({ id, error: { name: error.name, message: error.message } });
  }
  // If this fails, so does the first reading, which can say why.
  if (task === 'load') await warmUp(reader).catch(() => {});
}

const tasks = {
  async load(id, { base }) {
    reader = await loadReader(base, (progress) => self.postMessage({ id, progress }));
    return { name: reader.card.name, sha256: reader.card.sha256 };
  },
  read(id, { picture, options }) {
    return reader.read(picture, options);
  },
};
