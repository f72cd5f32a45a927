"""Leads the normalisation of pixels into the weights of an exported graph."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

Chain = list[NodeProto]
NORMALISATION = ["Div", "Sub", "Div"]  # by the largest pixel, less the mean, by the deviation


def fold_normalisation(model: onnx.ModelProto) -> None:
    """Divides the kernels that are given normalised pixels, instead of the pixels.

    In a small network the normalisation of 784 pixels takes as long as a layer. The mean is still
    taken off each pixel, at its scale: the zeros around a map must go on to stand for the mean.

    Args:
        model: Changed in place; only where a kernel is given nothing but normalised pixels.
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
