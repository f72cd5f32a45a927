"""How long does a tile take to classify, and how many a second are, beside other libraries?

    python benchmarks/classifying.py [--model NAME=FOLDER] [--rounds N] [--out FOLDER]

In one run, in turns, each in a process of its own, on tiles of the MNIST test set:

- digitlens: its shipped classifiers and those of ``--model``, with all cores and with one.
- torch: the same networks in PyTorch, as they are and compiled (``torch.compile``, compiled before
  anything is timed; the seconds are given).
- Keras: its documentation's network for MNIST, by ``predict``, ``predict_on_batch`` and as a
  function. Not trained, which is as fast. What it needs is installed below ``build/`` by the
  first run.
- scikit-learn: ``SVC`` with its defaults, trained on 10,000 tiles, timed on 2,000.

digitlens and torch are handed uint8; Keras and scikit-learn numbers that were scaled beforehand,
which is not timed. One tile: microseconds of a call, median and 90 % quantile. Many: 10,000 tiles
in one call, tiles a second, median and range; 2,048 for torch; batches of 512 where the user has to
choose. Who is slow gets fewer calls: none is begun after two seconds. The machine should have
nothing else to do: networks in PyTorch, whose threads wait for each other, suffer most from it.
"""

import argparse
import json
import os
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from digitlens import files
from digitlens.data.mnist import load_mnist
from digitlens.model.bundle import WEIGHTS, find_bundle, pretrained_names
from digitlens.model.session import cores
from digitlens.progress import note
from peer_process import UnavailableError, environment
from provenance import provenance

ROUNDS, WARM, CALLS, MANY, TRAINING = 4, 5, 60, 10_000, 10_000
ENVIRONMENTS = Path(__file__).parents[1] / "build" / "serving-venv"
KERAS = ("tensorflow-cpu==2.21.0", "fastapi", "uvicorn", "python-multipart", "pillow")
WORKER = Path(__file__).with_name("classifying_worker.py")
BASE = "Keras, predict"  # whom the others are compared with
KINDS = {
    "torch": "torch",
    "compiled": "torch, compiled",
    "predict": BASE,
    "on_batch": "Keras, predict_on_batch",
    "call": "Keras, called",
    "svc": "scikit-learn, SVC",
}


