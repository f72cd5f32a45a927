"""Trains recipes from several seeds, in kept folders, and scores each once on the test set."""

import dataclasses
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from digitlens import __version__
from digitlens.datasets.mnist import Mnist
from digitlens.datasets.mnist_sources import data_hashes
from digitlens.evaluation.metrics import measure_uncertainty, wilson_interval
from digitlens.evaluation.report import Report, evaluate
from digitlens.models.bundle import Card
from digitlens.models.classifier import Classifier
from digitlens.training.checkpoint import STATE
from digitlens.training.device import choose_device
from digitlens.training.export import export_classifier, load_network
from digitlens.training.nets.tile_network import Ensemble, count_parameters
from digitlens.training.recipe import Recipe
from digitlens.training.recipes import recipe_from
from digitlens.training.run import MODEL, RECIPE, run_name, start_run
from digitlens.training.tasks.tile import train_classifier

Row = dict[str, Any]


def trained(name: str, recipe: Recipe, mnist: Mnist, folder: Path) -> Path:
    """The model folder of a run, which is trained, or trained on, where it is not finished."""
    if (folder / MODEL / "model.json").is_file():
        return folder / MODEL
    device = choose_device(recipe.precision)
    if not (folder / RECIPE).is_file():
        start_run(folder, name, recipe, data_hashes(), device.reason)
    training, validation = recipe.split(mnist.train)
    begun = (folder / STATE).is_file()
    done = train_classifier(recipe, training, validation, folder, resume=begun, device=device)
    results = {"training_seconds": done.seconds, "epochs": len(done.history), **done.scores}
    card = Card(run_name(folder), __version__, "", recipe=recipe.as_dict(), results=results)
    export_classifier(
        done.network, card, validation if len(validation) else training, folder / MODEL
    )
    return folder / MODEL


def assembled(name: str, members: Sequence[Path], recipe: Recipe, mnist: Mnist, to: Path) -> Path:
    """A committee of networks that are trained already: what its recipe would train anew."""
    if not (to / "model.json").is_file():
        recipe = dataclasses.replace(recipe, members=len(members))
        networks = [load_network(member) for member in members]
        single = [one for n in networks for one in (n.members if isinstance(n, Ensemble) else [n])]
        seconds = sum(Classifier(member).card.results["training_seconds"] for member in members)
        card = Card(
            name, __version__, "", recipe=recipe.as_dict(), results={"training_seconds": seconds}
        )
        export_classifier(Ensemble(single, recipe.views).eval(), card, mnist.train, to)
    return to


def teacher(member: Path, mnist: Mnist, to: Path) -> Path:
    """The network of a run, which sees each tile once: five times as quick as with five views."""
    if not (to / "model.json").is_file():
        network = load_network(member)
        recipe = dataclasses.replace(recipe_from(Classifier(member).card.recipe), views=1)
        single = network.members[0] if isinstance(network, Ensemble) else network
        card = Card("teacher", __version__, "", recipe=recipe.as_dict())
        export_classifier(single.eval(), card, mnist.train, to)
    return to


def scored(model: Path, mnist: Mnist, seed: int) -> tuple[Row, Report]:
    """What a model scores on the test set."""
    classifier = Classifier(model)
    report = evaluate(classifier.predict_proba, mnist.test)
    uncertainty = measure_uncertainty(mnist.test.labels, report.probabilities)
    network = load_network(model)
    row = {
        "seed": seed,
        "test_accuracy": report.accuracy,
        "test_errors": report.score.errors,
        "test_accuracy_without_label_errors": (
            report.without_label_errors or report.score
        ).accuracy,
        "test_loss": report.loss,
        "test_ece": report.ece,
        "coverage_at_zero_errors": uncertainty.coverage_at_zero,
        "parameters": count_parameters(network),
        "seconds": classifier.card.results["training_seconds"],
    }
    print(model.parent.name, json.dumps(row), file=sys.stderr, flush=True)
    return row, report


def summary(rows: Sequence[Row]) -> Row:
    """Mean and standard deviation over the seeds, and the interval of all their answers."""
    keys = ("test_accuracy", "test_accuracy_without_label_errors", "test_loss", "seconds")
    found: Row = {
        key: {
            "mean": statistics.mean(row[key] for row in rows),
            "sd": statistics.stdev(row[key] for row in rows) if len(rows) > 1 else None,
        }
        for key in keys
    }
    # Tiles are the same for all seeds: the interval is that of one test set at the mean accuracy.
    right = round(10_000 * found["test_accuracy"]["mean"])
    return found | {"interval": wilson_interval(right, 10_000), "rows": list(rows)}


def recipes_table(results: Mapping[str, Row], head: str) -> str:
    """The recipes as a table in Markdown."""
    lines = [
        head,
        "",
        "| recipe | seeds | parameters | test | 95 % interval | without label errors | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        low, high = (100 * end for end in result["interval"])
        lines.append(
            f"| `{name}` | {len(result['rows'])} | {result['rows'][0]['parameters']:,} "
            f"| {_share(result['test_accuracy'])} | {low:.2f} to {high:.2f} "
            f"| {_share(result['test_accuracy_without_label_errors'])} "
            f"| {result['seconds']['mean']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def _share(value: Mapping[str, float | None]) -> str:
    sd = f" ± {100 * value['sd']:.3f}" if value["sd"] is not None else ""
    return f"{100 * (value['mean'] or 0):.3f}{sd} %"
