"""Reads the files given to ``digitlens read``: pages in parallel, results in order.

Independent of the command-line parser, which ``digitlens read`` with only paths does not load.
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

# A process takes 0.4 s of a core to start; two then read drawings in half the time of one.
_POOL_SECONDS = 2.0  # start processes if more seconds of reading than this are left
_TIMED_PAGES = 8  # pages to read before the remaining time is estimated

_Result: TypeAlias = "tuple[Reading, ReadResult | None]"


@dataclass(frozen=True)
class ReadSettings:
    """Options of ``digitlens read`` that apply to all pictures, named like its options."""

    model: str = "default"
    pages: str = "pages"
    expected: Expectation | None = None
    target_error: float | None = None
    annotate: Path | None = None
    notation: NotationOptions | None = None

    def reader(self, threads: int) -> DigitReader:
        """The reader; ModelError if a model is missing, damaged or cannot keep the target error."""
        from digitlens.reading.reader import DigitReader

        make = partial(DigitReader, self.model, pages=self.pages)
        try:
            return make(target_error=self.target_error, threads=threads)
        except ValueError as error:  # below the range of the risk curve
            raise ModelError(f"the target error cannot be kept: {error}") from error


@dataclass(frozen=True)
class _Task:
    """A page to read: the only page of a file, or one page of an open document."""

    path: str
    number: int
    count: int
    page: Page | str | DigitlensError  # decoded, or a path to decode, or a decoding error


def format_of(as_json: bool, as_csv: bool) -> OutputFormat:
    """The output format: the requested one, else a table on a terminal or lines of text."""
    if as_json:
        return "json"
    if as_csv:
        return "csv"
    return "table" if sys.stdout.isatty() else "text"


def read_paths(paths: Sequence[str], output_format: OutputFormat, options: ReadSettings) -> bool:
    """Reads all pictures that the paths name and prints the readings; False if any failed."""
    out = sys.stdout  # the progress bar replaces sys.stdout
    run = _Run(options, PageBar(enabled=output_format == "table" or not out.isatty()))
    with closing(run.answers(paths)) as answers:
        print_answers(answers, output_format, out)
    return not run.failed


class _Run:
    """Reads files; continues after one that cannot be read."""

    def __init__(self, options: ReadSettings, bar: PageBar) -> None:
        self.failed = False  # whether any file or page could not be read so far
        self._options = options
        self._bar = bar
        self._taken_keys = set[str]()  # files that annotated copies must not overwrite

    def answers(self, paths: Sequence[str]) -> Generator[Answer]:
        """Yields one answer per readable page; pages are read as answers are consumed."""
        # Do not read the annotated copies that an earlier run wrote.
        copy_folder = self._options.annotate
        files, problems = find_pictures(paths, excluded=[copy_folder] if copy_folder else [])
        self._taken_keys = {_path_key(Path(path)) for path in files} if copy_folder else set[str]()
        from digitlens.models.session import cores
        from digitlens.reading.batch import ProcessPool, ordered_map

        # With many pictures, each core reads its own; a single picture uses all cores.
        reader = self._options.reader(threads=1 if len(files) > 1 else 0)
        with self._bar:
            for problem in problems:
                self._fail(problem)
            self._bar.expect(len(files))
            examine = partial(_examine_page, reader, self._options)
            pool = ProcessPool(examine, partial(_make_examiner, self._options), cores())
            with closing(pool), closing(ordered_map(pool, self._tasks(files))) as outcomes:
                yield from self._collect_answers(outcomes, pool)

    def _tasks(self, files: Sequence[str]) -> Iterator[_Task]:
        """The pages of files, in order; decoding errors are raised when the task is examined."""
        from digitlens.imaging.document import open_document

        for path in files:
            try:
                with open_document(sys.stdin.buffer if path == STDIN else path) as document:
                    count = document.count
                    self._bar.expect(count - 1)
                    for number in range(1, count + 1):
                        is_single = count == 1 and path != STDIN  # decoded by the reading process
                        page = partial(_decode_page, document, number)
                        yield _Task(path, number, count, path if is_single else page())
            except (ImageError, MissingExtraError) as error:
                yield _Task(path, 1, 1, error)

    def _collect_answers(
        self, answers: Iterator[tuple[_Task, Done[_Result]]], pool: ProcessPool[_Task, _Result]
    ) -> Iterator[Answer]:
        """The answers; starts the pool if the remaining pages take long enough."""
        from digitlens.imaging.document import page_name
        from digitlens.reading.batch import WorkerError

        start, number = time.monotonic(), 0
        for task, outcome in answers:
            number += 1  # noqa: SIM113  (enumerate would keep a reference to the last page)
            seconds_left = (time.monotonic() - start) / number * (self._bar.total - number)
            if pool.size > 1 and number >= _TIMED_PAGES and seconds_left > _POOL_SECONDS:
                pool.start()
            try:
                yield self._answer(task, *outcome.result())
            except (ImageError, MissingExtraError) as error:
                self._fail(error)
            except WorkerError as error:
                self._fail(ImageError(f"{page_name(task.path, task.number, task.count)}: {error}"))
            self._bar.advance()
            del task, outcome  # frees the page before the next one is loaded

    def _answer(self, task: _Task, reading: Reading, result: ReadResult | None) -> Answer:
        """The answer for a page; writes its annotated copy and reports unmet constraints."""
        answer = Answer(task.path, task.number, task.count, reading)
        if result and self._options.annotate:
            from digitlens.visualization.overlay import write_reading

            write_reading(self._unused_path(self._options.annotate, answer), result.page, reading)
        if message := _unfulfilled_message(answer, self._options.expected):
            self._bar.say(f"digitlens: {message}")
        return answer

    def _unused_path(self, folder: Path, answer: Answer) -> Path:
        """A path for an annotated copy that overwrites no other copy and no input file."""
        stem = "stdin" if answer.path == STDIN else Path(answer.path).stem
        stem = stem if answer.count == 1 else f"{stem}-page-{answer.page}"
        names = (f"{stem}.png" if n == 1 else f"{stem}-{n}.png" for n in count(1))
        targets = (folder / name for name in names)
        target = next(target for target in targets if _path_key(target) not in self._taken_keys)
        self._taken_keys.add(_path_key(target))
        return target

    def _fail(self, error: DigitlensError) -> None:
        self.failed = True
        self._bar.say(f"digitlens: {error}")


def _unfulfilled_message(answer: Answer, expected: Expectation | None) -> str:
    """A message that no number fulfils the constraints; empty if one does or none were given."""
    effect = answer.reading.constrained
    if expected is None or effect is None or effect.fulfilled:
        return ""
    from digitlens.reading.constraints import Pattern

    rules = expected.constraints
    texts = (each.described if isinstance(each, Pattern) else each.text for each in rules)
    digits = all(isinstance(each, Pattern) for each in rules)
    found = len(answer.reading.digits) if digits else answer.reading.text.replace("\n", " ")
    return f"{answer.name}: expected {'; '.join(texts)}, found {found or 0}"


def _make_examiner(options: ReadSettings) -> Callable[[_Task], _Result]:
    """The function that a worker process applies to each page."""
    return partial(_examine_page, options.reader(threads=1), options)


def _examine_page(reader: DigitReader, options: ReadSettings, task: _Task) -> _Result:
    """The reading of a page, and, for an annotated copy, the full result including the page."""
    if isinstance(task.page, DigitlensError):
        raise task.page
    result = reader.examine(task.page, expect=options.expected, **(options.notation or {}))
    return result.reading, result if options.annotate else None


def _decode_page(document: Document, number: int) -> Page | ImageError:
    """A page of a document, decoded before its file is closed, or the error of decoding it."""
    try:
        return document.page(number)
    except ImageError as error:
        return error


def _path_key(path: Path) -> str:
    return os.path.realpath(path).casefold()  # A.png and a.png can be one file, on some systems


class PageBar:
    """A progress bar on standard error; with one page none is shown: it would double the time."""

    def __init__(self, *, enabled: bool) -> None:
        """Shows nothing yet; ``enabled`` allows a bar if standard error is a terminal."""
        self._enabled = enabled and sys.stderr.isatty()
        self.total = 0  # pages known so far
        self._progress: Progress | None = None

    def __enter__(self) -> PageBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def expect(self, pages: int) -> None:
        """Adds a number of pages to the total."""
        self.total += pages
        if self._enabled and self.total > 1 and not self._progress:
            self._progress = work_bar()
            self._progress.add_task("reading", total=None)
            self._progress.start()
        if self._progress:
            self._progress.update(self._progress.task_ids[0], total=self.total)

    def advance(self) -> None:
        """Counts a page as done, whether or not it could be read."""
        if self._progress:
            self._progress.advance(self._progress.task_ids[0])

    def say(self, text: str) -> None:
        """Writes a line to standard error, above the bar."""
        if self._progress:
            self._progress.console.print(text, markup=False, soft_wrap=True)
        else:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


OutputFormat: TypeAlias = Literal["table", "text", "json", "csv"]

COLUMNS = (
    *("path", "page", "line", "index", "value", "confidence", "status", "x0", "y0", "x1", "y1"),
    *("starts_number", "reason"),
    *("number", "number_text", "number_value", "number_kind", "number_unit", "number_status"),
    "number_confidence",
)
LISTED = 3  # doubts, and values, listed per picture in the table
COLOURS = {"digit": "", "unsure": "bold yellow"}


@dataclass(frozen=True)
class Answer:
    """The reading of one page of a file; pages are counted from 1."""

    path: str
    page: int
    count: int
    reading: Reading

    @property
    def name(self) -> str:
        """The path, with the page number if there are several: ``scan.pdf#2``."""
        from digitlens.imaging.document import page_name

        return page_name(self.path, self.page, self.count)


