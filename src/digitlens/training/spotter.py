"""Trains the digit spotter of a line reader to predict where the recogniser finds digits, spaces.

``python -m digitlens.training.spotter --lines FOLDER`` writes ``spotter.onnx`` and its hash there.
The recogniser provides the targets (distillation), so that lines need no boxes, and the spotter
keeps all that the recogniser takes for a digit, rightly or wrongly.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from digitlens import files
from digitlens.alphabet import CLASS_OF, DIGITS
from digitlens.datasets.mnist import load_mnist
from digitlens.datasets.synthetic.lines import LineMaker
from digitlens.imaging.framing import GRAY
from digitlens.models.bundle import SPOTTER, load_line_bundle, load_line_card, write_line_card
from digitlens.models.networks import LineRecognizer
from digitlens.progress import note, work_bar
from digitlens.reading.recognize import DIGIT_THRESHOLD
from digitlens.training.export import export_spotter
from digitlens.training.loop import descend
from digitlens.training.optim import set_learning_rate
from digitlens.training.page_networks import HEIGHT, STRIDE, SpotterNetwork
from digitlens.training.recipe import LineRecipe
from digitlens.training.settings import Schedule
from digitlens.training.tasks.line import line_makers

# Fraction of each kind of lines: mostly text, since the spotter runs only on pages of text.
KINDS = {
    "print words": 0.3,
    "words": 0.2,
    "screen": 0.15,
    "print number": 0.12,
    "hand words": 0.08,
    "nothing": 0.05,
    "hand number": 0.03,
    "stamp": 0.03,
    "amount": 0.02,
    "sign": 0.02,
}
CHECKED = 100  # lines on which graph and network are compared
_BATCH = 48
_PEAK_RATE = 4e-3  # peak learning rate of AdamW
_MAX_WARMUP = 100  # steps, at most
_POSITIVE = 0.3  # probability above which a step has ...
_POSITIVE_WEIGHT = 4.0  # ... this weight in the loss instead of 1
_INVERTED_SHARE = 0.3  # fraction of batches whose brightness is inverted
_DIGIT_CLASSES = [CLASS_OF[digit] for digit in DIGITS]

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class Spotted(NamedTuple):
    """A line uint8[48, W, 3], with probabilities float32[W / 8, 2] of a digit and of a space."""

    pixels: Pixels
    steps: Floats


def spotted_lines(
    maker: LineMaker, recognizer: LineRecognizer, count: int, seed: int
) -> Iterator[Spotted]:
    """Draws lines and labels them with a recogniser."""
    rng = np.random.default_rng(seed)
    kinds, shares = list(KINDS), list(KINDS.values())
    for number in range(count):
        pixels = maker.line(seed * 1_000_000 + number, kind=str(rng.choice(kinds, p=shares))).pixels
        posteriors = recognizer.posteriors([pixels[None]])[0][0]
        digit, space = posteriors[:, _DIGIT_CLASSES].max(axis=1), posteriors[:, CLASS_OF[" "]]
        yield Spotted(pixels, np.stack([digit, space], axis=1))


def train_spotter(lines: Sequence[Spotted], steps: int, seed: int = 0) -> SpotterNetwork:
    """Trains on batches of lines of similar width, with AdamW and a cosine schedule."""
    torch.manual_seed(seed)
    rng, network = np.random.default_rng(seed), SpotterNetwork()
    order = sorted(lines, key=lambda line: line.pixels.shape[1])
    optimizer = torch.optim.AdamW(network.parameters(), _PEAK_RATE, weight_decay=1e-4)
    schedule = Schedule(steps, steps, _PEAK_RATE, min(_MAX_WARMUP, steps // 10), floor=0.0)
    with work_bar() as bar:
        for step in bar.track(range(steps), description="spotter"):
            set_learning_rate(optimizer, schedule.learning_rate(step))
            first = int(rng.integers(0, max(1, len(order) - _BATCH)))
            pixels, targets, mask = _batch(order[first : first + _BATCH])
            inputs = 255 - pixels if rng.random() < _INVERTED_SHARE else pixels
            loss = _loss(network(inputs), targets, mask)
            descend(network, optimizer, loss, clip=1.0)
    return network.eval()


def _batch(lines: Sequence[Spotted]) -> tuple[Tensor, Tensor, Tensor]:
    """Returns pixels uint8[N, 48, W, 3], targets float32[N, W / 8, 2] and a mask of the steps."""
    widest = max(line.pixels.shape[1] for line in lines)
    pixels = np.full((len(lines), HEIGHT, widest, 3), GRAY, np.uint8)
    targets = np.zeros((len(lines), widest // STRIDE, 2), np.float32)
    mask = np.zeros(targets.shape[:2], np.float32)
    for row, line in enumerate(lines):
        pixels[row, :, : line.pixels.shape[1]] = line.pixels
        targets[row, : len(line.steps)], mask[row, : len(line.steps)] = line.steps, 1
    near_digit = functional.max_pool1d(torch.from_numpy(targets[:, :, 0])[:, None], 3, 1, 1)[:, 0]
    near_and_space = torch.stack([near_digit, torch.from_numpy(targets[:, :, 1])], dim=2)
    return torch.from_numpy(pixels), near_and_space, torch.from_numpy(mask)


def _loss(logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy; steps with a digit or space weigh more, padding does not count."""
    losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    weights = mask[:, :, None] * (1 + (_POSITIVE_WEIGHT - 1) * (targets > _POSITIVE))
    return (losses * weights).sum() / weights.sum()


def write_spotter(folder: Path, network: SpotterNetwork, lines: Sequence[Pixels]) -> None:
    """Exports a spotter into the folder of a line reader."""
    graph = export_spotter(network, lines)
    files.write_bytes(folder / SPOTTER, graph)
    card = replace(load_line_card(folder), spotter_sha256=files.sha256(graph))
    write_line_card(folder, card)


def main() -> None:
    """Trains the spotter of a line reader and writes it next to the recogniser."""
    parser = argparse.ArgumentParser(description="Train the digit spotter of a line reader.")
    parser.add_argument("--lines", type=Path, required=True, help="folder of the line reader")
    parser.add_argument("--count", type=int, default=38_000, help="training lines")
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--seed", type=int, default=21)
    options = parser.parse_args()
    recipe = LineRecipe()
    maker, validation = line_makers(recipe, *recipe.split(load_mnist().train))
    recognizer = LineRecognizer(load_line_bundle(options.lines).recognizer)
    drawn = spotted_lines(maker, recognizer, options.count, options.seed)
    with work_bar() as bar:
        lines = list(bar.track(drawn, options.count, description="drawing"))
    network = train_spotter(lines, options.steps, options.seed)
    held_out = list(spotted_lines(validation, recognizer, 10 * CHECKED, options.seed))
    write_spotter(options.lines, network, [line.pixels for line in held_out[:CHECKED]])
    for name, share in spotting_scores(network, held_out).items():
        note(f"{name}: {share:.2%}")


@torch.no_grad()
def spotting_scores(network: SpotterNetwork, lines: Sequence[Spotted]) -> dict[str, float]:
    """Returns the fractions of steps with and without a digit that are spotted in reading."""
    logits = [network(torch.from_numpy(line.pixels[None]))[0, :, 0] for line in lines]
    hits = (torch.sigmoid(torch.cat(logits)) > DIGIT_THRESHOLD).numpy()
    digits = np.concatenate([line.steps[:, 0] for line in lines])
    return {"found": float(hits[digits > 0.5].mean()), "wrong": float(hits[digits < 0.05].mean())}


if __name__ == "__main__":
    main()
