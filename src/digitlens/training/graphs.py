"""Rewrites ONNX graphs: normalisation led into weights, weights stored smaller, notes dropped.

Weights that are stored as float16 or int16 are brought back when the graph is loaded, so that it
computes in float32; what is saved is size.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

Chain = list[NodeProto]
Floats = npt.NDArray[np.float32]

NORMALISATION = ["Div", "Sub", "Div"]  # by the largest pixel, less the mean, by the deviation
_SMALL = 64  # numbers; tensors with no more stay float32
_ROUNDS = 3  # of balancing rows and columns; more make it no better
_TINY = 1e-9  # instead of zeros, which have no scale
_LEAST = 4096  # numbers in a weight that is kept as int16
_MOST = np.iinfo(np.int16).max


def fold_normalisation(model: onnx.ModelProto) -> None:
    """Divides the kernels that are given nothing but normalised pixels, instead of the pixels.

    In a small network the normalisation of 784 pixels takes as long as a layer. The mean is still
    taken off each pixel, at its scale: the zeros around a map must go on to stand for the mean.
    """
    graph = model.graph
    makers = {node.output[0]: node for node in graph.node}
    users: dict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.node:
        if node.op_type == "Conv":
            users[node.input[1]].append(node)
    for kernel, convolutions in users.items():
        chains = [_chain(node, makers) for node in convolutions]
        if all([node.op_type for node in chain] == NORMALISATION for chain in chains):
            _scale(graph, kernel, chains[0])
            for node, chain in zip(convolutions, chains, strict=True):
                node.input[0] = _centred(graph, chain)
    _drop_unused(graph)


def _chain(convolution: NodeProto, makers: dict[str, NodeProto]) -> Chain:
    """The three nodes before a convolution, the first one first; fewer if there are no more."""
    chain: Chain = []
    name = convolution.input[0]
    while name in makers and len(chain) < len(NORMALISATION):
        chain.insert(0, makers[name])
        name = makers[name].input[0]
    return chain


def _scale(graph: onnx.GraphProto, kernel: str, chain: Chain) -> None:
    tensor = next(each for each in graph.initializer if each.name == kernel)
    scale = _number(graph, chain[0]) * _number(graph, chain[2])
    scaled = (numpy_helper.to_array(tensor) / scale).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(scaled, kernel))


def _centred(graph: onnx.GraphProto, chain: Chain) -> str:
    """Name of the pixels less their mean, not scaled; made if nobody did so before."""
    name = f"{chain[0].input[0]}_centred"
    if not any(name in node.output for node in graph.node):
        mean = np.float32(_number(graph, chain[0]) * _number(graph, chain[1]))
        graph.initializer.append(numpy_helper.from_array(np.asarray(mean), f"{name}_mean"))
        node = helper.make_node("Sub", [chain[0].input[0], f"{name}_mean"], [name])
        graph.node.insert(list(graph.node).index(chain[0]), node)
    return name


def _number(graph: onnx.GraphProto, node: NodeProto) -> float:
    """The constant that a node divides by or takes off."""
    tensor = next(each for each in graph.initializer if each.name == node.input[1])
    return float(numpy_helper.to_array(tensor))


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Leaves out nodes, constants and notes of shapes that nothing needs any more."""
    needed = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):  # later ones first: they need what earlier ones make
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed.update(node.input)
    made = {name for node in graph.node for name in node.output}
    for tensor in [each for each in graph.initializer if each.name not in needed]:
        graph.initializer.remove(tensor)
    for info in [each for each in graph.value_info if each.name not in made]:
        graph.value_info.remove(info)


def store_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph, changed in place, with large float32 weights kept as float16."""
    casts: list[NodeProto] = []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) > _SMALL:
            name = tensor.name
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    return _opened_by(model, casts)


def store_int16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph, changed in place, with int16 and scales instead of large weights."""
    weights = {
        node.input[1]: node.op_type
        for node in model.graph.node
        if node.op_type in {"Conv", "MatMul"}
    }
    new: list[NodeProto] = []
    scales: list[onnx.TensorProto] = []
    for tensor in model.graph.initializer:
        if tensor.name in weights and np.prod(tensor.dims) >= _LEAST:
            name = tensor.name
            codes, *factors = quantised(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(codes, f"{name}.int16"))
            names = [f"{name}.scale{index}" for index in range(len(factors))]
            scales += map(numpy_helper.from_array, factors, names)
            # Not DequantizeLinear: onnxruntime keeps that in the graph and computes it each time.
            steps = [f"{name}.cast", f"{name}.scaled", name]
            new.append(helper.make_node("Cast", [f"{name}.int16"], steps[:1], to=TensorProto.FLOAT))
            new += [
                helper.make_node("Mul", [before, scale], [after])
                for before, scale, after in zip(steps, names, steps[1:], strict=False)
            ]
    model.graph.initializer.extend(scales)
    return _opened_by(model, new)


def _opened_by(model: onnx.ModelProto, opening: list[NodeProto]) -> onnx.ModelProto:
    """The graph, changed in place, with nodes before all others that bring weights back."""
    nodes = [*opening, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    known = {node.output[0] for node in opening}
    infos = [info for info in model.graph.value_info if info.name not in known]
    del model.graph.value_info[:]
    model.graph.value_info.extend(infos)
    onnx.checker.check_model(model)
    return model


def quantised(weight: Floats) -> tuple[npt.NDArray[np.int16], Floats, Floats]:
    """A weight float32[A, B, ...] as whole numbers int16[A, B, ...] and scales for A and for B.

    With one scale for each output alone much would be lost: normalisations are folded into the
    weights, so that those for some inputs are a hundred times larger than those for others. A few
    rounds make the largest number of every row and column about equal. On 300 hard lines that
    changes no text, where float16 weights change 1 % of them and int8 10 %.
    """
    rows, columns = np.ones((len(weight), 1)), np.ones((1, weight.shape[1]))
    largest = np.abs(weight.reshape(*weight.shape[:2], -1)).max(axis=2).clip(_TINY)
    for _ in range(_ROUNDS):
        balanced = largest / rows / columns
        columns *= np.sqrt(balanced.max(axis=0, keepdims=True))
        balanced = largest / rows / columns
        rows *= balanced.max(axis=1, keepdims=True)
    columns *= (largest / rows / columns).max() / _MOST
    shape = (1,) * (weight.ndim - 2)
    first = rows.reshape(*rows.shape, *shape).astype(np.float32)
    second = columns.reshape(*columns.shape, *shape).astype(np.float32)
    codes = np.rint(weight / first / second).clip(-_MOST, _MOST).astype(np.int16)
    return codes, first, second


def without_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drops the exporter's notes on each node, which carry source paths of the machine."""
    for holder in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.input,
        *model.graph.output,
        *model.graph.initializer,
        *model.graph.value_info,
    ):
        del holder.metadata_props[:]
        holder.doc_string = ""
    onnx.checker.check_model(model)
    return model
