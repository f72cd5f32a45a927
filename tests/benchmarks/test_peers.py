import csv
import ctypes.util
import importlib
import io
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FAKE = """
import json, sys
print(json.dumps({"versions": f"{sys.argv[1]} 1.0 with {sys.argv[2]} threads"}), flush=True)
while line := sys.stdin.buffer.readline():
    header = json.loads(line)
    height, width, *_ = header["shape"]
    pixels = sys.stdin.buffer.read(height * width)
    if not any(pixels):
        sys.exit("a black picture\\nis too much")
    answer = {"text": header["kind"] + str(sum(pixels)), "milliseconds": 1.0}
    print(json.dumps(answer), flush=True)
"""


def load(name):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return importlib.import_module(name)


peers, process, worker = load("peers"), load("peer_process"), load("peer_worker")


def gray(value):
    return np.full((2, 3), value, np.uint8)


@pytest.fixture
def fake(tmp_path):
    (tmp_path / "fake.py").write_text(FAKE)
    reader = process.Reader("fake", ("single",))
    with ExitStack() as stack:
        yield process.Worker(reader, sys.executable, 2, stack, tmp_path / "fake.py")


def test_a_worker_is_given_pictures_and_answers(fake):
    assert fake.versions == "fake 1.0 with 2 threads"
    assert fake.ask("single", gray(1))["text"] == "single6"
    assert fake.ask("check", gray(2))["text"] == "check12"


def test_a_worker_that_ends_says_why(fake):
    for _ in range(2):
        with pytest.raises(process.UnavailableError, match=r"^is too much$"):
            fake.ask("single", gray(0))


def test_an_environment_is_made_once_and_only_for_packages(tmp_path):
    assert process.environment((), tmp_path) == sys.executable
    (tmp_path / "thing==1").mkdir()
    (tmp_path / "thing==1" / ".installed").touch()
    python = process.environment(("thing==1",), tmp_path)
    assert Path(python).parent.parent == tmp_path / "thing==1"


def test_what_cannot_be_installed_gives_the_reason(tmp_path, monkeypatch):
    code = "import sys; print('no such package', file=sys.stderr); sys.exit(1)"
    run = process._run
    monkeypatch.setattr(process, "_run", lambda *_: run(sys.executable, "-c", code))
    with pytest.raises(process.UnavailableError, match="no such package"):
        process.environment(("thing==1",), tmp_path)
    assert not (tmp_path / "thing==1" / ".installed").exists()


def test_boxes_side_by_side_are_one_line():
    def box(x, y):
        return [[x, y], [x + 9, y], [x + 9, y + 10], [x, y + 10]]

    found = [(box(30, 0), "34"), (box(0, 3), "12"), (box(0, 14), "5")]
    assert worker.boxes_to_lines(found) == ["1234", "5"]
    assert worker.boxes_to_lines([]) == []


def test_pages_come_whole_through_a_pipe():
    sent = io.BytesIO()
    for shape in ((1, 3), (2, 1, 3)):
        sent.write(json.dumps({"kind": "multi", "shape": shape}).encode() + b"\n")
        sent.write(bytes(range(10, 10 + int(np.prod(shape)))))
    sent.seek(0)
    (_, first), (kind, second) = worker._pages(sent)
    assert kind == "multi"
    assert first.tolist() == [[10, 11, 12]]
    assert second.tolist() == [[[10, 11, 12]], [[13, 14, 15]]]


def test_what_a_peer_raises_is_its_answer():
    def read(page, kind):
        raise ValueError(f"{kind} of {page} pixels")

    answer = worker._answer(worker.Peer("1.0", np.size, read), "check", gray(0))
    assert answer["error"] == "ValueError: check of 6 pixels"
    assert answer["milliseconds"] >= 0


