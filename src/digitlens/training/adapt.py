"""Fine-tunes the recogniser and the classifier of a reader on a few dozen pictures of a user's own.

What was known is kept by lines and tiles as they were learned from before (replay), by what the
networks said of them (distillation) and by weights that are drawn back (L2-SP). A part of the
pictures is held out: it says when the classifier stops and whether anything was gained; a guard set
of generated lines and MNIST's validation tiles says whether anything was lost. A network that gains
nothing or loses more than ``MOST_LOST`` stays as it was.

The recogniser learns to the end of its schedule: weights of an earlier, better moment on the
held-out lines, at a high learning rate, lost half a point of the guard set; the last ones did not.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import nn

from digitlens import __version__, files
from digitlens.alphabet import digits_of
from digitlens.datasets.labelled import LabelledPicture, LabelledPictures
from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic.canvas import Style, draw_style
from digitlens.datasets.synthetic.drawing import Rng
from digitlens.datasets.synthetic.glyph_sources import MixedGlyphs, PenGlyphs, draw_pen
from digitlens.datasets.synthetic.lines import Line, LineMaker
from digitlens.datasets.synthetic.styles import Fonts, Styles, load_fonts
from digitlens.errors import DataError, ModelError
from digitlens.evaluation.metrics import aligned, alignment
from digitlens.models.bundle import (
    Bundle,
    LineBundle,
    check_free,
    lines_of,
    load_bundle,
    load_line_bundle,
    open_roles,
    write_reader,
)
from digitlens.progress import note, work_bar
from digitlens.reading.layout import View
from digitlens.reading.reader import DigitReader
from digitlens.training.export import (
    LineGraph,
    check_lines,
    export_classifier,
    export_lines,
    load_network,
)
from digitlens.training.loop import STATE, Device, Task, Trained, choose_device, fit
from digitlens.training.page_networks import LineNetwork
from digitlens.training.pretrained import network_of
from digitlens.training.recipe import LineRecipe, Recipe, recipe_from
from digitlens.training.run import at_work
from digitlens.training.tasks.batches import LineSource, batches_by_width, worker_count
from digitlens.training.tasks.line import VALIDATION_SEED, LineTask, blend_weights, line_score
from digitlens.training.tasks.tile import TileTask
from digitlens.training.tile_networks import CLASSES, DigitNetwork, predict_logits

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


def split_samples(samples: Sequence[OwnSample]) -> tuple[list[OwnSample], list[OwnSample]]:
    """Those to learn from and every fifth to measure with, of misread and of other ones."""
    ordered = sorted(samples, key=lambda sample: sample.wrong == 0)
    learned = [sample for number, sample in enumerate(ordered) if number % HELD_OUT]
    return learned, ordered[::HELD_OUT]


def _sample(reader: DigitReader, picture: LabelledPicture) -> OwnSample:
    seen = reader.examine(picture.page)
    texts = [" ".join(text.split()) for text in picture.label.splitlines() if text.strip()]
    pairs = match_lines(texts, [line.symbols.text for line in seen.view.lines])
    lines = tuple(Line(seen.view.lines[at].crop, text, KIND) for text, at in pairs)
    parts = [_digits_on(seen.view, at, text) for text, at in pairs]
    if picture.is_tile:
        parts = [Split(picture.page[None], np.array([int(picture.label)], np.uint8))]
    tiles = join_splits(parts)
    named = reader.classifier.outputs(tiles.tiles).probabilities.argmax(axis=1)
    read = digits_of(seen.reading.digits_only)
    wrong = aligned(digits_of(picture.label), read)[0] + int((named != tiles.labels).sum())
    wrong += sum(aligned(text, seen.view.lines[at].symbols.text)[0] for text, at in pairs)
    return OwnSample(picture, lines, tiles, wrong)


def match_lines(texts: Sequence[str], found: Sequence[str]) -> list[tuple[str, int]]:
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
    truth = digits_of(text)
    pairs = alignment(truth, "".join(map(str, view.probabilities[here].argmax(axis=1))))
    labels = np.array([int(truth[i]) for i, _ in pairs], np.uint8)
    return Split(view.tiles[here[[j for _, j in pairs]]], labels)


def join_splits(parts: Sequence[Split]) -> Split:
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


def mixed_line(
    own: Sequence[Line], written: LineSource, replay: LineSource, seed: int, number: int
) -> Line:
    """The user's line, one written with their digits, or one as before: by seed and number."""
    rng = np.random.default_rng([seed, number, 4])
    chance = rng.random()
    if chance < _OWN:
        return own[int(rng.integers(len(own)))]
    return (written if chance < _OWN + _WRITTEN else replay)(number)


