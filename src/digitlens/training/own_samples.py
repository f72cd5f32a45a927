"""What is learned from a user's pictures: lines, digits, and lines written with these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from digitlens.datasets.labelled import LabelledPicture, LabelledPictures
from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic.canvas import Style, draw_style
from digitlens.datasets.synthetic.drawing import Rng
from digitlens.datasets.synthetic.glyph_sources import MixedGlyphs, PenGlyphs
from digitlens.datasets.synthetic.lines import Line, LineMaker
from digitlens.datasets.synthetic.strokes import draw_pen
from digitlens.datasets.synthetic.styles import Fonts, Styles
from digitlens.evaluation.metrics import aligned, alignment
from digitlens.progress import work_bar
from digitlens.reading.layout import View
from digitlens.reading.reader import DigitReader
from digitlens.training.tasks.batches import LineSource
from digitlens.training.thresholds import digits_of

HELD_OUT = 5  # every so many-th picture is held out
KIND = "hand number"  # of lines, as which the user's count
_OWN, _WRITTEN = 0.35, 0.3  # share of the user's lines, and of lines written with their digits
_KINDS = ("hand number", "amount", "hand digit", "comb")  # of those, in turn
_LIKE = 0.5  # edits for each character up to which a line that was found is the one of a label


class OwnSample(NamedTuple):
    """What can be learned from a labelled picture."""

    picture: LabelledPicture  # the picture
    lines: tuple[Line, ...]  # its lines as they were found, with their texts
    tiles: Split  # its digits
    wrong: int  # mistakes that the reader and its networks make on it


def gather_samples(reader: DigitReader, pictures: LabelledPictures) -> list[OwnSample]:
    """What can be learned from pictures: lines and digits as the reader finds them."""
    with work_bar() as bar:
        shown = bar.track(pictures, len(pictures), description="reading")
        return [_sample(reader, picture) for picture in shown]


def split_samples(
    samples: Sequence[OwnSample],
) -> tuple[list[OwnSample], list[OwnSample]]:
    """Those to learn from and every fifth to measure with, of misread and of other ones."""
    ordered = sorted(samples, key=lambda sample: sample.wrong == 0)
    return (
        [sample for number, sample in enumerate(ordered) if number % HELD_OUT],
        ordered[::HELD_OUT],
    )


def _sample(reader: DigitReader, picture: LabelledPicture) -> OwnSample:
    seen = reader.examine(picture.page)
    texts = [" ".join(text.split()) for text in picture.label.splitlines() if text.strip()]
    pairs = matched(texts, [line.symbols.text for line in seen.view.lines])
    lines = tuple(Line(seen.view.lines[at].crop, text, KIND) for text, at in pairs)
    parts = [_digits_on(seen.view, at, text) for text, at in pairs]
    if picture.is_tile:
        parts = [Split(picture.page[None], np.array([int(picture.label)], np.uint8))]
    tiles = joined(parts)
    named = reader.classifier.outputs(tiles.tiles).probabilities.argmax(axis=1)
    read = digits_of(seen.reading.digits_only)
    wrong = aligned(digits_of(picture.label), read)[0] + int((named != tiles.labels).sum())
    wrong += sum(aligned(text, seen.view.lines[at].symbols.text)[0] for text, at in pairs)
    return OwnSample(picture, lines, tiles, wrong)


def matched(texts: Sequence[str], found: Sequence[str]) -> list[tuple[str, int]]:
    """Texts of a label, each with the number of the line that was found for it, if any.

    The most alike come first; a line that is read as something else is one of the same length.
    """
    costs = sorted(
        (aligned(text, read)[0] / len(text), i, j)
        for i, text in enumerate(texts)
        for j, read in enumerate(found)
    )
    lines: dict[int, int] = {}
    for cost, i, j in costs:
        alike = cost <= _LIKE or len(found[j]) == len(texts[i])
        if alike and i not in lines and j not in lines.values():
            lines[i] = j
    return [(texts[i], lines[i]) for i in sorted(lines)]


def _digits_on(view: View, line: int, text: str) -> Split:
    """The tiles of a line that stand for digits of its text, misread ones among them."""
    here = np.flatnonzero(view.scores.places.line == line)
    boxes = view.scores.boxes[here]
    middles = (boxes[:, :2] + boxes[:, 2:]).astype(np.float32) / np.float32(2)
    columns = view.lines[line].place(middles)[:, 0]
    here = here[np.argsort(columns, kind="stable")]
    read = "".join(map(str, view.probabilities[here].argmax(axis=1)))
    truth = digits_of(text)
    pairs = alignment(truth, read)
    labels = np.array([int(truth[i]) for i, _ in pairs], np.uint8)
    return Split(view.tiles[here[[j for _, j in pairs]]], labels)


def joined(parts: Sequence[Split]) -> Split:
    """The tiles of several splits, one after the other; none of none."""
    tiles = [np.zeros((0, 28, 28), np.uint8), *(part.tiles for part in parts)]
    labels = [np.zeros(0, np.uint8), *(part.labels for part in parts)]
    return Split(np.concatenate(tiles), np.concatenate(labels))


class _OwnHand(Styles):
    """Writes digits as the user does, and marks with a pen."""

    def by_hand(self, rng: Rng, *, letters: bool = False) -> Style:
        """A style with the user's digits."""
        del letters
        pen = replace(draw_pen(rng), width=float(rng.uniform(6, 11)))
        source = MixedGlyphs(self._writer(rng), PenGlyphs(pen, marks=True))
        return draw_style(source, rng, by_hand=True)

    def quick(self, rng: Rng) -> Style:
        """The same."""
        return self.by_hand(rng)


class OwnMaker(LineMaker):
    """Draws lines by hand with the user's digits."""

    def __init__(self, tiles: Split, fonts: Fonts, seed: int) -> None:
        super().__init__(tiles, fonts, seed)
        self._styles = _OwnHand(tiles, fonts)

    def line(self, number: int, *, kind: str | None = None) -> Line:
        """Draws one line."""
        return super().line(number, kind=kind or _KINDS[number % len(_KINDS)])


@dataclass(frozen=True)
class ListedLines:
    """Lines that are there already."""

    lines: tuple[Line, ...]

    def line(self, number: int) -> Line:
        """One of them."""
        return self.lines[number]


@dataclass(frozen=True)
class MixedLines:
    """The user's lines, lines written with their digits, and lines as they were learned from."""

    own: tuple[Line, ...]  # of the user
    written: LineSource  # draws lines with the user's digits
    replay: LineSource  # draws lines as before
    seed: int  # decides which comes when

    def line(self, number: int) -> Line:
        """A line of one of the three sources."""
        rng = np.random.default_rng([self.seed, number, 4])
        chance = rng.random()
        if chance < _OWN:
            return self.own[int(rng.integers(len(self.own)))]
        source = self.written if chance < _OWN + _WRITTEN else self.replay
        return source.line(number)
