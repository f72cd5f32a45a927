"""Reads what paths mean for ``digitlens read``: page by page, several at once, in their order.

Knows nothing of the command line: ``digitlens read`` with nothing but paths comes here without it.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias

from digitlens.errors import DigitlensError, ImageError, MissingExtraError, ModelError
from digitlens.files import SUFFIXES, names_picture
from digitlens.progress import work_bar

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.text import Text

    from digitlens.imaging.document import Document
    from digitlens.imaging.image import Page
    from digitlens.reading.batch import Done, ProcessPool
    from digitlens.reading.constraints import Expectation
    from digitlens.reading.notation import NotationOptions
    from digitlens.reading.reader import DigitReader, ReadResult
    from digitlens.results import Box, Digit, Reading

# Processes take 0.4 s of each core to start, and two then read drawings in half the time of one.
_WORTH = 2.0  # seconds of reading still to do
_TELLING = 8  # pages that tell how long the others take

_Found: TypeAlias = "tuple[Reading, ReadResult | None]"


@dataclass(frozen=True)
class ReadSettings:
    """What is asked for, whatever the pictures; each as the option of that name."""

    model: str = "default"
    pages: str = "pages"
    expected: Expectation | None = None
    target_error: float | None = None
    annotate: Path | None = None
    notation: NotationOptions | None = None

    def reader(self, threads: int) -> DigitReader:
        """The reader; ModelError where one is missing, damaged or cannot promise so few errors."""
        from digitlens.reading.reader import DigitReader

        make = partial(DigitReader, self.model, pages=self.pages)
        try:
            return make(target_error=self.target_error, threads=threads)
        except ValueError as error:  # the curve does not reach so far
            raise ModelError(f"the target error cannot be kept: {error}") from error


@dataclass(frozen=True)
class _Task:
    """A page that is to be read: the only one of a file, or one of a document that is open."""

    path: str
    number: int
    count: int
    page: Page | str | DigitlensError  # decoded, or a path to decode, or why that cannot be done


def form_of(as_json: bool, as_csv: bool) -> Form:
    """How answers are printed: as asked for, a table on a terminal, else lines of text."""
    if as_json:
        return "json"
    if as_csv:
        return "csv"
    return "table" if sys.stdout.isatty() else "text"


def read_paths(paths: Sequence[str], form: Form, options: ReadSettings) -> bool:
    """Prints what is on the pictures that paths mean; gives whether all could be read."""
    out = sys.stdout  # the progress bar puts its own in its place
    run = _Run(options, PageBar(wanted=form == "table" or not out.isatty()))
    with closing(run.answers(paths)) as answers:
        print_answers(answers, form, out)
    return not run.failed


class _Run:
    """Reads files, and goes on after one that cannot be read."""

    def __init__(self, options: ReadSettings, bar: PageBar) -> None:
        self.failed = False  # whether something could not be read so far
        self._options = options
        self._bar = bar
        self._taken = set[str]()  # files that no copy may replace

    def answers(self, paths: Sequence[str]) -> Generator[Answer]:
        """One for each page that can be read, when it is asked for."""
        # What an earlier run wrote for people to look at is not to be read.
        copies = self._options.annotate
        files, problems = find_pictures(paths, left_out=[copies] if copies else [])
        self._taken = {_key(Path(path)) for path in files} if copies else set[str]()
        from digitlens.models.session import cores
        from digitlens.reading.batch import ProcessPool, ordered_map

        # Of many pictures each core reads its own; one gets all of them.
        reader = self._options.reader(threads=1 if len(files) > 1 else 0)
        with self._bar:
            for problem in problems:
                self._fail(problem)
            self._bar.expect(len(files))
            examine = partial(_examine, reader, self._options)
            pool = ProcessPool(examine, partial(_examiner, self._options), cores())
            with closing(pool), closing(ordered_map(pool, self._tasks(files))) as done:
                yield from self._given(done, pool)

    def _tasks(self, files: Sequence[str]) -> Iterator[_Task]:
        """The pages of files, in their order; what is no page fails when it is loaded."""
        from digitlens.imaging.document import open_document

        for path in files:
            try:
                with open_document(sys.stdin.buffer if path == STDIN else path) as document:
                    count = document.count
                    self._bar.expect(count - 1)
                    for number in range(1, count + 1):
                        alone = count == 1 and path != STDIN  # decoded by whoever reads it
                        page = partial(_decoded, document, number)
                        yield _Task(path, number, count, path if alone else page())
            except (ImageError, MissingExtraError) as error:
                yield _Task(path, 1, 1, error)

    def _given(
        self, answers: Iterator[tuple[_Task, Done[_Found]]], pool: ProcessPool[_Task, _Found]
    ) -> Iterator[Answer]:
        """What was read, with a pool that is started if what is left takes long enough."""
        from digitlens.imaging.document import page_name
        from digitlens.reading.batch import WorkerError

        start, number = time.monotonic(), 0
        for task, done in answers:
            number += 1  # noqa: SIM113  (enumerate would keep the page of the last one)
            left = (time.monotonic() - start) / number * (self._bar.total - number)
            if pool.size > 1 and number >= _TELLING and left > _WORTH:
                pool.start()
            try:
                yield self._answer(task, *done.result())
            except (ImageError, MissingExtraError) as error:
                self._fail(error)
            except WorkerError as error:
                self._fail(ImageError(f"{page_name(task.path, task.number, task.count)}: {error}"))
            self._bar.advance()
            del task, done  # and with them the page, before the next is loaded

    def _answer(self, task: _Task, reading: Reading, result: ReadResult | None) -> Answer:
        """What was read on a page, once a copy is written and what is missing is said."""
        answer = Answer(task.path, task.number, task.count, reading)
        if result and self._options.annotate:
            from digitlens.visualization.overlay import write_reading

            write_reading(self._free(self._options.annotate, answer), result.page, reading)
        if words := _unfulfilled(answer, self._options.expected):
            self._bar.say(f"digitlens: {words}")
        return answer

    def _free(self, folder: Path, answer: Answer) -> Path:
        """A name for an annotated copy that replaces no other and no file that is to be read."""
        stem = "stdin" if answer.path == STDIN else Path(answer.path).stem
        stem = stem if answer.count == 1 else f"{stem}-page-{answer.page}"
        names = (f"{stem}.png" if n == 1 else f"{stem}-{n}.png" for n in count(1))
        targets = (folder / name for name in names)
        target = next(target for target in targets if _key(target) not in self._taken)
        self._taken.add(_key(target))
        return target

    def _fail(self, error: DigitlensError) -> None:
        self.failed = True
        self._bar.say(f"digitlens: {error}")


def _unfulfilled(answer: Answer, expected: Expectation | None) -> str:
    """Says that no number is as expected; empty where one is, or nothing was expected."""
    said = answer.reading.constrained
    if expected is None or said is None or said.fulfilled:
        return ""
    from digitlens.reading.constraints import Pattern

    known = expected.constraints
    shapes = (each.described if isinstance(each, Pattern) else each.text for each in known)
    digits = all(isinstance(each, Pattern) for each in known)
    found = len(answer.reading.digits) if digits else answer.reading.text.replace("\n", " ")
    return f"{answer.name}: expected {'; '.join(shapes)}, found {found or 0}"


def _examiner(options: ReadSettings) -> Callable[[_Task], _Found]:
    """What a process of its own does with each page."""
    return partial(_examine, options.reader(threads=1), options)


def _examine(reader: DigitReader, options: ReadSettings, task: _Task) -> _Found:
    """What is read on a page, and if it is to be shown, all that led to it, the page included."""
    if isinstance(task.page, DigitlensError):
        raise task.page
    result = reader.examine(task.page, expect=options.expected, **(options.notation or {}))
    return result.reading, result if options.annotate else None


def _decoded(document: Document, number: int) -> Page | ImageError:
    """A page of a document, decoded now: its file is closed when others are still to be read."""
    try:
        return document.page(number)
    except ImageError as error:
        return error


def _key(path: Path) -> str:
    return os.path.realpath(path).casefold()  # some file systems hold A.png and a.png for the same


class PageBar:
    """A progress bar on standard error, begun when more than one page is expected.

    One picture is read before a bar could be seen, and in half the time without it.
    """

    def __init__(self, *, wanted: bool) -> None:
        """Shows nothing yet; ``wanted``: there may be a bar if standard error is a terminal."""
        self._wanted = wanted and sys.stderr.isatty()
        self.total = 0  # pages, as far as is known
        self._progress: Progress | None = None

    def __enter__(self) -> PageBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def expect(self, pages: int) -> None:
        """So many pages more are to be read."""
        self.total += pages
        if self._wanted and self.total > 1 and not self._progress:
            self._progress = work_bar()
            self._progress.add_task("reading", total=None)
            self._progress.start()
        if self._progress:
            self._progress.update(self._progress.task_ids[0], total=self.total)

    def advance(self) -> None:
        """A page was read, or could not be."""
        if self._progress:
            self._progress.advance(self._progress.task_ids[0])

    def say(self, words: str) -> None:
        """Writes a line to standard error, above the bar."""
        if self._progress:
            self._progress.console.print(words, markup=False, soft_wrap=True)
        else:
            sys.stderr.write(f"{words}\n")
            sys.stderr.flush()


Form: TypeAlias = Literal["table", "text", "json", "csv"]

COLUMNS = (
    *("path", "page", "line", "index", "value", "confidence", "status", "x0", "y0", "x1", "y1"),
    *("starts_number", "reason"),
    *("number", "number_text", "number_value", "number_kind", "number_unit", "number_status"),
    "number_confidence",
)
MOST = 3  # doubts of a picture in the table, and values
COLOURS = {"digit": "", "unsure": "bold yellow"}


@dataclass(frozen=True)
class Answer:
    """What was read on one page of a file, counted from 1."""

    path: str
    page: int
    count: int
    reading: Reading

    @property
    def name(self) -> str:
        """The path, with the page where there are several: ``scan.pdf#2``."""
        from digitlens.imaging.document import page_name

        return page_name(self.path, self.page, self.count)


