import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from digitlens.errors import MissingExtraError, ModelError

COMMAND = "serve"
EXAMPLE = Path(__file__).parents[2] / "examples" / "note.jpg"


@contextmanager
def served(*options):
    """Yields address and process of a server with the shipped models and a token."""
    process = subprocess.Popen(
        [sys.executable, "-m", "digitlens", "serve", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DIGITLENS_TOKEN": "sesame"},
    )
    line = process.stderr.readline()
    match = re.fullmatch(r"serving at (http://127\.0\.0\.1:\d+) \(stop with Ctrl-C\)\n", line)
    assert match, line
    try:
        yield match[1], process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def server():
    with served("--body-limit", "0.5") as both:
        yield both


def ask(address, body, token="sesame", kind="image/jpeg"):
    headers = {"Content-Type": kind, "Authorization": f"Bearer {token}"}
    with urlopen(Request(address, body, headers), timeout=30) as answer:
        return json.load(answer)


def test_server_reads_and_classifies(server):
    picture = EXAMPLE.read_bytes()
    answer = ask(f"{server[0]}/v1/read?tiles=1&expect=4&target_error=1%25", picture)
    assert answer["readings"][0]["text"] == "2048"
    assert answer["model"]["name"] == "default"
    tiles = [digit["tile"] for digit in answer["readings"][0]["lines"][0]]
    classified = {"tiles": base64.b64encode(b"".join(map(base64.b64decode, tiles))).decode()}
    predictions = ask(
        f"{server[0]}/v1/classify", json.dumps(classified).encode(), kind="application/json"
    )
    assert [one["value"] for one in predictions["predictions"]] == [2, 0, 4, 8]


@pytest.mark.parametrize(
    ("body", "token", "status"), [(b"x", "open", 401), (b"x" * 600_000, "sesame", 413)]
)
def test_token_and_body_limit_are_enforced(server, body, token, status):
    with pytest.raises(HTTPError) as error:
        ask(f"{server[0]}/v1/read", body, token)
    assert error.value.code == status
    error.value.close()


def test_server_stops_silently_on_ctrl_c(server):
    _, process = server
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=20)
    assert (process.returncode, out, errors) == (0, "", "")


def children(process):
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    lines = {number: Path(f"/proc/{number}/cmdline").read_bytes() for number in listed}
    return {int(number) for number, line in lines.items() if b"spawn_main" in line}


def until(condition, process):
    end = time.monotonic() + 60
    while not condition(children(process)):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_processes_share_metrics_and_are_replaced():
    picture = EXAMPLE.read_bytes()
    with served("--processes", "2") as (address, process):
        first = children(process)
        assert len(first) == 2
        process.send_signal(signal.SIGHUP)
        until(lambda now: len(now) == 2 and not now & first, process)
        second = children(process)
        os.kill(min(second), signal.SIGKILL)
        until(lambda now: len(now) == 2 and now != second, process)
        for _ in range(4):
            assert ask(f"{address}/v1/read", picture)["readings"][0]["text"] == "2048"
        request = Request(f"{address}/metrics", headers={"Authorization": "Bearer sesame"})
        with urlopen(request, timeout=30) as answer:
            metrics = answer.read().decode()
        assert 'digitlens_responses_total{route="/v1/read",status="200"} 4.0' in metrics
        assert "digitlens_in_progress 0.0" in metrics
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert errors == "a process exited with code -9, starting a new one\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there is one process alone")
def test_missing_model_is_named_once_with_several_processes(run):
    old = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        options = ["--processes", "2", "--port", "0", "--model", "nothing"]
        run.fails(ModelError, "no model 'nothing'", *options)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--time-limit", "0"), "time_limit above 0"),
        (("--body-limit", "nan"), "NaN"),
        (("--port", "99999"), "65535"),
        (("--workers", "0"), "workers"),
    ],
)
def test_invalid_options_and_missing_model_are_refused_at_start(run, arguments, words):
    run.misused(words, *arguments)
    run.fails(ModelError, "no model 'nothing'", "--model", "nothing")


def test_missing_extra_is_named(run, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("digitlens.server.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    run.fails(MissingExtraError, "digitlens[serve]")
