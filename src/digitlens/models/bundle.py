"""The folder that holds a model: ``model.onnx``, ``model.json``, perhaps weights or a second graph.

Knows the files and their hashes; does not know how to run a model.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeAlias

from digitlens import files
from digitlens.errors import ModelError

FORMAT = 1
FRAMING = 1
GRAPH = "model.onnx"
CARD = "model.json"
WEIGHTS = "weights.safetensors"
DECODER = "decoder.onnx"
PRETRAINED = Path(__file__).parent / "pretrained"
DEFAULT = "default"
CLASSES = tuple("0123456789")
THRESHOLDS = {"digit": 0.8, "reject": 0.4}

# Types of a card's fields in JSON.
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("name", "version", "sha256", "weights_sha256", "decoder_sha256"), str),
    **dict.fromkeys(("thresholds", "recipe", "data", "results"), dict),
    "classes": list,
    "temperature": (int, float),
}


@dataclass(frozen=True)
class Card:
    """What belongs to a model and travels with it, as ``model.json``.

    Attributes:
        name: The model's name.
        version: Version of digitlens that exported it.
        sha256: Hash of ``model.onnx``.
        weights_sha256: Hash of ``weights.safetensors``; empty if they are not kept.
        decoder_sha256: Hash of ``decoder.onnx``, the decoder of an autoencoder; empty without.
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
    weights_sha256: str = ""
    decoder_sha256: str = ""
    classes: tuple[str, ...] = CLASSES
    framing: int = FRAMING
    temperature: float = 1.0
    thresholds: dict[str, float] = field(default_factory=lambda: dict(THRESHOLDS))
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


# Name of a shipped model, a bundle folder or a run folder; or what was read from one already.
Model: TypeAlias = "str | Path | Bundle"


def pretrained_names() -> list[str]:
    """Names of the models that ship with digitlens."""
    return sorted(path.parent.name for path in PRETRAINED.glob(f"*/{GRAPH}"))


def find_bundle(model: Model) -> Path:
    """The bundle folder that a shipped name, a bundle folder or a run folder stands for.

    A shipped name wins over a folder of that name in the current one, so that where a command is
    started does not change who reads; such a folder is reached as ``./name``.

    Raises:
        ModelError: There is no such model; the message lists the shipped names.
    """
    if isinstance(model, Bundle):
        return model.folder
    if isinstance(model, str) and model in pretrained_names():
        return PRETRAINED / model
    for folder in (Path(model), Path(model) / "model"):
        if files.is_file(folder / CARD):
            return folder
    raise ModelError(
        f"no model {str(model)!r}: expected a folder with {CARD}, a run folder, an .onnx file, "
        f"or one of the shipped names ({', '.join(pretrained_names()) or 'none'})"
    )


def load_bundle(model: Model = DEFAULT) -> Bundle:
    """Reads a model folder and checks format version and hash; gives back what was read already.

    Raises:
        ModelError: The folder is missing, damaged, or written by a newer digitlens.
    """
    if isinstance(model, Bundle):
        return model
    folder = find_bundle(model)
    card = _read_card(folder / CARD)
    return Bundle(folder, card, _checked(folder / GRAPH, card.sha256))


def load_decoder(folder: Path, card: Card) -> bytes:
    """The second graph of an autoencoder, checked like the first.

    Args:
        folder: As ``find_bundle`` gives it.
        card: The folder's.

    Raises:
        ModelError: There is none, or it is damaged.
    """
    if not card.decoder_sha256:
        raise ModelError(
            f"{folder} has no {DECODER}: it is no autoencoder; "
            "train one with  digitlens train --recipe autoencoder"
        )
    return _checked(folder / DECODER, card.decoder_sha256)


def _checked(path: Path, expected: str) -> bytes:
    try:
        graph = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error}): export it again") from error
    found = files.sha256(graph)
    if found != expected:
        raise ModelError(
            f"{path} was changed: expected SHA-256 {expected[:12]}…, "
            f"found {found[:12]}…; restore the folder or export it again"
        )
    return graph


def load_card(model: Model = DEFAULT) -> Card:
    """Reads the card of a model folder alone; see ``load_bundle``."""
    if isinstance(model, Bundle):
        return model.card
    return _read_card(find_bundle(model) / CARD)


def write_bundle(folder: Path, card: Card, graph: bytes) -> None:
    """Writes the graph, then the card that vouches for it; each file atomically."""
    files.write_bytes(folder / GRAPH, graph)
    files.write_json(folder / CARD, asdict(card))


def _read_card(path: Path) -> Card:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}): export the model again") from error
    if not isinstance(raw, dict) or "format" not in raw:
        raise ModelError(f"{path} is not the card of a digitlens model: export the model again")
    _check_versions(path, raw)
    if problems := _problems(raw):
        raise ModelError(f"{path} is damaged: {'; '.join(problems)}: export the model again")
    known = {f.name for f in fields(Card)}
    values = {key: value for key, value in raw.items() if key in known and key != "classes"}
    return Card(**values)


def _problems(raw: dict[str, Any]) -> list[str]:
    """What is wrong with the fields of a card; later code relies on them."""
    missing = [f"{name} is missing" for name in ("name", "version", "sha256") if name not in raw]
    mistyped = [
        f"{name} is {raw[name]!r}"
        for name, kind in _KINDS.items()
        if name in raw and not isinstance(raw[name], kind)
    ]
    if mistyped:
        return missing + mistyped
    if tuple(raw.get("classes", CLASSES)) != CLASSES:
        mistyped.append(f"classes are {raw['classes']}, expected the digits 0 to 9 in order")
    thresholds = raw.get("thresholds", THRESHOLDS)
    if any(not isinstance(thresholds.get(name), int | float) for name in THRESHOLDS):
        mistyped.append(f"thresholds are {thresholds}, expected numbers for digit and reject")
    return missing + mistyped


def _check_versions(path: Path, raw: dict[str, Any]) -> None:
    if raw["format"] != FORMAT:
        raise ModelError(
            f"{path} has format {raw['format']!r}, this digitlens reads format {FORMAT}: "
            "update digitlens, or export the model with this version"
        )
    if raw.get("framing", FRAMING) != FRAMING:
        raise ModelError(
            f"{path} expects tile framing {raw['framing']}, this digitlens makes framing "
            f"{FRAMING}: update digitlens, or train the model with this version"
        )
