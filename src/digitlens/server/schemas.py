"""Requests and answers as pydantic models.

They document all shapes and limits that concern clients. Answers are written as JSON without
passing through their models: validating them can take longer than a reading.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal, Self, cast

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
from digitlens.reading.constraints import Expectation
from digitlens.reading.notation import LOCALES, Notation, NotationOptions
from digitlens.reading.table import MAX_SIDE, TableOptions
from digitlens.results import Kind
from digitlens.server.limits import PICTURES, TILES

MULTIPART, JSON = "multipart/form-data", "application/json"
RAW = ("image/*", "application/octet-stream", "application/pdf")
NAME_LENGTH = 255  # characters
CONSTRAINTS = 8  # on one number
_CONSTRAINT_LENGTH = 400  # characters, at most
TILE = 28 * 28  # bytes


def _decode_base64(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"expected text in base64, found {type(value).__name__}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"expected base64: {error}") from error


def _parse_constraints(value: Any) -> list[str]:
    items = cast("list[Any]", value) if isinstance(value, list) else [value]
    if len(items) > CONSTRAINTS:
        raise ValueError(f"expected at most {CONSTRAINTS} constraints, found {len(items)}")
    texts = [str(each) if isinstance(each, str | int) else "" for each in items]
    if (longest := max(map(len, texts), default=0)) > _CONSTRAINT_LENGTH:  # before parsing it
        raise ValueError(f"expected at most {_CONSTRAINT_LENGTH} characters, found {longest:,}")
    expected = Expectation.of(texts)
    if expected and len(expected.constraints) > CONSTRAINTS:
        found = len(expected.constraints)
        raise ValueError(f"expected at most {CONSTRAINTS} constraints, found {found}")
    return texts


def _parse_share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"expected a fraction such as 0.001 or '0.1%', found {value!r:.40}")
    return parse_target(str(value))


Base64 = Annotated[
    bytes,
    BeforeValidator(_decode_base64),
    WithJsonSchema({"type": "string", "format": "byte", "contentEncoding": "base64"}),
]
_CONSTRAINT_SCHEMA = {"type": "string", "minLength": 1, "maxLength": _CONSTRAINT_LENGTH}
_LIST_SCHEMA = {"type": "array", "items": _CONSTRAINT_SCHEMA, "maxItems": CONSTRAINTS}
Expect = Annotated[
    list[str],
    BeforeValidator(_parse_constraints),
    WithJsonSchema({"anyOf": [_CONSTRAINT_SCHEMA, _LIST_SCHEMA]}),
]
Share = Annotated[
    float,
    BeforeValidator(_parse_share),
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
    """Options for reading pictures, as on the command line."""

    model_config = ConfigDict(extra="forbid")

    expect: Expect | None = Field(
        None,
        description="One or more constraints on the number on each page: a count of digits such as "
        "`4`, a pattern such as `####-##`, `range 0..500`, `>= 7`, `after 1234.5 by 20`, "
        "`one of 12, 15, 18`, `luhn`, `ean`, `isbn`, `iban`, `mod 11-2`, `mod 37-2`, `mod 97-10`. "
        "`;` separates several in one text.",
        examples=["4", ["5", "luhn"]],
    )
    target_error: Share | None = Field(
        None,
        description="Maximum fraction of the sure digits that may be wrong, such as `0.001` or "
        "`0.1%`; a lower fraction leaves more digits doubtful.",
        examples=["0.1%"],
    )
    decimal: Literal[".", ","] | None = Field(
        None, description="Decimal mark; by default inferred from the numbers on the page."
    )
    grouping: Literal[".", ",", "'", " "] | None = Field(
        None, description="Mark between groups of three digits."
    )
    locale: str | None = Field(
        None,
        max_length=40,
        description=f"Locale of the page, which sets both marks and the order of dates: a language "
        f"or one of {', '.join(sorted(LOCALES))}.",
        examples=["de_DE"],
    )
    tiles: bool = Field(
        False,
        description="Whether to add a `tile` to each digit: base64 of its 28 x 28 pixels, 784 "
        "bytes, framed for the classifier.",
    )

    @model_validator(mode="after")
    def _check_notation(self) -> Self:
        marks, expected = Notation.of(**self.notation), Expectation.of(self.expect)
        if expected:
            expected.written_with(marks.decimal)  # raises if they contradict each other
        return self

    def updated(self, changes: dict[str, Any]) -> ReadOptions:
        """These options updated with others; raises if they conflict."""
        return ReadOptions.model_validate({**self.model_dump(exclude_unset=True), **changes})

    @property
    def notation(self) -> NotationOptions:
        """The notation of numbers, as options of a reader."""
        return {"decimal": self.decimal, "grouping": self.grouping, "locale": self.locale}


class TableQuery(BaseModel):
    """Options for reading tables, as on the command line."""

    model_config = ConfigDict(extra="forbid")

    grid: str | None = Field(
        None,
        pattern=r"^[0-9]{1,3}x[0-9]{1,3}$",
        description="Number of rows and columns, if known.",
        examples=["9x9"],
    )
    columns: int | None = Field(
        None, ge=1, le=MAX_SIDE, description="Number of columns, if only that is known."
    )
    rules: Literal["sudoku", "total"] | None = Field(
        None,
        description="`sudoku`: the cells form a Sudoku. `total`: in columns of numbers, the last "
        "row is the sum of the rows above.",
    )

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        TableOptions(self.shape, self.columns, self.rules)
        return self

    @property
    def shape(self) -> tuple[int, int] | None:
        """Number of rows and columns of ``grid``; None without it."""
        rows, _, columns = (self.grid or "").partition("x")
        return (int(rows), int(columns)) if self.grid else None


class Picture(BaseModel):
    """A picture in JSON."""

    model_config = ConfigDict(extra="forbid")

    data: Base64 = Field(description="The bytes of the file: PNG, JPEG, PDF, …")
    name: str | None = Field(None, max_length=NAME_LENGTH, description="Its name in the answer.")


class ReadRequest(ReadOptions):
    """Pictures, either `images` or `image`, and options for reading them."""

    images: list[Picture] | None = Field(None, min_length=1, max_length=PICTURES)
    image: Picture | None = None

    @model_validator(mode="after")
    def _check_pictures(self) -> Self:
        if (self.images is None) == (self.image is None):
            raise ValueError('expected either "images" or "image"')
        return self

    @property
    def pictures(self) -> list[Picture]:
        """All pictures, one or many."""
        return self.images or ([self.image] if self.image else [])


class ClassifyRequest(BaseModel):
    """Tiles of 28 x 28 pixels, ink bright on dark: rows of numbers, or base64 of all bytes."""

    model_config = ConfigDict(extra="forbid")

    tiles: Annotated[
        Annotated[_Tiles, Tag("rows")] | Annotated[Base64, Tag("base64")],
        Discriminator(lambda value: "base64" if isinstance(value, str) else "rows"),
    ] = Field(description=f"At most {TILES} tiles of {TILE} bytes each.")


class InferInput(BaseModel):
    """A tensor that a client sends."""

    name: str
    shape: Annotated[list[int], Field(min_length=1, max_length=8)]
    datatype: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    data: list[Any] | None = Field(None, description="Flat or nested; bytes may follow the JSON.")


class InferOutput(BaseModel):
    """A tensor that a client requests."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferRequest(BaseModel):
    """A request to run the model on tensors."""

    id: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    inputs: Annotated[list[InferInput], Field(max_length=16)]
    outputs: Annotated[list[InferOutput], Field(max_length=16)] | None = None