@dataclass
class Timed:
    """Who is timed, and what came of it.

    Attributes:
        about: What the worker says of itself.
        one: Seconds of each call with one tile.
        many: Tiles a second of each call with many.
    """

    process: subprocess.Popen[str]
    cores: int
    about: dict[str, Any]
    one: list[float] = field(default_factory=list[float])
    many: list[float] = field(default_factory=list[float])

    def ask(self, tiles: int, calls: int) -> list[float]:
        """Seconds of each call."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"tiles": tiles, "calls": calls}) + "\n")
        self.process.stdin.flush()
        return _line(self.process)["seconds"]


def main() -> None:
    options = _options()
    made = provenance() | {"rounds": options.rounds}
    models = _models(options.model)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        contenders, missing = start_all(models, options, folder, stack)
        measure(contenders, options.rounds)
        results = {name: summary(timed) for name, timed in contenders.items()}
    record = made | {"missing": missing, "results": results}
    text = report(record)
    print(text, end="")
    if options.out:
        files.write_json(options.out / "classifying.json", record)
        files.write_bytes(options.out / "classifying.md", text.encode())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder with the MNIST files")
    parser.add_argument("--model", action="append", default=[], help="NAME=FOLDER of one more")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each")
    parser.add_argument("--out", type=Path, help="folder for classifying.json and classifying.md")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="of the peers")
    return parser.parse_args()


def _models(more: list[str]) -> dict[str, str]:
    """Names and folders of the classifiers: those shipped, which have no crops, and others."""
    shipped = {
        name: name for name in pretrained_names() if not (find_bundle(name) / "crops.onnx").exists()
    }
    return shipped | {name: path for name, _, path in (entry.partition("=") for entry in more)}


def start_all(
    models: dict[str, str], options: argparse.Namespace, folder: Path, stack: ExitStack
) -> tuple[dict[str, Timed], dict[str, str]]:
    """Who can be timed, and by name why others cannot."""
    tiles = _material(options.data_dir, folder)
    contenders: dict[str, Timed] = {}
    missing: dict[str, str] = {}
    for name, (kind, model, count) in _entries(models).items():
        note(f"starting {name}")
        try:
            python = environment(KERAS if "Keras" in name else (), options.environments)
            contenders[name] = start([python, str(WORKER), kind, model, str(count), tiles], stack)
        except UnavailableError as reason:
            missing[name] = str(reason)
    return contenders, missing


def _material(data_dir: Path | None, folder: Path) -> str:
    mnist, path = load_mnist(data_dir), folder / "tiles.npz"
    np.savez(
        path,
        tiles=mnist.test.tiles,
        labels=mnist.test.labels,
        train_tiles=mnist.train.tiles[:TRAINING],
        train_labels=mnist.train.labels[:TRAINING],
    )
    return str(path)


def _entries(models: dict[str, str]) -> dict[str, tuple[str, str, int]]:
    """Kind, model and cores of each, by name."""
    entries: dict[str, tuple[str, str, int]] = {}
    for name, model in models.items():
        for count in sorted({1, cores()}, reverse=True):
            entries[f"digitlens, {name}, {count} core{'s' * (count > 1)}"] = (
                "digitlens",
                model,
                count,
            )
        if (find_bundle(model) / WEIGHTS).exists():
            for kind in ("torch", "compiled"):
                entries[f"{KINDS[kind]}, {name}"] = (kind, model, cores())
    for kind in ("predict", "on_batch", "call", "svc"):
        entries[KINDS[kind]] = (kind, "", cores())
    return entries


def start(command: list[str], stack: ExitStack) -> Timed:
    """A worker that is ready; raises UnavailableError if it does not become so."""
    errors = stack.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115
    cache = stack.enter_context(tempfile.TemporaryDirectory())  # so that compiling is not recalled
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache},
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    try:
        return Timed(process, int(command[-2]), _line(process))
    except UnavailableError:
        errors.seek(0)
        said = errors.read().strip().splitlines()
        raise UnavailableError((said or ["it ended without a word"])[-1]) from None


def _line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise UnavailableError("it ended before it answered")
    return json.loads(line)


def measure(contenders: dict[str, Timed], rounds: int) -> None:
    """Each in turn, as often as there are rounds; a few calls come first that are not counted."""
    for number in range(rounds):
        note(f"round {number + 1} of {rounds}")
        for timed in contenders.values():
            timed.ask(1, WARM)
            timed.one += timed.ask(1, CALLS)
            count = timed.about.get("most", MANY)
            timed.many += [count / seconds for seconds in timed.ask(count, 1)]


def summary(timed: Timed) -> dict[str, Any]:
    """JSON-ready: microseconds of one tile, tiles a second of many."""
    return timed.about | {
        "cores": timed.cores,
        "one_us": {
            "median": float(np.median(timed.one)) * 1e6,
            "p90": float(np.quantile(timed.one, 0.9)) * 1e6,
        },
        "per_second": {
            "median": float(np.median(timed.many)),
            "least": min(timed.many),
            "most": max(timed.many),
        },
    }


def report(record: dict[str, Any]) -> str:
    results = record["results"]
    lines = [
        f"Tiles classified on {record['date']}, {record['processor'] or record['machine']}, "
        f"{record['cores']} cores, load before {record['load']}, {record['rounds']} rounds.\n",
        "| | one tile, µs | p90 | tiles a second | range | multiply-adds a tile | right "
        f"| one, beside {BASE} | many |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(name, row, results.get(BASE)) for name, row in results.items()]
    lines.append("")
    lines += [
        f"- {name}: compiled in {row['compile_seconds']:.0f} s"
        for name, row in results.items()
        if "compile_seconds" in row
    ]
    lines.append(f"- {'; '.join(sorted({row['versions'] for row in results.values()}))}")
    lines.append("- Keras is not trained; SVC learned 10,000 tiles and was asked 2,000.")
    lines += [f"- {name}: not available, {reason}" for name, reason in record["missing"].items()]
    return "\n".join(lines) + "\n"


def _row(name: str, row: dict[str, Any], base: dict[str, Any] | None) -> str:
    one, many = row["one_us"], row["per_second"]
    right = "" if row["accuracy"] is None else f"{row['accuracy'] * 100:.2f} %"
    cost = f"{row['multiply_adds']:,}" if "multiply_adds" in row else "as above"
    cells = [
        name,
        f"{one['median']:,.0f}",
        f"{one['p90']:,.0f}",
        f"{many['median']:,.0f}",
        f"{many['least']:,.0f} to {many['most']:,.0f}",
        cost,
        right,
        f"{base['one_us']['median'] / one['median']:,.1f} x" if base else "",
        f"{many['median'] / base['per_second']['median']:,.1f} x" if base else "",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
