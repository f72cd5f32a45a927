"""Reads what paths mean for ``digitlens read``: page by page, several at once, in their order.

Knows readers, files and what is said of them, but nothing of the command line: ``digitlens read``
with nothing but paths comes here without it, see ``digitlens.__main__``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from digitlens.cli.answers import Answer, Form, print_answers
from digitlens.cli.copies import Copies
from digitlens.cli.page_bar import PageBar
from digitlens.cli.pictures import STDIN, find_pictures
from digitlens.errors import DigitlensError, ImageError, MissingExtraError, ModelError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from digitlens.imaging.documents import Document
    from digitlens.imaging.images import Page
    from digitlens.reading.crew import Crew
    from digitlens.reading.expect import Pattern
    from digitlens.reading.reader import DigitReader, Examination
    from digitlens.results import Reading

# Processes take 0.4 s of each core to start, and two then read drawings in half the time of one.
_WORTH = 2.0  # seconds of reading still to do
_TELLING = 8  # pages that tell how long the others take

_Found: TypeAlias = "tuple[Reading, Examination | None]"


@dataclass(frozen=True)
class Expected:
    """What is known of the number on each page, as it was given and as it is meant."""

    text: str
    pattern: Pattern

    def missing(self, answer: Answer) -> str:
        """Says that there are fewer digits than places; empty where there are not."""
        found, places = len(answer.reading.digits), len(self.pattern.places)
        if found >= places:
            return ""
        shape = "" if self.text.isdecimal() else f" as in {self.text}"
        digits = "digit" if places == 1 else "digits"
        return f"{answer.name}: expected {places} {digits}{shape}, found {found}"


@dataclass(frozen=True)
class Wish:
    """What is asked for, whatever the pictures; each as the option of that name."""

    model: str = "default"
    pages: str = "pages"
    expected: Expected | None = None
    target_error: float | None = None
    annotate: Path | None = None
    explain: Path | None = None

    def reader(self, threads: int) -> DigitReader:
        """The reader that is asked for.

        Args:
            threads: See ``DigitReader``.

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


def read_paths(paths: Sequence[str], form: Form, wish: Wish) -> bool:
    """Prints what is on the pictures that paths mean.

    Args:
        paths: See ``find_pictures``.
        form: See ``print_answers``.
        wish: What else is asked for.

    Returns:
        Whether all could be read.

    Raises:
        ModelError: See ``Wish.reader``.
    """
    out = sys.stdout  # the progress bar puts its own in its place
    run = _Run(wish, PageBar(wanted=form == "table" or not out.isatty()))
    with closing(run.answers(paths)) as answers:
        print_answers(answers, form, out)
    return not run.failed


class _Run:
    """Reads files, and goes on after one that cannot be read.

    Attributes:
        failed: Whether something could not be read so far.
    """

    def __init__(self, wish: Wish, bar: PageBar) -> None:
        self.failed = False
        self._wish = wish
        self._bar = bar
        self._pages = 0  # that are to be read, as far as is known

    def answers(self, paths: Sequence[str]) -> Generator[Answer]:
        """One for each page that can be read, when it is asked for."""
        # What an earlier run wrote for people to look at is not to be read.
        written = [folder for folder in (self._wish.annotate, self._wish.explain) if folder]
        files, problems = find_pictures(paths, left_out=written)
        from digitlens.models.session import cores
        from digitlens.reading.crew import Crew
        from digitlens.reading.stream import in_order

        # Of many pictures each core reads its own; one gets all of them.
        reader = self._wish.reader(threads=1 if len(files) > 1 else 0)
        copies = Copies(self._wish.annotate, self._wish.explain, files)
        with self._bar:
            for problem in problems:
                self._fail(problem)
            self._expect(len(files))
            examine = partial(_examine, reader, self._wish)
            crew = Crew(examine, partial(_examiner, self._wish), cores())
            with closing(crew), closing(in_order(crew, self._tasks(files))) as done:
                yield from self._given(self._timed(done, crew), copies, reader.thresholds)

    def _tasks(self, files: Sequence[str]) -> Iterator[_Task]:
        """The pages of files, in their order; what is no page fails when it is loaded."""
        from digitlens.imaging.documents import open_document
        from digitlens.imaging.images import load_image

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
        self, done: Iterator[tuple[_Task, Future[_Found]]], crew: Crew[_Task, _Found]
    ) -> Iterator[tuple[_Task, Future[_Found]]]:
        """The same, with a crew that is started if what is left takes long enough."""
        start, number = time.monotonic(), 0
        for task, future in done:
            number += 1  # noqa: SIM113  (enumerate would keep the page of the last one)
            left = (time.monotonic() - start) / number * (self._pages - number)
            if crew.size > 1 and number >= _TELLING and left > _WORTH:
                crew.start()
            yield task, future
            del task, future

    def _given(
        self,
        done: Iterator[tuple[_Task, Future[_Found]]],
        copies: Copies,
        thresholds: Mapping[str, float],
    ) -> Iterator[Answer]:
        from digitlens.imaging.documents import page_name
        from digitlens.reading.crew import HelperError

        for task, future in done:
            try:
                reading, examination = future.result()
                answer = Answer(task.path, task.number, task.count, reading)
                if examination:
                    copies.write(answer, examination, thresholds)
                if self._wish.expected and (words := self._wish.expected.missing(answer)):
                    self._bar.say(f"digitlens: {words}")
                yield answer
            except (ImageError, MissingExtraError) as error:
                self._fail(error)
            except HelperError as error:
                self._fail(ImageError(f"{page_name(task.path, task.number, task.count)}: {error}"))
            self._bar.advance()
            del task, future  # and with them the page, before the next is loaded

    def _expect(self, pages: int) -> None:
        self._pages += pages
        self._bar.expect(pages)

    def _fail(self, error: DigitlensError) -> None:
        self.failed = True
        self._bar.say(f"digitlens: {error}")


def _examiner(wish: Wish) -> Callable[[_Task], _Found]:
    """What a process of its own does with each page."""
    return partial(_examine, wish.reader(threads=1), wish)


def _examine(reader: DigitReader, wish: Wish, task: _Task) -> _Found:
    """What is read on a page, and if it is to be shown, all that led to it, the page included."""
    pattern = wish.expected.pattern if wish.expected else None
    examination = reader.examine(task.load(), expect=pattern)
    return examination.reading, examination if wish.annotate or wish.explain else None


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
