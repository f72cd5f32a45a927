import io
import tarfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ImageFont

from digitlens.alphabet import ALPHABET
from digitlens.datasets import sources
from digitlens.datasets.synthetic.glyph_sources import (
    CHARACTERS,
    DIGITS,
    EM,
    FOREIGN,
    FORMS,
    LETTERS,
    SCRIPTS,
    SIDE,
    Family,
    FontGlyphs,
    MnistGlyphs,
    Pen,
    PenGlyphs,
    draw_digit,
    draw_form,
    draw_pen,
    font_files,
    load_families,
)
from digitlens.errors import DataError
from digitlens.files import sha256

WANTED = [
    "package/files/nice-latin-400-normal.woff",
    "package/files/nice-latin-700-normal.woff",
    "package/files/nice-greek-400-normal.woff",
]
UNWANTED = [
    "package/LICENSE",
    "package/files/nice-latin-400-italic.woff",
    "package/files/nice-latin-400-normal.woff2",
    "package/files/nice-vietnamese-400-normal.woff",
    "nice-latin-900-normal.woff",
    "../nice-latin-200-normal.woff",
]


def archive_of(names):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return stream.getvalue()


ARCHIVE = archive_of(WANTED + UNWANTED)
FAMILY = Family("nice", "1.2.3", "hand", "training", sha256(ARCHIVE))
RUN = sources.run


@pytest.fixture
def cache(cache):
    return cache.with_name("fonts")


@pytest.fixture
def npm(monkeypatch):
    """Commands passed to a fake npm, which writes the archive of each requested package."""
    commands = []

    def run(command, folder, time_limit):
        assert time_limit > 0
        commands.append(list(command))
        for package in (word for word in command if word.startswith("@fontsource/")):
            name, version = package.removeprefix("@fontsource/").split("@")
            (folder / f"fontsource-{name}-{version}.tgz").write_bytes(ARCHIVE)

    monkeypatch.setattr(sources, "run", run)
    return commands


def test_table_has_hand_and_print_families_for_each_role():
    families = load_families()
    assert len({family.family for family in families}) == len(families) > 100
    assert {(family.kind, family.role) for family in families} == {
        *((look, role) for look in ("hand", "print") for role in ("training", "validation")),
        ("print", "foreign"),
    }
    assert all(len(bytes.fromhex(family.sha256)) == 32 for family in families)
    assert all(family.version.count(".") == 2 for family in families)


def test_foreign_scripts_are_used_nowhere_else_and_not_numeric():
    families = {family.role: family for family in load_families()}
    assert set(families["foreign"].scripts) == {"latin", *FOREIGN}
    assert families["training"].scripts == families["validation"].scripts == SCRIPTS
    foreign = "".join(CHARACTERS[script] for script in FOREIGN)
    assert len(foreign) == len(set(foreign)) > 500
    assert not any(char.isnumeric() for char in foreign)


@pytest.mark.usefixtures("npm")
def test_only_required_files_are_unpacked(cache):
    (weights,) = font_files([FAMILY]).values()
    folder = cache / "nice-1.2.3"
    assert set(cache.iterdir()) == {folder}
    assert {path.name for path in folder.iterdir()} == {Path(name).name for name in WANTED}
    assert [[*weight] for weight in weights] == [["latin", "greek"], ["latin"]]
    assert weights[0]["greek"] == folder / Path(WANTED[2]).name
    assert weights[0]["greek"].read_text() == WANTED[2]


def test_missing_packages_are_fetched_in_batches_without_scripts(npm):
    font_files([FAMILY])
    font_files([FAMILY])
    assert len(npm) == 1
    assert {"pack", "--ignore-scripts", "@fontsource/nice@1.2.3"} <= set(npm[0])
    families = [replace(FAMILY, family=f"nice{number}") for number in range(20)]
    assert list(font_files(families)) == families
    asked = [[word for word in command if word.startswith("@")] for command in npm[1:]]
    assert [len(batch) for batch in asked] == [16, 4]


