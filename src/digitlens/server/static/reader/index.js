// Reads digits in the browser alone: what the page asks, and a thread of its own answers.

/**
 * Loads the networks and opens a reader.
 *
 * @param base Address of the site's folder, which holds site.json.
 * @param onProgress Called with {loaded, total} in bytes while the networks are fetched.
 * @returns {read, model, close}. `read({data, width, height}, {expect, tiles})` takes RGBA pixels
 *   and gives a promise of the reading, the values of Reading.as_dict in Python; with `tiles` also
 *   `tile`, base64 of 784 bytes, for each digit. It rejects with a RangeError where `expect` is
 *   no pattern. `model` is {name, sha256}. `close` ends the thread.
 */
export async function createReader(base, { onProgress = () => {} } = {}) {
  const ask = askWorker(onProgress);
  const folder = new URL(base, document.baseURI).href;
  const model = await ask.send('load', { base: folder }).catch((error) => {
    ask.close();
    throw error;
  });
  return {
    model,
    read: ({ data, width, height }, options = {}) =>
      ask.send('read', { picture: { data, width, height }, options }),
    close: ask.close,
  };
}

/** A worker to which messages are sent and which answers each by a promise. */
function askWorker(onProgress) {
  const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
  const waiting = new Map();
  let last = 0;
  worker.onmessage = ({ data: { id, result, error, progress } }) => {
    if (progress) return onProgress(progress);
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    return error ? reject(errorOf(error)) : resolve(result);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    const reason = event.message ?? 'its program cannot be loaded';
    const error = new Error(`the reader stopped: ${reason}`);
    waiting.forEach(({ reject }) => reject(error));
    waiting.clear();
  };
  return {
    send: (task, rest) =>
      new Promise((resolve, reject) => {
        waiting.set(++last, { resolve, reject });
        worker.postMessage({ id: last, task, ...rest });
      }),
    close: () => worker.terminate(),
  };
}

function errorOf({ name, message }) {
  return name === 'RangeError' ? new RangeError(message) : new Error(message);
}
