"""What a study found, as frozen values and as a table; knows neither Optuna nor torch."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from digitlens.training.recipe import Recipe
from digitlens.training.search_space import SearchSpace, Value

State = Literal["complete", "pruned", "failed", "running"]
INTERRUPTED = "interrupted"
DECIMALS = 6  # in JSON and tables


@dataclass(frozen=True)
class Trial:
    """One recipe that was tried.

    Attributes:
        number: From 1, in the order of their beginnings.
        state: How far it came.
        chosen: Value of each searched field.
        accuracy: Mean validation accuracy over its seeds, 0 to 1; None unless complete.
        accuracies: The same for each seed that was trained.
        losses: Validation loss of each, in nats; label smoothing included, so that recipes of
            different smoothing cannot be compared by it.
        seconds: Time spent training.
        reason: Why it was pruned or failed, or whose result was taken over.
        latest: Accuracy after the last epoch that was reported, 0 to 1; None before the first.
    """

    number: int
    state: State
    chosen: Mapping[str, Value]
    accuracy: float | None = None
    accuracies: tuple[float, ...] = ()
    losses: tuple[float, ...] = ()
    seconds: float = 0.0
    reason: str = ""
    latest: float | None = None

    @property
    def counts(self) -> bool:
        """Whether it is one of the trials that were asked for: what was interrupted is not."""
        return not (self.state == "failed" and self.reason in {"", INTERRUPTED})


@dataclass(frozen=True)
class StudyResult:
    """All trials of a study.

    Attributes:
        name: The study's name.
        space: What was searched.
        seeds: Trainings a trial.
        tiles: Validation tiles, on which all trials were measured.
        trials: In the order of their beginnings.
        importance: Share of each searched field in what makes a trial good, largest first; empty
            while too few trials are complete.
    """

    name: str
    space: SearchSpace
    seeds: int
    tiles: int
    trials: tuple[Trial, ...]
    importance: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def ranked(self) -> list[Trial]:
        """The complete trials, best first, and the earlier one of equals."""
        done = [trial for trial in self.trials if trial.accuracy is not None]
        return sorted(done, key=lambda trial: (-(trial.accuracy or 0.0), trial.number))

    @property
    def best(self) -> Trial | None:
        """The complete trial of the highest accuracy; None before the first."""
        return next(iter(self.ranked), None)

    @property
    def best_recipe(self) -> Recipe | None:
        """Its recipe, with the seed of the study."""
        return self.space.recipe(self.best.chosen) if self.best else None

    def count(self, *states: State) -> int:
        """Trials in one of these states."""
        return sum(trial.state in states for trial in self.trials)

    def as_dict(self) -> dict[str, Any]:
        """The study as JSON-ready values."""
        best = self.best
        return {
            "study": self.name,
            "objective": "validation accuracy, mean over seeds",
            **self.space.as_dict(),
            "seeds": self.seeds,
            "validation_tiles": self.tiles,
            "best": _row(best) if best else None,
            "importance": {name: round(share, 4) for name, share in self.importance.items()},
            "trials": [_row(trial) for trial in self.trials],
        }

    def as_csv(self) -> str:
        """The trials as a table, one a line."""
        names = [one.name for one in self.space.dimensions]
        stream = io.StringIO()
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["number", "state", "accuracy", "loss", "seconds", *names, "reason"])
        for trial in self.trials:
            accuracy = "" if trial.accuracy is None else round(trial.accuracy, DECIMALS)
            loss = round(sum(trial.losses) / len(trial.losses), DECIMALS) if trial.losses else ""
            values = [trial.chosen.get(name, "") for name in names]
            seconds = round(trial.seconds, 2)
            table.writerow(
                [trial.number, trial.state, accuracy, loss, seconds, *values, trial.reason]
            )
        return stream.getvalue()

    def best_toml(self) -> str:
        """The best recipe as TOML with a line on where it comes from; empty before the first."""
        best, recipe = self.best, self.best_recipe
        if best is None or recipe is None:
            return ""
        return (
            f"# Study {self.name}, trial {best.number} of {len(self.trials)}: mean validation "
            f"accuracy {best.accuracy:.4%} over {self.seeds} seed{'s' * (self.seeds > 1)}, "
            f"{self.tiles:,} tiles.\n\n{recipe.as_toml()}"
        )


def _row(trial: Trial) -> dict[str, Any]:
    values = asdict(trial) | {"chosen": dict(trial.chosen)}
    return {
        name: round(value, DECIMALS) if isinstance(value, float) else value
        for name, value in values.items()
    }
