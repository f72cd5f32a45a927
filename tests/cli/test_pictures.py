import os
import sys
from pathlib import Path

import pytest

from digitlens.cli.pictures import SUFFIXES, find_pictures


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder, made the working folder, with a few files."""
    monkeypatch.chdir(tmp_path)
    for name in ("a10.png", "A9.PNG", "b.pdf", "notes.txt"):
        put(name)
    for name in ("sub/c2.jpg", "sub/c10.jpg", "sub/x/d.tif"):
        put(name)
    for hidden in (".e.png", ".thumbs/f.png", "sub/.g.jpg"):
        put(hidden)
    return tmp_path


def put(name):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def names(*paths, **options):
    """The files that paths mean, where there is nothing wrong."""
    files, problems = find_pictures(paths, **options)
    assert problems == []
    return [Path(file).as_posix() for file in files]


def problem(*paths):
    files, [error] = find_pictures(paths)
    assert files == []
    return str(error)


EVERYTHING = ["A9.PNG", "a10.png", "b.pdf", "sub/c2.jpg", "sub/c10.jpg", "sub/x/d.tif"]


def test_files_and_what_is_no_path_are_taken_as_they_are(here):
    given = ["notes.txt", "none.png", "-", "", "./a10.png", str(here / "b.pdf"), "a10.png"]
    given += ["a\0b", "x" * 5000, "x" * 5000 + "*"]
    assert find_pictures(given) == (given, [])


@pytest.mark.parametrize("folder", [".", "", "sub"])
def test_a_folder_is_every_picture_in_it_in_natural_order(here, folder):
    given = folder or str(here)
    found = [os.path.relpath(file).replace(os.sep, "/") for file in names(given)]
    assert found == [
        name for name in EVERYTHING if name.startswith("sub" if given == "sub" else "")
    ]


def test_pictures_of_every_format_are_found(tmp_path):
    for suffix in SUFFIXES:
        (tmp_path / f"a{suffix}").touch()
    assert len(names(str(tmp_path))) == len(SUFFIXES)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["a10.png"]),
        ("[ab]*.p??", ["a10.png", "b.pdf"]),
        ("*.txt", ["notes.txt"]),
        ("*/*.jpg", ["sub/c2.jpg", "sub/c10.jpg"]),
        ("**/*.jpg", ["sub/c2.jpg", "sub/c10.jpg"]),
        ("**/c2.*", ["sub/c2.jpg"]),
        ("s*", ["sub/c2.jpg", "sub/c10.jpg", "sub/x/d.tif"]),
        ("sub/**", ["sub/c2.jpg", "sub/c10.jpg", "sub/x/d.tif"]),
        ("**", EVERYTHING),
        ("**.png", ["a10.png"]),
        (".*.png", [".e.png"]),
        ("sub/../a*.png", ["sub/../a10.png"]),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_pattern_is_what_it_matches(pattern, expected):
    assert names(pattern) == expected


def test_patterns_may_be_absolute(here):
    assert names(f"{here}/sub/*.jpg") == [f"{here.as_posix()}/sub/c{k}.jpg" for k in (2, 10)]


@pytest.mark.skipif(sys.platform == "win32", reason="* is in no name there")
def test_a_file_or_folder_with_such_a_name_is_itself(here):
    for name in ("scan[1].png", "a*.png", "what?/k.png"):
        put(name)
    assert names("scan[1].png", "a*.png") == ["scan[1].png", "a*.png"]
    assert names("what?") == ["what?/k.png"]
    (here / "a*.png").unlink()
    assert names("a*.png") == ["a10.png"]


@pytest.mark.parametrize("pattern", ["*.bmp", "nowhere/*.png", "nowhere/**", "**/nothing*"])
@pytest.mark.usefixtures("here")
def test_a_pattern_that_matches_nothing_is_an_error(pattern):
    assert problem(pattern).startswith(f"{pattern}: matches no picture")


@pytest.mark.usefixtures("here")
def test_an_empty_folder_is_an_error_that_says_what_was_looked_for():
    put("texts/.h.png")
    put("texts/i.txt")
    message = problem("texts")
    assert message.startswith("texts: is a folder without pictures")
    assert all(suffix in message for suffix in SUFFIXES)
    files, [error] = find_pictures(["texts", "*.png"])
    assert (files, str(error)) == (["a10.png"], message)


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
@pytest.mark.usefixtures("here")
def test_links_that_lead_in_circles_do_no_harm():
    Path("sub/up").symlink_to("..", target_is_directory=True)
    Path("sub/x/here").symlink_to(".", target_is_directory=True)
    Path("self").symlink_to("self")
    Path("self.png").symlink_to("self.png")
    Path("far.png").symlink_to("sub/c2.jpg")
    expected = [*EVERYTHING[:3], "far.png", "self.png", *EVERYTHING[3:]]
    assert names(".", left_out=[Path("out")]) == expected
    assert names("**/*.jpg") == ["sub/c2.jpg", "sub/c10.jpg"]
    assert names("sub/up") == [f"sub/up/{name}" for name in expected]  # was itself asked for


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_a_folder_is_not_waited_for(here):
    os.mkfifo(here / "pipe.png")
    assert names(".") == EVERYTHING


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs rights")
@pytest.mark.usefixtures("here")
def test_a_subfolder_that_cannot_be_read_is_named(monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "x":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    files, [error] = find_pictures(["sub"])
    assert len(files) == 2
    assert str(error) == f"{Path('sub/x')}: cannot be read (Permission denied)"


@pytest.mark.usefixtures("here")
def test_results_are_left_out_unless_they_are_asked_for():
    put("out/a10.png")
    assert names(".", left_out=[Path("out")]) == EVERYTHING
    assert names("**/a*.png", left_out=[Path("out")]) == ["a10.png"]
    assert names("out", left_out=[Path("out")]) == ["out/a10.png"]
    assert names("out/a10.png", left_out=[Path("out")]) == ["out/a10.png"]
    assert names(".", left_out=[Path()]) == [*EVERYTHING[:3], "out/a10.png", *EVERYTHING[3:]]
