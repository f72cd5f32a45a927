"""How accurate are the recipes, and how does the shipped model fare where MNIST ends?

    python benchmarks/accuracy.py [--run best:5] [--runs FOLDER] [--model default] [--out FOLDER]
                                  [--negatives NAME=FILE] [--on NAME=FILE] [--only recipes|model]

Each recipe was chosen on validation tiles by writer. ``best`` and the distilled networks are then
trained with all 60,000 tiles, ``standard`` keeps its validation tiles; each seed sees the test set
once. Runs are kept in a folder and not trained again. The record has the recipes, and of one model
the corruptions of MNIST-C, other data sets, calibration and rejection, errors by writer, and the
picture of every error. ``--card`` writes the numbers into the model's ``model.json``.
"""

import dataclasses
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from digitlens import __version__, files
from digitlens.datasets.mnist import Mnist, load_mnist
from digitlens.datasets.mnist_sources import data_hashes
from digitlens.datasets.splits import load_writers
from digitlens.evaluation.metrics import measure_uncertainty, wilson_interval
from digitlens.evaluation.report import ModelInfo, Report, evaluate
from digitlens.evaluation.significance import errors_by_writer
from digitlens.explain.trained_model import measure_corrupted, measure_external, measure_ood
from digitlens.models.bundle import CARD, Card, load_bundle
from digitlens.models.classifier import Classifier
from digitlens.training.checkpoint import STATE
from digitlens.training.device import choose_device
from digitlens.training.export import export_classifier, load_network
from digitlens.training.nets.tile_network import Ensemble, count_parameters
from digitlens.training.recipe import Recipe
from digitlens.training.recipes import load_recipe, recipe_from
from digitlens.training.run import MODEL, RECIPE, run_name, start_run
from digitlens.training.tasks.tile import train_classifier
from digitlens.visualization.figures.distribution_shift import draw_rejection, draw_robustness
from digitlens.visualization.figures.scores import draw_wrong
from harness import RECORDS, Row, interval, parser, percent, provenance, table

RUNS = ("best:5", "standard:5", "small-200k:5", "small-20k:5", "small-8k:5")
ENSEMBLE_OF = "best"
DISTILLED = "small-"
TEMPERATURE = 1.1  # what a run of `best` with validation tiles fitted; no answer depends on it


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--run", action="append", help="recipe:seeds; nothing for none")
    made.add_argument("--runs", type=Path, default=Path("runs/accuracy"), help="kept runs")
    made.add_argument("--model", default="default", help="model that is looked at closely")
    made.add_argument("--negatives", action="append", default=[], help="NAME=FILE, no digits")
    made.add_argument("--on", action="append", default=[], help="NAME=FILE, other digits")
    made.add_argument("--card", action="store_true", help="write numbers into the model's card")
    made.add_argument("--only", choices=("recipes", "model"), help="keep the record's other part")
    options = made.parse_args()
    folder = options.out or RECORDS / f"{datetime.now(UTC):%Y-%m-%d}_accuracy"
    mnist = load_mnist()
    record = _record(folder) | provenance()
    if options.only != "model":
        record["recipes"] = measure_recipes(options.run or list(RUNS), options.runs, mnist)
        head = f"Recipes on {record['date']}, {record['processor']}, one thread for each run."
        text = recipes_table(record["recipes"], head)
        files.write_bytes(folder / "recipes.md", text.encode())
    if options.only != "recipes":
        others = ["digits", *options.on]
        found = look_closely(options.model, mnist, folder, options.negatives, others)
        record["model"] = found
        for name, text in model_tables(found).items():
            files.write_bytes(folder / f"{name}.md", text.encode())
        if options.card:
            write_card(options.model, found)
    files.write_json(folder / "accuracy.json", record)


def _record(folder: Path) -> Row:
    path = folder / "accuracy.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def measure_recipes(wanted: list[str], runs: Path, mnist: Mnist) -> Row:
    """Rows and summaries by recipe; the models of ``best`` make the ensemble."""
    results: Row = {}
    for run in wanted:
        name, _, seeds = run.partition(":")
        recipes = [published(name, seed, runs, mnist) for seed in range(int(seeds or 1))]
        folders = [runs / f"{name}-{recipe.seed}" for recipe in recipes]
        models = [
            trained(name, one, mnist, place) for one, place in zip(recipes, folders, strict=True)
        ]
        rows = [scored(model, mnist, seed)[0] for seed, model in enumerate(models)]
        results[name] = summary(rows)
        if name == ENSEMBLE_OF and len(models) > 1:
            to = runs / "ensemble" / "model"
            ensemble = assembled("ensemble", models, recipes[0], mnist, to)
            results["ensemble"] = summary([scored(ensemble, mnist, 0)[0]])
    return results


def published(name: str, seed: int, runs: Path, mnist: Mnist) -> Recipe:
    """The recipe as it is scored: with all tiles, but ``standard`` as everyone would train it."""
    recipe = load_recipe(name, [f"seed={seed}"])
    assert isinstance(recipe, Recipe)
    if name == "standard":
        return recipe
    if name.startswith(DISTILLED):
        taught = teacher(runs / f"{ENSEMBLE_OF}-0" / MODEL, mnist, runs / "teacher")
        recipe = dataclasses.replace(recipe, teacher=str(taught))
    return dataclasses.replace(recipe, validation="none", temperature=TEMPERATURE)


def look_closely(
    model: str, mnist: Mnist, folder: Path, negatives: list[str], others: list[str]
) -> Row:
    """Everything about one model, as JSON-ready values; writes the pictures."""
    classifier = Classifier(model)
    info = ModelInfo(classifier.name, classifier.sha256, classifier.given)
    report = evaluate(classifier.predict_proba, mnist.test, model=info)
    robust = measure_corrupted(classifier, mnist.test, report)
    rejected = measure_ood(classifier, mnist.test, negatives=negatives)
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


