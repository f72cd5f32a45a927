import json
import os
import signal

import pytest

import serving
import soak


@pytest.fixture
def server(port, monkeypatch):
    monkeypatch.setattr(soak, "processes", lambda _: {os.getpid()})
    return {"port": port, "process": os.getpid()}


def shots(*bodies):
    return [serving.Shot("a", body, "/", "text/plain") for body in bodies]


def test_a_load_tells_what_was_refused_rightly_from_errors(server):
    asked = shots(b"200", b"429 later", b"429", b"500")
    row = soak.one(server, asked, soak.Load(1, 0.2), 20)
    assert (row["answered"], row["full"], row["gone"], row["wrong"]) == (1, 1, 0, 2)
    assert row["errors"]["picture: 429 without Retry-After"] == 1
    assert row["first"] > 0
    assert row["slope"] is None  # of so short a time
    row = soak.one(server, shots(b"200"), soak.Load(0, 0.1), 0)
    assert row["rate"] == row["per_second"] > 0


def test_a_signal_is_sent_in_the_middle_and_closed_ports_are_no_errors(monkeypatch, server):
    told = []
    monkeypatch.setattr(os, "kill", lambda *both: told.append(both))
    row = soak.one(server | {"port": 1}, shots(b"200"), soak.Load(1, 0.1, signal.SIGTERM), 50)
    assert told == [(os.getpid(), signal.SIGTERM)]
    assert (row["gone"], row["wrong"]) == (5, 0)


def test_the_report_has_a_line_for_each_load_and_names_errors():
    row = {
        **{"minutes": 60.0, "rate": 9.6, "answered": 100, "p50_ms": 9.2, "p99_ms": 99.9},
        **{"full": 3, "gone": 0, "wrong": 2, "first": 450.0, "last": 451.2, "slope": None},
        "errors": {"picture: 500": 2},
    }
    record = {
        **{"processor": "P", "cores": 2, "date": "2026-11-30", "load": 0.1},
        **{"processes": 2, "queue": 32, "replaced": "2 of 2"},
        "results": {"80 %": row | {"name": "80 %"}},
    }
    lines = soak.report(json.loads(json.dumps(record))).splitlines()
    assert "| 80 % | 60.0 | 9.6 | 100 | 9 | 100 | 3 | 0 | 2 | 450 → 451 |  |" in lines
    assert lines[-2:] == [
        "- Processes replaced under load: 2 of 2",
        "- 80 %: {'picture: 500': 2}",
    ]
