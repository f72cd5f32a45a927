"""Counts and times what reading is made of: graphs, decoding, shrinking, a start."""

from __future__ import annotations

import io
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from PIL import Image

import drawing
from cold_start import CORE, EXAMPLES, cost
from cost_model import Stage, Work
from digitlens import DigitReader
from digitlens.datasets.mnist import load_mnist
from digitlens.imaging.image import load_image
from digitlens.models.bundle import load_bundle
from digitlens.models.classifier import BATCH, Classifier
from digitlens.models.detector import PAGES, DigitDetector, LineDetector
from digitlens.models.line_bundle import load_line_bundle
from digitlens.models.line_recognizer import HEIGHT, LineRecognizer
from digitlens.models.session import cores
from digitlens.reading import multiscale

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
    """What onnxruntime says of each operator that it ran."""
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


def classifying_stages(models: list[str]) -> list[Stage]:
    """One tile, and many in one call, of each classifier."""
    tiles = load_mnist().test.tiles[:MANY]
    return [stage for model in models for stage in _classifying(model, tiles)]


def _classifying(model: str, tiles: npt.NDArray[np.uint8]) -> list[Stage]:
    classifier, graph = Classifier(model), load_bundle(model).graph
    one, part = (
        graph_work(graph, {"tiles": tiles[:count]}, ["probabilities"]) for count in (1, BATCH)
    )
    return [
        Stage(
            f"classifying.{model}.one_tile",
            f"one tile, `{model}`",
            one,
            timed(lambda: classifier.predict_proba(tiles[:1]), 200),
            1,
            "node",
            "One core does all of it, and each operator waits for the one before it. A smaller "
            "network with fewer operators would help.",
        ),
        Stage(
            f"classifying.{model}.many_tiles",
            f"{len(tiles):,} tiles, `{model}`",
            part * (len(tiles) / BATCH),
            timed(lambda: classifier.predict_proba(tiles), 4),
            cores(),
            "node",
            "Maps of a part of the batch stay in the cache and weights are read once for all its "
            "tiles, so arithmetic is what is left. A smaller network, or numbers of fewer bits "
            "where the processor multiplies them faster, would help.",
        ),
    ]


def page_stages() -> list[Stage]:
    """One look of the digit detector, one of the line detector, and the lines of a page read."""
    page = drawing.photo(640, 480, "402867\n193548")
    lines = np.zeros((LINES, HEIGHT, WIDTH, 3), np.uint8)
    bundle = load_line_bundle()
    digits, text = DigitDetector(), LineDetector(bundle.detector)
    recognizer = LineRecognizer(bundle.recognizer)
    return [
        Stage(
            "page.look",
            "a look of the digit detector, 640 x 480",
            graph_work(load_bundle(PAGES).graph, {"page": page}),
            timed(lambda: digits.predict(page), 12),
            cores(),
            "node",
            "Most of the work is in the first layers, whose maps are large. Fewer or smaller looks "
            "would help.",
        ),
        Stage(
            "page.lines",
            "a look of the line detector, 640 x 480",
            graph_work(bundle.detector, {"page": page}),
            timed(lambda: text.text_map(page), 12),
            cores(),
            "node",
            "Its maps have half the sides of the page, so large copies cost most. A larger copy is "
            "looked at only where the lines that were found are small.",
        ),
        Stage(
            "page.recognize",
            f"the line recogniser, {LINES} lines of {HEIGHT} x {WIDTH}",
            graph_work(bundle.recognizer, {"lines": lines}),
            timed(lambda: recognizer.posteriors(lines), 12),
            cores(),
            "node",
            "Lines of like widths share a batch, whose padding is read as well.",
        ),
    ]


def picture_stages() -> list[Stage]:
    """What happens to pixels before a network sees them."""
    page = drawing.photo(4000, 3000, "402867\n193548")
    written = io.BytesIO()
    Image.fromarray(page).save(written, "JPEG", quality=90)
    file = written.getvalue()
    small = max(1, max(page.shape[:2]) // multiscale.LARGEST)
    return [
        Stage(
            "picture.decode",
            "decoding a JPEG of 12 megapixels",
            Work(0, len(file) + page.nbytes, 1),
            timed(lambda: load_image(file), 5),
            1,
            "torch",
            "The bits of a JPEG can only be read one after the other, on one core, which no count "
            "of bytes shows; transforms and colours follow. Decoding at half the size, or another "
            "picture meanwhile on the other core, helps.",
        ),
        Stage(
            "picture.shrink",
            "shrinking 12 megapixels",
            Work(0, page.nbytes + page.nbytes / small**2, 1),
            timed(lambda: multiscale._reduced(page), 10),
            1,
            "torch",
            "Each byte is read once and added to a sum, on one core. Wider instructions would "
            "help, or decoding at that size.",
        ),
    ]


def drawing_stage() -> Stage:
    """A drawing of one digit, which all four networks see."""
    page = load_image(EXAMPLES / "drawing.png")
    reader = DigitReader()
    return Stage(
        "picture.drawing",
        "a drawing of {} x {}, decoded".format(*page.shape[1::-1]),
        reading_work(page) + Work(bytes=page.nbytes),
        timed(lambda: reader.read(page), 40),
        cores(),
        "node",
        "All four networks see it, several of them on copies of several sizes. NumPy finds lines "
        "and frames the tile in many small steps; they are not counted here.",
    )


def reading_work(page: npt.NDArray[np.uint8]) -> Work:
    """The work of all runs of graphs in one reading.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
    """
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


def start_stage(python: Path) -> Stage:
    """``digitlens read`` of a drawing, from the start of its process to its end."""
    page = load_image(EXAMPLES / "drawing.png")
    picture = ["read", str(EXAMPLES / "drawing.png")]
    command = [str(python), "-c", START, *picture]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    runs = [cost([str(python), "-m", "digitlens", *picture]) for _ in range(STARTS + 1)]
    return Stage(
        "start",
        "`digitlens read one.png`, a cold start",
        Work(reading_work(page).flops, found["bytes"], found["modules"]),
        [run["wall"] / 1000 for run in runs[1:]],
        1,
        "import",
        "Modules are imported one after the other, and what they run when they are imported costs "
        "more than to find them; libraries are linked and graphs are prepared. Fewer modules, and "
        "graphs that are stored as they are run, would help.",
    )


def core_python(other: str) -> Path:
    """The interpreter of a core install, if there is one."""
    return CORE if CORE.exists() else Path(other)


def timed(call: Callable[[], object], times: int) -> list[float]:
    """Seconds of each call; two come first that are not counted."""
    found: list[float] = []
    for number in range(times + 2):
        start = time.perf_counter()
        call()
        if number > 1:
            found.append(time.perf_counter() - start)
    return found
