"""Shared by all benchmarks: records, figures, tables, timed worker processes, and readers.

Pictures are read by digitlens and, in a separate process, by RapidOCR 3. Numbers are compared with
their marks but without letters: ``numbers`` normalises the label and the reading alike.
"""

import argparse
import csv
import json
import os
import platform
import re
import statistics
import string
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from digitlens import DigitReader, __version__, files
from digitlens.datasets.mnist import Mnist, load_mnist, split_validation
from digitlens.datasets.synthetic.styles import Styles, load_fonts
from digitlens.evaluation.metrics import processor
from digitlens.progress import note, work_bar
from digitlens.training.run import source_commit

K = TypeVar("K")
T = TypeVar("T")
Row = dict[str, Any]
Floats = Sequence[float]
Columns = tuple[str, str]  # headings, and cell templates (see ``show``), separated by " | "
ROOT = Path(__file__).parents[1]
RECORDS = Path(__file__).parent / "records"
WORKER = Path(__file__).with_name("worker.py")
ENVIRONMENTS = ROOT / "build" / "peers-venv"
KERAS = ("tensorflow-cpu==2.21.0", "fastapi", "uvicorn", "python-multipart", "pillow")
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
RECORD = "speed.json"
Scores = dict[str, dict[str, Row]]  # by group and reader
Page = npt.NDArray[np.uint8]
RAPIDOCR = ("rapidocr==3.10.0", "onnxruntime==1.31.1", "opencv-python-headless==5.0.0.93")
OURS = "digitlens"
TEXTS = tomllib.loads(Path(__file__).with_name("texts.toml").read_text(encoding="utf-8"))
MODES = {  # of RapidOCR: names in worker.py and in tables
    "default": "default",
    "line": "recogniser alone",
    "digits": "recogniser alone, ten digits",
}
THREADS = 2
PAUSE = 0.02  # seconds between readers: the previous one's threads keep spinning for a while

NUMBER = re.compile(r"[-+$€£¥]*\d(?:[-.,:;/'+*×÷=]*\d)*[%°]?", re.ASCII)  # noqa: RUF001
SAME_SIGNS = str.maketrans("：，．／％＋－−–’", ":,./%+---'")  # noqa: RUF001
PERCENTILES = {"l": 25, "m": 50, "u": 75, "h": 90}  # percentiles by conversion, see ``show``


def provenance() -> dict[str, Any]:
    """Date, commit, machine and versions, JSON-ready; ``load`` is the one-minute load average."""
    packages = ("numpy", "onnxruntime", "pillow", "torch")
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


def machine(record: Mapping[str, Any], cores: str = "cores") -> str:
    """Date, machine and load of a record, for the line above its tables."""
    where = record["processor"] or record["machine"]
    return f"{record['date']}, {where}, {record[cores]} {cores}, load before {record['load']}"


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    cli = argparse.ArgumentParser(description=doc and doc.splitlines()[0])
    cli.add_argument("--out", type=Path, help="folder for the record")
    cli.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="folder for peers")
    return cli


def publish(
    folder: Path | None, name: str, record: Row, text: str, figures: Iterable["Figure"] = ()
) -> None:
    """Prints the text, and writes ``NAME.json`` and ``NAME.md`` if a folder is given."""
    print(text, end="")
    if folder:
        rows = by_name(figures)
        files.write_json(folder / f"{name}.json", {**record, **({"figures": rows} if rows else {})})
        files.write_bytes(folder / f"{name}.md", text.encode())


def update_page(page: Path, source: str, text: str) -> None:
    """Replaces a table in a page; ``source`` is its file in ``RECORDS``, perhaps of a later day."""
    undated = re.escape(re.sub(r"^[\d-]+_", "", source))
    old = rf"(?<=<!-- table: benchmarks/records/)(?:[\d-]+_)?{undated} -->\n.*?(?=<!-- end -->)"
    new, before = f"{source} -->\n{text}", page.read_text(encoding="utf-8")
    files.write_bytes(page, re.sub(old, lambda _: new, before, flags=re.DOTALL).encode())


