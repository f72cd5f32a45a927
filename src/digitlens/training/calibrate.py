"""Fits the fusion of a line reader on generated pictures and writes it into the reader's card.

Every second picture is used to fit weights and calibration, the others to measure the results. The
halves have different writers, fonts and photographs, chosen at random, so that both are alike.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.nn import functional

from digitlens.alphabet import DIGITS
from digitlens.datasets.mnist import Split, load_mnist, load_writers, writer_split
from digitlens.datasets.synthetic.documents import DocumentMaker
from digitlens.datasets.synthetic.drawing import log_uniform, pick
from digitlens.datasets.synthetic.lines import LineMaker
from digitlens.datasets.synthetic.pages import PageMaker
from digitlens.datasets.synthetic.papers import cut_photo
from digitlens.datasets.synthetic.styles import Fonts, load_fonts
from digitlens.evaluation.calibration import fit_calibration
from digitlens.evaluation.metrics import cheapest_pairs
from digitlens.evaluation.risk import risk_coverage
from digitlens.imaging.framing import HEIGHT
from digitlens.models.bundle import load_line_card, write_line_card
from digitlens.progress import work_bar
from digitlens.reading.fusion import CONTEXT, LAYERS, POOL, Fusion, Scores, context, log_probs
from digitlens.reading.layout import View
from digitlens.reading.multiscale import framed, scaled
from digitlens.reading.nms import overlaps
from digitlens.reading.reader import DigitReader
from digitlens.reading.recognize import RecognizedLine
from digitlens.training.loop import descend
from digitlens.training.recipe import HELD_OUT

IGNORED = -1
HIDDEN = 24  # units of each hidden layer of the fusion
STEPS, BATCH, RATE, DECAY = 5000, 512, 2e-3, 0.05  # of its training
THRESHOLDS = {"digit": 0.9, "reject": 0.5}
SIDES = (96, 128, 192, 256, 384, 512)  # pixels of generated pages
PLAIN = ("plain tile", "plain words", "plain single", "plain numbers")  # kinds
CLUTTER = ("clutter", "clutter", "held nothing")
SOILED = ("soiled", "soiled", "soiled number")
LONGEST = 2400  # pixels: longest side of photographs of a line
LONE = ("tile", "hand digit", "print digit")  # kinds of lines
_MIN_DISTANCE = 0.6  # line heights: minimum distance between a place and a digit that do not match
_MIN_IOU = 0.3  # IoU from which a place and a digit on another line match
_SKIP_COST = 0.55  # alignment cost of a place without a digit; a digit without a place costs 1

Floats = npt.NDArray[np.float32]
Values = npt.NDArray[np.int8]
Ints = npt.NDArray[np.intp]


class Example(NamedTuple):
    """A picture whose digits are known."""

    pixels: npt.NDArray[np.uint8]  # uint8[H, W, 3]
    values: Values  # int8[M]; of its digits, -1 for one that is ignored in scoring
    # float32[M, 4]; None for a single line, whose digits are in reading order.
    boxes: Floats | None


@dataclass(frozen=True)
class FoundPlaces:
    """A reader's candidate places on pictures, with their true digits."""

    scores: list[Scores]  # of the places of each picture
    truth: list[Values]  # int8[N] each; the digit at each place, -1 for none
    digits: list[int]  # number of digits on each picture

    @property
    def total(self) -> int:
        """Digits on all pictures."""
        return sum(self.digits)

    def part(self, first: int, step: int) -> FoundPlaces:
        """Every ``step``-th picture."""
        indices = slice(first, None, step)
        return FoundPlaces(self.scores[indices], self.truth[indices], self.digits[indices])


def find_places(reader: DigitReader, examples: Iterable[Example]) -> FoundPlaces:
    """Reads pictures and matches the places with the true digits, excluding ignored ones."""
    found_places = FoundPlaces([], [], [])
    for example in examples:
        view = reader.analyze(example.pixels)
        truth, counts = true_digits(view, example)
        found_places.scores.append(view.scores[counts])
        found_places.truth.append(truth[counts])
        found_places.digits.append(int((example.values != IGNORED).sum()))
    return found_places