Probability = Annotated[float, Field(ge=0, le=1)]
Probabilities = Annotated[list[Probability], Field(min_length=10, max_length=10)]
Value = Annotated[int, Field(ge=0, le=9)]
Corners = Annotated[
    list[int],
    Field(
        min_length=4,
        max_length=4,
        description="x0, y0, x1, y1 in pixels of the page; half-open.",
        examples=[[12, 8, 40, 52]],
    ),
]


NumberValue = Annotated[
    str | None,
    Field(
        description="As text, so that no digit is lost: `-12.50`, `2021-04-27`, `23:59:00`; null "
        "if there is none.",
        examples=["-12.50"],
    ),
]


class Identity(BaseModel):
    """The model that answered."""

    name: str = Field(examples=["default"])
    sha256: str = Field(description="Hash of its graph.")


class DigitAnswer(BaseModel):
    """One object found on a page, read as a digit."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    value: Value = Field(description="The most probable digit.", examples=[7])
    confidence: Probability = Field(description="Its calibrated probability.", examples=[0.998])
    status: Literal["digit", "unsure", "rejected"] = Field(
        description="`digit` if sure, `unsure` if doubtful, `rejected` if it is not a digit."
    )
    reason: str = Field(description="Why it is unsure or rejected.")
    starts_number: bool = Field(description="Whether it starts a new number, after a gap.")
    box: Corners
    probabilities: Probabilities = Field(description="Probabilities of the digits 0 to 9.")
    tile: str = Field("", description="With `tiles`: base64 of the classifier's input, 784 bytes.")


class CharacterAnswer(BaseModel):
    """One character of a number: a digit, a mark, or the space before the next number."""

    char: Annotated[str, Field(min_length=1, max_length=1)] = Field(examples=["."])
    confidence: Probability = Field(description="Of this character.", examples=[0.998])
    box: Corners


class AlternativeAnswer(BaseModel):
    """Another possible reading of a number."""

    text: str = Field(examples=["12.60"])
    value: NumberValue
    probability: Probability


class NumberAnswer(BaseModel):
    """A number as written, and its value."""

    text: str = Field(description="With signs and units.", examples=["-12.50"])
    value: NumberValue
    kind: Kind = Field(description="`code` is any other kind, such as an identifier.")
    unit: str = Field(description="`$`, `%`, `°C` etc.; may be empty.", examples=["%"])
    digits: str = Field(description="Only its digits.", examples=["1250"])
    confidence: Probability = Field(description="That text and value are right.", examples=[0.998])
    status: Literal["number", "unsure"] = Field(
        description="`unsure` if a digit, a mark or the meaning is doubtful."
    )
    reason: str = Field(description="Why it is unsure.")
    box: Corners
    alternatives: list[AlternativeAnswer] = Field(description="Most probable first.")


class ConstrainedAnswer(BaseModel):
    """The effect of the constraints given as `expect`."""

    expected: list[str] = Field(examples=[["4", "luhn"]])
    decided_by: list[str] = Field(
        description="Those that the unconstrained reading violates.", examples=[["luhn"]]
    )
    unconstrained: str = Field(description="`text` without constraints.", examples=["1234"])
    fulfilled: bool = Field(
        description="Whether `text` fulfils them; if not, it is the unconstrained one, unsure."
    )


class AnyPage(BaseModel):
    """The page of an answer, and the model that read it."""

    name: str | None = Field(description="Name of the file, if the request gave one.")
    page: int = Field(ge=1, description="Page number in the file.")
    page_count: int = Field(ge=1)
    seconds: float = Field(ge=0, description="Time to decode and read it.")
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    model: str
    model_sha256: str


class PageAnswer(AnyPage):
    """What was read on one page."""

    text: str = Field(
        description="The numbers as written, one text line per line of the page; a space separates "
        "the numbers of a line.",
        examples=["-12.50"],
    )
    digits_only: str = Field(
        description="Only the digits, one text line per line of the page.", examples=["1250"]
    )
    numbers: list[NumberAnswer] = Field(description="The numbers with their values.")
    numbers_digits: list[str] = Field(
        description="The digits of each number, without marks: `numbers` of version 0.1, "
        "deprecated.",
        examples=[["1250"]],
    )
    lines: list[list[DigitAnswer]] = Field(description="All digits, including rejected ones.")
    characters: list[list[CharacterAnswer]] = Field(
        description="The characters of `text`, line by line; empty if `expect` covers only digits."
    )
    constrained: ConstrainedAnswer | None = Field(
        None, description="The effect of `expect`; only present if constraints were given."
    )


class Answered(BaseModel):
    """The fields common to all answers."""

    model: Identity
    seconds: float = Field(ge=0, description="Time from the end of the request to the answer.")


class ReadAnswer(Answered):
    """The readings, one per page."""

    pages: Identity
    lines: Identity
    readings: list[PageAnswer]


class CellAnswer(BaseModel):
    """The content of one cell of a table."""

    text: str = Field(description="As written; empty for an empty cell.")
    value: str | None = Field(description="Value of its number, if it holds one and no words.")
    kind: Kind | None
    confidence: Probability
    status: Literal["number", "words", "empty", "unsure"]
    reason: str = Field(description="Why it is unsure, or which rule decided.")
    quad: list[list[float]] = Field(
        description="Its corners in pixels, clockwise from the top left."
    )
    alternatives: list[AlternativeAnswer]


class TableOfPage(AnyPage):
    """The table of one page."""

    shape: list[int] = Field(description="Number of rows and number of columns.")
    rows: list[list[CellAnswer]]
    rule: str
    kept: bool = Field(description="Whether the cells satisfy the rule; true without one.")
    solution: list[list[int]] = Field(description="Of a Sudoku with exactly one solution.")


class TableAnswer(Answered):
    """The tables, one per page."""

    tables: list[TableOfPage]


class Prediction(BaseModel):
    """The classifier's prediction for one tile."""

    value: Value
    confidence: Probability
    probabilities: Probabilities


