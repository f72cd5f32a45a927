"""Bundles with malicious graphs are refused with a ModelError, in little memory and time.

The hashes in their cards match, so only the graphs give them away.
"""

import resource

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from digitlens import files
from digitlens.alphabet import CLASSES
from digitlens.errors import ModelError
from digitlens.models.bundle import Card, write_bundle
from digitlens.models.classifier import Classifier
from digitlens.models.networks import DigitSpotter, LineDetector, LineRecognizer
from digitlens.models.session import memory_limit

node, value = helper.make_node, helper.make_tensor_value_info
WEIGHTS = np.full((784, 10), 0.01, np.float32)
TILES = np.zeros((3, 28, 28), np.uint8)
SOFTMAX = node("Softmax", ["scores"], ["probabilities"], axis=1)
ENOUGH = 100_000  # kB of memory that a refusal may take


def model(*nodes, weights=WEIGHTS, batch="N", opset=18, version=9, **constants):
    """A graph that sums pixels into ``sums``, then runs ``nodes`` up to ``probabilities``."""
    kept = {"flat": np.array([-1, 784]), **constants}
    tensors = [numpy_helper.from_array(content, name) for name, content in kept.items()]
    named = weights if isinstance(weights, TensorProto) else numpy_helper.from_array(weights)
    named.name = "weights"
    first = (
        node("Reshape", ["tiles", "flat"], ["pixels"]),
        node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        node("MatMul", ["numbers", "weights"], ["sums"]),
    )
    graph = helper.make_graph(
        [*first, *(nodes or (node("Softmax", ["sums"], ["probabilities"], axis=1),))],
        "lies",
        [value("tiles", TensorProto.UINT8, (batch, 28, 28))],
        [value("probabilities", TensorProto.FLOAT, (batch, 10))],
        [*tensors, named],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=version)


def claiming(*dims, content=b"1234"):
    """A tensor that claims the shape ``dims`` but holds one number."""
    return TensorProto(data_type=TensorProto.FLOAT, dims=dims, raw_data=content)


def elsewhere(location, in_constant=False):
    """A graph whose weights, or those of a constant, are in another file."""
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=(784, 10), name="weights")
    tensor.data_location = TensorProto.EXTERNAL
    for key, said in (("location", location), ("offset", "0"), ("length", str(WEIGHTS.nbytes))):
        tensor.external_data.add(key=key, value=said)
    if not in_constant:
        return model(weights=tensor)
    constant = node("Constant", [], ["more"], value=tensor)
    return model(constant, node("Softmax", ["sums"], ["probabilities"], axis=1))


def looped():
    """A graph with a loop of 2^62 iterations."""
    port = value("turn", TensorProto.INT64, []), value("go", TensorProto.BOOL, [])
    inside = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("Add", ["one", "one"], ["two"])],
        "body",
        [*port, value("one", TensorProto.FLOAT, None)],
        [value("on", TensorProto.BOOL, []), value("two", TensorProto.FLOAT, None)],
    )
    loop = node("Loop", ["turns", "yes", "sums"], ["scores"], body=inside)
    return model(loop, SOFTMAX, turns=np.array(2**62), yes=np.array(True))


def asked(folder, graph):
    """The probabilities of three tiles by a classifier with this graph."""
    content = graph if isinstance(graph, bytes) else graph.SerializeToString()
    write_bundle(folder, Card("lies", "0.1", files.sha256(content)), content)
    return Classifier(folder, threads=1).predict_proba(TILES)


def refused(folder, graph):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError) as caught:
        asked(folder, graph)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < ENOUGH
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_valid_graph_is_accepted(tmp_path):
    assert asked(tmp_path, model()).shape == (3, 10)