RUN = "run"  # folder for what is in the making, inside that of the model
FACTS = "adapt.json"
FEWEST = 8  # pictures
MOST_LOST = 0.001  # of the guard set, as a share of what is right
SHARES = (1.0, 0.7, 0.4)  # of the new weights, the first that keeps the guard set
GUARD_LINES = 400
LINES = LineRecipe(
    batch_size=16,
    pool=8,
    steps=120,
    warmup_steps=10,
    learning_rate=1e-4,
    head_factor=2.0,
    ema_decay=0.97,
    check_every=40,
)
TILES: dict[str, Any] = {
    "optimizer": "adam",
    "learning_rate": 5e-4,
    "epochs": 4,
    "repeat": 1,
    "patience": 2,
    "ema_decay": 0.95,
}
CANDIDATE = "candidate"
CHECKED = 20  # lines of the guard set on which graph and network are compared
_REPLAYED = 4000  # tiles of MNIST in an epoch
_OWN_TILES = 0.3  # share of the user's tiles in an epoch, repeated
_ANCHOR = 3.0  # of the classifier
_SUBSTITUTES = 30  # tiles of MNIST for a digit that the user's pictures do not have

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class NetworkResult:
    """What became of one of the two networks."""

    name: str  # ``recognizer`` or ``classifier``
    kept: bool = False  # whether the new weights are used
    reason: str = ""  # why not; empty otherwise
    share: float = 0.0  # of the new weights; the others are the old ones
    wrong_before: int = 0  # of the held-out characters or tiles
    wrong_after: int = 0  # the same with the new weights
    held_out: int = 0  # how many there are
    guard_before: float = 0.0  # share of the guard set that is right
    guard_after: float = 0.0  # the same with the new weights


@dataclass(frozen=True)
class Adapted:
    """What came of an adaptation."""

    folder: Path | None  # of the new model; None where the old one is kept
    pictures: int  # that were learned from
    held_out: int  # pictures that were not
    parts: tuple[NetworkResult, ...]  # both networks
    digits: int  # digits on the held-out pictures
    wrong_before: int  # of those, wrong or missing as the whole reader reads them
    wrong_after: int = 0  # the same with the new networks

    def as_dict(self) -> dict[str, Any]:
        """What came of it, as JSON-ready values."""
        return {**asdict(self), "folder": self.folder and str(self.folder)}


@dataclass(frozen=True)
class Replay:
    """What was learned from before, and what guards it."""

    tiles: tuple[Split, Split]  # of MNIST, to learn from and to guard with
    fonts: tuple[Fonts, Fonts]  # to write lines with, to learn from and to guard with

    @classmethod
    def of(cls, mnist: Split) -> Replay:
        """Takes MNIST's training tiles, and the fonts, which are fetched if need be."""
        fonts = load_fonts("training", photos=True), load_fonts("validation", photos=True)
        return cls(LineRecipe().split(mnist), fonts)


def adapt(  # noqa: PLR0913  (what to adapt, to what, where and how)
    model: str | Path,
    pictures: LabelledPictures,
    replay: Callable[[], Replay],
    folder: Path,
    *,
    recipe: LineRecipe = LINES,
    resume: bool = False,
    device: Device | None = None,
    workers: int | None = None,
) -> Adapted:
    """Fine-tunes a reader and writes it where it gained something and lost nothing.

    The folder receives the model and, until it is there, the state of both trainings in ``run``, to
    resume from. ``replay`` gives what was learned from before, if it is needed; the recipe is the
    recogniser's. Gives what came of it; without parts where all pictures are read right already.

    Raises:
        DataError: There are too few pictures, the folder has something else in it, or there is
            nothing to resume.
        ModelError: The model is missing or damaged.
    """
    classifier, detector = open_roles(model)
    lines = load_line_bundle(lines_of(classifier.folder))
    with at_work(folder):
        facts = _begin(folder, pictures, (classifier, lines), resume=resume)
        reader = DigitReader(classifier, pages=detector)
        learned, held_out = split_samples(gather_samples(reader, pictures))
        texts = [sample.picture for sample in held_out]
        result = Adapted(None, len(learned), len(held_out), (), *_wrong(reader, texts))
        if not any(sample.wrong for sample in (*learned, *held_out)):
            return result
        files.write_json(folder / FACTS, facts)
        chosen = device or choose_device(recipe.precision)
        note(f"device: {chosen.reason}")
        count = worker_count(chosen.name) if workers is None else workers
        run = _Run(folder / RUN, replay(), recipe, resume, chosen, count)
        lines, recognizer = run.recognizer(lines, learned, held_out)
        classifier, named = run.classifier(classifier, learned, held_out)
        result = replace(result, parts=(recognizer, named))
        if any(part.kept for part in result.parts):
            card = replace(classifier.card, name=folder.name)
            candidate = folder / RUN / CANDIDATE
            # It promises no share of mistakes: what was measured is of other weights.
            fusion = {key: value for key, value in lines.card.fusion.items() if key != "risk"}
            lines = replace(lines, card=replace(lines.card, fusion=fusion))
            write_reader(candidate, replace(classifier, card=card), lines)
            result = replace(result, wrong_after=_wrong(DigitReader(candidate), texts)[1])
            if result.wrong_after <= result.wrong_before:
                write_reader(folder, load_bundle(candidate), load_line_bundle(lines_of(candidate)))
                result = replace(result, folder=folder)
        shutil.rmtree(folder / RUN)
        (folder / FACTS).unlink()  # last: until then it can be gone on with
        if not result.folder:
            with suppress(OSError):  # it was there before, with something in it
                folder.rmdir()
        return result


