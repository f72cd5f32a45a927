from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest

import classifying
import harness
import worker
from digitlens.models.bundle import DEFAULT
from digitlens.models.session import cores


def test_all_contenders_are_timed():
    entries = classifying.entries(["mine=default"])
    assert next(iter(entries.values())) == ("digitlens", "default", "default", cores())
    assert {entry.kind for entry in entries.values()} == set(worker.CONTENDERS)
    assert set(classifying.KINDS) == set(worker.CONTENDERS) - {"digitlens"}
    assert {entry.model for entry in entries.values()} >= {"default", "mine"}
    assert "pages" not in {entry.model for entry in entries.values()}


def test_digitlens_is_timed_in_its_own_process(tmp_path, small_split, monkeypatch):
    path = tmp_path / "tiles.npz"
    np.savez(path, tiles=small_split.tiles[:20], labels=small_split.labels[:20])
    entry = classifying.Entry("digitlens", "mine", DEFAULT, 1)
    monkeypatch.setattr(classifying, "MANY", 20)
    options = SimpleNamespace(environments=tmp_path)
    with ExitStack() as stack:
        worker, about = classifying.start(entry, path, options, stack)
        assert about["tiles"] == 20
        one, many = classifying.measure(worker, about)
        assert len(one) == classifying.CALLS
        assert min(*one, many) > 0
        with pytest.raises(harness.UnavailableError, match="no model"):
            classifying.start(entry._replace(folder="no such model"), path, options, stack)


def timed(kind, model, cores, one, many):
    about = {"kind": kind, "model": model, "cores": cores, "versions": "one 1.0"}
    return about | {"accuracy": None} | classifying.summary([([one], many)])


RESULTS = {
    "ours": timed("digitlens", "swift", 2, 100, 400.0),
    "ours, 1 core": timed("digitlens", "swift", 1, 100, 200.0),
    "the same in torch": timed("torch", "swift", 2, 400, 100.0),
    "another in torch": timed("torch", "default", 2, 900, 50.0),
    "Keras, predict": timed("keras", "", 2, 10_000, 40.0) | {"accuracy": 0.99},
}


def test_figures_have_all_core_and_one_core_times_and_ratios_to_peers():
    found = {row.name: row for row in classifying.figures(RESULTS)}
    assert {name: row.value for name, row in found.items() if name.endswith("ratio")} == {
        "classifying.swift.one_tile.torch.ratio": pytest.approx(4),
        "classifying.swift.many_tiles.torch.ratio": 4,
        "classifying.swift.one_tile.keras.ratio": pytest.approx(100),
        "classifying.swift.many_tiles.keras.ratio": 10,
    }
    assert found["classifying.swift.one_tile"].value == pytest.approx(100)
    assert found["classifying.swift.one_core.many_tiles"].value == 200
    assert {name for name, row in found.items() if row.peer} == {
        f"classifying.{who}.{what}"
        for who in ("torch.swift", "torch.default", "keras")
        for what in ("one_tile", "many_tiles")
    }


def test_report_compares_with_keras():
    record = {"date": "2000-01-01", "processor": "P", "cores": 2, "load": 0.1, "rounds": 3}
    text = classifying.report(record | {"results": RESULTS, "missing": {"X": "not there"}})
    assert "| ours | 100 | 400 |  | 100.0 x | 10.0 x |" in text
    assert "| Keras, predict | 10,000 | 40 | 99.00 % | 1.0 x | 1.0 x |" in text
    assert text.rstrip().endswith("- X: not available, not there")
