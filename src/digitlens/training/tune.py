"""Searches recipes: trains one after another, and Optuna chooses the next by validation accuracy.

The objective is the accuracy on the validation tiles after the epoch that is kept, the one of the
lowest validation loss. Not the loss itself: it counts label smoothing in, and export sets the
temperature anyway, so that by loss recipes could not be compared. The test set is never asked for.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.study import Study

from digitlens import files
from digitlens.datasets.mnist import Split
from digitlens.errors import DataError
from digitlens.training.checkpoint import STATE, Row
from digitlens.training.recipe import Recipe
from digitlens.training.run import RECIPE
from digitlens.training.search_space import Dimension, Range, SearchSpace, Value
from digitlens.training.study import PLAN, give_up_dead, space_of, trials_of
from digitlens.training.train import train
from digitlens.training.trials import INTERRUPTED, Trial

TRIALS = "trials"  # folder of the runs
PARTS = 10  # of a training, after each of which a trial is compared with the others
HOPELESS = 3  # trials that all fail, after which the study stops

OnTrial = Callable[[Trial], object]


def search(
    study: Study,
    splits: tuple[Split, Split],
    folder: Path,
    *,
    trials: int,
    timeout: float | None = None,
    on_trial: OnTrial | None = None,
) -> None:
    """Tries recipes until the study has enough trials, those of other processes included.

    Processes that begin the last trial at the same moment may each add one too many.

    Args:
        study: From ``open_study``.
        splits: Tiles to train with and to validate with, the same for all trials.
        folder: Receives ``trials/NUMBER/seed-SEED`` with recipe and history of each training.
        trials: How many the study shall have in all; failed ones count, interrupted ones do not.
        timeout: Seconds after which no further trial is begun.
        on_trial: Called with each trial before it is trained, as running, and after it.

    Raises:
        DataError: The first trials all failed.
    """
    begun = time.monotonic()
    objective = _Objective(study, splits, folder, on_trial)
    while timeout is None or time.monotonic() - begun < timeout:
        give_up_dead(study)
        if sum(trial.counts for trial in trials_of(study)) >= trials:
            break
        study.optimize(objective, n_trials=1, catch=(Exception,))
        if on_trial:
            on_trial(next(one for one in trials_of(study) if one.number == objective.number))
        _check_hope(study)


class _Objective:
    """Trains the recipe of a trial; its accuracy is what Optuna maximises."""

    def __init__(
        self, study: Study, splits: tuple[Split, Split], folder: Path, on_trial: OnTrial | None
    ) -> None:
        self.number = -1
        self._study, self._splits = study, splits
        self._folder, self._on_trial = folder, on_trial
        self._space: SearchSpace = space_of(study)
        self._seeds: int = study.user_attrs[PLAN]["seeds"]

    def __call__(self, trial: optuna.Trial) -> float:
        self.number = trial.number + 1
        chosen = {one.name: _suggest(trial, one) for one in self._space.dimensions}
        if self._on_trial:
            self._on_trial(Trial(self.number, "running", chosen))
        if twin := self._twin(chosen):
            trial.set_user_attr("reason", f"the same as trial {twin.number}")
            trial.set_user_attr("accuracies", twin.accuracies)
            trial.set_user_attr("losses", twin.losses)
            return twin.accuracy or 0.0
        begun = time.monotonic()
        try:
            return self._mean(trial, self._space.recipe(chosen))
        except (Exception, KeyboardInterrupt) as error:
            trial.set_user_attr("reason", _reason(error))
            raise
        finally:
            trial.set_user_attr("seconds", time.monotonic() - begun)

    def _twin(self, chosen: dict[str, Value]) -> Trial | None:
        """A complete trial of the same recipe, whose training would only be repeated."""
        others = (one for one in trials_of(self._study) if one.number != self.number)
        same = (one for one in others if one.accuracy is not None and one.chosen == chosen)
        return next(same, None)

    def _mean(self, trial: optuna.Trial, recipe: Recipe) -> float:
        rows: list[Row] = []
        for seed in range(recipe.seed, recipe.seed + self._seeds):
            watch = _Watch(trial, recipe.epochs, judged=not rows)
            rows.append(self._train(dataclasses.replace(recipe, seed=seed), watch))
            trial.set_user_attr("accuracies", [row["val_accuracy"] for row in rows])
            trial.set_user_attr("losses", [row["val_loss"] for row in rows])
        return sum(row["val_accuracy"] for row in rows) / len(rows)

    def _train(self, recipe: Recipe, watch: Callable[[Row], None]) -> Row:
        """The row of the epoch that is kept."""
        folder = self._folder / TRIALS / f"{self.number:04d}" / f"seed-{recipe.seed}"
        files.write_bytes(folder / RECIPE, recipe.as_toml().encode())
        try:
            trained = train(recipe, *self._splits, folder, on_epoch=watch)
        finally:
            (folder / STATE).unlink(missing_ok=True)  # weights of no use, and many megabytes
        return trained.history[trained.best_epoch - 1]


class _Watch:
    """Reports each epoch of a training to Optuna, and ends it where there is no hope.

    Trials are compared after the same tenth of their epochs, where their schedules are as far: by
    the number of the epoch, a long one would be pruned for being compared with the end of a short
    one. Of several seeds only the first is judged: the others are of a trial worth finishing.
    """

    def __init__(self, trial: optuna.Trial, epochs: int, *, judged: bool) -> None:
        self._trial, self._epochs, self._judged = trial, epochs, judged
        self._part = 0

    def __call__(self, row: Row) -> None:
        if not math.isfinite(row["val_loss"]):
            raise optuna.TrialPruned(f"diverged in epoch {row['epoch']}")
        part = math.floor(PARTS * row["epoch"] / self._epochs)
        if not self._judged or part == self._part:
            return
        self._part = part
        self._trial.report(row["val_accuracy"], part)
        if part < PARTS and self._trial.should_prune():
            raise optuna.TrialPruned(f"behind the median after epoch {row['epoch']}")


def _suggest(trial: optuna.Trial, one: Dimension) -> Value:
    if not isinstance(one, Range):
        return trial.suggest_categorical(one.name, one.values)
    if isinstance(one.low, int) and isinstance(one.high, int):
        step = int(one.step) or 1
        return trial.suggest_int(one.name, one.low, one.high, step=step, log=one.log)
    step = one.step or None
    return trial.suggest_float(one.name, one.low, one.high, step=step, log=one.log)


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    first = (str(error).strip().splitlines() or [""])[0]
    return first if isinstance(error, optuna.TrialPruned) else f"{type(error).__name__}: {first}"


def _check_hope(study: Study) -> None:
    counting = [trial for trial in trials_of(study) if trial.counts and trial.state != "running"]
    if len(counting) >= HOPELESS and all(trial.state == "failed" for trial in counting):
        raise DataError(
            f"the first {len(counting)} trials of {study.study_name} all failed, the last one "
            f"with {counting[-1].reason}: mend the recipe or what is searched"
        )
