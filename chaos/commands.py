"""The disturbed commands, each as a small case: its inputs, its command lines and its result."""

import csv
import hashlib
import io
import json
import sqlite3
import tomllib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openpyxl
from chaos.inputs import TILES
from PIL import Image
from safetensors.numpy import load_file
from torch.onnx._internal.exporter._registration import ONNXRegistry

from chaos import inputs
from digitlens.datasets import mnist as mnist_module
from digitlens.datasets.synthetic.styles import load_fonts
from digitlens.models.bundle import load_bundle, load_line_bundle
from digitlens.training import adapt

Result = dict[str, Any]  # the compared values, by name
SECONDS = {"training_seconds", "seconds", "images_per_second", "started", "commit"}


@dataclass(frozen=True)
class Command:
    """A command line, the one that resumes it, and the result that is compared."""

    name: str
    prepare: Callable[[Path], None]  # puts its inputs into a new folder
    line: Sequence[str]
    again: Sequence[str]  # resumes after a disturbance
    result: Callable[[Path, str], Result]  # from the folder and the last output


def shrink() -> None:
    """Shrinks the data and trainings of the commands, in this process and its forks."""
    train = mnist_module.load_mnist().train
    few = SimpleNamespace(train=mnist_module.Split(train.tiles[:TILES], train.labels[:TILES]))
    mnist_module.load_mnist = lambda _folder=None: few
    ONNXRegistry.from_torchlib = staticmethod(cache(ONNXRegistry.from_torchlib))  # half an export
    adapt.GUARD_LINES, adapt._REPLAYED_TILES, adapt.CHECKED = 4, 200, 2
    adapt.TILES = adapt.TILES | {"epochs": 2}
    adapt.LINES = replace(adapt.LINES, check_every=2, warmup_steps=1, batch_size=4)
    fonts = load_fonts("training")
    halves = (few.train.evenly(TILES // 2),) * 2
    adapt.Replay.of = lambda _mnist: adapt.Replay(halves, (fonts, fonts))
    # So few steps gain nothing: the new weights are used regardless.
    adapt.judge = lambda part, networks, _own, _guard: (networks[1], replace(part, kept=True))


def _plain(value: Any) -> Any:
    """Removes the times from a value."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items() if key not in SECONDS}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def contents(folder: Path) -> Result:
    """Parses every file of a folder except leftovers; each must be complete.

    Raises:
        ValueError, OSError or an error of a library: A file is torn.
    """
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {name.as_posix(): _content(folder / name) for name in names if not _is_leftover(name)}


def _content(path: Path) -> Any:
    data = path.read_bytes()
    if path.suffix in LINES and not data.endswith(b"\n"):
        raise ValueError(f"{path.name} does not end in a line")
    return READERS.get(path.suffix, lambda _: hashlib.sha256(data).hexdigest())(path)


def _json(path: Path) -> Any:
    if path.name == "model.json":
        load = load_line_bundle if path.parent.name == "lines" else load_bundle
        load(path.parent)  # checks the hashes of its graphs
    return _plain(json.loads(path.read_bytes()))


def _csv(path: Path) -> list[list[str]]:
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    if len(set(map(len, rows))) > 1:
        raise ValueError(f"{path.name} has rows of different lengths")
    return rows


def _xlsx(path: Path) -> list[list[str]]:
    rows = openpyxl.load_workbook(path).active.iter_rows()
    return [[str(cell.value) for cell in row] for row in rows]


def _png(path: Path) -> str:
    with Image.open(path) as image:
        return hashlib.sha256(image.tobytes()).hexdigest()


def _weights(path: Path) -> dict[str, str]:
    tensors = load_file(path)
    return {name: hashlib.sha256(tensors[name].tobytes()).hexdigest() for name in sorted(tensors)}


def _database(path: Path) -> Any:
    with closing(sqlite3.connect(path)) as base:
        if (verdict := base.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            raise ValueError(f"{path.name}: {verdict}")
        names = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
        return base.execute("SELECT * FROM readings").fetchall() if "readings" in names else None


LINES = {".json", ".jsonl", ".toml", ".csv"}
READERS: dict[str, Callable[[Path], Any]] = {
    ".json": _json,
    ".jsonl": lambda path: [_plain(json.loads(row)) for row in path.read_bytes().splitlines()],
    ".toml": lambda path: tomllib.loads(path.read_text(encoding="utf-8")),
    ".csv": _csv,
    ".sqlite": _database,
    ".db": _database,
    ".xlsx": _xlsx,
    ".png": _png,
    ".safetensors": _weights,
}


def leftovers(folder: Path) -> list[str]:
    """Leftovers of a run: temporary files and folders, SQLite journals."""
    paths = (path.relative_to(folder) for path in folder.rglob("*"))
    return sorted(path.as_posix() for path in paths if _is_leftover(path))


def _is_leftover(path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return hidden or path.name.endswith(("-journal", "-wal", "-shm"))


def _folder_result(name: str) -> Callable[[Path, str], Result]:
    return lambda folder, _: contents(folder / name)


# ------------------------------------------------------------------------------------- results


def _study(folder: Path, said: str) -> Result:
    """The invariants of a study: its trials are not reproducible, as the second is random."""
    del said
    files = contents(folder / "study")
    head, *rows = files["trials.csv"]
    trials = [dict(zip(head, row, strict=True)) for row in rows]
    done = [trial for trial in trials if trial["state"] == "complete"]
    first = {key: value for key, value in done[0].items() if key != "seconds"} if done else {}
    first.pop("number", None)
    best = max((float(trial["accuracy"]) for trial in done), default=0.0)
    chosen = files["best.toml"]["dropout"]
    return {
        "complete": min(len(done), 2),
        "running": sum(trial["state"] == "running" for trial in trials),
        "first": first,
        "the best is written": any(
            (float(trial["accuracy"]), float(trial["dropout"])) == (best, chosen) for trial in done
        ),
        "numbers": len({trial["number"] for trial in trials}) == len(trials),
        "picture": "tuning.png" in files,
    }


def _read(folder: Path, said: str) -> Result:
    return {"said": said, **contents(folder / "shown")}


WATCH = ("watch", "in", "--template", "meter.toml", "--once", "--wait", "1", "--out")
FAST = ("--recipe", "fast", "--set", "epochs=2", "--set", "validation=random")
TRAIN = ("train", *FAST, "--out", "run")
TUNE = ("tune", *FAST, "--search", "dropout=0..0.5", "--trials", "2", "--out", "study")
ADAPT = ("adapt", "own", "--steps", "4", "--out", "new")
TABLE = ("table", "page.png", "--out")
READ = ("read", "in", "--json", "--annotate", "shown")
WEB = ("export", "--web", "site")


def _file_result(name: str) -> Callable[[Path, str], Result]:
    return lambda folder, _: {name: _content(folder / name)}


# To add a command, such as `batch`: its folder of pictures, its command line, the line that resumes
# it, and as result the rows of its ledger.
COMMANDS = (
    Command("train", inputs.nothing, TRAIN, ("train", "--resume", "run"), _folder_result("run")),
    Command(
        "tune",
        inputs.nothing,
        TUNE,
        ("tune", "--resume", "study", "--trials", "2"),
        _study,
    ),
    Command("adapt", inputs.own, ADAPT, (*ADAPT, "--resume"), _folder_result("new")),
    *(
        Command(f"watch {name}", inputs.meters, (*WATCH, name), (*WATCH, name), _file_result(name))
        for name in ("log.csv", "log.sqlite")
    ),
    *(
        Command(f"table {name}", inputs.ruled, (*TABLE, name), (*TABLE, name), _file_result(name))
        for name in ("t.csv", "t.xlsx")
    ),
    Command("read", inputs.pages, READ, READ, _read),
    Command("export --web", inputs.nothing, WEB, WEB, _folder_result("site")),
)
