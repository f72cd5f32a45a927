"""Activations of all layers of a classifier's graph for one tile, and its first filters.

Uses only the graph: neither torch nor its weights are needed. For an ensemble, shows the first
network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, numpy_helper

from digitlens.errors import ModelError
from digitlens.models.classifier import check_tiles
from digitlens.models.session import open_session

Maps = npt.NDArray[np.float32]
Kind = Literal["tile", "convolution", "pooling", "dense", "probabilities"]

_INPUT, _OUTPUT = "tiles", "probabilities"
_WEIGHTED: dict[str, Kind] = {"Conv": "convolution", "Gemm": "dense", "MatMul": "dense"}
_POOLS = {
    "MaxPool": "max pooling",
    "AveragePool": "average pooling",
    "GlobalAveragePool": "average pooling",
    "GlobalMaxPool": "max pooling",
}
# Operators that belong to the layer before them: layers are shown after their activation.
_FOLLOWERS = {
    *("Add", "BatchNormalization", "Clip", "Elu", "Gelu", "HardSwish"),
    *("LeakyRelu", "Mul", "PRelu", "Relu", "Sigmoid", "Tanh"),
}


@dataclass(frozen=True, eq=False)
class Layer:
    """The activations of one layer for one tile."""

    name: str  # for example ``convolution 2``
    kind: Kind
    maps: Maps  # float32[C, H, W]; float32[D] for dense layers and the probabilities

    @property
    def size(self) -> str:
        """The size of the activations in words, for example ``32 maps of 14 x 14``."""
        if self.maps.ndim == 1:
            return f"{len(self.maps)} {'values' if self.kind == 'dense' else self.kind}"
        count, height, width = self.maps.shape
        if self.kind == "tile":
            return f"{height} x {width} pixels"
        return f"{count} map{'s' if count > 1 else ''} of {height} x {width}"


@dataclass
class _LayerEnd:
    """A layer, and the name of the tensor at its end."""

    name: str
    kind: Kind
    output: str


def activations(graph: bytes, tile: npt.NDArray[np.uint8]) -> list[Layer]:
    """Returns the activations of all layers for a tile, from pixels to probabilities.

    Args:
        graph: An ONNX graph from ``tiles: uint8[N, 28, 28]`` to ``probabilities: float[N, 10]``.
        tile: uint8[28, 28], ink bright on dark.

    Returns:
        First the tile itself, scaled to 0..1, as float32[1, 28, 28]; last float32[10].

    Raises:
        ModelError: ``graph`` is not such a graph.
        TypeError: ``tile`` is not uint8.
        ValueError: ``tile`` is not of shape [28, 28].
    """
    check_tiles(tile[None])
    model = _load(graph)
    ends = _layer_ends(_longest_path(model))
    outputs = [place.output for place in ends]
    declared = {output.name for output in model.graph.output}
    added = [onnx.ValueInfoProto(name=name) for name in outputs if name not in declared]
    model.graph.output.extend(added)  # onnxruntime infers their types
    # onnxruntime keeps the outputs of a graph when it fuses nodes.
    session = open_session(model.SerializeToString(), name="the graph with its layers", threads=1)
    values = session.run(outputs, {_INPUT: tile[None]})
    pixels = Layer("tile", "tile", tile[None].astype(np.float32) / np.float32(255))
    return [pixels] + [
        Layer(place.name, place.kind, maps[0].astype(np.float32))
        for place, maps in zip(ends, values, strict=True)
    ]


def filters(graph: bytes) -> Maps:
    """Returns the kernels float32[C, k, k] of the first convolution, which is applied to pixels.

    Their scale differs between graphs, as the normalisation of pixels may be folded in. Raises
    ModelError if the graph is not as in ``activations``, or has no convolution.
    """
    model = _load(graph)
    first = next((node for node in _longest_path(model) if node.op_type == "Conv"), None)
    if first is None:
        raise ModelError("expected a graph with a convolution, found none: it has no filters")
    return _constant(model, first.input[1]).astype(np.float32)[:, 0]


def count_parameters(graph: bytes) -> int:
    """Counts the parameters of a graph, into which those of normalisations are folded.

    Raises ModelError if it is not an ONNX graph.
    """
    tensors = [numpy_helper.to_array(each) for each in _load(graph).graph.initializer]
    return sum(each.size for each in tensors if each.ndim and each.dtype.kind == "f")


def _load(graph: bytes) -> ModelProto:
    try:
        return onnx.load_model_from_string(graph)
    except Exception as error:  # from protobuf, which is only an indirect dependency
        raise ModelError(f"expected an ONNX graph, onnx cannot read it: {error}") from error


def _longest_path(model: ModelProto) -> list[NodeProto]:
    """Returns the nodes on the longest path from tiles to probabilities, without shortcuts."""
    depth: dict[str, int] = {_INPUT: 0}
    makers: dict[str, tuple[NodeProto, str]] = {}
    for node in model.graph.node:  # in topological order
        reached = [name for name in node.input if name in depth]
        if reached:
            previous = max(reached, key=lambda name: depth[name])
            for output in node.output:
                depth[output], makers[output] = depth[previous] + 1, (node, previous)
    path: list[NodeProto] = []
    name = _OUTPUT
    while name in makers:
        node, name = makers[name]
        path.insert(0, node)
    if name != _INPUT or _INPUT not in {each.name for each in model.graph.input}:
        raise ModelError(
            f"expected a graph from {_INPUT!r} to {_OUTPUT!r}: use a classifier of digitlens"
        )
    return path


def _layer_ends(path: list[NodeProto]) -> list[_LayerEnd]:
    """Returns the layers on a path, each ending after its activation."""
    ends: list[_LayerEnd] = []
    numbers: dict[str, int] = {}
    computed = {name for node in path for name in node.output}
    is_open = False
    for node in path:
        if kind := _WEIGHTED.get(node.op_type):
            numbers[kind] = numbers.get(kind, 0) + 1
            ends.append(_LayerEnd(f"{kind} {numbers[kind]}", kind, node.output[0]))
            is_open = True
        elif node.op_type in _POOLS:
            ends.append(_LayerEnd(_POOLS[node.op_type], "pooling", node.output[0]))
            is_open = False
        elif is_open and node.op_type in _FOLLOWERS:
            ends[-1].output = node.output[0]
            if node.op_type == "Add" and computed.issuperset(node.input):
                ends[-1].name += " + shortcut"
        else:
            is_open = False
    return [*ends, _LayerEnd("probabilities", "probabilities", _OUTPUT)]


def _constant(model: ModelProto, name: str) -> npt.NDArray[np.generic]:
    """Returns a constant of a graph, including one stored as float16 and cast before use."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            return numpy_helper.to_array(tensor)
    for node in (node for node in model.graph.node if name in node.output):
        if node.op_type == "Constant":
            return numpy_helper.to_array(node.attribute[0].t)
        if node.op_type == "Cast":
            return _constant(model, node.input[0])
    raise ModelError(f"expected constant kernels, found {name!r}, which is computed")
