"""The readers that are measured on a picture: digitlens and, in its own process, RapidOCR 3.

A number is compared with its marks, its letters aside: ``numbers`` makes the same of what is there
and of what is read.
"""

import os
import re
import sys
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

import harness
from digitlens import DigitReader
from digitlens.datasets.mnist import load_mnist, split_validation
from digitlens.datasets.synthetic.document_layouts import Desk
from digitlens.datasets.synthetic.documents import pictured
from digitlens.datasets.synthetic.styles import Styles, load_fonts
from digitlens.progress import work_bar
from harness import Columns, Row

T = TypeVar("T")
Scores = dict[str, dict[str, Row]]  # by group and reader
Page = npt.NDArray[np.uint8]
PACKAGES = ("rapidocr==3.10.0", "onnxruntime==1.31.1", "opencv-python-headless==5.0.0.93")
OURS = "digitlens"
TEXTS = tomllib.loads(Path(__file__).with_name("texts.toml").read_text(encoding="utf-8"))
MODES = {  # of RapidOCR, as worker.py names them
    "default": "default",
    "line": "recogniser alone",
    "digits": "recogniser alone, ten digits",
}
THREADS = 2
PAUSE = 0.02  # seconds between readers: threads of the one before still spin for a while

NUMBER = re.compile(r"[-+$€£¥]*\d(?:[-.,:;/'+*×÷=]*\d)*[%°]?", re.ASCII)  # noqa: RUF001
ALIKE = str.maketrans("：，．／％＋－−–’", ":,./%+---'")  # noqa: RUF001


def numbers(text: str) -> list[str]:
    """The numbers of a text with their marks; letters are left out first, as if not there."""
    return NUMBER.findall(re.sub(r"[^\W\d_]", "", text.translate(ALIKE)))


def digits_only(text: str) -> str:
    """The digits of a text, line by line; lines without digits are left out."""
    lines = (re.sub(r"[^0-9]", "", line) for line in text.splitlines())
    return "\n".join(filter(None, lines))


def full_text(note: str | None) -> str | None:
    """The text of a picture with its marks, if a note of ``labels.csv`` has it."""
    found = re.search(r"full text: ([^;]*)", note or "")
    return found and found[1]


@cache
def held_out_styles() -> Styles:
    """Fonts, pens and hands that no network was trained with."""
    tiles = split_validation(load_mnist().train, "writer", fraction=0.1, seed=0)[1]
    return Styles(tiles, load_fonts("validation"))


def photographed(lay_out: Callable[[Desk], str], *seed: int) -> Page:
    """A page in held-out fonts and hands, uint8[H, W, 3], on which the camera sees every digit.

    ``lay_out`` draws it and gives what stands on it; it may be asked again.
    """
    for attempt in count():
        desk = Desk(held_out_styles(), np.random.default_rng([*seed, attempt]))
        desk.look = "photo"
        text = lay_out(desk)
        shown = pictured(desk, "")
        if int((shown.values >= 0).sum()) == len(digits_only(text)):
            return shown.pixels
    raise AssertionError


class Answer(NamedTuple):
    """What became of a case: to be summed up with all of its kind, and to be listed."""

    kind: str
    result: Any
    problems: Sequence[str] = ()


@dataclass(frozen=True)
class Said:
    """What a reader says of a picture: text with marks if it has any, and digits line by line."""

    text: str
    digits: str
    milliseconds: float
    confidences: tuple[float, ...] = ()  # of the digits, if the reader states them


FAILED = Said("?", "?", 0.0)  # never right, not even where no digit is


class Readers:
    """digitlens and, if asked for, RapidOCR in its modes, ready to read.

    Attributes:
        names: Of the readers.
        versions: What reads, JSON-ready.
    """

    def __init__(self, stack: ExitStack, options: Any) -> None:
        """Loads ``options.model``; RapidOCR, with ``options.peers``, runs until ``stack`` closes.

        Raises:
            UnavailableError: RapidOCR cannot be installed or started.
        """
        self._reader = DigitReader(options.model, threads=options.threads)
        blank = self._reader.read(np.full((28, 28), 255, np.uint8))
        self.versions = {"model": blank.model, "model_sha256": blank.model_sha256}
        self.names = (OURS, *(MODES if options.peers else ()))
        if options.peers:
            asked = ("rapidocr", options.threads)
            self._worker = harness.start_worker(PACKAGES, asked, options, stack)
            self.versions["peer"] = self._worker.reply()["versions"]
        self.read(np.full((64, 256, 3), 255, np.uint8))  # warms up

    def read(self, page: Page) -> dict[str, Said]:
        """What each reader says of a page, uint8[H, W] or uint8[H, W, 3], by name."""
        said = {OURS: self._ours(page)}
        for mode in self.names[1:]:
            time.sleep(PAUSE)
            said[mode] = ask(self._worker, mode, page)
        return said

    def _ours(self, page: Page) -> Said:
        start = time.perf_counter()
        reading = self._reader.read(page)
        milliseconds = 1000 * (time.perf_counter() - start)
        sure = tuple(digit.confidence for digit in reading.digits)
        return Said(reading.text, reading.digits_only, milliseconds, sure)


def ask(worker: harness.Worker, mode: str, page: Page) -> Said:
    """What RapidOCR says; an error is never right."""
    reply = worker.ask({"kind": mode, "shape": page.shape}, page.tobytes())
    if "error" in reply:
        return replace(FAILED, milliseconds=reply["milliseconds"])
    return Said(reply["text"], digits_only(reply["text"]), reply["milliseconds"])


