"""Fine-tunes the recogniser and the classifier of a reader on a few dozen of the user's pictures.

Three methods preserve what was known: lines and tiles as in the original training (replay), the
original network's outputs as targets (distillation), and weights pulled back (L2-SP). Held-out
pictures decide when the classifier stops and whether a network improved; a guard set of generated
lines and MNIST's validation tiles shows what it lost. A network that does not improve, or loses
more than ``MOST_LOST``, is left unchanged.

The recogniser is trained to the end of its schedule: earlier weights, at a high learning rate, were
better on held-out lines but lost half a point on the guard set; the last ones did not.
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
from digitlens.evaluation.metrics import alignment, count_edits
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
from digitlens.training.run import lock_run
from digitlens.training.tasks.batches import LineSource, batches_by_width, worker_count
from digitlens.training.tasks.line import VALIDATION_SEED, LineTask, blend_weights, line_score
from digitlens.training.tasks.tile import TileTask
from digitlens.training.tile_networks import CLASSES, DigitNetwork, predict_logits

HELD_OUT = 5  # every fifth picture is held out
KIND = "hand number"  # kind assigned to the user's lines
_OWN_SHARE, _WRITTEN_SHARE = 0.35, 0.3  # of the user's lines, and of lines drawn with their digits
_DRAWN_KINDS = ("hand number", "amount", "hand digit", "comb")  # kinds of drawn lines, in turn
_MAX_EDITS = 0.5  # maximum edits per character between a detected line and its label


class OwnSample(NamedTuple):
    """The training data of a labelled picture."""

    picture: LabelledPicture
    lines: tuple[Line, ...]  # detected lines, with their texts
    tiles: Split  # digits
    wrong: int  # errors of the reader and its networks


def gather_samples(reader: DigitReader, pictures: LabelledPictures) -> list[OwnSample]:
    """Returns the lines and digits of pictures as the reader detects them."""
    with work_bar() as bar:
        shown = bar.track(pictures, len(pictures), description="reading")
        return [_take_sample(reader, picture) for picture in shown]


def split_samples(samples: Sequence[OwnSample]) -> tuple[list[OwnSample], list[OwnSample]]:
    """Splits into training and held-out samples, stratified by whether they were misread."""
    ordered = sorted(samples, key=lambda sample: sample.wrong == 0)
    training = [sample for number, sample in enumerate(ordered) if number % HELD_OUT]
    return training, ordered[::HELD_OUT]


def _take_sample(reader: DigitReader, picture: LabelledPicture) -> OwnSample:
    seen = reader.examine(picture.page)
    texts = [" ".join(text.split()) for text in picture.label.splitlines() if text.strip()]
    pairs = match_lines(texts, [line.symbols.text for line in seen.view.lines])
    lines = tuple(Line(seen.view.lines[i].crop, text, KIND) for text, i in pairs)
    parts = [_digits_on(seen.view, i, text) for text, i in pairs]
    if picture.is_tile:
        parts = [Split(picture.page[None], np.array([int(picture.label)], np.uint8))]
    tiles = join_splits(parts)
    predicted = reader.classifier.outputs(tiles.tiles).probabilities.argmax(axis=1)
    read = digits_of(seen.reading.digits_only)
    wrong = count_edits(digits_of(picture.label), read)[0] + int((predicted != tiles.labels).sum())
    wrong += sum(count_edits(text, seen.view.lines[i].symbols.text)[0] for text, i in pairs)
    return OwnSample(picture, lines, tiles, wrong)


def match_lines(texts: Sequence[str], read_texts: Sequence[str]) -> list[tuple[str, int]]:
    """Matches texts of a label with detected lines; returns (text, index of the line) pairs.

    The most similar pairs are matched first; dissimilar ones match only if their lengths are equal.
    """
    costs = sorted(
        (count_edits(text, read_text)[0] / len(text), i, j)
        for i, text in enumerate(texts)
        for j, read_text in enumerate(read_texts)
    )
    lines: dict[int, int] = {}
    for cost, i, j in costs:
        is_similar = cost <= _MAX_EDITS or len(read_texts[j]) == len(texts[i])
        if is_similar and i not in lines and j not in lines.values():
            lines[i] = j
    return [(texts[i], lines[i]) for i in sorted(lines)]


def _digits_on(view: View, line: int, text: str) -> Split:
    """Returns the tiles of a line that match digits of its text, including misread ones."""
    indices = np.flatnonzero(view.scores.places.line == line)
    boxes = view.scores.boxes[indices]
    middles = (boxes[:, :2] + boxes[:, 2:]).astype(np.float32) / np.float32(2)
    columns = view.lines[line].place(middles)[:, 0]
    indices = indices[np.argsort(columns, kind="stable")]
    truth = digits_of(text)
    pairs = alignment(truth, "".join(map(str, view.probabilities[indices].argmax(axis=1))))
    labels = np.array([int(truth[i]) for i, _ in pairs], np.uint8)
    return Split(view.tiles[indices[[j for _, j in pairs]]], labels)


def join_splits(parts: Sequence[Split]) -> Split:
    """Concatenates splits; returns an empty one for none."""
    tiles = [np.zeros((0, 28, 28), np.uint8), *(part.tiles for part in parts)]
    labels = [np.zeros(0, np.uint8), *(part.labels for part in parts)]
    return Split(np.concatenate(tiles), np.concatenate(labels))


class _OwnHand(Styles):
    """Styles with the user's digits, and marks drawn with a pen."""

    def by_hand(self, rng: Rng, *, letters: bool = False) -> Style:
        """Returns a style with the user's digits."""
        del letters
        pen = replace(draw_pen(rng), width=float(rng.uniform(6, 11)))
        source = MixedGlyphs(self._writer(rng), PenGlyphs(pen, marks=True))
        return draw_style(source, rng, by_hand=True)

    def quick(self, rng: Rng) -> Style:
        """Returns a style of ``by_hand``."""
        return self.by_hand(rng)


