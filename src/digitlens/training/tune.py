"""Searches recipes: trains one after another, chosen by Optuna to maximise validation accuracy.

The objective is the validation accuracy after the kept epoch, the one with the lowest validation
loss. The loss itself does not make recipes comparable, as it includes label smoothing, and the
export fits the temperature anyway. The test set is never used. A study is stored in a database that
several processes may share.
"""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
import threading
import time
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, StorageInternalError
from optuna.study import Study
from optuna.trial import TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from digitlens import files
from digitlens.datasets.mnist import Split
from digitlens.errors import DataError, with_causes
from digitlens.training.loop import STATE, Row
from digitlens.training.recipe import Recipe
from digitlens.training.run import RECIPE
from digitlens.training.search_space import (
    INTERRUPTED,
    Dimension,
    Numeric,
    SearchSpace,
    State,
    StudyResult,
    Trial,
    Value,
    space_from,
)
from digitlens.training.tasks.tile import train_classifier

DATABASE = "study.db"
PLAN = "digitlens"  # the study's attribute with the plan, see ``plan_of``
REPEATS = "repeats"  # a trial's attribute: the number of the interrupted trial that it repeats
HEARTBEAT, GRACE = 30, 180  # seconds between heartbeats of a trial; until it fails without one
WAIT = 60  # seconds to wait for a lock: SQLite allows one writer at a time
ATTEMPTS, PAUSE = 5, 0.3  # to open a study that another process is creating; seconds in between
MIN_TRIALS = 10  # complete trials needed to compute importances

_STATES: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
TRIALS = "trials"  # folder of the runs
REPORTS = 10  # of a training; after each, a trial is compared with the others
DATABASE_ERRORS = (StorageInternalError, SQLAlchemyError)
MAX_FAILURES = 3  # the study stops if its first trials, this many, all fail

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
    """Runs trials until the study has ``trials`` of them, including those of other processes.

    Failed trials count, interrupted ones do not, nor those ended by an OSError, which also ends the
    search. No trial starts after ``timeout`` seconds. Processes that start the last trial at the
    same moment may exceed the number. All trials use the same training and validation tiles; the
    folder receives ``trials/NUMBER/seed-SEED`` with recipe and history of each training.
    ``on_trial`` is called with each trial before it is trained, as running, and afterwards. Raises
    DataError if the first trials all failed, or the database can no longer be used.
    """

    def has_enough() -> bool:
        fail_stale_trials(study)
        return sum(trial.counts for trial in trials_of(study)) >= trials

    def after_trial(study: Study, trial: optuna.trial.FrozenTrial) -> None:
        if on_trial:
            on_trial(_to_trial(trial))
        _check_failures(study)
        if has_enough():
            study.stop()

    objective = _Objective(study, splits, folder, on_trial)
    with _db_errors("the database of the study"), _silent_heartbeat(), _shared_lock(study, folder):
        if not has_enough():
            study.optimize(
                objective, timeout=timeout, catch=(_UntrainableError,), callbacks=[after_trial]
            )


@contextmanager
def _db_errors(address: str) -> Generator[None]:
    """Converts database errors, such as a full disk, to a DataError of one line."""
    try:
        yield
    except DataError:  # already has a clear message
        raise
    except Exception as exception:
        # If the end of a trial cannot be written, Optuna raises another error while handling that.
        causes = with_causes(exception)
        error = next((each for each in causes if isinstance(each, DATABASE_ERRORS)), None)
        if error is None:
            raise
        reason = _first_line(error.__cause__ or error)
        raise DataError(f"{address} cannot be used ({reason}): fix it, then resume") from error


@contextmanager
def _silent_heartbeat() -> Generator[None]:
    """Suppresses database errors in the heartbeat thread, which the main thread reports as well."""
    previous_hook = threading.excepthook

    def report(details: threading.ExceptHookArgs) -> None:
        if not isinstance(details.exc_value, DATABASE_ERRORS):
            previous_hook(details)

    threading.excepthook = report
    try:
        yield
    finally:
        threading.excepthook = previous_hook


