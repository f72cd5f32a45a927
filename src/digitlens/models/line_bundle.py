"""The folder of a line reader: detector, recogniser, and a card with hashes and fusion weights.

One that belongs to a classifier lies in the folder ``lines`` of the classifier's.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from digitlens import files
from digitlens.errors import DataError, ModelError
from digitlens.models.bundle import WEIGHTS, Bundle, write_bundle

FORMAT = 1
DETECTOR, RECOGNIZER, SPOTTER = "detector.onnx", "recognizer.onnx", "spotter.onnx"
CARD = "model.json"
PRETRAINED = Path(__file__).parent / "pretrained" / "lines"
LINES = "lines"  # folder, inside that of a classifier, of its own line reader


@dataclass(frozen=True)
class LineCard:
    """What belongs to a line reader and travels with it, as ``model.json``.

    Attributes:
        name: Of the line reader.
        version: Of digitlens, that wrote it.
        detector_sha256: Hash of ``detector.onnx``.
        recognizer_sha256: Hash of ``recognizer.onnx``.
        spotter_sha256: Hash of ``spotter.onnx``; empty if there is none.
        thresholds: ``digit``: least confidence to be sure; ``reject``: below it, not a digit.
        fusion: See ``reading.fusion.Fusion``; empty before it is fitted.
        recipe: Of the recogniser.
        sources: Where the first weights come from, and under which licence.
        results: Measured on generated pages.
        format: Version of this file's format.
    """

    name: str
    version: str
    detector_sha256: str
    recognizer_sha256: str
    spotter_sha256: str = ""
    thresholds: dict[str, float] = field(default_factory=dict[str, float])
    fusion: dict[str, Any] = field(default_factory=dict[str, Any])
    recipe: dict[str, Any] = field(default_factory=dict[str, Any])
    sources: dict[str, str] = field(default_factory=dict[str, str])
    results: dict[str, Any] = field(default_factory=dict[str, Any])
    format: int = FORMAT


@dataclass(frozen=True)
class LineBundle:
    """A folder that was read and found whole: its card and graphs, the spotter's if it has one."""

    card: LineCard
    detector: bytes
    recognizer: bytes
    spotter: bytes | None = None


def load_line_bundle(folder: Path = PRETRAINED) -> LineBundle:
    """Reads the card and checks the graphs against it.

    Args:
        folder: Of the line reader.

    Raises:
        ModelError: Something is missing, damaged or of a newer format; the message says what.
    """
    card = load_line_card(folder)
    detector = _checked(folder / DETECTOR, card.detector_sha256)
    recognizer = _checked(folder / RECOGNIZER, card.recognizer_sha256)
    hashed = card.spotter_sha256
    return LineBundle(
        card, detector, recognizer, _checked(folder / SPOTTER, hashed) if hashed else None
    )


def _checked(path: Path, expected: str) -> bytes:
    try:
        graph = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    if (found := files.sha256(graph)) != expected:
        raise ModelError(f"{path} is damaged: expected SHA-256 {expected}, found {found}")
    return graph


def load_line_card(folder: Path = PRETRAINED) -> LineCard:
    """Reads the card alone; see ``load_line_bundle``."""
    path = folder / CARD
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{folder} is no line reader: {CARD} cannot be read") from error
    except ValueError as error:
        raise ModelError(f"{path} is damaged: {error}") from error
    known = {entry.name for entry in fields(LineCard)}
    if not isinstance(values, dict) or values.get("format") != FORMAT or set(values) - known:
        raise ModelError(f"{path}: expected a line reader's card of format {FORMAT}")
    try:
        return LineCard(**values)
    except TypeError as error:
        raise ModelError(f"{path} is damaged: {error}") from error


def write_line_card(folder: Path, card: LineCard) -> None:
    """Writes the card, whole or not at all."""
    files.write_json(folder / CARD, asdict(card))


def write_line_bundle(folder: Path, bundle: LineBundle) -> None:
    """Writes a line reader's graphs, then the card that vouches for them; each file atomically."""
    files.write_bytes(folder / DETECTOR, bundle.detector)
    files.write_bytes(folder / RECOGNIZER, bundle.recognizer)
    if bundle.spotter:
        files.write_bytes(folder / SPOTTER, bundle.spotter)
    write_line_card(folder, bundle.card)


def lines_of(folder: Path) -> Path:
    """The folder of the line reader of a classifier's folder; the shipped one if it has none."""
    return folder / LINES if files.is_file(folder / LINES / CARD) else PRETRAINED


def check_free(folder: Path, own: Path | None = None) -> None:
    """Raises DataError where a folder has something in it, and is not a reader's own one."""
    occupied = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if occupied and not (own and folder.resolve() == own.resolve()):
        raise DataError(f"{folder} is not empty: name another folder with --out")


def write_reader(folder: Path, classifier: Bundle, lines: LineBundle) -> None:
    """Writes a classifier and its line reader as a model folder, weights for PyTorch included."""
    write_line_bundle(folder / LINES, lines)
    weights = classifier.folder / WEIGHTS
    if classifier.card.weights_sha256 and files.is_file(weights):
        files.write_bytes(folder / WEIGHTS, weights.read_bytes())
    write_bundle(folder, classifier.card, classifier.graph)