LIES = {
    "one row, however many tiles": (
        model(
            node("Slice", ["sums", "none", "one"], ["scores"]),
            SOFTMAX,
            none=np.array([0]),
            one=np.array([1]),
        ),
        r"returns [1, 10], expected [3, 10]",
    ),
    "one tile alone": (model(batch=1), "a graph fails"),
    "sums for probabilities": (
        model(node("Add", ["sums", "one"], ["probabilities"]), one=np.ones(10, np.float32)),
        "returns no probabilities",
    ),
    "no numbers": (
        model(
            node("Log", ["minus"], ["nan"]),
            node("Add", ["sums", "nan"], ["scores"]),
            SOFTMAX,
            minus=np.array([-1], np.float32),
        ),
        "returns no probabilities",
    ),
    "weights of a billion": (model(weights=claiming(784, 10**9)), "can load"),
    "weights of 2^80": (model(weights=claiming(2**40, 2**40, content=b"")), "can load"),
    "weights of less than none": (model(weights=claiming(-784, 10)), "can load"),
    "an opset to come": (model(opset=99), "can load"),
    "the first opset": (model(opset=1), "can load"),
    "a version to come": (model(version=99), "can load"),
    "a loop": (looped(), "has loops or branches"),
    "an endless number": (b"\x80" * 50, "is not an ONNX graph"),
}


@pytest.mark.parametrize("name", LIES)
def test_malicious_graph_is_refused_with_the_reason(tmp_path, name):
    graph, told = LIES[name]
    assert told in refused(tmp_path / "model", graph)


@pytest.mark.parametrize("in_constant", [False, True])
@pytest.mark.parametrize("place", ["{}/weights.bin", "weights.bin", "../weights.bin", "/dev/zero"])
def test_weights_in_other_files_are_not_read(tmp_path, monkeypatch, place, in_constant):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for folder in (tmp_path, tmp_path / "here"):
        (folder / "weights.bin").write_bytes(WEIGHTS.tobytes())
    graph = elsewhere(place.format(tmp_path), in_constant)
    assert "weights in another file" in refused(tmp_path / "model", graph)


def test_deeply_nested_graphs_are_refused(tmp_path):
    graph = b""
    for _ in range(2000):  # a graph with a node with an attribute with a graph ...
        for field in (6, 5, 1):
            graph = message(field, graph)
    assert "too deeply" in refused(tmp_path, message(7, graph))


def test_graphs_with_names_that_are_not_utf_8_are_refused(tmp_path):
    graph = model().SerializeToString().replace(b"\x12\x01N", b"\x12\x01\xff")
    assert "'utf-8' codec can't decode" in refused(tmp_path, graph)


def message(field, content):
    """An encoded Protocol Buffers field whose value is a message."""
    size, length = len(content), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([field << 3 | 2, *length, size]) + content


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand"])  # on loading; on running
def test_graph_that_exceeds_the_memory_limit_is_refused(tmp_path, operator):
    side = int((memory_limit() / 4) ** 0.5) + 1000
    entries = ["large"] if operator == "ConstantOfShape" else ["one", "large"]
    nodes = (
        node("ReduceSum", ["sums"], ["one"], keepdims=0),
        node(operator, entries, ["zeros"]),
        node("ReduceSum", ["zeros"], ["none"], keepdims=0),
        node("Add", ["sums", "none"], ["scores"]),
        SOFTMAX,
    )
    assert "MB that all graphs" in refused(tmp_path, model(*nodes, large=np.array([side, side])))


def test_line_networks_with_outputs_of_the_wrong_shape_are_refused(make_model):
    def network(entry, shape, output, sides):
        """A graph that returns zeros of a shape that does not match its input."""
        given = value(entry, TensorProto.UINT8, shape)
        gives = value(output, TensorProto.FLOAT, [*"abcd"[: len(sides) - 1], sides[-1]])
        zeros = node("ConstantOfShape", ["sides"], [output])
        return make_model([zeros], [given], [gives], {"sides": np.array(sides)}).SerializeToString()

    lines, page = np.zeros((2, 48, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    spots = DigitSpotter(network("lines", ("N", 48, "W", 3), "spots", [2, 7, 2]))
    with pytest.raises(ModelError, match=r"returns \[2, 7, 2\], expected \[2, 8, 2\]"):
        spots.spots([lines])
    sides = [1, 8, CLASSES]
    recognizer = LineRecognizer(network("lines", ("N", 48, "W", 3), "posteriors", sides))
    with pytest.raises(ModelError, match="a graph returns"):
        recognizer.posteriors([lines])
    detector = LineDetector(network("page", ("H", "W", 3), "text", [5, 5]))
    with pytest.raises(ModelError, match=r"returns \[5, 5\], expected \[32, 32\]"):
        detector.text_maps([page])