@contextmanager
def _shared_lock(study: Study, folder: Path) -> Generator[None]:
    """Holds a shared lock on a local study's folder; the first process fails all running trials.

    Trials whose process was killed are thus detected at once instead of by a missing heartbeat.
    They and other interrupted trials are enqueued again, unless they were before.
    """
    if os.name != "posix" or not (folder / DATABASE).is_file():
        yield
        return
    import fcntl  # noqa: PLC0415  (POSIX only)

    handle = os.open(folder, os.O_RDONLY)
    try:
        if files.lock(handle):
            trials = study.get_trials(deepcopy=False)
            repeated = {trial.user_attrs.get(REPEATS) for trial in trials}
            for trial in trials:
                is_running = trial.state == TrialState.RUNNING
                if not is_running and _to_trial(trial).counts:
                    continue
                shutil.rmtree(_runs_folder(folder, trial.number + 1), ignore_errors=True)
                if is_running:
                    study.tell(trial.number, state=TrialState.FAIL)
                if trial.number not in repeated:
                    _enqueue_again(study, trial)
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _enqueue_again(study: Study, trial: optuna.trial.FrozenTrial) -> None:
    """Enqueues a trial's values again, including fixed ones such as the recipe's own values."""
    parameters = trial.system_attrs.get("fixed_params", {}) | trial.params
    study.enqueue_trial(parameters, user_attrs={REPEATS: trial.number})


def _runs_folder(folder: Path, number: int) -> Path:
    return folder / TRIALS / f"{number:04d}"


class _UntrainableError(Exception):
    """A recipe cannot be trained; the study continues with others."""


class _Objective:
    """Trains the recipe of a trial and returns its accuracy, which Optuna maximises."""

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
        started = time.monotonic()
        try:
            return self._accuracy(trial)
        except (OSError, KeyboardInterrupt, *DATABASE_ERRORS):  # not caused by the recipe
            trial.set_user_attr("reason", INTERRUPTED)
            _enqueue_again(self._study, self._study.get_trials(deepcopy=False)[trial.number])
            raise
        except optuna.TrialPruned as error:
            trial.set_user_attr("reason", _first_line(error))
            raise
        except Exception as error:
            trial.set_user_attr("reason", f"{type(error).__name__}: {_first_line(error)}")
            raise _UntrainableError from error
        finally:
            trial.set_user_attr("seconds", time.monotonic() - started)

    def _twin(self, chosen: dict[str, Value]) -> Trial | None:
        """Returns a complete trial of the same recipe, whose result can be reused."""
        others = (each for each in trials_of(self._study) if each.number != self.number)
        twins = (each for each in others if each.accuracy is not None and each.chosen == chosen)
        return next(twins, None)

    def _accuracy(self, trial: optuna.Trial) -> float:
        """Returns the mean accuracy of a trial's recipe over the seeds, or that of its twin."""
        chosen = {dim.name: _suggest(trial, dim) for dim in self._space.dimensions}
        if self._on_trial:
            self._on_trial(Trial(self.number, "running", chosen))
        if twin := self._twin(chosen):
            trial.set_user_attr("reason", f"the same as trial {twin.number}")
            trial.set_user_attr("accuracies", twin.accuracies)
            trial.set_user_attr("losses", twin.losses)
            return twin.accuracy or 0.0
        return self._mean(trial, self._space.recipe(chosen))

    def _mean(self, trial: optuna.Trial, recipe: Recipe) -> float:
        rows: list[Row] = []
        for seed in range(recipe.seed, recipe.seed + self._seeds):
            on_epoch = _epoch_reporter(trial, recipe.epochs, can_prune=not rows)
            rows.append(self._train(dataclasses.replace(recipe, seed=seed), on_epoch))
            trial.set_user_attr("accuracies", [row["val_accuracy"] for row in rows])
            trial.set_user_attr("losses", [row["val_loss"] for row in rows])
        return sum(row["val_accuracy"] for row in rows) / len(rows)

    def _train(self, recipe: Recipe, on_epoch: Callable[[Row], None]) -> Row:
        """Trains a recipe and returns the row of the kept epoch."""
        folder = _runs_folder(self._folder, self.number) / f"seed-{recipe.seed}"
        files.write_bytes(folder / RECIPE, recipe.as_toml().encode())
        try:
            single = dataclasses.replace(recipe, models=1, tta_views=1)
            trained = train_classifier(single, *self._splits, folder, on_epoch=on_epoch)
        finally:
            (folder / STATE).unlink(missing_ok=True)  # many megabytes of unused weights
        return trained.history[trained.best_epoch - 1]


def _epoch_reporter(trial: optuna.Trial, epochs: int, *, can_prune: bool) -> Callable[[Row], None]:
    """Returns a callback that reports epochs to Optuna and prunes hopeless trainings.

    Trials are compared after the same tenth of their epochs, at equal progress of their schedules:
    by epoch number, a long training would be compared with the end of a short one and pruned. Of
    several seeds, only the first can be pruned: a trial that passes it is worth finishing.
    """
    last_part = 0

    def report(row: Row) -> None:
        nonlocal last_part
        if not math.isfinite(row["val_loss"]):
            raise optuna.TrialPruned(f"diverged in epoch {row['epoch']}")
        part = math.floor(REPORTS * row["epoch"] / epochs)
        if not can_prune or part == last_part:
            return
        last_part = part
        trial.report(row["val_accuracy"], part)
        if part < REPORTS and trial.should_prune():
            raise optuna.TrialPruned(f"behind the median after epoch {row['epoch']}")

    return report


