"""Searches recipes: trains one after another, and Optuna chooses the next by validation accuracy.

The objective is the accuracy on the validation tiles after the epoch that is kept, the one of the
lowest validation loss. Not the loss itself: it counts label smoothing in, and export sets the
temperature anyway, so that by loss recipes could not be compared. The test set is never asked for.
A study is kept in a database that several processes may share.
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
from digitlens.errors import DataError
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
PLAN = "digitlens"  # the study's attribute that says what is searched
ALIVE, DEAD = 30, 180  # seconds between signs of life of a trial, and until it is given up
WAIT = 60  # seconds for a lock, since SQLite lets one process write at a time
ATTEMPTS, PAUSE = 5, 0.3  # of opening what another process is just making; seconds in between
TIME_ENOUGH = 10  # complete trials before it is told which field matters

_STATES: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
TRIALS = "trials"  # folder of the runs
PARTS = 10  # of a training, after each of which a trial is compared with the others
DATABASE_ERRORS = (StorageInternalError, SQLAlchemyError)
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

    Failed trials count, interrupted ones do not, also those that a disk ended, and with them the
    study (OSError); none is begun after so many seconds. Processes that begin the last one at the
    same moment may each add one too many. All are trained and validated with the same tiles; the
    folder receives ``trials/NUMBER/seed-SEED`` with recipe and history of each training.
    ``on_trial`` is called with each trial before it is trained, as running, and after it. Raises
    DataError where the first trials all failed, or the database cannot be used any more.
    """

    def has_enough() -> bool:
        give_up_dead(study)
        return sum(trial.counts for trial in trials_of(study)) >= trials

    def after(study: Study, trial: optuna.trial.FrozenTrial) -> None:
        if on_trial:
            on_trial(_trial(trial))
        _check_hope(study)
        if has_enough():
            study.stop()

    objective = _Objective(study, splits, folder, on_trial)
    with _usable("the database of the study"), _silent_heartbeat(), _present(study, folder):
        if not has_enough():
            study.optimize(
                objective, timeout=timeout, catch=(_UntrainableError,), callbacks=[after]
            )


@contextmanager
def _usable(shown: str) -> Generator[None]:
    """Turns the errors of a database, as of a full disk, into one line."""
    try:
        yield
    except DataError:  # it says already what cannot be used
        raise
    except Exception as raised:
        # Where the end of a trial could not be written, Optuna stumbles over what it does then.
        error: BaseException | None = raised
        while error and not isinstance(error, DATABASE_ERRORS):
            error = error.__context__
        if error is None:
            raise
        why = _first_line(error.__cause__ or error)
        raise DataError(f"{shown} cannot be used ({why}): mend it, then go on") from error


@contextmanager
def _silent_heartbeat() -> Generator[None]:
    """Keeps the thread that gives signs of life from telling of a database that fails.

    What else is asked of the database fails, too, and says so.
    """
    before = threading.excepthook

    def told(raised: threading.ExceptHookArgs) -> None:
        if not isinstance(raised.exc_value, DATABASE_ERRORS):
            before(raised)

    threading.excepthook = told
    try:
        yield
    finally:
        threading.excepthook = before


@contextmanager
def _present(study: Study, folder: Path) -> Generator[None]:
    """Locks the folder of a local study together with others; the first finds no trial running.

    So one whose process was killed is known at once, not when it has given no sign of life.
    """
    if os.name != "posix" or not (folder / DATABASE).is_file():
        yield
        return
    import fcntl  # noqa: PLC0415  (not of every platform)

    handle = os.open(folder, os.O_RDONLY)
    try:
        if files.lock(handle):
            for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                shutil.rmtree(_runs_of(folder, trial.number + 1), ignore_errors=True)
                study.tell(trial.number, state=TrialState.FAIL)
                _try_again(study, trial.number)
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _try_again(study: Study, number: int) -> None:
    """Makes a trial the next that is tried: the first one is that of the recipe itself."""
    trial = study.get_trials(deepcopy=False)[number]
    study.enqueue_trial(trial.system_attrs.get("fixed_params", {}) | trial.params)


def _runs_of(folder: Path, number: int) -> Path:
    return folder / TRIALS / f"{number:04d}"


