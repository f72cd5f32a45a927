// Writes zip files with uncompressed members: PNG files are already compressed.
// @ts-check

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/**
 * @param {{name: string, content: Uint8Array}[]} files
 * @param {Date} [when] Timestamp of the members.
 * @returns {Uint8Array}
 */
export function zip(files, when = new Date()) {
  const bodies = [];
  const entries = [];
  let offset = 0;
  for (const { name, content } of files) {
    const label = new TextEncoder().encode(name);
    const facts = [20, 0x0800, 0, ...dosTime(when), crc32(content), content.length, content.length];
    const head = header(0x04034b50, [...facts, label.length, 0]);
    entries.push(header(0x02014b50, [20, ...facts, label.length, 0, 0, 0, 0, 0, offset]), label);
    bodies.push(head, label, content);
    offset += head.length + label.length + content.length;
  }
  const list = joined(entries);
  const end = header(0x06054b50, [0, 0, files.length, files.length, list.length, offset, 0]);
  return joined([...bodies, list, end]);
}

// Bytes of each field of a header, by its signature.
const SIZES = {
  0x04034b50: [2, 2, 2, 2, 2, 4, 4, 4, 2, 2],
  0x02014b50: [2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4],
  0x06054b50: [2, 2, 2, 2, 4, 4, 2],
};

function header(signature, numbers) {
  const sizes = SIZES[signature];
  const view = new DataView(new ArrayBuffer(4 + sizes.reduce((sum, size) => sum + size, 0)));
  view.setUint32(0, signature, true);
  let at = 4;
  numbers.forEach((number, index) => {
    if (sizes[index] === 2) view.setUint16(at, number, true);
    else view.setUint32(at, number, true);
    at += sizes[index];
  });
  return new Uint8Array(view.buffer);
}

function dosTime(when) {
  const time = (when.getHours() << 11) | (when.getMinutes() << 5) | (when.getSeconds() >> 1);
  const date = ((when.getFullYear() - 1980) << 9) | ((when.getMonth() + 1) << 5) | when.getDate();
  return [time, date];
}

/** The CRC-32 of some bytes. */
function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
