"""The test vectors of docs/FRAMING.md: Python and the browser's reader both reproduce them."""

import ast
import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from digitlens.models import bundle
from digitlens.reading.fusion import Fusion, Scores
from digitlens.reading.places import UNSEEN, Places

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "digitlens"
READER = SOURCE / "server" / "static" / "reader"
VECTORS = ROOT / "tests" / "vectors"
NAMES = sorted(path.stem for path in VECTORS.glob("*.json"))

# Python modules whose constants the reader repeats, and its files with other names than the module.
MODULES = (
    *("alphabet", "imaging/framing", "imaging/ink", "imaging/tiles", "models/classifier"),
    *("models/networks", "reading/constrained", "reading/decode", "reading/fusion"),
    "reading/layout",
    "reading/notation",
    *("reading/constraints", "reading/multiscale", "reading/nms", "reading/orientation"),
    *("reading/places", "reading/reading_order", "reading/recognize", "reading/text_lines"),
)
FILES = {
    "alphabet": "decode",
    "models/classifier": "models",
    "models/networks": "models",
    "reading/constraints": "pattern",
}
IN_GRAPH = {"reading/fusion"}  # built from Python's constants by tools/fusion_graph.py
# Needed only for fitting, training, tables or threads.
NOT_NEEDED = {
    "alphabet": {"SPACE"},
    "models/classifier": {"MIN_WORK", "MNIST_DEVIATION", "MNIST_MEAN", "SUM_SLACK", "TOLERANCE"},
    "models/networks": {"AUTOENCODER", "BATCH", "QUANTILES", "SPOTS"},
    "reading/constraints": {"CACHE_SIZE", "MAX_TRIED"},
    "reading/decode": {"MIN_CANDIDATE", "MIN_CHANCE", "SURE_BLANK"},
    "reading/fusion": {"CONTEXT", "LAYERS", "POOL"},
    "reading/orientation": {"MIN_COHERENCE"},
}


@pytest.fixture(scope="module")
def make():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(VECTORS)
        yield importlib.import_module("make")
    del sys.modules["make"], sys.modules["inputs"]


def test_all_functions_have_vectors(make):
    assert sorted(make.functions()) == NAMES
    kept = [path for path in VECTORS.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in kept) < 500_000


@pytest.mark.parametrize("name", NAMES)
def test_python_reproduces_the_vectors(make, name):
    vectors = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    run = make.functions()[name].run
    assert vectors["tolerance"] == make.functions()[name].tolerance
    for case in vectors["cases"]:
        actual = json.loads(json.dumps(run(case["input"])))
        agree(make, actual, case["output"], max(vectors["tolerance"], 1e-6))


def agree(make, actual, expected, tolerance):
    """Asserts that two results agree, as check.js does."""
    if isinstance(expected, dict) and "bytes" in expected:
        one, other = make.unpacked(actual).astype(int), make.unpacked(expected).astype(int)
        assert np.abs(one - other).max(initial=0) <= tolerance
    elif isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for key in expected:
            agree(make, actual[key], expected[key], tolerance)
    elif isinstance(expected, list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            agree(make, one, other, tolerance)
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, abs=tolerance)
    else:
        assert actual == expected


@pytest.mark.parametrize("module", [name for name in MODULES if name not in IN_GRAPH])
def test_constants_match_python(module):
    name = FILES.get(module, Path(module).name)
    script = (READER / f"{name}.js").read_text(encoding="utf-8")
    python = constants(module)
    assert python
    for constant, value in python.items():
        found = re.search(rf"^(?:export )?const {constant} = (.*?);( //|$)", script, re.MULTILINE)
        assert found, f"{name}.js has no {constant}"
        assert written(found[1]) == value, constant


def written(value):
    """Parses a constant of a script."""
    if value.endswith(("'", '"')):
        return ast.literal_eval(value)
    top, _, bottom = value.replace("_", "").partition(" / ")
    return json.loads(top) / json.loads(bottom) if bottom else json.loads(top)


@pytest.mark.parametrize("module", MODULES)
def test_constants_of_the_specification_match_python(module):
    assert row(module) in (ROOT / "docs" / "FRAMING.md").read_text(encoding="utf-8").splitlines()


def row(module):
    """Returns a module's row in the specification's table of constants."""
    values = [f"{name} {shown(value)}" for name, value in constants(module).items()]
    return f"| {Path(module).name} | {' · '.join(values)} |"


