"""``digitlens tune``: searches a recipe, and writes the best one with a table and a picture."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlens.cli.options import (
    INTERRUPTED,
    AsJson,
    DataDir,
    RecipeName,
    use_patient_threads,
)
from digitlens.cli.tables import print_json, table_of, wide_console
from digitlens.errors import DataError, MissingExtraError, RecipeError, needs_extra
from digitlens.progress import note, stderr_console

if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna.study import Study
    from rich.table import Table

    from digitlens.datasets.mnist import Split
    from digitlens.training.search_space import SearchSpace, StudyResult, Trial

BEST, TABLE, PICTURE = "best.toml", "trials.csv", "tuning.png"
SHOWN = 10  # trials in the table
DATABASE = "study.db"  # in the folder, where no other storage is named


def tune(
    recipe: RecipeName = "standard",
    searches: Annotated[
        list[str] | None,
        typer.Option(
            "--search",
            metavar="FIELD=VALUES",
            help="A field to search; may be repeated: learning_rate=0.001..0.02:log, epochs=5..15, "
            "dropout=0..0.5:0.1, 'optimizer=adam|adamw', 'widths=16,32|32,64'.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change one field in all trials."),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=0, help="Trials the study shall have in all, of all machines.")
    ] = 30,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds after which no trial is begun.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Trainings a trial.")] = 1,
    prune: Annotated[
        bool, typer.Option("--prune/--no-prune", help="End trials that fall behind the median.")
    ] = True,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the study.", show_default="runs/tune-RECIPE-N")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Go on with the study in this folder.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Database that several machines share, such as postgresql://user@host/studies.",
            show_default="study.db in the folder",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="The study's name in the database.", show_default="the folder's name"),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Search fields of a recipe for the highest accuracy on the validation tiles.

    Each trial trains a recipe; the test set is not touched. The same study may be worked on by
    several processes at once: start the command again with --resume FOLDER, or on other machines
    with the same --storage and --name. `digitlens train --recipe FOLDER/best.toml` trains the best.
    """
    asked = searches or changes or recipe != "standard" or seeds != 1
    if resume and (asked or out or storage or name):
        raise typer.BadParameter("--resume goes on with the study in its folder, as it was begun")
    if storage and not name:
        raise typer.BadParameter("--storage is shared: give the study a --name too")
    joins = resume or (storage and not asked)
    space = None if joins else _space(recipe, changes or [], searches or [])
    local_storage = _load_optuna()
    folder = resume or out or _free_folder(recipe, name if storage else None)
    _check_folder(folder, resume=resume is not None, shared=storage is not None)
    address = storage or local_storage(folder)
    known = name or ("" if resume else folder.name)
    study, splits = _open(address, known, space, seeds, data_dir, prune=prune)
    try:
        _search(study, splits, folder, trials, timeout)
    except KeyboardInterrupt:
        from digitlens.training.tune import shown_address

        again = (
            f"--storage {shown_address(address)} --name {name}" if storage else f"--resume {folder}"
        )
        note(f"stopped; go on with  digitlens tune {again}")
        _tell(study, folder, as_json=as_json)
        raise typer.Exit(INTERRUPTED) from None
    _tell(study, folder, as_json=as_json)


def _space(recipe: str, changes: list[str], searches: list[str]) -> SearchSpace:
    from digitlens.training.search_space import parse_space

    space = parse_space(recipe, changes, searches)
    if space.base.validation not in {"writer", "random"}:
        raise RecipeError(
            f"expected a recipe that keeps tiles back to validate with, found "
            f"validation={space.base.validation}: add  --set validation=writer"
        )
    return space


def _free_folder(recipe: str, shared: str | None) -> Path:
    from digitlens.training.run import free_folder

    return Path("runs") / f"tune-{shared}" if shared else free_folder(f"tune-{Path(recipe).stem}")


def _check_folder(folder: Path, *, resume: bool, shared: bool) -> None:
    """Raises DataError where a study would be begun over something else, or there is none."""
    if resume and not (folder / DATABASE).is_file():
        raise DataError(
            f"{folder} is not a study: expected a folder that has {DATABASE} in it; one in a "
            "shared database is joined with --storage and --name"
        )
    if not (resume or shared) and folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise DataError(
            f"{folder} is not empty: name another folder with --out, or go on with  "
            f"digitlens tune --resume {folder}"
        )
    folder.mkdir(parents=True, exist_ok=True)


def _load_optuna() -> Callable[[Path], str]:
    """What tells the address of a folder's database, once all that a study needs is installed."""
    use_patient_threads()  # a study that several processes share makes a machine busy
    with needs_extra("tune"):
        import_module("digitlens.training.tune")  # torch as well as Optuna
        from digitlens.training.tune import local_storage
    return local_storage


