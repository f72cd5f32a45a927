"""The folder a model is kept in: ``model.onnx``, ``model.json`` and, if kept, ``weights.safetensors``.

Knows the files and their hashes; does not know how to run a model.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from digitlens import files
from digitlens.errors import ModelError

FORMAT = 1
FRAMING = 1
GRAPH = "model.onnx"
CARD = "model.json"
WEIGHTS = "weights.safetensors"
PRETRAINED = Path(__file__).parent / "pretrained"
DEFAULT = "default"


@dataclass(frozen=True)
class Card:
    """What belongs to a model and travels with it, as ``model.json``.

    Attributes:
        name: The model's name.
        version: Version of digitlens that exported it.
        sha256: Hash of ``model.onnx``.
        classes: The answers, in the order of the graph's output.
        framing: Version of the tile framing that it was trained on.
        temperature: Softmax temperature inside the graph, fitted on validation data.
        thresholds: ``digit``: least confidence to be sure; ``reject``: below it, not a digit.
        recipe: The training recipe.
        data: Hashes of the training data, by name.
        results: Measured results.
        format: Version of this file's format.
    """

    name: str
    version: str
    sha256: str
    classes: tuple[str, ...] = tuple("0123456789")
    framing: int = FRAMING
    temperature: float = 1.0
    thresholds: dict[str, float] = field(default_factory=lambda: {"digit": 0.8, "reject": 0.4})
    recipe: dict[str, Any] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True)
class Bundle:
    """A model folder that was read and found whole."""

    folder: Path
    card: Card
    graph: bytes


def pretrained_names() -> list[str]:
    """Names of the models that ship with digitlens."""
    return sorted(path.parent.name for path in PRETRAINED.glob(f"*/{CARD}"))


def find_bundle(model: str | Path) -> Path:
    """The bundle folder that a shipped name, a bundle folder or a run folder stands for.

    Raises:
        ModelError: There is no such model; the message lists the shipped names.
    """
    for folder in (Path(model), Path(model) / "model"):
        if (folder / CARD).is_file():
            return folder
    if str(model) in pretrained_names():
        return PRETRAINED / str(model)
    raise ModelError(
        f"no model {str(model)!r}: expected a folder with {CARD}, a run folder, an .onnx file, "
        f"or one of the shipped names ({', '.join(pretrained_names()) or 'none'})"
    )


def load_bundle(model: str | Path = DEFAULT) -> Bundle:
    """Reads a model folder and checks format version and hash.

    Raises:
        ModelError: The folder is missing, damaged, or written by a newer digitlens.
    """
    folder = find_bundle(model)
    card = _read_card(folder / CARD)
    try:
        graph = (folder / GRAPH).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder / GRAPH} cannot be read ({error}): export it again") from error
    found = files.sha256(graph)
    if found != card.sha256:
        raise ModelError(
            f"{folder / GRAPH} was changed: expected SHA-256 {card.sha256[:12]}…, "
            f"found {found[:12]}…; restore the folder or export it again"
        )
    return Bundle(folder, card, graph)


def write_bundle(folder: Path, card: Card, graph: bytes) -> None:
    """Writes the graph, then the card that vouches for it; each file atomically."""
    files.write_bytes(folder / GRAPH, graph)
    files.write_json(folder / CARD, asdict(card))


def _read_card(path: Path) -> Card:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}): export the model again") from error
    if not isinstance(raw, dict) or not {"name", "version", "sha256", "format"} <= raw.keys():
        raise ModelError(f"{path} is not the card of a digitlens model: fields are missing")
    if raw["format"] != FORMAT:
        raise ModelError(
            f"{path} has format {raw['format']}, this digitlens reads format {FORMAT}: "
            "update digitlens, or export the model with this version"
        )
    if raw.get("framing", FRAMING) != FRAMING:
        raise ModelError(
            f"{path} expects tile framing {raw['framing']}, this digitlens makes framing {FRAMING}"
        )
    known = {f.name for f in fields(Card)}
    values = {key: value for key, value in raw.items() if key in known}
    return Card(**{**values, "classes": tuple(values.get("classes", "0123456789"))})