class _UntrainableError(Exception):
    """A recipe cannot be trained; the others are tried nevertheless."""


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
        begun = time.monotonic()
        try:
            return self._accuracy(trial)
        except (OSError, KeyboardInterrupt, *DATABASE_ERRORS):  # nothing that a recipe could help
            trial.set_user_attr("reason", INTERRUPTED)
            _try_again(self._study, trial.number)
            raise
        except optuna.TrialPruned as error:
            trial.set_user_attr("reason", _first_line(error))
            raise
        except Exception as error:
            trial.set_user_attr("reason", f"{type(error).__name__}: {_first_line(error)}")
            raise _UntrainableError from error
        finally:
            trial.set_user_attr("seconds", time.monotonic() - begun)

    def _twin(self, chosen: dict[str, Value]) -> Trial | None:
        """A complete trial of the same recipe, whose training would only be repeated."""
        others = (one for one in trials_of(self._study) if one.number != self.number)
        same = (one for one in others if one.accuracy is not None and one.chosen == chosen)
        return next(same, None)

    def _accuracy(self, trial: optuna.Trial) -> float:
        """That of the recipe of a trial, on average over the seeds; or that of its twin."""
        chosen = {one.name: _suggest(trial, one) for one in self._space.dimensions}
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
            watch = _watch(trial, recipe.epochs, judged=not rows)
            rows.append(self._train(dataclasses.replace(recipe, seed=seed), watch))
            trial.set_user_attr("accuracies", [row["val_accuracy"] for row in rows])
            trial.set_user_attr("losses", [row["val_loss"] for row in rows])
        return sum(row["val_accuracy"] for row in rows) / len(rows)

    def _train(self, recipe: Recipe, watch: Callable[[Row], None]) -> Row:
        """The row of the epoch that is kept."""
        folder = _runs_of(self._folder, self.number) / f"seed-{recipe.seed}"
        files.write_bytes(folder / RECIPE, recipe.as_toml().encode())
        try:
            alone = dataclasses.replace(recipe, models=1, tta_views=1)
            trained = train_classifier(alone, *self._splits, folder, on_epoch=watch)
        finally:
            (folder / STATE).unlink(missing_ok=True)  # weights of no use, and many megabytes
        return trained.history[trained.best_epoch - 1]


def _watch(trial: optuna.Trial, epochs: int, *, judged: bool) -> Callable[[Row], None]:
    """Reports each epoch of a training to Optuna, and ends it where there is no hope.

    Trials are compared after the same tenth of their epochs, where their schedules are as far: by
    the number of the epoch, a long one would be pruned for being compared with the end of a short
    one. Of several seeds only the first is judged: the others are of a trial worth finishing.
    """
    last = 0

    def told(row: Row) -> None:
        nonlocal last
        if not math.isfinite(row["val_loss"]):
            raise optuna.TrialPruned(f"diverged in epoch {row['epoch']}")
        part = math.floor(PARTS * row["epoch"] / epochs)
        if not judged or part == last:
            return
        last = part
        trial.report(row["val_accuracy"], part)
        if part < PARTS and trial.should_prune():
            raise optuna.TrialPruned(f"behind the median after epoch {row['epoch']}")

    return told


def _suggest(trial: optuna.Trial, one: Dimension) -> Value:
    if not isinstance(one, Numeric):
        return trial.suggest_categorical(one.name, one.values)
    if isinstance(one.low, int) and isinstance(one.high, int):
        step = int(one.step) or 1
        return trial.suggest_int(one.name, one.low, one.high, step=step, log=one.log)
    step = one.step or None
    return trial.suggest_float(one.name, one.low, one.high, step=step, log=one.log)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "")


def _check_hope(study: Study) -> None:
    counting = [trial for trial in trials_of(study) if trial.counts and trial.state != "running"]
    if len(counting) >= HOPELESS and all(trial.state == "failed" for trial in counting):
        raise DataError(
            f"the first {len(counting)} trials of {study.study_name} all failed, the last one "
            f"with {counting[-1].reason}: mend the recipe or what is searched"
        )


def local_storage(folder: Path) -> str:
    """The address of the database in a study's folder."""
    return f"sqlite:///{(folder / DATABASE).resolve()}"


def open_study(
    storage: str, name: str, plan: Mapping[str, Any] | None, *, pruning: bool = True
) -> Study:
    """Begins a study, or joins the one of that name; of an empty name the only one there.

    ``plan`` is what is searched, from ``plan_of``; None joins whatever is there. With pruning,
    trials that fall behind are ended early. Raises DataError where the database cannot be used, has
    no such study, or one that searches otherwise.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    median = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3)  # tenths, see tune
    options: dict[str, Any] = {"pruner": median if pruning else optuna.pruners.NopPruner()}
    shown = shown_address(storage)
    with _usable(shown):
        is_new = plan is not None and _begin_local(storage, name, plan)
        options["storage"] = _connect(storage)
        if plan is not None and not is_new and (study := _begin(options, name, plan)):
            return study
        study = _join(options, name, shown, plan["recipe"]["seed"] if plan and is_new else None)
        if plan is not None:
            _check_same(study, plan)
        return study


def plan_of(space: SearchSpace, seeds: int, tiles: int) -> dict[str, Any]:
    """What a study remembers of itself: what is searched, trainings a trial, validation tiles."""
    return {**space.as_dict(), "seeds": seeds, "tiles": tiles}


def space_of(study: Study) -> SearchSpace:
    """What the study searches."""
    return space_from(study.user_attrs[PLAN])


def trials_of(study: Study) -> tuple[Trial, ...]:
    """The trials that were begun, in the order of their beginnings."""
    kept = [one for one in study.get_trials(deepcopy=False) if one.state.name != "WAITING"]
    return tuple(_trial(one) for one in kept)


def result_of(study: Study) -> StudyResult:
    """Everything found so far."""
    plan, trials = study.user_attrs[PLAN], trials_of(study)
    done = sum(trial.state == "complete" for trial in trials)
    importance = _importance(study) if done >= TIME_ENOUGH else {}
    facts = study.study_name, space_of(study), plan["seeds"], plan["tiles"]
    return StudyResult(*facts, trials, importance)


def give_up_dead(study: Study) -> None:
    """Marks trials whose process gave no sign of life as failed; they do not count."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