def true_digits(view: View, example: Example) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Returns the true digit of each place, int8[N], and which places count, bool[N]."""
    scores = view.scores
    truth, counts = np.full(len(scores), -1, np.int8), np.ones(len(scores), bool)
    if example.boxes is None:
        middles = (scores.boxes[:, 0] + scores.boxes[:, 2]) / 2
        pairs = _align(scores, np.argsort(middles, kind="stable"), example.values, None)
    else:
        pairs = list(_pair_on_lines(view, example.values, example.boxes))
        pairs += _pair_overlapping(scores.boxes, example.boxes, pairs)
    for place, digit in pairs:
        truth[place] = example.values[digit]
        counts[place] = example.values[digit] != IGNORED
    return truth, counts


def _pair_on_lines(view: View, values: Values, boxes: Floats) -> Iterator[tuple[int, int]]:
    """Pairs places with the digits on their line.

    The CTC alignment locates a digit but not the extent of its ink, so places are matched by order
    and distance along the line, not by the overlap of boxes.
    """
    if not view.lines:
        return
    middles = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float32)
    spots = [line.place(middles) for line in view.lines]
    gaps = np.stack([_distances(line, spot) for line, spot in zip(view.lines, spots, strict=True)])
    nearest = np.where(gaps.min(axis=0) < 1, gaps.argmin(axis=0), -1)
    centres = (view.scores.boxes[:, :2] + view.scores.boxes[:, 2:]) / 2
    for number in np.unique(view.scores.places.line):
        places = np.flatnonzero(view.scores.places.line == number)
        columns = view.lines[number].place(centres[places].astype(np.float32))[:, 0]
        order = np.argsort(columns, kind="stable")
        digits = np.flatnonzero(nearest == number)
        digits = digits[np.argsort(spots[number][digits, 0], kind="stable")]
        distance = np.abs(columns[order][:, None] - spots[number][digits, 0]) / HEIGHT
        for place, digit in _align(view.scores, places[order], values[digits], distance):
            yield place, int(digits[digit])


def _pair_overlapping(
    places: Floats, digits: Floats, pairs: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Pairs remaining places and digits that overlap: a digit may be on two detected lines."""
    if not len(places) or not len(digits):
        return []
    overlap = np.stack([overlaps(box, digits)[0] for box in places])
    overlap[[place for place, _ in pairs]] = 0
    overlap[:, [digit for _, digit in pairs]] = 0
    paired: list[tuple[int, int]] = []
    while overlap.max() >= _MIN_IOU:
        place, digit = np.unravel_index(int(overlap.argmax()), overlap.shape)
        paired.append((int(place), int(digit)))
        overlap[place], overlap[:, digit] = 0, 0
    return paired


def _distances(line: RecognizedLine, spots: Floats) -> Floats:
    """Returns the distances float32[M] from a crop's middle row, 1 at its edge, inf if outside."""
    width = line.crop.shape[1]
    inside = (spots[:, 0] > 0) & (spots[:, 0] < width)
    return np.where(inside, np.abs(spots[:, 1] - HEIGHT / 2) / (HEIGHT / 2), np.inf)


def _align(
    scores: Scores, places: Ints, values: Values, distance: npt.NDArray[np.floating] | None
) -> list[tuple[int, int]]:
    """Pairs places int[N] with digits int8[M], both in order along a line, at minimum cost.

    ``distance`` float[N, M] is their distance in line heights, if known.
    """
    costs = np.full((len(places), len(values)), 0.3)
    known = values != IGNORED
    costs[:, known] = (1 - scores.digits[places].max(axis=1))[:, values[known]]
    if distance is not None:
        costs += np.where(distance < _MIN_DISTANCE, distance, np.inf)
    skips = _SKIP_COST * np.clip(scores.strength[places], 0.2, 1)
    pairs = cheapest_pairs(costs.T.tolist(), skips.tolist())
    return [(int(places[row]), digit) for digit, row in pairs]


