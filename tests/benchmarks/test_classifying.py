import importlib
import json
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch

from digitlens.model.bundle import DEFAULT, WEIGHTS, find_bundle, load_bundle
from digitlens.model.session import cores
from digitlens.training.export import load_network

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(BENCHMARKS)
    classifying = importlib.import_module("classifying")
    worker = importlib.import_module("classifying_worker")
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
    assert next(iter(entries.values())) == ("digitlens", "default", cores())
    assert {kind for kind, _, _ in entries.values()} == set(worker.CONTENDERS)
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
    command = [sys.executable, str(classifying.WORKER), "digitlens", DEFAULT, "1", str(path)]
    with ExitStack() as stack:
        timed = classifying.start(command, stack)
        assert timed.cores == 1
        assert timed.about["multiply_adds"] > 1e6
        assert all(seconds > 0 for seconds in timed.ask(20, 2))
        command[3] = "no such model"
        with pytest.raises(classifying.UnavailableError, match="no model"):
            classifying.start(command, stack)


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
        "results": {"quick": fast, classifying.BASE: row},
    }
    text = classifying.report(json.loads(json.dumps(record)))
    assert "| quick | 10 | 11 | 50 | 40 to 60 | 1,000 | 99.00 % | 100.0 x | 1.0 x |" in text
    assert "- quick: compiled in 3 s" in text
    assert "- absent: not available, the reason" in text
