"""``digitlens train`` and ``digitlens tune``: train a model from a recipe, search its fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from digitlens.cli import tables
from digitlens.cli.tables import INTERRUPTED, AsJson, DataDir, RecipeName, figure, try_draw
from digitlens.errors import DataError, RecipeError, needs_extra
from digitlens.files import is_unused
from digitlens.progress import note, stderr_console

if TYPE_CHECKING:
    from digitlens.datasets.mnist import Split
    from digitlens.server.followers import Followers
    from digitlens.training.loop import Trained
    from digitlens.training.pipeline import Outcome
    from digitlens.training.recipe import AnyRecipe
    from digitlens.training.search_space import StudyResult, Trial

EXTRA = "extra: "  # prefix of the file name in the data hashes of a run


def train(
    recipe: RecipeName = "standard",
    changes: Annotated[
        list[str] | None,
        Option("--set", metavar="FIELD=VALUE", help="Change one field of the recipe; repeatable."),
    ] = None,
    out: Annotated[Path | None, Option(help="Run folder.", show_default="runs/RECIPE-N")] = None,
    resume: Annotated[Path | None, Option(metavar="RUN", help="Continue a stopped run.")] = None,
    refit: Annotated[
        Path | None,
        Option(
            metavar="RUN",
            help="Retrain a finished run on all tiles, none held out, with the epochs and "
            "temperature that its validation chose.",
        ),
    ] = None,
    data_dir: DataDir = None,
    extra: Annotated[
        Path | None,
        Option(
            metavar="FOLDER|ZIP",
            help="Labelled tiles to train on in addition to MNIST, such as corrections downloaded "
            "from the page of `digitlens serve`; none of them is used for validation.",
        ),
    ] = None,
    fields: Annotated[
        bool, Option("--fields", help="List the fields of the recipe and exit.")
    ] = False,
    as_json: AsJson = False,
    watch: Annotated[
        bool,
        Option("--watch", help="Show the progress of the training as a page in the browser."),
    ] = False,
    watch_port: Annotated[
        int, Option(min=0, max=65535, help="Port of that page; 0 picks a free one.")
    ] = 0,
    open_page: Annotated[
        bool, Option("--open/--no-open", help="Whether --watch opens the page in a browser.")
    ] = True,
    tensorboard: Annotated[
        bool, Option("--tensorboard", help="Write event files for TensorBoard to RUN/tensorboard.")
    ] = False,
    tensorboard_dir: Annotated[
        Path | None, Option(metavar="DIR", help="Write event files for TensorBoard to this folder.")
    ] = None,
) -> None:
    """Train a network; its recipe decides which kind.

    `--recipe pages` trains the digit detector, `--recipe lines` the line recogniser and `--recipe
    autoencoder` an autoencoder of digits; all other recipes train classifiers of MNIST tiles.

    Training does not use the test set: `digitlens evaluate --model RUN` scores the result on it.
    """
    from digitlens.server.followers import Followers
    from digitlens.training.recipe import Recipe, changed_recipe, load_recipe
    from digitlens.training.run import RECIPE, free_folder, refit_recipe, resume_run, run_name

    if resume and (changes or out or refit or recipe != "standard"):
        raise typer.BadParameter("--resume uses the recipe and folder of the run: omit others")
    if refit and recipe != "standard":
        raise typer.BadParameter("--refit uses the recipe of the run: omit --recipe")
    if resume:
        chosen = resume_run(resume)
    elif refit:
        chosen = changed_recipe(refit_recipe(refit), changes or [])
    else:
        chosen = load_recipe(recipe, changes)
    if extra and chosen.architecture in {"pages", "lines"}:
        raise typer.BadParameter(
            f"--extra adds tiles, but recipe {chosen.architecture} trains on generated pictures"
        )
    if fields:
        from digitlens.training.settings import field_docs, format_value

        values = chosen.as_dict()
        for field, text in field_docs(type(chosen)).items():
            typer.echo(f"{f'{field}={format_value(values[field])}':<28} {text}")
        return
    followers = Followers(
        watch=watch,
        port=watch_port,
        open_page=open_page,
        tensorboard=tensorboard,
        events=tensorboard_dir,
    )
    if followers.wanted and not isinstance(chosen, Recipe):
        raise typer.BadParameter("--watch and --tensorboard are only for classifiers: omit them")
    name = run_name(refit) if refit else Path(recipe).stem
    folder = resume or out or free_folder(name)
    tables.use_patient_threads()
    with followers:
        try:
            outcome = _train(chosen, folder, name, data_dir, extra, followers, resume is not None)
        except KeyboardInterrupt:
            if not (folder / RECIPE).is_file():
                raise
            note(f"stopped; resume with  digitlens train --resume {folder}")
            raise typer.Exit(INTERRUPTED) from None
        typer.echo(json.dumps(outcome.results) if as_json else outcome.summary)
        followers.linger()


def _train(
    recipe: AnyRecipe,
    folder: Path,
    name: str,
    data_dir: Path | None,
    extra: Path | None,
    followers: Followers,
    resume: bool,
) -> Outcome:
    with needs_extra("train"):
        from digitlens.training.loop import choose_device
        from digitlens.training.pipeline import TrainingJob, train_run
    from digitlens.datasets.mnist import load_mnist

    device = choose_device(recipe.precision)
    note(f"device: {device.reason}")
    training, validation = recipe.split(load_mnist(data_dir).train)
    training, data = _add_extra(training, extra)
    if resume:
        _check_extra(folder, data)
    note(
        f"tiles: {len(training):,} to train, {len(validation):,} to validate (split by "
        f"{recipe.validation})"
    )
    job = TrainingJob(folder, name, (training, validation), data, device, resume, _draw)
    return train_run(recipe, job, followers)


def _draw(trained: Trained[Any], folder: Path) -> None:
    """Draws the curves into a run folder, or notes the extra that is missing."""
    from digitlens.training.run import CURVES

    path = folder / CURVES
    try_draw(lambda: figure("curves.draw_curves")(trained.history, path, trained.steps), CURVES)


def _add_extra(training: Split, extra: Path | None) -> tuple[Split, dict[str, str]]:
    """The tiles to train on, extra ones included, and the hashes of their sources."""
    import numpy as np

    from digitlens.datasets.labelled import load_with_hash
    from digitlens.datasets.mnist import Split
    from digitlens.datasets.sources import data_hashes

    if not extra:
        return training, data_hashes()
    extra_split, sha256 = load_with_hash(extra)
    note(f"{extra}: {len(extra_split):,} more tiles to train on")
    tiles = np.concatenate([training.tiles, extra_split.tiles])
    labels = np.concatenate([training.labels, extra_split.labels])
    return Split(tiles, labels), data_hashes() | {EXTRA + extra.name: sha256}


def _check_extra(folder: Path, data: dict[str, str]) -> None:
    """Raises DataError if a run would resume with other extra tiles than it began with."""
    from digitlens.training.run import PROVENANCE

    begun = json.loads((folder / PROVENANCE).read_text(encoding="utf-8")).get("data", {})
    old, new = ({k: v for k, v in d.items() if k.startswith(EXTRA)} for d in (begun, data))
    if sorted(old.values()) != sorted(new.values()):
        options = "".join(f" --extra {key.removeprefix(EXTRA)}" for key in old) or "out --extra"
        raise DataError(f"{folder} was begun with{options}: resume with the same, unchanged")


BEST, TABLE, PICTURE = "best.toml", "trials.csv", "tuning.png"
LISTED = 10  # trials listed in the table
DATABASE = "study.db"  # in the study's folder, unless --storage is given


def tune(
    recipe: RecipeName = "standard",
    searches: Annotated[
        list[str] | None,
        Option(
            "--search",
            metavar="FIELD=VALUES",
            help="Field to search; repeatable: learning_rate=0.001..0.02:log, epochs=5..15, "
            "dropout=0..0.5:0.1, 'optimizer=adam|adamw', 'widths=16,32|32,64'.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        Option("--set", metavar="FIELD=VALUE", help="Change one field in all trials; repeatable."),
    ] = None,
    trials: Annotated[
        int, Option(min=0, help="Total number of trials of the study, over all machines.")
    ] = 30,
    timeout: Annotated[
        float | None, Option(min=0, help="Seconds after which no new trial starts.")
    ] = None,
    seeds: Annotated[int, Option(min=1, max=100, help="Trainings per trial.")] = 1,
    prune: Annotated[
        bool, Option("--prune/--no-prune", help="Stop trials that fall behind the median.")
    ] = True,
    out: Annotated[
        Path | None, Option(help="Folder of the study.", show_default="runs/tune-RECIPE-N")
    ] = None,
    resume: Annotated[
        Path | None, Option(metavar="FOLDER", help="Continue the study in this folder.")
    ] = None,
    storage: Annotated[
        str | None,
        Option(
            metavar="URL",
            help="Database that several machines share, such as postgresql://user@host/studies.",
            show_default="study.db in the folder",
        ),
    ] = None,
    name: Annotated[
        str | None,
        Option(help="Name of the study in the database.", show_default="the folder's name"),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Search fields of a recipe for the highest accuracy on the validation tiles.

    Each trial trains a recipe; the test set is not used. Several processes can work on one study:
    run the command again with --resume FOLDER, or on other machines with the same --storage and
    --name. `digitlens train --recipe FOLDER/best.toml` trains the best recipe.
    """
    from digitlens.training.run import free_folder
    from digitlens.training.search_space import parse_space

    has_changes = searches or changes or recipe != "standard" or seeds != 1
    if resume and (has_changes or out or storage or name):
        raise typer.BadParameter("--resume continues a study as begun: omit options that change it")
    if storage and not name:
        raise typer.BadParameter("--storage is shared: also give the study a --name")
    is_joining = resume or (storage and not has_changes)
    space = None if is_joining else parse_space(recipe, changes or [], searches or [])
    if space and space.base.validation not in {"writer", "random"}:
        raise RecipeError(
            f"expected a recipe that holds tiles out for validation, found "
            f"validation={space.base.validation}: add  --set validation=writer"
        )
    tables.use_patient_threads()  # several processes of a study keep the machine busy
    with needs_extra("tune"):  # torch as well as Optuna
        from digitlens.training.tune import (
            local_storage,
            open_study,
            plan_of,
            result_of,
            safe_address,
            search,
            space_of,
        )
    from digitlens.datasets.mnist import load_mnist
    from digitlens.training.loop import choose_device

    default_folder = Path("runs") / f"tune-{name}" if storage else None
    folder = resume or out or default_folder or free_folder(f"tune-{Path(recipe).stem}")
    _check_folder(folder, resume=resume is not None, shared=storage is not None)
    address, study_id = storage or local_storage(folder), name or ("" if resume else folder.name)
    # All trials train and validate on these tiles.
    if space:
        splits = space.base.split(load_mnist(data_dir).train)
        study = open_study(address, study_id, plan_of(space, seeds, len(splits[1])), pruning=prune)
    else:  # a missing study is reported before the tiles are downloaded
        study = open_study(address, study_id, None, pruning=prune)
        splits = space_of(study).base.split(load_mnist(data_dir).train)
    if trials:
        note(f"device: {choose_device(space_of(study).base.precision).reason}")
    training, validation = map(len, splits)
    note(f"tiles: {training:,} to train, {validation:,} to validate, the same for all trials")

    def on_trial(trial: Trial) -> None:
        _announce_trial(trial, trials)
        if trial.state != "running":
            _write_study(result_of(study), folder)

    stopped = False
    try:
        search(study, splits, folder, trials=trials, timeout=timeout, on_trial=on_trial)
    except KeyboardInterrupt:
        shared = f"--storage {safe_address(address)} --name {name}"
        note(f"stopped; resume with  digitlens tune {shared if storage else f'--resume {folder}'}")
        stopped = True
    _report_study(result_of(study), folder, as_json=as_json)
    if stopped:
        raise typer.Exit(INTERRUPTED)


