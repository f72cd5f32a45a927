// Entry point of the browser-only reader: passes requests from the page to a worker thread.

/**
 * Loads the networks and opens a reader.
 *
 * @param base URL of the site's folder, which holds site.json.
 * @param onProgress Called with {loaded, total} in bytes while the networks are fetched.
 * @returns {read, model, close}. `read({data, width, height}, {expect, decimal, tiles})` accepts
 *   RGBA pixels and returns a promise of the reading, with the values of Reading.as_dict in Python;
 *   with `tiles`, each digit also has `tile`, 784 bytes in base64. It rejects with a RangeError if
 *   `expect` is not a valid pattern. `model` is {name, sha256}. `close` ends the thread.
 */
export async function createReader(base, { onProgress = () => {} } = {}) {
  const client = startWorker(onProgress);
  const folder = new URL(base, document.baseURI).href;
  const model = await client.send('load', { base: folder }).catch((error) => {
    client.close();
    throw error;
  });
  return {
    model,
    read: ({ data, width, height }, options = {}) =>
      client.send('read', { picture: { data, width, height }, options }),
    close: client.close,
  };
}

/** Starts the worker; `send` returns a promise of its answer. */
function startWorker(onProgress) {
  const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
  const waiting = new Map();
  let lastId = 0;
  worker.onmessage = ({ data: { id, result, error, progress } }) => {
    if (progress) return onProgress(progress);
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    return error ? reject(errorOf(error)) : resolve(result);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    const reason = event.message ?? 'its script cannot be loaded';
    const error = new Error(`the reader stopped: ${reason}`);
    waiting.forEach(({ reject }) => reject(error));
    waiting.clear();
  };
  return {
    send: (task, parameters) =>
      new Promise((resolve, reject) => {
        waiting.set(++lastId, { resolve, reject });
        worker.postMessage({ id: lastId, task, ...parameters });
      }),
    close: () => worker.terminate(),
  };
}

function errorOf({ name, message }) {
  return name === 'RangeError' ? new RangeError(message) : new Error(message);
}
