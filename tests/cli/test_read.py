import csv
import io
import json
import os
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digitlens.cli.read_paths import COLUMNS
from digitlens.errors import ModelError
from digitlens.files import sha256
from digitlens.imaging.document import Document
from digitlens.imaging.image import load_image
from digitlens.models.bundle import Card, open_roles, write_bundle
from digitlens.reading import batch
from digitlens.reading.constrained import constrain
from digitlens.reading.layout import arrange
from digitlens.reading.notation import Notation
from digitlens.reading.reader import ReadResult
from digitlens.reading.values import numbers_of
from digitlens.results import Reading

EXAMPLE = Path(__file__).parents[2] / "examples" / "note.jpg"
THRESHOLDS = {"digit": 0.6, "reject": 0.3}


class BarReader:
    """Reads the bars of a line as 2, 0, 4, 8, ...; sure if black, unsure or rejected if gray."""

    arguments = notation = None
    view_of = None

    def __init__(self, model="default", *, pages="pages", target_error=None, **_):
        if target_error is not None and target_error < 0.001:
            raise ValueError("the least that the curve can promise, with 9 digits, is 0.1%")
        open_roles(model, pages)  # raises for a missing model or for two of a role
        BarReader.arguments = (model, pages, target_error)
        self.thresholds = dict(THRESHOLDS)

    def examine(self, image, *, expect=None, **notation):
        BarReader.notation = notation
        page = load_image(image, copy=False)
        gray = page if page.ndim == 2 else page.min(axis=2)
        bars = list(found_bars(gray))
        chances = np.full((len(bars), 10), 0.001, np.float32)
        chances[range(len(bars)), [(2, 0, 4, 8)[k % 4] for k in range(len(bars))]] = 0.991
        view = BarReader.view_of([box for box, _ in bars], [ink for _, ink in bars], chances)
        if not expect:  # the digits come from the bars alone
            silent = [replace(line, posteriors=line.posteriors[:0]) for line in view.lines]
            view = replace(view, lines=silent)
        layout = arrange(view, page.shape[1::-1], self.thresholds)
        size, constrained = page.shape[1::-1], None
        if expect:
            layout, constrained = constrain(view, layout, size, self.thresholds, expect)
        numbers = numbers_of(layout.numbers, layout.digits, Notation.of(**notation))
        fields = layout.lines, *size, "bars", "0" * 64, layout.characters, numbers
        reading = Reading(*fields, constrained)
        return ReadResult(page, 0, view, reading, layout.places)


