"""What a page is made from: what was found of one classifier, as values; measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.datasets.mnist import Split
from digitlens.evaluation.report import Report
from digitlens.evaluation.robustness import Robustness
from digitlens.evaluation.speed import Speed
from digitlens.models.bundle import Card

Tiles = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The training digits nearest to the errors that the page shows, nearest first.

    Attributes:
        tiles: uint8[K, k, 28, 28].
        labels: uint8[K, k].
        distances: float32[K, k]; 0 to 2, see ``evaluation.neighbours``.
        known: How many training digits were compared.
    """

    tiles: Tiles
    labels: npt.NDArray[np.uint8]
    distances: npt.NDArray[np.float32]
    known: int


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything that one page tells of one classifier.

    Attributes:
        card: The model's card: name, recipe, hashes.
        report: Its evaluation.
        tiles: uint8[N, 28, 28]; the tiles it was evaluated on, in their order.
        on: ``test`` or ``validation``: which tiles these are.
        written: When.
        machine: Where it was measured, in words.
        trained_on: Tiles that it was trained with; None if that is not known.
        history: One row an epoch; empty of a model without its run.
        provenance: What ``run.json`` says; likewise.
        neighbours: Of the errors of ``mistakes.shown_errors``; None where ``alone`` says why.
        alone: Why there are no neighbours.
        robustness: On some of the tiles; None leaves its section out.
        worse: The tiles of ``robustness``, before they were made worse.
        speed: None leaves its section out.
    """

    card: Card
    report: Report
    tiles: Tiles
    on: str
    written: datetime
    machine: str = ""
    trained_on: int | None = None
    history: Sequence[Mapping[str, float]] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])
    neighbours: Neighbours | None = None
    alone: str = ""
    robustness: Robustness | None = None
    worse: Split | None = None
    speed: Speed | None = None


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: Its anchor, and the name of its template.
        title: Its heading.
        values: What the template asks for, by name.
    """

    name: str
    title: str
    values: Mapping[str, Any]