def write_card(model: str, found: Row) -> None:
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


def assembled(name: str, models: Sequence[Path], recipe: Recipe, mnist: Mnist, to: Path) -> Path:
    """An ensemble of networks that are trained already: what its recipe would train anew."""
    if not (to / "model.json").is_file():
        recipe = dataclasses.replace(recipe, models=len(models))
        networks = [load_network(model) for model in models]
        single = [one for n in networks for one in (n.members if isinstance(n, Ensemble) else [n])]
        seconds = sum(Classifier(model).card.results["training_seconds"] for model in models)
        card = Card(
            name, __version__, "", recipe=recipe.as_dict(), results={"training_seconds": seconds}
        )
        export_classifier(Ensemble(single, recipe.tta_views).eval(), card, mnist.train, to)
    return to


def teacher(run: Path, mnist: Mnist, to: Path) -> Path:
    """The network of a run, which sees each tile once: five times as quick as with five views."""
    if not (to / "model.json").is_file():
        network = load_network(run)
        recipe = dataclasses.replace(recipe_from(Classifier(run).card.recipe), tta_views=1)
        single = network.members[0] if isinstance(network, Ensemble) else network
        card = Card("teacher", __version__, "", recipe=recipe.as_dict())
        export_classifier(single.eval(), card, mnist.train, to)
    return to


def scored(model: Path, mnist: Mnist, seed: int) -> tuple[Row, Report]:
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
    rows = [
        (
            f"`{name}`",
            len(result["rows"]),
            f"{result['rows'][0]['parameters']:,}",
            _share(result["test_accuracy"]),
            interval(result["interval"]),
            _share(result["test_accuracy_without_label_errors"]),
            f"{result['seconds']['mean']:.0f}",
        )
        for name, result in results.items()
    ]
    columns = ("recipe", "seeds", "parameters", "test", "95 % interval")
    return f"{head}\n\n" + table((*columns, "without label errors", "seconds"), rows)


def _share(value: Mapping[str, float | None]) -> str:
    sd = f" ± {100 * value['sd']:.3f}" if value["sd"] is not None else ""
    return f"{100 * (value['mean'] or 0):.3f}{sd} %"


def model_tables(found: Row) -> dict[str, str]:
    robust, rejected, writers = found["robustness"], found["rejection"], found["by_writer"]
    rows: list[list[object]] = [
        [
            row["name"].replace("_", " "),
            "yes" if row["overlaps_training"] else "",
            percent(row["accuracy"]),
            interval(row["interval"]),
            percent(row["uncertainty"]["ece"]),
        ]
        for row in robust["corruptions"]
    ]
    means = {"of all": "mean_accuracy"}
    means["of those that were not trained with"] = "mean_accuracy_without_overlap"
    rows += [
        [f"**mean {what}**", "", percent(robust[key]), "", ""]
        for what, key in means.items()
        if robust[key] is not None
    ]
    head = ["MNIST-C", "like what was trained with", "accuracy", "95 % interval", "ECE"]
    transfer = [
        [
            one["title"],
            f"{one['n']:,}",
            percent(one["framed"]["accuracy"], 2),
            interval(one["framed"]["interval"]),
            percent(one["unframed"]["accuracy"], 2),
        ]
        for one in found["transfer"]
    ]
    heads = ["not trained on", "n", "framed", "95 % interval", "unframed"]
    return {
        "robustness": table(head, rows),
        "rejection": _negatives(rejected["scores"], rejected["recommended"]),
        "uncertainty": _uncertainty(rejected["uncertainty"]),
        "transfer": table(heads, transfer),
        "writers": _writers(writers),
    }


def _negatives(scores: Row, best: str) -> str:
    sets = next(iter(scores.values()))
    rows = [
        [
            name,
            f"{sets[name]['n']:,}",
            *(f"{score[name]['auroc']:.4f}" for score in scores.values()),
            percent(scores[best][name]["fpr95"]),
        ]
        for name in sets
    ]
    marked = [f"**{name}**" if name == best else name for name in scores]
    return table(["AUROC by score", "n", *marked, "FPR at 95 %"], rows)


def _uncertainty(found: Row) -> str:
    columns = {
        "error": ("error", "{:.2%}"),
        "NLL": ("nll", "{:.4f}"),
        "Brier": ("brier", "{:.4f}"),
        "ECE": ("ece", "{:.2%}"),
        "adaptive ECE": ("adaptive_ece", "{:.2%}"),
        "AURC": ("aurc", "{:.5f}"),
        "error of the surest 99 %": ("error_at_99", "{:.2%}"),
        "coverage at zero errors": ("coverage_at_zero", "{:.1%}"),
    }
    rows = [
        [name, *(form.format(one[key]).replace("%", " %") for key, form in columns.values())]
        for name, one in found.items()
    ]
    return table(["digits", *columns], rows)


def _writers(found: Row) -> str:
    keys = ("name", "writers", "n", "errors", "rate", "interval")
    whole = dict(found, name="all", rate=1 - found["accuracy"], interval=None)
    rows: list[list[object]] = []
    for row in (*found["series"], whole):
        name, writers, n, errors, rate, ends = (row[key] for key in keys)
        shown = interval(ends) if ends else ""
        rows.append([name, writers, f"{n:,}", errors, percent(rate, 2), shown])
    head = ["written by", "writers", "digits", "errors", "error rate", "95 % interval"]
    return table(head, rows) + (
        f"\n{percent(found['flawless'])} of the writers are read without an error; the accuracy's "
        f"interval is {interval(found['clustered'])} % when writers are drawn, not digits.\n"
    )


if __name__ == "__main__":
    main()
