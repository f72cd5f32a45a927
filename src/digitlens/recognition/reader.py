"""Reads digits from pictures: finds and classifies them, and says what it is not sure of."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import overload

from digitlens.data.images import Page, Source, load_image
from digitlens.errors import DigitlensError
from digitlens.model.bundle import DEFAULT
from digitlens.model.classifier import Classifier
from digitlens.model.crop_model import CropModel
from digitlens.model.page_model import PAGES, PageModel
from digitlens.model.roles import open_roles
from digitlens.model.session import cores
from digitlens.recognition.candidates import Candidates, without_doubles
from digitlens.recognition.compose import compose, fitted
from digitlens.recognition.confidence import Confidence
from digitlens.recognition.crew import Crew
from digitlens.recognition.expect import Pattern
from digitlens.recognition.looks import look_around
from digitlens.recognition.plain import isolated_strokes
from digitlens.recognition.sight import Examination, Sight
from digitlens.recognition.stream import in_order
from digitlens.recognition.turns import best_turn, turned_back, turned_page
from digitlens.recognition.voters import cast_two_votes, cast_votes
from digitlens.results import Reading

LEAST = 0.15  # score of a candidate that is looked at closer, and kept as rejected at least
# Confidence in every stroke of a plain drawing from which the page network is not asked: at 0.8,
# digits that touch are taken for one.
ENOUGH = 0.9
# Likewise, below which it is taken for no digit: of 219 plain drawings of letters and scribbles the
# page network would read digits into 13. What is wider than high may be digits that touch.
HOPELESS = 0.1
_WIDE = 1.2  # times the height


class DigitReader:
    """Pictures in, readings out; loads its models once, safe to use from several threads.

    The page network is checked at once and loaded by the first picture that is no plain drawing.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT,
        *,
        pages: str | Path = PAGES,
        target_error: float | None = None,
        threads: int = 0,
    ) -> None:
        """Loads the models.

        Args:
            model: The classifier of tiles: name of a shipped model, a model folder, or a run
                folder.
            pages: The page reader that finds digits, likewise.
            target_error: Share of the digits with status ``digit`` that may be wrong, above 0 and
                below 1; decides from which confidence on they have it. None takes the page
                reader's own threshold.
            threads: Threads for one look or batch; 0 takes one per core.

        Raises:
            ModelError: A model is missing, damaged or of a newer format.
            ValueError: The page reader cannot promise so few errors.
        """
        tiles, finder = open_roles(model, pages)
        self._models = (tiles.folder, finder.folder)
        self.classifier = Classifier(tiles, threads=threads)
        self.finder = PageModel(finder, threads=threads, lazily=True)
        self.crops = CropModel(finder, threads=threads)
        self.confidence = Confidence.of(self.finder.card)
        self.plainly = Confidence.of(self.finder.card, "plain")
        self.thresholds = dict(self.finder.card.thresholds)
        if target_error is not None:
            self.thresholds = self.at(target_error).thresholds

    def at(self, target_error: float) -> DigitReader:
        """The same reader and models, sure where at most such a share of that is wrong.

        Args:
            target_error: As for a new reader.

        Raises:
            ModelError: The page reader has no curve.
            ValueError: It cannot promise so few errors.
        """
        other = copy.copy(self)
        threshold = self.confidence.threshold_for(target_error)
        other.thresholds = {**self.thresholds, "digit": threshold}
        return other

    def read(self, image: Source, *, expect: str | Pattern | None = None) -> Reading:
        """Reads one picture.

        Args:
            image: A path, bytes, a binary file object, a Pillow image or an array, see
                ``load_image``.
            expect: What is known of the number: how many digits, as in ``"4"``, or a pattern such
                as ``"####-##"``, see ``Pattern.parse``.

        Raises:
            ImageError: The picture cannot be decoded.
            ValueError: ``expect`` is no such pattern.
        """
        return self.examine(image, expect=expect).reading

    @overload
    def read_many(
        self,
        images: Iterable[Source],
        *,
        expect: str | Pattern | None = None,
        workers: int | None = None,
        processes: bool = False,
        on_error: None = None,
    ) -> Iterator[Reading]: ...
    @overload
    def read_many(
        self,
        images: Iterable[Source],
        *,
        expect: str | Pattern | None = None,
        workers: int | None = None,
        processes: bool = False,
        on_error: Callable[[Source, DigitlensError], object],
    ) -> Iterator[Reading | None]: ...
    def read_many(
        self,
        images: Iterable[Source],
        *,
        expect: str | Pattern | None = None,
        workers: int | None = None,
        processes: bool = False,
        on_error: Callable[[Source, DigitlensError], object] | None = None,
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

        Yields:
            A reading for each picture.

        Raises:
            ImageError: A picture cannot be decoded; those before it have been read.
            DigitlensError: A process came to an end, for lack of memory say.
            ValueError: ``expect`` is no such pattern, or ``workers`` is less than one.
        """
        pattern = Pattern.parse(expect) if isinstance(expect, str) else expect
        there = partial(_another, self._models, self.thresholds, pattern)
        crew = Crew(partial(self.read, expect=pattern), there, workers or cores())
        done = in_order(crew, images, workers)
        return _readings(crew, done, processes and crew.size > 1, on_error)

    def examine(self, image: Source, *, expect: str | Pattern | None = None) -> Examination:
        """Reads one picture and keeps what led to it, an array uncopied; see ``read``."""
        pattern = Pattern.parse(expect) if isinstance(expect, str) else expect
        page = load_image(image, copy=False)
        seen, turn = self._upright(page)
        height, width = page.shape[:2]
        size = (height, width) if turn % 2 else (width, height)
        answers = (seen.candidates, seen.probabilities, seen.confidence)
        lines = compose(*answers, size, self.thresholds, seen.tiles)
        if pattern:
            lines = fitted(lines, pattern, self.thresholds)
        reading = Reading(
            turned_back(lines, turn, width, height),
            width,
            height,
            self.classifier.name,
            self.classifier.sha256,
        )
        return Examination(page, turn, seen, reading)

    def _upright(self, page: Page) -> tuple[Sight, int]:
        drawn = self.glimpse(page) if self.plainly.weights else None
        if drawn and _is_settled(drawn):
            return drawn, 0
        seen = self.look(page, lowest=drawn.lowest if drawn else 0.0)
        if drawn and drawn.evidence > seen.evidence:
            return drawn, 0
        if drawn and len(drawn.candidates) == 1:  # one digit turns no page
            return seen, 0
        turn = best_turn(page, self.finder, seen.confidence)
        if turn:
            turned = self.look(turned_page(page, turn))
            if turned.evidence > seen.evidence:
                return turned, turn
        return seen, 0

    def look(self, page: Page, *, lowest: float = 0.0) -> Sight:
        """Finds and classifies on a page as it lies, without judging.

        Args:
            page: uint8[H, W] or uint8[H, W, 3].
            lowest: Page pixels; nothing lower is a digit.
        """
        found, glances = look_around(page, self.finder, lowest=lowest)
        found = found[found.score >= LEAST]
        cut, tiles, votes = cast_votes(page, found, self.crops, self.classifier)
        probabilities = self.confidence.probabilities(votes)
        confidence = self.confidence.values(votes, probabilities)
        kept = without_doubles(found.boxes, probabilities.argmax(axis=1), confidence)
        return Sight(glances, found, cut, votes, probabilities, confidence, tiles)[kept]

    def glimpse(self, page: Page) -> Sight | None:
        """What two networks say of the strokes of a plain drawing; None on any other page.

        Args:
            page: uint8[H, W] or uint8[H, W, 3].
        """
        strokes = isolated_strokes(page)
        if strokes is None:
            return None
        boxes = strokes.boxes
        cut, tiles, votes = cast_two_votes(
            strokes.page, boxes / strokes.scale, self.crops, self.classifier
        )
        votes = replace(votes, boxes=boxes)
        probabilities = self.plainly.probabilities(votes)
        found = Candidates(votes.existence, votes.names[:, 0], boxes, boxes[:, 3] - boxes[:, 1])
        confidence = self.plainly.values(votes, probabilities)
        return Sight([], found, cut, votes, probabilities, confidence, tiles)


def _another(
    models: tuple[Path, Path], thresholds: dict[str, float], pattern: Pattern | None
) -> Callable[[Source], Reading]:
    """What a reader like this one does in another process."""
    reader = DigitReader(models[0], pages=models[1], threads=1)
    reader.thresholds = thresholds
    return partial(reader.read, expect=pattern)


def _readings(
    crew: Crew[Source, Reading],
    done: Generator[tuple[Source, Future[Reading]]],
    processes: bool,
    on_error: Callable[[Source, DigitlensError], object] | None,
) -> Iterator[Reading | None]:
    with closing(crew), closing(done):
        if processes:
            crew.start()
        for image, future in done:
            error = future.exception()
            if on_error and isinstance(error, DigitlensError):
                on_error(image, error)
                yield None
            else:
                yield future.result()


def _is_settled(drawn: Sight) -> bool:
    """Whether the page network is not needed: each stroke surely is a digit, or none is one."""
    if (drawn.confidence >= ENOUGH).all():
        return True
    width, height = (drawn.candidates.boxes[:, 2:] - drawn.candidates.boxes[:, :2]).T
    return bool(((drawn.confidence < HOPELESS) & (width <= _WIDE * height)).all())


def read(
    image: Source, *, model: str | Path = DEFAULT, expect: str | Pattern | None = None
) -> Reading:
    """Reads the digits of one picture; loads the model at the first call and keeps it.

    Args:
        image: A path, bytes, a binary file object, a Pillow image or an array, see ``load_image``.
        model: Name of a shipped model, a model folder, or a run folder.
        expect: What is known of the number, as in ``"4"`` or ``"####-##"``.

    Raises:
        ImageError: The picture cannot be decoded.
        ModelError: The model is missing, damaged or of a newer format.
        ValueError: ``expect`` is no such pattern.
    """
    return _reader(str(model)).read(image, expect=expect)


@lru_cache(maxsize=2)
def _reader(model: str) -> DigitReader:
    return DigitReader(model)
