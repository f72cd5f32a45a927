import json
import os
import signal
from contextlib import ExitStack

import numpy as np
import pytest

import serving
from digitlens.errors import ImageError
from digitlens.imaging.image import load_image


def shot(body, *, bad=False, name="a"):
    return serving.Shot(name, body, "/", "text/plain", bad)


def load(*arguments, **options):
    outcome = serving.Outcome()
    serving.load(outcome, *arguments, **options)
    return outcome


def test_clients_send_the_next_request_once_answered(port):
    outcome = load(port, [shot(b"200")], 1, 1.0)
    summary = outcome.summary()
    assert summary["answered"] > 0
    assert 0 < summary["p50_ms"] <= summary["p99_ms"]
    assert outcome.bodies == {"a": b"200"}


# A rate fixes the number of requests, however slow the answers are.
@pytest.mark.parametrize(
    ("shots", "answered", "refused", "errors"),
    [
        ([shot(b"200"), shot(b"422", bad=True)], 2, 2, {}),
        (
            [
                *(shot(b"500"), shot(b"200", bad=True, name="bomb")),
                *(shot(b"500", bad=True, name="bomb"), shot(b"")),
            ],
            *(0, 0),
            {"picture: 500", "bomb: 200", "bomb: 500", "picture: RemoteDisconnected"},
        ),
    ],
)
def test_unexpected_answers_are_errors(port, shots, answered, refused, errors):
    outcome = load(port, shots, 2, 0.2, rate=20)
    summary = outcome.summary()
    assert (summary["answered"], summary["refused"]) == (answered, refused)
    assert set(summary["errors"]) == set(errors)


def test_rate_sets_the_pace_and_rounds_add_up(port):
    outcome = load(port, [shot(b"200")], 4, 0.3, rate=100)
    assert len(outcome.seconds) == 30
    assert outcome.elapsed >= 0.29
    serving.load(outcome, port, [shot(b"200")], 4, 0.1, rate=100)
    assert outcome.summary()["answered"] == 40
    assert outcome.elapsed >= 0.38


def test_drawings_are_enlarged_tiles_in_both_polarities():
    tile = np.zeros((28, 28), np.uint8)
    tile[10:18, 10:18] = 255
    bright, dark = (load_image(serving.png(tile, dark=dark)) for dark in (False, True))
    assert bright.shape == dark.shape == (280, 280)
    assert bright[140, 140] == dark[0, 0] == 255
    assert bright[0, 0] == dark[140, 140] == 0


def test_bad_requests_differ_and_the_bomb_claims_more_pixels_than_are_decoded():
    shots = serving.bad_shots(serving.png(np.zeros((28, 28), np.uint8), dark=True))
    bodies = {one.name: one.body for one in shots if one.bad}
    assert len(bodies) == len(set(bodies.values())) == len(shots) == 6
    assert len(bodies["bomb"]) < 2000
    with pytest.raises(ImageError, match="pixels"):
        load_image(bodies["bomb"])


def test_report_has_a_line_per_load():
    row = {"per_second": 100.2, "p50_ms": 3.2, "p99_ms": 9.9, "refused": 4, "errors": {"x": 2}}
    record = {
        **{"processor": "P", "cores": 2, "clients": 32, "date": "2026-11-21", "load": 0.1},
        "servers": {
            "digitlens": {"versions": "digitlens 1", "memory_mb": [100.0, 110.4]},
            "keras": {"versions": "tensorflow-cpu 2", "memory_mb": [500.0, 501.0]},
        },
        "missing": {"torch": "no torch"},
        "right": "99 of 100",
        "results": dict.fromkeys(
            ("`digitlens serve`", "the same, a third bad", "tutorial, Keras"), row
        ),
    }
    lines = serving.report(json.loads(json.dumps(record))).splitlines()
    assert "| `digitlens serve` | 100 | 3 | 10 | 4 | 2 | 100 → 110 |" in lines
    assert "| the same, a third bad | 100 | 3 | 10 | 4 | 2 |  |" in lines
    assert "| tutorial, Keras | 100 | 3 | 10 | 4 | 2 | 500 → 501 |" in lines
    assert lines[-4:] == [
        "- Drawings read right by digitlens: 99 of 100",
        "- digitlens: digitlens 1",
        "- keras: tensorflow-cpu 2",
        "- torch: not available, no torch",
    ]


def test_server_that_fails_to_start_reports_the_reason(tmp_path, monkeypatch):
    script = tmp_path / "fail.py"
    script.write_text("import sys; sys.exit('no such port')")
    monkeypatch.setattr(serving, "WORKER", script)
    with ExitStack() as stack, pytest.raises(serving.UnavailableError, match="no such port"):
        serving.start("torch", tmp_path, stack)


@pytest.fixture
def server(port, monkeypatch):
    monkeypatch.setattr(serving, "processes", lambda _: {os.getpid()})
    return {"port": port, "process": os.getpid()}


def test_load_distinguishes_proper_refusals_from_errors(server):
    asked = [shot(body) for body in (b"200", b"429 later", b"429", b"500")]
    row = serving.run_phase(server, asked, serving.LoadPhase(1, 0.2), 20)
    assert (row["answered"], row["full"], row["gone"], row["wrong"]) == (1, 1, 0, 2)
    assert row["errors"]["picture: 429 without Retry-After"] == 1
    assert row["first"] > 0
    assert row["slope"] is None  # too short a run
    row = serving.run_phase(server, [shot(b"200")], serving.LoadPhase(0, 0.1), 0)
    assert row["rate"] == row["per_second"] > 0


def test_signal_is_sent_during_the_load_and_closed_ports_are_no_errors(monkeypatch, server):
    told = []
    monkeypatch.setattr(os, "kill", lambda *both: told.append(both))
    spell = serving.LoadPhase(1, 0.1, signal.SIGTERM)
    row = serving.run_phase(server | {"port": 1}, [shot(b"200")], spell, 50)
    assert told == [(os.getpid(), signal.SIGTERM)]
    assert (row["gone"], row["wrong"]) == (5, 0)


def test_soak_report_has_a_line_per_load_and_lists_errors():
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
    lines = serving.report_soak(json.loads(json.dumps(record))).splitlines()
    assert "| 80 % | 60.0 | 9.6 | 100 | 9 | 100 | 3 | 0 | 2 | 450 → 451 |  |" in lines
    assert lines[-2:] == ["- Processes replaced under load: 2 of 2", "- 80 %: {'picture: 500': 2}"]