def _connect(storage: str) -> optuna.storages.RDBStorage:
    options = {"connect_args": {"timeout": WAIT}} if storage.startswith("sqlite") else {}
    for left in reversed(range(ATTEMPTS)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                return optuna.storages.RDBStorage(
                    storage, options, heartbeat_interval=ALIVE, grace_period=DEAD
                )
        except (ArgumentError, ImportError) as error:
            raise DataError(_refusal(storage, error)) from error
        except (SQLAlchemyError, RuntimeError) as error:
            # Of two processes that make the tables at once, one may find them half made.
            if not left:
                raise DataError(_refusal(storage, error)) from error
            time.sleep(PAUSE)
    raise AssertionError


def _begin(options: Mapping[str, Any], name: str, plan: Mapping[str, Any]) -> Study | None:
    """A new study; None where there is one of that name."""
    # Only the first process is seeded: processes of the same seed would try the same recipes.
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


def _begin_local(storage: str, name: str, plan: Mapping[str, Any]) -> bool:
    """Writes a new study's file, whole: one that was killed on the way would be in the way.

    Gives False where the storage is no file, or it is there.
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
                _begin({"storage": memory}, name, plan)
                connection = memory.engine.raw_connection().driver_connection
                assert connection is not None
                files.write_bytes(path, connection.serialize())
                memory.engine.dispose()
                return True
        time.sleep(PAUSE)  # another process begins it
    raise DataError(f"{path.parent}: another process begins a study there: wait for it")


def _join(options: Mapping[str, Any], name: str, shown: str, seed: int | None) -> Study:
    names = optuna.get_all_study_names(options["storage"])
    if name not in names and (name or len(names) != 1):
        there = f"those there are: {', '.join(names)}" if names else "it has none"
        raise DataError(f"no study {name!r} in {shown}: {there}; begin one with --search")
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    study = optuna.load_study(**options, study_name=name or names[0], sampler=sampler)
    for _ in range(ATTEMPTS):  # its first process may not have written down yet what is searched
        if PLAN in study.user_attrs:
            return study
        time.sleep(PAUSE)
    raise DataError(f"study {study.study_name!r} in {shown} was not begun by digitlens tune")


def _check_same(study: Study, plan: Mapping[str, Any]) -> None:
    begun = study.user_attrs[PLAN]
    ignored = {one.name for one in space_from(plan).dimensions}
    there, here = (
        {
            "search": " ".join(sorted(each["search"])),
            "seeds": each["seeds"],
            **{k: v for k, v in space_from(each).base.as_dict().items() if k not in ignored},
        }
        for each in (begun, plan)
    )
    differences = [
        f"{key}: {there.get(key)!r} there, {here.get(key)!r} here"
        for key in {**there, **here}
        if there.get(key) != here.get(key)
    ]
    if differences:
        raise DataError(
            f"study {study.study_name!r} exists and searches otherwise ({'; '.join(differences)}): "
            "leave recipe and --search out to join it, or begin another with --name"
        )


def _trial(one: optuna.trial.FrozenTrial) -> Trial:
    facts = one.user_attrs
    return Trial(
        number=one.number + 1,
        state=_STATES.get(one.state.name, "running"),
        chosen={Recipe.renamed.get(name, name): value for name, value in one.params.items()},
        accuracy=one.value if one.state.name == "COMPLETE" else None,
        accuracies=tuple(facts.get("accuracies", ())),
        losses=tuple(facts.get("losses", ())),
        seconds=facts.get("seconds", 0.0),
        reason=facts.get("reason", ""),
        latest=one.intermediate_values.get(one.last_step) if one.last_step is not None else None,
    )


def _importance(study: Study) -> dict[str, float]:
    """Which fields make the better half better.

    PED-ANOVA: S. Watanabe, A. Bansal and F. Hutter, "PED-ANOVA: Efficiently quantifying
    hyperparameter importance in arbitrary subspaces", IJCAI 2023.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ExperimentalWarning)
        judge = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.5)
        try:
            return optuna.importance.get_param_importances(study, evaluator=judge)
        except (UserWarning, RuntimeError, ValueError):  # the better half is as good as the other
            return {}


def shown_address(storage: str) -> str:
    """The address without its password."""
    try:
        return make_url(storage).render_as_string(hide_password=True)
    except ArgumentError:
        return "the database"


def _refusal(storage: str, error: Exception) -> str:
    first = _first_line(error) or type(error).__name__
    return (
        f"{shown_address(storage)} cannot be used ({first}): expected the address of a database "
        "such as sqlite:///study.db, with its driver installed"
    )
