"""How accurate are the recipes, and how does the shipped model perform beyond MNIST?

    python benchmarks/accuracy.py [--run best:5] [--runs FOLDER] [--model default] [--out FOLDER]
                                  [--negatives NAME=FILE] [--on NAME=FILE] [--only recipes|model]

The recipes form a queue: the first seed of each, then the second. The script may be killed at any
time; the next start resumes from the last epoch. ``records/accuracy`` has a file for each finished
run with the hash of its recipe; the run is not repeated until its recipe changes. Each recipe was
chosen on validation tiles split by writer. It is then trained with all 60,000 tiles (``standard``
keeps its validation tiles), and each seed is scored on the test set once.

For one model the record also has MNIST-C, other data sets, calibration and rejection, and a picture
of all errors; ``--card`` writes the numbers into its ``model.json``.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table
from torch import get_num_threads

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
from digitlens.server.followers import Followers
from digitlens.training.export import export_classifier, load_network
from digitlens.training.loop import STATE, choose_device
from digitlens.training.pipeline import TrainingJob, train_run
from digitlens.training.recipe import Recipe, load_recipe
from digitlens.training.run import MODEL
from digitlens.training.tile_networks import Ensemble, count_parameters
from digitlens.visualization.figures.scores import draw_wrong
from harness import Row

# The number of seeds of each recipe, and its target accuracy.
RUNS: dict[str, tuple[int, float]] = {
    "small-1k": (3, 0.989),
    "small-5k": (3, 0.9935),
    "small-8k": (3, 0.995),
    "small-20k": (3, 0.9962),
    "small-100k": (3, 0.997),
    "small-200k": (3, 0.9972),
    "standard": (5, 0.996),
    "best": (5, 0.9978),
}
ENSEMBLE, ENSEMBLE_RECIPE, ENSEMBLE_TARGET = "committee", "best", 0.9984
TEMPERATURE = 1.1  # fitted by a run of `best` with validation tiles; does not affect accuracy
RECORD = harness.RECORDS / "accuracy"
PAGE = harness.ROOT / "docs" / "accuracy.md"
RECIPES = (
    "recipe | parameters | seeds | test | 95 % interval | without label errors | aim | reached"
    " | seconds | machine",
    "`{name}` | {parameters:,} | {seeds} | {test_accuracy:.3%} | {interval:.2f}"
    " | {test_accuracy_without_label_errors:.3%} | {aim:.2%} | {reached} | {seconds[mean]:.0f}"
    " | {machine}",
)


def main() -> None:
    cli = harness.parser(__doc__)
    cli.add_argument("--run", action="append", help="RECIPE:SEEDS, instead of all")
    cli.add_argument("--runs", type=Path, default=Path("runs/accuracy"), help="folder of runs")
    cli.add_argument("--model", default="default", help="model to examine in detail")
    cli.add_argument("--negatives", action="append", default=[], help="NAME=FILE, non-digits")
    cli.add_argument("--on", action="append", default=[], help="NAME=FILE, other digits")
    cli.add_argument("--card", action="store_true", help="write results into the model's card")
    cli.add_argument("--only", choices=("recipes", "model"), help="skip the other part")
    options = cli.parse_args()
    mnist = load_mnist()
    if options.only != "model":
        wanted = options.run or [f"{name}:{seeds}" for name, (seeds, _) in RUNS.items()]
        run_jobs(queue(wanted), options.runs, options.out or RECORD, mnist)
    if options.only != "recipes":
        facts = harness.provenance()
        folder = options.out or harness.RECORDS / f"{facts['date']}_accuracy"
        results = examine_model(options, mnist, folder)
        files.write_json(folder / "accuracy.json", facts | {"model": results})
        if options.card:
            write_card(options.model, results)


def queue(wanted: Iterable[str]) -> list[tuple[str, int]]:
    """Recipes and seeds from ``recipe:seeds``: the first seed of each before the second of any."""
    parts = [run.partition(":") for run in wanted]
    jobs = [(name, seed) for name, _, seeds in parts for seed in range(int(seeds or 1))]
    return sorted(jobs, key=lambda job: job[1])


def run_jobs(jobs: Iterable[tuple[str, int]], runs: Path, record: Path, mnist: Mnist) -> None:
    """Trains and scores the runs without a record, and the ensemble of the available runs."""
    members: list[Path] = []
    for name, seed in jobs:
        recipe = as_scored(name, seed)
        folder, path = runs / f"{name}-{seed}-{digest(recipe)}", record / f"{name}-{seed}.json"
        save_run(path, recipe, mnist, partial(train_once, name, recipe, mnist, folder))
        if name == ENSEMBLE_RECIPE and (folder / MODEL / CARD).is_file():
            members.append(folder / MODEL)
    if len(members) > 1:
        recipe = replace(as_scored(ENSEMBLE_RECIPE, 0), models=len(members))
        path, target = record / f"{ENSEMBLE}-0.json", runs / f"{ENSEMBLE}-{digest(recipe)}" / MODEL
        save_run(path, recipe, mnist, partial(combine, members, recipe, mnist, target))


def as_scored(name: str, seed: int) -> Recipe:
    """The recipe as scored: trained on all tiles, except that ``standard`` is unchanged."""
    recipe = load_recipe(name, [f"seed={seed}"])
    assert isinstance(recipe, Recipe)
    if name == "standard":
        return recipe
    return replace(recipe, validation="none", temperature=TEMPERATURE)


def digest(recipe: Recipe) -> str:
    """A hash of a recipe's non-default fields, so that new fields do not change it."""
    defaults = Recipe().as_dict()
    fields = {key: value for key, value in recipe.as_dict().items() if value != defaults[key]}
    return files.sha256(json.dumps(fields, sort_keys=True).encode())[:16]


