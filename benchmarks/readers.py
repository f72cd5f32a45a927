"""The readers that are measured on a picture: digitlens and, in its own process, RapidOCR 3.

A number is compared with its marks, its letters aside: ``numbers`` makes the same of what is there
and of what is read.
"""

import os
import re
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
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


class Case(NamedTuple):
    """A picture, what it is an example of, and what stands there."""

    group: str
    name: str
    page: Page | None  # None if it cannot be decoded
    text: Any  # or what else is known to stand there
    full_text: str | None = None  # with marks, if they are known
    milliseconds: float = 0.0  # of decoding it


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


class Result(NamedTuple):
    """What one reader says of one picture."""

    case: Case
    reader: str
    said: Said


Read = Callable[[Page], Said]
FAILED = Said("?", "?", 0.0)  # never right, not even where no digit is


def load(stack: ExitStack, options: Any) -> tuple[dict[str, Read], Row]:
    """What reads, by name: digitlens and, with ``options.peers``, RapidOCR in its modes; versions.

    RapidOCR runs until ``stack`` closes; UnavailableError where it cannot be installed or started.
    """
    reader = DigitReader(options.model, threads=options.threads)

    def ours(page: Page) -> Said:
        start = time.perf_counter()
        reading = reader.read(page)
        milliseconds = 1000 * (time.perf_counter() - start)
        sure = tuple(digit.confidence for digit in reading.digits)
        return Said(reading.text, reading.digits_only, milliseconds, sure)

    blank = reader.read(np.full((28, 28), 255, np.uint8))
    versions = {"model": blank.model, "model_sha256": blank.model_sha256}
    found: dict[str, Read] = {OURS: ours}
    if options.peers:
        worker = harness.start_worker(PACKAGES, ("rapidocr", options.threads), options, stack)
        versions["peer"] = worker.reply()["versions"]
        file = Path(stack.enter_context(TemporaryDirectory()), "page.npy")
        found |= {mode: partial(ask, worker, mode, file) for mode in MODES}
    for read in found.values():
        read(np.full((64, 256, 3), 255, np.uint8))  # warms up
    return found, versions


def ask(worker: harness.Worker, mode: str, file: Path, page: Page) -> Said:
    """What RapidOCR says of a page, which is handed over as a file; an error is never right."""
    np.save(file, page)
    time.sleep(PAUSE)
    reply = worker.ask({"kind": mode, "page": str(file)})
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

    ``cases`` takes the options: ``count`` (``number`` unless told otherwise) and ``seed`` of what
    is drawn, ``real``, a folder or None. ``ask`` gives what the reader makes of a case, once or in
    several ways, and ``summary`` a row of ``columns`` for all answers of a kind.
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


def read_all(
    options: Any, cases: Iterable[Case], total: int, summary: Callable[[list[Result]], Row]
) -> tuple[list[Result], Scores, Row]:
    """What each reader says of each picture, one at a time; summaries; where it was measured."""
    about = harness.provenance() | {"threads": options.threads, "pictures": []}
    results: list[Result] = []
    grouped: dict[str, dict[str, list[Result]]] = {}
    with ExitStack() as stack, work_bar() as bar:
        readers, about["readers"] = load(stack, options)
        for case in bar.track(cases, total=total, description="reading"):
            row: Row = {"file": case.name, "kind": case.group, "label": case.text, "read": {}}
            about["pictures"].append(row)
            for name, read in readers.items():
                said = FAILED if case.page is None else read(case.page)
                said = replace(said, milliseconds=case.milliseconds + said.milliseconds)
                results.append(Result(case._replace(page=None), name, said))
                grouped.setdefault(case.group, {}).setdefault(name, []).append(results[-1])
                row["read"][name] = {
                    "text": said.text,
                    "digits": said.digits,
                    "milliseconds": round(said.milliseconds, 1),
                }
    scores = {
        group: {name: summary(answers) for name, answers in readers.items()}
        for group, readers in grouped.items()
    }
    return results, scores, about


def table(columns: Columns, beside: Columns, scores: Scores, *by: str) -> str:
    """A row for each group: digitlens, and RapidOCR in its best mode by one measure, then others.

    ``columns`` are of digitlens's scores and ``group``, ``beside`` of RapidOCR's as ``best``.
    """
    rows: list[Row] = []
    for group, readers in scores.items():
        modes = [mode for mode in MODES if mode in readers]
        rows.append({"group": group, **readers[OURS], "best": None})
        if modes:
            best = max(modes, key=lambda mode: [readers[mode][measure] or 0 for measure in by])
            rows[-1]["best"] = {**readers[best], "mode": MODES[best]}
    if any(row["best"] for row in rows):
        columns = harness.joined(columns, beside)
    return harness.table(columns, rows)


def origin(made: Row) -> str:
    """A line on where a table comes from, see ``read_all``."""
    model, sha256, *peer = made["readers"].values()
    ours = f"{OURS} {made['versions'][OURS]}, model {model} {sha256[:12]}"
    who = "; ".join([f"{ours}, commit {(made['commit'] or '')[:12]}", *peer])
    return f"{harness.place(made, 'threads')}, {os.getloadavg()[0]:.2f} after; {who}\n"