def found_bars(gray):
    """Yields the box and the darkness of each bar, line by line."""
    for top, bottom in runs((gray < 220).any(axis=1)):
        for left, right in runs((gray[top:bottom] < 220).any(axis=0)):
            middle = float(gray[(top + bottom) // 2, (left + right) // 2])
            yield (left, top, right, bottom), 1 - middle / 255


def runs(present):
    edges = np.flatnonzero(np.diff(np.r_[False, present, False].astype(int)))
    return [(a, b) for a, b in edges.reshape(-1, 2).tolist() if b - a > 3]


def page_of(*lines):
    """Returns uint8[300, 400] with lines of bars, each given as its gray, or None for a gap."""
    page = np.full((300, 400), 255, np.uint8)
    for row, line in enumerate(lines):
        for column, gray in enumerate(line):
            if gray is not None:
                page[20 + 90 * row : 80 + 90 * row, 15 + 45 * column : 45 + 45 * column] = gray
    return page


BLACK = [0] * 4
UNSURE, REJECTED = 128, 200  # grays


@pytest.fixture(autouse=True)
def reader(monkeypatch, view_of):
    monkeypatch.setattr("digitlens.reading.reader.DigitReader", BarReader)
    monkeypatch.setattr(BarReader, "view_of", staticmethod(view_of))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Paths of pictures with four digits, with four and two, with none, and with two numbers."""
    folder = tmp_path_factory.mktemp("pictures")
    pages = {
        "note": page_of(BLACK),
        "two": page_of(BLACK, [0, UNSURE]),
        "blank": page_of(),
        "gap": page_of([0, 0, None, None, 0, 0, REJECTED]),
    }
    for name, page in pages.items():
        Image.fromarray(page).save(folder / f"{name}.png")
    return {name: folder / f"{name}.png" for name in pages}


@pytest.fixture(scope="module")
def note(pictures):
    return pictures["note"]


@pytest.fixture(scope="module")
def blank(pictures):
    return pictures["blank"]


@pytest.fixture
def scan(tmp_path, note, blank):
    """Documents of three pages: digits, blank, digits."""
    options = {"scan.pdf": {}, "scan.tif": {"compression": "tiff_adobe_deflate"}}
    for name, save_options in options.items():
        first, *others = (Image.open(path) for path in (note, blank, note))
        first.save(tmp_path / name, save_all=True, append_images=others, **save_options)
    return [tmp_path / name for name in options]


@pytest.fixture
def bad_files(tmp_path):
    """Unreadable paths by the essential words of their errors."""
    names = ("empty.png", "text.png", "cut.jpg", "folder")
    empty, text, cut, folder = (tmp_path / name for name in names)
    folder.mkdir()
    empty.write_bytes(b"")
    text.write_text("dear reader")
    cut.write_bytes(EXAMPLE.read_bytes()[:4000])
    return {
        "is a folder without pictures": folder,
        "matches no picture": tmp_path / "*.bmp",
        "no such file": tmp_path / "none.png",
        "is empty": empty,
        "is not a picture": text,
        "is damaged or cut off": cut,
    }


def table(result):
    return list(csv.DictReader(io.StringIO(result.stdout)))


def objects(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_pipe_gets_one_line_per_picture(run, pictures):
    note, two, blank = (pictures[name] for name in ("note", "two", "blank"))
    result = run("read", note, two, blank)
    assert result.stdout == f"{note}\t2048\n{two}\t2048 20\n{blank}\t\n"
    assert result.stderr == ""
    assert run("read", "-", input=note.read_bytes()).stdout == "-\t2048\n"
    nothing = run("read", "-", input=b"", code=1)
    assert nothing.stdout == ""
    assert "is empty" in nothing.stderr


def test_predict_gives_the_same_output_as_read(run, note, blank):
    assert (
        run("predict", "--image", note, "--image", blank).stdout == run("read", note, blank).stdout
    )
    result = run("predict", "--image", note, "--expect", "4", "--json")
    assert json.loads(result.stdout)["text"] == run("read", note, "--expect", "4").stdout[-5:-1]


def test_json_is_one_object_per_line(run, note, blank):
    first, second = objects(run("read", "--json", note, blank))
    assert (first["path"], first["text"], second["lines"]) == (str(note), "2048", [])
    [line] = first["lines"]
    assert [digit["value"] for digit in line] == [2, 0, 4, 8]
    assert {"confidence", "status", "reason", "box", "probabilities"} <= line[0].keys()
    assert (first["digits_only"], first["numbers_digits"]) == ("2048", ["2048"])
    assert "".join(each["char"] for each in first["characters"][0]) == "2048"


def test_csv_has_one_row_per_digit(run, pictures):
    two = pictures["two"]
    rows = table(run("read", "--csv", two, pictures["blank"]))
    assert tuple(rows[0]) == COLUMNS
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    assert "".join(columns["value"]) == "204820"
    assert columns["line"] == ["0"] * 4 + ["1"] * 2
    assert columns["index"] == [*"0123", *"01"]
    assert all(int(row["x0"]) < int(row["x1"]) and row["path"] == str(two) for row in rows)
    assert columns["status"] == ["digit"] * 5 + ["unsure"]
    assert [bool(reason) for reason in columns["reason"]] == [False] * 5 + [True]


def test_notation_and_target_error_are_passed_to_the_reader(run, note):
    run("read", note)
    assert BarReader.arguments == ("default", "pages", None)
    known = ("--decimal", ",", "--grouping", ".", "--locale", "de_DE")
    run("read", *known, note)
    assert BarReader.notation == {"decimal": ",", "grouping": ".", "locale": "de_DE"}
    for text in ("0.1%", "0.1 %", "0.001"):
        run("read", note, "--target-error", text)
        assert BarReader.arguments[2] == pytest.approx(0.001)


def test_numbers_of_a_line_are_separated(run, pictures):
    gap = pictures["gap"]
    assert objects(run("read", "--json", gap))[0]["numbers_digits"] == ["20", "48"]
    rows = table(run("read", "--csv", gap))
    assert [row["starts_number"] for row in rows] == [*"00100"]
    assert rows[4]["status"] == "rejected"
    assert [row["number"] for row in rows] == ["0", "0", "1", "1", ""]
    assert [row["number_value"] for row in rows] == ["20", "20", "48", "48", ""]
    assert run("read", gap).stdout == f"{gap}\t20 48\n"


def test_unreadable_files_are_named_and_the_rest_read(run, bad_files, note):
    result = run("read", *bad_files.values(), note, code=1)
    assert result.stdout == f"{note}\t2048\n"
    lines = result.stderr.splitlines()
    for line, (words, path) in zip(lines, bad_files.items(), strict=True):
        assert line.startswith(f"digitlens: {path}: ")
        assert words in line


def test_each_page_of_a_document_gets_a_result(run, scan, note):
    result = run("read", *scan, note)
    pages = [(k, text) for k, text in enumerate(("2048", "", "2048"), 1)]
    expected = [f"{path}#{k}\t{text}" for path in scan for k, text in pages]
    assert result.stdout.splitlines() == [*expected, f"{note}\t2048"]
    for path in scan:
        found = objects(run("read", "--json", path))
        assert [(one["path"], one["page"], one["text"]) for one in found] == [
            (str(path), k, text) for k, text in pages
        ]
        rows = table(run("read", "--csv", path))
        assert [(row["path"], row["page"]) for row in rows] == [(str(path), k) for k in "11113333"]
        assert run("read", "-", input=path.read_bytes()).stdout == "".join(
            f"-#{k}\t{text}\n" for k, text in pages
        )
    assert objects(run("read", "--json", note))[0]["page"] == 1


def test_unreadable_page_is_named_and_the_others_read(run, scan, note):
    path = scan[1]
    content = bytearray(path.read_bytes())
    with Image.open(path) as picture:
        picture.seek(1)
        strip, length = picture.tag_v2[273][0], picture.tag_v2[279][0]  # of the second page
    content[strip : strip + length] = bytes(length)
    path.write_bytes(content)
    result = run("read", path, note, code=1)
    assert result.stdout == f"{path}#1\t2048\n{path}#3\t2048\n{note}\t2048\n"
    [line] = [line for line in result.stderr.splitlines() if line.startswith("digitlens:")]
    assert line.startswith(f"digitlens: {path}#2: is damaged or cut off")


def test_missing_extra_fails_only_the_files_that_need_it(run, scan, monkeypatch, note):
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    result = run("read", scan[0], note, code=1)
    assert result.stdout == f"{note}\t2048\n"
    assert result.stderr.startswith(f"digitlens: {scan[0]}: is a PDF, and this needs")
    assert "pip install 'digitlens[photo]'" in result.stderr


# With two workers: the pages in flight, the one being printed and the one being loaded.
@pytest.mark.parametrize(
    ("workers", "cap", "copies"), [(1, 1, False), (1, 1, True), (2, 2 * batch.PREFETCH + 2, False)]
)
def test_pages_in_memory_are_bounded(run, scan, note, tmp_path, monkeypatch, workers, cap, copies):
    pages = []

    def watched(self, number):
        assert sum(page() is not None for page in pages) < cap
        page = load(self, number)
        pages.append(weakref.ref(page))
        return page

    load = Document.page
    monkeypatch.setattr(Document, "page", watched)
    monkeypatch.setattr(batch, "cores", lambda: workers)
    options = ("--annotate", tmp_path / "copies") if copies else ()
    files = [scan[1]] * 6 if copies else [*scan, note, *scan, *scan]
    run("read", *files, *options)
    assert len(pages) == 18


def test_results_are_in_the_order_of_the_files(run, pictures, scan, bad_files, monkeypatch):
    files = [pictures["two"], bad_files["is empty"], pictures["gap"], scan[1], pictures["note"]] * 3
    monkeypatch.setattr(batch, "cores", lambda: 1)
    serial = run("read", *files, code=1)
    monkeypatch.setattr(batch, "cores", lambda: 3)
    parallel = run("read", *files, code=1)
    assert parallel.stdout == serial.stdout
    assert parallel.stderr == serial.stderr
    assert len(parallel.stdout.splitlines()) == 18


def test_each_page_has_an_annotated_copy(run, scan, tmp_path):
    out = tmp_path / "out"
    run("read", *scan, "--annotate", out)
    names = {f"scan-page-{k}{more}.png" for k in (1, 2, 3) for more in ("", "-2")}
    assert {path.name for path in out.iterdir()} == names


def test_interruption_leaves_no_partial_files(run, scan, tmp_path, monkeypatch):
    out, save = tmp_path / "out", Image.Image.save

    def interrupted(self, path, **options):
        if any(out.glob("scan-page-1.png")):
            Path(path).write_bytes(b"half a picture")
            raise KeyboardInterrupt
        save(self, path, **options)

    monkeypatch.setattr(Image.Image, "save", interrupted)
    run("read", scan[0], "--annotate", out, code=130)
    assert [path.name for path in out.iterdir()] == ["scan-page-1.png"]
    with Image.open(out / "scan-page-1.png") as picture:
        picture.load()


def test_annotated_copies_never_overwrite_a_file(run, tmp_path):
    folders = [tmp_path / name for name in ("a", "b", "c")]
    pages = [np.full((30, 40), value, np.uint8) for value in (250, 240, 230)]
    for folder, page in zip(folders, pages, strict=True):
        folder.mkdir()
        Image.fromarray(page).save(folder / "page.png")
    run("read", *(folder / "page.png" for folder in folders), "--annotate", folders[0])
    names = sorted(path.name for path in folders[0].iterdir())
    assert names == ["page-2.png", "page-3.png", "page-4.png", "page.png"]
    with Image.open(folders[0] / "page.png") as picture:
        assert np.array_equal(np.asarray(picture), pages[0])


def test_annotated_copies_are_not_read_as_input(run, note, tmp_path):
    (tmp_path / "note.png").write_bytes(note.read_bytes())
    for _ in range(2):
        result = run("read", tmp_path, "--annotate", tmp_path / "marked")
        assert (result.stdout, result.stderr) == (f"{tmp_path / 'note.png'}\t2048\n", "")
    assert [path.name for path in (tmp_path / "marked").iterdir()] == ["note.png"]
    (tmp_path / "out").write_text("")
    run("read", note, "--annotate", tmp_path / "out", code=2)


@pytest.fixture
def doubtful(tmp_path):
    """Four digits, the second of them unsure."""
    path = tmp_path / "doubtful.png"
    Image.fromarray(page_of([0, UNSURE, 0, 0])).save(path)
    return path


def test_surplus_digits_are_rejected(run, doubtful):
    result = run("read", doubtful, "--expect", "3")
    assert (result.stdout.split("\t")[1], result.stderr) == ("248\n", "")
    rows = table(run("read", "--csv", doubtful, "--expect", "3"))
    reasons = [row["reason"] for row in rows if row["status"] == "rejected"]
    assert reasons == ["more than the digits that were expected"]


def test_patterns_and_several_constraints_determine_the_reading(run, note, doubtful):
    assert run("read", note, "--expect", "#7-##").stdout == f"{note}\t2748\n"
    rules = ["3", "range 100..300"]
    arguments = [word for each in rules for word in ("--expect", each)]
    (record,) = objects(run("read", "--json", doubtful, *arguments))
    assert (record["text"], record["digits_only"]) == ("248", "248")
    effect = {"expected": rules, "decided_by": rules, "unconstrained": "2048", "fulfilled": True}
    assert record["constrained"] == effect


def test_missing_digits_are_reported(run, note, blank, scan):
    result = run("read", note, blank, scan[1], "--expect", "##-##")
    assert result.stdout.splitlines()[:2] == [f"{note}\t2048", f"{blank}\t"]
    message = "expected 4 digits as in ##-##, found 0"
    assert result.stderr == "".join(
        f"digitlens: {page}: {message}\n" for page in (blank, f"{scan[1]}#2")
    )
    result = run("read", note, "--expect", "5")
    assert result.stderr == f"digitlens: {note}: expected 5 digits, found 4\n"


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--expect", "abc", "expected a number of digits from 1 to 99, or a pattern"),
        ("--expect", "", "expected a number of digits from 1 to 99, or a pattern"),
        ("--expect", "[3-1]", "[3-1] is not a set of digits"),
        ("--expect", "range 5..3", "expected bounds in ascending order"),
        ("--expect", "4; one of 12,15", "no number can satisfy 4; one of 12,15"),
        ("--target-error", "5", "for percent write 5%"),
        ("--target-error", "few", "expected a share such as 0.1% or 0.001"),
        ("--decimal", ";", "--decimal"),
        ("--grouping", "x", "--grouping"),
        ("--locale", "tlh", "--locale"),
        ("--csv", "--json", "choose one of --json and --csv"),
    ],
)
def test_invalid_options_are_misuse(run, note, option, text, words):
    result = run.misused(words, "read", note, option, text)
    assert result.stdout == ""
    assert option in result.stderr


def test_run_of_a_digit_detector_is_accepted_as_a_model(run, note, tmp_path):
    recipe = {"architecture": "pages"}
    write_bundle(tmp_path / "run" / "model", Card("run", "1", sha256(b""), recipe=recipe), b"")
    folder = str(tmp_path / "run")
    run("read", note, "--model", folder)
    assert BarReader.arguments[:2] == (folder, "pages")  # its card gives its role
    run("read", note, "--pages", folder)
    assert BarReader.arguments[:2] == ("default", folder)
    run.fails(
        ModelError, "pass only one of them", "read", note, "--model", folder, "--pages", "other"
    )
    for model in ((), ("--model", folder)):
        message = "the target error cannot be kept: the least that the curve can promise, with 9 "
        run.fails(
            ModelError, f"{message}digits, is 0.1%", "read", note, *model, "--target-error", "0.01%"
        )


def digitlens(*arguments, **options):
    command = [sys.executable, "-m", "digitlens", *map(str, arguments)]
    return subprocess.run(command, check=False, timeout=60, **options)


def test_file_names_outside_the_terminals_encoding_are_escaped(tmp_path):
    picture = tmp_path / "größe.png"
    Image.new("L", (64, 64), 255).save(picture)
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    result = digitlens("read", picture, capture_output=True, env=ascii_only)
    assert result.returncode == 0
    assert result.stdout.endswith(b"gr\\xf6\\xdfe.png\t\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
class TestTerminal:
    @staticmethod
    def on_terminal(*arguments, stdout=None):
        """Runs with stderr on a terminal, and stdout too unless it is given."""
        pty = pytest.importorskip("pty")
        parent, child = pty.openpty()
        environment = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
        result = digitlens(*arguments, stdout=stdout or child, stderr=child, env=environment)
        os.close(child)
        screen = b""
        try:
            while block := os.read(parent, 65536):
                screen += block
        except OSError:  # Linux: the other side has closed
            pass
        os.close(parent)
        return result, screen.decode()

    @pytest.fixture
    def white(self, tmp_path):
        Image.new("L", (64, 64), 255).save(tmp_path / "white.png")
        return tmp_path / "white.png"

    def test_terminal_gets_a_table(self, white):
        result, screen = self.on_terminal("read", white)
        assert result.returncode == 0
        assert all(words in screen for words in ("least sure", "white.png", "no digits"))

    def test_progress_does_not_erase_results(self, white):
        result, screen = self.on_terminal("read", white, "none.png", stdout=subprocess.PIPE)
        assert result.returncode == 1
        assert result.stdout.decode() == f"{white}\t\n"
        assert "digitlens: none.png: no such file" in screen
