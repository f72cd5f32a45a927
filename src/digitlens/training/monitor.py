"""Looks at a training while it goes on, seldom enough that it is not slowed down.

Each step's loss is kept; now and then they are fetched, and about once a second the network is
copied and scored on a sample. What is seen is handed on, or written for TensorBoard to show:
numbers, weights, graph.
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

SAMPLE = 1000  # tiles: 10 ms of one core for a small network, and 3 % is 1 % either way
SHARE = 0.1  # of the time may go into looking
_FETCH_EVERY = 0.2  # seconds between two looks at losses: the curves move five times a second
_SCORE_EVERY = 1.0  # seconds between two scores, or more where the share would be exceeded
_WRITE_EVERY = 1.0  # seconds between two writes of losses

Clock = Callable[[], float]


@dataclass(frozen=True)
class Mistake:
    """A tile of a sample that is answered wrong."""

    index: int  # in the sample
    truth: int  # its label
    answer: int  # the most probable digit
    confidence: float  # its probability, before the temperature that is fitted at the end


@dataclass(frozen=True)
class SampleScore:
    """How a network did on a sample."""

    loss: float  # Cross-entropy, of the kind that is trained
    accuracy: float  # share of the tiles that were answered right
    confusion: npt.NDArray[np.int64]  # int64[10, 10]; the row is the truth
    mistakes: tuple[Mistake, ...]  # all of them, the most confident first


class Snapshot:
    """A copy of a network, on the CPU in evaluation mode, that any thread may ask.

    It never changes: a newer one takes its place, so nobody waits for anybody.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).cpu().eval()

    def answers(self, tiles: npt.NDArray[np.uint8]) -> Outputs:
        """Probabilities of tiles uint8[N, 28, 28], and ``digit`` if the network knows none."""
        logits = self._logits(tiles)
        digit = None
        if logits.shape[1] > CLASSES:
            digit = (1 - torch.softmax(logits, dim=1)[:, CLASSES]).numpy()
        return Outputs(torch.softmax(logits[:, :CLASSES], dim=1).numpy(), digit=digit)

    def score(self, sample: Split, smoothing: float) -> SampleScore:
        """How it does on a sample; the loss is smoothed as in training."""
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
        # In evaluation mode nothing is drawn at random: a training goes on as if nobody had asked.
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
    """How far a training is, and the steps since the last pulse."""

    model: int  # of an ensemble, from 1, and ``models`` how many there are
    models: int
    epoch: int  # under way, from 1
    epochs: int
    step: int  # steps done
    steps: int
    images_per_second: float
    # Of this model, if no epoch takes longer and none is spared; None at first.
    seconds_left: float | None
    rows: tuple[Row, ...]  # all epochs done
    points: tuple[Point, ...]  # the steps since the last pulse


@dataclass(frozen=True)
class Check:
    """A score on the sample after a step."""

    step: int
    score: SampleScore


Tell = Callable[[Pulse | Check], None]


class Pace:
    """Says when something is due that shall be done every so often, and take a bounded share."""

    def __init__(self, every: float, clock: Clock) -> None:
        self._every, self._clock = every, clock
        self._next = -float("inf")

    def due(self) -> bool:
        """Whether it is time again."""
        return self._clock() >= self._next

    def done(self, since: float) -> None:
        """Notes that it was done, from ``since`` until now."""
        now = self._clock()
        self._next = now + max(self._every, (now - since) * (1 / SHARE - 1))


