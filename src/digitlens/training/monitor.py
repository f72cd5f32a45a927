"""Monitors a running training, rarely enough not to slow it down.

Losses of all steps are collected and fetched a few times a second; about once a second the network
is copied and scored on a sample. A callback receives the results, or a TensorBoard writer, which
also records weights and graph.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from digitlens.datasets.mnist import Split
from digitlens.evaluation.metrics import confusion_matrix
from digitlens.results import Outputs
from digitlens.training.loop import Row, StepInfo
from digitlens.training.tile_networks import CLASSES, predict_logits

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

SAMPLE = 1000  # tiles: 10 ms on one core for a small network; an error of 3 % is within 1 %
SHARE = 0.1  # maximum fraction of the time spent on monitoring
_FETCH_EVERY = 0.2  # seconds between two fetches of losses: curves update five times a second
_SCORE_EVERY = 1.0  # seconds between two scores, or more if they would exceed SHARE
_WRITE_EVERY = 1.0  # seconds between two writes of losses

Clock = Callable[[], float]


@dataclass(frozen=True)
class Mistake:
    """A misclassified tile of a sample."""

    index: int  # in the sample
    truth: int  # its label
    answer: int  # the most probable digit
    confidence: float  # its probability, before the temperature fitted at the end


@dataclass(frozen=True)
class SampleScore:
    """A network's performance on a sample."""

    loss: float  # cross-entropy, smoothed as in training
    accuracy: float  # fraction of tiles classified correctly
    confusion: npt.NDArray[np.int64]  # int64[10, 10]; the row is the truth
    mistakes: tuple[Mistake, ...]  # all of them, the most confident first