@pytest.mark.usefixtures("npm")
def test_failed_download_or_caching_of_fonts_is_an_error(cache, tmp_path, monkeypatch):
    wrong = replace(FAMILY, sha256="0" * 64)
    with pytest.raises(DataError, match=f"@fontsource/nice@1.2.3: .*{'0' * 64}.*{FAMILY.sha256}"):
        font_files([wrong])
    assert not cache.exists()
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot cache fonts in"):
        font_files([FAMILY])
    cache.unlink()
    monkeypatch.setattr(sources, "run", lambda *_: None)
    with pytest.raises(DataError, match="found no file"):
        font_files([FAMILY])
    monkeypatch.setattr(sources, "run", RUN)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"fonts .* npm, a part of Node.js: npm cannot be run"):
        font_files([FAMILY])
    assert not cache.exists()


def test_fonts_cached_meanwhile_by_another_process_are_used(npm, cache, monkeypatch):
    first = sources.run

    def slow(command, folder, time_limit):
        first(command, folder, time_limit)
        if len(npm) == 1:
            font_files([FAMILY])

    monkeypatch.setattr(sources, "run", slow)
    assert len(font_files([FAMILY])[FAMILY]) == 2
    assert len(npm) == 2
    assert [path.name for path in cache.iterdir()] == ["nice-1.2.3"]


def is_cropped(ink: np.ndarray) -> bool:
    return all(edge.max() > 40 for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))


def test_digits_of_a_font_have_one_height_and_marks_their_position(font_glyphs, rng):
    for char in DIGITS:
        glyph = font_glyphs.glyph(char, rng)
        assert glyph.char == char
        assert glyph.height == pytest.approx(1, abs=0.08)
        assert glyph.bottom == pytest.approx(0, abs=0.05)
        assert glyph.advance > 0.3
        assert glyph.ink.dtype == np.uint8
        assert is_cropped(glyph.ink)
    assert len({font_glyphs.glyphs[char].ink.tobytes() for char in DIGITS}) == 10
    comma, quote, dash = (font_glyphs.glyphs[char] for char in ",'-")
    assert comma.bottom > 0.05
    assert quote.bottom < -0.5
    assert dash.height < 0.3


def test_letters_are_the_other_glyphs_of_the_font(font_glyphs, rng):
    assert set("aZ$") <= set(font_glyphs.letters)
    assert not set(DIGITS) & set(font_glyphs.letters)
    assert font_glyphs.glyph("ж", rng) is None
    assert bytes(ImageFont.load_default(EM).getmask("€"))  # drawn as an empty box
    assert font_glyphs.glyph("€", rng) is None
    assert font_glyphs.glyph("$", rng) is not None
    alone = FontGlyphs({"latin": ImageFont.load_default(EM)}, digits_only=True)
    assert alone.letters == ""
    assert alone.glyph("a", rng) is None
    assert alone.glyph("7", rng) is not None


def test_mnist_source_reuses_tiles_and_has_only_digits(small_split, rng):
    tiles = [small_split.tiles[small_split.labels == value][:2] for value in range(10)]
    source = MnistGlyphs(tiles)
    drawn = [source.glyph("3", rng) for _ in range(20)]
    assert len({glyph.ink.tobytes() for glyph in drawn if glyph}) == 2
    for glyph in drawn:
        assert is_cropped(glyph.ink)
        # The tile's 3 has 20 rows and 11 columns and is enlarged four times, with smooth edges.
        assert glyph.ink.shape == pytest.approx((80, 44), abs=6)
        assert 0.88 <= glyph.height <= 1.1
    assert source.letters == ""
    assert source.glyph("a", rng) is None
    assert all(source.glyph(char, rng) for char in DIGITS)
    empty = MnistGlyphs([np.zeros((1, 28, 28), np.uint8)] * 10)
    assert empty.glyph("0", rng).ink.any()  # a dot


def test_pens_write_no_letters_that_look_like_digits(rng):
    source = PenGlyphs(draw_pen(rng))
    assert all(source.glyph(char, rng) for char in DIGITS + source.letters)
    assert not set(source.letters) & (set(DIGITS) | set("oOlIiszZSgq"))
    assert source.glyph("|", rng) is None