def _begin(
    folder: Path, pictures: LabelledPictures, model: tuple[Bundle, LineBundle], *, resume: bool
) -> dict[str, str]:
    """What is adapted to what; raises DataError unless a stopped run that is resumed has the same.

    Nothing that was written is touched.
    """
    if len(pictures) < FEWEST:
        raise DataError(
            f"{pictures.path}: expected {FEWEST} labelled pictures or more, found {len(pictures)}"
        )
    classifier, lines = model
    hashes = {"classifier": classifier.card.sha256, "recognizer": lines.card.recognizer_sha256}
    facts = {"labels": pictures.sha256, **hashes}
    if not resume:
        check_free(folder)
        return facts
    try:
        begun = json.loads((folder / FACTS).read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} has nothing to go on with: leave --resume out") from error
    if begun != facts:
        raise DataError(f"{folder} was begun with another model or other labels: use the same")
    return facts


def _wrong(reader: DigitReader, pictures: Sequence[LabelledPicture]) -> tuple[int, int]:
    """How many digits there are, and how many edits bring what is read to them."""
    truths = [digits_of(picture.label) for picture in pictures]
    readings = reader.read_many(picture.page for picture in pictures)
    read = [digits_of(reading.digits_only) for reading in readings]
    edits = (aligned(*pair)[0] for pair in zip(truths, read, strict=True))
    return sum(map(len, truths)), sum(edits)


