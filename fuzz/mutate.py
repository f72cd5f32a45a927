"""Mutates inputs: single bytes, and the parts of their formats, with correct checksums.

A mutation of a chunk, an archive member, a number in a text or a picture inside a request reaches
the decoder, whereas damage to arbitrary bytes would mostly be rejected by a checksum.
"""

import base64
import binascii
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Change = Callable[[bytes, Random], bytes]
NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 127, 128, 255, 256, 4095, 32767, 32768, 65535, 65536)
LARGE = (2**20, 10**8, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64)
WORDS = (
    *(b"null", b"true", b"-1", b"0", b"1e999", b"-1e-999", b"nan", b"inf", b"NaN", b"Infinity"),
    *(b'""', b'"\\u0000"', b'"\\ud800"', b"[]", b"{}", b"[[]]", b"1" * 400, b"9" * 5000, b"../x"),
    *(b"one of 1, 2", b"range 0..9", b"####-##", b">= 7", b"luhn", b"after 5 by 2", b"%Y-%m-%d"),
    *(b"\xff\xfe", b"\0", b"\xc3\xa9", b"\xe2\x80\xae", b"a" * 1000, b"[" * 1500, b"(" * 300),
)
LIMIT = 65_536  # bytes, of an input
_TOKEN = re.compile(rb"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|\"(?:[^\"\\]|\\.)*\"|[A-Za-z_]\w*")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{40,}={0,2}")
_UNPARSABLE = (
    *(ValueError, LookupError, RuntimeError, OSError, EOFError),
    *(struct.error, zlib.error, zipfile.BadZipFile),
)
_PNG = b"\x89PNG\r\n\x1a\n"