def test_pen_writes_the_whole_alphabet_with_marks_in_position(rng):
    pen = PenGlyphs(draw_pen(rng), marks=True)
    missing = [char for char in ALPHABET if char != " " and pen.glyph(char, rng) is None]
    assert missing == []
    point, comma, quote = (pen.glyph(char, rng) for char in ".,'")
    assert point.height < 0.45
    assert comma.bottom > point.bottom
    assert quote.bottom < -0.5


STEADY = Pen(forms=(0,) * 10, width=4, jitter=0, aspect=0.7, straight=False, gaps=0)
PENS = {
    "hairline": replace(STEADY, width=1.5, jitter=4, aspect=0.45),
    "marker": replace(STEADY, width=20, jitter=4, aspect=0.95),
    "straight": replace(STEADY, straight=True, jitter=2),
    "dry": replace(STEADY, gaps=0.08, jitter=2),
}

ALL_FORMS = [form for forms in FORMS for form in forms]


def holes(ink: np.ndarray) -> int:
    count, _ = cv2.connectedComponents((ink < 100).astype(np.uint8), connectivity=4)
    return count - 2  # without the outside and the ink, which cv2 counts too


def test_every_digit_has_forms_and_strokes_stay_in_their_frame():
    assert len(FORMS) == 10
    assert min(map(len, FORMS)) >= 2
    lowest = [(form, 1) for form in ALL_FORMS]
    lowest += [(letter, 1.25) for letter in LETTERS.values()]  # some have descenders
    for strokes, end in lowest:
        points = np.concatenate(strokes)
        assert points.min() >= 0
        assert points.max() <= end
        assert all(len(stroke) >= 2 for stroke in strokes)


@pytest.mark.parametrize("pen", PENS.values(), ids=PENS)
@pytest.mark.parametrize("form", ALL_FORMS)
def test_forms_are_drawn_within_the_square(form, pen):
    for seed in range(3):
        ink = draw_form(form, pen, np.random.default_rng(seed))
        assert (ink.shape, ink.dtype) == ((SIDE, SIDE), np.uint8)
        rows, columns = np.nonzero(ink > 100)
        assert np.ptp(rows) > SIDE / 2
        assert np.ptp(columns) > 0
        edges = (ink[0], ink[-1], ink[:, 0], ink[:, -1])
        assert not any(edge.any() for edge in edges)


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [(0, 0, 1), (0, 2, 2), (1, 1, 0), (4, 0, 0), (4, 1, 1), (8, 0, 2)],
)
def test_forms_have_the_right_number_of_holes(value, form, expected, rng):
    assert holes(draw_form(FORMS[value][form], STEADY, rng)) == expected


def test_pen_uses_its_preferred_form_most_of_the_time(rng):
    pen = replace(STEADY, forms=(0, 4, *(0,) * 8))
    usual = draw_form(FORMS[1][4], pen, rng) > 100
    inks = [draw_digit(1, pen, np.random.default_rng(seed)) > 100 for seed in range(40)]
    alike = [(ink & usual).sum() / (ink | usual).sum() > 0.8 for ink in inks]
    assert 24 <= sum(alike) < 40


def test_broad_pen_leaves_more_ink_and_dry_pen_less():
    def ink(pen: Pen) -> int:
        return int(draw_form(FORMS[2][0], pen, np.random.default_rng(3)).sum(dtype=np.int64))

    assert ink(replace(STEADY, width=12)) > 2 * ink(STEADY)
    assert ink(replace(STEADY, gaps=0.08)) < ink(STEADY)


def test_pens_vary_in_width_and_are_determined_by_the_generator():
    first, again = (np.random.default_rng(7) for _ in range(2))
    pen = draw_pen(first)
    assert pen == draw_pen(again)
    assert (draw_digit(5, pen, first) == draw_digit(5, pen, again)).all()
    pens = [draw_pen(np.random.default_rng(seed)) for seed in range(200)]
    assert min(pen.width for pen in pens) < 2
    assert max(pen.width for pen in pens) > 17
    assert {pen.forms[7] for pen in pens} == set(range(len(FORMS[7])))