def save_run(path: Path, recipe: Recipe, mnist: Mnist, make: Callable[[], Path]) -> None:
    """Makes and scores a model that has no record yet; writes the record and the table."""
    if path.is_file() and json.loads(path.read_bytes())["recipe"] == digest(recipe):
        return
    row = score(make(), mnist, recipe.seed)
    row |= {"recipe": digest(recipe), "models": recipe.models, "threads": get_num_threads()}
    row |= harness.provenance() | {"device": choose_device(recipe.precision).reason}
    files.write_json(path, row)
    text = harness.table(RECIPES, summaries(path.parent))
    files.write_bytes(path.parent / "recipes.md", text.encode())
    if path.parent == RECORD:
        harness.update_page(PAGE, "accuracy/recipes.md", text)


def summaries(record: Path) -> Iterator[Row]:
    """Rows of the table, from the runs whose recipes are current."""
    aims = {name: aim for name, (_, aim) in RUNS.items()} | {ENSEMBLE: ENSEMBLE_TARGET}
    for name, aim in aims.items():
        rows = [json.loads(path.read_bytes()) for path in sorted(record.glob(f"{name}-*.json"))]
        base = ENSEMBLE_RECIPE if name == ENSEMBLE else name
        now = [digest(replace(as_scored(base, row["seed"]), models=row["models"])) for row in rows]
        if rows := [row for row, one in zip(rows, now, strict=True) if row["recipe"] == one]:
            found = summary(name, rows)
            yield found | {"aim": aim, "reached": found["test_accuracy"]["mean"] >= aim}


def train_once(name: str, recipe: Recipe, mnist: Mnist, folder: Path) -> Path:
    """The model folder of a run, which is trained or resumed if it is not finished."""
    if not (folder / MODEL / CARD).is_file():
        device, begun = choose_device(recipe.precision), (folder / STATE).is_file()
        splits = recipe.split(mnist.train)
        job = TrainingJob(folder, name, splits, data_hashes(), device, begun, draw=lambda *_: None)
        with Followers() as followers:
            train_run(recipe, job, followers)
    return folder / MODEL


def combine(models: Sequence[Path], recipe: Recipe, mnist: Mnist, to: Path) -> Path:
    """An ensemble of networks that are already trained, equivalent to training its recipe."""
    if not (to / CARD).is_file():
        networks: list[Any] = []
        for network in map(load_network, models):
            networks += network.members if isinstance(network, Ensemble) else [network]
        seconds = sum(Classifier(model).card.results["training_seconds"] for model in models)
        results = {"training_seconds": seconds}
        card = Card(to.parent.name, __version__, "", recipe=recipe.as_dict(), results=results)
        export_classifier(Ensemble(networks, recipe.tta_views).eval(), card, mnist.train, to)
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
        # Wrong tiles with their predictions, on one line.
        "wrong": " ".join(f"{tile}:{report.predicted[tile]}" for tile in report.wrong),
    }


def summary(name: str, rows: Sequence[Row]) -> Row:
    """Mean and standard deviation over the seeds, and the interval of the mean accuracy."""
    keys = ("test_accuracy", "test_accuracy_without_label_errors", "test_loss", "seconds")
    result: Row = {key: harness.spread([row[key] for row in rows]) for key in keys}
    # Tiles are the same for all seeds: the interval is that of one test set at the mean accuracy.
    correct = round(10_000 * result["test_accuracy"]["mean"])
    machines = dict.fromkeys(
        ", ".join([row["processor"], *row["device"].split(", ")[:2]]) for row in rows
    )
    return result | {
        "name": name,
        "seeds": len(rows),
        "parameters": rows[0]["parameters"],
        "interval": wilson_interval(correct, 10_000),
        "machine": "; ".join(machines),
    }


def examine_model(options: Any, mnist: Mnist, folder: Path) -> Row:
    """All results of one model, JSON-ready; writes the tables and pictures."""
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
    results: Row = {"test": report.as_dict()}
    for name, part in parts.items():
        part.write(folder)
        files.write_bytes(folder / f"{name}.md", markdown(part.display).encode())
        results |= part.values
    return results


def write_card(model: str, results: Row) -> None:
    """Writes the measured numbers into the model's card; the graph is unchanged."""
    path = load_bundle(model).folder / CARD
    card = json.loads(path.read_text(encoding="utf-8"))
    test, robust = results["test"], results["robustness"]
    card["results"] |= {
        "test_accuracy": test["accuracy"],
        "test_interval": test["interval"],
        "test_ece": test["expected_calibration_error"],
        "mnist_c": robust["mean_accuracy"],
        "mnist_c_without_overlap": robust["mean_accuracy_without_overlap"],
        "reject_by": results["rejection"]["recommended"],
        **{one["name"]: one["framed"]["accuracy"] for one in results["transfer"]},
    }
    files.write_json(path, card)


def markdown(tables: Iterable[Table]) -> str:
    """Converts tables of the command line to Markdown."""
    blocks: list[str] = []
    for one in tables:
        heads = " | ".join(str(column.header) for column in one.columns)
        cells = " | ".join(f"{{0[{k}]}}" for k in range(len(one.columns)))
        rows = zip(*(column.cells for column in one.columns), strict=True)
        blocks.append(harness.table((heads, cells), rows))
    return "\n".join(blocks)


if __name__ == "__main__":
    main()
