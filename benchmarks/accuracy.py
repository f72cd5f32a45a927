"""How accurate are the recipes, and how does the shipped model fare where MNIST ends?

    python benchmarks/accuracy.py [--run best:5] [--runs FOLDER] [--model default] [--out FOLDER]
                                  [--negatives NAME=FILE] [--on NAME=FILE] [--only recipes|model]

Each recipe was chosen on validation tiles by writer. ``best`` and the distilled networks are then
trained with all 60,000 tiles, ``standard`` keeps its validation tiles; each seed sees the test set
once. Runs are kept in a folder and not trained again. Of one model the record has MNIST-C, other
data sets, calibration and rejection, and the picture of every error; ``--card`` writes the numbers
into its ``model.json``.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

import harness
from digitlens import __version__, files
from digitlens.cli.evaluate import external_part, ood_part, robustness_part
from digitlens.datasets.mnist import Mnist, load_mnist
from digitlens.datasets.sources import data_hashes
from digitlens.evaluation.metrics import wilson_interval
from digitlens.evaluation.report import ModelInfo, evaluate
from digitlens.explain.trained_model import measure_corrupted, measure_external, measure_ood
from digitlens.models.bundle import CARD, Card, load_bundle
from digitlens.models.classifier import Classifier
from digitlens.progress import note
from digitlens.server.followers import Followers, FollowOptions
from digitlens.training.export import export_classifier, load_network
from digitlens.training.loop import STATE, choose_device
from digitlens.training.pipeline import TrainingJob, train_run
from digitlens.training.recipe import Recipe, load_recipe, recipe_from
from digitlens.training.run import MODEL
from digitlens.training.tile_networks import Ensemble, count_parameters
from digitlens.visualization.figures.scores import draw_wrong
from harness import Row

RUNS = ("best:5", "standard:5", "small-200k:5", "small-20k:5", "small-8k:5")
ENSEMBLE_OF = "best"
DISTILLED = "small-"
TEMPERATURE = 1.1  # what a run of `best` with validation tiles fitted; no answer depends on it

RECIPES = (
    "recipe | seeds | parameters | test | 95 % interval | without label errors | seconds",
    "`{name}` | {seeds} | {rows[0][parameters]:,} | {test_accuracy:.3%} | {interval:.2f}"
    " | {test_accuracy_without_label_errors:.3%} | {seconds[mean]:.0f}",
)


def main() -> None:
    made = harness.parser(__doc__)
    made.add_argument("--run", action="append", help="recipe:seeds; nothing for none")
    made.add_argument("--runs", type=Path, default=Path("runs/accuracy"), help="kept runs")
    made.add_argument("--model", default="default", help="model that is looked at closely")
    made.add_argument("--negatives", action="append", default=[], help="NAME=FILE, no digits")
    made.add_argument("--on", action="append", default=[], help="NAME=FILE, other digits")
    made.add_argument("--card", action="store_true", help="write numbers into the model's card")
    made.add_argument("--only", choices=("recipes", "model"), help="keep the record's other part")
    options = made.parse_args()
    folder = options.out or harness.RECORDS / f"{datetime.now(UTC):%Y-%m-%d}_accuracy"
    path = folder / "accuracy.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    record |= harness.provenance()
    mnist, tables = load_mnist(), dict[str, str]()
    if options.only != "model":
        record["recipes"] = measure_recipes(options.run or list(RUNS), options.runs, mnist)
        head = f"Recipes on {record['date']}, {record['processor']}, one thread for each run."
        tables["recipes"] = f"{head}\n\n{harness.table(RECIPES, record['recipes'].values())}"
    if options.only != "recipes":
        record["model"], shown = look_closely(options, mnist, folder)
        tables |= shown
        if options.card:
            write_card(options.model, record["model"])
    for name, text in tables.items():
        files.write_bytes(folder / f"{name}.md", text.encode())
    files.write_json(path, record)


def measure_recipes(wanted: list[str], runs: Path, mnist: Mnist) -> Row:
    """Rows and summaries by recipe; the models of ``best`` make the ensemble."""
    results: Row = {}
    for run in wanted:
        name, _, seeds = run.partition(":")
        recipes = [published(name, seed, runs, mnist) for seed in range(int(seeds or 1))]
        models = [trained(name, one, mnist, runs / f"{name}-{one.seed}") for one in recipes]
        results[name] = summary(name, [score(model, mnist, k) for k, model in enumerate(models)])
        if name == ENSEMBLE_OF and len(models) > 1:
            recipe = replace(recipes[0], models=len(models))
            ensemble = combined(models, recipe, mnist, runs / "ensemble" / "model")
            results["ensemble"] = summary("ensemble", [score(ensemble, mnist, 0)])
    return results


def published(name: str, seed: int, runs: Path, mnist: Mnist) -> Recipe:
    """The recipe as it is scored: with all tiles, but ``standard`` as everyone would train it."""
    recipe = load_recipe(name, [f"seed={seed}"])
    assert isinstance(recipe, Recipe)
    if name == "standard":
        return recipe
    if name.startswith(DISTILLED):
        best = runs / f"{ENSEMBLE_OF}-0" / MODEL
        # Sees each tile once, which is five times as quick as with five views.
        quick = replace(recipe_from(Classifier(best).card.recipe), tta_views=1)
        recipe = replace(recipe, teacher=str(combined([best], quick, mnist, runs / "teacher")))
    return replace(recipe, validation="none", temperature=TEMPERATURE)


def trained(name: str, recipe: Recipe, mnist: Mnist, folder: Path) -> Path:
    """The model folder of a run, which is trained, or trained on, where it is not finished."""
    if not (folder / MODEL / CARD).is_file():
        device, begun = choose_device(recipe.precision), (folder / STATE).is_file()
        splits = recipe.split(mnist.train)
        job = TrainingJob(folder, name, splits, data_hashes(), device, begun, draw=lambda *_: None)
        with Followers(FollowOptions()) as followers:
            train_run(recipe, job, followers)
    return folder / MODEL


def combined(models: Sequence[Path], recipe: Recipe, mnist: Mnist, to: Path) -> Path:
    """A model of networks that are trained already: what its recipe would train anew."""
    if not (to / CARD).is_file():
        networks: list[Any] = []
        for network in map(load_network, models):
            networks += network.members if isinstance(network, Ensemble) else [network]
        alone = len(networks) == recipe.tta_views == 1
        network = networks[0] if alone else Ensemble(networks, recipe.tta_views)
        seconds = sum(Classifier(model).card.results["training_seconds"] for model in models)
        results = {"training_seconds": seconds}
        card = Card(to.parent.name, __version__, "", recipe=recipe.as_dict(), results=results)
        export_classifier(network.eval(), card, mnist.train, to)
    return to


def score(model: Path, mnist: Mnist, seed: int) -> Row:
    classifier = Classifier(model)
    report = evaluate(classifier.predict_proba, mnist.test)
    without = report.without_label_errors or report.score
    note(f"{model.parent.name}: {report.accuracy:.4f}")
    return {
        "seed": seed,
        "test_accuracy": report.accuracy,
        "test_errors": report.score.errors,
        "test_accuracy_without_label_errors": without.accuracy,
        "test_loss": report.loss,
        "test_ece": report.ece,
        "parameters": count_parameters(load_network(model)),
        "seconds": classifier.card.results["training_seconds"],
    }


def summary(name: str, rows: Sequence[Row]) -> Row:
    """Mean and standard deviation over the seeds, and the interval of all their answers."""
    keys = ("test_accuracy", "test_accuracy_without_label_errors", "test_loss", "seconds")
    found: Row = {key: harness.spread([row[key] for row in rows]) for key in keys}
    # Tiles are the same for all seeds: the interval is that of one test set at the mean accuracy.
    right = round(10_000 * found["test_accuracy"]["mean"])
    about = {"name": name, "seeds": len(rows), "interval": wilson_interval(right, 10_000)}
    return found | about | {"rows": list(rows)}


def look_closely(options: Any, mnist: Mnist, folder: Path) -> tuple[Row, dict[str, str]]:
    """Everything about one model, JSON-ready, and tables of it by name; writes the pictures."""
    classifier = Classifier(options.model)
    info = ModelInfo(classifier.name, classifier.sha256, classifier.given)
    report = evaluate(classifier.predict_proba, mnist.test, model=info)
    robust = measure_corrupted(classifier, mnist.test, report)
    parts = {
        "robustness": robustness_part(robust, mnist.test),
        "rejection": ood_part(measure_ood(classifier, mnist.test, negatives=options.negatives)),
        "transfer": external_part(measure_external(classifier, ["digits", *options.on])),
    }
    draw_wrong(report, mnist.test.tiles, folder / "errors.png", most=len(report.wrong))
    found: Row = {"test": report.as_dict()}
    for part in parts.values():
        part.write(folder)
        found |= part.values
    return found, {name: markdown(part.shown) for name, part in parts.items()}


def write_card(model: str, found: Row) -> None:
    """Puts the measured numbers into the model's card; the graph stays as it is."""
    path = load_bundle(model).folder / CARD
    card = json.loads(path.read_text(encoding="utf-8"))
    test, robust = found["test"], found["robustness"]
    card["results"] |= {
        "test_accuracy": test["accuracy"],
        "test_interval": test["interval"],
        "test_ece": test["expected_calibration_error"],
        "mnist_c": robust["mean_accuracy"],
        "mnist_c_without_overlap": robust["mean_accuracy_without_overlap"],
        "reject_by": found["rejection"]["recommended"],
        **{one["name"]: one["framed"]["accuracy"] for one in found["transfer"]},
    }
    files.write_json(path, card)


def markdown(shown: Iterable[Table]) -> str:
    """Tables of the command line in Markdown."""
    blocks: list[str] = []
    for one in shown:
        heads = " | ".join(str(column.header) for column in one.columns)
        cells = " | ".join(f"{{0[{k}]}}" for k in range(len(one.columns)))
        rows = zip(*(column.cells for column in one.columns), strict=True)
        blocks.append(harness.table((heads, cells), rows))
    return "\n".join(blocks)


if __name__ == "__main__":
    main()