def shown(value):
    if isinstance(value, str):
        return f"`{value}`"
    numbers = value if isinstance(value, list) else [value]
    return ", ".join(f"{one:,.10g}" for one in numbers)


def constants(module):
    """Returns a module's numeric and text constants by name, without leading underscores."""
    found = {}
    for node in ast.parse((SOURCE / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            found |= dict(named(node.targets[0], node.value))
    left_out = NOT_NEEDED.get(module, set())
    kinds = str if module == "alphabet" else int | float | list
    return {k: v for k, v in found.items() if k not in left_out and isinstance(v, kinds)}


def named(target, value):
    """Yields upper-case names and their values, also from tuple assignments."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its in zip(target.elts, value.elts, strict=True):
            yield from named(one, its)
    elif isinstance(target, ast.Name) and target.id.isupper():
        parsed = literal(value)
        if parsed is not None:
            yield target.id.lstrip("_"), parsed


def literal(value):
    """Returns a number, a text, a quotient of numbers or a list of numbers, otherwise None."""
    try:
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div):
            return ast.literal_eval(value.left) / ast.literal_eval(value.right)
        parsed = ast.literal_eval(value)
    except ValueError:
        return None
    if isinstance(parsed, tuple):
        return list(parsed) if all(isinstance(one, int | float) for one in parsed) else None
    return parsed


def test_fusion_graph_matches_python(fusion_card):
    random, count = np.random.default_rng(5), 300
    raw = random.random((12, count)).round(2).astype(np.float32) ** 3  # includes 0 and 1
    chances = random.dirichlet(np.full(10, 0.1), (3, count)).astype(np.float32)
    sides = random.integers(0, 200, (count, 4)).astype(np.float32)
    reads, none = random.integers(0, 3, count), np.zeros(count, np.intp)
    objectness = np.where(raw[0] > 0.3, raw[1], np.float32(UNSEEN))
    places = Places(sides, objectness, chances[0], *raw[2:5], chances[1], none, none, reads,
                    *raw[5:7], np.rint(raw[7]), raw[8])  # fmt: skip
    scores = Scores(places, chances[2], raw[9])
    columns = {**vars(places), "box": sides, "classifier": chances[2], "isDigit": raw[9]}
    session = onnxruntime.InferenceSession(READER / "fusion.onnx")
    wanted = [each.name for each in session.get_inputs()]
    inputs = {name: np.reshape(columns[name], (count, -1)).astype(np.float32)
              for name in wanted if name in columns}  # fmt: skip
    table = fusion_card["calibration"]
    tables = {**fusion_card["layers"], "pool": fusion_card["pool"],
              "calibration": [table["confidence"], table["probability"]]}  # fmt: skip
    said = session.run(None, inputs | {name: np.array(rows) for name, rows in tables.items()})
    for found, known in zip(said, Fusion.from_dict(fusion_card).fuse(scores), strict=True):
        assert np.allclose(found.reshape(known.shape), known, rtol=0, atol=2e-6)


@pytest.fixture(scope="module")
def fusion_card():
    """The fusion in the card of the shipped line reader."""
    classifier, _ = bundle.open_roles("default", "pages")
    card = bundle.lines_of(classifier.folder) / bundle.CARD
    return json.loads(card.read_text(encoding="utf-8"))["fusion"]


def test_reader_files_state_their_purpose_and_are_short():
    paths = sorted(READER.glob("*.js"))
    assert len(paths) > 15
    for path in paths:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("// "), path.name
        assert len(lines) <= 600, path.name
        assert max(map(len, lines)) <= 100, path.name


@pytest.fixture(scope="module")
def page(browser, hosted, tmp_path_factory, exported):
    """A page on a static host with the project and a site, whose runtime runs the graphs."""
    folder = tmp_path_factory.mktemp("host")
    for name, target in (("site", exported), ("src", ROOT / "src"), ("tests", ROOT / "tests")):
        (folder / name).symlink_to(target)
    with hosted(folder) as address:
        page = browser.new_page()
        page.goto(f"{address}/tests/vectors/flatten.json")
        yield page
        page.close()


@pytest.mark.parametrize("name", NAMES)
def test_browser_reproduces_the_vectors(page, name):
    run = "async (name) => (await import('/tests/vectors/check.js')).check(name)"
    found = page.evaluate(run, name)
    assert found["cases"] > 0
    assert not found["wrong"], json.dumps(found["wrong"])[:2000]