def print_answers(answers: Iterable[Answer], form: Form, out: TextIO) -> None:
    """Prints answers, each as soon as it is there; only a table waits for the last.

    A line of text or JSON is a page; a row of CSV is a digit, also a rejected one. What ``out``
    cannot encode is written as an escape.
    """
    if form == "table":
        _print_table(list(answers))
    elif form == "csv":
        _print_csv(answers, out)
    else:
        for answer in answers:
            line = f"{answer.name}\t{answer.reading.text.replace(chr(10), ' ')}"
            if form == "json":
                page = {"path": answer.path, "page": answer.page}
                line = json.dumps(page | answer.reading.as_dict())
            print(_printable(line, out), file=out, flush=True)


def _printable(text: str, out: TextIO) -> str:
    encoding = out.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _print_csv(answers: Iterable[Answer], out: TextIO) -> None:
    import csv

    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for answer in answers:
        place = (_printable(answer.path, out), answer.page)
        numbers = _number_columns(answer.reading, out)
        for number, line in enumerate(answer.reading.lines):
            for index, digit in enumerate(line):
                what = (digit.value, f"{digit.confidence:.6f}", digit.status)
                more = (int(digit.starts_number), digit.reason)
                own = digit.status != "rejected" and numbers.get(digit.box)
                last = own or ("",) * 7
                writer.writerow((*place, number, index, *what, *digit.box.as_list(), *more, *last))


