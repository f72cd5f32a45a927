import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import AppendingTiffWriter
from pillow_heif import from_pillow

from digitlens.errors import ImageError
from digitlens.imaging import photo
from digitlens.imaging.document import open_document
from digitlens.imaging.image import load_image

VALUES = (10, 100, 200)
PAGES = [np.full((20, 30 + k, 3), value, np.uint8) for k, value in enumerate(VALUES)]


def several(form, pages=PAGES, **options):
    stream = io.BytesIO()
    first, *others = (Image.fromarray(page) for page in pages)
    first.save(stream, form, save_all=True, append_images=others, **options)
    return stream.getvalue()


def tiff(pages, **tags):
    """A TIFF with tags per page: ``tags`` maps a name to one value for each page."""
    numbers = {"orientation": 274, "subfile": 254}
    stream = io.BytesIO()
    with AppendingTiffWriter(stream, new=True) as writer:
        for k, page in enumerate(pages):
            own = {numbers[name]: values[k] for name, values in tags.items()}
            Image.fromarray(page).save(writer, "TIFF", tiffinfo=own)
            writer.newFrame()
    return stream.getvalue()


def load_pages(source):
    with open_document(source) as document:
        for number in range(1, document.count + 1):
            yield document.page(number)


def heic():
    stream = io.BytesIO()
    from_pillow(Image.fromarray(PAGES[0])).save(stream, quality=95)
    return stream.getvalue()


TIFF, PDF, HEIC = several("TIFF"), several("PDF"), heic()


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_every_page_of_a_tiff_is_read(compression):
    found = list(load_pages(several("TIFF", compression=compression)))
    assert all(np.array_equal(*pair) for pair in zip(found, PAGES, strict=True))


def test_every_page_of_a_pdf_is_read():
    found = list(load_pages(PDF))
    assert [page.shape for page in found] == [(1333, 2000, 3), (1290, 2000, 3), (1250, 2000, 3)]
    assert [int(np.median(page)) for page in found] == list(VALUES)


def test_pages_of_a_tiff_may_differ_in_pixel_type_and_orientation():
    gray = np.linspace(0, 255, 60).astype(np.uint8).reshape(6, 10)
    pages = [gray, gray.repeat(3).reshape(6, 10, 3), gray > 30, gray.astype(np.uint16) * 257, gray]
    found = list(load_pages(tiff(pages, orientation=[6, 1, 3, 1, 8])))
    expected = [
        np.rot90(gray, -1),
        pages[1],
        255 * (pages[2][::-1, ::-1].astype(np.uint8)),
        gray,
        np.rot90(gray),
    ]
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_smaller_copies_of_a_page_are_skipped():
    content = tiff([PAGES[0], PAGES[0][::2, ::2], PAGES[1]], subfile=[0, 1, 2])
    assert [page.shape for page in load_pages(content)] == [(20, 30, 3), (20, 31, 3)]


def test_all_sources_give_the_same_pages(tmp_path):
    path = tmp_path / "scan.tif"
    path.write_bytes(TIFF)
    with path.open("rb") as stream:
        for source in (path, str(path), TIFF, io.BytesIO(TIFF), stream):
            assert [page.shape for page in load_pages(source)] == [page.shape for page in PAGES]
    for source in (PAGES[0], Image.fromarray(PAGES[0])):
        [page] = load_pages(source)
        assert np.array_equal(page, PAGES[0])
    with pytest.raises(TypeError, match="found int"):
        next(load_pages(17))


def test_pages_are_decoded_lazily(monkeypatch):
    rendered = []
    render = photo.Pdf.render
    monkeypatch.setattr(
        photo.Pdf, "render", lambda self, k, name: rendered.append(k) or render(self, k, name)
    )
    pages = load_pages(PDF)
    assert rendered == []
    next(pages)
    assert rendered == [0]
    pages.close()


@pytest.mark.parametrize("content", [TIFF, PDF], ids=["tiff", "pdf"])
def test_pages_can_be_read_in_any_order_and_repeatedly(content):
    with open_document(content) as document:
        assert document.count == 3
        assert [int(np.median(document.page(k))) for k in (3, 1, 2, 1)] == [200, 10, 100, 10]
        for number in (0, 4):
            with pytest.raises(ValueError, match=f"a page from 1 to 3, found {number}"):
                document.page(number)
    with open_document(several("PNG", PAGES[:1])) as document:
        assert all(np.array_equal(document.page(1), PAGES[0]) for _ in range(2))


def test_pages_after_a_damaged_one_are_still_read():
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    content = bytearray(several("TIFF", [noise] * 3, compression="tiff_adobe_deflate"))
    with Image.open(io.BytesIO(content)) as picture:
        picture.seek(1)
        start = picture.tag_v2[273][0]  # where the pixels of the second page begin
    content[start : start + 200] = bytes(200)
    with open_document(bytes(content)) as document:
        assert np.array_equal(document.page(1), noise)
        with pytest.raises(ImageError, match=r"^image#2: is damaged or cut off"):
            document.page(2)
        assert np.array_equal(document.page(3), noise)


def test_truncated_page_is_reported_and_not_skipped():
    content = several("TIFF", compression=None)
    with Image.open(io.BytesIO(content)) as picture:
        picture.seek(2)
        end = picture._frame_pos[2] + 20  # within the directory of the third page
    with open_document(content[:end]) as document:
        assert document.count == 3
        assert np.array_equal(document.page(2), PAGES[1])
        with pytest.raises(ImageError, match=r"^image#3: "):
            document.page(3)


def test_oversized_pages_and_too_many_pages_are_refused(monkeypatch):
    with monkeypatch.context() as few:
        few.setattr(photo, "MAX_PAGES", 2)
        with pytest.raises(ImageError, match="claims more pages, at most 2 are read: split it"):
            next(load_pages(TIFF))
        assert load_image(TIFF).shape == (20, 30, 3)
    monkeypatch.setattr("digitlens.imaging.image.MAX_PIXELS", 625)
    with open_document(TIFF) as document:
        assert document.page(1).shape == (20, 30, 3)
        assert document.page(2).shape == (20, 31, 3)
        with pytest.raises(ImageError, match="image#3: claims 32 x 20 pixels"):
            document.page(3)


def test_cyclic_chain_of_pages_ends():
    content = bytearray(tiff([PAGES[0]]))
    with Image.open(io.BytesIO(content)) as picture:
        place = picture._frame_pos[0]
    entries = int.from_bytes(content[place : place + 2], "little")
    link = place + 2 + 12 * entries
    content[link : link + 4] = place.to_bytes(4, "little")
    assert len(list(load_pages(bytes(content)))) == 1


def test_files_are_closed(tmp_path):
    path = tmp_path / "scan.pdf"
    path.write_bytes(PDF)
    pages = load_pages(path)
    next(pages)
    pages.close()  # an open file would be a ResourceWarning, which is an error here
    path.unlink()


def are_pages_or_refused(content):
    try:
        return all(page.dtype == np.uint8 and page.size for page in load_pages(content))
    except ImageError as error:
        return "\n" not in str(error)


@given(st.binary(max_size=300), st.sampled_from([b"", b"%PDF-1.7\n", b"II*\0", b"MM\0*"]))
def test_random_bytes_never_crash_the_decoder(content, start):
    assert are_pages_or_refused(start + content)


@given(
    st.sampled_from([TIFF, several("TIFF", compression="tiff_adobe_deflate"), PDF, HEIC]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(1, 10_000),
)
def test_damaged_files_never_crash_the_decoder(content, changes, length):
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    assert are_pages_or_refused(bytes(damaged[:length]))
