"""Model folders: their files, cards, hashes and roles; does not run models.

A model is ``model.onnx`` and ``model.json``, optionally with weights or a second graph. A line
reader is ``detector.onnx``, ``recognizer.onnx``, optionally a spotter, and a card with hashes and
fusion weights; a classifier's own line reader is in the subfolder ``lines`` of its folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, get_origin, get_type_hints

from digitlens import files
from digitlens.errors import DataError, ModelError

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

AnyCard = TypeVar("AnyCard", "Card", "LineCard")


@dataclass(frozen=True)
class Card:
    """The metadata of a model, stored as ``model.json``.

    Attributes:
        name: The model's name.
        version: Version of digitlens that exported it.
        sha256: Hash of ``model.onnx``.
        weights_sha256: Hash of ``weights.safetensors``; empty if there is none.
        decoder_sha256: Hash of ``decoder.onnx``, an autoencoder's decoder; empty if there is none.
        classes: The classes, in the order of the graph's output.
        framing: Version of the tile framing that it was trained on.
        temperature: Softmax temperature inside the graph, fitted on validation data.
        thresholds: ``digit``: minimum confidence to be sure; ``reject``: below it, not a digit.
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
    """A model folder that was read and verified."""

    folder: Path
    card: Card
    graph: bytes


# Name of a shipped model, a bundle folder or a run folder; or a bundle that is already loaded.
Model: TypeAlias = "str | Path | Bundle"


def pretrained_names() -> list[str]:
    """Returns the names of the models that ship with digitlens."""
    return sorted(path.parent.name for path in PRETRAINED.glob(f"*/{GRAPH}"))


def find_bundle(model: Model) -> Path:
    """Returns the bundle folder of a shipped name, a bundle folder or a run folder.

    A shipped name takes precedence over a folder of that name, so that the working directory does
    not affect which model is used; such a folder is available as ``./name``. Raises ModelError,
    with the shipped names, if there is no such model.
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
    """Reads a model folder and checks format version and hash; returns a loaded bundle as it is.

    Raises:
        ModelError: The folder is missing, damaged, or written by a newer digitlens.
    """
    if isinstance(model, Bundle):
        return model
    folder = find_bundle(model)
    card = _read_card(folder / CARD, Card)
    return Bundle(folder, card, _read_checked(folder / GRAPH, card.sha256))


def load_decoder(folder: Path, card: Card) -> bytes:
    """Reads the decoder's graph from an autoencoder's folder and checks its hash.

    Raises ModelError if it is missing or damaged.
    """
    if not card.decoder_sha256:
        raise ModelError(
            f"{folder} has no {DECODER} and is not an autoencoder: "
            "train one with  digitlens train --recipe autoencoder"
        )
    return _read_checked(folder / DECODER, card.decoder_sha256)


def _read_checked(path: Path, expected: str) -> bytes:
    try:
        graph = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error}): export it again") from error
    digest = files.sha256(graph)
    if digest != expected:
        raise ModelError(
            f"{path} was changed: expected SHA-256 {expected[:12]}…, "
            f"found {digest[:12]}…; restore the folder or export it again"
        )
    if not path.is_relative_to(PRETRAINED):
        try:
            _check_messages(memoryview(graph), "model")
        except ValueError as error:
            raise ModelError(f"{path} {error}: export the model again") from error
    return graph


# The fields of ONNX messages that contain nodes and tensors, see
# https://onnx.ai/onnx/intro/concepts.html
_CHILDREN = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_OPERATOR, _DATA_LOCATION, _EXTERNAL_DATA = ("node", 4), ("tensor", 14), ("tensor", 13)
_CONTROL_FLOW = (b"Loop", b"Scan", b"If", b"SequenceMap")
_MAX_DEPTH = 12  # a tensor of an attribute is at 5


def _check_messages(message: memoryview, kind: str, depth: int = 0) -> None:
    """Raises ValueError if a graph refers to other files or might not terminate.

    Weights in another file are loaded from the current folder and not covered by a hash. Without
    loops, each node runs once.
    """
    if depth > _MAX_DEPTH:
        raise ValueError("is not an ONNX graph: it is nested too deeply")
    for number, value in _fields(message):
        child_kind = _CHILDREN[kind].get(number)
        if isinstance(value, memoryview):
            if child_kind:
                _check_messages(value, child_kind, depth + 1)
            elif (kind, number) == _OPERATOR and bytes(value) in _CONTROL_FLOW:
                raise ValueError("has loops or branches, which might not terminate")
        if (kind, number) == _EXTERNAL_DATA or ((kind, number) == _DATA_LOCATION and value):
            raise ValueError("has weights in another file, which no hash covers")


# Wire types of Protocol Buffers: https://protobuf.dev/programming-guides/encoding
_VARINT, _LENGTH_DELIMITED, _WIDTHS = 0, 2, {1: 8, 5: 4}


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yields number and value of each field of a Protocol Buffers message."""
    offset = 0
    while offset < len(message):
        key, offset = _varint(message, offset)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, offset = _varint(message, offset)
            yield number, value
            continue
        if wire == _LENGTH_DELIMITED:
            width, offset = _varint(message, offset)
        else:
            width = _WIDTHS.get(wire, len(message))  # too wide for unknown wire types: an error
        if offset + width > len(message):
            raise ValueError("is not an ONNX graph")
        yield number, message[offset : offset + width]
        offset += width


