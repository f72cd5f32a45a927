import csv
import io
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from digitlens.commands.answers import COLUMNS
from digitlens.commands.read import predict, read
from digitlens.data.documents import Document
from digitlens.errors import ModelError

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTE, RULED, BLANK = (str(EXAMPLES / name) for name in ("note.jpg", "ruled.jpg", "blank.jpg"))

app = typer.Typer()
app.command()(read)
app.command()(predict)


def run(*arguments, **options):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)


def pages_of(*names):
    """The examples as pages of one size, for documents."""
    pictures = [Image.open(EXAMPLES / f"{name}.jpg").convert("L") for name in names]
    return [picture.resize((1000, 700)) for picture in pictures]


@pytest.fixture
def scan(tmp_path):
    """Three pages: digits, nothing, digits."""
    options = {"scan.pdf": {}, "scan.tif": {"compression": "tiff_adobe_deflate"}}
    for name, own in options.items():
        first, *others = pages_of("note", "blank", "note")
        first.save(tmp_path / name, save_all=True, append_images=others, **own)
    return [tmp_path / name for name in options]


@pytest.fixture
def bad_files(tmp_path):
    """What is no picture, by the words that say so."""
    names = ("empty.png", "text.png", "cut.jpg", "folder")
    empty, text, cut, folder = (tmp_path / name for name in names)
    folder.mkdir()
    empty.write_bytes(b"")
    text.write_text("dear reader")
    cut.write_bytes(Path(NOTE).read_bytes()[:4000])
    return {
        "is a folder without pictures": folder,
        "matches no picture": tmp_path / "*.bmp",
        "no such file": tmp_path / "none.png",
        "is empty": empty,
        "is not a picture": text,
        "is damaged or cut off": cut,
    }


def test_in_a_pipe_there_is_a_line_a_picture():
    result = run("read", NOTE, RULED, BLANK)
    assert result.exit_code == 0
    assert result.stdout == f"{NOTE}\t2048\n{RULED}\t5550199 1864\n{BLANK}\t\n"
    assert result.stderr == ""


def test_predict_is_the_same_with_options():
    assert (
        run("predict", "--image", NOTE, "--image", BLANK).stdout == run("read", NOTE, BLANK).stdout
    )


def test_json_is_an_object_a_line():
    result = run("read", "--json", NOTE, BLANK)
    note, blank = (json.loads(line) for line in result.stdout.splitlines())
    assert (note["path"], note["text"], blank["lines"]) == (NOTE, "2048", [])
    [line] = note["lines"]
    assert [digit["value"] for digit in line] == [2, 0, 4, 8]
    assert {"confidence", "status", "reason", "box", "probabilities"} <= line[0].keys()


def test_csv_has_a_row_a_digit():
    result = run("read", "--csv", RULED, BLANK)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert tuple(rows[0]) == COLUMNS
    assert "".join(row["value"] for row in rows) == "55501991864"
    assert [row["line"] for row in rows] == ["0"] * 7 + ["1"] * 4
    assert [row["index"] for row in rows] == [str(k) for k in [*range(7), *range(4)]]
    assert all(int(row["x0"]) < int(row["x1"]) and row["path"] == RULED for row in rows)


def test_two_formats_at_once_are_refused():
    result = run("read", "--csv", "--json", NOTE)
    assert result.exit_code == 2
    assert "choose one of --json and --csv" in result.stderr


def test_what_cannot_be_read_is_named_and_the_rest_is_read(bad_files):
    result = run("read", *bad_files.values(), NOTE)
    assert result.exit_code == 1
    assert result.stdout == f"{NOTE}\t2048\n"
    lines = result.stderr.splitlines()
    for line, (words, path) in zip(lines, bad_files.items(), strict=True):
        assert line.startswith(f"digitlens: {path}: ")
        assert words in line


def test_standard_input_is_read():
    result = run("read", "-", input=Path(NOTE).read_bytes())
    assert result.stdout == "-\t2048\n"
    result = run("read", "-", input=b"")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is empty" in result.stderr


