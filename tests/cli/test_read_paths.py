"""Paths, globs and folders; reading and printing of their pages; failures; progress bar."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from PIL import Image

from digitlens.cli import read_paths
from digitlens.reading.batch import ProcessPool, WorkerError
from digitlens.results import Box, Digit, Number, Reading

EXAMPLES = Path(__file__).parents[2] / "examples"
WAIT = 30  # seconds at most


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder of drawings, a photo, documents and a broken file; and a missing path."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(5):
        shutil.copy(EXAMPLES / "drawing.png", folder / f"{number}.png")
    shutil.copy(EXAMPLES / "note.jpg", folder / "3.jpg")
    (folder / "5.jpg").write_text("no picture")
    with Image.open(EXAMPLES / "drawing.png") as page:
        page.save(folder / "7.tif", save_all=True, append_images=[page.rotate(180), page])
        page.save(folder / "8.pdf", save_all=True, append_images=[page])
    return [str(folder), str(folder / "none.png")]


@pytest.fixture
def at_once(monkeypatch):
    """Starts worker processes after the first page and waits for them; returns the pools."""
    pools = []

    def start(pool):
        pools.append(pool)
        start_pool(pool)
        end = time.monotonic() + WAIT
        while not all(worker.is_ready() for worker in pool._workers):
            assert time.monotonic() < end
            time.sleep(0.01)

    start_pool = ProcessPool.start
    monkeypatch.setattr(ProcessPool, "start", start)
    monkeypatch.setattr("digitlens.cli.read_paths._TIMED_PAGES", 1)
    monkeypatch.setattr("digitlens.cli.read_paths._POOL_SECONDS", 0)
    monkeypatch.setattr("digitlens.models.session.cores", lambda: 2)
    monkeypatch.setattr("digitlens.reading.batch.cores", lambda: 2)
    return pools


def read_all(capsys, files, settings):
    assert not read_paths.read_paths(files, "json", settings)
    return capsys.readouterr()


def test_processes_give_the_same_results_as_threads(files, tmp_path, capsys, request):
    def settings(name):
        return read_paths.ReadSettings(annotate=tmp_path / name)

    serial = read_all(capsys, files, settings("alone"))
    pools = request.getfixturevalue("at_once")
    assert read_all(capsys, files, settings("together")) == serial
    assert len(pools) > 1  # start is called for each page
    assert not any(worker._process.is_alive() for worker in pools[0]._workers)
    assert [json.loads(line)["text"] for line in serial.out.splitlines()][:3] == ["7"] * 3
    assert serial.err.count("\n") == 2
    copies = [{path.name: path.read_bytes() for path in (tmp_path / name).glob("*")}
               for name in ("alone", "together")]  # fmt: skip
    assert copies[0] == copies[1]
    assert len(copies[0]) == 11


def test_picture_whose_worker_dies_is_named_and_the_others_read(
    files, capsys, at_once, monkeypatch
):
    def call(pool, task):
        if task.path.endswith("8.pdf"):
            raise WorkerError("the worker process died")
        return work(pool, task)

    work = ProcessPool.__call__
    monkeypatch.setattr(ProcessPool, "__call__", call)
    result = read_all(capsys, files[:1], read_paths.ReadSettings())
    assert "8.pdf#2: the worker process died\n" in result.err
    assert len(result.out.splitlines()) == 9
    assert at_once


@pytest.mark.skipif(sys.platform == "win32", reason="interrupts processes in another way")
@pytest.mark.usefixtures("interruptible")
def test_interruption_ends_all_processes(tmp_path):
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
        _, words = process.communicate(timeout=WAIT)  # returns when all writers have ended
    assert process.returncode == 130
    assert words == b""
    assert time.monotonic() - start < 5


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def barred(monkeypatch):
    """Shows a bar for documents with these page counts and returns the output."""

    def barred(pages, stderr, **options):
        monkeypatch.setattr(sys, "stderr", stderr)
        with read_paths.PageBar(**options) as bar:
            for count in pages:
                bar.expect(count)
                bar.say("one [is] empty")
                bar.advance()
        return stderr.getvalue()

    monkeypatch.setenv("TERM", "xterm")
    return barred


def test_bar_is_shown_for_several_pages(barred):
    shown = barred([2, 3], Terminal(), enabled=True)
    assert "reading" in shown
    assert "/5" in shown
    assert "one [is] empty\n" in shown


@pytest.mark.parametrize(
    ("pages", "shown_on", "enabled"),
    [
        ([1], Terminal, True),
        ([2, 3], Terminal, False),
        ([], Terminal, True),
        ([2, 3], io.StringIO, True),
    ],
)
def test_no_bar_for_one_page_or_a_pipe_or_if_unwanted(barred, pages, shown_on, enabled):
    assert barred(pages, shown_on(), enabled=enabled) == "one [is] empty\n" * len(pages)


def digit(value, status="digit", *, confidence=0.95, starts=False):
    reason = {"digit": "", "unsure": "62 % sure, could be 1", "rejected": "hardly a digit"}[status]
    return Digit(value, confidence, (0.1,) * 10, Box(0, 0, 1, 1), status, reason, starts)


@pytest.fixture
def table(monkeypatch, capsys):
    """Returns the printed table for a page with these lines."""
    monkeypatch.setenv("COLUMNS", "120")

    def show(*lines, numbers=()):
        lines = tuple(tuple(line) for line in lines)
        reading = Reading(lines, 9, 9, "model", "0" * 64, numbers=numbers)
        read_paths.print_answers([read_paths.Answer("a.png", 1, 1, reading)], "table", None)
        return capsys.readouterr().out

    return show


def test_table_separates_numbers_of_a_line(table):
    line = [digit(2), digit(0), digit(4, starts=True), digit(8)]
    assert "20 48" in table(line)
    assert "2048" in table([digit(value) for value in (2, 0, 4, 8)])
    assert "2048" in table([digit(2, starts=True), *map(digit, (0, 4, 8))])


def test_rejected_digits_are_counted_but_not_shown(table):
    text = table([digit(2), digit(7, "rejected", starts=True), digit(0), digit(7, "rejected")])
    assert "2 0" in text
    assert "7" not in text
    assert "2 rejected" in text
    assert "no digits" in table([digit(7, "rejected")])


def test_doubts_are_listed_with_their_position(table):
    line = [digit(1), digit(7, "rejected"), digit(9, "unsure", confidence=0.629)]
    text = table(line)
    assert "9, no. 2: 62 % sure, could be 1" in text
    assert "62 %" in text.split("9, no.")[0]
    many = table([digit(3, "unsure")] * 8)
    assert many.count("no. ") == 3
    assert "and 5 more" in many


def test_values_are_shown_if_they_differ_from_the_text(table):
    line = [digit(1), digit(2)]
    box = line[0].box
    plain = Number("12", Decimal(12), "integer", "", box, tuple(line), 0.9)
    assert "values" not in table(line, numbers=(plain,))
    dated = Number("1/2/12", date(2012, 2, 1), "date", "", box, tuple(line), 0.4)
    doubtful = Number(
        "1.200", Decimal(1200), "integer", "", box, tuple(line), 0.4, (), "unsure", "?"
    )
    text = table(line, numbers=(plain, dated, doubtful))
    assert "1/2/12 = 2012-02-01" in text
    assert "1.200 = 1200" in text
    assert "1.200: ?" in text


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a few files, some of them hidden."""
    monkeypatch.chdir(tmp_path)
    for name in ("a10.png", "A9.PNG", "b.pdf", "notes.txt", ".e.png", ".thumbs/f.png"):
        put(name)
    for name in ("sub/c2.jpg", "sub/c10.jpg", "sub/x/d.tif", "sub/.g.jpg"):
        put(name)
    return tmp_path