class ClassifyAnswer(Answered):
    """The classifier's predictions for tiles, in their order."""

    predictions: list[Prediction]


class Redrawn(BaseModel):
    """A tile as reconstructed by the autoencoder."""

    tile: str = Field(description="28 x 28 bytes in base64, ink bright on dark.")
    error: float = Field(ge=0, description="Squared error of its pixels per unit of ink.")
    drawn_better: Probability = Field(
        description="Fraction of digits held out from training that have a smaller error."
    )


class ReconstructAnswer(Answered):
    """The reconstructed tiles, in their order."""

    reconstructions: list[Redrawn]


class ModelAnswer(BaseModel):
    """Facts about a model."""

    role: Literal["tiles", "pages", "lines"] = Field(
        description="Whether it classifies tiles, detects digits on pages or reads lines."
    )
    name: str
    sha256: str
    version: str = Field(description="Version of digitlens that exported it.")
    framing: int | None = Field(description="Version of the tile framing.")
    temperature: float | None
    thresholds: dict[str, float]
    results: dict[str, Any] = Field(description="Results measured in training.")


class ModelsAnswer(BaseModel):
    """The models of this server."""

    models: list[ModelAnswer]


class ProtocolError(BaseModel):
    """An error in the format of the Open Inference Protocol."""

    error: str


class Tensor(BaseModel):
    """A tensor in an answer."""

    name: Literal["probabilities"]
    shape: list[int]
    datatype: Literal["FP32"]
    parameters: dict[str, int] = Field(default_factory=dict)
    data: list[float] | None = Field(None, description="Absent if bytes follow the JSON.")


class InferAnswer(BaseModel):
    """The model's outputs."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[Tensor]


class Health(BaseModel):
    """The server is healthy; otherwise the answer is a problem."""

    status: Literal["ok"] = "ok"
