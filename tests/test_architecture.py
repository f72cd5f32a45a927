"""The structure described in ARCHITECTURE.md: layers, homes of heavy libraries, no cycles."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ARCHITECTURE = Path(__file__).parents[1] / "ARCHITECTURE.md"
SOURCE = Path(__file__).parents[1] / "src" / "digitlens"

# From the bottom up; a module imports only its own layer and lower ones.
LAYERS = [
    ("errors",),
    ("results", "tabular", "files", "progress", "alphabet"),
    ("imaging", "datasets"),
    ("models",),
    ("evaluation",),
    ("reading",),
    ("training",),
    ("explain",),
    ("visualization",),
    ("server",),
    ("cli",),
    ("__main__", ""),
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

HOMES = {
    "torch": ("explain.evidence", "training."),
    "onnx": ("training.export", "training.pretrained", "models.layers"),
    "safetensors": ("training.",),
    "onnxruntime": ("models.",),
    "PIL": (
        *("imaging.image", "imaging.document", "imaging.tiff", "datasets.external"),
        *("datasets.negative_inks", "datasets.synthetic.", "imaging.photo", "imaging.framing"),
        *("imaging.ruling", "reading.multiscale", "reading.table"),
        *("visualization.explanation_page", "visualization.html", "visualization.notebook"),
        *("visualization.overlay", "visualization.sheets", "training.calibrate"),
    ),
    "cv2": (
        *("datasets.negative_inks", "datasets.synthetic.", "reading.template"),
        "training.tasks.batches",
    ),
    "paho": ("reading.ledger",),
    "openpyxl": ("tabular",),
    "pyarrow": ("tabular", "reading.shards"),
    "obstore": ("reading.stores",),
    "pypdfium2": ("imaging.photo",),
    "pillow_heif": ("imaging.photo",),
    "matplotlib": ("visualization.figures.", "visualization.notebook", "visualization.theme"),
    "jinja2": ("visualization.html",),
    "markupsafe": ("visualization.html", "visualization.report_page"),
    "IPython": ("visualization.notebook",),
    "optuna": ("training.tune",),
    "pooch": ("datasets.sources",),
    "sklearn": ("datasets.external", "datasets.number_files", "explain.evidence"),
    "scipy": ("datasets.external",),
    "umap": ("explain.evidence",),
    "fastapi": ("server.",),
    "starlette": ("server.",),
    "pydantic": ("server.",),
    "uvicorn": ("server.",),
    "anyio": ("server.",),
    "prometheus_client": ("server.",),
    "typer": ("cli.",),
    "platformdirs": ("files",),
}
NO_TORCH = (
    *("training.recipe", "training.run", "training.search_space"),
    *("training.settings", "training.thresholds"),
)


def _name(path: Path) -> str:
    name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    return name.removesuffix(".__init__") if name != "__init__" else ""


MODULES = {_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


@cache
def _imports(name: str) -> set[str]:
    """Full names of all imports in a module, except those for type checkers only."""
    tree = _tree(name)
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _own_imports(name: str) -> set[str]:
    """The digitlens modules that a module imports."""
    own: set[str] = set()
    for full in _imports(name):
        if full.split(".")[0] != "digitlens":
            continue
        parts = full.split(".")[1:]
        while parts and ".".join(parts) not in MODULES:
            parts.pop()
        own.add(".".join(parts))
    return own - {name}


def _layer(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_point_down(name):
    # Every layer may import the root: it holds only the version and loads nothing itself.
    for other in _own_imports(name) - {""}:
        assert RANK[_layer(other)] <= RANK[_layer(name)], f"{name} imports {other}"


def test_evaluation_imports_neither_models_nor_reading():
    for name in MODULES:
        if _layer(name) == "evaluation":
            layers = {_layer(other) for other in _own_imports(name)}
            assert not layers & {"models", "reading"}


def test_there_are_no_cycles():
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join([*path, name])
        if name not in done:
            for other in _own_imports(name) - {""}:
                visit(other, (*path, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())
    assert len(done) == len(MODULES)


@pytest.mark.parametrize("library", HOMES)
def test_heavy_libraries_are_imported_only_in_their_homes(library):
    users = {
        name for name in MODULES if any(full.split(".")[0] == library for full in _imports(name))
    }
    assert users, f"nobody imports {library}: drop the rule"
    assert all(name.startswith(HOMES[library]) for name in users), users
    if library == "torch":
        assert not users & set(NO_TORCH)


def test_sub_package_inits_hold_only_a_docstring():
    for path in SOURCE.glob("*/__init__.py"):
        body = _tree(_name(path)).body
        assert len(body) == 1, path
        assert isinstance(body[0], ast.Expr), path


def test_every_module_has_a_docstring_and_at_most_600_lines():
    for name, path in MODULES.items():
        assert ast.get_docstring(_tree(name)), f"{name} has no purpose line"
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 600, path


def test_module_names_and_public_class_names_are_unique():
    homes = [(name.rpartition(".")[2], name) for name in MODULES]
    homes += [
        (node.name, name)
        for name in MODULES
        for node in _tree(name).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    found: dict[str, list[str]] = {}
    for called, home in homes:
        found.setdefault(called, []).append(home)
    assert not {called: names for called, names in found.items() if len(names) > 1}


def test_every_module_is_named_in_the_architecture():
    words = set(re.findall(r"`([\w/]+)`", ARCHITECTURE.read_text(encoding="utf-8")))
    rooms = tuple(word.replace("/", ".") for word in words if word.endswith("/"))
    parts = {word.rpartition("/")[2] for word in words}
    missing = {
        name
        for name in MODULES
        if not name.startswith(rooms) and name.rpartition(".")[2] not in parts
    }
    packages = {name.rpartition(".")[0] for name in MODULES}
    assert not missing - packages


def test_nothing_is_called_utils():
    names = {part for name in MODULES for part in name.split(".")}
    assert not names & {"utils", "util", "common", "helpers", "misc"}


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import digitlens", "PIL onnxruntime typer rich torch matplotlib"),
        ("import digitlens.cli.main", "PIL onnxruntime torch matplotlib rich"),
        ("from digitlens import read", "torch matplotlib typer"),
        ("import digitlens.training.recipe", "torch onnxruntime PIL"),
    ],
)
def test_importing_loads_no_heavy_library(statement, unwanted):
    program = f"{statement}; import sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {name.split(".")[0] for name in loaded} & set(unwanted.split())
