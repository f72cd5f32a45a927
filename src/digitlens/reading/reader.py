"""The reader: detects lines and digits, recognises, fuses, puts in order; says what is unsure."""

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
    """A reading and all that led to it.

    Attributes:
        page: uint8[H, W] or uint8[H, W, 3]; upright by its metadata.
        turn: Quarter turns, counter-clockwise, after which the page was read.
        view: What was seen on the turned page.
        reading: The answer, in coordinates of the page.
        places: For each digit of the reading's lines the number of its place in ``view``; one that
            was expected and is but in the posteriors of a line has none, but a number beyond.
    """

    page: Page
    turn: int
    view: View
    reading: Reading
    places: tuple[tuple[int, ...], ...]

    @property
    def turned(self) -> Page:
        """The page as it was read: after the turn."""
        return turned_page(self.page, self.turn)


class DigitReader:
    """Pictures in, readings out; loads its models once, safe to use from several threads."""

    def __init__(
        self,
        model: Model = DEFAULT,
        *,
        pages: Model = PAGES,
        lines: Path | None = None,
        target_error: float | None = None,
        threads: int = 0,
    ) -> None:
        """Loads the models.

        Args:
            model: The classifier of tiles: name of a shipped model, a model folder, a run folder,
                or its bundle.
            pages: The digit detector, in the same ways.
            lines: Folder of the line reader: line detector, recogniser, fusion weights. None takes
                that of the model if it has one, else the shipped one.
            target_error: Share of the digits with status ``digit`` that may be wrong, above 0 and
                below 1; decides from which confidence on they have it. None takes the shipped
                threshold.
            threads: Threads for one picture; 0 takes one per core.

        Raises:
            ModelError: A model is missing, damaged or of a newer format.
            ValueError: The models cannot promise so few errors.
        """
        tiles, finder = open_roles(model, pages)
        self._models = (tiles.folder, finder.folder)
        self._folder = lines or lines_of(tiles.folder)
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
        """The same reader and models, sure where at most such a share of that is wrong.

        Args:
            target_error: As for a new reader.

        Raises:
            ModelError: The reader was never calibrated.
            ValueError: It cannot promise so few errors.
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
            expect: What is known of the number, one thing or several: how many digits, as in
                ``"4"``, a pattern such as ``"####-##"``, ``"range 0..500"``,
                ``"one of 12, 15, 18"``, ``"luhn"`` and others, see ``constraints.parse``. The most
                probable number that keeps all of it is the answer, and ``Reading.constrained``
                says what it changed.
            notation: How numbers are written, where that is known: ``decimal=","``,
                ``grouping="."`` or ``locale="de_DE"``, see ``Notation.of``. Otherwise it is taken
                from the page, and what can be read in two ways is unsure.

        Raises:
            ImageError: The picture cannot be decoded.
            ValueError: ``expect`` is no constraint, or it or ``notation`` contradicts itself.
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
        """Reads a stream of pictures of any length, several at once and a few ahead, in its order.

        Memory does not grow with the stream. To stop early, close the iterator or leave the loop.

        Args:
            images: Pictures, see ``load_image``. Paths or bytes are decoded when their turn comes.
            expect: As in ``read``.
            workers: Threads, each with a picture; None takes one a core. With one, nothing is read
                ahead.
            processes: Each worker is a process that loads the models for itself, which pays from
                some hundred pictures on; threads read until they have. What a script does has to
                stand below ``if __name__ == "__main__":``, see ``multiprocessing``.
            on_error: Called with a picture that cannot be read, and why, when its turn comes; its
                reading is None, and the others follow. Without it the error is raised there.
            notation: As in ``read``.

        Yields:
            A reading for each picture.

        Raises:
            ImageError: A picture cannot be decoded; those before it have been read.
            DigitlensError: A process came to an end, for lack of memory say.
            ValueError: ``expect`` is no constraint, ``expect`` or ``notation`` contradict
                themselves, or ``workers`` is less than one.
        """
        expected, known = _expectation(expect), Notation.of(**notation)
        if expected:
            expected = expected.written_with(known.decimal)
        there = partial(_another, self._models, self._folder, self.thresholds, expected, notation)
        here = partial(self.read, expect=expected, **notation)
        pool = ProcessPool(here, there, workers or cores())
        done = ordered_map(pool, images, workers)
        return _readings(pool, done, processes and pool.size > 1, on_error)

    def examine(
        self,
        image: Source,
        *,
        expect: Expect = None,
        **notation: Unpack[NotationOptions],
    ) -> ReadResult:
        """Reads one picture and keeps what led to it, an array uncopied; see ``read``."""
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
            numbers = tuple(_within(number, expected) for number in numbers)
        back = turn, width, height
        digits = turned_back(tuple(each.digits for each in numbers), *back)
        pairs = zip(*turned_back((numbers,), *back), digits, strict=True)
        reading = Reading(
            turned_back(layout.lines, *back),
            width,
            height,
            self.classifier.name,
            self.classifier.sha256,
            turned_back(layout.characters, *back),
            tuple(replace(each, digits=own) for each, own in pairs),
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
        """Reads the table of a picture cell by cell; of several, the largest.

        Args:
            image: As for ``read``.
            grid: Rows and columns, if they are known.
            columns: How many columns there are, if only that is known.
            expect: ``sudoku``: the cells are one, 9 by 9, and keep its rules. ``total``: in each
                column of numbers the last row is the sum of those above.
            notation: As for ``read``.

        Raises:
            ImageError: The picture cannot be decoded, or has no such table.
            ValueError: An argument is out of range, or they contradict each other.
        """
        from digitlens.reading.table import TableOptions, read_table  # noqa: PLC0415

        options = TableOptions(grid, columns, expect, Notation.of(**notation))
        return read_table(self, image, options)

    def upright(self, page: Page) -> tuple[View, int]:
        """What is seen on a page after the quarter turns after which it reads best."""
        view = self.analyze(page)
        turn = best_turn(view.lines, page, self.recognizer)
        return (self.analyze(turned_page(page, turn)), turn) if turn else (view, 0)

    def _detect(self, page: Page) -> Detections:
        """Finds digits and lines; the first time, another thread opens the recogniser meanwhile."""
        if self.recognizer.is_open:
            return detect(page, self.finder, self.detector)
        opening = Thread(target=_quietly, args=(self.recognizer.open,))
        opening.start()
        try:
            return detect(page, self.finder, self.detector)
        finally:
            opening.join()

    def analyze(self, page: Page, where: Sequence[TextLine] | None = None) -> View:
        """Finds and reads what is on a page as it lies; all of its lines if they are known."""
        if where is None:
            found = self._detect(page)
            lines = recognize(page, line_proposals(found), self.recognizer, self.spotter)
        else:
            found = Detections(list(where), find_digits(page, self.finder)[0], [])
            lines = recognize(page, where, self.recognizer)
        return self.judge(page, found, lines)

    def judge(self, page: Page, found: Detections, lines: list[RecognizedLine]) -> View:
        """What is found and read on a page, brought together; see ``analyze``."""
        places = gather(found.digits, lines)
        tiles = tiles_of(page, places.boxes)
        scores = Scores.of(places, self.classifier.outputs(tiles))
        return View(found, lines, scores, tiles, *self.fusion.fuse(scores))


def _expectation(expect: Expect) -> Expectation | None:
    if expect is None:
        return None
    from digitlens.reading.constraints import Expectation  # noqa: PLC0415  (slow to load)

    return Expectation.of(expect)


def _within(number: Number, expected: Expectation) -> Number:
    """A number of which the alternatives keep what is known, too."""
    kept = (each for each in number.alternatives if not expected.broken(each.text))
    return replace(number, alternatives=tuple(kept))


def _quietly(work: Callable[[], None]) -> None:
    with suppress(ModelError):  # the next use of the graph raises it again
        work()


def _another(
    models: tuple[Path, Path],
    lines: Path,
    thresholds: dict[str, float],
    expected: Expectation | None,
    notation: NotationOptions,
) -> Callable[[Source], Reading]:
    """What a reader like this one does in another process."""
    reader = DigitReader(models[0], pages=models[1], lines=lines, threads=1)
    reader.thresholds = thresholds
    return partial(reader.read, expect=expected, **notation)


def _readings(
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
    """Reads the numbers on one picture; loads the models at the first call and keeps them.

    Args:
        image: A path, bytes, a binary file object, a Pillow image or an array, see ``load_image``.
        model: Name of a shipped model, a model folder, or a run folder.
        expect: What is known of the number, as in ``"4"``, ``"####-##"`` or ``"range 0..500"``.
        notation: How numbers are written, as in ``decimal=","`` or ``locale="de_DE"``.

    Raises:
        ImageError: The picture cannot be decoded.
        ModelError: The model is missing, damaged or of a newer format.
        ValueError: ``expect`` is no constraint, or it or ``notation`` contradicts itself.
    """
    return _reader(str(model)).read(image, expect=expect, **notation)


@lru_cache(maxsize=2)
def _reader(model: str) -> DigitReader:
    return DigitReader(model)
