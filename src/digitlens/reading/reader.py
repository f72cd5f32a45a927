"""The reader: detects, recognises, fuses and orders digits, and marks those it is unsure of."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Literal, Unpack, overload

from digitlens.errors import DigitlensError, ModelError
from digitlens.imaging.image import Page, Source, load_image
from digitlens.imaging.ink import tiles_of
from digitlens.models.bundle import DEFAULT, PAGES, Model, lines_of, load_line_bundle, open_roles
from digitlens.models.classifier import Classifier
from digitlens.models.networks import DigitDetector, DigitSpotter, LineDetector, LineRecognizer
from digitlens.models.session import cores
from digitlens.reading.batch import Done, ProcessPool, ordered_map
from digitlens.reading.fusion import Fusion, Scores
from digitlens.reading.layout import View, arrange
from digitlens.reading.multiscale import Detections, detect, find_digits
from digitlens.reading.notation import Notation, NotationOptions
from digitlens.reading.orientation import best_turn, turned_back, turned_page
from digitlens.reading.places import gather
from digitlens.reading.recognize import RecognizedLine, line_proposals, recognize
from digitlens.reading.text_lines import TextLine
from digitlens.reading.values import numbers_of
from digitlens.results import Number, Reading

if TYPE_CHECKING:
    from digitlens.reading.constraints import Expect, Expectation
    from digitlens.tabular import Table


@dataclass(frozen=True)
class ReadResult:
    """A reading with its intermediate results.

    Attributes:
        page: uint8[H, W] or uint8[H, W, 3]; upright according to its metadata.
        turn: Quarter turns, counter-clockwise, applied to the page before reading.
        view: Detections, recognised lines and scores of the turned page.
        reading: The result, in coordinates of the page before the turn.
        places: For each digit of the reading's lines, the index of its place in ``view``; a digit
            that a constraint added from a line's posteriors has an index past the last place.
    """

    page: Page
    turn: int
    view: View
    reading: Reading
    places: tuple[tuple[int, ...], ...]

    @property
    def turned(self) -> Page:
        """The page after the turn, as it was read."""
        return turned_page(self.page, self.turn)


class DigitReader:
    """Reads pictures; loads its models once and is safe to use from several threads."""

    def __init__(
        self,
        model: Model = DEFAULT,
        *,
        pages: Model = PAGES,
        lines: str | Path | None = None,
        target_error: float | None = None,
        threads: int = 0,
    ) -> None:
        """Loads the models.

        Args:
            model: The tile classifier: the name of a shipped model, a model folder, a run folder
                or its bundle.
            pages: The digit detector, given in the same ways.
            lines: Folder of the line reader: line detector, recogniser and fusion weights. None
                uses the model's own line reader if it has one, else the shipped one.
            target_error: Highest acceptable error rate among digits with status ``digit``, between
                0 and 1 exclusive; sets the confidence threshold of that status. None keeps the
                shipped threshold.
            threads: Threads per picture; 0 uses one per core.

        Raises:
            ModelError: A model is missing, damaged or of a newer format.
            ValueError: ``target_error`` is out of range or lower than the models can guarantee.
        """
        tiles, finder = open_roles(model, pages)
        self._models = (tiles.folder, finder.folder)
        self._folder = Path(lines) if lines else lines_of(tiles.folder)
        self.classifier = Classifier(tiles, threads=threads)
        self.finder = DigitDetector(finder, threads=threads, lazy=True)
        bundle = load_line_bundle(self._folder)
        self.card = bundle.card
        self.detector = LineDetector(bundle.detector, threads)
        self.recognizer = LineRecognizer(bundle.recognizer, threads=threads)
        spotter = bundle.spotter
        self.spotter = DigitSpotter(spotter, threads=threads) if spotter else None
        self.fusion = Fusion.from_dict(self.card.fusion)
        self.thresholds = dict(self.card.thresholds)
        if target_error is not None:
            self.thresholds = self.at(target_error).thresholds

    def at(self, target_error: float) -> DigitReader:
        """Returns a reader with the same models and the threshold for another target error.

        Args:
            target_error: See the constructor.

        Raises:
            ModelError: The reader was never calibrated.
            ValueError: ``target_error`` is out of range or lower than the models can guarantee.
        """
        if self.fusion.risk is None:
            raise ModelError(
                "this line reader was never calibrated: fit it with  digitlens calibrate  on "
                "pictures whose text is known, or use the shipped one"
            )
        other = copy.copy(self)
        threshold = self.fusion.risk.threshold_for(target_error)
        other.thresholds = {**self.thresholds, "digit": threshold}
        return other

    def read(
        self,
        image: Source,
        *,
        expect: Expect = None,
        **notation: Unpack[NotationOptions],
    ) -> Reading:
        """Reads one picture.

        Args:
            image: A path, bytes, a binary file object, a Pillow image or an array, see
                ``load_image``.
            expect: One or several constraints on the number: its digit count, as in ``"4"``, a
                pattern such as ``"####-##"``, ``"range 0..500"``, ``"one of 12, 15, 18"``,
                ``"luhn"`` and others, see ``constraints.parse``. The result is the most probable
                number that satisfies all of them; ``Reading.constrained`` reports what changed.
            notation: How numbers are written, if known: ``decimal=","``, ``grouping="."`` or
                ``locale="de_DE"``, see ``Notation.of``. Otherwise it is inferred from the page,
                and ambiguous numbers are unsure.

        Raises:
            ImageError: The picture cannot be decoded.
            ValueError: ``expect`` is not a constraint, or it or ``notation`` contradicts itself.
        """
        return self.examine(image, expect=expect, **notation).reading

    @overload
    def read_many(
        self,
        images: Iterable[Source],
        *,
        expect: Expect = None,
        workers: int | None = None,
        processes: bool = False,
        on_error: None = None,
        **notation: Unpack[NotationOptions],
    ) -> Iterator[Reading]: ...
    @overload
    def read_many(
        self,
        images: Iterable[Source],
        *,
        expect: Expect = None,
        workers: int | None = None,
        processes: bool = False,
        on_error: Callable[[Source, DigitlensError], object],
        **notation: Unpack[NotationOptions],
    ) -> Iterator[Reading | None]: ...
    def read_many(
        self,
        images: Iterable[Source],
        *,
        expect: Expect = None,
        workers: int | None = None,
        processes: bool = False,
        on_error: Callable[[Source, DigitlensError], object] | None = None,
        **notation: Unpack[NotationOptions],
    ) -> Iterator[Reading | None]:
        """Reads a stream of pictures of any length in order, several at once and a few ahead.

        Memory does not grow with the stream. To stop early, close the iterator or leave the loop.

        Args:
            images: Pictures, see ``load_image``. Paths and bytes are decoded when they are read.
            expect: As in ``read``.
            workers: Number of threads, each reading one picture at a time; None uses one per core.
                With one worker nothing is read ahead.
            processes: Use worker processes instead of threads. Each loads its own models, which
                pays off from a few hundred pictures; threads read until they are ready. A script
                must keep its code under ``if __name__ == "__main__":``, see ``multiprocessing``.
            on_error: Called in stream order with each unreadable picture and its error; the
                picture's reading is None and the stream continues. Without it the error is raised.
            notation: As in ``read``.

        Yields:
            A reading for each picture.

        Raises:
            ImageError: A picture cannot be decoded; those before it have been read.
            DigitlensError: A worker process died, for example for lack of memory.
            ValueError: ``expect`` is not a constraint, ``expect`` or ``notation`` contradicts
                itself, or ``workers`` is less than one.
        """
        expected, known = _expectation(expect), Notation.of(**notation)
        if expected:
            expected = expected.written_with(known.decimal)
        load = partial(_load_read, self._models, self._folder, self.thresholds, expected, notation)
        work = partial(self.read, expect=expected, **notation)
        pool = ProcessPool(work, load, workers or cores())
        done = ordered_map(pool, images, workers)
        return _drain(pool, done, processes and pool.size > 1, on_error)

    def examine(
        self,
        image: Source,
        *,
        expect: Expect = None,
        **notation: Unpack[NotationOptions],
    ) -> ReadResult:
        """Reads one picture, keeping intermediate results and not copying arrays; see ``read``."""
        expected, known = _expectation(expect), Notation.of(**notation)
        page = load_image(image, copy=False)
        view, turn = self.upright(page)
        height, width = page.shape[:2]
        size = (height, width) if turn % 2 else (width, height)
        layout = arrange(view, size, self.thresholds)
        constrained = None
        if expected:
            from digitlens.reading.constrained import constrain  # noqa: PLC0415  (slow to load)

            expected = expected.written_with(known.decimal)
            layout, constrained = constrain(view, layout, size, self.thresholds, expected)
        decided = constrained is not None and constrained.fulfilled
        numbers = numbers_of(layout.numbers, layout.digits, known, as_read=decided)
        if expected and decided:
            numbers = tuple(_satisfying(number, expected) for number in numbers)
        turn_back = turn, width, height
        digits = turned_back(tuple(each.digits for each in numbers), *turn_back)
        pairs = zip(*turned_back((numbers,), *turn_back), digits, strict=True)
        reading = Reading(
            turned_back(layout.lines, *turn_back),
            width,
            height,
            self.classifier.name,
            self.classifier.sha256,
            turned_back(layout.characters, *turn_back),
            tuple(replace(each, digits=moved) for each, moved in pairs),
            constrained,
        )
        return ReadResult(page, turn, view, reading, layout.places)

    def read_table(
        self,
        image: Source,
        *,
        grid: tuple[int, int] | None = None,
        columns: int | None = None,
        expect: Literal["sudoku", "total"] | None = None,
        **notation: Unpack[NotationOptions],
    ) -> Table:
        """Reads the largest table on a picture, cell by cell.

        Args:
            image: As for ``read``.
            grid: Numbers of rows and columns, if known.
            columns: Number of columns, if only that is known.
            expect: ``sudoku``: the table is a 9 x 9 Sudoku and obeys its rules. ``total``: in each
                column of numbers the last row is the sum of the rows above.
            notation: As for ``read``.

        Raises:
            ImageError: The picture cannot be decoded, or has no such table.
            ValueError: An argument is out of range, or arguments contradict each other.
        """
        from digitlens.reading.table import TableOptions, read_table  # noqa: PLC0415

        options = TableOptions(grid, columns, expect, Notation.of(**notation))
        return read_table(self, image, options)

    def upright(self, page: Page) -> tuple[View, int]:
        """Turns a page to the orientation in which it reads best; returns its view and the turn."""
        view = self.analyze(page)
        turn = best_turn(view.lines, view.confidence, page, self.recognizer)
        return (self.analyze(turned_page(page, turn)), turn) if turn else (view, 0)

    def _detect(self, page: Page) -> Detections:
        """Finds digits and lines; on first use, opens the recogniser in a thread meanwhile."""
        if self.recognizer.is_open:
            return detect(page, self.finder, self.detector)
        opening = Thread(target=_ignore_model_error, args=(self.recognizer.open,))
        opening.start()
        try:
            return detect(page, self.finder, self.detector)
        finally:
            opening.join()

    def analyze(self, page: Page, where: Sequence[TextLine] | None = None) -> View:
        """Detects and reads a page without turning it; ``where``: all its lines, if known."""
        if where is None:
            detections = self._detect(page)
            lines = recognize(page, line_proposals(detections), self.recognizer, self.spotter)
        else:
            detections = Detections(list(where), find_digits(page, self.finder)[0], [])
            lines = recognize(page, where, self.recognizer)
        return self.judge(page, detections, lines)

    def judge(self, page: Page, found: Detections, lines: list[RecognizedLine]) -> View:
        """Matches detections with recognised lines, classifies and fuses; see ``analyze``."""
        places = gather(found.digits, lines)
        tiles = tiles_of(page, places.boxes)
        scores = Scores.of(places, self.classifier.outputs(tiles))
        return View(found, lines, scores, tiles, *self.fusion.fuse(scores))


def _expectation(expect: Expect) -> Expectation | None:
    if expect is None:
        return None
    from digitlens.reading.constraints import Expectation  # noqa: PLC0415  (slow to load)

    return Expectation.of(expect)


def _satisfying(number: Number, expected: Expectation) -> Number:
    """A number with only those alternatives that satisfy the constraints."""
    kept = (each for each in number.alternatives if not expected.broken(each.text))
    return replace(number, alternatives=tuple(kept))


def _ignore_model_error(work: Callable[[], None]) -> None:
    with suppress(ModelError):  # raised again at the next use of the graph
        work()


def _load_read(
    models: tuple[Path, Path],
    lines: Path,
    thresholds: dict[str, float],
    expected: Expectation | None,
    notation: NotationOptions,
) -> Callable[[Source], Reading]:
    """Loads a reader in a worker process and returns its read function."""
    reader = DigitReader(models[0], pages=models[1], lines=lines, threads=1)
    reader.thresholds = thresholds
    return partial(reader.read, expect=expected, **notation)


def _drain(
    pool: ProcessPool[Source, Reading],
    readings: Generator[tuple[Source, Done[Reading]]],
    processes: bool,
    on_error: Callable[[Source, DigitlensError], object] | None,
) -> Iterator[Reading | None]:
    with closing(pool), closing(readings):
        if processes:
            pool.start()
        for image, done in readings:
            if on_error and isinstance(done.error, DigitlensError):
                on_error(image, done.error)
                yield None
            else:
                yield done.result()


def read(
    image: Source,
    *,
    model: str | Path = DEFAULT,
    expect: Expect = None,
    **notation: Unpack[NotationOptions],
) -> Reading:
    """Reads the numbers on one picture; loads the models on the first call and keeps them.

    Args:
        image: A path, bytes, a binary file object, a Pillow image or an array, see ``load_image``.
        model: Name of a shipped model, a model folder, or a run folder.
        expect: Constraints on the number, such as ``"4"``, ``"####-##"`` or ``"range 0..500"``.
        notation: How numbers are written, such as ``decimal=","`` or ``locale="de_DE"``.

    Raises:
        ImageError: The picture cannot be decoded.
        ModelError: The model is missing, damaged or of a newer format.
        ValueError: ``expect`` is not a constraint, or it or ``notation`` contradicts itself.
    """
    return _reader(str(model)).read(image, expect=expect, **notation)


@lru_cache(maxsize=2)
def _reader(model: str) -> DigitReader:
    return DigitReader(model)
