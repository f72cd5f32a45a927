"""The training benchmark: its processes on small data, and the summary of their rows."""

import numpy as np
import pytest
import torch

import harness
import training
import worker
from digitlens.datasets.mnist import Mnist, Split


@pytest.fixture
def data(tmp_path, draw_bars):
    """Easily separable tiles: each digit has a bar at its own position."""
    labels = (np.arange(370) % 10).astype(np.uint8)
    split = Split(draw_bars(labels), labels)
    return harness.save_tiles(tmp_path, Mnist(split, Split(split.tiles[:50], labels[:50])), 320)


def record(**changes):
    """A made-up record of a run."""
    seeds = [
        {"seed": seed, "seconds": seconds, "parameters": 1000}
        | {"test_accuracy": accuracy, "epochs": 3}
        for seed, seconds, accuracy in ((0, 3.0, 0.993), (1, 1.0, 0.99), (2, 2.0, 0.988))
    ]
    said = [{"memory_mb": 400.0}, {"versions": "torch 2, cpu"}]
    keras = [
        {"epoch": epoch, "seconds": 10.0 * epoch, "test_accuracy": accuracy}
        for epoch, accuracy in ((1, 0.98), (2, 0.991))
    ]
    keras += [{"versions": "keras 3", "parameters": 34826}]
    found = {"date": "2026-11-21", "processor": "P", "threads": 2, "load": 0.1, "recipe": "fast"}
    found |= {"aim": 0.99, "missing": {}, "changes": []}
    found |= {"parts": [[*seeds[:2], *said], [seeds[2], *said]]}
    found |= {"peers": {"keras": [*keras, {"memory_mb": 800.0}]}} | changes
    found["summary"] = training.summary(found)
    return found


def test_peer_is_timed_until_the_target_and_digitlens_over_all_seeds():
    found = record()["summary"]
    keras, ours = found["keras"], found["digitlens"]
    assert (keras["seconds"]["mean"], keras["ratio"], keras["epochs"]) == (20, 10, 2)
    assert ours["seconds"] == {"mean": 2.0, "sd": 1.0, "median": 2.0}
    assert ours["test_accuracy"]["mean"] == pytest.approx(0.991 - 2e-3 / 3)
    assert (ours["seeds"], ours["seeds_at_aim"], ours["memory_mb"]) == (3, 2, 400.0)


KERAS = [{"epoch": 1, "seconds": 10.0, "test_accuracy": 0.98}, {"versions": "k", "parameters": 1}]


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        (
            {"peers": {"keras": [*KERAS, {"memory_mb": 1.0}]}},
            "| Keras `mnist_convnet` | 1 | 10.00 | 0 | 1 | 98.000 % | 1 |  |",
        ),
        ({"aim": 0.995}, "| Keras `mnist_convnet` | 1 | 20.00 | 0 | 2 | 99.100 % | 800 |  |"),
    ],
    ids=["the peer", "digitlens"],
)
def test_contender_that_misses_the_target_has_no_ratio(changes, row):
    found = record(**changes)
    names = [figure.name for figure in training.figures(found["summary"])]
    assert "training.keras.memory" in names
    assert not {"training.keras.ratio", "training.keras.seconds"} & set(names)
    assert row in training.report(found).splitlines()


def test_figures_match_the_record():
    named = {figure.name: figure for figure in training.figures(record()["summary"])}
    assert named["training.seconds"].spread == 1.0
    assert named["training.accuracy"].value == pytest.approx(99.0333, abs=1e-3)
    assert named["training.accuracy"].better == "higher"
    assert named["training.keras.seconds"].peer
    assert named["training.keras.ratio"].unit == "x"
    assert not named["training.keras.ratio"].peer


def test_report_lists_results_and_unavailable_peers():
    found = record(missing={"pytorch": "no torch"}, changes=["epochs=1"])
    lines = training.report(found).splitlines()
    assert lines[0].endswith("load before 0.1, epochs=1.")
    assert "| digitlens, `fast` | 3 | 2.00 ± 1.00 | 2 | 3 | 99.033 ± 0.252 % | 400 | 1 |" in lines
    assert "| Keras `mnist_convnet` | 1 | 20.00 | 1 | 2 | 99.100 % | 800 | 10 |" in lines
    assert lines[-1] == "- pytorch: not available, no torch"


def test_report_without_any_result():
    found = record(parts=[[]], peers={"keras": []}, missing={"digitlens": "why"})
    assert training.figures(found["summary"]) == []
    assert training.report(found).splitlines()[-1] == "- digitlens: not available, why"


def test_transforms_and_network_match_the_pytorch_example():
    pixels, labels = worker.transformed([(np.array([[0, 255, 51]], np.uint8), 7)])
    assert pixels.dtype == torch.float32
    assert torch.allclose(pixels, (torch.tensor([[[[0, 1, 0.2]]]]) - 0.1307) / 0.3081)
    assert labels.tolist() == [7]
    assert sum(each.numel() for each in worker.torch_network().parameters()) == 1_199_882


@pytest.mark.parametrize(("epochs", "until"), [(9, 0.2), (1, 1.1)])
def test_peer_stops_at_the_target_accuracy_or_after_its_epochs(data, epochs, until):
    threads = torch.get_num_threads()
    *rows, about, memory = worker.train("pytorch", threads, data, epochs, until)
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) == epochs or rows[-1]["test_accuracy"] >= until
    assert all(row["test_accuracy"] < until for row in rows[:-1])
    assert about["parameters"] == 1_199_882
    assert memory.keys() == {"memory_mb"}


def test_failed_process_reports_its_reason(monkeypatch, tmp_path):
    failing = tmp_path / "worker.py"
    failing.write_text("import sys; sys.exit('no such thing')")
    monkeypatch.setattr(harness, "WORKER", failing)
    monkeypatch.setattr(training, "PEERS", {})
    missing, options = {}, training.parser(training.__doc__).parse_args([])
    assert training.rows_of("keras", [], options, missing) == []
    assert missing == {"keras": "no such thing"}


def test_seeds_run_before_between_and_after_the_peers(monkeypatch):
    asked = []

    def attempt(who, wanted, _options, _missing):
        asked.append((who, wanted[1:] if who == "digitlens" else ()))
        return []

    monkeypatch.setattr(training, "rows_of", attempt)
    monkeypatch.setattr(harness, "save_tiles", lambda *_: None)
    options = training.parser(training.__doc__).parse_args([])
    training.measure(options, training.AIM, "fast", 7)
    ours = [("digitlens", part) for part in ((0, 3), (3, 5), (5, 7))]
    assert asked == [ours[0], ("pytorch", ()), ours[1], ("keras", ()), ours[2]]


def test_worker_trains_the_requested_seeds(monkeypatch, data):
    monkeypatch.setattr("digitlens.cli.tables.use_patient_threads", lambda: None)
    with np.load(data) as tiles:
        split = Split(tiles["train_tiles"], tiles["train_labels"])
    monkeypatch.setattr("digitlens.datasets.mnist.load_mnist", lambda: Mnist(split, split))
    asked = "1", "fast", "2", "4", "epochs=1", "validation=none", "temperature=1"
    *rows, versions = worker.train_seeds(*asked)
    assert [row.get("seed") for row in rows] == [2, None, 3]
    assert {row["epochs"] for row in rows if "seed" in row} == {1}
    assert "torch" in versions["versions"]
