"""``digitlens read``: the digits on pictures and on every page of documents."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlens.commands.answers import Answer, Form, print_answers
from digitlens.commands.pictures import STDIN, find_pictures
from digitlens.errors import DigitlensError, ImageError, MissingExtraError
from digitlens.progress import work_bar

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from digitlens.data.documents import Document
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
Model = Annotated[str, typer.Option(help="A shipped model's name, or a run or model folder.")]


def read(
    paths: Paths,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    annotate: Annotate = None,
    model: Model = "default",
) -> None:
    """Read the digits on pictures, and on every page of PDF and TIFF files.

    Prints a table on a terminal, and in a pipe a line a page: path, tab, digits, with a space
    between the lines of a page; where a file has several pages, #2 after the path is the second.
    A file or page that cannot be read is named on standard error, the others are still read, and
    the exit code is 1.
    """
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    out = sys.stdout  # the progress bar puts its own in its place
    form = _form(as_json, as_csv, terminal=out.isatty())
    run = _Run(model, annotate, bar=form == "table" or not out.isatty())
    print_answers(run.answers(paths), form, out)
    if run.failed:
        raise typer.Exit(1)


def predict(
    image: Images,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    annotate: Annotate = None,
    model: Model = "default",
) -> None:
    """Read the digits on pictures: the same as read, with --image before each."""
    read(image, as_json, as_csv, annotate, model)


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

    def __init__(self, model: str, annotate: Path | None, *, bar: bool) -> None:
        self.failed = False
        self._model = model
        self._annotate = annotate
        self._progress = work_bar()
        self._progress.disable = self._progress.disable or not bar

    def answers(self, paths: Sequence[str]) -> Iterator[Answer]:
        """One for each page that can be read, when it is asked for."""
        from digitlens.recognition.reader import DigitReader

        reader = DigitReader(self._model)
        files, problems = find_pictures(paths, left_out=self._annotate)
        copies = _Copies(self._annotate, files)
        with self._progress as progress:
            for problem in problems:
                self._fail(problem)
            task = progress.add_task("reading", total=len(files))
            for path in files:
                yield from self._of_file(path, reader, copies, task)

    def _of_file(
        self, path: str, reader: DigitReader, copies: _Copies, task: TaskID
    ) -> Iterator[Answer]:
        from digitlens.data.documents import open_document

        try:
            with open_document(sys.stdin.buffer if path == STDIN else path) as document:
                _expect(self._progress, task, document.count - 1)
                for number in range(1, document.count + 1):
                    try:
                        yield _read_page(reader, document, number, path, copies)
                    except ImageError as error:
                        self._fail(error)
                    self._progress.advance(task)
        except (ImageError, MissingExtraError) as error:
            self._fail(error)
            self._progress.advance(task)

    def _fail(self, error: DigitlensError) -> None:
        self.failed = True
        self._progress.console.print(f"digitlens: {error}", markup=False, soft_wrap=True)


def _read_page(
    reader: DigitReader, document: Document, number: int, path: str, copies: _Copies
) -> Answer:
    page = document.page(number)
    answer = Answer(path, number, document.count, reader.read(page))
    if target := copies.target(answer):
        from digitlens.visualization.overlay import write_reading

        write_reading(target, page, answer.reading)
    return answer


def _expect(progress: Progress, task: TaskID, more: int) -> None:
    total = next(known.total for known in progress.tasks if known.id == task)
    progress.update(task, total=(total or 0) + more)


class _Copies:
    """Names for annotated copies in a folder: none twice, and none that is a file to be read."""

    def __init__(self, folder: Path | None, files: Sequence[str]) -> None:
        self._folder = folder
        self._taken = {_key(Path(path)) for path in files} if folder else set[str]()

    def target(self, answer: Answer) -> Path | None:
        """Where the copy of a page goes; none without a folder."""
        if self._folder is None:
            return None
        stem = "stdin" if answer.path == STDIN else Path(answer.path).stem
        stem = stem if answer.count == 1 else f"{stem}-page-{answer.page}"
        names = (f"{stem}.png" if n == 1 else f"{stem}-{n}.png" for n in count(1))
        targets = (self._folder / name for name in names)
        target = next(target for target in targets if _key(target) not in self._taken)
        self._taken.add(_key(target))
        return target


def _key(path: Path) -> str:
    return os.path.realpath(path).casefold()  # some file systems hold A.png and a.png for the same