@dataclass(frozen=True)
class _Run:
    """Both trainings: where they leave their state, and with what and how they go."""

    folder: Path
    replay: Replay
    recipe: LineRecipe
    resume: bool
    device: Device
    workers: int

    def recognizer(
        self, bundle: LineBundle, learned: Sequence[OwnSample], held_out: Sequence[OwnSample]
    ) -> tuple[LineBundle, NetworkResult]:
        """A line reader with the recogniser adapted, or as it was."""
        part = NetworkResult("recognizer")
        own = [line for each in learned for line in each.lines]
        kept_back = [line for each in held_out for line in each.lines]
        if not own or not kept_back:
            return bundle, replace(part, reason="no line was found that is like its label")
        start = network_of(bundle.recognizer)
        check_lines(LineGraph(start), bundle.recognizer, [line.pixels for line in own[:4]])
        guard = self._guard_lines()
        note(f"recogniser: {len(own)} lines of yours, {self.recipe.steps} steps")
        recipe = replace(self.recipe, validation_lines=len(kept_back))
        lines = self._mixed(own, join_splits([each.tiles for each in learned]))
        sources = lines, kept_back.__getitem__
        task = LineTask(recipe, *sources, self.device, workers=self.workers, start=start)
        trained = self._fit(task, "lines")
        count = sum(len(line.text) for line in kept_back)
        network, part = judge(
            part,
            (start, trained.network),
            (lambda network: round(_line_score(kept_back, network)["errors"] * count), count),
            lambda network: 1 - _line_score(guard, network)["numeric_errors"],
        )
        if not part.kept:
            return bundle, part
        graph = export_lines(network, [line.pixels for line in (*kept_back, *guard[:CHECKED])])
        results = {**bundle.card.results, "adapted": asdict(part)}
        card = replace(bundle.card, recognizer_sha256=files.sha256(graph), results=results)
        return replace(bundle, recognizer=graph, card=card), part

    def classifier(
        self, bundle: Bundle, learned: Sequence[OwnSample], held_out: Sequence[OwnSample]
    ) -> tuple[Bundle, NetworkResult]:
        """A classifier's folder with its network adapted, or as it was."""
        part = NetworkResult("classifier")
        own = join_splits([each.tiles for each in learned])
        kept_back = join_splits([each.tiles for each in held_out])
        if not len(own) or not len(kept_back):
            return bundle, replace(part, reason="no digit was found that is in its label")
        try:
            start = load_network(bundle.folder)
        except ModelError as error:
            return bundle, replace(part, reason=str(error))
        if not isinstance(start, DigitNetwork):
            reason = "it is an ensemble, of which none is trained further"
            return bundle, replace(part, reason=reason)
        trained_with = recipe_from(bundle.card.recipe, Recipe)
        recipe = replace(trained_with, **TILES, seed=self.recipe.seed, teacher="")
        note(f"classifier: {len(own)} digits of yours, {recipe.epochs} epochs")
        tiles = self._repeated(own)
        task = TileTask(recipe, tiles, kept_back, self.device, start=start, anchor=_ANCHOR)
        trained = self._fit(task, "tiles")
        guard = self.replay.tiles[1]
        network, part = judge(
            part,
            (start, trained.network),
            (lambda network: _wrong_tiles(network, kept_back), len(kept_back)),
            lambda network: 1 - _wrong_tiles(network, guard) / len(guard),
        )
        if not part.kept:
            return bundle, part
        results = {**bundle.card.results, "adapted": asdict(part)}
        card = replace(bundle.card, version=__version__, results=results)
        export_classifier(network, card, guard, self.folder / "classifier")
        return load_bundle(self.folder / "classifier"), part

    def _fit(self, task: Task[Any, N, Any], name: str) -> Trained[N]:
        """Trains in a folder of that name, or goes on there if it was begun."""
        begun = (self.folder / name / STATE).is_file()
        return fit(task, self.folder / name, resume=self.resume and begun)

    def _guard_lines(self) -> list[Line]:
        maker = LineMaker(self.replay.tiles[1], self.replay.fonts[1], VALIDATION_SEED)
        with work_bar() as bar:
            numbers = bar.track(range(GUARD_LINES), description="drawing what guards")
            return [maker.line(number) for number in numbers]

    def _mixed(self, own: Sequence[Line], tiles: Split) -> LineSource:
        """The user's lines, lines with the user's digits, and lines as before."""
        known, fonts, seed = self.replay.tiles[0], self.replay.fonts[0], self.recipe.seed
        missing = [value for value in range(CLASSES) if value not in tiles.labels]
        some = [np.flatnonzero(known.labels == value)[:_SUBSTITUTES] for value in missing]
        others = [known.take(at) for at in some]
        written = OwnMaker(join_splits([tiles, *others]), fonts, seed)
        return partial(mixed_line, own, written.line, LineMaker(known, fonts, seed).line, seed)

    def _repeated(self, own: Split) -> Split:
        """The user's tiles, often enough to be seen, among tiles of MNIST."""
        known, rng = self.replay.tiles[0], np.random.default_rng(self.recipe.seed)
        at = rng.permutation(len(known))[:_REPLAYED]
        times = max(1, round(len(at) * _OWN_TILES / (1 - _OWN_TILES) / len(own)))
        return join_splits([known.take(at), *[own] * times])


def judge(
    part: NetworkResult,
    networks: tuple[N, N],
    own: tuple[Callable[[N], int], int],
    guard: Callable[[N], float],
) -> tuple[N, NetworkResult]:
    """Decides between old and new weights, or a mean of both that keeps the guard set.

    ``own`` counts what a network gets wrong of what was held out, and how much that is; ``guard``
    is the share of the guard set that a network gets right.
    """
    old, new = networks
    wrong, count = own
    part = replace(part, held_out=count, wrong_before=wrong(old), guard_before=guard(old))
    for share in SHARES:
        mean = blend_weights(old, new, share)
        part = replace(part, share=share, guard_after=guard(mean), wrong_after=wrong(mean))
        if part.guard_before - part.guard_after > MOST_LOST:
            part = replace(part, reason="it would lose too much of what it knew")
        elif part.wrong_after < part.wrong_before:
            return mean, replace(part, kept=True, reason="")
        else:
            return old, replace(part, reason="what was held out does not gain")
    return old, part


def _line_score(lines: Sequence[Line], network: LineNetwork) -> dict[str, float]:
    return line_score(network, batches_by_width(lines, LINES.batch_size))


def _wrong_tiles(network: DigitNetwork, split: Split) -> int:
    logits = predict_logits(network, torch.from_numpy(split.tiles))[:, :CLASSES]
    return int((logits.argmax(1).cpu().numpy() != split.labels).sum())