@pytest.mark.skipif(not ctypes.util.find_library("tesseract"), reason="Tesseract is not here")
def test_tesseract_reads_type():
    peer = worker.tesseract(1)
    text = peer.read(peer.prepare(peers.draw("2048\n1357")), "multi")
    assert text.split() == ["2048", "1357"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rows = [("a.png", "single", "7"), ("b.png", "single", "4"), ("c.png", "multi", "2048")]
    rows += [("d.png", "reject", "")]
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("file", "kind", "label", "source"))
        writer.writerows((*row, "drawn") for row in rows)
    for name, _, label in rows:
        Image.fromarray(peers.draw(label or " ")).save(tmp_path / name)
    monkeypatch.setattr(peers, "PAUSE", 0)
    return tmp_path


def test_a_limit_is_spread_over_a_kind(folder):
    def names(*arguments):
        return "".join(row["file"][0] for row in peers.chosen_rows(folder, *arguments))

    assert names(peers.KINDS, None) == "abcd"
    assert names(["reject", "single"], 1) == "da"
    assert names(["single"], 9) == "ab"
    rows = [{"n": str(n)} for n in range(9)]
    assert [row["n"] for row in peers._spread(rows, 3)] == ["0", "3", "6"]


def stub(name, kinds, asked, fails_at=None):
    def ask(_kind, _page):
        asked.append(name)
        if asked.count(name) == fails_at:
            raise process.UnavailableError("out of memory")
        return {"text": "No. 7", "milliseconds": 2.0}

    return SimpleNamespace(reader=process.Reader(name, kinds), ask=ask)


def test_readers_take_turns_and_one_that_stops_is_missing(folder):
    asked, missing = [], {}
    rows = peers.chosen_rows(folder, peers.KINDS, None)
    workers = [
        stub("x", peers.KINDS, asked, fails_at=3),
        stub("y", peers.KINDS, asked),
        stub("z", ("single",), asked),
    ]
    answers = list(peers.ask_all(folder, rows, workers, missing))
    assert asked == ["x", "y", "z", "y", "z", "x", "x", "y", "y"]
    assert missing == {"x": "stopped at c.png: out of memory"}
    assert [a.text for a in answers] == ["7"] * 8
    assert [a.exact for a in answers if a.reader == "z"] == [True, False]


def test_an_error_is_never_right():
    row = {"file": "a.png", "kind": "reject", "source": "drawn", "label": ""}
    silent = peers._answer(row, "x", {"text": "none", "milliseconds": 1.0})
    failed = peers._answer(row, "x", {"error": "ValueError: too small", "milliseconds": 3.0})
    assert (silent.exact, failed.exact) == (True, False)
    scores = peers.scores([silent, failed])
    assert (scores["exact"], scores["errors"], scores["milliseconds"]) == (0.5, 1, 2)
    assert scores["milliseconds_90"] == pytest.approx(2.8)
    about = {"x": {"versions": "x 1", "drawn": {"single": "7", "check": "2049"}}}
    notes = peers.notes(about, [silent, failed], {"y": "no network"})
    assert "- x: x 1; drawn numbers read wrong: check; 1 pictures ended in an error" in notes
    assert "- y: not available, no network" in notes


def test_a_folder_is_read_side_by_side_and_recorded(folder, monkeypatch, capsys):
    readers = (process.Reader("digitlens", peers.KINDS), process.Reader("gone", peers.KINDS))
    monkeypatch.setattr(peers, "READERS", readers)
    out = folder / "record"
    arguments = ["peers", str(folder), "--kinds", "multi", "--threads", "1", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    peers.main()
    table = (out / "peers.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == table
    assert "| several digits | digitlens | 1 | 100.0 % |" in table
    assert "- gone: not available, KeyError: 'gone'" in table
    record = json.loads((out / "peers.json").read_text(encoding="utf-8"))
    assert record["readers"]["digitlens"]["kinds"]["multi"]["exact"] == 1
    assert record["pictures"][0]["answers"]["digitlens"]["text"] == "2048"
    assert (record["threads"], list(record["missing"])) == (1, ["gone"])
