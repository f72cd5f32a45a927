"""How long does a tile take to classify, and how many a second are, beside other libraries?

    python benchmarks/classifying.py [--model NAME=FOLDER] [--rounds N] [--out FOLDER]

In one run, in turns, each in a process of its own, on tiles of the MNIST test set:

- digitlens: its shipped classifiers and those of ``--model``, with all cores and with one.
- torch: the same networks in PyTorch, as they are and compiled (``torch.compile``, compiled before
  anything is timed; the seconds are given).
- Keras: its documentation's network for MNIST, by ``predict``, ``predict_on_batch`` and as a
  function. Not trained, which is as fast. What it needs is installed below ``build/`` by the
  first run.
- scikit-learn: ``SVC`` with its defaults, trained on 10,000 tiles, timed on 1,000.

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
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from classifying_tables import KINDS, figures, report
from digitlens.datasets.mnist import load_mnist
from digitlens.models.bundle import WEIGHTS, find_bundle
from digitlens.models.roles import shipped_classifiers
from digitlens.models.session import cores
from digitlens.progress import note
from peer_process import UnavailableError, environment
from provenance import provenance
from publish import publish

ROUNDS, WARM, CALLS, MANY, TRAINING = 3, 5, 60, 10_000, 10_000
ENVIRONMENTS = Path(__file__).parents[1] / "build" / "serving-venv"
KERAS = ("tensorflow-cpu==2.21.0", "fastapi", "uvicorn", "python-multipart", "pillow")
WORKER = Path(__file__).with_name("classifying_worker.py")


class Entry(NamedTuple):
    """Whom to ask: a kind of worker, a model's name and folder (of digitlens), and cores."""

    kind: str
    model: str
    folder: str
    cores: int


@dataclass
class Timed:
    """Who is timed, and what came of it.

    Attributes:
        process: Answers questions, one a line.
        errors: What it says when it ends early.
        kind: A name among the worker's contenders.
        model: Of digitlens; empty for others.
        about: What the worker says of itself.
        one: Seconds of each call with one tile.
        many: Tiles a second of each call with many.
    """

    process: subprocess.Popen[str]
    errors: IO[str]
    kind: str
    model: str
    cores: int
    about: dict[str, Any] = field(default_factory=dict[str, Any])
    one: list[float] = field(default_factory=list[float])
    many: list[float] = field(default_factory=list[float])

    def get_ready(self) -> None:
        """Waits for what it says of itself; raises UnavailableError if it ends instead."""
        try:
            self.about = _line(self.process)
        except UnavailableError:
            self.errors.seek(0)
            said = self.errors.read().strip().splitlines()
            raise UnavailableError((said or ["it ended without a word"])[-1]) from None

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
    record = made | {"missing": missing, "results": results, "figures": figures(results)}
    publish(options.out, "classifying", record, report(record))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder with the MNIST files")
    parser.add_argument("--model", action="append", default=[], help="NAME=FOLDER of one more")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each")
    parser.add_argument("--out", type=Path, help="folder for classifying.json and classifying.md")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="of the peers")
    return parser.parse_args()


def _models(more: list[str]) -> dict[str, str]:
    """Names and folders of the classifiers: those shipped, and others."""
    shipped = {name: name for name in shipped_classifiers()}
    return shipped | {name: path for name, _, path in (entry.partition("=") for entry in more)}


def start_all(
    models: dict[str, str], options: argparse.Namespace, folder: Path, stack: ExitStack
) -> tuple[dict[str, Timed], dict[str, str]]:
    """Who can be timed, and by name why others cannot.

    All start at once but those that compile, which follow: how long that takes is recorded.
    """
    tiles = _material(options.data_dir, folder)
    entries = _entries(models)
    compiled = [name for name, entry in entries.items() if entry.kind == "compiled"]
    others = [name for name in entries if name not in compiled]
    begun: dict[str, Timed] = {}
    missing: dict[str, str] = {}
    for together in (others, compiled):
        note(f"starting {'; '.join(together)}")
        for name in together:
            with _noted(missing, name):
                begun[name] = _start(entries[name], tiles, options.environments, stack)
        for name in filter(begun.get, together):
            with _noted(missing, name):
                begun[name].get_ready()
    return {name: begun[name] for name in entries if name not in missing}, missing


@contextmanager
def _noted(missing: dict[str, str], name: str) -> Generator[None]:
    """Writes down why somebody is not available."""
    try:
        yield
    except UnavailableError as reason:
        missing[name] = str(reason)


def _start(entry: Entry, tiles: str, environments: Path, stack: ExitStack) -> Timed:
    python = environment(
        KERAS if KINDS.get(entry.kind, "").startswith("Keras") else (), environments
    )
    return start(python, entry, tiles, stack)


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


def _entries(models: dict[str, str]) -> dict[str, Entry]:
    """Whom to ask, by name."""
    entries: dict[str, Entry] = {}
    for name, model in models.items():
        for count in sorted({1, cores()}, reverse=True):
            title = f"digitlens, {name}, {count} core{'s' * (count > 1)}"
            entries[title] = Entry("digitlens", name, model, count)
        if (find_bundle(model) / WEIGHTS).exists():
            for kind in ("torch", "compiled"):
                entries[f"{KINDS[kind]}, {name}"] = Entry(kind, name, model, cores())
    for kind in ("predict", "on_batch", "call", "svc"):
        entries[KINDS[kind]] = Entry(kind, "", "", cores())
    return entries


def start(python: str, entry: Entry, tiles: str, stack: ExitStack) -> Timed:
    """A worker that starts; ``get_ready`` waits until it has."""
    errors = stack.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115
    cache = stack.enter_context(tempfile.TemporaryDirectory())  # so that compiling is not recalled
    process = subprocess.Popen(
        [python, str(WORKER), entry.kind, entry.folder, str(entry.cores), tiles],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache},
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    return Timed(process, errors, entry.kind, entry.model, entry.cores)


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
        "kind": timed.kind,
        "model": timed.model,
        "cores": timed.cores,
        "one": timed.one,
        "many": timed.many,
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


if __name__ == "__main__":
    main()