def _open(
    storage: str,
    name: str,
    space: SearchSpace | None,
    seeds: int,
    data_dir: Path | None,
    *,
    prune: bool,
) -> tuple[Study, tuple[Split, Split]]:
    """The study, and the tiles that all its trials train and validate with."""
    from digitlens.datasets.mnist import load_mnist
    from digitlens.training.tune import open_study, plan_of, space_of

    if space is None:
        study = open_study(storage, name, None, pruning=prune)
        return study, space_of(study).base.split(load_mnist(data_dir).train)
    splits = space.base.split(load_mnist(data_dir).train)
    plan = plan_of(space, seeds, len(splits[1]))
    return open_study(storage, name, plan, pruning=prune), splits


def _search(
    study: Study, splits: tuple[Split, Split], folder: Path, trials: int, timeout: float | None
) -> None:
    from digitlens.training.device import choose_device
    from digitlens.training.tune import result_of, search, space_of

    if trials:
        note(f"device: {choose_device(space_of(study).base.precision).reason}")
    training, validation = map(len, splits)
    note(f"tiles: {training:,} to train, {validation:,} to validate, the same for all trials")

    def on_trial(trial: Trial) -> None:
        _announce(trial, trials)
        if trial.state != "running":
            _write(result_of(study), folder)

    search(study, splits, folder, trials=trials, timeout=timeout, on_trial=on_trial)


def _announce(trial: Trial, trials: int) -> None:
    """A line before and after each trial, on a terminal, where a bar of the training is between."""
    if not stderr_console().is_terminal:
        return
    if trial.state == "running":
        note(f"trial {trial.number} of {trials}: {_chosen_text(trial)}")
        return
    outcome = trial.reason if trial.accuracy is None else f"{trial.accuracy:.2%}"
    note(f"  {trial.state}: {outcome}, {trial.seconds:.1f} s")


def _write(result: StudyResult, folder: Path) -> None:
    from digitlens import files

    files.write_bytes(folder / TABLE, result.as_csv().encode())
    if toml := result.best_toml():
        files.write_bytes(folder / BEST, toml.encode())


def _tell(study: Study, folder: Path, *, as_json: bool) -> None:
    from digitlens.training.tune import result_of

    result = result_of(study)
    _write(result, folder)
    written = [TABLE, *([BEST] if result.best else []), *_draw(result, folder)]
    note(f"written to {folder}: {', '.join(written)}")
    if as_json:
        print_json({"folder": str(folder), **result.as_dict()})
    else:
        _print_study(result, folder / BEST)


def _draw(result: StudyResult, folder: Path) -> list[str]:
    if not result.best:
        return []
    try:
        with needs_extra("plots"):
            from digitlens.visualization.figures.curves import draw_tuning
    except MissingExtraError as error:
        note(f"no {PICTURE}: {error}")
        return []
    draw_tuning(result, folder / PICTURE)
    return [PICTURE]


def _print_study(result: StudyResult, best: Path) -> None:
    """Prints the best trials, how many there are, and how to train the best, from its file."""
    console = wide_console()
    if result.ranked:
        console.print(_table(result))
        console.print()
    console.print(_counts(result), soft_wrap=True)
    if result.importance:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in result.importance.items())
        console.print(f"what mattered: {shares}", soft_wrap=True)
    for trial in result.trials:
        if trial.state == "failed":
            reason = trial.reason or "its process ended"
            console.print(f"trial {trial.number} failed: {reason}", soft_wrap=True)
    if result.best:
        console.print(_best(result.best, result), soft_wrap=True)
        console.print(f"train the best with  digitlens train --recipe {best}", soft_wrap=True)


def _counts(result: StudyResult) -> str:
    counts = [
        f"{count} {state}"
        for state in ("complete", "pruned", "failed", "running")
        if (count := result.count(state))
    ]
    return f"{len(result.trials)} trials: {', '.join(counts)}" if counts else "no trials yet"


def _best(best: Trial, result: StudyResult) -> str:
    """The best trial, with Wilson's interval as if its seeds were one: they read the same tiles."""
    from digitlens.evaluation.metrics import wilson_interval

    accuracy = best.accuracy or 0.0
    low, high = wilson_interval(round(accuracy * result.tiles), result.tiles)
    # The more trials, the luckier the best of them: the interval is not of a choice.
    return (
        f"best: trial {best.number}, {accuracy:.2%} of {result.tiles:,} validation tiles (95 % "
        f"interval {low:.2%} to {high:.2%}); being the best of {result.count('complete')}, it "
        "reads other tiles somewhat worse"
    )


def _table(result: StudyResult) -> Table:
    names = [one.name for one in result.space.dimensions]
    rows = [
        (
            str(trial.number),
            f"{trial.accuracy or 0.0:.2%}",
            f"{sum(trial.losses) / max(1, len(trial.losses)):.4f}",
            f"{trial.seconds:.1f}",
            *(_short(trial.chosen[name]) for name in names),
        )
        for trial in result.ranked[:SHOWN]
    ]
    return table_of(("trial", "accuracy", "loss", "seconds", *names), rows, left=0)


def _chosen_text(trial: Trial) -> str:
    """What a trial chose, on one line."""
    return ", ".join(f"{name}={_short(value)}" for name, value in trial.chosen.items())


def _short(value: str | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
