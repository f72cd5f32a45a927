"""Initial weights of line recognisers: the published PP-OCRv6 small, or an exported graph.

PP-OCRv6 small is licensed under Apache-2.0. Its ONNX graphs are extracted from a Python package,
which is neither installed nor run. Of its 18,710 classes, those of digitlens' alphabet are kept.
"""

from __future__ import annotations

import copy
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import NodeProto, numpy_helper
from torch import nn

from digitlens import files
from digitlens.alphabet import ALPHABET, BLANK, CLASS_OF, CLASSES, OTHER
from digitlens.datasets.sources import pip_wheel
from digitlens.errors import DataError, ModelError
from digitlens.files import cache_folder
from digitlens.progress import work_bar
from digitlens.training.page_networks import WIDTH, LineNetwork

PACKAGE = "rapidocr==3.10.0"
WHEEL_SHA256 = "2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050"
TIME_LIMIT = 300.0  # seconds for 27 MB


# Graphs in the package, and their hashes.
RECOGNISER, DETECTOR = "PP-OCRv6_rec_small.onnx", "PP-OCRv6_det_small.onnx"
SHA256 = {
    RECOGNISER: "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
    DETECTOR: "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
}

OTHER_OFFSET = 3.0  # see ``adapt_head``

# Characters that look like one of the alphabet and mean the same on a line of numbers. Superscripts
# are excluded: the 2 of m² is not a digit of a number.
_LOOKALIKES = {
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2500\u2501",
    "'": "\u2018\u2019\u2032\u00b4",
    "/": "\u2044\u2215",
    ":": "\u2236",
    "*": "\u2217\u204e",
    "×": "\u2715\u2716",  # noqa: RUF001  (the multiplication sign is meant)
    "÷": "\u2797",
    "°": "\u02da\u00ba",
    "¥": "\uffe5",
    "%": "\ufe6a",
    " ": "\u3000",
}

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PublishedRecogniser:
    """The published line recogniser."""

    network: LineNetwork  # with its complete vocabulary, in evaluation mode
    characters: tuple[str, ...]  # of each class; the first, the CTC blank, is the empty string


def fetch_pp_ocr(name: str = RECOGNISER) -> Path:
    """Returns the path of a cached graph, downloaded if needed; raises DataError if damaged."""
    path = cache_folder("pp-ocr") / name
    if not path.is_file():
        _fetch_all(path.parent)
    _checked(path.read_bytes(), name)
    return path


def load_pp_ocr(path: Path) -> PublishedRecogniser:
    """Loads the published recogniser, for RGB pixels; raises DataError for any other file."""
    model = onnx.load_model_from_string(_checked(path.read_bytes(), RECOGNISER))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    # The package's list lacks the blank at its start and the space at its end.
    characters = ("", *metadata["character"].split("\n"), " ")
    network = LineNetwork(len(characters))
    _fill_layers(network, _published_layers(model))
    first = network.stem.first.weight
    first.data = first.data.flip(1)  # the graph expects BGR
    return PublishedRecogniser(network.eval(), characters)


def network_of(graph: bytes) -> LineNetwork:
    """Returns the network of an exported line recogniser, for further training.

    Weights have the precision of the graph, see ``export.store_int16``. Raises ModelError for any
    other graph.
    """
    try:
        network = LineNetwork(CLASSES)
        _fill_layers(network, _exported_layers(onnx.load_model_from_string(graph)))
    except (DecodeError, KeyError, RuntimeError, ValueError) as error:
        raise ModelError(f"the line recogniser's graph cannot be trained: {error}") from error
    return network.eval()


def _exported_layers(model: onnx.ModelProto) -> Iterator[tuple[Weights, Weights]]:
    """Yields weight and bias of each layer of an exported graph, in torch's layout."""
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    for name in [name for name in constants if name.endswith(".int16")]:
        start = name.removesuffix(".int16")
        scales = constants[f"{start}.scale0"] * constants[f"{start}.scale1"]
        constants[start] = constants[name].astype(np.float32) * scales
    followers = {each: node for node in model.graph.node for each in node.input}
    for node in model.graph.node:
        if node.op_type in {"Conv", "LayerNormalization"}:
            yield constants[node.input[1]], constants[node.input[2]]
        elif node.op_type == "MatMul" and node.input[1] in constants:
            (bias,) = (each for each in followers[node.output[0]].input if each in constants)
            yield constants[node.input[1]].T, constants[bias]


