"""How accurate are the recipes, and how does the shipped model fare where MNIST ends?

    python benchmarks/accuracy.py [--run best:5] [--runs FOLDER] [--model default] [--out FOLDER]
                                  [--negatives NAME=FILE] [--on NAME=FILE] [--only recipes|model]

Each recipe was chosen on validation tiles by writer. ``best`` and the distilled networks are then
trained with all 60,000 tiles, ``standard`` keeps its validation tiles; each seed sees the test set
once. Runs are kept in a folder and not trained again. The record has the recipes, and of one model
the corruptions of MNIST-C, other data sets, calibration and rejection, errors by writer, and the
picture of every error. ``--card`` writes the numbers into the model's ``model.json``.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import harness
from digitlens import __version__, files
from digitlens.datasets.mnist import Mnist, Writers, load_mnist, load_writers
from digitlens.datasets.sources import data_hashes
from digitlens.evaluation.metrics import measure_uncertainty, wilson_interval
from digitlens.evaluation.report import ModelInfo, Report, evaluate, rounded
from digitlens.explain.trained_model import measure_corrupted, measure_external, measure_ood
from digitlens.models.bundle import CARD, Card, load_bundle
from digitlens.models.classifier import Classifier
from digitlens.server.followers import Followers, FollowOptions
from digitlens.training.export import export_classifier, load_network
from digitlens.training.loop import STATE, choose_device
from digitlens.training.pipeline import TrainingJob, train_run
from digitlens.training.recipe import Recipe, load_recipe, recipe_from
from digitlens.training.run import MODEL
from digitlens.training.tile_networks import Ensemble, count_parameters
from digitlens.visualization.figures.reliability import draw_rejection, draw_robustness
from digitlens.visualization.figures.scores import draw_wrong
from harness import Row

RUNS = ("best:5", "standard:5", "small-200k:5", "small-20k:5", "small-8k:5")
ENSEMBLE_OF = "best"
SERIES = {0: "census staff", 4: "high-school students"}  # of NIST's forms that MNIST is from
DISTILLED = "small-"
TEMPERATURE = 1.1  # what a run of `best` with validation tiles fitted; no answer depends on it

RECIPES = (
    "recipe | seeds | parameters | test | 95 % interval | without label errors | seconds",
    "`{name}` | {seeds} | {rows[0][parameters]:,} | {shares[0]} | {interval:.2f}"
    " | {shares[1]} | {seconds[mean]:.0f}",
)
ROBUSTNESS = (
    "MNIST-C | like what was trained with | accuracy | 95 % interval | ECE",
    "{name} | {overlaps} | {accuracy:.1%} | {interval:.2f} | {ece:.1%}",
)
UNCERTAINTY = (
    "digits | error | NLL | Brier | ECE | adaptive ECE | AURC | error of the surest 99 %"
    " | coverage at zero errors",
    "{name} | {error:.2%} | {nll:.4f} | {brier:.4f} | {ece:.2%} | {adaptive_ece:.2%}"
    " | {aurc:.5f} | {error_at_99:.2%} | {coverage_at_zero:.1%}",
)
TRANSFER = (
    "not trained on | n | framed | 95 % interval | unframed",
    "{title} | {n:,} | {framed[accuracy]:.2%} | {framed[interval]:.2f} | {unframed[accuracy]:.2%}",
)
WRITERS = (
    "written by | writers | digits | errors | error rate | 95 % interval",
    "{name} | {writers} | {n:,} | {errors} | {rate:.2%} | {interval:.2f}",
)
FLAWLESS = (
    "\n{flawless:.1%} of the writers are read without an error; the accuracy's interval is "
    "{clustered:.2f} % when writers are drawn, not digits.\n"
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
        tables["recipes"] = f"{head}\n\n{recipes_table(record['recipes'])}"
    if options.only != "recipes":
        others = ["digits", *options.on]
        found = look_closely(options.model, mnist, folder, options.negatives, others)
        record["model"] = found
        tables |= model_tables(found)
        if options.card:
            write_card(options.model, found)
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
        results[name] = summary([score(model, mnist, k) for k, model in enumerate(models)])
        if name == ENSEMBLE_OF and len(models) > 1:
            ensemble = assembled(models, recipes[0], mnist, runs / "ensemble" / "model")
            results["ensemble"] = summary([score(ensemble, mnist, 0)])
    return results


def published(name: str, seed: int, runs: Path, mnist: Mnist) -> Recipe:
    """The recipe as it is scored: with all tiles, but ``standard`` as everyone would train it."""
    recipe = load_recipe(name, [f"seed={seed}"])
    assert isinstance(recipe, Recipe)
    if name == "standard":
        return recipe
    if name.startswith(DISTILLED):
        taught = teacher(runs / f"{ENSEMBLE_OF}-0" / MODEL, mnist, runs / "teacher")
        recipe = replace(recipe, teacher=str(taught))
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


def assembled(models: Sequence[Path], recipe: Recipe, mnist: Mnist, to: Path) -> Path:
    """An ensemble of networks that are trained already: what its recipe would train anew."""
    if not (to / CARD).is_file():
        single = [one for model in models for one in _members(model)]
        seconds = sum(Classifier(model).card.results["training_seconds"] for model in models)
        ensemble = Ensemble(single, recipe.tta_views).eval()
        _export(ensemble, replace(recipe, models=len(models)), mnist, to, training_seconds=seconds)
    return to


def teacher(model: Path, mnist: Mnist, to: Path) -> Path:
    """The network of a run, which sees each tile once: five times as quick as with five views."""
    if not (to / CARD).is_file():
        recipe = replace(recipe_from(Classifier(model).card.recipe), tta_views=1)
        _export(_members(model)[0].eval(), recipe, mnist, to)
    return to


def _members(model: Path) -> list[Any]:
    network = load_network(model)
    return list(network.members) if isinstance(network, Ensemble) else [network]


def _export(network: Any, recipe: Recipe, mnist: Mnist, to: Path, **results: float) -> None:
    card = Card(to.parent.name, __version__, "", recipe=recipe.as_dict(), results=results)
    export_classifier(network, card, mnist.train, to)


def score(model: Path, mnist: Mnist, seed: int) -> Row:
    classifier = Classifier(model)
    report = evaluate(classifier.predict_proba, mnist.test)
    row = {
        "seed": seed,
        "test_accuracy": report.accuracy,
        "test_errors": report.score.errors,
        "test_accuracy_without_label_errors": (
            report.without_label_errors or report.score
        ).accuracy,
        "test_loss": report.loss,
        "test_ece": report.ece,
        "coverage_at_zero_errors": measure_uncertainty(
            mnist.test.labels, report.probabilities
        ).coverage_at_zero,
        "parameters": count_parameters(load_network(model)),
        "seconds": classifier.card.results["training_seconds"],
    }
    print(model.parent.name, json.dumps(row), file=sys.stderr, flush=True)
    return row


def summary(rows: Sequence[Row]) -> Row:
    """Mean and standard deviation over the seeds, and the interval of all their answers."""
    keys = ("test_accuracy", "test_accuracy_without_label_errors", "test_loss", "seconds")
    found: Row = {key: harness.spread([row[key] for row in rows]) for key in keys}
    # Tiles are the same for all seeds: the interval is that of one test set at the mean accuracy.
    right = round(10_000 * found["test_accuracy"]["mean"])
    return found | {"interval": wilson_interval(right, 10_000), "rows": list(rows)}


def recipes_table(results: Mapping[str, Row]) -> str:
    keys = ("test_accuracy", "test_accuracy_without_label_errors")
    rows = [
        {
            **result,
            "name": name,
            "seeds": len(result["rows"]),
            "shares": [_share(result[key]) for key in keys],
        }
        for name, result in results.items()
    ]
    return harness.table(RECIPES, rows)


def _share(value: Mapping[str, float | None]) -> str:
    sd = f" ± {100 * value['sd']:.3f}" if value["sd"] is not None else ""
    return f"{100 * (value['mean'] or 0):.3f}{sd} %"


def look_closely(
    model: str, mnist: Mnist, folder: Path, negatives: list[str], others: list[str]
) -> Row:
    """Everything about one model, as JSON-ready values; writes the pictures."""
    classifier, writers = Classifier(model), load_writers()
    info = ModelInfo(classifier.name, classifier.sha256, classifier.given)
    report = evaluate(classifier.predict_proba, mnist.test, model=info)
    robust = measure_corrupted(classifier, mnist.test, report)
    rejected = measure_ood(classifier, mnist.test, negatives=negatives)
    draw_wrong(report, mnist.test.tiles, folder / "errors.png", most=len(report.wrong))
    draw_robustness(robust, mnist.test, folder)
    draw_rejection(rejected, folder)
    return {
        "test": report.as_dict(),
        "by_writer": errors_by_writer(report, writers),
        "robustness": robust.as_dict(),
        "rejection": rejected.as_dict(),
        "transfer": [one.transfer.as_dict() for one in measure_external(classifier, others)],
    }


def errors_by_writer(report: Report, writers: Writers) -> Row:
    """Errors by writer and by series of NIST's forms.

    ``clustered`` holds the middle 95 % of 10,000 accuracies in a bootstrap of whole writers, of
    each series as many as it has (A. C. Davison and D. V. Hinkley, "Bootstrap methods and their
    application", 1997, chapter 3): digits of one writer are read rightly or wrongly together.
    """
    pairs = np.stack([writers.test_writer, writers.test_series], axis=1).astype(np.int64)
    people, rows, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    wrong = np.bincount(rows.ravel(), report.predicted != report.labels).astype(np.int64)
    table = np.column_stack([people, counts, wrong])
    random, sums, series = np.random.default_rng(0), np.zeros((10_000, 2)), list[Row]()
    for number, name in SERIES.items():
        own = table[table[:, 1] == number, 2:]
        sums += random.multinomial(len(own), np.full(len(own), 1 / len(own)), len(sums)) @ own
        n, errors = own.sum(axis=0).tolist()
        row = {"series": number, "name": name, "writers": len(own), "n": n, "errors": errors}
        series.append(row | {"rate": errors / n, "interval": wilson_interval(errors, n)})
    n, errors = len(report.labels), int(wrong.sum())
    worst = table[np.argsort(-wrong, kind="stable")[:10]].tolist()
    found = {
        "n": n,
        "errors": errors,
        "accuracy": 1 - errors / n,
        "wilson": wilson_interval(n - errors, n),
        "clustered": np.quantile(1 - sums[:, 1] / sums[:, 0], (0.025, 0.975)).tolist(),
        "writers": len(table),
        "flawless": float((wrong == 0).mean()),
        "series": series,
        "worst": [
            dict(zip(("writer", "series", "n", "errors"), row, strict=True))
            for row in worst
            if row[3]
        ],
    }
    return rounded(found)


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


def model_tables(found: Row) -> dict[str, str]:
    robust, rejected, writers = found["robustness"], found["rejection"], found["by_writer"]
    corruptions: list[Row] = [
        {
            **row,
            "name": row["name"].replace("_", " "),
            "overlaps": "yes" if row["overlaps_training"] else "",
            "ece": row["uncertainty"]["ece"],
        }
        for row in robust["corruptions"]
    ]
    means = {"of all": "mean_accuracy"}
    means["of those that were not trained with"] = "mean_accuracy_without_overlap"
    empty = dict.fromkeys(("overlaps", "interval", "ece"))
    corruptions += [
        {"name": f"**mean {what}**", "accuracy": robust[key], **empty}
        for what, key in means.items()
        if robust[key] is not None
    ]
    uncertainty = [{"name": name, **row} for name, row in rejected["uncertainty"].items()]
    whole = writers | {"name": "all", "rate": 1 - writers["accuracy"], "interval": None}
    by_writer = harness.table(WRITERS, [*writers["series"], whole])
    return {
        "robustness": harness.table(ROBUSTNESS, corruptions),
        "rejection": _rejection(rejected["scores"], rejected["recommended"]),
        "uncertainty": harness.table(UNCERTAINTY, uncertainty),
        "transfer": harness.table(TRANSFER, found["transfer"]),
        "writers": by_writer + harness.show(FLAWLESS, writers),
    }


def _rejection(scores: Row, best: str) -> str:
    """A row for each set of negatives, and a column for each score."""
    heads = (f"**{score}**" if score == best else score for score in scores)
    cells = (f"{{{score}[auroc]:.4f}}" for score in scores)
    columns = (
        " | ".join(["AUROC by score", "n", *heads, "FPR at 95 %"]),
        " | ".join(["{name}", "{best[n]:,}", *cells, "{best[fpr95]:.1%}"]),
    )
    rows = [
        {"name": name, "best": scores[best][name]}
        | {score: sets[name] for score, sets in scores.items()}
        for name in scores[best]
    ]
    return harness.table(columns, rows)


if __name__ == "__main__":
    main()