def print_answers(answers: Iterable[Answer], output_format: OutputFormat, out: TextIO) -> None:
    """Prints answers as they arrive; a table is printed after the last one.

    Text and JSON have one line per page; CSV has one row per digit, rejected ones included.
    Characters that ``out`` cannot encode are escaped.
    """
    if output_format == "table":
        _print_table(list(answers))
    elif output_format == "csv":
        _print_csv(answers, out)
    else:
        for answer in answers:
            line = f"{answer.name}\t{answer.reading.text.replace(chr(10), ' ')}"
            if output_format == "json":
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
        source = (_printable(answer.path, out), answer.page)
        numbers = _number_columns(answer.reading, out)
        for number, line in enumerate(answer.reading.lines):
            for index, digit in enumerate(line):
                scores = (digit.value, f"{digit.confidence:.6f}", digit.status)
                notes = (int(digit.starts_number), digit.reason)
                known = digit.status != "rejected" and numbers.get(digit.box)
                cells = known or ("",) * 7
                writer.writerow(
                    (*source, number, index, *scores, *digit.box.as_list(), *notes, *cells)
                )


def _number_columns(reading: Reading, out: TextIO) -> dict[Box, tuple[object, ...]]:
    """For each digit, the CSV columns of its number, by the box of the digit."""
    from digitlens.results import value_text

    return {
        digit.box: (
            *(k, _printable(each.text, out), value_text(each.value) or ""),
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
    values = [_value_lines(answer.reading) for answer in answers]
    value_headings = ["values"] if any(values) else []
    for heading in ("picture", "numbers", *value_headings, "least sure", "doubts"):
        table.add_column(heading, overflow="fold")
    for answer, value in zip(answers, values, strict=True):
        reading = answer.reading
        lowest = min((digit.percent for digit in reading.digits), default=None)
        sureness = "" if lowest is None else f"{lowest} %"
        name = Text(_printable(answer.name, sys.stdout))
        cells = [Text(value)] if value_headings else []
        table.add_row(name, _numbers_text(reading), *cells, sureness, Text(_doubts_text(reading)))
    Console(highlight=False).print(table)


def _numbers_text(reading: Reading) -> Text:
    from rich.text import Text

    lines = [_digit_pieces(line) for line in reading.lines]
    if reading.characters:
        colours = {digit.box: COLOURS[digit.status] for digit in reading.digits}
        lines = [
            [(one.char, colours.get(one.box, "")) for one in line] for line in reading.characters
        ]
    texts = [Text.assemble(*line) for line in lines if line]
    return Text("\n").join(texts) if texts else Text("no digits", "dim")


def _value_lines(reading: Reading) -> str:
    """Values of the numbers whose text differs from the value: ``1.234,56 = 1234.56``."""
    from digitlens.results import value_text

    values = [(number.text, value_text(number.value)) for number in reading.numbers]
    lines = [f"{text} = {value}" for text, value in values if value and value != text]
    return "\n".join(_first_lines(lines))


def _first_lines(lines: list[str]) -> list[str]:
    rest = [f"and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return lines[:LISTED] + rest


def _digit_pieces(line: Sequence[Digit]) -> list[tuple[str, str]]:
    """The digits of a line in their colours, without rejected ones; a space between numbers."""
    pieces: list[tuple[str, str]] = []
    gap = False
    for digit in line:
        gap = gap or digit.starts_number  # even if rejected: the gap still separates numbers
        if digit.status != "rejected":
            if gap and pieces:
                pieces.append((" ", ""))
            pieces.append((str(digit.value), COLOURS[digit.status]))
            gap = False
    return pieces


def _doubts_text(reading: Reading) -> str:
    digits = ((k, digit) for k, digit in enumerate(reading.digits, 1) if digit.reason)
    doubts = [f"{digit.value}, no. {k}: {digit.reason}" for k, digit in digits]
    numbers = (number for number in reading.numbers if number.reason)
    doubts += [f"{n.text}: {n.reason}" for n in numbers if not any(d.reason for d in n.digits)]
    rejected = sum(len(line) for line in reading.lines) - len(reading.digits)
    return "\n".join(_first_lines(doubts) + ([f"{rejected} rejected"] if rejected else []))


STDIN = "-"
_MAGIC = re.compile(r"[*?[]")
_NO_PICTURES = (
    "is a folder without pictures: expected, in it or its subfolders, names that end in "
    f"{', '.join(SUFFIXES)}"
)


def find_pictures(
    paths: Sequence[str], excluded: Sequence[Path] = ()
) -> tuple[list[str], list[ImageError]]:
    """The files that paths name, in the order of the paths.

    A folder stands for all pictures in it and its subfolders, by suffix, in natural order (2 before
    10). A pattern (``*``, ``?``, ``[…]``, ``**`` for any subfolders) that is not itself a file name
    stands for its matches. Both skip hidden files, and do not follow links to folders. Any other
    path is returned as it is, whether or not it exists; ``-`` is standard input. Pictures in a
    ``excluded`` folder, to which results are written, count only for paths inside that folder.

    Also returns an error for each path without pictures and each folder that cannot be read.
    """
    problems: list[ImageError] = []
    return [file for path in paths for file in _expand_path(path, excluded, problems)], problems


def _expand_path(path: str, excluded: Sequence[Path], problems: list[ImageError]) -> list[str]:
    if path in ("", STDIN):
        return [path]
    try:
        if Path(path).is_dir():
            return _pictures_below(Path(path), (), excluded, problems)
        if Path(path).exists() or not _MAGIC.search(path):
            return [path]
        parts = Path(path).parts
        base = list(takewhile(lambda part: not _MAGIC.search(part), parts))
        return _pictures_below(Path(*base), parts[len(base) :], excluded, problems, path)
    except (OSError, ValueError):  # no permission, too long, a null: reported when it is opened
        return [path]


def _walk_pictures(folder: Path, problems: list[ImageError]) -> Iterator[Path]:
    def add_problem(error: OSError) -> None:
        problems.append(ImageError(f"{error.filename}: cannot be read ({error.strerror})"))

    for root, folders, names in os.walk(folder, onerror=add_problem):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (path for name in names if _is_picture(path := Path(root, name)))


def _is_picture(path: Path) -> bool:
    if not names_picture(path.name):
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode)  # reading a pipe could block forever
    except OSError:  # for example a broken link: reported when it is opened
        return True


def _pictures_below(
    base: Path,
    pattern_parts: Sequence[str],
    excluded: Sequence[Path],
    problems: list[ImageError],
    pattern: str = "",
) -> list[str]:
    """The files below ``base`` that a pattern matches, or the pictures in it, in natural order.

    Skips files in ``excluded`` folders unless ``base`` is inside them.
    """
    problem_count = len(problems)
    files: list[Path] = []
    for match in _glob(base, pattern_parts):
        files += _walk_pictures(match, problems) if match.is_dir() else [match]
    folders = [folder for folder in excluded if not _is_inside(base, folder)]
    paths = {str(path) for path in files if not any(_is_inside(path, folder) for folder in folders)}
    if not paths and len(problems) == problem_count:
        message = f"{pattern}: matches no picture: check the pattern and the folder"
        problems.append(ImageError(message if pattern else f"{base}: {_NO_PICTURES}"))
    return sorted(paths, key=lambda path: (_natural_key(path), path))


def _glob(base: Path, parts: Sequence[str]) -> Iterable[Path]:
    # `**` matches folders only; at the end it is redundant, since a folder includes its subfolders.
    parts = [part if part == "**" else re.sub(r"\*+", "*", part) for part in parts]
    while parts and parts[-1] == "**":
        parts.pop()
    if not parts:
        return [base] if base.exists() else []
    wants_hidden = any(part.startswith(".") for part in parts)  # requested explicitly
    return [
        match
        for match in base.glob("/".join(parts))
        if wants_hidden or not any(part.startswith(".") for part in match.relative_to(base).parts)
    ]


def _is_inside(path: Path, folder: Path) -> bool:
    real = Path(os.path.realpath(path))  # unlike Path.resolve, accepts links to themselves
    return real.is_relative_to(os.path.realpath(folder))


def _natural_key(path: str) -> list[list[int | str]]:
    """A sort key that places 2 before 10: every second part of a name is a number."""
    names = (re.split(r"(\d+)", part.casefold()) for part in Path(path).parts)
    return [[int(text) if k % 2 else text for k, text in enumerate(name)] for name in names]