class OwnMaker(LineMaker):
    """Draws handwritten lines with the user's digits."""

    def __init__(self, tiles: Split, fonts: Fonts, seed: int) -> None:
        super().__init__(tiles, fonts, seed)
        self._styles = _OwnHand(tiles, fonts)

    def line(self, number: int, *, kind: str | None = None) -> Line:
        """Draws one line."""
        return super().line(number, kind=kind or _DRAWN_KINDS[number % len(_DRAWN_KINDS)])


def mixed_line(
    own: Sequence[Line], written: LineSource, replay: LineSource, seed: int, number: int
) -> Line:
    """Picks a user's line, one drawn with their digits, or a replayed one, by seed and number."""
    rng = np.random.default_rng([seed, number, 4])
    chance = rng.random()
    if chance < _OWN_SHARE:
        return own[int(rng.integers(len(own)))]
    return (written if chance < _OWN_SHARE + _WRITTEN_SHARE else replay)(number)


RUN = "run"  # subfolder of the model's folder for unfinished trainings
FACTS = "adapt.json"
FEWEST = 8  # pictures
MOST_LOST = 0.001  # maximum loss of accuracy on the guard set
SHARES = (1.0, 0.7, 0.4)  # fractions of the new weights, tried until the guard set is preserved
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
_REPLAYED_TILES = 4000  # MNIST tiles in an epoch
_OWN_TILES = 0.3  # fraction of an epoch that are the user's tiles, which are repeated
_ANCHOR = 3.0  # of the classifier, see ``anchor_weights``
_SUBSTITUTES = 30  # MNIST tiles for each digit missing from the user's pictures

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class NetworkResult:
    """The result for one of the two networks."""

    name: str  # ``recognizer`` or ``classifier``
    kept: bool = False  # whether the new weights are used
    reason: str = ""  # why they are not used; empty otherwise
    share: float = 0.0  # fraction of new weights in the average with the old ones
    wrong_before: int = 0  # errors on the held-out characters or tiles
    wrong_after: int = 0  # the same with the new weights
    held_out: int = 0  # number of held-out characters or tiles
    guard_before: float = 0.0  # accuracy on the guard set
    guard_after: float = 0.0  # the same with the new weights