def _check_folder(folder: Path, *, resume: bool, shared: bool) -> None:
    """Raises DataError if there is no study to resume, or a new one's folder is not empty."""
    if resume and not (folder / DATABASE).is_file():
        raise DataError(
            f"{folder} is not a study: expected a folder with {DATABASE}; to join a study in a "
            "shared database, use --storage and --name"
        )
    if not (resume or shared or is_unused(folder)):
        raise DataError(
            f"{folder} is not empty: name another folder with --out, or resume its study with  "
            f"digitlens tune --resume {folder}"
        )
    folder.mkdir(parents=True, exist_ok=True)


def _announce_trial(trial: Trial, trials: int) -> None:
    """Prints a line before and after each trial, on a terminal, around its progress bar."""
    if not stderr_console().is_terminal:
        return
    if trial.state == "running":
        chosen = (f"{name}={_format_value(value)}" for name, value in trial.chosen.items())
        note(f"trial {trial.number} of {trials}: {', '.join(chosen)}")
        return
    outcome = trial.reason if trial.accuracy is None else f"{trial.accuracy:.2%}"
    note(f"  {trial.state}: {outcome}, {trial.seconds:.1f} s")


def _write_study(result: StudyResult, folder: Path) -> None:
    from digitlens import files

    files.write_bytes(folder / TABLE, result.as_csv().encode())
    if toml := result.best_toml():
        files.write_bytes(folder / BEST, toml.encode())