def _number_columns(reading: Reading, out: TextIO) -> dict[Box, tuple[object, ...]]:
    """What the number of each digit says, by the box of the digit."""
    from digitlens.results import told

    return {
        digit.box: (
            *(k, _printable(each.text, out), told(each.value) or ""),
            *(each.kind, _printable(each.unit, out), each.status, f"{each.confidence:.6f}"),
        )
        for k, each in enumerate(reading.numbers)
        for digit in each.digits
    }


def _print_table(answers: list[Answer]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    values = [_values(answer.reading) for answer in answers]
    more = ["values"] if any(values) else []
    for heading in ("picture", "numbers", *more, "least sure", "doubts"):
        table.add_column(heading, overflow="fold")
    for answer, value in zip(answers, values, strict=True):
        reading = answer.reading
        least = min((digit.percent for digit in reading.digits), default=None)
        sure = "" if least is None else f"{least} %"
        name = Text(_printable(answer.name, sys.stdout))
        said = [Text(value)] if more else []
        table.add_row(name, _numbers(reading), *said, sure, Text(_doubts(reading)))
    Console(highlight=False).print(table)


def _numbers(reading: Reading) -> Text:
    from rich.text import Text

    lines = [_pieces(line) for line in reading.lines]
    if reading.characters:
        colours = {digit.box: COLOURS[digit.status] for digit in reading.digits}
        lines = [
            [(one.char, colours.get(one.box, "")) for one in line] for line in reading.characters
        ]
    texts = [Text.assemble(*line) for line in lines if line]
    return Text("\n").join(texts) if texts else Text("no digits", "dim")


def _values(reading: Reading) -> str:
    """What numbers say that are written otherwise: ``1.234,56 = 1234.56``."""
    from digitlens.results import told

    values = [(number.text, told(number.value)) for number in reading.numbers]
    said = [f"{text} = {value}" for text, value in values if value and value != text]
    return "\n".join(_first(said))


def _first(lines: list[str]) -> list[str]:
    more = [f"and {len(lines) - MOST} more"] if len(lines) > MOST else []
    return lines[:MOST] + more


def _pieces(line: Sequence[Digit]) -> list[tuple[str, str]]:
    """The digits of a line in their colours, with a space between numbers; no rejected ones."""
    pieces: list[tuple[str, str]] = []
    gap = False
    for digit in line:
        gap = gap or digit.starts_number  # also of a rejected one: the gap is there nevertheless
        if digit.status != "rejected":
            if gap and pieces:
                pieces.append((" ", ""))
            pieces.append((str(digit.value), COLOURS[digit.status]))
            gap = False
    return pieces


def _doubts(reading: Reading) -> str:
    digits = ((k, digit) for k, digit in enumerate(reading.digits, 1) if digit.reason)
    doubts = [f"{digit.value}, no. {k}: {digit.reason}" for k, digit in digits]
    numbers = (number for number in reading.numbers if number.reason)
    doubts += [f"{n.text}: {n.reason}" for n in numbers if not any(d.reason for d in n.digits)]
    rejected = sum(len(line) for line in reading.lines) - len(reading.digits)
    return "\n".join(_first(doubts) + ([f"{rejected} rejected"] if rejected else []))


STDIN = "-"
_MAGIC = re.compile(r"[*?[]")
_NO_PICTURES = (
    "is a folder without pictures: looked in it and its subfolders for names that end in "
    f"{', '.join(SUFFIXES)}"
)


def find_pictures(
    paths: Sequence[str], left_out: Sequence[Path] = ()
) -> tuple[list[str], list[ImageError]]:
    """The files that paths mean, in the order of the paths.

    A folder means every picture in it and in its subfolders, told by its suffix, in natural order
    (2 before 10). A pattern (``*``, ``?``, ``[…]``, ``**`` for any subfolders) that is not itself
    the name of a file means what it matches. Both leave out what is hidden, and do not follow links
    to folders. Any other path is taken as it is, whether there is such a file or not; ``-`` is
    standard input. What lies in a folder that is left out, since results go there that are pictures
    themselves, is meant only by paths that lie there too.

    Gives an error, too, for each path that means nothing and each folder that cannot be read.
    """
    problems: list[ImageError] = []
    return [file for path in paths for file in _meant(path, left_out, problems)], problems


def _meant(path: str, left_out: Sequence[Path], problems: list[ImageError]) -> list[str]:
    if path in ("", STDIN):
        return [path]
    try:
        if Path(path).is_dir():
            return _pictures(Path(path), (), left_out, problems)
        if Path(path).exists() or not _MAGIC.search(path):
            return [path]
        parts = Path(path).parts
        fixed = list(takewhile(lambda part: not _MAGIC.search(part), parts))
        return _pictures(Path(*fixed), parts[len(fixed) :], left_out, problems, path)
    except (OSError, ValueError):  # no right to look, too long, a null: opening it says so
        return [path]


def _walk(folder: Path, problems: list[ImageError]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        problems.append(ImageError(f"{error.filename}: cannot be read ({error.strerror})"))

    for place, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (path for name in names if _is_picture(path := Path(place, name)))


def _is_picture(path: Path) -> bool:
    if not names_picture(path.name):
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode)  # a pipe would be waited for without end
    except OSError:  # a broken link, say: opening it says so
        return True


def _pictures(
    base: Path,
    rest: Sequence[str],
    left_out: Sequence[Path],
    problems: list[ImageError],
    pattern: str = "",
) -> list[str]:
    """The files that a pattern means below a folder, and the pictures in folders, in natural order.

    Without those in folders that are left out, unless the folder lies in them.
    """
    before = len(problems)
    found: list[Path] = []
    for match in _matches(base, rest):
        found += _walk(match, problems) if match.is_dir() else [match]
    folders = [folder for folder in left_out if not _lies_in(base, folder)]
    kept = {str(path) for path in found if not any(_lies_in(path, folder) for folder in folders)}
    if not kept and len(problems) == before:
        nothing = f"{pattern}: matches no picture: check the pattern and the folder"
        problems.append(ImageError(nothing if pattern else f"{base}: {_NO_PICTURES}"))
    return sorted(kept, key=lambda path: (_natural(path), path))


def _matches(base: Path, rest: Sequence[str]) -> Iterable[Path]:
    # `**` is for folders alone, and at the end it means what a folder means anyway.
    rest = [part if part == "**" else re.sub(r"\*+", "*", part) for part in rest]
    while rest and rest[-1] == "**":
        rest.pop()
    if not rest:
        return [base] if base.exists() else []
    hidden = any(part.startswith(".") for part in rest)  # asked for
    return [
        match
        for match in base.glob("/".join(rest))
        if hidden or not any(part.startswith(".") for part in match.relative_to(base).parts)
    ]


def _lies_in(path: Path, folder: Path) -> bool:
    real = Path(os.path.realpath(path))  # unlike Path.resolve, bears links that lead to themselves
    return real.is_relative_to(os.path.realpath(folder))


def _natural(path: str) -> list[list[int | str]]:
    """Sorts 2 before 10: every second piece of a name is a number."""
    names = (re.split(r"(\d+)", part.casefold()) for part in Path(path).parts)
    return [[int(text) if k % 2 else text for k, text in enumerate(name)] for name in names]