def put(name):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def names(*paths, **options):
    """Returns the files found for these paths; asserts that there are no problems."""
    files, problems = read_paths.find_pictures(paths, **options)
    assert problems == []
    return [Path(file).as_posix() for file in files]


def problem(*paths):
    files, [error] = read_paths.find_pictures(paths)
    assert files == []
    return str(error)


EVERYTHING = ["A9.PNG", "a10.png", "b.pdf", "sub/c2.jpg", "sub/c10.jpg", "sub/x/d.tif"]


def test_files_and_invalid_paths_are_returned_unchanged(here):
    paths = ["notes.txt", "none.png", "-", "", "./a10.png", str(here / "b.pdf"), "a10.png"]
    paths += ["a\0b", "x" * 5000, "x" * 5000 + "*"]
    assert read_paths.find_pictures(paths) == (paths, [])


@pytest.mark.parametrize("folder", [".", "", "sub"])
def test_folder_expands_to_its_pictures_in_natural_order(here, folder):
    path = folder or str(here)
    files = [os.path.relpath(file).replace(os.sep, "/") for file in names(path)]
    assert files == [name for name in EVERYTHING if name.startswith("sub" if path == "sub" else "")]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["a10.png"]),
        ("[ab]*.p??", ["a10.png", "b.pdf"]),
        ("*.txt", ["notes.txt"]),
        ("*/*.jpg", ["sub/c2.jpg", "sub/c10.jpg"]),
        ("**/*.jpg", ["sub/c2.jpg", "sub/c10.jpg"]),
        ("**/c2.*", ["sub/c2.jpg"]),
        ("s*", EVERYTHING[3:]),
        ("sub/**", EVERYTHING[3:]),
        ("**", EVERYTHING),
        ("**.png", ["a10.png"]),
        (".*.png", [".e.png"]),
        ("sub/../a*.png", ["sub/../a10.png"]),
    ],
)
def test_relative_and_absolute_patterns_are_expanded(here, pattern, expected):
    assert names(pattern) == expected
    assert names(f"{here}/{pattern}") == [f"{here.as_posix()}/{name}" for name in expected]


