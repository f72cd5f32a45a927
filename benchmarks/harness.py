"""What all benchmarks share: provenance, figures, records, tables, and processes that are timed."""

import argparse
import csv
import json
import math
import os
import platform
import statistics
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from digitlens import __version__, files
from digitlens.datasets.mnist import Mnist
from digitlens.evaluation.metrics import processor
from digitlens.progress import note, work_bar
from digitlens.training.run import source_commit

K = TypeVar("K")
T = TypeVar("T")
Row = dict[str, Any]
Columns = tuple[str, str]  # headings, and templates of cells, see ``show``; both parted by " | "
ROOT = Path(__file__).parents[1]
RECORDS = Path(__file__).parent / "records"
WORKER = Path(__file__).with_name("worker.py")
ENVIRONMENTS = ROOT / "build" / "peers-venv"
KERAS = ("tensorflow-cpu==2.21.0", "fastapi", "uvicorn", "python-multipart", "pillow")
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
RECORD = "speed.json"
SHARES = {"l": 25, "m": 50, "u": 75, "h": 90}  # percentiles by conversion, see ``show``


def provenance() -> dict[str, Any]:
    """JSON-ready; ``load`` is the mean number of busy processes of the last minute."""
    packages = ("numpy", "onnxruntime", "pillow")
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": source_commit(),
        "machine": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version(), "digitlens": __version__}
        | {package: version(package) for package in packages},
    }


def place(record: Mapping[str, Any], cores: str = "cores") -> str:
    """Date, machine and load of a record, for the line above its tables."""
    where = record["processor"] or record["machine"]
    return f"{record['date']}, {where}, {record[cores]} {cores}, load before {record['load']}"


def parser(doc: str | None, *, environments: bool = False) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark; ``environments`` is for those with peers."""
    made = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    made.add_argument("--out", type=Path, help="folder of the record")
    if environments:
        made.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="of the peers")
    return made


def publish(
    folder: Path | None, name: str, record: Row, text: str, figures: Iterable["Figure"] = ()
) -> None:
    """Prints the text, and writes ``NAME.json`` and ``NAME.md`` if there is a folder for them."""
    print(text, end="")
    if folder:
        rows = by_name(figures)
        files.write_json(folder / f"{name}.json", {**record, **({"figures": rows} if rows else {})})
        files.write_bytes(folder / f"{name}.md", text.encode())


class _Cells(string.Formatter):
    """Nothing for None, yes or no, shares with a space before %, intervals of shares in %.

    A ``spread`` is shown as its mean and, if there is one, its standard deviation. Of many values
    ``!m`` takes the median, ``!l`` and ``!u`` the quartiles, ``!h`` what 90 % are not above.
    """

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        return np.percentile(value, SHARES[conversion]) if conversion else value

    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None or isinstance(value, bool):
            return {None: "", True: "yes", False: "no"}[value]
        if isinstance(value, (list, tuple)):
            return " to ".join(f"{100 * end:{format_spec}}" for end in value)
        values = [value["mean"], value["sd"]] if isinstance(value, Mapping) else [value]
        shown = (format(each, format_spec).rstrip("%") for each in values if each is not None)
        return " ± ".join(shown) + " %" * format_spec.endswith("%")


def show(template: str, row: Any) -> str:
    """A template of ``str.format``, whose names are keys of a mapping and whose 0 is any row."""
    return _Cells().vformat(template, (row,), row if isinstance(row, Mapping) else {})


def table(columns: Columns, rows: Iterable[Any]) -> str:
    """Markdown of rows, see ``show``."""
    head, template = columns
    parted = " | ".join(["---"] * len(head.split(" | ")))
    lines = (head, parted, *(show(template, row) for row in rows))
    return "".join(f"| {line} |\n" for line in lines)


def joined(*columns: Columns) -> Columns:
    """Columns that stand beside each other."""
    heads, cells = zip(*columns, strict=True)
    return " | ".join(heads), " | ".join(cells)


def document(head: str, *tables: str, notes: Iterable[str] = ()) -> str:
    """Markdown: a line on where it was measured, tables, and a list."""
    listed = "".join(f"- {line}\n" for line in notes)
    return "\n".join(filter(None, (f"{head}\n", *tables, listed)))


def save_tiles(folder: Path, mnist: Mnist, most: int | None = None) -> Path:
    """A file with tiles and labels for ``worker.py``, at most so many to train with."""
    train, path = mnist.train, folder / "tiles.npz"
    kept = {"train_tiles": train.tiles[:most], "train_labels": train.labels[:most]}
    np.savez(path, tiles=mnist.test.tiles, labels=mnist.test.labels, **kept)
    return path


def listed(folder: Path, *kinds: str) -> list[dict[str, str]]:
    """The rows of a folder's ``labels.csv``, perhaps only those of some kinds."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream) if not kinds or row["kind"] in kinds]


