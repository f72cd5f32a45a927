"""What has been seen of a training so far: written by its thread, read by the server's.

A page that is opened late is given all of it; one that is there, what came since. Curves grow
without end in bounded memory: the longer one is, the more steps a point stands for.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from digitlens.training.monitor import Check, Pulse, SampleScore

MOST = 2000  # points: more than a screen has columns

Values = tuple[float, ...]


class Curve:
    """Points of equally many steps each; when there are too many, two become one.

    Attributes:
        points: Each with the number of the news that completed it, and its values: the number of
            its last step, and means.
    """

    def __init__(self, most: int = MOST) -> None:
        self.points: list[tuple[int, Values]] = []
        self._most = most
        self._stride = 1
        self._waiting: list[Values] = []  # fewer than make a point

    def add(self, serial: int, values: Values) -> None:
        """Takes up a step: its number, then what is averaged."""
        self._waiting.append(values)
        if len(self._waiting) == self._stride:
            self.points.append((serial, _mean(self._waiting)))
            self._waiting = []
        if len(self.points) == 2 * self._most:
            self.points = [
                (later[0], _mean([earlier[1], later[1]]))
                for earlier, later in zip(self.points[::2], self.points[1::2], strict=True)
            ]
            self._stride *= 2

    def since(self, serial: int) -> list[Values]:
        """The points that were completed by later news than that."""
        return [values for number, values in self.points if number > serial]


def _mean(values: list[Values]) -> Values:
    means = (sum(column) / len(values) for column in list(zip(*values, strict=True))[1:])
    return values[-1][0], *(_short(mean) for mean in means)


def _short(value: float) -> float:
    """Five digits of a number; JSON knows no NaN or infinity, which a curve shows as far above."""
    return float(f"{value:.5g}") if abs(value) < float("inf") else 1e9


@dataclass(frozen=True)
class TrainingInfo:
    """What is trained, for the head of the page, and the sample that it is scored on."""

    name: str
    recipe: dict[str, Any]
    sample: str
    count: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return vars(self)


@dataclass(frozen=True)
class Mark:
    """How much a reader has been given: the last news, and which network's they were."""

    serial: int = 0
    member: int = 0


class Live:
    """The curves and scores of a training, and how it stands."""

    def __init__(self, info: TrainingInfo) -> None:
        self.info = info
        self._lock = threading.Lock()
        self._serial = 1  # a mark of 0 has been given nothing
        self._pulse: Pulse | None = None
        self._steps, self._checks = Curve(), Curve()
        self._score: tuple[int, SampleScore] | None = None
        self._ended = ""
        self._readers = 0

    @property
    def readers(self) -> int:
        """Pages that are open."""
        return self._readers

    def tell(self, news: Pulse | Check) -> None:
        """Takes up what a watcher saw."""
        with self._lock:
            self._serial += 1
            if isinstance(news, Pulse):
                self._take_pulse(news)
            else:
                self._take_check(news)

    def end(self, how: str) -> None:
        """Notes that the training is over, and how it ended in a sentence."""
        with self._lock:
            self._serial += 1
            self._ended = how

    def join(self, more: int) -> None:
        """Counts a page that came (1) or went (-1)."""
        with self._lock:
            self._readers += more

    def since(self, mark: Mark) -> tuple[dict[str, Any] | None, Mark]:
        """What a page is not yet told, and its next mark.

        Returns:
            What goes out as JSON; None if there is no news. ``whole`` is true where it is
            everything there is: at first, and when another member has begun.
        """
        with self._lock:
            if mark.serial == self._serial:
                return None, mark
            member = self._pulse.model if self._pulse else 0
            whole = not mark.serial or member != mark.member
            after = -1 if whole else mark.serial
            return self._news(whole, after), Mark(self._serial, member)

    def _take_pulse(self, pulse: Pulse) -> None:
        if self._pulse and self._pulse.model != pulse.model:
            self._steps, self._checks = Curve(), Curve()
        self._pulse = pulse
        for point in pulse.points:
            values = (point.step, point.loss, point.accuracy, point.learning_rate)
            self._steps.add(self._serial, values)

    def _take_check(self, check: Check) -> None:
        score = check.score
        self._checks.add(self._serial, (check.step, score.loss, score.accuracy))
        self._score = self._serial, score

    def _news(self, whole: bool, after: int) -> dict[str, Any]:
        news: dict[str, Any] = {
            "whole": whole,
            "steps": self._steps.since(after),
            "checks": self._checks.since(after),
            "ended": self._ended,
        }
        if self._pulse:
            news["progress"] = _progress(self._pulse)
        if self._score and self._score[0] > after:
            news |= _score_dict(self._score[1])
        return news


def _progress(pulse: Pulse) -> dict[str, Any]:
    left = None if pulse.seconds_left is None else round(pulse.seconds_left, 1)
    return {
        "member": pulse.model,
        "members": pulse.models,
        "epoch": pulse.epoch,
        "epochs": pulse.epochs,
        "step": pulse.step,
        "steps": pulse.steps,
        "images_per_second": round(pulse.images_per_second),
        "seconds_left": left,
        "rows": list(pulse.rows),
    }


def _score_dict(score: SampleScore) -> dict[str, Any]:
    mistakes = [(m.index, m.truth, m.answer, round(m.confidence, 4)) for m in score.mistakes]
    return {"confusion": score.confusion.tolist(), "mistakes": mistakes}