def test_each_page_of_a_document_is_an_answer(scan):
    result = run("read", *scan, NOTE)
    assert result.exit_code == 0
    expected = [
        f"{path}#{k}\t{text}" for path in scan for k, text in [(1, "2048"), (2, ""), (3, "2048")]
    ]
    assert result.stdout.splitlines() == [*expected, f"{NOTE}\t2048"]


def test_a_document_of_one_page_is_called_like_its_file(tmp_path):
    path = tmp_path / "one.pdf"
    pages_of("note")[0].save(path)
    assert run("read", path).stdout == f"{path}\t2048\n"


def test_json_and_csv_name_the_page(scan):
    for path in scan:
        found = [json.loads(line) for line in run("read", "--json", path).stdout.splitlines()]
        assert [(page["path"], page["page"]) for page in found] == [
            (str(path), k) for k in (1, 2, 3)
        ]
        rows = list(csv.DictReader(io.StringIO(run("read", "--csv", path).stdout)))
        assert [(row["path"], row["page"]) for row in rows] == [
            (str(path), page) for page in "11113333"
        ]
    assert json.loads(run("read", "--json", NOTE).stdout)["page"] == 1


def test_documents_come_from_standard_input(scan):
    for path in scan:
        result = run("read", "-", input=path.read_bytes())
        assert result.stdout == "-#1\t2048\n-#2\t\n-#3\t2048\n"


def test_a_page_that_cannot_be_read_is_named_and_the_others_are_read(scan):
    path = scan[1]
    content = bytearray(path.read_bytes())
    with Image.open(path) as picture:
        picture.seek(1)
        strip = picture.tag_v2[273][0]  # where the pixels of the second page begin
    content[strip : strip + 300] = bytes(300)
    path.write_bytes(content)
    result = run("read", path, NOTE)
    assert result.exit_code == 1
    assert result.stdout == f"{path}#1\t2048\n{path}#3\t2048\n{NOTE}\t2048\n"
    [line] = [line for line in result.stderr.splitlines() if line.startswith("digitlens:")]
    assert line.startswith(f"digitlens: {path}#2: is damaged or cut off")


