"""What clients are answered, as pydantic models, for the OpenAPI document alone.

Answers are written as JSON without passing through these: checking them would cost more time
than many a reading.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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


class Identity(BaseModel):
    """Which model answered."""

    name: str = Field(examples=["default"])
    sha256: str = Field(description="Hash of its graph.")


class DigitAnswer(BaseModel):
    """One thing found on a page."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    value: Value = Field(description="The most probable digit.", examples=[7])
    confidence: Probability = Field(description="Its calibrated probability.", examples=[0.998])
    status: Literal["digit", "unsure", "rejected"] = Field(
        description="`digit` when sure, `unsure` when doubtful, `rejected` when it is no digit."
    )
    reason: str = Field(description="Why it is unsure or rejected.")
    starts_number: bool = Field(description="Whether a new number begins here, after a gap.")
    box: Corners
    probabilities: Probabilities = Field(description="Of the digits 0 to 9.")
    tile: str = Field(
        "", description="With `tiles`: base64 of the 784 bytes the classifier is shown."
    )


class CharacterAnswer(BaseModel):
    """One character of a number: a digit, a mark, or the space before the next number."""

    char: Annotated[str, Field(min_length=1, max_length=1)] = Field(examples=["."])
    confidence: Probability = Field(description="That it is this one.", examples=[0.998])
    box: Corners


class PageAnswer(BaseModel):
    """What was read on one page."""

    name: str | None = Field(description="The file's name, if the request gave one.")
    page: int = Field(ge=1, description="Which page of the file.")
    page_count: int = Field(ge=1)
    seconds: float = Field(ge=0, description="Time to decode and read it.")
    text: str = Field(
        description="The numbers as they are written, a line of the page a line; two on a line "
        "are separated by a space.",
        examples=["-12.50"],
    )
    digits_only: str = Field(
        description="The digits alone, a line of the page a line.", examples=["1250"]
    )
    numbers: list[str] = Field(
        description="The digits of each number, without marks.", examples=[["1250"]]
    )
    lines: list[list[DigitAnswer]] = Field(description="All digits, also rejected ones.")
    characters: list[list[CharacterAnswer]] = Field(
        description="The characters of `text`, line by line; empty with `expect`."
    )
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    model: str
    model_sha256: str


class ReadAnswer(BaseModel):
    """What was read, a reading for each page."""

    model: Identity
    pages: Identity
    lines: Identity
    seconds: float = Field(ge=0, description="From the end of the request to the answer.")
    readings: list[PageAnswer]


class Prediction(BaseModel):
    """What the classifier says of one tile."""

    value: Value
    confidence: Probability
    probabilities: Probabilities


class ClassifyAnswer(BaseModel):
    """What the classifier says of tiles, in their order."""

    model: Identity
    seconds: float = Field(ge=0)
    predictions: list[Prediction]


class Redrawn(BaseModel):
    """A tile as the autoencoder draws it."""

    tile: str = Field(description="28 x 28 bytes in base64, ink bright on dark.")
    error: float = Field(ge=0, description="Squared error of its pixels for each unit of ink.")
    drawn_better: Probability = Field(
        description="Share of digits, kept back from training, that have a smaller error."
    )


class ReconstructAnswer(BaseModel):
    """Tiles as the autoencoder draws them, in their order."""

    model: Identity
    seconds: float = Field(ge=0)
    reconstructions: list[Redrawn]


class ModelAnswer(BaseModel):
    """What is known of a model."""

    role: Literal["tiles", "pages", "lines"] = Field(
        description="Whether it classifies tiles, finds digits on pages or reads lines."
    )
    name: str
    sha256: str
    version: str = Field(description="Of digitlens, that exported it.")
    framing: int | None = Field(description="Version of the framing of tiles.")
    temperature: float | None
    thresholds: dict[str, float]
    results: dict[str, Any] = Field(description="What was measured in training.")


class ModelsAnswer(BaseModel):
    """The models of this server."""

    models: list[ModelAnswer]