@dataclass(frozen=True)
class Adapted:
    """The result of an adaptation."""

    folder: Path | None  # of the new model; None if no model was written
    pictures: int  # training pictures
    held_out: int  # held-out pictures
    parts: tuple[NetworkResult, ...]  # both networks; empty if all pictures were read correctly
    digits: int  # on the held-out pictures
    wrong_before: int  # edits between these digits and those read by the whole reader
    wrong_after: int = 0  # the same with the new networks

    def as_dict(self) -> dict[str, Any]:
        """Returns the result as JSON-ready values."""
        return {**asdict(self), "folder": self.folder and str(self.folder)}


@dataclass(frozen=True)
class Replay:
    """The data of the original training, to replay and for the guard set."""

    tiles: tuple[Split, Split]  # of MNIST, for training and for the guard set
    fonts: tuple[Fonts, Fonts]  # of lines, for training and for the guard set

    @classmethod
    def of(cls, mnist: Split) -> Replay:
        """Returns a replay of MNIST's training tiles; downloads fonts if needed."""
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
    """Fine-tunes a reader; writes it if a network improved and held-out pictures read no worse.

    The folder receives the model and, until that is written, the state of both trainings in
    ``run``, to resume from. ``replay`` is called only if training is needed; ``recipe`` is that of
    the recogniser.

    Raises:
        DataError: There are too few pictures, the folder is not empty, or there is nothing to
            resume.
        ModelError: The model is missing or damaged.
    """
    classifier, detector = open_roles(model)
    lines = load_line_bundle(lines_of(classifier.folder))
    with lock_run(folder):
        facts = _check_start(folder, pictures, (classifier, lines), resume=resume)
        reader = DigitReader(classifier, pages=detector)
        training, held_out = split_samples(gather_samples(reader, pictures))
        unseen = [sample.picture for sample in held_out]
        result = Adapted(None, len(training), len(held_out), (), *_count_errors(reader, unseen))
        if not any(sample.wrong for sample in (*training, *held_out)):
            return result
        files.write_json(folder / FACTS, facts)
        used_device = device or choose_device(recipe.precision)
        note(f"device: {used_device.reason}")
        worker_total = worker_count(used_device.name) if workers is None else workers
        run = _Run(folder / RUN, replay(), recipe, resume, used_device, worker_total)
        lines, recognizer = run.recognizer(lines, training, held_out)
        classifier, classifier_result = run.classifier(classifier, training, held_out)
        result = replace(result, parts=(recognizer, classifier_result))
        if any(part.kept for part in result.parts):
            card = replace(classifier.card, name=folder.name)
            candidate = folder / RUN / CANDIDATE
            # The risk curve was measured with other weights and is no longer valid.
            fusion = {key: value for key, value in lines.card.fusion.items() if key != "risk"}
            lines = replace(lines, card=replace(lines.card, fusion=fusion))
            write_reader(candidate, replace(classifier, card=card), lines)
            result = replace(result, wrong_after=_count_errors(DigitReader(candidate), unseen)[1])
            if result.wrong_after <= result.wrong_before:
                write_reader(folder, load_bundle(candidate), load_line_bundle(lines_of(candidate)))
                result = replace(result, folder=folder)
        shutil.rmtree(folder / RUN)
        (folder / FACTS).unlink()  # last: until then, the adaptation can be resumed
        if not result.folder:
            with suppress(OSError):  # the folder existed before and is not empty
                folder.rmdir()
        return result


