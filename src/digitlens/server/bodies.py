"""Takes pictures, tiles and options out of the body of a request: multipart, raw bytes or JSON.

Knows neither models nor readings. What takes long, as JSON with megabytes of base64, is left to
a function that a thread of the pool calls.
"""

from __future__ import annotations

import io
import math
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from digitlens.server.limits import PICTURES, TILES
from digitlens.server.problems import Refusal
from digitlens.server.schemas import (
    CONSTRAINTS,
    JSON,
    MULTIPART,
    NAME,
    RAW,
    TILE,
    ClassifyRequest,
    InferInput,
    ReadOptions,
    ReadRequest,
)

Tiles = npt.NDArray[np.uint8]
INPUT = "tiles"  # the one tensor of the Open Inference Protocol
FIELDS = ("file", "files")
_FIELD_BYTES = 4096
_EXPECTED = f"expected {MULTIPART}, {JSON} or one of {', '.join(RAW)}"


class PictureFile(io.BytesIO):
    """The bytes of a file, with the name that the client gave it, if any, and one for errors."""

    def __init__(self, data: bytes, given: str | None = None) -> None:
        super().__init__(data)
        self.given = given[:NAME] if given else None
        self.name = self.given or "image"


@dataclass(frozen=True)
class Upload:
    """What a client wants read."""

    pictures: list[PictureFile]
    options: ReadOptions


async def receive_pictures(request: Request, options: ReadOptions) -> Callable[[], Upload]:
    """Receives a body; what is left to decode is done when the result is called.

    Raises:
        Refusal: The body is empty, of another type, damaged, or of too many pictures.
    """
    kind = media_type(request)
    if kind == MULTIPART:
        async with _form(request) as form:
            wanted = _pictures_of_form(form, options)
        return lambda: wanted
    body = await request.body()
    if not body:
        raise Refusal("malformed", f"the body is empty: {_EXPECTED}")
    if kind == JSON:
        return lambda: _pictures_of_json(body, options)
    if is_raw(kind):
        return lambda: Upload([PictureFile(body)], options)
    raise Refusal("unsupported-type", f"{_EXPECTED}; found {kind[:80]}")


def media_type(request: Request) -> str:
    """The type of a request's body, without parameters; empty where it says none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_raw(kind: str) -> bool:
    """Whether a body of this type is the bytes of one file; none said is taken to be so."""
    return kind in {"", *RAW} or kind.startswith("image/")


def _pictures_of_json(body: bytes, options: ReadOptions) -> Upload:
    asked = ReadRequest.model_validate_json(body)
    pictures = [PictureFile(picture.data, picture.name) for picture in asked.pictures]
    said = asked.options.model_dump(include=asked.model_fields_set)
    return Upload(pictures, options.updated(said))


@asynccontextmanager
async def _form(request: Request) -> AsyncGenerator[FormData]:
    limits = {"max_files": PICTURES, "max_fields": len(ReadOptions.model_fields) + CONSTRAINTS}
    parser = MultiPartParser(
        request.headers, request.stream(), **limits, max_part_size=_FIELD_BYTES
    )
    parser.spool_max_size = 1 << 62  # no picture is ever written to a disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        kind = "too-large" if "Too many files" in error.message else "malformed"
        raise Refusal(kind, error.message) from error
    try:
        yield form
    finally:
        await form.close()


def options_of(fields: Iterable[tuple[str, str]]) -> ReadOptions:
    """Options from names and values, of which ``expect`` may be there several times."""
    said: dict[str, Any] = {}
    for name, value in fields:
        said[name] = [*said.get(name, ()), value] if name == "expect" else value
    return ReadOptions.model_validate(said)


def _pictures_of_form(form: FormData, options: ReadOptions) -> Upload:
    pictures: list[PictureFile] = []
    fields: list[tuple[str, str]] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            pictures.append(_picture(name, value))
        elif name in FIELDS:
            raise Refusal("malformed", f"the part {name!r} has no file name: send it as a file")
        else:
            fields.append((name[:80], value))
    if not pictures:
        raise Refusal("malformed", f"expected a part named {' or '.join(FIELDS)}, found none")
    said = options_of(fields)
    return Upload(pictures, options.updated(said.model_dump(exclude_unset=True)))


def _picture(field: str, file: UploadFile) -> PictureFile:
    if field not in FIELDS:
        raise Refusal(
            "invalid", f"expected files in parts named {' or '.join(FIELDS)}, found {field[:80]!r}"
        )
    return PictureFile(file.file.read(), file.filename)


def check_tiles(data: bytes) -> Tiles:
    """uint8[N, 28, 28]; the bytes of tiles, one after the other.

    Raises:
        Refusal: There is no tile, half a tile, or too many.
    """
    count, rest = divmod(len(data), TILE)
    if rest or not count:
        raise Refusal(
            "invalid", f"expected {TILE} bytes a tile, one tile at least, found {len(data):,} bytes"
        )
    if count > TILES:
        raise Refusal("too-large", f"expected at most {TILES} tiles, found {count:,}")
    return np.frombuffer(data, np.uint8).reshape(-1, 28, 28)


async def receive_tiles(request: Request) -> Callable[[], Tiles]:
    """What reads the tiles out of a request's body, in whatever form they came.

    Raises:
        Refusal: The body is empty or of another type; the function itself raises, too.
    """
    kind = media_type(request)
    body = await request.body()
    if not body:
        raise Refusal("malformed", "the body is empty, expected tiles")
    if kind == JSON:
        return lambda: _tiles_of_json(body)
    if is_raw(kind) and not kind.startswith("image/"):
        return lambda: check_tiles(body)
    raise Refusal("unsupported-type", f"expected {JSON} or {RAW[1]}, found {kind[:80]}")


def _tiles_of_json(body: bytes) -> Tiles:
    tiles = ClassifyRequest.model_validate_json(body).tiles
    return check_tiles(tiles) if isinstance(tiles, bytes) else np.array(tiles, np.uint8)


def tiles_of_tensor(inputs: list[InferInput], after: bytes) -> Tiles:
    """uint8[N, 28, 28] of a request's one input."""
    if [one.name for one in inputs] != [INPUT]:
        raise Refusal("malformed", f"expected the input {INPUT!r} alone")
    given = inputs[0]
    if given.datatype != "UINT8" or given.shape[1:] != [28, 28] or given.shape[0] < 1:
        found = f"{given.datatype[:20]} {given.shape}"
        raise Refusal("malformed", f"{INPUT}: expected UINT8 of shape [N, 28, 28], found {found}")
    if given.shape[0] > TILES:
        raise Refusal("too-large", f"expected at most {TILES} tiles, found {given.shape[0]:,}")
    data = after if given.data is None else _bytes_of_numbers(given.data)
    if len(data) != math.prod(given.shape):
        expected = f"{math.prod(given.shape):,} values for shape {given.shape}"
        raise Refusal("malformed", f"{INPUT}: expected {expected}, found {len(data):,}")
    return check_tiles(data)


def _bytes_of_numbers(data: list[Any]) -> bytes:
    """Whole numbers from 0 to 255, flat or nested to any depth."""
    try:
        values = np.array(data)
    except ValueError:  # ragged
        values = np.array("")
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise Refusal("malformed", f"{INPUT}: expected whole numbers from 0 to 255")
    return values.astype(np.uint8).tobytes()