def _report_study(result: StudyResult, folder: Path, *, as_json: bool) -> None:
    _write_study(result, folder)
    written = [TABLE]
    if result.best:
        written.append(BEST)
        if try_draw(lambda: figure("curves.draw_tuning")(result, folder / PICTURE), PICTURE):
            written.append(PICTURE)
    note(f"written to {folder}: {', '.join(written)}")
    if as_json:
        tables.print_json({"folder": str(folder), **result.as_dict()})
    else:
        _print_study(result, folder / BEST)


def _print_study(result: StudyResult, best: Path) -> None:
    """Prints the best trials, the counts by state, and the command that trains the best."""
    console = tables.wide_console()
    names = [one.name for one in result.space.dimensions]
    rows = [
        (
            str(trial.number),
            f"{trial.accuracy or 0.0:.2%}",
            f"{sum(trial.losses) / max(1, len(trial.losses)):.4f}",
            f"{trial.seconds:.1f}",
            *(_format_value(trial.chosen[name]) for name in names),
        )
        for trial in result.ranked[:LISTED]
    ]
    if rows:
        headings = ("trial", "accuracy", "loss", "seconds", *names)
        console.print(tables.table_of(headings, rows, left=0))
        console.print()
    states = ("complete", "pruned", "failed", "running")
    counts = [f"{result.count(state)} {state}" for state in states if result.count(state)]
    lines = [f"{len(result.trials)} trials: {', '.join(counts)}" if counts else "no trials yet"]
    if result.importance:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in result.importance.items())
        lines.append(f"importance of the fields: {shares}")
    failed = [trial for trial in result.trials if trial.state == "failed"]
    lines += [f"trial {one.number} failed: {one.reason or 'its process ended'}" for one in failed]
    if result.best:
        lines.append(_best_line(result.best, result))
        lines.append(f"train the best with  digitlens train --recipe {best}")
    for line in lines:
        console.print(line, soft_wrap=True)


def _best_line(best: Trial, result: StudyResult) -> str:
    """The best trial with a Wilson interval for one training: all seeds score the same tiles."""
    from digitlens.evaluation.metrics import wilson_interval

    accuracy = best.accuracy or 0.0
    low, high = wilson_interval(round(accuracy * result.tiles), result.tiles)
    # The more trials, the luckier the best: the interval does not account for the selection.
    interval = f"95 % interval {low:.2%} to {high:.2%}"
    score = f"best: trial {best.number}, {accuracy:.2%} of {result.tiles:,} validation tiles"
    luck = f"as the best of {result.count('complete')}, it will score somewhat lower on other tiles"
    return f"{score} ({interval}); {luck}"


def _format_value(value: str | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