class Watcher:
    """Follows one training: its methods are the hooks of ``train``."""

    def __init__(
        self, sample: Split, tell: Tell, *, smoothing: float = 0.0, clock: Clock = time.perf_counter
    ) -> None:
        """Begins to follow; what is seen is told in the thread of the training.

        The network is scored on the sample again and again, with the recipe's smoothing, so that
        losses can be compared.
        """
        self._sample, self._tell, self._smoothing, self._clock = sample, tell, smoothing, clock
        self._fetch, self._score = Pace(_FETCH_EVERY, clock), Pace(_SCORE_EVERY, clock)
        self._steps: list[StepInfo] = []  # since the last pulse
        self._last: StepInfo | None = None
        self._began = (0, 0.0)  # step and time at which this model was first seen
        self._snapshot: Snapshot | None = None

    def on_step(self, info: StepInfo) -> None:
        """Notes a step; looks closer when it is time."""
        if self._last is None or self._last.model != info.model:
            self._began = (info.step, self._clock())
        self._last = info
        self._steps.append(info)
        if self._fetch.due():
            self._pulse(info)
        if self._score.due():
            self._check(info)

    def on_epoch(self, _row: Row) -> None:
        """Looks at an epoch's end, whenever it comes."""
        if self._last:
            self._pulse(self._last)
            self._check(self._last)

    def keep(self, network: torch.nn.Module) -> None:
        """Takes the network that was kept in the end, scores it, and answers with it."""
        self._snapshot = Snapshot(network)
        step = self._last.step if self._last else 0
        self._tell(Check(step, self._snapshot.score(self._sample, self._smoothing)))

    def answers(self, tiles: npt.NDArray[np.uint8]) -> Outputs | None:
        """What the network, as it stands, says of tiles; from any thread, None before a step."""
        snapshot = self._snapshot
        return snapshot.answers(tiles) if snapshot else None

    def _pulse(self, info: StepInfo) -> None:
        since = self._clock()
        place = info.model, info.models, info.epoch, info.epochs, info.step, info.steps
        pace = info.images_per_second, self._seconds_left(info)
        self._tell(Pulse(*place, *pace, tuple(info.history), points_of(self._steps)))
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
    """Writes the files of one training: its methods are the hooks of ``train``.

    Tags: ``step/…`` by steps; ``epoch/…`` by epochs, named and valued as in ``history.jsonl``;
    ``weights/…`` by epochs, with the first filters as a picture. Models of an ensemble are runs of
    their own.
    """

    def __init__(self, folder: Path, recipe: str) -> None:
        """Begins to follow; the folder is made with the first step.

        A folder that has event files, of a run that was stopped, gets more, and what the run did
        after its last checkpoint is taken back. The recipe is TOML, shown as text.
        """
        self._folder, self._recipe = folder, recipe
        self._fetch = Pace(_WRITE_EVERY, time.perf_counter)
        self._writer: Any = None  # a SummaryWriter while a model is followed
        self._model = 0
        self._steps: list[StepInfo] = []
        self._network: nn.Module = nn.Identity()

    def on_step(self, info: StepInfo) -> None:
        """Notes a step; writes what has come together when it is time."""
        if info.model != self._model:
            self._begin(info)
        self._steps.append(info)
        if self._fetch.due():
            self._write_steps()

    def on_epoch(self, row: Row) -> None:
        """Writes an epoch's row, and how the network looks after it."""
        self._write_steps()
        _write_row(self._writer, row)
        _write_weights(self._writer, self._network, int(row["epoch"]))
        self._writer.flush()

    def close(self) -> None:
        """Writes what is left."""
        if self._writer:
            self._write_steps()
            self._writer.close()
            self._writer = None

    def _begin(self, info: StepInfo) -> None:
        """Opens the files of a model; a run that goes on forgets steps that are taken again."""
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (an extra)

        self.close()
        folder = self._folder / (f"member-{info.model}" if info.models > 1 else "")
        known = any(folder.glob("events.*"))
        self._model, self._network = info.model, info.network
        self._writer = SummaryWriter(str(folder), purge_step=info.step if known else None)
        if not known:
            for row in info.history:  # a run that was begun without
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
    if first is not None:  # bright where ink speaks for, dark where it speaks against
        kernels = first.weight.detach().float().cpu()
        shares = 0.5 + 0.5 * kernels / kernels.abs().max().clamp(min=1e-9)
        shown = functional.interpolate(functional.pad(shares, [1] * 4, value=1.0), scale_factor=12)
        writer.add_images("weights/filters", shown, epoch)


def _write_graph(writer: SummaryWriter, network: nn.Module) -> None:
    """The graph as it answers: in training mode tracing would draw random numbers."""
    answering = Snapshot(network).network
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of itself: it is what TensorBoard asks for
        writer.add_graph(answering, torch.zeros(1, 28, 28, dtype=torch.uint8))
