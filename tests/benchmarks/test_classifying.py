import json
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest

import classifying
import harness
import worker
from digitlens.models.bundle import DEFAULT
from digitlens.models.session import cores


def test_who_is_timed():
    entries = classifying.entries(["mine=default"])
    assert next(iter(entries.values())) == ("digitlens", "default", "default", cores())
    assert {entry.kind for entry in entries.values()} == set(worker.CONTENDERS)
    assert set(classifying.KINDS) == set(worker.CONTENDERS) - {"digitlens"}
    assert {entry.model for entry in entries.values()} >= {"default", "mine"}
    assert "pages" not in {entry.model for entry in entries.values()}


def test_digitlens_is_asked_in_a_process_of_its_own(tmp_path, small_split):
    path = tmp_path / "tiles.npz"
    np.savez(path, tiles=small_split.tiles[:20], labels=small_split.labels[:20])
    entry = classifying.Entry("digitlens", "mine", DEFAULT, 1)
    with ExitStack() as stack:
        options = SimpleNamespace(environments=tmp_path)
        asked = classifying.start(entry, path, options, stack)
        asked.one.extend(asked.seconds(1, 3))
        asked.many.extend(asked.seconds(20, 2))
        assert all(seconds > 0 for seconds in asked.one + asked.many)
        summary = classifying.summary(entry, asked)
        assert (summary["kind"], summary["model"], summary["cores"]) == ("digitlens", "mine", 1)
        with pytest.raises(harness.UnavailableError, match="no model"):
            classifying.start(entry._replace(folder="no such model"), path, options, stack)


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
        "Keras": timed("keras", "", 2, [1e-2], [40.0]),
    }
    found = {row.name: row for row in classifying.figures(results)}
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


def test_the_report_compares_with_keras():
    row = {
        "versions": "one 1.0",
        "accuracy": None,
        "multiply_adds": 1000,
        "one_us": {"median": 1000.0, "p90": 2000.0},
        "per_second": {"median": 50.0, "least": 40.0, "most": 60.0},
    }
    fast = row | {"accuracy": 0.99}
    fast |= {"one_us": {"median": 10.0, "p90": 11.0}}
    record = {
        "date": "2000-01-01",
        "processor": "a processor",
        "cores": 2,
        "load": 0.0,
        "rounds": 1,
        "missing": {"absent": "the reason"},
        "results": {"quick": fast, classifying.KINDS["keras"]: row},
    }
    text = classifying.report(json.loads(json.dumps(record)))
    assert "| quick | 10 | 11 | 50 | 40 to 60 | 1,000 | 99.00 % | 100.0 x | 1.0 x |" in text
    assert "- absent: not available, the reason" in text
