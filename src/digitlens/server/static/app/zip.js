// Writes zip files with uncompressed members: PNG files are already compressed.
// @ts-check

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
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
    const fields = [20, 0x0800, 0, ...dosTime(when), crc32(content), content.length, content.length];
    const head = header(0x04034b50, [...fields, label.length, 0]);
    entries.push(header(0x02014b50, [20, ...fields, label.length, 0, 0, 0, 0, 0, offset]), label);
    bodies.push(head, label, content);
    offset += head.length + label.length + content.length;
  }
  const directory = concatenate(entries);
  const trailer = header(0x06054b50, [0, 0, files.length, files.length, directory.length, offset, 0]);
  return concatenate([...bodies, directory, trailer]);
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
  let offset = 4;
  numbers.forEach((number, index) => {
    if (sizes[index] === 2) view.setUint16(offset, number, true);
    else view.setUint32(offset, number, true);
    offset += sizes[index];
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
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** @param {Uint8Array[]} parts */
function concatenate(parts) {
  const result = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}
