import json
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


def test_clients_ask_again_as_soon_as_they_are_answered(port):
    outcome = load(port, [shot(b"200")], 1, 1.0)
    summary = outcome.summary()
    assert summary["answered"] > 0
    assert 0 < summary["p50_ms"] <= summary["p99_ms"]
    assert outcome.bodies == {"a": b"200"}


# At a rate so many requests are due, however slow they are.
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
def test_whatever_is_answered_otherwise_is_an_error(port, shots, answered, refused, errors):
    outcome = load(port, shots, 2, 0.2, rate=20)
    summary = outcome.summary()
    assert (summary["answered"], summary["refused"]) == (answered, refused)
    assert set(summary["errors"]) == set(errors)


def test_a_rate_asks_at_its_own_pace_and_rounds_add_up(port):
    outcome = load(port, [shot(b"200")], 4, 0.3, rate=100)
    assert len(outcome.seconds) == 30
    assert outcome.elapsed >= 0.29
    serving.load(outcome, port, [shot(b"200")], 4, 0.1, rate=100)
    assert outcome.summary()["answered"] == 40
    assert outcome.elapsed >= 0.38


def test_drawings_are_tiles_enlarged_in_both_polarities():
    tile = np.zeros((28, 28), np.uint8)
    tile[10:18, 10:18] = 255
    bright, dark = (load_image(serving.png(tile, dark=dark)) for dark in (False, True))
    assert bright.shape == dark.shape == (280, 280)
    assert bright[140, 140] == dark[0, 0] == 255
    assert bright[0, 0] == dark[140, 140] == 0


def test_a_bomb_claims_more_than_is_decoded():
    bomb = serving.bomb(serving.png(np.zeros((28, 28), np.uint8), dark=True))
    assert len(bomb) < 2000
    with pytest.raises(ImageError, match="pixels"):
        load_image(bomb)


def test_bad_requests_are_bad_in_different_ways():
    shots = serving.bad_shots(serving.png(np.zeros((28, 28), np.uint8), dark=True))
    assert all(one.bad for one in shots)
    assert len({one.name for one in shots}) == len({one.body for one in shots}) == 6


def test_a_report_has_a_line_for_each_load():
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


def test_a_server_that_does_not_start_gives_the_reason(tmp_path, monkeypatch):
    script = tmp_path / "fail.py"
    script.write_text("import sys; sys.exit('no such port')")
    monkeypatch.setattr(serving, "WORKER", script)
    with ExitStack() as stack, pytest.raises(serving.UnavailableError, match="no such port"):
        serving.start("torch", tmp_path, stack)