class FusionNetwork(nn.Module):
    """The trainable form of ``reading.fusion.Fusion``."""

    def __init__(self) -> None:
        super().__init__()
        inputs = len(POOL) + CONTEXT
        self.pool = nn.Parameter(torch.tensor(POOL))
        self.first, self.second = nn.Linear(inputs, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.third = nn.Linear(HIDDEN, 1)
        self.exists, self.existing = nn.Linear(inputs, HIDDEN), nn.Linear(HIDDEN, 1)

    def forward(self, logs: Tensor, contexts: Tensor) -> Tensor:
        """Returns log probabilities float[B, 11] of the ten digits, and of no digit.

        ``logs`` float[B, 10, 3] are ``reading.fusion.log_probs``, ``contexts`` float[B, CONTEXT] is
        ``reading.fusion.context``.
        """
        each = torch.cat([logs / 3, contexts[:, None].expand(-1, len(DIGITS), -1)], dim=2)
        scores = self.third(self.second(self.first(each).relu()).relu())[:, :, 0]
        values = torch.log_softmax(scores + logs @ self.pool, dim=1)
        best = each[torch.arange(len(each)), values.argmax(dim=1)]
        exists = self.existing(self.exists(best).relu())
        digit_log, other_log = functional.logsigmoid(exists), functional.logsigmoid(-exists)
        return torch.cat([values + digit_log, other_log], dim=1)

    def layers(self) -> dict[str, npt.NDArray[np.float64]]:
        """Returns the weights as in ``Fusion``, with six significant digits."""
        state = self.state_dict()
        rows = {name: (*state[f"{name}.weight"].T, state[f"{name}.bias"]) for name in LAYERS}
        return {name: np.array([_rounded(row) for row in rows[name]]) for name in LAYERS}


def _rounded(weights: Tensor) -> list[float]:
    return [float(f"{weight:.6g}") for weight in weights.tolist()]


def fit_fusion(found: FoundPlaces, *, steps: int = STEPS) -> Fusion:
    """Fits the fusion by maximum likelihood of the true digits, then its calibration."""
    scores, truth = Scores.joined(found.scores), np.concatenate(found.truth)
    classes = torch.from_numpy(np.where(truth >= 0, truth, len(DIGITS)).astype(np.int64))
    logs, contexts = torch.from_numpy(log_probs(scores)), torch.from_numpy(context(scores))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = FusionNetwork()
        optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            batch = torch.randint(len(classes), (BATCH,))
            loss = functional.nll_loss(network(logs[batch], contexts[batch]), classes[batch])
            descend(network, optimizer, loss)
            schedule.step()
    fusion = Fusion(tuple(_rounded(network.pool)), network.layers())
    return replace(fusion, calibration=fit_calibration(*answers(fusion, found)))


def answers(fusion: Fusion, found: FoundPlaces) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Returns the confidence of each place, calibrated if the fusion is, and which are right."""
    fused = [fusion.fuse(page) for page in found.scores]
    values = np.concatenate([each.probabilities for each in fused]).argmax(axis=1)
    return np.concatenate([one.confidence for one in fused]), values == np.concatenate(found.truth)


def measure(fusion: Fusion, found: FoundPlaces) -> dict[str, Any]:
    """Returns the metrics of a fusion on pictures that it was not fitted on."""
    confidence, right = answers(fusion, found)
    digits = np.concatenate(found.truth) >= 0
    exists = np.concatenate([fusion.fuse(page).existence for page in found.scores])
    stated, at_99 = exists >= THRESHOLDS["reject"], confidence >= 0.99
    return {
        "pictures": len(found.scores),
        "digits": found.total,
        "found": float(digits.sum() / max(1, found.total)),
        "recall": float((right & stated).sum() / max(1, found.total)),
        "precision": float(right[stated].mean()) if stated.any() else None,
        "value_accuracy": float(right[digits].mean()) if digits.any() else None,
        "stated_99": int(at_99.sum()),
        "right_99": float(right[at_99].mean()) if at_99.any() else None,
    }


def calibrate(folder: Path, number: int, seed: int) -> dict[str, Any]:
    """Fits a line reader's fusion and writes it into the card, with its metrics.

    ``number`` is the number of lines, see ``KINDS``. Pictures have writers and fonts held out from
    the training of all networks. Returns the metrics on the half that was not fitted.
    """
    counts = {name: 2 * round(share * number / 2) for name, (share, _) in KINDS.items()}
    reader, pair = DigitReader(lines=folder), held_out_drawers(seed)
    tasks = ((name, each) for name, count in counts.items() for each in range(count))
    examples = (pair[each % 2].draw(name, each) for name, each in tasks)
    with work_bar() as bar:
        total = sum(counts.values())
        found = find_places(reader, bar.track(examples, total, description="calibrating"))
    fusion = fit_fusion(found.part(0, 2))
    held_out = found.part(1, 2)
    confidence, right = answers(fusion, held_out)
    fusion = replace(fusion, risk=risk_coverage(confidence, right, held_out.total))
    results = measure(fusion, held_out)
    card = load_line_card(folder)
    recipe = {**card.recipe, "calibration": {"seed": seed, **counts}}
    card = replace(
        card,
        thresholds=dict(THRESHOLDS),
        fusion=fusion.as_dict(),
        recipe=recipe,
        results={**card.results, "generated": results},
    )
    write_line_card(folder, card)
    return results


class Drawers:
    """Generates pictures held out from training, determined by seed, kind and number."""

    def __init__(self, tiles: Split, fonts: Fonts, seed: int) -> None:
        """Draws with the tiles, fonts and photographs (without digits) given."""
        self._tiles, self._photos, self._seed = tiles, fonts.photos, seed
        self._lines, self._pages = LineMaker(tiles, fonts, seed), PageMaker(tiles, fonts, seed)
        self._documents = DocumentMaker(tiles, fonts, seed)

    def draw(self, kind: str, number: int) -> Example:
        """Draws a picture of a kind in ``KINDS``."""
        return KINDS[kind][1](self, number)

    def line(self, number: int) -> Example:
        """Draws a line as a separate picture, rescaled and with a margin."""
        rng = np.random.default_rng([number, 1])
        # Lone digits are far more common in practice than lone letters that look like them.
        kind = pick(rng, LONE) if rng.random() < 0.5 else None
        line = self._lines.line(number, kind=kind)
        scale = log_uniform(rng, 0.6, 4)
        is_photo = rng.random() < 0.1
        if is_photo:
            scale = min(6 * scale, LONGEST / max(line.pixels.shape))
        pixels = scaled(line.pixels, scale)
        margin = round(len(pixels) * float(rng.choice([0.0, 0.0, 0.3, 1.0])))
        pixels = framed(pixels, margin)
        values = np.array([int(char) for char in line.text if char in DIGITS], np.int8)
        return Example(_add_specks(pixels, rng) if is_photo else pixels, values, None)

    def lone(self, number: int) -> Example:
        """Draws a handwritten digit that fills the picture, as people draw on a screen."""
        rng = np.random.default_rng([self._seed, number, 3])
        index = int(rng.integers(len(self._tiles)))
        side = round(log_uniform(rng, 40, 400))
        method = Image.Resampling.BICUBIC if rng.random() < 0.7 else Image.Resampling.NEAREST
        ink = np.asarray(Image.fromarray(self._tiles.tiles[index]).resize((side, side), method))
        paper, pen = (255.0, 0.0) if rng.random() < 0.5 else rng.uniform((150, 0), (256, 100))
        shade = paper + (pen - paper) * (ink / 255)
        shade = 255 - shade if rng.random() < 0.3 else shade
        pixels = np.repeat(shade.astype(np.uint8)[:, :, None], 3, axis=2)
        return Example(pixels, self._tiles.labels[index : index + 1].astype(np.int8), None)

    def page(self, number: int) -> Example:
        """Draws a page of digits of any kind, a fifth of them plain drawings."""
        rng = np.random.default_rng([number, 2])
        kind = pick(rng, PLAIN) if rng.random() < 0.2 else None
        page = self._pages.page(number, side=int(rng.choice(SIDES)), kind=kind)
        return Example(page.pixels, page.values, page.boxes)

    def asked(self, number: int, kinds: Sequence[str], sides: Sequence[int]) -> Example:
        """Draws a page of one of the given kinds and sides, in pixels."""
        rng = np.random.default_rng([self._seed, number, 4])
        page = self._pages.page(number, side=pick(rng, sides), kind=pick(rng, kinds))
        return Example(page.pixels, page.values, page.boxes)

    def document(self, number: int) -> Example:
        """Draws a document."""
        document = self._documents.document(number)
        return Example(document.pixels, document.values, document.boxes)

    def photo(self, number: int) -> Example:
        """Cuts a piece out of a photograph without digits."""
        rng = np.random.default_rng([self._seed, number])
        width, height = (int(side) for side in rng.integers(96, 640, 2))
        pixels = cut_photo(self._photos, width, height, rng).astype(np.uint8)
        return Example(pixels, np.zeros(0, np.int8), np.zeros((0, 4), np.float32))


# By kind of picture: their number per line, and the function that draws them.
KINDS: dict[str, tuple[float, Callable[[Drawers, int], Example]]] = {
    "lines": (1, Drawers.line),
    "lone": (3, Drawers.lone),
    "pages": (0.5, Drawers.page),
    "documents": (0.2, Drawers.document),
    "photographs": (0.15, Drawers.photo),
    "held": (0.4, partial(Drawers.asked, kinds=("held",), sides=(*SIDES, 768, 1152))),
    "signs": (0.3, partial(Drawers.asked, kinds=("sign", "held sign"), sides=SIDES)),
    "clutter": (0.15, partial(Drawers.asked, kinds=CLUTTER, sides=(*SIDES, 768))),
    "soiled": (0.075, partial(Drawers.asked, kinds=SOILED, sides=(512, 768, 1152, 1728))),
}


def _add_specks(pixels: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Adds a few specks of dirt, far smaller than a line, to a picture uint8[H, W, 3]."""
    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    paper = pixels.reshape(-1, 3).mean(axis=0)
    for _ in range(int(rng.integers(2, 9))):
        corner = rng.uniform(0, (picture.width, picture.height))
        shade = (paper * rng.uniform(0.2, 0.8)).astype(int).tolist()
        pen.ellipse((*corner, *(corner + rng.uniform(2, 16, 2))), tuple(shade))
    return np.asarray(picture)


def held_out_drawers(seed: int) -> tuple[Drawers, Drawers]:
    """Returns two with disjoint writers, fonts and photographs, all held out from training."""
    train, (first, second) = load_mnist().train, writer_halves()
    return _make_drawers(train.take(first), 0, seed), _make_drawers(train.take(second), 1, seed)


def _make_drawers(tiles: Split, first: int, seed: int) -> Drawers:
    part = slice(first, None, 2)
    foreign = load_fonts("foreign", some=part).printed
    fonts = replace(load_fonts("validation", photos=True, some=part), foreign=foreign)
    return Drawers(tiles, fonts, seed + first)


def writer_halves() -> list[npt.NDArray[np.int64]]:
    """Returns the training tiles' rows of each half of ``LineRecipe.split``'s held-out writers."""
    writers = load_writers()
    arrays, shares = writers[:2], (HELD_OUT / 2, HELD_OUT)  # nested: fewer of the same writers
    first, both = (writer_split(*arrays, share, 0) for share in shares)
    return [np.flatnonzero(first), np.flatnonzero(both & ~first)]


def main() -> None:
    """Calibrates a line reader and prints its metrics as JSON."""
    parser = argparse.ArgumentParser(description="Fit the fusion of a line reader.")
    parser.add_argument("--lines", type=Path, required=True, help="folder of the line reader")
    parser.add_argument("--count", type=int, default=1400, help="lines; others in proportion")
    parser.add_argument("--seed", type=int, default=55)
    options = parser.parse_args()
    results = calibrate(options.lines, options.count, options.seed)
    sys.stdout.write(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