class _Cells(string.Formatter):
    """Formats None as empty, booleans as yes or no, and fractions and intervals as percentages.

    A ``spread`` is shown as its mean and, if present, its standard deviation. On a list of values
    ``!m`` selects the median, ``!l`` and ``!u`` the quartiles, ``!h`` the 90th percentile.
    """

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        return np.percentile(value, PERCENTILES[conversion]) if conversion else value

    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None or isinstance(value, bool):
            return {None: "", True: "yes", False: "no"}[value]
        if isinstance(value, (list, tuple)):
            return " to ".join(f"{100 * end:{format_spec}}" for end in value)
        values = [value["mean"], value["sd"]] if isinstance(value, Mapping) else [value]
        text = " ± ".join(format(each, format_spec) for each in values if each is not None)
        return text.replace("%", "") + " %" if format_spec.endswith("%") else text


def show(template: str, row: Any) -> str:
    """Fills a ``str.format`` template: names are keys of the row, ``0`` is the row itself."""
    return _Cells().vformat(template, (row,), row if isinstance(row, Mapping) else {})


def table(columns: Columns, rows: Iterable[Any], *more: Columns) -> str:
    """A Markdown table of the rows, see ``show``; ``more`` columns are appended on the right."""
    head, template = map(" | ".join, zip(columns, *more, strict=True))
    parted = " | ".join(["---"] * len(head.split(" | ")))
    lines = (head, parted, *(show(template, row) for row in rows))
    return "".join(f"| {line} |\n" for line in lines)


def document(
    head: str, *tables: str, notes: Iterable[str] = (), missing: Mapping[str, str] | None = None
) -> str:
    """Markdown: a line on the machine, the tables, and a list of notes and missing peers."""
    reasons = [f"{name}: not available, {reason}" for name, reason in (missing or {}).items()]
    items = "".join(f"- {line}\n" for line in (*notes, *reasons))
    return "\n".join(filter(None, (f"{head}\n", *tables, items)))


def save_tiles(folder: Path, mnist: Mnist, limit: int | None = None) -> Path:
    """Writes tiles and labels for ``worker.py``, with at most ``limit`` training tiles."""
    train, path = mnist.train, folder / "tiles.npz"
    training = {"train_tiles": train.tiles[:limit], "train_labels": train.labels[:limit]}
    np.savez(path, tiles=mnist.test.tiles, labels=mnist.test.labels, **training)
    return path


def labelled_rows(folder: Path, *kinds: str) -> list[dict[str, str]]:
    """The rows of a folder's ``labels.csv``, optionally only those of the given kinds."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream) if not kinds or row["kind"] in kinds]


def spread(values: Floats) -> Row:
    """Mean, standard deviation (None of a single value) and median."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "sd": sd, "median": statistics.median(values)}


def run_available(jobs: Mapping[str, Callable[[], T]], missing: dict[str, str]) -> dict[str, T]:
    """The result of each job; the reasons of unavailable peers go into ``missing``."""
    results: dict[str, T] = {}
    for name, job in jobs.items():
        try:
            results[name] = job()
        except UnavailableError as reason:
            missing[name] = str(reason)
            note(f"{name}: not available, {reason}")
    return results


def take_turns(jobs: Mapping[K, Callable[[], T]], rounds: int) -> dict[K, list[T]]:
    """The results of each job in each round, jobs taking turns."""
    results: dict[K, list[T]] = {name: [] for name in jobs}
    with work_bar() as bar:
        for _ in bar.track(range(rounds), description="measuring"):
            for name, job in jobs.items():
                results[name].append(job())
    return results


class RecordError(Exception):
    """A file is not a speed record, or one of its figures is invalid."""


