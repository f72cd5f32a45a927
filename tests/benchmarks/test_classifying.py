import importlib
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from digitlens.models.bundle import DEFAULT, WEIGHTS, find_bundle, load_bundle
from digitlens.models.session import cores
from digitlens.training.export import load_network

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(BENCHMARKS)
    classifying = importlib.import_module("classifying")
    worker = importlib.import_module("classifying_worker")
    tables = importlib.import_module("classifying_tables")
    flops = importlib.import_module("flops")
    graph_cost = importlib.import_module("graph_cost")


def test_a_graph_costs_what_its_network_costs():
    tile = torch.zeros(1, 28, 28, dtype=torch.uint8)
    expected = flops.multiply_adds(load_network(DEFAULT), tile)
    assert graph_cost.multiply_adds(load_bundle(DEFAULT).graph) == expected


def test_who_is_timed():
    names = classifying._models(["mine=/somewhere"])
    assert names.keys() >= {"default", "mine"}
    assert "pages" not in names
    entries = classifying._entries({"default": "default"})
    assert next(iter(entries.values())) == ("digitlens", "default", "default", cores())
    assert {entry.kind for entry in entries.values()} == set(worker.CONTENDERS)
    assert set(tables.PEERS) == set(worker.CONTENDERS) - {"digitlens"}
    assert (find_bundle("default") / WEIGHTS).exists()


def test_a_worker_says_how_good_it_is_and_times_as_many_calls_as_asked(monkeypatch):
    tiles = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((28, 28), np.uint8)
    asked = []

    def answer(part):
        asked.append(part[:, 0, 0].tolist())
        return np.eye(10)[part[:, 0, 0]]

    contender = worker.Contender(answer, np.asarray, about={"most": 3})
    labels = np.array([0, 1, 9, 9])
    assert worker._accuracy(contender, tiles, labels) == {
        "accuracy": pytest.approx(2 / 3),
        "tiles": 3,
    }
    asked.clear()
    assert len(worker._timed(contender, tiles, 2, 4)) == 4
    assert asked == [[0, 1], [2, 3], [1, 2], [0, 1]]
    monkeypatch.setattr(worker, "PATIENCE", -1.0)
    assert worker._timed(contender, tiles, 1, 5) == []
    contender.trained = False
    assert worker._accuracy(contender, tiles, labels) == {"accuracy": None}


def test_digitlens_is_asked_in_a_process_of_its_own(tmp_path, small_split):
    path = tmp_path / "tiles.npz"
    np.savez(path, tiles=small_split.tiles[:20], labels=small_split.labels[:20])
    entry = classifying.Entry("digitlens", "mine", DEFAULT, 1)
    with ExitStack() as stack:
        timed = classifying.start(sys.executable, entry, str(path), stack)
        wrong = classifying.start(
            sys.executable, entry._replace(folder="no such model"), str(path), stack
        )
        timed.get_ready()
        assert (timed.kind, timed.model, timed.cores) == ("digitlens", "mine", 1)
        assert timed.about["multiply_adds"] > 1e6
        assert all(seconds > 0 for seconds in timed.ask(20, 2))
        with pytest.raises(classifying.UnavailableError, match="no model"):
            wrong.get_ready()


def test_who_cannot_start_is_named(monkeypatch):
    entries = {"good": classifying.Entry("digitlens", "good", "", 1),
               "bad": classifying.Entry("compiled", "bad", "", 1),
               "gone": classifying.Entry("svc", "", "", 1)}  # fmt: skip
    ready = []

    class Begun:
        def __init__(self, kind):
            self.kind = kind

        def get_ready(self):
            if self.kind == "compiled":
                raise classifying.UnavailableError("does not compile")
            ready.append(self.kind)

    def start(entry, *_):
        if entry.kind == "svc":
            raise classifying.UnavailableError("not installed")
        return Begun(entry.kind)

    monkeypatch.setattr(classifying, "_material", lambda *_: "")
    monkeypatch.setattr(classifying, "_entries", lambda _: entries)
    monkeypatch.setattr(classifying, "_start", start)
    options = SimpleNamespace(data_dir=None, environments=Path())
    with ExitStack() as stack:
        contenders, missing = classifying.start_all({}, options, Path(), stack)
    assert missing == {"bad": "does not compile", "gone": "not installed"}
    assert list(contenders) == ["good"]
    assert ready == ["digitlens"]


def timed(kind, model, cores, one, many):
    return {
        "kind": kind,
        "model": model,
        "cores": cores,
        "one": one,
        "many": many,
        "one_us": {"median": 1e6 * one[0]},
        "per_second": {"median": many[0]},
    }


def test_figures_have_the_times_of_all_cores_of_one_and_ratios_to_peers():
    results = {
        "ours": timed("digitlens", "swift", 2, [1e-4], [400.0]),
        "ours, 1 core": timed("digitlens", "swift", 1, [1e-4], [200.0]),
        "the same in torch": timed("torch", "swift", 2, [4e-4], [100.0]),
        "another in torch": timed("torch", "default", 2, [9e-4], [50.0]),
        "Keras": timed("predict", "", 2, [1e-2], [40.0]),
    }
    found = {row["name"]: row for row in tables.figures(results)}
    assert {name: row["value"] for name, row in found.items() if name.endswith("ratio")} == {
        "classifying.swift.one_tile.torch.ratio": pytest.approx(4),
        "classifying.swift.many_tiles.torch.ratio": 4,
        "classifying.swift.one_tile.keras.ratio": pytest.approx(100),
        "classifying.swift.many_tiles.keras.ratio": 10,
    }
    assert found["classifying.swift.one_tile"]["value"] == pytest.approx(100)
    assert found["classifying.swift.one_core.many_tiles"]["value"] == 200
    assert {name for name, row in found.items() if row.get("peer")} == {
        f"classifying.{who}.{what}"
        for who in ("torch.swift", "torch.default", "keras")
        for what in ("one_tile", "many_tiles")
    }


def test_the_report_compares_with_keras():
    row = {
        "versions": "one 1.0",
        "accuracy": None,
        "multiply_adds": 1000,
        "one_us": {"median": 1000.0, "p90": 2000.0},
        "per_second": {"median": 50.0, "least": 40.0, "most": 60.0},
    }
    fast = row | {"accuracy": 0.99, "compile_seconds": 3.2}
    fast |= {"one_us": {"median": 10.0, "p90": 11.0}}
    record = {
        "date": "2000-01-01",
        "processor": "a processor",
        "cores": 2,
        "load": 0.0,
        "rounds": 1,
        "missing": {"absent": "the reason"},
        "results": {"quick": fast, tables.BASE: row},
    }
    text = tables.report(json.loads(json.dumps(record)))
    assert "| quick | 10 | 11 | 50 | 40 to 60 | 1,000 | 99.00 % | 100.0 x | 1.0 x |" in text
    assert "- quick: compiled in 3 s" in text
    assert "- absent: not available, the reason" in text
