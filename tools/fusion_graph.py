"""Generates the ONNX graph of ``Fusion.fuse`` (reading/fusion.py) for the browser.

Run ``python tools/fusion_graph.py`` after changing that function or its constants. The weights are
inputs of the graph, since they belong to the card of each line reader.
"""

# onnxscript evaluates these annotations, so they are not deferred.
# ruff: noqa: F821

from pathlib import Path

import onnx
from onnxscript import DOUBLE, FLOAT, script
from onnxscript import opset18 as op

from digitlens.evaluation import calibration
from digitlens.reading import fusion
from digitlens.reading.places import UNSEEN

GRAPH = Path(__file__).parents[1] / "src/digitlens/server/static/reader/fusion.onnx"
MIN_CHANCE, MIN_DIGIT, MEDIUM_HEIGHT = fusion._MIN_CHANCE, fusion._MIN_DIGIT, fusion._MEDIUM_HEIGHT
CLIP = calibration._CLIP


@script()
def logit(chances, least: float):
    """Logits, in the type of the chances."""
    edge = op.CastLike(op.Constant(value_float=least), chances)
    inside = op.Clip(chances, edge, 1.0 - edge)
    return op.Log(inside / (1.0 - inside))


@script()
def logistic(values):
    """Probabilities of logits."""
    return 1.0 / (1.0 + op.Exp(-values))


@script()
def layer(values, weights):
    """Values times all rows of weights but the last, which is added."""
    return op.MatMul(values, weights[:-1]) + weights[-1]


@script()
def interpolate(at, x, y):
    """Straight lines through points of rising x, level beyond the ends, for [N, 1]."""
    last = op.Size(x) - 1
    counts = op.ReduceSum(op.Cast(x <= at, to=7), [1], keepdims=1)
    low = op.Clip(counts - 1, 0, last - 1)
    x0, y0 = op.Gather(x, low), op.Gather(y, low)
    steep = (op.Gather(y, low + 1) - y0) / (op.Gather(x, low + 1) - x0)
    inside = op.Max(op.Min(at, op.Gather(x, last)), op.Gather(x, 0))
    return y0 + steep * (inside - x0)


@script()
def fuse(  # noqa: PLR0913, PLR0917  (a graph has as many inputs as it needs)
    box: FLOAT["N", 4], objectness: FLOAT["N", 1], detector: FLOAT["N", 10], mass: FLOAT["N", 1],
    given: FLOAT["N", 1], numeric: FLOAT["N", 1], recognizer: FLOAT["N", 10],
    reads: FLOAT["N", 1], fluency: FLOAT["N", 1], letters: FLOAT["N", 1], lone: FLOAT["N", 1],
    text: FLOAT["N", 1], classifier: FLOAT["N", 10], isDigit: FLOAT["N", 1],  # noqa: N803
    pool: DOUBLE[3], first: DOUBLE["I", "A"], second: DOUBLE["B", "C"], third: DOUBLE["D", 1],
    exists: DOUBLE["I", "E"], existing: DOUBLE["F", 1],
    calibration: DOUBLE[2, "K"],
):  # fmt: skip
    """Probabilities [N, 10], confidence and existence [N, 1] of places."""
    # Concatenated, since ONNX Runtime fuses a stack and transpose into a matrix product wrongly.
    said = op.Concat(
        op.Unsqueeze(detector, [2]), op.Unsqueeze(recognizer, [2]), op.Unsqueeze(classifier, [2]),
        axis=2,
    )  # fmt: skip
    logs = op.Log(op.Max(said, MIN_CHANCE))
    highest, _ = op.TopK(logs, [2], axis=1)
    seen = op.CastLike(objectness > UNSEEN, box)
    height = op.Max(op.Slice(box, [3], [4], [1]) - op.Slice(box, [1], [2], [1]), 1.0)
    size = op.Clip(op.Log(height / MEDIUM_HEIGHT) / op.Log(2.0) / 2.0, -1.0, 1.5)
    context = op.Concat(
        seen * 3.0, seen * logit(objectness, MIN_CHANCE), logit(mass, MIN_CHANCE),
        logit(given, MIN_CHANCE), logit(numeric, MIN_CHANCE), logit(fluency, MIN_CHANCE),
        letters * 4.0, logit(isDigit, MIN_DIGIT),
        lone * 3.0, text * 3.0, size * 3.0,
        op.CastLike(op.Equal(reads, op.Constant(value_floats=[0.0, 1.0, 2.0])), box) * 3.0,
        op.Reshape(op.Transpose(op.Gather(highest, [1, 0], axis=1), perm=[0, 2, 1]), [-1, 6]),
        axis=1,
    ) / 3.0  # fmt: skip
    around = op.Unsqueeze(context, [1]) + 0.0 * op.ReduceSum(logs, [2], keepdims=1)
    inputs = op.Cast(op.Concat(logs / 3.0, around, axis=2), to=11)
    hidden = op.Relu(layer(op.Relu(layer(inputs, first)), second))
    own = op.Squeeze(layer(hidden, third), [2])
    sums = op.MatMul(op.Cast(logs, to=11), pool) + own
    best = op.GatherND(inputs, op.ArgMax(sums, axis=1, keepdims=1), batch_dims=1)
    found = layer(op.Relu(layer(best, exists)), existing)
    existence = op.Cast(logistic(op.Clip(found, -40.0, 40.0)), to=1)
    probabilities = op.Cast(op.Softmax(sums, axis=1), to=1)
    raw = existence * op.ReduceMax(probabilities, [1], keepdims=1)
    table = logit(calibration, CLIP)
    levels = logit(op.Cast(raw, to=11), CLIP)
    right = logistic(interpolate(levels, table[0], table[1]))
    confidence = op.Cast(right, to=1)
    return probabilities, confidence, existence


if __name__ == "__main__":
    onnx.save(fuse.to_model_proto(), GRAPH)
