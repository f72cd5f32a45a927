import hashlib
import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from digitlens.datasets.labelled import load_labelled, load_pictures, load_with_hash
from digitlens.errors import DataError


def png(tile, mode="L"):
    stream = io.BytesIO()
    Image.fromarray(tile).convert(mode).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def members():
    """Three tiles and their files as exported by the page."""
    random = np.random.default_rng(0)
    tiles = random.integers(0, 256, (3, 28, 28), np.uint8)
    files = {f"tiles/{i + 1:05}.png": png(tile) for i, tile in enumerate(tiles)}
    rows = "".join(f"{name},{label}\n" for name, label in zip(files, "407", strict=True))
    return tiles, files | {"labels.csv": ("file,label\n" + rows).encode()}


def write_zip(path, files, base=""):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(base + name, content)
    return path


def write_folder(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def refused(path, *parts):
    with pytest.raises(DataError) as caught:
        load_labelled(path)
    for part in (str(path), *parts):
        assert part in str(caught.value)


def test_zip_and_folder_give_the_same_tiles_and_have_a_hash(members, tmp_path):
    tiles, files = members
    path = write_zip(tmp_path / "flat.zip", files)
    packed = write_zip(tmp_path / "packed folder.zip", files, base="corrections/")
    folder = write_folder(tmp_path / "folder", files)
    for each in (path, packed, folder):
        split = load_labelled(each)
        assert (split.tiles == tiles).all()
        assert split.labels.tolist() == [4, 0, 7]
    assert load_with_hash(path)[1] == hashlib.sha256(path.read_bytes()).hexdigest()
    before = load_with_hash(folder)[1]
    assert load_with_hash(folder)[1] == before
    (folder / "tiles/00001.png").write_bytes(files["tiles/00002.png"])
    assert load_with_hash(folder)[1] != before


def test_spreadsheet_csv_and_gray_tiles_saved_as_rgb_are_read(members, tmp_path):
    tiles, files = members
    files["tiles/00001.png"] = png(tiles[0], "RGB")
    lines = files["labels.csv"].decode().replace("\n", "\r\n") + "\r\n"
    files["labels.csv"] = b"\xef\xbb\xbf" + lines.encode()
    split = load_labelled(write_zip(tmp_path / "a.zip", files))
    assert (split.tiles == tiles).all()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.png": b"", "b.txt": b""}, "labels.csv is missing: expected labels.csv"),
        ({}, "found nothing"),
        ({"b.txt": b""}, "found b.txt"),
        ({"labels.csv": b"file,label\n"}, "lists no tiles"),
        ({"labels.csv": b"name,digit\n"}, "found the header 'name,digit'"),
        ({"labels.csv": b"\xff\xfe"}, "labels.csv is damaged"),
    ],
)
def test_invalid_data_set_is_refused_with_its_contents(files, said, tmp_path):
    refused(write_zip(tmp_path / "a.zip", files), said)
    (tmp_path / "folder").mkdir()
    refused(write_folder(tmp_path / "folder", files), said)


@pytest.mark.parametrize("load", [load_labelled, load_pictures])
def test_file_listed_twice_is_refused(members, tmp_path, load):
    _, files = members
    files["labels.csv"] += b"./tiles/00001.png,4\ntiles/00002.png,1\n"
    path = write_zip(tmp_path / "a.zip", files)
    with pytest.raises(DataError) as caught:
        load(path)
    for row, name, before in [(5, "./tiles/00001.png", 2), (6, "tiles/00002.png", 3)]:
        assert f"line {row}: {name}: is already listed in line {before}" in str(caught.value)


def test_picture_under_two_names_is_read_once(members, tmp_path, capsys):
    _, files = members
    files["copy.png"] = files["tiles/00002.png"]
    files["labels.csv"] += b"copy.png,0\n"
    pictures = load_pictures(write_folder(tmp_path / "a", files))
    assert [each.name for each in pictures] == [f"tiles/0000{k}.png" for k in (1, 2, 3)]
    said = " ".join(capsys.readouterr().err.split())
    assert "copy.png: skipped: the same picture as tiles/00002.png" in said


def test_missing_file_and_damaged_zip_are_refused(members, tmp_path):
    refused(tmp_path / "nothing.zip", "No such file", "labels.csv")
    (tmp_path / "text.zip").write_text("text")
    refused(tmp_path / "text.zip", "is not a zip file")
    path = write_zip(tmp_path / "a.zip", members[1])
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)  # in the first tile: wrong checksum
    path.write_bytes(content)
    refused(path, "tiles/00001.png: cannot be read")
    path.write_bytes(content[:-30])
    refused(path, "is not a zip file, or damaged")
    # In the central directory: 14.8 as the version needed to extract; a name that is not UTF-8.
    for changes in ({6: 148}, {9: 8, 46: 0xE4}):
        content = bytearray(write_zip(path, members[1]).read_bytes())
        for at, value in changes.items():
            content[content.index(b"PK\1\2") + at] = value
        path.write_bytes(content)
        refused(path, "is not a zip file, or damaged")
    for name in ("/", "//labels.csv", "a//labels.csv"):
        refused(write_zip(tmp_path / "b.zip", {name: b""}), "is not a relative path")
    refused(write_zip(tmp_path / "b.zip", {".": b"", "./a": b""}), "labels.csv is missing")


