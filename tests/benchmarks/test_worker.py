"""Worker processes that answer in lines of JSON, and the peers that run in them."""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

import harness
import worker

FAKE = """
import json, sys
print(json.dumps({"versions": f"{sys.argv[1]} 1.0 with {sys.argv[2]} threads"}), flush=True)
for asked in map(json.loads, sys.stdin):
    if not asked["tiles"]:
        sys.exit("no tile\\nis too few")
    print(json.dumps({"seconds": [0.5] * asked["tiles"]}), flush=True)
"""


@pytest.fixture
def fake():
    with ExitStack() as stack:
        yield harness.Worker([sys.executable, "-c", FAKE, "fake", "2"], stack)


def test_worker_answers_each_request(fake):
    assert fake.reply()["versions"] == "fake 1.0 with 2 threads"
    assert fake.ask({"tiles": 1})["seconds"] == [0.5]
    assert fake.ask({"tiles": 2})["seconds"] == [0.5, 0.5]


def test_worker_that_ends_reports_the_reason(fake):
    fake.reply()
    for _ in range(2):
        with pytest.raises(harness.UnavailableError, match=r"^is too few$"):
            fake.ask({"tiles": 0})


def test_unavailable_peers_are_listed_with_the_reason():
    def fail():
        raise harness.UnavailableError("not installed")

    missing = {}
    assert harness.run_available({"good": lambda: 1, "bad": fail}, missing) == {"good": 1}
    assert missing == {"bad": "not installed"}


def test_environment_is_created_once_and_only_for_packages(tmp_path, monkeypatch):
    assert harness.environment((), tmp_path) == sys.executable
    (tmp_path / "thing==1").mkdir()
    (tmp_path / "thing==1" / ".installed").touch()
    python = harness.environment(("thing==1",), tmp_path)
    assert Path(python).parent.parent == tmp_path / "thing==1"
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho no such package >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    with pytest.raises(harness.UnavailableError, match="no such package"):
        harness.environment(("thing==2",), tmp_path)
    assert not (tmp_path / "thing==2" / ".installed").exists()


def test_adjacent_boxes_form_one_line():
    def box(x, y):
        return [[x, y], [x + 9, y], [x + 9, y + 10], [x, y + 10]]

    found = [(box(30, 0), "34"), (box(0, 3), "12"), (box(0, 14), "5")]
    assert worker.boxes_to_lines(found) == ["12 34", "5"]
    assert worker.boxes_to_lines([]) == []


def test_exception_of_a_peer_is_its_answer():
    def read(page, kind):
        raise ValueError(f"{kind} of {page.size} pixels")

    answer = worker.answer(read, np.zeros((2, 3), np.uint8), "check")
    assert answer["error"] == "ValueError: check of 6 pixels"
    assert answer["milliseconds"] >= 0


def test_rows_returns_all_rows_or_raises_the_reason():
    def rows(code):
        with ExitStack() as stack:
            return harness.Worker([sys.executable, "-c", code], stack).rows()

    assert rows("print(1); print(2)") == [1, 2]
    with pytest.raises(harness.UnavailableError, match="no such thing"):
        rows("exit('no such thing')")


def test_worker_prints_only_json_to_stdout():
    code = """
import worker
worker.TASKS["epochs"] = lambda count: (print("a library") or {"epoch": int(count)},)
worker.main()
"""
    paths = {"PYTHONPATH": str(Path(harness.__file__).parent)}
    command = [sys.executable, "-c", code, "epochs", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=paths)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows == [{"epoch": 3}]
    assert done.stderr == "a library\n"


def test_worker_measures_accuracy_and_times_the_requested_calls(monkeypatch):
    tiles = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((28, 28), np.uint8)
    asked = []

    def answer(part):
        asked.append(part[:, 0, 0].tolist())
        return np.eye(10)[part[:, 0, 0]]

    contender = worker.Contender(answer, np.asarray, {"most": 3})
    labels = np.array([0, 1, 9, 9])
    found = worker.accuracy(contender, tiles, labels)
    assert found == {"accuracy": pytest.approx(2 / 3), "tiles": 3}
    asked.clear()
    assert len(worker.seconds_of(contender, tiles, 2, 4)) == 4
    assert asked == [[0, 1], [2, 3], [1, 2], [0, 1]]
    monkeypatch.setattr(worker, "PATIENCE", -1.0)
    assert worker.seconds_of(contender, tiles, 1, 5) == []
    untrained = contender._replace(about={"trained": False})
    assert worker.accuracy(untrained, tiles, labels)["accuracy"] is None
