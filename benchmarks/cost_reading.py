"""Counts and times what reading is made of: graphs, decoding, shrinking, a start."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from PIL import Image

from digitlens import DigitReader
from digitlens.datasets.mnist import load_mnist
from digitlens.imaging.framing import HEIGHT
from digitlens.imaging.image import load_image
from digitlens.models.bundle import PAGES, load_bundle, load_line_bundle, shipped_classifiers
from digitlens.models.classifier import BATCH, Classifier
from digitlens.models.networks import DigitDetector, LineDetector, LineRecognizer
from digitlens.models.session import cores
from digitlens.reading import multiscale
from harness import timed
from reading import CORE, EXAMPLES, cost, photo
from roofline import Stage, Work

MANY = 2048  # tiles of a batch
LINES, WIDTH = 4, 256  # lines of a page, and pixels of each
STARTS = 5
Feed = Mapping[str, npt.NDArray[Any]]

# Reads a picture as ``digitlens read`` does and says what that took: modules imported, and bytes
# read from files or mapped from them.
START = """
import json, os, runpy, sys
real = os._exit
def told(code):
    status = open("/proc/self/status").read()
    mapped = 1024 * int(status.partition("RssFile:")[2].split()[0])
    read = int(open("/proc/self/io").read().partition("rchar:")[2].split()[0])
    print(json.dumps(dict(modules=len(sys.modules), bytes=mapped + read)), flush=True)
    real(code)
