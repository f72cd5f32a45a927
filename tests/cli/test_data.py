import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

import digitlens.datasets
from digitlens.datasets.mnist import Mnist, Split
from digitlens.datasets.synthetic.glyph_sources import EM, FontGlyphs
from digitlens.datasets.synthetic.styles import Fonts
from digitlens.errors import DataError, MissingExtraError

COMMAND = "data"


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch, request):
    """An empty folder and an empty cache, except for the tests of the real data."""
    if "mnist" in request.fixturenames:
        return
    monkeypatch.delenv("DIGITLENS_DATA", raising=False)
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def loaded(small_split: Split, monkeypatch: pytest.MonkeyPatch) -> list:
    """Folders from which MNIST was loaded; a small split replaces it."""
    asked: list = []

    def load(data_dir):
        asked.append(data_dir)
        return Mnist(small_split, small_split)

    monkeypatch.setattr("digitlens.datasets.mnist.load_mnist", load)
    return asked


def test_empty_cache_is_shown_and_mnist_fetched_only_on_request(run, loaded):
    result = run()
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0] == "missing\ttrain-images-idx3-ubyte\t47040016\t"
    assert "digitlens data --fetch" in result.stderr
    assert loaded == []
    run("--fetch", "--data-dir", "somewhere")
    assert loaded == [Path("somewhere")]


def test_json_lists_status_and_hash_and_damaged_files_are_shown(run, tmp_path):
    shown = json.loads(run("--json").stdout)
    assert shown["cache"] == str(tmp_path / "cache" / "mnist")
    assert shown["complete"] is False
    assert [file["status"] for file in shown["files"]] == ["missing"] * 4
    assert shown["files"][3]["sha256"].startswith("ff7bcfd416de")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "t10k-labels-idx1-ubyte").write_bytes(bytes(10_008))
    result = run("--data-dir", str(folder))
    assert f"damaged\tt10k-labels-idx1-ubyte\t10008\t{folder}" in result.stdout


@pytest.mark.usefixtures("loaded")
def test_samples_are_written_to_the_given_path_and_it_is_printed(run, tmp_path):
    run.fails(DataError, "sheet.xyz", "--show", "--out", "sheet.xyz")
    assert [path.name for path in tmp_path.iterdir()] == []
    assert run("--show").stdout == "samples.png\n"
    with Image.open(tmp_path / "samples.png") as sheet:
        assert np.asarray(sheet).std() > 10
    shown = json.loads(run("--show", "--out", "new/sheet.jpg", "--json").stdout)
    assert shown["samples"] == "new/sheet.jpg"
    assert (tmp_path / "new" / "sheet.jpg").stat().st_size > 1000


@pytest.fixture
def pages(loaded: list, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Roles for which fonts were loaded; Pillow's own font replaces all, six pages are drawn."""
    del loaded
    asked: list[str] = []
    hand = FontGlyphs({"latin": ImageFont.load_default(EM)})

    def load(role: str) -> Fonts:
        asked.append(role)
        return Fonts((hand,), (hand,))

    monkeypatch.setattr("digitlens.datasets.synthetic.styles.load_fonts", load)
    monkeypatch.setattr("digitlens.cli.data.PAGES", 6)
    return asked


def test_generated_pages_are_drawn_and_their_path_printed(run, pages, loaded, tmp_path):
    result = run("--show-pages", "--data-dir", "somewhere")
    assert result.stdout == "pages.png\n"
    assert loaded == [Path("somewhere")]
    assert pages == ["training"]
    with Image.open(tmp_path / "pages.png") as sheet:
        assert sheet.width > 6 * 192
        assert np.asarray(sheet).std() > 10
    shown = json.loads(run("--show-pages", "--out", "new/sheet.jpg", "--json").stdout)
    assert shown["pages"] == "new/sheet.jpg"
    assert "samples" not in shown


def test_seed_and_kind_determine_the_generated_pages(run, pages, tmp_path):
    def draw(*options):
        run("--show-pages", "--out", "drawn.png", *options)
        return (tmp_path / "drawn.png").read_bytes()

    first = draw()
    assert first == draw("--seed", "0")
    assert len({first, draw("--seed", "1"), draw("--kind", "empty")}) == 3
    assert len(pages) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--show-pages", "--kind", "cats"], "paragraph"),
        (["--kind", "grid"], "--show-pages"),
        (["--show", "--show-pages"], "choose one"),
        (["--show-pages", "--seed", "-1"], "--seed"),
    ],
)
@pytest.mark.usefixtures("pages")
def test_conflicting_or_invalid_options_are_refused(run, tmp_path, arguments, message):
    run.misused(message, *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("loaded")
def test_without_opencv_pages_need_an_extra_but_samples_do_not(run, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("digitlens.datasets.synthetic")]:
        monkeypatch.delitem(sys.modules, name)
    if "synthetic" in vars(digitlens.datasets):  # or the half-imported package would stay
        monkeypatch.setattr(digitlens.datasets, "synthetic", digitlens.datasets.synthetic)
    monkeypatch.setitem(sys.modules, "cv2", None)
    run("--show")
    run.fails(MissingExtraError, "pip install 'digitlens[train]'", "--show-pages")


@pytest.mark.mnist
@pytest.mark.usefixtures("mnist")
def test_real_files_are_verified(run):
    assert json.loads(run("--json").stdout)["complete"] is True
