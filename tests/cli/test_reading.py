"""Processes that read too give what this one gives, and a bar says how far they are."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from digitlens.cli import reading
from digitlens.cli.reading import PageBar, ReadOptions, read_paths
from digitlens.reading.batch import ProcessPool, WorkerError

EXAMPLES = Path(__file__).parents[2] / "examples"
WAIT = 30  # seconds at most


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths of drawings, a photo, pages of documents and what cannot be read."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(9):
        shutil.copy(EXAMPLES / "drawing.png", folder / f"{number}.png")
    shutil.copy(EXAMPLES / "note.jpg", folder / "3.jpg")
    (folder / "5.jpg").write_text("no picture")
    with Image.open(EXAMPLES / "drawing.png") as page:
        page.save(folder / "7.tif", save_all=True, append_images=[page.rotate(180), page])
        page.save(folder / "8.pdf", save_all=True, append_images=[page])
    return [str(folder), str(folder / "none.png")]


@pytest.fixture
def at_once(monkeypatch):
    """Processes are started after the first page and waited for; those that were are kept here."""
    pools = []

    def start(pool):
        pools.append(pool)
        start_pool(pool)
        end = time.monotonic() + WAIT
        while not all(worker.ready() for worker in pool._workers):
            assert time.monotonic() < end
            time.sleep(0.01)

    start_pool = ProcessPool.start
    monkeypatch.setattr(ProcessPool, "start", start)
    monkeypatch.setattr(reading, "_TELLING", 1)
    monkeypatch.setattr(reading, "_WORTH", 0)
    monkeypatch.setattr("digitlens.models.session.cores", lambda: 2)
    monkeypatch.setattr("digitlens.reading.batch.cores", lambda: 2)
    return pools


def said(capsys, files, wish):
    assert not read_paths(files, "json", wish)
    return capsys.readouterr()


@pytest.mark.parametrize("explained", [False, True])
def test_processes_say_and_write_what_threads_do(files, tmp_path, capsys, request, explained):
    def wish(name):
        return ReadOptions(annotate=tmp_path / name if explained else None)

    alone = said(capsys, files, wish("alone"))
    pools = request.getfixturevalue("at_once")
    assert said(capsys, files, wish("together")) == alone
    assert len(pools) > 1  # each page asks
    assert not any(worker._process.is_alive() for worker in pools[0]._workers)
    assert [json.loads(line)["text"] for line in alone.out.splitlines()][:3] == ["7"] * 3
    assert alone.err.count("\n") == 2
    written = [{path.name: path.read_bytes() for path in (tmp_path / name).glob("*")}
               for name in ("alone", "together")]  # fmt: skip
    assert written[0] == written[1]
    assert len(written[0]) == 15 * explained


def test_a_picture_whose_process_ends_is_named_and_the_others_are_read(
    files, capsys, at_once, monkeypatch
):
    def call(pool, task):
        if task.path.endswith("8.pdf"):
            raise WorkerError("the process that read it came to an end")
        return work(pool, task)

    work = ProcessPool.__call__
    monkeypatch.setattr(ProcessPool, "__call__", call)
    result = said(capsys, files[:1], ReadOptions())
    assert "8.pdf#2: the process that read it came to an end\n" in result.err
    assert len(result.out.splitlines()) == 13
    assert at_once


@pytest.mark.skipif(sys.platform == "win32", reason="interrupts processes in another way")
@pytest.mark.usefixtures("interruptible")
def test_an_interruption_ends_all_processes(tmp_path):
    for number in range(2000):
        os.link(EXAMPLES / "note.jpg", tmp_path / f"{number}.jpg")
    program = (
        "import sys, time; from digitlens import __main__; from digitlens.reading import batch;"
        "batch._Worker.send = lambda worker, _: print('sent', flush=True) or time.sleep(30);"
        f"sys.argv = ['digitlens', 'read', {str(tmp_path)!r}]; __main__.main()"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        while process.stdout.readline() != b"sent\n":
            assert process.poll() is None
        start = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, words = process.communicate(timeout=WAIT)  # all who could write have ended
    assert process.returncode == 130
    assert words == b""
    assert time.monotonic() - start < 5


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def barred(monkeypatch):
    """A function from pages and where to show them to what is shown."""

    def barred(pages, stderr, **options):
        monkeypatch.setattr(sys, "stderr", stderr)
        with PageBar(**options) as bar:
            for count in pages:
                bar.expect(count)
                bar.say("one [is] empty")
                bar.advance()
        return stderr.getvalue()

    monkeypatch.setenv("TERM", "xterm")
    return barred


def test_several_pages_have_a_bar(barred):
    shown = barred([2, 3], Terminal(), wanted=True)
    assert "reading" in shown
    assert "/5" in shown
    assert "one [is] empty\n" in shown


@pytest.mark.parametrize(("pages", "wanted"), [([1], True), ([2, 3], False), ([], True)])
def test_one_page_or_nobody_who_looks_has_none(barred, pages, wanted):
    assert barred(pages, Terminal(), wanted=wanted) == "one [is] empty\n" * len(pages)


def test_a_pipe_has_none(barred):
    assert barred([2, 3], io.StringIO(), wanted=True) == "one [is] empty\n" * 2