def _suggest(trial: optuna.Trial, dim: Dimension) -> Value:
    if not isinstance(dim, Numeric):
        return trial.suggest_categorical(dim.name, dim.values)
    if isinstance(dim.low, int) and isinstance(dim.high, int):
        step = int(dim.step) or 1
        return trial.suggest_int(dim.name, dim.low, dim.high, step=step, log=dim.log)
    step = dim.step or None
    return trial.suggest_float(dim.name, dim.low, dim.high, step=step, log=dim.log)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "")


def _check_failures(study: Study) -> None:
    counted = [trial for trial in trials_of(study) if trial.counts and trial.state != "running"]
    if len(counted) >= MAX_FAILURES and all(trial.state == "failed" for trial in counted):
        raise DataError(
            f"the first {len(counted)} trials of {study.study_name} all failed, the last one "
            f"with {counted[-1].reason}: fix the recipe or the search space"
        )


def local_storage(folder: Path) -> str:
    """Returns the URL of the database in a study's folder."""
    return f"sqlite:///{(folder / DATABASE).resolve()}"


def open_study(
    storage: str, name: str, plan: Mapping[str, Any] | None, *, pruning: bool = True
) -> Study:
    """Creates a study or joins the one of that name; an empty name joins the only study there.

    ``plan`` is that of ``plan_of``; None joins a study with any plan. With ``pruning``, trials that
    fall behind end early. Raises DataError if the database cannot be used, has no such study, or
    has one with another plan.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # The steps are tenths of a training, see ``_epoch_reporter``.
    median = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3)
    options: dict[str, Any] = {"pruner": median if pruning else optuna.pruners.NopPruner()}
    where = safe_address(storage)
    with _db_errors(where):
        is_new = plan is not None and _create_local_study(storage, name, plan)
        options["storage"] = _connect(storage)
        if plan is not None and not is_new and (study := _create_study(options, name, plan)):
            return study
        study = _join(options, name, where, plan["recipe"]["seed"] if plan and is_new else None)
        if plan is not None:
            _check_same_plan(study, plan)
        return study


def plan_of(space: SearchSpace, seeds: int, tiles: int) -> dict[str, Any]:
    """Returns what a study stores: search space, trainings per trial, validation tiles."""
    return {**space.as_dict(), "seeds": seeds, "tiles": tiles}


def space_of(study: Study) -> SearchSpace:
    """Returns the search space of a study."""
    return space_from(study.user_attrs[PLAN])


def trials_of(study: Study) -> tuple[Trial, ...]:
    """Returns the trials that have started, in the order of their starts."""
    started = [each for each in study.get_trials(deepcopy=False) if each.state.name != "WAITING"]
    return tuple(_to_trial(each) for each in started)


def result_of(study: Study) -> StudyResult:
    """Returns the results so far."""
    plan, trials = study.user_attrs[PLAN], trials_of(study)
    complete_count = sum(trial.state == "complete" for trial in trials)
    importance = _importance(study) if complete_count >= MIN_TRIALS else {}
    facts = study.study_name, space_of(study), plan["seeds"], plan["tiles"]
    return StudyResult(*facts, trials, importance)


def fail_stale_trials(study: Study) -> None:
    """Marks trials without a recent heartbeat as failed; they do not count."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


def _connect(storage: str) -> optuna.storages.RDBStorage:
    options = {"connect_args": {"timeout": WAIT}} if storage.startswith("sqlite") else {}
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                return optuna.storages.RDBStorage(
                    storage, options, heartbeat_interval=HEARTBEAT, grace_period=GRACE
                )
        except (ArgumentError, ImportError) as error:
            raise DataError(_refusal_text(storage, error)) from error
        except (SQLAlchemyError, RuntimeError) as error:
            # If two processes create the tables at once, one may find them incomplete.
            if not attempts_left:
                raise DataError(_refusal_text(storage, error)) from error
            time.sleep(PAUSE)
    raise AssertionError