def _fetch_all(folder: Path) -> None:
    with TemporaryDirectory(prefix="digitlens-") as temporary, work_bar() as bar:
        bar.add_task("downloading PP-OCRv6 weights", total=None)
        wheel = pip_wheel(PACKAGE, WHEEL_SHA256, Path(temporary), TIME_LIMIT)
        with zipfile.ZipFile(wheel) as archive:
            for name in SHA256:
                content = archive.read(f"rapidocr/models/{name}")
                files.write_bytes(folder / name, _checked(content, name))


def _checked(content: bytes, name: str) -> bytes:
    digest = files.sha256(content)
    if digest != SHA256[name]:
        raise DataError(f"{name}: expected SHA-256 {SHA256[name]}, found {digest}")
    return content


def _fill_layers(network: LineNetwork, weights: Iterator[tuple[Weights, Weights]]) -> None:
    """Loads weight and bias into each layer, in the order of the graph's computation."""
    kinds = nn.Conv2d | nn.Linear | nn.LayerNorm
    layers = [layer for layer in network.modules() if isinstance(layer, kinds)]
    for layer, (weight, bias) in zip(layers, weights, strict=True):
        layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})


def _published_layers(model: onnx.ModelProto) -> Iterator[tuple[Weights, Weights]]:
    """Yields weight and bias of convolutions, linear layers and layer norms, in torch's layout."""
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    followers = {node.input[0]: node for node in model.graph.node}
    for node in model.graph.node:
        name = node.input[1] if len(node.input) > 1 else ""
        values = constants.get(name)
        if values is None or values.size == 1:
            continue
        follower = followers.get(node.output[0])
        if node.op_type == "Conv" and follower and follower.op_type == "BatchNormalization":
            yield _fold_norm(values, follower, constants)
        elif node.op_type in {"Conv", "MatMul", "Mul"} and follower and follower.op_type == "Add":
            weight = values.T if node.op_type == "MatMul" else values
            yield weight, constants[follower.input[1]].ravel()


def _fold_norm(
    kernel: Weights, norm: NodeProto, constants: dict[str, npt.NDArray[np.float32]]
) -> tuple[Weights, Weights]:
    """Folds the normalisation after a convolution without bias into its weight and bias."""
    scale, shift, mean, variance = (constants[name] for name in norm.input[1:])
    epsilon = next(each.f for each in norm.attribute if each.name == "epsilon")
    factor = scale / np.sqrt(variance + epsilon)
    folded = kernel * factor[:, None, None, None]
    return folded.astype(np.float32), (shift - mean * factor).astype(np.float32)


@cache
def _alternatives() -> dict[str, int]:
    full_width = {chr(ord(char) + 0xFEE0): char for char in ALPHABET if "!" <= char <= "~"}
    similar = {other: char for char, others in _LOOKALIKES.items() for other in others}
    return {other: CLASS_OF[char] for other, char in (full_width | similar).items()}


def class_of(character: str) -> int:
    """Returns the class of a character of the published vocabulary; the empty one is the blank."""
    if not character:
        return BLANK
    return CLASS_OF.get(character, _alternatives().get(character, OTHER))


def adapt_head(published: PublishedRecogniser) -> LineNetwork:
    """Returns the published recogniser with a head for digitlens' alphabet, to fine-tune.

    Characters of the alphabet keep their published scores. The summed probability of all others is
    not a linear function; the mean of their rows plus an offset is close enough to start from.
    """
    network = copy.deepcopy(published.network)
    weight, bias = network.head.weight.data, network.head.bias.data
    head = nn.Linear(WIDTH, CLASSES)
    others = [i for i, each in enumerate(published.characters) if class_of(each) == OTHER]
    class_index = {each: index for index, each in enumerate(published.characters)}
    rows = [BLANK, *(class_index[each] for each in ALPHABET)]
    head.weight.data = torch.cat([weight[rows], weight[others].mean(0, keepdim=True)])
    head.bias.data = torch.cat([bias[rows], bias[others].mean()[None] + OTHER_OFFSET])
    network.head = head
    return network
