"""The exported line recogniser reads as the network does, at half its size."""

import numpy as np
import onnx
import pytest
import torch

from digitlens.alphabet import CLASSES
from digitlens.errors import ModelError
from digitlens.models.line_recognizer import LineRecognizer
from digitlens.models.session import open_session
from digitlens.training.export_lines import (
    LineGraph,
    check_line_graph,
    export_lines,
    line_graph,
    quantised,
    smaller,
)
from digitlens.training.nets.line_network import LineNetwork

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return LineNetwork(CLASSES).eval()


@pytest.fixture(scope="module")
def graph(network):
    """With float32 weights."""
    return line_graph(LineGraph(network))


@pytest.fixture(scope="module")
def lines():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (48, width, 3), np.uint8) for width in (16, 200)]


def test_any_number_of_lines_of_any_width(graph, network, lines):
    session = open_session(graph.SerializeToString(), name="lines")
    for line in lines:
        batch = np.stack([line, line[::-1], line[:, ::-1]])
        found = session.run(None, {"lines": batch})[0]
        with torch.inference_mode():
            expected = torch.softmax(network(torch.from_numpy(batch)), dim=2).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_int16_is_half_the_size_and_near(graph, network, lines):
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    small = smaller(copy).SerializeToString()
    assert len(small) < 0.53 * graph.ByteSize()
    check_line_graph(LineGraph(network), small, lines)


def test_the_written_graph_is_one_that_the_recogniser_opens(network, lines):
    graph = export_lines(network, lines)
    assert LineRecognizer(graph, threads=1).posteriors(lines[0][None]).shape == (1, 2, CLASSES)


def test_a_graph_of_another_network_is_refused(graph, lines):
    torch.manual_seed(1)
    other = LineGraph(LineNetwork(CLASSES).eval())
    with pytest.raises(ModelError, match="differs from the network"):
        check_line_graph(other, graph.SerializeToString(), lines)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3, 3), (1, 4), (3, 2, 1, 1)])
def test_two_scales_keep_rows_and_columns_of_different_size(shape):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=shape).astype(np.float32)
    weight[:, 0] *= 1000
    weight[-1] *= 0.01
    codes, first, second = quantised(weight)
    assert codes.dtype == np.int16
    assert first.shape == (shape[0], *[1] * (len(shape) - 1))
    assert second.shape == (1, shape[1], *[1] * (len(shape) - 2))
    error = np.abs(codes * first * second - weight)
    assert (error <= 0.51 * first * second).all()


def test_zeros_stay_zeros():
    codes, first, second = quantised(np.zeros((3, 4), np.float32))
    np.testing.assert_array_equal(codes * first * second, np.zeros((3, 4)))
