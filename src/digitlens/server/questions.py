"""What clients may ask, as pydantic models: options of a reading, pictures and tiles in JSON.

Knows shapes and limits; everything about them that a client can know is in the OpenAPI document.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from digitlens.evaluation.risk import parse_target
from digitlens.reading.expect import Pattern
from digitlens.server.settings import PICTURES, TILES

NAME = 255  # characters
TILE = 28 * 28  # bytes


def _decoded(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"expected text in base64, found {type(value).__name__}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"expected base64: {error}") from error


def _pattern(value: Any) -> str:
    text = str(value) if isinstance(value, str | int) else ""
    Pattern.parse(text)
    return text


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"expected a share such as 0.001 or '0.1%', found {value!r:.40}")
    return parse_target(str(value))


Base64 = Annotated[
    bytes,
    BeforeValidator(_decoded),
    WithJsonSchema({"type": "string", "format": "byte", "contentEncoding": "base64"}),
]
Expect = Annotated[
    str,
    BeforeValidator(_pattern),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 400}),
    Field(max_length=400),
]
Share = Annotated[
    float,
    BeforeValidator(_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                {"type": "string", "pattern": r"^[0-9]*\.?[0-9]+ ?%?$"},
            ]
        }
    ),
]
_Byte = Annotated[int, Field(strict=True, ge=0, le=255)]
_Row = Annotated[list[_Byte], Field(min_length=28, max_length=28)]
_Tile = Annotated[list[_Row], Field(min_length=28, max_length=28)]
_Tiles = Annotated[list[_Tile], Field(min_length=1, max_length=TILES)]


class ReadOptions(BaseModel):
    """How pictures are read, as on the command line."""

    model_config = ConfigDict(extra="forbid")

    expect: Expect | None = Field(
        None,
        description="What is known of the number on each page: how many digits, as in `4`, or what "
        "it looks like, as in `####-##`.",
        examples=["4"],
    )
    target_error: Share | None = Field(
        None,
        description="Share of the digits given as sure that may be wrong, as in `0.001` or "
        "`0.1%`; the less, the more are doubtful.",
        examples=["0.1%"],
    )
    tiles: bool = Field(
        False,
        description="Whether each digit comes with `tile`: base64 of the 784 bytes of its 28 x 28 "
        "pixels, framed for the classifier.",
    )


class Picture(BaseModel):
    """A picture in JSON."""

    model_config = ConfigDict(extra="forbid")

    data: Base64 = Field(description="The bytes of the file: PNG, JPEG, PDF, …")
    name: str | None = Field(None, max_length=NAME, description="What to call it in the answer.")


class ReadRequest(ReadOptions):
    """Pictures and how to read them: either `images` or `image`."""

    images: list[Picture] | None = Field(None, min_length=1, max_length=PICTURES)
    image: Picture | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.images is None) == (self.image is None):
            raise ValueError('expected either "images" or "image"')
        return self

    @property
    def pictures(self) -> list[Picture]:
        """All pictures, one or many."""
        return self.images or ([self.image] if self.image else [])

    @property
    def options(self) -> ReadOptions:
        """How to read them."""
        return ReadOptions.model_construct(
            expect=self.expect, target_error=self.target_error, tiles=self.tiles
        )


def _form(value: Any) -> str:
    return "base64" if isinstance(value, str) else "rows"


class ClassifyRequest(BaseModel):
    """Tiles of 28 x 28 pixels, ink bright on dark: rows of numbers, or base64 of all bytes."""

    model_config = ConfigDict(extra="forbid")

    tiles: Annotated[
        Annotated[_Tiles, Tag("rows")] | Annotated[Base64, Tag("base64")], Discriminator(_form)
    ] = Field(description=f"At most {TILES} tiles of {TILE} bytes each.")
