"""In how many steps a network learns, and how long they are; knows no network and no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

FLOOR = 0.01  # share of the highest learning rate at which the cosine ends


@dataclass(frozen=True)
class Schedule:
    """Steps of a training without epochs; the fields are explained in ``DetectorRecipe``."""

    steps: int
    warmup_steps: int
    learning_rate: float
    weight_decay: float
    clip: float
    average: float
    check_every: int


def learning_rate(schedule: Schedule, step: int) -> float:
    """The learning rate at a step, from 0: along a cosine, and rising from zero at first."""
    rising = min((step + 1) / schedule.warmup_steps, 1.0)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1, step / schedule.steps)))
    return schedule.learning_rate * (rising * (cosine * (1 - FLOOR) + FLOOR))