def _varint(message: memoryview, offset: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if offset + shift // 7 >= len(message):
            break
        byte = message[offset + shift // 7]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, offset + shift // 7 + 1
    raise ValueError("is not an ONNX graph")


def load_card(model: Model = DEFAULT) -> Card:
    """Reads only the card of a model folder; see ``load_bundle``."""
    if isinstance(model, Bundle):
        return model.card
    return _read_card(find_bundle(model) / CARD, Card)


def write_bundle(folder: Path, card: Card, graph: bytes) -> None:
    """Writes the graph, then the card with its hash; each file atomically."""
    files.write_bytes(folder / GRAPH, graph)
    files.write_json(folder / CARD, asdict(card))


def _read_card(path: Path, kind: type[AnyCard]) -> AnyCard:
    """Reads a card of the given kind, ignoring fields that it does not know."""
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read ({error}): export the model again") from error
    if not isinstance(raw, dict) or "format" not in raw:
        raise ModelError(f"{path} is not the card of a digitlens model: export the model again")
    for name, known in (("format", FORMAT), ("framing", FRAMING)):
        if raw.get(name, known) != known:
            raise ModelError(
                f"{path} has {name} {raw[name]!r}, this digitlens expects {name} {known}: update "
                "digitlens, or export the model with this version"
            )
    if problems := _card_problems(raw, kind):
        raise ModelError(f"{path} is damaged: {'; '.join(problems)}: export the model again")
    known = {each.name for each in fields(kind)} - {"classes"}
    return kind(**{name: value for name, value in raw.items() if name in known})


def _card_problems(raw: dict[str, Any], kind: type[AnyCard]) -> list[str]:
    """Returns what is wrong with the fields of a card, on which later code relies."""
    required = [each for each in fields(kind) if each.default is each.default_factory is MISSING]
    missing = [f"{each.name} is missing" for each in required if each.name not in raw]
    in_json: dict[Any, Any] = {float: (int, float), tuple: list}
    kinds = {name: get_origin(hint) or hint for name, hint in get_type_hints(kind).items()}
    wrong = [
        f"{name} is {raw[name]!r}"
        for name, its in kinds.items()
        if name in raw and not isinstance(raw[name], in_json.get(its, its))
    ]
    if missing or wrong:
        return missing + wrong
    if tuple(raw.get("classes", CLASSES)) != CLASSES:
        wrong.append(f"classes are {raw['classes']}, expected the digits 0 to 9 in order")
    thresholds = raw.get("thresholds", THRESHOLDS)
    known = all(isinstance(thresholds.get(name), int | float) for name in THRESHOLDS)
    if not known and (thresholds or kind is Card):  # an uncalibrated line reader has none
        wrong.append(f"thresholds are {thresholds}, expected numbers for digit and reject")
    return wrong


DETECTOR, RECOGNIZER, SPOTTER = "detector.onnx", "recognizer.onnx", "spotter.onnx"
SHIPPED_LINES = PRETRAINED / "lines"
LINES = "lines"  # subfolder of a classifier's folder for its own line reader


@dataclass(frozen=True)
class LineCard:
    """The metadata of a line reader, stored as ``model.json``."""

    name: str  # of the line reader
    version: str  # of the digitlens that wrote it
    detector_sha256: str  # hash of ``detector.onnx``
    recognizer_sha256: str  # hash of ``recognizer.onnx``
    spotter_sha256: str = ""  # hash of ``spotter.onnx``; empty if there is none
    # ``digit``: minimum confidence to be sure; ``reject``: below it, not a digit.
    thresholds: dict[str, float] = field(default_factory=dict[str, float])
    # See ``reading.fusion.Fusion``; empty before it is fitted.
    fusion: dict[str, Any] = field(default_factory=dict[str, Any])
    recipe: dict[str, Any] = field(default_factory=dict[str, Any])  # of the recogniser
    # Origin of the initial weights, and their licence.
    sources: dict[str, str] = field(default_factory=dict[str, str])
    results: dict[str, Any] = field(default_factory=dict[str, Any])  # measured on generated pages
    format: int = FORMAT  # version of this file's format


@dataclass(frozen=True)
class LineBundle:
    """A line reader's folder that was read and verified: card and graphs."""

    card: LineCard
    detector: bytes
    recognizer: bytes
    spotter: bytes | None = None


def load_line_bundle(folder: Path = SHIPPED_LINES) -> LineBundle:
    """Reads a line reader's folder and checks the graphs' hashes.

    Raises ModelError if a file is missing, damaged or of a newer format.
    """
    card = load_line_card(folder)
    detector = _read_checked(folder / DETECTOR, card.detector_sha256)
    recognizer = _read_checked(folder / RECOGNIZER, card.recognizer_sha256)
    spotter = card.spotter_sha256 and _read_checked(folder / SPOTTER, card.spotter_sha256)
    return LineBundle(card, detector, recognizer, spotter or None)


def load_line_card(folder: Path = SHIPPED_LINES) -> LineCard:
    """Reads only the card of a line reader's folder; see ``load_line_bundle``."""
    return _read_card(folder / CARD, LineCard)


def write_line_card(folder: Path, card: LineCard) -> None:
    """Writes the card atomically."""
    files.write_json(folder / CARD, asdict(card))


def write_line_bundle(folder: Path, bundle: LineBundle) -> None:
    """Writes a line reader's graphs, then the card with their hashes; each file atomically."""
    files.write_bytes(folder / DETECTOR, bundle.detector)
    files.write_bytes(folder / RECOGNIZER, bundle.recognizer)
    if bundle.spotter:
        files.write_bytes(folder / SPOTTER, bundle.spotter)
    write_line_card(folder, bundle.card)


def lines_of(folder: Path) -> Path:
    """Returns the folder of a classifier's line reader: its own, or else the shipped one."""
    return folder / LINES if files.is_file(folder / LINES / CARD) else SHIPPED_LINES


def check_free(folder: Path, own: Path | None = None) -> None:
    """Raises DataError if a folder is not empty, unless it is ``own``."""
    if not files.is_unused(folder) and not (own and folder.resolve() == own.resolve()):
        raise DataError(f"{folder} is not empty: name another folder with --out")


def write_reader(folder: Path, classifier: Bundle, lines: LineBundle) -> None:
    """Writes a classifier and its line reader as a model folder, including PyTorch weights."""
    write_line_bundle(folder / LINES, lines)
    weights = classifier.folder / WEIGHTS
    if classifier.card.weights_sha256 and files.is_file(weights):
        files.write_bytes(folder / WEIGHTS, weights.read_bytes())
    write_bundle(folder, classifier.card, classifier.graph)


PAGES = "pages"  # name of the shipped digit detector, and the architecture in the cards of all


def finds_digits(card: Card) -> bool:
    """Returns whether a card is that of a digit detector, by the recipe in it."""
    return card.recipe.get("architecture") == PAGES


def shipped_classifiers() -> list[str]:
    """Returns the names of the shipped models that classify tiles."""
    cards = {name: load_card(name) for name in pretrained_names()}
    return [name for name, card in cards.items() if not (finds_digits(card) or card.decoder_sha256)]


def open_roles(model: Model = DEFAULT, pages: Model = PAGES) -> tuple[Bundle, Bundle]:
    """Loads the tile classifier and the digit detector, each once.

    ``model`` may also be a digit detector, so that a user who trained one need not know about the
    other networks: it is then used with the shipped classifier. Both arguments are a shipped name,
    a model folder, a run folder or a loaded bundle.

    Raises:
        ModelError: A model is missing or damaged, or both arguments are digit detectors.
    """
    bundle = load_bundle(model)
    if not finds_digits(bundle.card):
        return bundle, load_bundle(pages)
    if pages not in (PAGES, model):
        raise ModelError(f"{model} is a digit detector, and so is {pages}: pass only one of them")
    return load_bundle(DEFAULT), bundle