def spread(values: Sequence[float]) -> Row:
    """Mean, standard deviation (None of a single value) and median."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "sd": sd, "median": statistics.median(values)}


def available(jobs: Mapping[str, Callable[[], T]], missing: dict[str, str]) -> dict[str, T]:
    """What each job gives; of peers that are unavailable the reason comes into ``missing``."""
    found: dict[str, T] = {}
    for name, job in jobs.items():
        try:
            found[name] = job()
        except UnavailableError as reason:
            missing[name] = str(reason)
            note(f"{name}: not available, {reason}")
    return found


def take_turns(jobs: Mapping[K, Callable[[], T]], rounds: int, warm: int = 0) -> dict[K, list[T]]:
    """What each job gives in each round, the jobs taking turns; warm rounds are not kept."""
    found: dict[K, list[T]] = {name: [] for name in jobs}
    with work_bar() as bar:
        for number in bar.track(range(rounds + warm), description="measuring"):
            for name, job in jobs.items():
                result = job()
                if number >= warm:
                    found[name].append(result)
    return found


class RecordError(Exception):
    """A file is no record, or has figures that cannot be understood; the message says which."""


@dataclass(frozen=True)
class Figure:
    """One number of a record."""

    name: str  # words from the general to the special, such as ``training.keras.ratio``
    value: float  # a mean or a median
    # standard deviation beside a mean, interquartile range beside a median; None if it was measured
    # once
    spread: float | None
    n: int  # how many measurements the value is of
    unit: str  # ``x`` marks how many times as long a peer takes
    better: str  # ``lower`` or ``higher``
    peer: bool = False  # whether it is that of a peer, whose changes are none of ours

    def __post_init__(self) -> None:
        numbers = [self.value, self.spread or 0.0, self.n]
        if (
            not all(isinstance(each, int | float) and math.isfinite(each) for each in numbers)
            or min(numbers[1], self.n - 1) < 0
            or self.better not in {"lower", "higher"}
        ):
            wanted = "a value, a spread of 0 or more, n of 1 or more, and lower or higher as better"
            raise RecordError(f"figure {self.name!r}: expected {wanted}, found {self}")

    @classmethod
    def median(
        cls,
        name: str,
        values: Sequence[float],
        unit: str,
        better: str = "lower",
        peer: bool = False,
    ) -> "Figure":
        """The median of some measurements and, if there are several, their interquartile range."""
        low, middle, high = (float(value) for value in np.percentile(values, (25, 50, 75)))
        spread = high - low if len(values) > 1 else None
        return cls(name, middle, spread, len(values), unit, better, peer)

    @classmethod
    def ratio(cls, name: str, value: float) -> "Figure":
        """How many times as long a peer takes."""
        return cls(f"{name}.ratio", value, None, 1, "x", "higher")

    @property
    def standard_error(self) -> float | None:
        """How far the value may be off by chance; None if it was measured once."""
        if self.spread is None or self.n < 2:
            return None
        return self.spread / math.sqrt(self.n)


def by_name(figures: Iterable[Figure]) -> dict[str, Row]:
    """Figures as records keep them.

    Raises:
        RecordError: Two have the same name.
    """
    rows: dict[str, Row] = {}
    for row in map(asdict, figures):
        name = row.pop("name")
        if name in rows:
            raise RecordError(f"two figures have the same name: {name}")
        rows[name] = row
    return rows


def load_record(path: Path) -> tuple[Row, dict[str, Figure]]:
    """What is known of a run, and its figures by name, from the record's folder or file.

    Raises:
        RecordError: It is none.
    """
    path = path / RECORD if path.is_dir() else path
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path.name} cannot be read: {error}") from error
    found = about.pop("figures", None) if isinstance(about, dict) else None
    if not isinstance(found, dict) or not found:
        raise RecordError(f"{path} is no record of speed: expected figures by name")
    try:
        return about, {name: Figure(name, **row) for name, row in found.items()}
    except TypeError as error:
        raise RecordError(f"{path} has a figure that is none: {error}") from error


class UnavailableError(Exception):
    """A peer cannot be installed, started or asked any more; the message is the reason."""


def environment(packages: Sequence[str], folder: Path) -> str:
    """The Python with these packages below ``folder``, installed now if they are not there."""
    if not packages:
        return sys.executable
    place = folder / "-".join(packages)
    python, stamp = place / "bin" / "python", place / ".installed"
    if not stamp.exists():
        note(f"installing {' '.join(packages)} into {place}")
        _run(sys.executable, "-m", "venv", "--clear", str(place))
        _run(str(python), *PIP, *packages)
        files.write_bytes(stamp, b"")
    return str(python)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(last_line(done.stderr or done.stdout))


class Worker:
    """A process that answers in lines of JSON, see ``worker.py``; ``process`` is its Popen."""

    def __init__(self, command: Sequence[str], stack: ExitStack, **variables: str) -> None:
        """Starts it; it is stopped when ``stack`` is closed."""
        self._errors = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
        self.process = subprocess.Popen(command, **pipes, env={**os.environ, **variables})
        stack.callback(self._stop)

    def reply(self) -> Row:
        """Its next line; raises UnavailableError if it ends instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise UnavailableError(self.last_words())
        return json.loads(line)

    def ask(self, question: Mapping[str, Any]) -> Row:
        """What it answers to a line of JSON."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # then it has ended, and gives no reply
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
        return self.reply()

    def rows(self) -> list[Row]:
        """All of its lines, once it has ended; raises UnavailableError if it fails."""
        said, _ = self.process.communicate()
        if self.process.returncode:
            raise UnavailableError(self.last_words())
        return [json.loads(line) for line in said.splitlines()]

    def last_words(self) -> str:
        """The last line of its errors, once it has ended."""
        code = self.process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace")
        return last_line(said) or f"ended with exit code {code}"

    def _stop(self) -> None:
        self.process.terminate()
        with suppress(BrokenPipeError), self.process:  # with a question still in the pipe
            pass


def start_worker(
    packages: Sequence[str],
    arguments: Sequence[object],
    options: Any,
    stack: ExitStack,
    **more: str,
) -> Worker:
    """``worker.py`` in an environment with these packages, and with ``options.threads`` threads."""
    python = environment(packages, options.environments)
    threads = getattr(options, "threads", None)
    variables = dict.fromkeys(THREADS, str(threads)) if threads else {}
    return Worker([python, str(WORKER), *map(str, arguments)], stack, **variables, **more)


def last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]