def test_a_missing_extra_fails_the_files_that_need_it(scan, monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    result = run("read", scan[0], NOTE)
    assert (result.exit_code, result.stdout) == (1, f"{NOTE}\t2048\n")
    assert result.stderr.startswith(f"digitlens: {scan[0]}: is a PDF, and this needs")
    assert "pip install 'digitlens[photo]'" in result.stderr


def test_only_one_page_is_in_memory(scan, monkeypatch):
    pages = []

    def watched(self, number):
        assert all(page() is None for page in pages)
        page = load(self, number)
        pages.append(weakref.ref(page))
        return page

    load = Document.page
    monkeypatch.setattr(Document, "page", watched)
    assert run("read", *scan, NOTE).exit_code == 0
    assert len(pages) == 7


def test_folders_and_patterns_are_read(tmp_path):
    for name in ("scan 10.jpg", "scan 9.jpg", "more/scan 1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(Path(NOTE).read_bytes())
    (tmp_path / "list.txt").write_text("no picture")
    names = ("more/scan 1.jpg", "scan 9.jpg", "scan 10.jpg")
    lines = [f"{tmp_path / name}\t2048" for name in names]
    assert run("read", tmp_path).stdout.splitlines() == lines
    assert run("read", f"{tmp_path}/*.jpg").stdout.splitlines() == lines[1:]


def test_each_page_has_an_annotated_copy(scan, tmp_path):
    out = tmp_path / "out"
    assert run("read", *scan, "--annotate", out).exit_code == 0
    names = {f"scan-page-{k}{more}.png" for k in (1, 2, 3) for more in ("", "-2")}
    assert {path.name for path in out.iterdir()} == names


def test_annotated_copies_are_not_read_the_next_time(tmp_path):
    (tmp_path / "note.jpg").write_bytes(Path(NOTE).read_bytes())
    for _ in range(2):
        result = run("read", tmp_path, "--annotate", tmp_path / "out")
        assert result.stdout == f"{tmp_path / 'note.jpg'}\t2048\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["note.png"]


def test_an_interruption_leaves_whole_files(scan, tmp_path, monkeypatch):
    out, save = tmp_path / "out", Image.Image.save

    def interrupted(self, path, **options):
        if any(out.glob("scan-page-1.png")):
            Path(path).write_bytes(b"half a picture")
            raise KeyboardInterrupt
        save(self, path, **options)

    monkeypatch.setattr(Image.Image, "save", interrupted)
    result = run("read", scan[0], "--annotate", out)
    assert result.exit_code != 0
    assert [path.name for path in out.iterdir()] == ["scan-page-1.png"]
    with Image.open(out / "scan-page-1.png") as picture:
        picture.load()


def test_annotated_copies_are_written(tmp_path):
    result = run("read", NOTE, BLANK, "--annotate", tmp_path / "out")
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["blank.png", "note.png"]
    with Image.open(tmp_path / "out" / "note.png") as picture:
        assert picture.width > 1200


def test_no_annotated_copy_replaces_another_or_a_picture(tmp_path):
    folders = [tmp_path / name for name in ("a", "b", "c")]
    pages = [np.full((30, 40), value, np.uint8) for value in (250, 240, 230)]
    for folder, page in zip(folders, pages, strict=True):
        folder.mkdir()
        Image.fromarray(page).save(folder / "page.png")
    result = run("read", *(folder / "page.png" for folder in folders), "--annotate", folders[0])
    assert result.exit_code == 0
    names = sorted(path.name for path in folders[0].iterdir())
    assert names == ["page-2.png", "page-3.png", "page-4.png", "page.png"]
    with Image.open(folders[0] / "page.png") as picture:
        assert np.array_equal(np.asarray(picture), pages[0])


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    assert run("read", NOTE, "--annotate", tmp_path / "out").exit_code == 2


def test_a_model_that_is_not_there_is_an_error(tmp_path):
    result = run("read", NOTE, "--model", tmp_path / "none")
    assert isinstance(result.exception, ModelError)


def digitlens(*arguments, **options):
    command = [sys.executable, "-m", "digitlens", *map(str, arguments)]
    return subprocess.run(command, check=False, timeout=60, **options)


def test_names_that_the_terminal_cannot_write_are_no_trouble(tmp_path):
    picture = tmp_path / "größe.png"
    picture.write_bytes(Path(NOTE).read_bytes())
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    result = digitlens("read", picture, capture_output=True, env=ascii_only)
    assert result.returncode == 0
    assert result.stdout.endswith(b"gr\\xf6\\xdfe.png\t2048\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
class TestTerminal:
    @staticmethod
    def on_terminal(*arguments, stdout=None):
        """Runs with standard error, and standard output unless given, on a terminal."""
        pty = pytest.importorskip("pty")
        ours, theirs = pty.openpty()
        environment = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
        result = digitlens(*arguments, stdout=stdout or theirs, stderr=theirs, env=environment)
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 65536):
                shown += block
        except OSError:  # how Linux says that the other side has closed
            pass
        os.close(ours)
        return result, shown.decode()

    def test_a_table_says_what_was_read_and_how_surely(self):
        result, shown = self.on_terminal("read", NOTE, BLANK)
        assert result.returncode == 0
        assert all(words in shown for words in ("least sure", "2048", "no digits", " %"))

    def test_progress_does_not_take_the_results_with_it(self):
        result, shown = self.on_terminal("read", NOTE, "none.png", stdout=subprocess.PIPE)
        assert result.returncode == 1
        assert result.stdout.decode() == f"{NOTE}\t2048\n"
        assert "digitlens: none.png: no such file" in shown
