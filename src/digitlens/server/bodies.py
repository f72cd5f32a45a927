"""Takes pictures and options out of the body of a request: multipart, raw bytes or JSON.

Knows neither models nor readings. What takes long, as JSON with megabytes of base64, is left to
a function that a thread of the pool calls.
"""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from digitlens.server.problems import Refusal
from digitlens.server.questions import NAME, ReadOptions, ReadRequest
from digitlens.server.settings import PICTURES

MULTIPART, JSON = "multipart/form-data", "application/json"
RAW = ("image/*", "application/octet-stream", "application/pdf")
FIELDS = ("file", "files")
_FIELD_BYTES = 4096
_EXPECTED = f"expected {MULTIPART}, {JSON} or one of {', '.join(RAW)}"


class Picture(io.BytesIO):
    """The bytes of a file, with what to call it in errors.

    Attributes:
        given: The name that the client gave it, or None.
        name: That, or a stand-in.
    """

    def __init__(self, data: bytes, given: str | None = None) -> None:
        super().__init__(data)
        self.given = given[:NAME] if given else None
        self.name = self.given or "image"


@dataclass(frozen=True)
class Wanted:
    """What a client wants read."""

    pictures: list[Picture]
    options: ReadOptions


async def receive(request: Request, options: ReadOptions) -> Callable[[], Wanted]:
    """Receives a body; what is left to decode is done when the result is called.

    Args:
        request: Any request with pictures.
        options: What the query says; the body may say more.

    Raises:
        Refusal: The body is empty, of another type, damaged, or of too many pictures.
    """
    kind = media_type(request)
    if kind == MULTIPART:
        async with _form(request) as form:
            wanted = _of_form(form, options)
        return lambda: wanted
    body = await request.body()
    if not body:
        raise Refusal("malformed", f"the body is empty: {_EXPECTED}")
    if kind == JSON:
        return lambda: _of_json(body, options)
    if is_raw(kind):
        return lambda: Wanted([Picture(body)], options)
    raise Refusal("unsupported-type", f"{_EXPECTED}; found {kind[:80]}")


def media_type(request: Request) -> str:
    """The type of a request's body, without parameters; empty where it says none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_raw(kind: str) -> bool:
    """Whether a body of this type is the bytes of one file; none said is taken to be so."""
    return kind in {"", *RAW} or kind.startswith("image/")


def _of_json(body: bytes, options: ReadOptions) -> Wanted:
    asked = ReadRequest.model_validate_json(body)
    pictures = [Picture(picture.data, picture.name) for picture in asked.pictures]
    said = asked.options.model_dump(include=asked.model_fields_set)
    return Wanted(pictures, options.model_copy(update=said))


@asynccontextmanager
async def _form(request: Request) -> AsyncGenerator[FormData]:
    limits = {"max_files": PICTURES, "max_fields": len(ReadOptions.model_fields)}
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


def _of_form(form: FormData, options: ReadOptions) -> Wanted:
    pictures: list[Picture] = []
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            pictures.append(_picture(name, value))
        elif name in FIELDS:
            raise Refusal("malformed", f"the part {name!r} has no file name: send it as a file")
        else:
            fields[name[:80]] = value
    if not pictures:
        raise Refusal("malformed", f"expected a part named {' or '.join(FIELDS)}, found none")
    said = ReadOptions.model_validate(fields)
    return Wanted(pictures, options.model_copy(update=said.model_dump(exclude_unset=True)))


def _picture(field: str, file: UploadFile) -> Picture:
    if field not in FIELDS:
        raise Refusal(
            "invalid", f"expected files in parts named {' or '.join(FIELDS)}, found {field[:80]!r}"
        )
    return Picture(file.file.read(), file.filename)