def _create_study(options: Mapping[str, Any], name: str, plan: Mapping[str, Any]) -> Study | None:
    """Creates a study; returns None if one of that name exists."""
    # Only the first process is seeded: processes with the same seed would try the same recipes.
    sampler = optuna.samplers.TPESampler(seed=plan["recipe"]["seed"], constant_liar=True)
    try:
        study = optuna.create_study(
            **options, study_name=name, sampler=sampler, direction="maximize"
        )
    except DuplicatedStudyError:
        return None
    if plan["start"]:
        study.enqueue_trial(plan["start"])
    study.set_user_attr(PLAN, dict(plan))
    return study


def _create_local_study(storage: str, name: str, plan: Mapping[str, Any]) -> bool:
    """Writes a new study's file atomically, since an incomplete one would block later runs.

    Returns False if the storage is not a file, or the file exists.
    """
    url = make_url(storage) if storage.startswith("sqlite:") else None
    if url is None or not url.database or url.database.startswith((":", "file:")):
        return False
    path = Path(url.database)
    if not path.parent.is_dir():
        return False
    for _ in range(10 * ATTEMPTS):
        with files.locked(path.parent) as is_free:
            if path.exists():
                return False
            if is_free:
                memory = optuna.storages.RDBStorage("sqlite://", {"poolclass": StaticPool})
                _create_study({"storage": memory}, name, plan)
                connection = memory.engine.raw_connection().driver_connection
                assert connection is not None
                files.write_bytes(path, connection.serialize())
                memory.engine.dispose()
                return True
        time.sleep(PAUSE)  # another process is creating it
    raise DataError(f"{path.parent}: another process is creating a study there: try again later")


def _join(options: Mapping[str, Any], name: str, where: str, seed: int | None) -> Study:
    names = optuna.get_all_study_names(options["storage"])
    if name not in names and (name or len(names) != 1):
        expectation = f"expected one of {', '.join(names)}" if names else "it has none"
        raise DataError(f"no study {name!r} in {where}: {expectation}; start one with --search")
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    study = optuna.load_study(**options, study_name=name or names[0], sampler=sampler)
    for _ in range(ATTEMPTS):  # its first process may not have written the plan yet
        if PLAN in study.user_attrs:
            return study
        time.sleep(PAUSE)
    raise DataError(f"study {study.study_name!r} in {where} was not created by digitlens tune")


def _check_same_plan(study: Study, plan: Mapping[str, Any]) -> None:
    existing = study.user_attrs[PLAN]
    ignored = {one.name for one in space_from(plan).dimensions}
    existing_values, new_values = (
        {
            "search": " ".join(sorted(each["search"])),
            "seeds": each["seeds"],
            **{k: v for k, v in space_from(each).base.as_dict().items() if k not in ignored},
        }
        for each in (existing, plan)
    )
    differences = [
        f"{key}: {existing_values.get(key)!r} there, {new_values.get(key)!r} here"
        for key in {**existing_values, **new_values}
        if existing_values.get(key) != new_values.get(key)
    ]
    if differences:
        raise DataError(
            f"study {study.study_name!r} exists with another search ({'; '.join(differences)}): "
            "omit recipe and --search to join it, or start another with --name"
        )


def _to_trial(raw: optuna.trial.FrozenTrial) -> Trial:
    facts = raw.user_attrs
    return Trial(
        number=raw.number + 1,
        state=_STATES.get(raw.state.name, "running"),
        chosen={Recipe.renamed.get(name, name): value for name, value in raw.params.items()},
        accuracy=raw.value if raw.state.name == "COMPLETE" else None,
        accuracies=tuple(facts.get("accuracies", ())),
        losses=tuple(facts.get("losses", ())),
        seconds=facts.get("seconds", 0.0),
        reason=facts.get("reason", ""),
        latest=raw.intermediate_values.get(raw.last_step) if raw.last_step is not None else None,
    )


def _importance(study: Study) -> dict[str, float]:
    """Returns how much each field contributes to being in the better half of the trials.

    PED-ANOVA: S. Watanabe, A. Bansal and F. Hutter, "PED-ANOVA: Efficiently quantifying
    hyperparameter importance in arbitrary subspaces", IJCAI 2023.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ExperimentalWarning)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.5)
        try:
            return optuna.importance.get_param_importances(study, evaluator=evaluator)
        except (UserWarning, RuntimeError, ValueError):  # both halves are equally good
            return {}


def safe_address(storage: str) -> str:
    """Returns the database URL without its password."""
    try:
        return make_url(storage).render_as_string(hide_password=True)
    except ArgumentError:
        return "the database"


def _refusal_text(storage: str, error: Exception) -> str:
    reason = _first_line(error) or type(error).__name__
    return (
        f"{safe_address(storage)} cannot be used ({reason}): expected the URL of a database "
        "such as sqlite:///study.db, with its driver installed"
    )
