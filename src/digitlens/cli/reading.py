"""Reads what paths mean for ``digitlens read``: page by page, several at once, in their order.

Knows readers, files and what is said of them, but nothing of the command line: ``digitlens read``
with nothing but paths comes here without it, see ``digitlens.__main__``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from digitlens.cli.answers import Answer, Form, print_answers
from digitlens.cli.pictures import STDIN, find_pictures
from digitlens.errors import DigitlensError, ImageError, MissingExtraError, ModelError
from digitlens.progress import work_bar

if TYPE_CHECKING:
    from rich.progress import Progress

    from digitlens.imaging.document import Document
    from digitlens.imaging.image import Page
    from digitlens.reading.batch import Done, ProcessPool
    from digitlens.reading.constraints import Expectation
    from digitlens.reading.notation import NotationOptions
    from digitlens.reading.reader import DigitReader, ReadResult
    from digitlens.results import Reading

# Processes take 0.4 s of each core to start, and two then read drawings in half the time of one.
_WORTH = 2.0  # seconds of reading still to do
_TELLING = 8  # pages that tell how long the others take

_Found: TypeAlias = "tuple[Reading, ReadResult | None]"


@dataclass(frozen=True)
class ReadOptions:
    """What is asked for, whatever the pictures; each as the option of that name."""

    model: str = "default"
    pages: str = "pages"
    expected: Expectation | None = None
    target_error: float | None = None
    annotate: Path | None = None
    explain: Path | None = None
    notation: NotationOptions | None = None

    def reader(self, threads: int) -> DigitReader:
        """The reader that is asked for.

        Raises:
            ModelError: A model is missing or damaged, or cannot promise so few errors.
        """
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
    load: Callable[[], Page]


def form_of(as_json: bool, as_csv: bool) -> Form:
    """How answers are printed: as asked for, a table on a terminal, else lines of text."""
    if as_json:
        return "json"
    if as_csv:
        return "csv"
    return "table" if sys.stdout.isatty() else "text"


def read_paths(paths: Sequence[str], form: Form, options: ReadOptions) -> bool:
    """Prints what is on the pictures that paths mean; gives whether all could be read.

    Raises:
        ModelError: See ``ReadOptions.reader``.
    """
    out = sys.stdout  # the progress bar puts its own in its place
    run = _Run(options, PageBar(wanted=form == "table" or not out.isatty()))
    with closing(run.answers(paths)) as answers:
        print_answers(answers, form, out)
    return not run.failed


class _Run:
    """Reads files, and goes on after one that cannot be read.

    Attributes:
        failed: Whether something could not be read so far.
    """

    def __init__(self, options: ReadOptions, bar: PageBar) -> None:
        self.failed = False
        self._options = options
        self._bar = bar
        self._pages = 0  # that are to be read, as far as is known

    def answers(self, paths: Sequence[str]) -> Generator[Answer]:
        """One for each page that can be read, when it is asked for."""
        # What an earlier run wrote for people to look at is not to be read.
        written = [folder for folder in (self._options.annotate, self._options.explain) if folder]
        files, problems = find_pictures(paths, left_out=written)
        from digitlens.models.session import cores
        from digitlens.reading.batch import ProcessPool, ordered_map

        # Of many pictures each core reads its own; one gets all of them.
        reader = self._options.reader(threads=1 if len(files) > 1 else 0)
        copies = Copies(self._options.annotate, self._options.explain, files)
        with self._bar:
            for problem in problems:
                self._fail(problem)
            self._expect(len(files))
            examine = partial(_examine, reader, self._options)
            pool = ProcessPool(examine, partial(_examiner, self._options), cores())
            with closing(pool), closing(ordered_map(pool, self._tasks(files))) as done:
                yield from self._given(self._timed(done, pool), copies, reader.thresholds)

    def _tasks(self, files: Sequence[str]) -> Iterator[_Task]:
        """The pages of files, in their order; what is no page fails when it is loaded."""
        from digitlens.imaging.document import open_document
        from digitlens.imaging.image import load_image

        for path in files:
            try:
                with open_document(sys.stdin.buffer if path == STDIN else path) as document:
                    count = document.count
                    self._expect(count - 1)
                    if count == 1 and path != STDIN:  # decoded by whoever reads it
                        yield _Task(path, 1, 1, partial(load_image, path))
                        continue
                    for number in range(1, count + 1):
                        yield _Task(path, number, count, _loaded(document, number))
            except (ImageError, MissingExtraError) as error:
                yield _Task(path, 1, 1, partial(_refuse, error))

    def _timed(
        self, answers: Iterator[tuple[_Task, Done[_Found]]], pool: ProcessPool[_Task, _Found]
    ) -> Iterator[tuple[_Task, Done[_Found]]]:
        """The same, with a pool that is started if what is left takes long enough."""
        start, number = time.monotonic(), 0
        for task, done in answers:
            number += 1  # noqa: SIM113  (enumerate would keep the page of the last one)
            left = (time.monotonic() - start) / number * (self._pages - number)
            if pool.size > 1 and number >= _TELLING and left > _WORTH:
                pool.start()
            yield task, done
            del task, done

    def _given(
        self,
        answers: Iterator[tuple[_Task, Done[_Found]]],
        copies: Copies,
        thresholds: Mapping[str, float],
    ) -> Iterator[Answer]:
        from digitlens.imaging.document import page_name
        from digitlens.reading.batch import WorkerError

        for task, done in answers:
            try:
                reading, result = done.result()
                answer = Answer(task.path, task.number, task.count, reading)
                if result:
                    copies.write(answer, result, thresholds)
                if words := _unfulfilled(answer, self._options.expected):
                    self._bar.say(f"digitlens: {words}")
                yield answer
            except (ImageError, MissingExtraError) as error:
                self._fail(error)
            except WorkerError as error:
                self._fail(ImageError(f"{page_name(task.path, task.number, task.count)}: {error}"))
            self._bar.advance()
            del task, done  # and with them the page, before the next is loaded

    def _expect(self, pages: int) -> None:
        self._pages += pages
        self._bar.expect(pages)

    def _fail(self, error: DigitlensError) -> None:
        self.failed = True
        self._bar.say(f"digitlens: {error}")


def _unfulfilled(answer: Answer, expected: Expectation | None) -> str:
    """Says that no number is as expected; empty where one is, or nothing was expected."""
    said = answer.reading.constrained
    if expected is None or said is None or said.fulfilled:
        return ""
    from digitlens.reading.pattern import Pattern

    known = expected.constraints
    shapes = (each.described if isinstance(each, Pattern) else each.text for each in known)
    digits = all(isinstance(each, Pattern) for each in known)
    found = len(answer.reading.digits) if digits else answer.reading.text.replace("\n", " ")
    return f"{answer.name}: expected {'; '.join(shapes)}, found {found or 0}"


def _examiner(options: ReadOptions) -> Callable[[_Task], _Found]:
    """What a process of its own does with each page."""
    return partial(_examine, options.reader(threads=1), options)


def _examine(reader: DigitReader, options: ReadOptions, task: _Task) -> _Found:
    """What is read on a page, and if it is to be shown, all that led to it, the page included."""
    result = reader.examine(task.load(), expect=options.expected, **(options.notation or {}))
    return result.reading, result if options.annotate or options.explain else None


def _loaded(document: Document, number: int) -> Callable[[], Page]:
    """A page of a document, decoded now: its file is closed when others are still to be read."""
    try:
        page = document.page(number)
    except ImageError as error:
        return partial(_refuse, error)
    return partial(_held, page)


def _held(page: Page) -> Page:
    return page


def _refuse(error: DigitlensError) -> NoReturn:
    raise error


class Copies:
    """Writes annotated copies and explanations, and replaces no file that is to be read."""

    def __init__(self, annotate: Path | None, explain: Path | None, files: Sequence[str]) -> None:
        """Remembers the folders.

        Args:
            annotate: For annotated copies; None writes none.
            explain: For folders that explain; None writes none.
            files: What is read.
        """
        self._annotate = annotate
        self._explain = explain
        self._taken = {_key(Path(path)) for path in files} if annotate or explain else set[str]()

    def write(self, answer: Answer, result: ReadResult, thresholds: Mapping[str, float]) -> None:
        """Writes what was asked for of one page."""
        if self._annotate:
            from digitlens.visualization.overlay import write_reading

            target = self._free(self._annotate, answer, ".png")
            write_reading(target, result.page, answer.reading)
        if self._explain:
            from digitlens.visualization.stages import write_stages

            target = self._free(self._explain, answer, "")
            write_stages(target, result, thresholds)

    def _free(self, folder: Path, answer: Answer, suffix: str) -> Path:
        stem = "stdin" if answer.path == STDIN else Path(answer.path).stem
        stem = stem if answer.count == 1 else f"{stem}-page-{answer.page}"
        names = (f"{stem}{suffix}" if n == 1 else f"{stem}-{n}{suffix}" for n in count(1))
        targets = (folder / name for name in names)
        target = next(target for target in targets if _key(target) not in self._taken)
        self._taken.add(_key(target))
        return target


def _key(path: Path) -> str:
    return os.path.realpath(path).casefold()  # some file systems hold A.png and a.png for the same


class PageBar:
    """A progress bar on standard error, begun when more than one page is expected.

    One picture is read before a bar could be seen, and in half the time without it.
    """

    def __init__(self, *, wanted: bool) -> None:
        """Shows nothing yet.

        Args:
            wanted: Whether there may be a bar, if standard error is a terminal.
        """
        self._wanted = wanted and sys.stderr.isatty()
        self._total = 0
        self._progress: Progress | None = None

    def __enter__(self) -> PageBar:
        """Nothing happens before pages are expected."""
        return self

    def __exit__(self, *_: object) -> None:
        """Takes the bar away."""
        if self._progress:
            self._progress.stop()

    def expect(self, pages: int) -> None:
        """So many pages more are to be read."""
        self._total += pages
        if self._wanted and self._total > 1 and not self._progress:
            self._progress = work_bar()
            self._progress.add_task("reading", total=None)
            self._progress.start()
        if self._progress:
            self._progress.update(self._progress.task_ids[0], total=self._total)

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