os._exit = told
runpy.run_module("digitlens", run_name="__main__")
"""


def graph_work(graph: bytes, feed: Feed, outputs: list[str] | None = None) -> Work:
    """What a run of an ONNX graph does, counted while onnxruntime runs it.

    Multiply-adds are those of the graph as it was exported. Operators, and the bytes that they
    hand to each other, are those that are left once onnxruntime has fused what it can; each weight
    is read once.
    """
    exported = _nodes(graph, feed, outputs, ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
    executed = _nodes(graph, feed, outputs, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    weights = onnx.load_from_string(graph).graph.initializer
    moved = sum(int(node["activation_size"]) + int(node["output_size"]) for node in executed)
    return Work(
        flops=sum(2 * _multiply_adds(node) for node in exported),
        bytes=moved + sum(onnx.numpy_helper.to_array(weight).nbytes for weight in weights),
        calls=len(executed),
        runs=1,
    )


def _nodes(graph: bytes, feed: Feed, outputs: list[str] | None, level: Any) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        options.add_session_config_entry("session.disable_prepacking", "1")
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        session.run(outputs, dict(feed))
        rows = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return [
        row["args"]
        for row in rows
        if row.get("cat") == "Node" and row["name"].endswith("_kernel_time")
    ]


def _multiply_adds(node: Mapping[str, Any]) -> int:
    if node["op_name"] not in {"Conv", "Gemm", "MatMul"}:
        return 0
    (first, second, *_), (out, *_) = (
        [next(iter(shape.values())) for shape in node[key]]
        for key in ("input_type_shape", "output_type_shape")
    )
    # What is summed for each number that comes out.
    each = prod(second[1:]) if node["op_name"] == "Conv" else first[-1]
    return prod(out) * each


def _stage(
    key: str, name: str, work: Work, call: Callable[[], object], times: int, threads: int = 0
) -> Stage:
    """One that is timed; what does not run a graph costs as much as an operator of PyTorch."""
    seconds = timed(call, times)
    return Stage(key, name, work, seconds, threads or cores(), "node" if work.runs else "torch")


def reading_stages() -> list[Stage]:
    """Classifying, the networks that read a page, what happens to pixels before, and a start."""
    tiles = load_mnist().test.tiles[:MANY]
    stages = [each for model in shipped_classifiers() for each in _classifying(model, tiles)]
    return [*stages, *_page_stages(), *_picture_stages(), _start_stage()]


def _classifying(model: str, tiles: npt.NDArray[np.uint8]) -> list[Stage]:
    classifier, graph = Classifier(model), load_bundle(model).graph
    one, part = (
        graph_work(graph, {"tiles": tiles[:count]}, ["probabilities"]) for count in (1, BATCH)
    )
    answer, key, count = classifier.predict_proba, f"classifying.{model}", f"{len(tiles):,} tiles"
    many = part * (len(tiles) / BATCH)
    return [
        _stage(f"{key}.one_tile", f"one tile, `{model}`", one, lambda: answer(tiles[:1]), 200, 1),
        _stage(f"{key}.many_tiles", f"{count}, `{model}`", many, lambda: answer(tiles), 4),
    ]


def _page_stages() -> list[Stage]:
    """One look of the digit detector, one of the line detector, and the lines of a page read."""
    page, lines = photo(640, 480), np.zeros((LINES, HEIGHT, WIDTH, 3), np.uint8)
    bundle = load_line_bundle()
    digits, text = DigitDetector(), LineDetector(bundle.detector)
    recognizer = LineRecognizer(bundle.recognizer)
    size, batch = "640 x 480", f"{LINES} lines of {HEIGHT} x {WIDTH}"
    rows = (
        ("look", f"a look of the digit detector, {size}", load_bundle(PAGES).graph,
         {"page": page}, lambda: digits.predict(page)),
        ("lines", f"a look of the line detector, {size}", bundle.detector,
         {"page": page}, lambda: text.text_map(page)),
        ("recognize", f"the line recogniser, {batch}", bundle.recognizer,
         {"lines": lines}, lambda: recognizer.posteriors(lines)),
    )  # fmt: skip
    return [
        _stage(f"page.{key}", name, graph_work(graph, feed), call, 12)
        for key, name, graph, feed, call in rows
    ]


def _picture_stages() -> list[Stage]:
    """A large photo decoded and shrunk, and a drawing of one digit, which all networks see."""
    page, written = photo(4000, 3000), io.BytesIO()
    Image.fromarray(page).save(written, "JPEG", quality=90)
    file, reader = written.getvalue(), DigitReader()
    small = max(1, max(page.shape[:2]) // multiscale.LARGEST)
    drawn = load_image(EXAMPLES / "drawing.png")
    name = "a drawing of {} x {}, decoded".format(*drawn.shape[1::-1])
    work = Work(0, len(file) + page.nbytes, 1), Work(0, page.nbytes + page.nbytes / small**2, 1)
    shrink = lambda: multiscale._reduced(page)  # noqa: E731
    return [
        _stage("picture.decode", "decoding a JPEG of 12 megapixels", work[0],
               lambda: load_image(file), 5, 1),
        _stage("picture.shrink", "shrinking 12 megapixels", work[1], shrink, 10, 1),
        _stage("picture.drawing", name, reading_work(drawn) + Work(bytes=drawn.nbytes),
               lambda: reader.read(drawn), 40),
    ]  # fmt: skip


def reading_work(page: npt.NDArray[np.uint8]) -> Work:
    """The work of all runs of graphs in one reading of a page."""
    reader, bundle = DigitReader(), load_line_bundle()
    runs: list[tuple[bytes, list[str] | None, Feed]] = []
    reader.read(page)  # which opens the graphs that are opened lazily
    for model, graph in (
        (reader.classifier, load_bundle().graph),
        (reader.finder, load_bundle(PAGES).graph),
        (reader.detector, bundle.detector),
        (reader.recognizer, bundle.recognizer),
    ):
        session: Any = vars(model)["_session"]
        vars(model)["_session"] = _Recorder(session, graph, runs)
    reader.read(page)
    return sum((graph_work(graph, feed, names) for graph, names, feed in runs), Work())


class _Recorder:
    """Stands for the session of a graph, or for what opens it, and keeps what each run is given."""

    def __init__(self, session: Any, graph: bytes, runs: list[Any]) -> None:
        self._session, self._graph, self._runs = session, graph, runs

    def __call__(self) -> _Recorder:
        return _Recorder(self._session(), self._graph, self._runs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, names: list[str] | None, feed: Feed, *options: Any) -> Any:
        self._runs.append((self._graph, names, dict(feed)))
        return self._session.run(names, feed, *options)


def _start_stage() -> Stage:
    """``digitlens read`` of a drawing, from the start of its process to its end."""
    file = EXAMPLES / "drawing.png"
    python = str(CORE if CORE.exists() else sys.executable)
    command = [python, "-c", START, "read", str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    runs = [cost([python, "-m", "digitlens", "read", str(file)]) for _ in range(STARTS + 1)]
    work = Work(reading_work(load_image(file)).flops, found["bytes"], found["modules"])
    seconds = [run["wall"] / 1000 for run in runs[1:]]
    return Stage("start", "`digitlens read one.png`, a cold start", work, seconds, 1, "import")