class Snapshot:
    """A copy of a network, on the CPU in evaluation mode, that any thread may use.

    It never changes but is replaced by a newer one, so that no thread has to wait.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).cpu().eval()

    def answers(self, tiles: npt.NDArray[np.uint8]) -> Outputs:
        """Classifies tiles uint8[N, 28, 28]; sets ``digit`` if there is a class for negatives."""
        logits = self._logits(tiles)
        digit = None
        if logits.shape[1] > CLASSES:
            digit = (1 - torch.softmax(logits, dim=1)[:, CLASSES]).numpy()
        return Outputs(torch.softmax(logits[:, :CLASSES], dim=1).numpy(), digit=digit)

    def score(self, sample: Split, smoothing: float) -> SampleScore:
        """Scores the network on a sample; ``smoothing`` is the label smoothing of the loss."""
        logits = self._logits(sample.tiles)
        labels = torch.from_numpy(sample.labels).long()
        loss = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        probabilities = torch.softmax(logits[:, :CLASSES], dim=1).numpy()
        answers = probabilities.argmax(axis=1)
        confidence = probabilities.max(axis=1)
        wrong = np.flatnonzero(answers != sample.labels)
        wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
        columns = wrong, sample.labels[wrong], answers[wrong], confidence[wrong].astype(float)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        mistakes = tuple(Mistake(*row) for row in rows)
        confusion = confusion_matrix(sample.labels, answers)
        return SampleScore(float(loss), 1 - len(wrong) / len(answers), confusion, mistakes)

    def _logits(self, tiles: npt.NDArray[np.uint8]) -> torch.Tensor:
        # Evaluation mode draws no random numbers, so the training is not affected.
        return predict_logits(self.network, torch.from_numpy(tiles))


@dataclass(frozen=True)
class Point:
    """One step: its number from 1, loss and accuracy of its batch, and learning rate."""

    step: int
    loss: float
    accuracy: float
    learning_rate: float


@dataclass(frozen=True)
class Pulse:
    """The progress of a training, and its steps since the last pulse."""

    model: int  # of an ensemble, from 1
    models: int  # of the ensemble
    epoch: int  # current one, from 1
    epochs: int
    step: int  # steps done
    steps: int
    images_per_second: float
    # Estimate for this model, without early stopping; None at first.
    seconds_left: float | None
    rows: tuple[Row, ...]  # one per completed epoch
    points: tuple[Point, ...]  # the steps since the last pulse


@dataclass(frozen=True)
class Check:
    """A score on the sample after a step."""

    step: int
    score: SampleScore


Tell = Callable[[Pulse | Check], None]


class Throttle:
    """Schedules recurring work at an interval, and less often if it takes too much of the time."""

    def __init__(self, every: float, clock: Clock) -> None:
        self._every, self._clock = every, clock
        self._next = -float("inf")

    def due(self) -> bool:
        """Returns whether the work is due."""
        return self._clock() >= self._next

    def done(self, since: float) -> None:
        """Records that the work was done, from ``since`` until now."""
        now = self._clock()
        self._next = now + max(self._every, (now - since) * (1 / SHARE - 1))


class Watcher:
    """Monitors one training; its methods are the callbacks of ``train``."""

    def __init__(
        self, sample: Split, tell: Tell, *, smoothing: float = 0.0, clock: Clock = time.perf_counter
    ) -> None:
        """Calls ``tell`` with pulses and checks, in the thread of the training.

        ``sample`` is scored repeatedly; pass the recipe's label smoothing as ``smoothing`` to make
        its losses comparable with the training losses.
        """
        self._sample, self._tell, self._smoothing, self._clock = sample, tell, smoothing, clock
        self._fetch, self._score = Throttle(_FETCH_EVERY, clock), Throttle(_SCORE_EVERY, clock)
        self._steps: list[StepInfo] = []  # since the last pulse
        self._last: StepInfo | None = None
        self._began = (0, 0.0)  # step and time at which this model was first seen
        self._snapshot: Snapshot | None = None

    def on_step(self, info: StepInfo) -> None:
        """Records a step; fetches losses and scores the network when due."""
        if self._last is None or self._last.model != info.model:
            self._began = (info.step, self._clock())
        self._last = info
        self._steps.append(info)
        if self._fetch.due():
            self._pulse(info)
        if self._score.due():
            self._check(info)

    def on_epoch(self, _row: Row) -> None:
        """Fetches losses and scores the network at the end of each epoch."""
        if self._last:
            self._pulse(self._last)
            self._check(self._last)

    def keep(self, network: torch.nn.Module) -> None:
        """Scores the final network and uses it for later answers."""
        self._snapshot = Snapshot(network)
        step = self._last.step if self._last else 0
        self._tell(Check(step, self._snapshot.score(self._sample, self._smoothing)))

    def answers(self, tiles: npt.NDArray[np.uint8]) -> Outputs | None:
        """Classifies tiles with the latest snapshot, in any thread; None before the first step."""
        snapshot = self._snapshot
        return snapshot.answers(tiles) if snapshot else None

    def _pulse(self, info: StepInfo) -> None:
        since = self._clock()
        progress = info.model, info.models, info.epoch, info.epochs, info.step, info.steps
        speed = info.images_per_second, self._seconds_left(info)
        self._tell(Pulse(*progress, *speed, tuple(info.history), points_of(self._steps)))
        self._steps = []
        self._fetch.done(since)

    def _check(self, info: StepInfo) -> None:
        since = self._clock()
        self._snapshot = Snapshot(info.network)
        self._tell(Check(info.step, self._snapshot.score(self._sample, self._smoothing)))
        self._score.done(since)

    def _seconds_left(self, info: StepInfo) -> float | None:
        step, start = self._began
        if info.step == step:
            return None
        return (self._clock() - start) / (info.step - step) * (info.steps - info.step)


def points_of(steps: list[StepInfo]) -> tuple[Point, ...]:
    """The numbers of some steps, fetched at once."""
    if not steps:
        return ()
    names = "train_loss", "train_accuracy"
    pairs = torch.stack([torch.stack([info.losses[name] for name in names]) for info in steps])
    rows = zip(steps, pairs.float().tolist(), strict=True)
    return tuple(Point(info.step, a, b, info.learning_rate) for info, (a, b) in rows)


class TensorBoard:
    """Writes the TensorBoard files of one training; its methods are the callbacks of ``train``.

    Tags: ``step/…`` by step; ``epoch/…`` by epoch, with names and values as in ``history.jsonl``;
    ``weights/…`` by epoch, including the first filters as images. Each model of an ensemble is a
    separate run.
    """

    def __init__(self, folder: Path, recipe: str) -> None:
        """Creates the folder with the first step.

        If the folder has event files of a stopped run, they are continued, and steps after its last
        checkpoint are purged. ``recipe`` is TOML, shown as text.
        """
        self._folder, self._recipe = folder, recipe
        self._fetch = Throttle(_WRITE_EVERY, time.perf_counter)
        self._writer: Any = None  # a SummaryWriter while a model is followed
        self._model = 0
        self._steps: list[StepInfo] = []
        self._network: nn.Module = nn.Identity()

    def on_step(self, info: StepInfo) -> None:
        """Records a step; writes the recorded steps when due."""
        if info.model != self._model:
            self._begin(info)
        self._steps.append(info)
        if self._fetch.due():
            self._write_steps()

    def on_epoch(self, row: Row) -> None:
        """Writes an epoch's row and the network's weights."""
        self._write_steps()
        _write_row(self._writer, row)
        _write_weights(self._writer, self._network, int(row["epoch"]))
        self._writer.flush()

    def close(self) -> None:
        """Writes the remaining steps and closes the files."""
        if self._writer:
            self._write_steps()
            self._writer.close()
            self._writer = None

    def _begin(self, info: StepInfo) -> None:
        """Opens the files of a model; purges steps that a resumed run will repeat."""
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (an extra)

        self.close()
        folder = self._folder / (f"member-{info.model}" if info.models > 1 else "")
        has_events = any(folder.glob("events.*"))
        self._model, self._network = info.model, info.network
        self._writer = SummaryWriter(str(folder), purge_step=info.step if has_events else None)
        if not has_events:
            for row in info.history:  # the run was started without TensorBoard
                _write_row(self._writer, row)
            self._writer.add_text("recipe", f"```toml\n{self._recipe}\n```")
            _write_graph(self._writer, info.network)

    def _write_steps(self) -> None:
        since = time.perf_counter()
        for point, info in zip(points_of(self._steps), self._steps, strict=True):
            values = vars(point) | {"images_per_second": info.images_per_second}
            del values["step"]
            for name, value in values.items():
                self._writer.add_scalar(f"step/{name}", value, point.step)
        self._steps = []
        self._fetch.done(since)


def _write_row(writer: SummaryWriter, row: Row) -> None:
    for name, value in row.items():
        if name not in {"epoch", "step"}:
            writer.add_scalar(f"epoch/{name}", value, int(row["epoch"]))


def _write_weights(writer: SummaryWriter, network: nn.Module, epoch: int) -> None:
    for name, weight in network.named_parameters():
        writer.add_histogram(f"weights/{name}", weight.detach().float().cpu(), epoch)
    first = next((part for part in network.modules() if isinstance(part, nn.Conv2d)), None)
    if first is not None:  # bright for positive weights, dark for negative ones
        kernels = first.weight.detach().float().cpu()
        levels = 0.5 + 0.5 * kernels / kernels.abs().max().clamp(min=1e-9)
        images = functional.interpolate(functional.pad(levels, [1] * 4, value=1.0), scale_factor=12)
        writer.add_images("weights/filters", images, epoch)


def _write_graph(writer: SummaryWriter, network: nn.Module) -> None:
    """Writes the graph in evaluation mode: in training mode, tracing would draw random numbers."""
    answering = Snapshot(network).network
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing, which TensorBoard requires, is deprecated
        writer.add_graph(answering, torch.zeros(1, 28, 28, dtype=torch.uint8))
