"""``digitlens train``: from a recipe to a run folder with a model that can be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitlens.cli.options import (
    INTERRUPTED,
    AsJson,
    DataDir,
    RecipeName,
    use_patient_threads,
)
from digitlens.errors import DataError, MissingExtraError, needs_extra
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.datasets.mnist import Split
    from digitlens.server.watch.followers import Followers
    from digitlens.training.loop import Trained
    from digitlens.training.pipeline import Outcome
    from digitlens.training.recipes import AnyRecipe

EXTRA = "extra: "  # stands before the name of a file in the hashes of a run's data


Watch = Annotated[
    bool,
    typer.Option("--watch", help="Show the training while it goes on, as a page in the browser."),
]
WatchPort = Annotated[
    int, typer.Option(min=0, max=65535, help="Port of that page; 0 takes a free one.")
]
OpenPage = Annotated[
    bool, typer.Option("--open/--no-open", help="Whether --watch opens the browser.")
]
Board = Annotated[
    bool,
    typer.Option("--tensorboard", help="Write RUN/tensorboard, which TensorBoard shows."),
]
BoardFolder = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The same, into a folder of your choice.")
]


def train(
    recipe: RecipeName = "standard",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change one field; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="runs/RECIPE-N")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped.")
    ] = None,
    refit: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Train anew what a run has chosen by validation, with all tiles and none held "
            "back.",
        ),
    ] = None,
    data_dir: DataDir = None,
    extra: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|ZIP",
            help="Labelled tiles to train with besides MNIST, such as corrections downloaded from "
            "the page of `digitlens serve`; none of them is used to validate.",
        ),
    ] = None,
    fields: Annotated[
        bool, typer.Option("--fields", help="Show what a recipe is made of, and stop.")
    ] = False,
    as_json: AsJson = False,
    watch: Watch = False,
    watch_port: WatchPort = 0,
    open_page: OpenPage = True,
    tensorboard: Board = False,
    tensorboard_dir: BoardFolder = None,
) -> None:
    """Train a network that reads digits: by its recipe a classifier or one of three others.

    `--recipe pages` trains the digit detector, `--recipe lines` the line recogniser, `--recipe
    autoencoder` a network that draws digits again; all others classify the tiles of MNIST.

    The test set is not touched: `digitlens evaluate --model RUN` scores the result.
    """
    from digitlens.server.watch.followers import Followers, FollowOptions
    from digitlens.training.recipe import Recipe
    from digitlens.training.recipes import changed_recipe, load_recipe
    from digitlens.training.run import (
        RECIPE,
        free_folder,
        refit_recipe,
        resume_run,
        run_name,
    )

    if resume and (changes or out or refit or recipe != "standard"):
        raise typer.BadParameter("--resume goes on with the recipe and folder of the run")
    if refit and recipe != "standard":
        raise typer.BadParameter("--refit takes the recipe of the run")
    if resume:
        chosen = resume_run(resume)
    elif refit:
        chosen = changed_recipe(refit_recipe(refit), changes or [])
    else:
        chosen = load_recipe(recipe, changes)
    if extra and chosen.architecture in {"pages", "lines"}:
        raise typer.BadParameter(
            f"--extra is for tiles; recipe {chosen.architecture} learns from generated pictures"
        )
    if fields:
        _show_fields(chosen)
        return
    follow = FollowOptions(watch, watch_port, open_page, tensorboard, tensorboard_dir)
    if follow and not isinstance(chosen, Recipe):
        raise typer.BadParameter("--watch and --tensorboard follow networks that name digits")
    name = run_name(refit) if refit else Path(recipe).stem
    folder = resume or out or free_folder(name)
    if follow:
        use_patient_threads()
    with Followers(follow) as followers:
        try:
            outcome = _train(
                chosen, folder, name, data_dir, extra, followers, resume=resume is not None
            )
        except KeyboardInterrupt:
            if not (folder / RECIPE).is_file():
                raise
            note(f"stopped; go on with  digitlens train --resume {folder}")
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
    *,
    resume: bool,
) -> Outcome:
    use_patient_threads()
    with needs_extra("train"):
        from digitlens.training.device import choose_device
        from digitlens.training.pipeline import Job, train_run
    from digitlens.datasets.mnist import load_mnist

    device = choose_device(recipe.precision)
    note(f"device: {device.reason}")
    training, validation = recipe.split(load_mnist(data_dir).train)
    training, data = _with_extra(training, extra)
    if resume:
        _check_extra(folder, data)
    note(
        f"tiles: {len(training):,} to train, {len(validation):,} to validate (split by "
        f"{recipe.validation})"
    )
    job = Job(folder, name, (training, validation), data, device, resume, _draw)
    return train_run(recipe, job, followers)


def _draw(trained: Trained[Any], folder: Path) -> None:
    """Draws the curves into a run folder, or says which extra that needs."""
    from digitlens.training.run import CURVES

    try:
        with needs_extra("plots"):
            from digitlens.visualization.figures.curves import draw_curves

            draw_curves(trained.history, folder / CURVES, trained.steps)
    except MissingExtraError as error:
        note(f"no {CURVES}: {error}")


def _with_extra(training: Split, extra: Path | None) -> tuple[Split, dict[str, str]]:
    """The tiles to train with, more of them if wanted, and the hashes of where they come from."""
    import numpy as np

    from digitlens.datasets.labelled import load_with_hash
    from digitlens.datasets.mnist import Split
    from digitlens.datasets.mnist_sources import data_hashes

    if not extra:
        return training, data_hashes()
    more, sha256 = load_with_hash(extra)
    note(f"{extra}: {len(more):,} tiles more to train with")
    tiles = np.concatenate([training.tiles, more.tiles])
    labels = np.concatenate([training.labels, more.labels])
    return Split(tiles, labels), data_hashes() | {EXTRA + extra.name: sha256}


def _check_extra(folder: Path, data: dict[str, str]) -> None:
    """Raises DataError where a run would go on with other tiles than it began with."""
    from digitlens.training.run import PROVENANCE

    begun = json.loads((folder / PROVENANCE).read_text(encoding="utf-8")).get("data", {})
    wanted, given = ({k: v for k, v in d.items() if k.startswith(EXTRA)} for d in (begun, data))
    if sorted(wanted.values()) != sorted(given.values()):
        what = "".join(f" --extra {key.removeprefix(EXTRA)}" for key in wanted) or "out --extra"
        raise DataError(f"{folder} was begun with{what}: go on with the same, unchanged")


def _show_fields(recipe: AnyRecipe) -> None:
    from digitlens.training.settings import field_docs, shown

    values = recipe.as_dict()
    for field, text in field_docs(type(recipe)).items():
        typer.echo(f"{f'{field}={shown(values[field])}':<28} {text}")