def mutate(data: bytes, random: Random, others: Sequence[bytes] = (), limit: int = LIMIT) -> bytes:
    """Mutates an input, sometimes splicing in part of another; returns at most ``limit`` bytes."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        if others and random.random() < 0.05:
            data = _splice(data, random.choice(others), random)
            continue
        change = _bytes if random.random() < 0.3 else _change_of(data)
        try:
            data = change(data, random)
        except _UNPARSABLE:
            data = _bytes(data, random)  # not the format that its first bytes suggest
    return data[:limit]


def _change_of(data: bytes) -> Change:
    """The mutation for the format that the first bytes suggest."""
    for start, change in _CHANGES:
        if data.startswith(start):
            return change
    if data[4:8] == b"ftyp":
        return _boxes
    if b"\n\0\n" in data:
        return _model
    if b"\n\n" in data and data.split(b" ", 1)[0] in {b"GET", b"POST", b"PUT", b"OPTIONS"}:
        return _request
    return _text


def _bytes(data: bytes, random: Random) -> bytes:  # noqa: PLR0911  (one per kind)
    if not data:
        return random.randbytes(random.randint(1, 64))
    at, kind = random.randrange(len(data)), random.randrange(8)
    length = min(random.choice((1, 1, 2, 4, 8, 64, 1024)), len(data))
    if kind == 0:
        return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
    if kind == 1:
        return data[:at] + random.randbytes(length) + data[at + length :]
    if kind == 2:
        return data[:at] + data[at + length :]
    if kind == 3:
        return data[:at] + data[at : at + length] * random.randint(2, 4) + data[at + length :]
    if kind == 4:
        return data[: random.randrange(len(data))] if random.random() < 0.3 else data[:at]
    if kind == 5:
        return data[:at] + random.randbytes(length) + data[at:]
    number, size = random.choice(NUMBERS + LARGE), random.choice((1, 2, 4))
    order = random.choice(("big", "little"))
    return data[:at] + (number % 256**size).to_bytes(size, order) + data[at + size :]


def _splice(data: bytes, other: bytes, random: Random) -> bytes:
    cut, start = random.randint(0, len(data)), random.randint(0, len(other))
    return data[:cut] + other[start : start + random.randint(1, 2000)] + data[cut:]


def _rearrange(parts: list[Any], random: Random) -> int:
    """Drops, duplicates or swaps parts and returns -1; else the index of a part to mutate."""
    index, kind = random.randrange(len(parts)), random.randrange(12)
    if kind == 0:
        del parts[index]
    elif kind == 1:
        parts.insert(random.randrange(len(parts)), parts[index])
    elif kind == 2:
        other = random.randrange(len(parts))
        parts[index], parts[other] = parts[other], parts[index]
    else:
        return index
    return -1


def _png(data: bytes, random: Random) -> bytes:
    parts, offset = [], len(_PNG)
    while offset + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, offset)
        parts.append([data[offset + 4 : offset + 8], data[offset + 8 : offset + 8 + size]])
        offset += 12 + size
    index = _rearrange(parts, random)
    if index >= 0:
        kind, content = parts[index]
        if kind in (b"IDAT", b"zTXt", b"iCCP") and random.random() < 0.7:
            content = zlib.compress(_bytes(zlib.decompress(content), random))
        elif kind == b"IHDR" and random.random() < 0.7:
            field = random.randrange(5)
            number = random.choice((*range(17), *NUMBERS)) if field < 2 else random.randrange(9)
            fields = [*struct.unpack(">IIBBBBB", content)]
            fields[random.choice((field, 2 + field)) if field > 1 else field] = number
            content = struct.pack(">IIBBBBB", *(each % 2**31 for each in fields[:2]), *fields[2:])
        else:
            content = _bytes(content, random)
        parts[index] = [kind, content]
    return _PNG + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def _jpeg(data: bytes, random: Random) -> bytes:
    parts, offset = [], 2
    while data[offset : offset + 1] == b"\xff" and data[offset + 1] != 0xDA:
        (size,) = struct.unpack_from(">H", data, offset + 2)
        parts.append([data[offset : offset + 2], data[offset + 4 : offset + 2 + size]])
        offset += 2 + size
    scan = data[offset:]
    if random.random() < 0.3:
        scan = scan[:8] + _bytes(scan[8:], random)
    elif (index := _rearrange(parts, random)) >= 0:
        content = parts[index][1]
        if parts[index][0][1] in range(0xC0, 0xD0) and random.random() < 0.5:  # sides
            sides = [random.choice((1, 9, 64, 500, 5000, 65500)) for _ in range(2)]
            content = content[:1] + struct.pack(">HH", *sides) + content[5:]
        else:
            content = _bytes(content, random)[:65533]
        parts[index] = [parts[index][0], content]
    head = b"".join(m + struct.pack(">H", len(each) + 2) + each for m, each in parts)
    return b"\xff\xd8" + head + scan


def _riff(data: bytes, random: Random) -> bytes:
    parts, offset = [], 12
    while offset + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, offset + 4)
        parts.append([data[offset : offset + 4], data[offset + 8 : offset + 8 + size]])
        offset += 8 + size + size % 2
    index = _rearrange(parts, random)
    if index >= 0:
        parts[index] = [parts[index][0], _bytes(parts[index][1], random)]
    body = b"".join(
        kind + struct.pack("<I", len(each)) + each + bytes(len(each) % 2) for kind, each in parts
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + data[8:12] + body


def _tiff(data: bytes, random: Random) -> bytes:
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, directory)
    offset = directory + 2 + 12 * random.randrange(max(1, count))
    entry = [*struct.unpack_from(f"{order}HHII", data, offset)]
    field = random.randrange(4)
    number = random.choice((*NUMBERS, *LARGE, len(data), directory, random.randrange(len(data))))
    tag = random.choice((256, 257, 258, 259, 262, 273, 274, 277, 279, 284, 317, 320, 322, 338, 339))
    entry[field] = (tag, random.randrange(14), number % 2**32, number % 2**32)[field]
    return data[:offset] + struct.pack(f"{order}HHII", *entry) + data[offset + 12 :]


def _boxes(data: bytes, random: Random) -> bytes:
    """Mutates the content or size of a HEIC box at any depth."""
    starts = [m.start() for m in re.finditer(rb"[a-z]{3}[a-z0-9]", data[:2000])]
    start = random.choice(starts)
    end = start + 4 + int.from_bytes(data[start - 4 : start], "big") if start >= 4 else len(data)
    content = data[start + 4 : min(end, len(data))]
    if random.random() < 0.2:
        return data[: start - 4] + struct.pack(">I", random.choice(NUMBERS)) + data[start:]
    changed = _bytes(content, random)
    changed = changed[: len(content)].ljust(len(content), b"\0")
    return data[: start + 4] + changed + data[start + 4 + len(content) :]


def _zip(data: bytes, random: Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [[info, archive.read(info)[:LIMIT]] for info in archive.infolist()]
    index = _rearrange(members, random)
    if index >= 0:
        info, content = members[index]
        content = mutate(content, random, [each[1] for each in members])
        if random.random() < 0.1:
            info.filename = _text(info.filename.encode(), random).decode("latin-1")[:200]
        info.compress_type = random.choice((0, 8, 8, 12))
        members[index] = [info, content]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for info, content in members:
            fresh = zipfile.ZipInfo(info.filename)
            archive.writestr(fresh, content, info.compress_type)
    return out.getvalue()


def _text(data: bytes, random: Random) -> bytes:
    """Mutates a token of JSON, TOML, PDF or a query; a base64 picture as a picture."""
    packed = [*_BASE64.finditer(data)]
    if packed and random.random() < 0.4:
        match = random.choice(packed)
        try:
            inner = mutate(base64.b64decode(match[0]), random)
        except binascii.Error:
            inner = random.randbytes(30)
        return data[: match.start()] + base64.b64encode(inner) + data[match.end() :]
    tokens = [*_TOKEN.finditer(data[:LIMIT])]
    if not tokens:
        return _bytes(data, random)
    match, kind = random.choice(tokens), random.randrange(5)
    if kind == 0:
        new = random.choice(tokens)[0]
    elif kind == 1:
        new = b"%d" % random.choice((*NUMBERS, *LARGE, -1))
    elif kind == 2:
        new = match[0] + random.choice((b",", b" ", b"\n", b"]", b"}")) + match[0]
    else:
        new = random.choice(WORDS)
        new = b'"%s"' % new if match[0][:1] == b'"' and new[:1] not in b'"[{' else new
    return data[: match.start()] + new + data[match.end() :]


def _json(data: bytes, random: Random) -> bytes:
    if random.random() < 0.5:
        return _text(data, random)
    tree = json.loads(data)
    nodes: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        keys = [*node] if isinstance(node, dict) else [*range(len(node))]
        nodes += [(node, key) for key in keys]
        waiting += [node[key] for key in keys if isinstance(node[key], dict | list)]
    node, key = random.choice(nodes)
    values = (None, True, -1, 0, 1.5, 10**30, "", "x", "1" * 50, [], {}, [[]], {"a": []}, [None])
    kind = random.randrange(4)
    if kind == 0:
        del node[key]
    elif kind == 1:
        other, other_key = random.choice(nodes)
        node[key] = other.get(other_key) if isinstance(other, dict) else other[other_key]
    else:
        node[key] = random.choice(values)
    return json.dumps(tree).encode()


def _model(data: bytes, random: Random) -> bytes:
    card, parts, graph = data.partition(b"\n\0\n")
    if not graph or random.random() < 0.5:
        return _json(card, random) + parts + graph
    return card + parts + _protobuf(graph, random)


def _protobuf(data: bytes, random: Random, depth: int = 0) -> bytes:
    """Mutates a field of a message at any depth; the enclosing sizes are adjusted."""
    fields, offset = [], 0
    while offset < len(data):
        key, start = _varint(data, offset)
        value, end = _varint(data, start) if key % 8 in (0, 2) else (0, start)
        end += {1: 8, 2: value, 5: 4}.get(key % 8, 0)
        if key % 8 in (3, 4, 6, 7) or end > len(data):
            raise ValueError(offset)
        fields.append([key, value, data[end - value : end] if key % 8 == 2 else data[start:end]])
        offset = end
    index = _rearrange(fields, random)
    if index >= 0:
        key, value, content = fields[index]
        if key % 8 == 0:
            fields[index][1] = random.choice((*NUMBERS, *LARGE, value + 1, 2**64 - 1)) % 2**64
        elif key % 8 == 2 and content and depth < 6 and random.random() < 0.8:
            try:
                fields[index][2] = _protobuf(content, random, depth + 1)
            except (ValueError, IndexError):
                fields[index][2] = _bytes(content, random)
        else:
            fields[index][2] = _bytes(content, random)
    out = b""
    for key, value, content in fields:
        out += _as_varint(key)
        if key % 8 == 0:
            out += _as_varint(value)
        else:
            out += (_as_varint(len(content)) if key % 8 == 2 else b"") + content
    return out


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[offset]
        value |= (byte & 127) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 128:
            return value, offset
        if shift > 63:
            raise ValueError(offset)


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _request(data: bytes, random: Random) -> bytes:
    head, _, body = data.partition(b"\n\n")
    if random.random() < 0.4:
        return _text(head, random) + b"\n\n" + body
    if b"multipart" in head:
        return head + b"\n\n" + _multipart(body, random)
    return head + b"\n\n" + mutate(body, random)


def _multipart(body: bytes, random: Random) -> bytes:
    """Mutates a file or field of a form, or its header."""
    parts = body.split(b"--cut")
    index = _rearrange(parts, random)
    if index >= 0:
        head, gap, content = parts[index].partition(b"\r\n\r\n")
        if random.random() < 0.6 and content:
            parts[index] = head + gap + mutate(content.removesuffix(b"\r\n"), random) + b"\r\n"
        else:
            parts[index] = _text(head, random) + gap + content
    return b"--cut".join(parts)


_CHANGES: tuple[tuple[bytes, Change], ...] = (
    (_PNG, _png),
    (b"\xff\xd8", _jpeg),
    (b"RIFF", _riff),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"GIF8", _bytes),
    (b"BM", _bytes),
    (b"PK\3\4", _zip),
    (b"%PDF", _text),
    (b"{", _json),
)
