"""Looks at a training while it goes on, seldom enough that it is not slowed down.

Each step's loss is kept; now and then they are fetched, and about once a second the network is
copied and scored on a sample. What is seen is handed on; who shows it, and how, is not known here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from digitlens.datasets.mnist import Split
from digitlens.outputs import Outputs
from digitlens.training.checkpoint import Row
from digitlens.training.moment import Moment
from digitlens.training.snapshot import Glance, Snapshot

SHARE = 0.1  # of the time may go into looking
_FETCH_EVERY = 0.2  # seconds between two looks at losses: the curves move five times a second
_SCORE_EVERY = 1.0  # seconds between two scores, or more where the share would be exceeded

Clock = Callable[[], float]


@dataclass(frozen=True)
class Point:
    """One step: its number from 1, loss and accuracy of its batch, and learning rate."""

    step: int
    loss: float
    accuracy: float
    learning_rate: float


@dataclass(frozen=True)
class Pulse:
    """How far a training is, and the steps since the last pulse.

    Attributes:
        member: Of a committee, from 1, and ``members`` how many there are.
        epoch: Under way, from 1.
        step: Steps done.
        seconds_left: Of this member, if no epoch takes longer and none is spared; None at first.
        rows: All epochs done.
        points: The steps since the last pulse.
    """

    member: int
    members: int
    epoch: int
    epochs: int
    step: int
    steps: int
    images_per_second: float
    seconds_left: float | None
    rows: tuple[Row, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Check:
    """A score on the sample after a step."""

    step: int
    glance: Glance


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
        self,
        sample: Split,
        tell: Tell,
        *,
        smoothing: float = 0.0,
        clock: Clock = time.perf_counter,
    ) -> None:
        """Begins to follow.

        Args:
            sample: What the network is scored on, again and again; see ``sample_of``.
            tell: Is told what is seen, in the thread of the training.
            smoothing: Of the recipe, so that losses can be compared.
            clock: Seconds.
        """
        self._sample, self._tell, self._smoothing, self._clock = sample, tell, smoothing, clock
        self._fetch, self._score = Pace(_FETCH_EVERY, clock), Pace(_SCORE_EVERY, clock)
        self._moments: list[Moment] = []  # since the last pulse
        self._last: Moment | None = None
        self._began = (0, 0.0)  # step and time at which this member was first seen
        self._snapshot: Snapshot | None = None

    def on_step(self, moment: Moment) -> None:
        """Notes a step; looks closer when it is time."""
        if self._last is None or self._last.member != moment.member:
            self._began = (moment.step, self._clock())
        self._last = moment
        self._moments.append(moment)
        if self._fetch.due():
            self._pulse(moment)
        if self._score.due():
            self._check(moment)

    def on_epoch(self, _row: Row) -> None:
        """Looks at an epoch's end, whenever it comes."""
        if self._last:
            self._pulse(self._last)
            self._check(self._last)

    def keep(self, network: torch.nn.Module) -> None:
        """Takes the network that was kept in the end, scores it, and answers with it."""
        self._snapshot = Snapshot(network)
        step = self._last.step if self._last else 0
        self._tell(Check(step, self._snapshot.glance(self._sample, self._smoothing)))

    def answers(self, tiles: npt.NDArray[np.uint8]) -> Outputs | None:
        """What the network says as it stands, from any thread; None before its first step.

        Args:
            tiles: uint8[N, 28, 28].
        """
        snapshot = self._snapshot
        return snapshot.answers(tiles) if snapshot else None

    def _pulse(self, moment: Moment) -> None:
        since = self._clock()
        self._tell(
            Pulse(
                moment.member,
                moment.members,
                moment.epoch,
                moment.epochs,
                moment.step,
                moment.steps,
                moment.images_per_second,
                self._seconds_left(moment),
                tuple(moment.history),
                points_of(self._moments),
            )
        )
        self._moments = []
        self._fetch.done(since)

    def _check(self, moment: Moment) -> None:
        since = self._clock()
        self._snapshot = Snapshot(moment.network)
        self._tell(Check(moment.step, self._snapshot.glance(self._sample, self._smoothing)))
        self._score.done(since)

    def _seconds_left(self, moment: Moment) -> float | None:
        step, start = self._began
        if moment.step == step:
            return None
        return (self._clock() - start) / (moment.step - step) * (moment.steps - moment.step)


def points_of(moments: list[Moment]) -> tuple[Point, ...]:
    """The numbers of some steps, fetched at once."""
    if not moments:
        return ()
    pairs = torch.stack([torch.stack((moment.loss, moment.accuracy)) for moment in moments])
    return tuple(
        Point(moment.step, loss, accuracy, moment.learning_rate)
        for moment, (loss, accuracy) in zip(moments, pairs.float().tolist(), strict=True)
    )
