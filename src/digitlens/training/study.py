"""Where a study is kept: an Optuna study in a database that several processes may share."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.study import Study
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from digitlens.errors import DataError
from digitlens.training.search_space import SearchSpace, space_from
from digitlens.training.trials import State, StudyResult, Trial

DATABASE = "study.db"
PLAN = "digitlens"  # the study's attribute that says what is searched
ALIVE, DEAD = (
    30,
    180,
)  # seconds between signs of life of a trial, and without any until it is given up
WAIT = 60  # seconds for a lock, since SQLite lets one process write at a time
ATTEMPTS, PAUSE = 5, 0.3  # of opening what another process is just making; seconds in between
TIME_ENOUGH = 10  # complete trials before it is told which field matters

_STATES: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def local_storage(folder: Path) -> str:
    """The address of the database in a study's folder."""
    return f"sqlite:///{(folder / DATABASE).resolve()}"


def open_study(
    storage: str, name: str, plan: Mapping[str, Any] | None, *, pruning: bool = True
) -> Study:
    """Begins a study, or joins the one of that name.

    Args:
        storage: Address of a database, such as ``sqlite:///study.db``.
        name: The study's name; empty for the only one in the database.
        plan: What is searched, from ``plan_of``; None joins whatever is there.
        pruning: Whether trials that fall behind are ended early.

    Raises:
        DataError: The database cannot be used, has no such study, or one that searches otherwise.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    database = _connect(storage)
    median = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3)  # tenths, see tune
    options: dict[str, Any] = {
        "storage": database,
        "pruner": median if pruning else optuna.pruners.NopPruner(),
    }
    if plan is not None and (study := _begin(options, name, plan)):
        return study
    study = _join(options, name, shown_address(storage))
    if plan is not None:
        _check_same(study, plan)
    return study


def plan_of(space: SearchSpace, seeds: int, tiles: int) -> dict[str, Any]:
    """What a study remembers of itself.

    Args:
        space: What is searched.
        seeds: Trainings a trial.
        tiles: Validation tiles.
    """
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
    plan = study.user_attrs[PLAN]
    trials = trials_of(study)
    done = sum(trial.state == "complete" for trial in trials)
    importance = _importance(study) if done >= TIME_ENOUGH else {}
    return StudyResult(
        study.study_name, space_of(study), plan["seeds"], plan["tiles"], trials, importance
    )


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
    # Only who begins is seeded: processes of the same seed would try the same recipes.
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


def _join(options: Mapping[str, Any], name: str, shown: str) -> Study:
    names = optuna.get_all_study_names(options["storage"])
    if name not in names and (name or len(names) != 1):
        there = f"those there are: {', '.join(names)}" if names else "it has none"
        raise DataError(f"no study {name!r} in {shown}: {there}; begin one with --search")
    sampler = optuna.samplers.TPESampler(constant_liar=True)
    study = optuna.load_study(**options, study_name=name or names[0], sampler=sampler)
    for _ in range(ATTEMPTS):  # who begins it may not have come to writing down what is searched
        if PLAN in study.user_attrs:
            return study
        time.sleep(PAUSE)
    raise DataError(f"study {study.study_name!r} in {shown} was not begun by digitlens tune")


def _check_same(study: Study, plan: Mapping[str, Any]) -> None:
    begun = study.user_attrs[PLAN]
    ignored = {one.partition("=")[0] for one in plan["search"]}
    there, here = (
        {
            "search": " ".join(sorted(each["search"])),
            "seeds": each["seeds"],
            **{k: v for k, v in each["recipe"].items() if k not in ignored},
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
        chosen=one.params,
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
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (
        f"{shown_address(storage)} cannot be used ({first}): expected the address of a database "
        "such as sqlite:///study.db, with its driver installed"
    )
