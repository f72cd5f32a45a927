"""How accurate are the recipes, and how does the shipped model fare where MNIST ends?

    python benchmarks/accuracy.py [--run best:5] [--runs FOLDER] [--model default] [--out FOLDER]
                                  [--strange NAME=FILE] [--on NAME=FILE] [--only recipes|model]

Each recipe was chosen on validation tiles by writer. ``best`` and the distilled networks are then
trained with all 60,000 tiles, ``standard`` keeps its validation tiles; each seed sees the test set
once. Runs are kept in a folder and not trained again. The record has the recipes, and of one model
the corruptions of MNIST-C, other data sets, calibration and rejection, errors by writer, and the
picture of every error. ``--card`` writes the numbers into the model's ``model.json``.
"""

import argparse
import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accuracy_runs import assembled, recipes_table, scored, summary, teacher, trained
from accuracy_tables import model_tables
from digitlens import files
from digitlens.datasets.mnist import Mnist, load_mnist
from digitlens.datasets.splits import load_writers
from digitlens.evaluation.report import ModelInfo, Report, evaluate
from digitlens.evaluation.significance import errors_by_writer
from digitlens.explain.measurements import measure_corrupted, measure_external, measure_ood
from digitlens.models.bundle import CARD, load_bundle
from digitlens.models.classifier import Classifier
from digitlens.training.recipe import Recipe
from digitlens.training.recipes import load_recipe
from digitlens.training.run import MODEL
from digitlens.visualization.figures.distribution_shift import draw_rejection, draw_robustness
from digitlens.visualization.figures.scores import draw_wrong
from provenance import processor, provenance

RECORDS = Path(__file__).parent / "records"
RUNS = ("best:5", "standard:5", "small-200k:5", "small-20k:5", "small-8k:5")
COMMITTEE_OF = "best"
DISTILLED = "small-"
TEMPERATURE = 1.1  # what a run of `best` with validation tiles fitted; no answer depends on it
Found = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", action="append", help="recipe:seeds; nothing for none")
    parser.add_argument("--runs", type=Path, default=Path("runs/accuracy"), help="kept runs")
    parser.add_argument("--model", default="default", help="model that is looked at closely")
    parser.add_argument("--strange", action="append", default=[], help="NAME=FILE, no digits")
    parser.add_argument("--on", action="append", default=[], help="NAME=FILE, other digits")
    parser.add_argument("--card", action="store_true", help="write numbers into the model's card")
    parser.add_argument("--out", type=Path, help="folder of the record")
    parser.add_argument("--only", choices=("recipes", "model"), help="keep the record's other part")
    options = parser.parse_args()
    folder = options.out or RECORDS / f"{datetime.now(UTC):%Y-%m-%d}_accuracy"
    mnist = load_mnist()
    record = _record(folder) | provenance()
    if options.only != "model":
        record["recipes"] = measure_recipes(options.run or list(RUNS), options.runs, mnist)
        head = f"Recipes on {record['date']}, {processor()}, one thread for each run."
        table = recipes_table(record["recipes"], head)
        files.write_bytes(folder / "recipes.md", table.encode())
    if options.only != "recipes":
        others = ["digits", *options.on]
        found = look_closely(options.model, mnist, folder, options.strange, others)
        record["model"] = found
        for name, text in model_tables(found).items():
            files.write_bytes(folder / f"{name}.md", text.encode())
        if options.card:
            write_card(options.model, found)
    files.write_json(folder / "accuracy.json", record)


def _record(folder: Path) -> Found:
    path = folder / "accuracy.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def measure_recipes(wanted: list[str], runs: Path, mnist: Mnist) -> Found:
    """Rows and summaries by recipe; the members of ``best`` make the committee."""
    results: Found = {}
    for run in wanted:
        name, _, seeds = run.partition(":")
        recipes = [published(name, seed, runs, mnist) for seed in range(int(seeds or 1))]
        folders = [runs / f"{name}-{recipe.seed}" for recipe in recipes]
        models = [
            trained(name, one, mnist, place) for one, place in zip(recipes, folders, strict=True)
        ]
        rows = [scored(model, mnist, seed)[0] for seed, model in enumerate(models)]
        results[name] = summary(rows)
        if name == COMMITTEE_OF and len(models) > 1:
            to = runs / "committee" / "model"
            committee = assembled("committee", models, recipes[0], mnist, to)
            results["committee"] = summary([scored(committee, mnist, 0)[0]])
    return results


def published(name: str, seed: int, runs: Path, mnist: Mnist) -> Recipe:
    """The recipe as it is scored: with all tiles, but ``standard`` as everyone would train it."""
    recipe = load_recipe(name, [f"seed={seed}"])
    assert isinstance(recipe, Recipe)
    if name == "standard":
        return recipe
    if name.startswith(DISTILLED):
        taught = teacher(runs / f"{COMMITTEE_OF}-0" / MODEL, mnist, runs / "teacher")
        recipe = dataclasses.replace(recipe, teacher=str(taught))
    return dataclasses.replace(recipe, validation="none", temperature=TEMPERATURE)


def look_closely(
    model: str, mnist: Mnist, folder: Path, strange: list[str], others: list[str]
) -> Found:
    """Everything about one model, as JSON-ready values; writes the pictures."""
    classifier = Classifier(model)
    info = ModelInfo(classifier.name, classifier.sha256, classifier.given)
    report = evaluate(classifier.predict_proba, mnist.test, model=info)
    robust = measure_corrupted(classifier, mnist.test, report)
    rejected = measure_ood(classifier, mnist.test, negatives=strange)
    draw_wrong(report, mnist.test.tiles, folder / "errors.png", most=len(report.wrong))
    draw_robustness(robust, mnist.test, folder)
    draw_rejection(rejected, folder)
    return {
        "test": report.as_dict(),
        "by_writer": _by_writer(report).as_dict(),
        "robustness": robust.as_dict(),
        "rejection": rejected.as_dict(),
        "transfer": [one.transfer.as_dict() for one in measure_external(classifier, others)],
    }


def _by_writer(report: Report):
    table = load_writers()
    return errors_by_writer(
        report.labels, report.predicted, table.test_writer, table.test_series, most=10
    )


def write_card(model: str, found: Found) -> None:
    """Puts the measured numbers into the model's card; the graph stays as it is."""
    path = load_bundle(model).folder / CARD
    card = json.loads(path.read_text(encoding="utf-8"))
    robust, rejected = found["robustness"], found["rejection"]
    card["results"] |= {
        "test_accuracy": found["test"]["accuracy"],
        "test_interval": found["test"]["interval"],
        "test_ece": found["test"]["expected_calibration_error"],
        "mnist_c": robust["mean_accuracy"],
        "mnist_c_without_overlap": robust["mean_accuracy_without_overlap"],
        "reject_by": rejected["recommended"],
        **{one["name"]: one["framed"]["accuracy"] for one in found["transfer"]},
    }
    files.write_json(path, card)


if __name__ == "__main__":
    main()