def _check_start(
    folder: Path, pictures: LabelledPictures, model: tuple[Bundle, LineBundle], *, resume: bool
) -> dict[str, str]:
    """Returns the hashes of labels and model; writes nothing.

    Raises DataError if pictures are too few, a new folder is not empty, or a resumed one differs.
    """
    if len(pictures) < FEWEST:
        raise DataError(
            f"{pictures.path}: expected at least {FEWEST} labelled pictures, found {len(pictures)}"
        )
    classifier, lines = model
    hashes = {"classifier": classifier.card.sha256, "recognizer": lines.card.recognizer_sha256}
    facts = {"labels": pictures.sha256, **hashes}
    if not resume:
        check_free(folder)
        return facts
    try:
        stored = json.loads((folder / FACTS).read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} has nothing to resume: omit --resume") from error
    if stored != facts:
        raise DataError(f"{folder} was started with another model or other labels: use the same")
    return facts


def _count_errors(reader: DigitReader, pictures: Sequence[LabelledPicture]) -> tuple[int, int]:
    """Returns the number of digits, and of edits between them and the digits read."""
    truths = [digits_of(picture.label) for picture in pictures]
    readings = reader.read_many(picture.page for picture in pictures)
    read = [digits_of(reading.digits_only) for reading in readings]
    edits = (count_edits(*pair)[0] for pair in zip(truths, read, strict=True))
    return sum(map(len, truths)), sum(edits)


@dataclass(frozen=True)
class _Run:
    """Both trainings: folder, data and settings."""

    folder: Path
    replay: Replay
    recipe: LineRecipe
    resume: bool
    device: Device
    workers: int

    def recognizer(
        self, bundle: LineBundle, training: Sequence[OwnSample], held_out: Sequence[OwnSample]
    ) -> tuple[LineBundle, NetworkResult]:
        """Returns a line reader whose recogniser is adapted, or the one given."""
        part = NetworkResult("recognizer")
        own = [line for each in training for line in each.lines]
        held_out_lines = [line for each in held_out for line in each.lines]
        if not own or not held_out_lines:
            return bundle, replace(part, reason="no detected line matches its label")
        start = network_of(bundle.recognizer)
        check_lines(LineGraph(start), bundle.recognizer, [line.pixels for line in own[:4]])
        guard = self._guard_lines()
        note(f"recogniser: {len(own)} of your lines, {self.recipe.steps} steps")
        recipe = replace(self.recipe, validation_lines=len(held_out_lines))
        lines = self._line_source(own, join_splits([each.tiles for each in training]))
        sources = lines, held_out_lines.__getitem__
        task = LineTask(recipe, *sources, self.device, workers=self.workers, start=start)
        trained = self._fit(task, "lines")
        count = sum(len(line.text) for line in held_out_lines)
        network, part = judge(
            part,
            (start, trained.network),
            (lambda network: round(_line_score(held_out_lines, network)["errors"] * count), count),
            lambda network: 1 - _line_score(guard, network)["numeric_errors"],
        )
        if not part.kept:
            return bundle, part
        graph = export_lines(network, [line.pixels for line in (*held_out_lines, *guard[:CHECKED])])
        results = {**bundle.card.results, "adapted": asdict(part)}
        card = replace(bundle.card, recognizer_sha256=files.sha256(graph), results=results)
        return replace(bundle, recognizer=graph, card=card), part

    def classifier(
        self, bundle: Bundle, training: Sequence[OwnSample], held_out: Sequence[OwnSample]
    ) -> tuple[Bundle, NetworkResult]:
        """Returns a classifier whose network is adapted, or the one given."""
        part = NetworkResult("classifier")
        own = join_splits([each.tiles for each in training])
        held_out_tiles = join_splits([each.tiles for each in held_out])
        if not len(own) or not len(held_out_tiles):
            return bundle, replace(part, reason="no detected digit matches its label")
        try:
            start = load_network(bundle.folder)
        except ModelError as error:
            return bundle, replace(part, reason=str(error))
        if not isinstance(start, DigitNetwork):
            reason = "it is an ensemble, and ensembles cannot be fine-tuned"
            return bundle, replace(part, reason=reason)
        original = recipe_from(bundle.card.recipe, Recipe)
        recipe = replace(original, **TILES, seed=self.recipe.seed, teacher="")
        note(f"classifier: {len(own)} of your digits, {recipe.epochs} epochs")
        tiles = self._mixed_tiles(own)
        task = TileTask(recipe, tiles, held_out_tiles, self.device, start=start, anchor=_ANCHOR)
        trained = self._fit(task, "tiles")
        guard = self.replay.tiles[1]
        network, part = judge(
            part,
            (start, trained.network),
            (lambda network: _wrong_tiles(network, held_out_tiles), len(held_out_tiles)),
            lambda network: 1 - _wrong_tiles(network, guard) / len(guard),
        )
        if not part.kept:
            return bundle, part
        results = {**bundle.card.results, "adapted": asdict(part)}
        card = replace(bundle.card, version=__version__, results=results)
        export_classifier(network, card, guard, self.folder / "classifier")
        return load_bundle(self.folder / "classifier"), part

    def _fit(self, task: Task[Any, N, Any], name: str) -> Trained[N]:
        """Trains in a subfolder of that name; resumes there if it has a state."""
        has_state = (self.folder / name / STATE).is_file()
        return fit(task, self.folder / name, resume=self.resume and has_state)

    def _guard_lines(self) -> list[Line]:
        maker = LineMaker(self.replay.tiles[1], self.replay.fonts[1], VALIDATION_SEED)
        with work_bar() as bar:
            numbers = bar.track(range(GUARD_LINES), description="drawing the guard set")
            return [maker.line(number) for number in numbers]

    def _line_source(self, own: Sequence[Line], tiles: Split) -> LineSource:
        """Returns a source of the user's lines, lines with their digits, and replayed lines."""
        mnist, fonts, seed = self.replay.tiles[0], self.replay.fonts[0], self.recipe.seed
        missing = [value for value in range(CLASSES) if value not in tiles.labels]
        rows = [np.flatnonzero(mnist.labels == value)[:_SUBSTITUTES] for value in missing]
        substitutes = [mnist.take(indices) for indices in rows]
        written = OwnMaker(join_splits([tiles, *substitutes]), fonts, seed)
        return partial(mixed_line, own, written.line, LineMaker(mnist, fonts, seed).line, seed)

    def _mixed_tiles(self, own: Split) -> Split:
        """Returns MNIST tiles and the user's tiles, repeated to a fraction of ``_OWN_TILES``."""
        mnist, rng = self.replay.tiles[0], np.random.default_rng(self.recipe.seed)
        rows = rng.permutation(len(mnist))[:_REPLAYED_TILES]
        repeats = max(1, round(len(rows) * _OWN_TILES / (1 - _OWN_TILES) / len(own)))
        return join_splits([mnist.take(rows), *[own] * repeats])