def test_all_invalid_rows_are_listed(members, tmp_path):
    tiles, files = members
    files["tiles/wide.png"] = png(np.zeros((28, 30), np.uint8))
    files["tiles/cut.png"] = png(tiles[0])[:200]
    colours = np.zeros((28, 28, 3), np.uint8)
    colours[..., 0] = 255
    files["tiles/red.png"] = png(colours, "RGB")
    files["tiles/text.png"] = b"text"
    rows = ["wide.png,1", "cut.png,2", "red.png,3", "text.png,4", "none.png,5"]
    rows += ["00001.png,none", "00002.png"]
    files["labels.csv"] = ("file,label\n" + "".join(f"tiles/{row}\n" for row in rows)).encode()
    refused(
        write_zip(tmp_path / "a.zip", files),
        "line 2: tiles/wide.png: expected 28 x 28 pixels, found 30 x 28",
        "line 3: tiles/cut.png: is damaged",
        "line 4: tiles/red.png: expected gray pixels",
        "line 5: tiles/text.png: is not a PNG file",
        "line 6: tiles/none.png: is missing",
        "and 2 more",
    )
    files["labels.csv"] = b"file,label\ntiles/00001.png,none\n"
    refused(write_zip(tmp_path / "b.zip", files), "expected a label from 0 to 9, found 'none'")


def test_png_with_a_forged_chunk_before_its_header_is_refused(members, tmp_path):
    """Decoders skip an unknown chunk in the position where the size is expected."""
    content = png(np.zeros((30, 20), np.uint8))
    before = b"anyC" + struct.pack(">II", 28, 28)
    chunk = struct.pack(">I", 8) + before + struct.pack(">I", zlib.crc32(before))
    members[1]["tiles/00002.png"] = content[:8] + chunk + content[8:]
    refused(
        write_zip(tmp_path / "a.zip", members[1]),
        "line 3: tiles/00002.png: expected 28 x 28 pixels, found 20 x 30",
    )


@pytest.mark.parametrize(
    "name",
    ["../secret.png", "/etc/passwd", "tiles\\00001.png", "C:x.png", "tiles/../../secret.png"],
)
def test_paths_out_of_the_folder_are_refused(members, tmp_path, name):
    tiles, files = members
    (tmp_path / "secret.png").write_bytes(png(tiles[0]))
    files["labels.csv"] = f"file,label\n{name},1\n".encode()
    refused(write_folder(tmp_path / "folder", files), "is not a relative path")
    refused(write_zip(tmp_path / "a.zip", files | {name: png(tiles[0])}), "is not a relative path")


def test_links_out_of_the_folder_and_long_lists_are_refused(members, tmp_path, monkeypatch):
    tiles, files = members
    (tmp_path / "secret.png").write_bytes(png(tiles[0]))
    folder = write_folder(tmp_path / "folder", files)
    (folder / "tiles/link.png").symlink_to(tmp_path / "secret.png")
    (folder / "labels.csv").write_text("file,label\ntiles/link.png,1\n")
    refused(folder, "is missing")
    monkeypatch.setattr("digitlens.datasets.labelled.MOST", 2)
    refused(write_zip(tmp_path / "a.zip", files), "3 rows, expected at most 2")
    monkeypatch.setattr("digitlens.datasets.labelled._ZIP_BYTES", 100)
    refused(tmp_path / "a.zip", "is larger than 100 bytes")


def test_decompression_bombs_are_refused(members, tmp_path):
    _, files = members
    huge = bytearray(files["tiles/00001.png"])
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    files["tiles/00001.png"] = bytes(huge)
    refused(write_zip(tmp_path / "pixels.zip", files), "found 60000 x 60000")
    files["tiles/00001.png"] = bytes(50_000_000)
    with zipfile.ZipFile(tmp_path / "zeros.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    refused(tmp_path / "zeros.zip", "is larger than 65,536 bytes")


@pytest.fixture
def photos():
    """Files: a photo of two lines, a page without digits, a broken picture and a tile."""
    page = np.zeros((40, 60, 3), np.uint8)
    page[5:9] = (200, 10, 10)
    rows = '"note.png","12,50\n-7"\nempty.png,none\nbroken.jpg,12\ntile.png,3\n'
    return {
        "note.png": png(page, "RGB"),
        "empty.png": png(page + 9, "RGB"),
        "broken.jpg": b"nothing",
        "tile.png": png(page[:28, :28, 1]),
        "labels.csv": ("file,label\n" + rows).encode(),
    }


def test_pictures_have_their_text_and_unreadable_ones_are_named(photos, tmp_path, capsys):
    for path in (write_folder(tmp_path / "folder", photos), write_zip(tmp_path / "a.zip", photos)):
        pictures = load_pictures(path)
        assert len(pictures) == 4
        found = list(pictures)
        assert [(each.name, each.label) for each in found] == [
            ("note.png", "12,50\n-7"),
            ("empty.png", ""),
            ("tile.png", "3"),
        ]
        assert [each.page.shape for each in found] == [(40, 60, 3), (40, 60, 3), (28, 28)]
        assert [each.is_tile for each in found] == [False, False, True]
        assert "broken.jpg: skipped" in capsys.readouterr().err


def test_exported_tiles_are_loaded_as_pictures(members, tmp_path):
    tiles, files = members
    found = list(load_pictures(write_zip(tmp_path / "corrections.zip", files)))
    assert [each.label for each in found] == ["4", "0", "7"]
    assert all(each.is_tile for each in found)
    assert (np.stack([each.page for each in found]) == tiles).all()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("note.png,\n", "line 2: note.png: expected the text of the picture, or none, found ''"),
        ("note.png,seven\n", "found 'seven'"),
        ("", "lists no pictures"),
    ],
)
def test_labels_without_a_digit_are_refused(photos, tmp_path, rows, said):
    photos["labels.csv"] = f"file,label\n{rows}".encode()
    with pytest.raises(DataError, match=said):
        load_pictures(write_folder(tmp_path, photos))
