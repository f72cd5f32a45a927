"""``digitlens read``: the digits on pictures and on every page of documents."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlens.commands.answers import Answer, Form, print_answers
from digitlens.commands.copies import Copies
from digitlens.commands.pictures import STDIN, find_pictures
from digitlens.errors import DigitlensError, ImageError, MissingExtraError, ModelError
from digitlens.progress import work_bar

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from digitlens.data.documents import Document
    from digitlens.recognition.expect import Pattern
    from digitlens.recognition.reader import DigitReader

Paths = Annotated[
    list[str],
    typer.Argument(
        help="Pictures, PDFs, folders of them or patterns such as 'scans/*.png'; - reads one from "
        "standard input."
    ),
]
Images = Annotated[
    list[str], typer.Option("--image", help="A picture, as in read; may be given repeatedly.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object a page, in a line.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print a row a digit, also of rejected ones.")]
Annotate = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", file_okay=False, help="Folder for copies that show what was read where."
    ),
]
Explain = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", file_okay=False, help="Folder for folders that show how each page was read."
    ),
]
Expect = Annotated[
    str | None,
    typer.Option(
        help="What is known of the number on each page: how many digits, as in 4, or what it looks "
        "like, as in '####-##'."
    ),
]
TargetError = Annotated[
    str | None,
    typer.Option(
        help="Share of the digits given as sure that may be wrong, as in 0.1% or 0.001; the less, "
        "the more are doubtful."
    ),
]
Model = Annotated[
    str,
    typer.Option(help="What classifies digits: a shipped model's name, or a run or model folder."),
]
Pages = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        help="What finds digits on pages, likewise; such a one can be given as --model, too.",
    ),
]


def read(
    paths: Paths,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    annotate: Annotate = None,
    explain: Explain = None,
    expect: Expect = None,
    target_error: TargetError = None,
    model: Model = "default",
    pages: Pages = "pages",
) -> None:
    """Read the digits on pictures, and on every page of PDF and TIFF files.

    Prints a table on a terminal, and in a pipe a line a page: path, tab, digits, with a space
    between the lines of a page; where a file has several pages, #2 after the path is the second.
    A file or page that cannot be read is named on standard error, the others are still read, and
    the exit code is 1. A page with fewer digits than expected is named there too.
    """
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    wish = _Wish(model, pages, _expected(expect), _share(target_error), annotate, explain)
    out = sys.stdout  # the progress bar puts its own in its place
    form = _form(as_json, as_csv, terminal=out.isatty())
    run = _Run(wish, bar=form == "table" or not out.isatty())
    print_answers(run.answers(paths), form, out)
    if run.failed:
        raise typer.Exit(1)


def predict(
    image: Images,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    annotate: Annotate = None,
    explain: Explain = None,
    expect: Expect = None,
    target_error: TargetError = None,
    model: Model = "default",
    pages: Pages = "pages",
) -> None:
    """Read the digits on pictures: the same as read, with --image before each."""
    read(image, as_json, as_csv, annotate, explain, expect, target_error, model, pages)


@dataclass(frozen=True)
class _Wish:
    """What is asked for, whatever the pictures."""

    model: str
    pages: str
    expected: _Expected | None
    target_error: float | None
    annotate: Path | None
    explain: Path | None

    def reader(self) -> DigitReader:
        from digitlens.model.roles import roles
        from digitlens.recognition.reader import DigitReader

        model, pages = roles(self.model, self.pages)
        try:
            return DigitReader(model, pages=pages, target_error=self.target_error)
        except ValueError as error:  # the model's curve does not reach so far
            raise ModelError(f"{pages}: {error}") from error


@dataclass(frozen=True)
class _Expected:
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


def _expected(text: str | None) -> _Expected | None:
    from digitlens.recognition.expect import Pattern

    if text is None:
        return None
    try:
        return _Expected(text.strip(), Pattern.parse(text))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--expect") from error


def _share(text: str | None) -> float | None:
    from digitlens.evaluation.risk import parse_target

    try:
        return None if text is None else parse_target(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--target-error") from error


def _form(as_json: bool, as_csv: bool, *, terminal: bool) -> Form:
    if as_json:
        return "json"
    if as_csv:
        return "csv"
    return "table" if terminal else "text"


class _Run:
    """Reads files one page at a time, and goes on after one that cannot be read.

    Attributes:
        failed: Whether something could not be read so far.
    """

    def __init__(self, wish: _Wish, *, bar: bool) -> None:
        self.failed = False
        self._wish = wish
        self._progress = work_bar()
        self._progress.disable = self._progress.disable or not bar

    def answers(self, paths: Sequence[str]) -> Iterator[Answer]:
        """One for each page that can be read, when it is asked for."""
        reader = self._wish.reader()
        # What an earlier run wrote for people to look at is not to be read.
        written = [folder for folder in (self._wish.annotate, self._wish.explain) if folder]
        files, problems = find_pictures(paths, left_out=written)
        copies = Copies(self._wish.annotate, self._wish.explain, files)
        with self._progress as progress:
            for problem in problems:
                self._fail(problem)
            task = progress.add_task("reading", total=len(files))
            for path in files:
                yield from self._of_file(path, reader, copies, task)

    def _of_file(
        self, path: str, reader: DigitReader, copies: Copies, task: TaskID
    ) -> Iterator[Answer]:
        from digitlens.data.documents import open_document

        try:
            with open_document(sys.stdin.buffer if path == STDIN else path) as document:
                _expect_more(self._progress, task, document.count - 1)
                for number in range(1, document.count + 1):
                    try:
                        yield self._of_page(reader, document, number, path, copies)
                    except ImageError as error:
                        self._fail(error)
                    self._progress.advance(task)
        except (ImageError, MissingExtraError) as error:
            self._fail(error)
            self._progress.advance(task)

    def _of_page(
        self, reader: DigitReader, document: Document, number: int, path: str, copies: Copies
    ) -> Answer:
        expected = self._wish.expected
        pattern = expected.pattern if expected else None
        examination = reader.examine(document.page(number), expect=pattern)
        answer = Answer(path, number, document.count, examination.reading)
        copies.write(answer, examination, reader.thresholds)
        if expected and (words := expected.missing(answer)):
            self._say(words)
        return answer

    def _fail(self, error: DigitlensError) -> None:
        self.failed = True
        self._say(str(error))

    def _say(self, words: str) -> None:
        self._progress.console.print(f"digitlens: {words}", markup=False, soft_wrap=True)


def _expect_more(progress: Progress, task: TaskID, more: int) -> None:
    total = next(known.total for known in progress.tasks if known.id == task)
    progress.update(task, total=(total or 0) + more)
