"""How good and how fast are the recipes? Trains each with several seeds and writes a record.

    python benchmarks/training.py [--run standard:5] [--set FIELD=VALUE] [--out FOLDER]

Each seed is trained on its own split by writer, which also chooses the epoch; the exported graph
is then scored once on the MNIST test set. Seconds are those of training, validation included;
imports, loading and export are not counted. The machine should have nothing else to do.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as `digitlens train` sets it

import torch

from digitlens import __version__, files
from digitlens.data.mnist import load_mnist
from digitlens.evaluation.evaluate import evaluate
from digitlens.model.bundle import Card
from digitlens.model.classifier import Classifier
from digitlens.model.network import count_parameters
from digitlens.training.device import choose_device
from digitlens.training.export import export
from digitlens.training.recipes import load_recipe
from digitlens.training.run import source_commit
from digitlens.training.train import train

RECORDS = Path(__file__).parent / "records"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", action="append", help="recipe:seeds")
    parser.add_argument("--set", action="append", dest="changes", help="FIELD=VALUE")
    parser.add_argument("--out", type=Path, help="folder of the record")
    options = parser.parse_args()
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    folder = options.out or RECORDS / f"{today}_training"
    results: dict[str, Any] = {}
    for run in options.run or ["standard:5", "fast:10"]:
        name, _, seeds = run.partition(":")
        rows = [_seed(name, options.changes or [], seed) for seed in range(int(seeds or 1))]
        results[name] = {"rows": rows, **_summary(rows)}
        files.write_json(folder / "training.json", _provenance(today) | {"recipes": results})
    text = _table(today, results)
    files.write_bytes(folder / "training.md", text.encode())
    print(text)


def _seed(name: str, changes: list[str], seed: int) -> dict[str, Any]:
    recipe = load_recipe(name, [*changes, f"seed={seed}"])
    mnist = load_mnist()
    training, validation = recipe.split(mnist.train)
    with tempfile.TemporaryDirectory() as folder:
        trained = train(recipe, training, validation, Path(folder))
        card = Card(name=name, version=__version__, sha256="", recipe=recipe.as_dict())
        export(trained.network, card, validation, Path(folder) / "model")
        classifier = Classifier(Path(folder) / "model")
        report = evaluate(classifier.predict_proba, mnist.test)
    assert report.without_label_errors is not None
    row = {
        "seed": seed,
        "validation_accuracy": trained.history[trained.best_epoch - 1]["val_accuracy"],
        "test_accuracy": report.accuracy,
        "test_accuracy_without_label_errors": report.without_label_errors.accuracy,
        "test_ece": report.ece,
        "seconds": trained.seconds,
        "epochs": len(trained.history),
        "parameters": count_parameters(trained.network),
    }
    print(json.dumps(row), file=sys.stderr, flush=True)
    return row


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    keys = ("validation_accuracy", "test_accuracy", "test_accuracy_without_label_errors", "seconds")
    return {
        key: {
            "mean": statistics.mean(row[key] for row in rows),
            "sd": statistics.stdev(row[key] for row in rows) if len(rows) > 1 else None,
        }
        for key in keys
    }


def _table(today: str, results: dict[str, Any]) -> str:
    lines = [
        f"Recipes on {today}, {choose_device().reason}, torch {torch.__version__}.",
        "",
        "| recipe | seeds | parameters | test accuracy | without label errors | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        cells = [
            _pair(result["test_accuracy"], 100, 3, " %"),
            _pair(result["test_accuracy_without_label_errors"], 100, 3, " %"),
            _pair(result["seconds"], 1, 1, ""),
        ]
        rows = result["rows"]
        lines.append(
            f"| `{name}` | {len(rows)} | {rows[0]['parameters']:,} | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"


def _pair(value: dict[str, float | None], factor: float, digits: int, unit: str) -> str:
    mean = (value["mean"] or 0) * factor
    sd = f" ± {value['sd'] * factor:.{digits}f}" if value["sd"] is not None else ""
    return f"{mean:.{digits}f}{sd}{unit}"


def _provenance(today: str) -> dict[str, Any]:
    return {
        "date": today,
        "commit": source_commit(),
        "device": choose_device().reason,
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "digitlens": __version__,
    }


if __name__ == "__main__":
    main()