def judge(
    part: NetworkResult,
    networks: tuple[N, N],
    held_out: tuple[Callable[[N], int], int],
    guard: Callable[[N], float],
) -> tuple[N, NetworkResult]:
    """Chooses between old and new weights, or an average of both that preserves the guard set.

    ``held_out`` is a function that counts a network's errors on held-out data, and the size of that
    data; ``guard`` returns a network's accuracy on the guard set.
    """
    old, new = networks
    count_wrong, count = held_out
    part = replace(part, held_out=count, wrong_before=count_wrong(old), guard_before=guard(old))
    for share in SHARES:
        mixed = blend_weights(old, new, share)
        part = replace(part, share=share, guard_after=guard(mixed), wrong_after=count_wrong(mixed))
        if part.guard_before - part.guard_after > MOST_LOST:
            part = replace(part, reason="it would lose too much on the guard set")
        elif part.wrong_after < part.wrong_before:
            return mixed, replace(part, kept=True, reason="")
        else:
            return old, replace(part, reason="it does not improve on the held-out pictures")
    return old, part


def _line_score(lines: Sequence[Line], network: LineNetwork) -> dict[str, float]:
    return line_score(network, batches_by_width(lines, LINES.batch_size))


def _wrong_tiles(network: DigitNetwork, split: Split) -> int:
    logits = predict_logits(network, torch.from_numpy(split.tiles))[:, :CLASSES]
    return int((logits.argmax(1).cpu().numpy() != split.labels).sum())