def add_options(parser: Any) -> None:
    """The options that ``Readers`` takes."""
    parser.add_argument("--model", default="default", help="shipped name, run or model folder")
    parser.add_argument("--peers", action="store_true", help="RapidOCR reads as well")
    parser.add_argument("--threads", type=int, default=THREADS, help="for each reader")


def study(
    doc: str | None,
    columns: Columns,
    cases: Callable[[Any], Iterable[T]],
    ask: Callable[[DigitReader, T], Iterable[Answer]],
    summary: Callable[[str, list[Any]], Row],
    number: int,
) -> None:
    """Has digitlens read cases and tells, kind by kind, what became of them.

    Args:
        doc: What is measured, see ``harness.parser``.
        columns: Of the summaries.
        cases: By the options: ``count`` and ``seed`` of what is drawn, ``real``, a folder or None.
        ask: What the reader makes of a case, once or in several ways.
        summary: Of all answers of a kind.
        number: How many are drawn, unless told otherwise.
    """
    made = harness.parser(doc)
    made.add_argument("--count", type=int, default=number, help="of each kind")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--real", type=Path, help="folder with pictures and labels.csv")
    made.add_argument("--threads", type=int, default=THREADS)
    made.add_argument("--wrong", action="store_true", help="list what is wrong")
    options = made.parse_args()
    reader, about = DigitReader(threads=options.threads), harness.provenance()
    found: dict[str, list[Any]] = {}
    with work_bar() as bar:
        for case in bar.track(cases(options), total=None, description="reading"):
            for answer in ask(reader, case):
                found.setdefault(answer.kind, []).append(answer.result)
                if options.wrong and answer.problems:
                    print(f"{answer.kind}: {'; '.join(answer.problems)}")
    rows = [summary(kind, results) for kind, results in found.items()]
    text = harness.document(harness.place(about), harness.table(columns, rows))
    about |= {"seed": options.seed, "kinds": rows}
    harness.publish(options.out, Path(sys.argv[0]).stem, about, text)


class Case(NamedTuple):
    """A picture, None if it cannot be decoded, what stands there, and what it is an example of."""

    group: str
    name: str
    page: Page | None
    text: str
    full_text: str | None = None  # with marks, if they are known
    milliseconds: float = 0.0  # of decoding it


class Result(NamedTuple):
    """What one reader says of one picture."""

    case: Case
    reader: str
    said: Said


def read_all(options: Any, cases: Iterable[Case], total: int) -> tuple[list[Result], Row]:
    """What each reader says of each picture, one at a time, and where it was measured."""
    about = harness.provenance() | {"threads": options.threads}
    results: list[Result] = []
    with ExitStack() as stack, work_bar() as bar:
        asked = Readers(stack, options)
        for case in bar.track(cases, total=total, description="reading"):
            wrong = dict.fromkeys(asked.names, FAILED)
            for name, said in (wrong if case.page is None else asked.read(case.page)).items():
                timed = replace(said, milliseconds=case.milliseconds + said.milliseconds)
                results.append(Result(case._replace(page=None), name, timed))
    return results, about | {"readers": asked.versions}


def pictures(results: Iterable[Result]) -> list[Row]:
    """What each reader says of each picture, JSON-ready."""
    found: dict[str, Row] = {}
    for case, reader, said in results:
        row = {"file": case.name, "kind": case.group, "label": case.text, "read": {}}
        told: Row = {"text": said.text, "digits": said.digits}
        told["milliseconds"] = round(said.milliseconds, 1)
        found.setdefault(case.name, row)["read"][reader] = told
    return list(found.values())


def summaries(results: Iterable[Result], summary: Callable[[list[Result]], Row]) -> Scores:
    """A summary for each group and reader."""
    found: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        found[result.case.group][result.reader].append(result)
    return {
        group: {name: summary(answers) for name, answers in readers.items()}
        for group, readers in found.items()
    }


def table(columns: Columns, beside: Columns, scores: Scores, *by: str) -> str:
    """A row for each group: digitlens, and RapidOCR in its best mode by one measure, then others.

    Args:
        columns: Of digitlens's scores and ``group``.
        beside: Of RapidOCR's scores as ``best``, if it read.
        scores: See ``summaries``.
        by: Names of measures.
    """
    rows: list[Row] = []
    for group, readers in scores.items():
        modes = [mode for mode in MODES if mode in readers]
        rows.append({"group": group, **readers[OURS], "best": None})
        if modes:
            best = max(modes, key=lambda mode: [readers[mode][measure] or 0 for measure in by])
            rows[-1]["best"] = {**readers[best], "mode": MODES[best]}
    if any(row["best"] for row in rows):
        columns = (f"{columns[0]} | {beside[0]}", f"{columns[1]} | {beside[1]}")
    return harness.table(columns, rows)


def origin(made: Row) -> str:
    """A line on where a table comes from, see ``read_all``."""
    versions = made["readers"]
    where = f"{made['processor'] or made['machine']}, {made['threads']} threads for each reader"
    model = f"model {versions['model']} {versions['model_sha256'][:12]}"
    ours = f"{OURS} {made['versions'][OURS]}, {model}, commit {(made['commit'] or '')[:12]}"
    who = "; ".join([ours, *([versions["peer"]] if "peer" in versions else [])])
    load = f"load {made['load']} before, {os.getloadavg()[0]:.2f} after"
    return f"{made['date']}, {where}, {load}; {who}\n"