@dataclass(frozen=True)
class Figure:
    """One number of a record."""

    name: str  # words from general to specific, such as ``training.keras.ratio``
    value: float  # a mean or a median
    spread: float | None  # sd of a mean, IQR of a median; None if measured once
    n: int  # number of measurements
    unit: str  # ``x`` for the ratio of a peer's time to digitlens's
    better: str  # ``lower`` or ``higher``
    peer: bool = False  # whether it belongs to a peer, whose changes do not count

    @classmethod
    def median(
        cls, name: str, values: Floats, unit: str, better: str = "lower", peer: bool = False
    ) -> "Figure":
        """The median of some measurements and, if there are several, the interquartile range."""
        low, middle, high = (float(value) for value in np.percentile(values, (25, 50, 75)))
        spread = high - low if len(values) > 1 else None
        return cls(name, middle, spread, len(values), unit, better, peer)

    @classmethod
    def ratio(cls, name: str, value: float) -> "Figure":
        """The ratio of a peer's time to that of digitlens."""
        return cls(f"{name}.ratio", value, None, 1, "x", "higher")


def by_name(figures: Iterable[Figure]) -> dict[str, Row]:
    """Figures as stored in records."""
    return {row.pop("name"): row for row in map(asdict, figures)}


def load_record(path: Path) -> tuple[Row, dict[str, Figure]]:
    """Loads the facts about a run and its figures by name, from the record's folder or file.

    Raises:
        RecordError: It is not a speed record.
    """
    path = path / RECORD if path.is_dir() else path
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        figures = {name: Figure(name, **row) for name, row in facts.pop("figures").items()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise RecordError(f"{path.name} cannot be read as a speed record: {error}") from error
    if not figures:
        raise RecordError(f"{path} has no figures")
    return facts, figures


class UnavailableError(Exception):
    """A peer cannot be installed or started, or has stopped; the message is the reason."""


def environment(packages: Sequence[str], folder: Path) -> str:
    """The Python of an environment below ``folder`` with these packages, created if missing."""
    if not packages:
        return sys.executable
    target = folder / "-".join(packages)
    python, stamp = target / "bin" / "python", target / ".installed"
    if not stamp.exists():
        note(f"installing {' '.join(packages)} into {target}")
        create = [sys.executable, "-m", "venv", "--clear", target]
        for command in (create, [python, *PIP, *packages]):
            process = subprocess.run(command, capture_output=True, text=True, check=False)
            if process.returncode:
                raise UnavailableError(last_line(process.stderr or process.stdout))
        files.write_bytes(stamp, b"")
    return str(python)


class Worker:
    """A process that replies in lines of JSON, see ``worker.py``; ``process`` is its Popen."""

    def __init__(self, command: Sequence[str], stack: ExitStack, **variables: str) -> None:
        """Starts it; it is stopped when ``stack`` is closed."""
        errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._errors = stack.enter_context(errors)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
        self.process = subprocess.Popen(command, **pipes, text=True, env=os.environ | variables)
        stack.callback(self.process.communicate)  # closes the pipes, even with a request in one
        stack.callback(self.process.terminate)  # comes first

    def reply(self) -> Row:
        """The next line; raises UnavailableError if the process ends instead."""
        line = self.process.stdout.readline()
        if not line:
            raise UnavailableError(self.last_error())
        return json.loads(line)

    def ask(self, question: Mapping[str, Any]) -> Row:
        """The reply to a line of JSON."""
        with suppress(BrokenPipeError):  # the process has ended; ``reply`` raises
            print(json.dumps(question), file=self.process.stdin, flush=True)
        return self.reply()

    def rows(self) -> list[Row]:
        """All lines, once the process has ended; raises UnavailableError if it failed."""
        output, _ = self.process.communicate()
        if self.process.returncode:
            raise UnavailableError(self.last_error())
        return [json.loads(line) for line in output.splitlines()]

    def last_error(self) -> str:
        """The last line of stderr, once the process has ended."""
        code = self.process.wait()
        self._errors.seek(0)
        return last_line(self._errors.read()) or f"ended with exit code {code}"


def start_worker(
    packages: Sequence[str], arguments: Sequence[Any], options: Any, stack: ExitStack, **extra: str
) -> Worker:
    """Starts ``worker.py`` in an environment with these packages and ``options.threads``."""
    python = environment(packages, options.environments)
    threads = getattr(options, "threads", None)
    variables = dict.fromkeys(VARIABLES, str(threads)) if threads else {}
    return Worker([python, str(WORKER), *map(str, arguments)], stack, **variables, **extra)


def last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def numbers(text: str) -> list[str]:
    """The numbers of a text with their marks; letters are removed first."""
    return NUMBER.findall(re.sub(r"[^\W\d_]", "", text.translate(SAME_SIGNS)))


def digits_only(text: str) -> str:
    """The digits of a text, line by line; lines without digits are dropped."""
    return "\n".join(re.sub(r"[^0-9\n]", "", text).split())


def full_text(note: str | None) -> str | None:
    """The text of a picture with its marks, if its note in ``labels.csv`` has one."""
    found = re.search(r"full text: ([^;]*)", note or "")
    return found and found[1]


@cache
def held_out_styles() -> Styles:
    """Fonts, pens and handwritten digits held out from all training."""
    tiles = split_validation(load_mnist().train, "writer", fraction=0.1, seed=0)[1]
    return Styles(tiles, load_fonts("validation"))


class Case(NamedTuple):
    """A picture, its group and its label."""

    group: str
    name: str
    page: Page | None  # None if it cannot be decoded
    text: Any  # the label, in the form of the benchmark
    full_text: str | None = None  # with marks, if they are known
    milliseconds: float = 0.0  # decoding time


class Answer(NamedTuple):
    """The result of a case, to be summarised by kind, and its problems, to be listed."""

    kind: str
    result: Any
    problems: Sequence[str] = ()


@dataclass(frozen=True)
class Output:
    """A reader's output for a picture: text with marks if it has any, and digits line by line."""

    text: str
    digits: str
    milliseconds: float
    confidences: tuple[float, ...] = ()  # of the digits, if the reader states them


class Result(NamedTuple):
    """The output of a reader for a picture."""

    case: Case
    output: Output


Read = Callable[[Page], Output]
Results = dict[str, dict[str, list[Result]]]  # by group and reader
FAILED = Output("?", "?", 0.0)  # never right, not even on a picture without digits


def load_readers(stack: ExitStack, options: Any) -> tuple[dict[str, Read], Row]:
    """Readers by name (digitlens and, with ``options.peers``, RapidOCR's modes), and versions.

    RapidOCR runs until ``stack`` closes; raises UnavailableError if it cannot be started.
    """
    reader = DigitReader(options.model, threads=options.threads)

    def ours(page: Page) -> Output:
        start = time.perf_counter()
        reading = reader.read(page)
        milliseconds = 1000 * (time.perf_counter() - start)
        confidences = tuple(digit.confidence for digit in reading.digits)
        return Output(reading.text, reading.digits_only, milliseconds, confidences)

    blank = reader.read(np.full((28, 28), 255, np.uint8))
    versions = {"model": blank.model, "model_sha256": blank.model_sha256}
    found: dict[str, Read] = {OURS: ours}
    if options.peers:
        worker = start_worker(RAPIDOCR, ("rapidocr", options.threads), options, stack)
        versions["peer"] = worker.reply()["versions"]
        file = Path(stack.enter_context(tempfile.TemporaryDirectory()), "page.npy")
        found |= {mode: partial(ask_rapidocr, worker, mode, file) for mode in MODES}
    for read in found.values():
        read(np.full((64, 256, 3), 255, np.uint8))  # warms up
    return found, versions


def ask_rapidocr(worker: Worker, mode: str, file: Path, page: Page) -> Output:
    """RapidOCR's output for a page, which is passed as a file; an error is never right."""
    np.save(file, page)
    time.sleep(PAUSE)
    reply = worker.ask({"kind": mode, "page": str(file)})
    if "error" in reply:
        return replace(FAILED, milliseconds=reply["milliseconds"])
    return Output(reply["text"], digits_only(reply["text"]), reply["milliseconds"])


def add_options(parser: Any) -> None:
    """Adds the options of ``load_readers``."""
    parser.add_argument("--model", default="default", help="shipped name, run or model folder")
    parser.add_argument("--peers", action="store_true", help="measure RapidOCR too")
    parser.add_argument("--threads", type=int, default=THREADS, help="threads of each reader")


def study(
    doc: str | None,
    columns: Columns,
    cases: Callable[[Any], Iterable[T]],
    ask: Callable[[DigitReader, T], Iterable[Answer]],
    summary: Callable[[str, list[Any]], Row],
    number: int,
) -> None:
    """Has digitlens read cases and publishes a summary by kind.

    ``cases`` receives the options: ``count`` (default ``number``) and ``seed`` of the drawn cases,
    and ``real``, a folder or None. ``ask`` yields one or several answers for a case, and
    ``summary`` returns a row of ``columns`` for all answers of a kind.
    """
    cli = parser(doc)
    cli.add_argument("--count", type=int, default=number, help="drawn cases of each kind")
    cli.add_argument("--seed", type=int, default=0)
    cli.add_argument("--real", type=Path, help="folder with pictures and labels.csv")
    cli.add_argument("--threads", type=int, default=THREADS)
    cli.add_argument("--wrong", action="store_true", help="list the errors")
    options = cli.parse_args()
    reader, facts = DigitReader(threads=options.threads), provenance()
    results_by_kind: dict[str, list[Any]] = {}
    with work_bar() as bar:
        for case in bar.track(cases(options), total=None, description="reading"):
            for answer in ask(reader, case):
                results_by_kind.setdefault(answer.kind, []).append(answer.result)
                if options.wrong and answer.problems:
                    print(f"{answer.kind}: {'; '.join(answer.problems)}")
    rows = [summary(kind, results) for kind, results in results_by_kind.items()]
    text = document(machine(facts), table(columns, rows))
    facts |= {"seed": options.seed, "kinds": rows}
    publish(options.out, Path(sys.argv[0]).stem, facts, text)


def read_all(
    options: Any, cases: Iterable[Case], total: int, summary: Callable[[list[Result]], Row]
) -> tuple[Results, Scores, Row]:
    """Runs each reader on each picture, one at a time; returns results, summaries and facts."""
    facts = provenance() | {"threads": options.threads, "pictures": []}
    results: Results = {}
    with ExitStack() as stack, work_bar() as bar:
        readers, facts["readers"] = load_readers(stack, options)
        for case in bar.track(cases, total=total, description="reading"):
            row: Row = {"file": case.name, "kind": case.group, "label": case.text, "read": {}}
            facts["pictures"].append(row)
            for name, read in readers.items():
                output = FAILED if case.page is None else read(case.page)
                output = replace(output, milliseconds=case.milliseconds + output.milliseconds)
                of_reader = results.setdefault(case.group, {}).setdefault(name, [])
                of_reader.append(Result(case._replace(page=None), output))
                row["read"][name] = {"text": output.text, "digits": output.digits}
                row["read"][name]["milliseconds"] = round(output.milliseconds, 1)
    scores = {
        group: {name: summary(answers) for name, answers in readers.items()}
        for group, readers in results.items()
    }
    return results, scores, facts


def compared(columns: Columns, peers: Columns, scores: Scores, *by: str) -> str:
    """A row for each group: digitlens, and RapidOCR in its best mode by the measures ``by``.

    ``columns`` use ``group`` and digitlens's scores, ``peers`` uses RapidOCR's under ``best``.
    """
    rows: list[Row] = []
    for group, readers in scores.items():
        modes = [{**row, "mode": MODES[name]} for name, row in readers.items() if name != OURS]
        best = max(modes, key=lambda row: [row[measure] or 0 for measure in by], default=None)
        rows.append({"group": group, **readers[OURS], "best": best})
    return table(columns, rows, *([peers] if any(row["best"] for row in rows) else []))


def origin(record: Row) -> str:
    """A line on machine, models and versions of a table, see ``read_all``."""
    model, sha256, *peer = record["readers"].values()
    ours = f"{OURS} {record['versions'][OURS]}, model {model} {sha256[:12]}"
    readers = "; ".join([f"{ours}, commit {(record['commit'] or '')[:12]}", *peer])
    return f"{machine(record, 'threads')}, {os.getloadavg()[0]:.2f} after; {readers}\n"