@pytest.mark.skipif(sys.platform == "win32", reason="* is in no name there")
def test_existing_path_with_glob_characters_is_taken_literally(here):
    for name in ("scan[1].png", "a*.png", "what?/k.png"):
        put(name)
    assert names("scan[1].png", "a*.png") == ["scan[1].png", "a*.png"]
    assert names("what?") == ["what?/k.png"]
    (here / "a*.png").unlink()
    assert names("a*.png") == ["a10.png"]


@pytest.mark.parametrize("pattern", ["*.bmp", "nowhere/*.png", "nowhere/**", "**/nothing*"])
@pytest.mark.usefixtures("here")
def test_pattern_without_a_match_is_an_error(pattern):
    assert problem(pattern).startswith(f"{pattern}: matches no picture")


@pytest.mark.usefixtures("here")
def test_error_for_a_folder_without_pictures_lists_the_suffixes():
    put("texts/.h.png")
    put("texts/i.txt")
    message = problem("texts")
    assert message.startswith("texts: is a folder without pictures")
    assert all(suffix in message for suffix in read_paths.SUFFIXES)
    files, [error] = read_paths.find_pictures(["texts", "*.png"])
    assert (files, str(error)) == (["a10.png"], message)


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
@pytest.mark.usefixtures("here")
def test_circular_links_are_not_followed_forever():
    Path("sub/up").symlink_to("..", target_is_directory=True)
    Path("sub/x/here").symlink_to(".", target_is_directory=True)
    Path("self").symlink_to("self")
    Path("self.png").symlink_to("self.png")
    Path("far.png").symlink_to("sub/c2.jpg")
    expected = [*EVERYTHING[:3], "far.png", "self.png", *EVERYTHING[3:]]
    assert names(".", excluded=[Path("out")]) == expected
    assert names("**/*.jpg") == ["sub/c2.jpg", "sub/c10.jpg"]
    assert names("sub/up") == [f"sub/up/{name}" for name in expected]  # given explicitly


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_named_pipe_in_a_folder_is_skipped(here):
    os.mkfifo(here / "pipe.png")
    assert names(".") == EVERYTHING


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs rights")
@pytest.mark.usefixtures("here")
def test_unreadable_subfolder_is_named(monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "x":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    files, [error] = read_paths.find_pictures(["sub"])
    assert len(files) == 2
    assert str(error) == f"{Path('sub/x')}: cannot be read (Permission denied)"


@pytest.mark.usefixtures("here")
def test_output_folder_is_skipped_unless_given():
    put("out/a10.png")
    assert names(".", excluded=[Path("out")]) == EVERYTHING
    assert names("**/a*.png", excluded=[Path("out")]) == ["a10.png"]
    assert names("out", excluded=[Path("out")]) == ["out/a10.png"]
    assert names("out/a10.png", excluded=[Path("out")]) == ["out/a10.png"]
    assert names(".", excluded=[Path()]) == [*EVERYTHING[:3], "out/a10.png", *EVERYTHING[3:]]
