import importlib
import io
import sys
import threading

import numpy as np
import pytest
from PIL import Image, features
from pillow_heif import HeifFile, from_pillow

from digitlens.errors import ImageError, MissingExtraError
from digitlens.imaging import image
from digitlens.imaging.image import MAX_PIXELS, load_image
from digitlens.imaging.photo import MAX_PAGES, PDF_SIDE, is_avif, is_heic, is_pdf

CORNER = np.full((40, 60, 3), 90, np.uint8)
CORNER[:10, :20] = (255, 0, 0)


def pdf(*pages, **options):
    stream = io.BytesIO()
    first, *others = (Image.fromarray(page) for page in pages)
    first.save(stream, "PDF", save_all=True, append_images=others, **options)
    return stream.getvalue()


def heic(page=CORNER, orientation=None):
    photo = from_pillow(Image.fromarray(page))
    if orientation:
        photo.info["exif"] = exif(orientation)
    stream = io.BytesIO()
    photo.save(stream, quality=95)
    return stream.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def encoded(form, **options):
    stream = io.BytesIO()
    Image.fromarray(CORNER).save(stream, form, **options)
    return stream.getvalue()


def hand_written_pdf(media_box="[0 0 200 100]", trailer="", pages="/Kids [3 0 R] /Count 1"):
    """A PDF of one empty page, without a cross-reference table, which readers rebuild."""
    return (
        "%PDF-1.4\n1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj\n"
        f"2 0 obj <</Type /Pages {pages}>> endobj\n"
        f"3 0 obj <</Type /Page /Parent 2 0 R /MediaBox {media_box}>> endobj\n"
        f"trailer <</Root 1 0 R {trailer}>>\n%%EOF\n"
    ).encode()


PDF, HEIC = pdf(CORNER), heic()


def red_corner(page):
    """The box of the red pixels: y0, x0, y1, x1."""
    places = np.argwhere((page[..., 0] > 200) & (page[..., 1] < 60))
    return [*places.min(axis=0).tolist(), *(places.max(axis=0) + 1).tolist()]


def test_format_is_recognised_by_the_first_bytes():
    assert is_pdf(PDF)
    assert is_pdf(b"\xef\xbb\xbf\n%PDF-1.4")
    assert is_heic(HEIC)
    assert is_heic(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic")
    assert is_avif(avif := b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif")
    assert not is_heic(avif)
    for other in (b"", b"\x89PNG\r\n", b"\0\0\0\x18ftypisom\0\0\0\0mp42", b"a %PDF-1.4"):
        assert not any(is_it(other) for is_it in (is_pdf, is_heic, is_avif))


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ("[0 0 200 100]", (1000, 2000, 3)),
        ("[0 0 5 5]", (2000, 2000, 3)),
        ("[0 0 14000 7000]", (1000, 2000, 3)),
        ("[0 0 10000 1]", (1, 2000, 3)),
        ("[-300 -100 0 0]", (667, 2000, 3)),
    ],
)
def test_a_page_of_any_size_is_rendered_within_the_budget(box, shape):
    assert PDF_SIDE**2 <= MAX_PIXELS
    page = load_image(hand_written_pdf(box))
    assert page.shape == shape
    assert page.min() == 255


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PDF[: len(PDF) // 2], "the PDF is damaged or cut off"),
        (b"%PDF-1.7", "the PDF is damaged or cut off"),
        (hand_written_pdf(pages="/Kids [] /Count 0"), "PDF without pages|damaged"),
        (
            hand_written_pdf(
                trailer="/ID [<00> <00>] /Encrypt <</Filter /Standard /V 1 /R 2 /P -4 "
                f"/O <{'41' * 32}> /U <{'42' * 32}>>>"
            ),
            "protected by a password: save a copy without one",
        ),
        (HEIC[: len(HEIC) // 2], "the photo is damaged or cut off|is damaged or cut off"),
        (b"\0\0\0\x18ftypheic\0\0", "the photo is damaged or cut off"),
        (b"junk" + PDF, "PDF with something else before it"),
    ],
)
def test_file_that_cannot_be_opened_is_refused_in_one_line(content, message, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        load_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_pdf_with_too_many_pages_is_refused():
    count = MAX_PAGES + 1
    content = hand_written_pdf(pages=f"/Kids [{'3 0 R ' * count}] /Count {count}")
    with pytest.raises(ImageError, match=r"claims 10,001 pages, at most 10,000 are read"):
        load_image(content)


def test_text_typed_into_a_form_is_rendered():
    form = (
        "%PDF-1.4\n1 0 obj <</Type /Catalog /Pages 2 0 R /AcroForm <</Fields [4 0 R]>>>> endobj\n"
        "2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj\n"
        "3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] /Annots [4 0 R]>> endobj\n"
        "4 0 obj <</Type /Annot /Subtype /Widget /FT /Tx /T (a) /V (7) /Rect [0 0 100 100] /F 4 "
        "/AP <</N 5 0 R>>>> endobj\n"
        "5 0 obj <</Type /XObject /Subtype /Form /BBox [0 0 100 100] /Length 24>> stream\n"
        "0 0 0 rg 20 20 60 60 re f\nendstream endobj\n"
        "trailer <</Root 1 0 R>>\n%%EOF\n"
    )
    page = load_image(form.encode())
    assert page[1000, 1000].max() < 128


def test_pages_are_rendered_correctly_from_several_threads():
    found = []
    threads = [threading.Thread(target=lambda: found.append(load_image(PDF))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.array_equal(page, found[0]) for page in found)


def test_a_heic_photo_is_read():
    page = load_image(HEIC)
    assert page.shape == CORNER.shape
    assert np.abs(page[30, 50].astype(int) - 90).max() <= 3
    gray = load_image(heic(CORNER[..., 0]))
    assert gray.shape == (40, 60)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_photo_is_applied_once(orientation):
    expected = red_corner(load_image(encoded("PNG", exif=exif(orientation))))
    assert red_corner(load_image(heic(orientation=orientation))) == expected
    if features.check("avif"):
        assert red_corner(load_image(encoded("AVIF", exif=exif(orientation)))) == expected


def test_the_size_of_a_photo_is_checked_before_it_is_decoded(monkeypatch):
    def decode(*_args):
        raise AssertionError("decoded")

    monkeypatch.setattr("digitlens.imaging.image.MAX_PIXELS", 1000)
    monkeypatch.setattr("pillow_heif.heif.HeifImage.load", decode)
    with pytest.raises(ImageError, match="claims 60 x 40 pixels, at most 1,000 are decoded"):
        load_image(HEIC)


def test_primary_picture_of_a_photo_is_read():
    photo = HeifFile()
    for value in (10, 200):
        photo.add_from_pillow(Image.fromarray(np.full((64, 64, 3), value, np.uint8)))
    stream = io.BytesIO()
    photo.save(stream, primary_index=1)
    assert abs(int(load_image(stream.getvalue()).mean()) - 200) <= 3


def test_avif_is_refused_with_a_hint_if_pillow_cannot_read_it(monkeypatch):
    monkeypatch.setattr(image.features, "modules", {})
    start = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"
    with pytest.raises(ImageError, match="AVIF picture: save it as PNG"):
        load_image(start)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow cannot read AVIF")
def test_damaged_avif_is_refused():
    content = encoded("AVIF")
    for end in (100, len(content) - 30):
        with pytest.raises(ImageError, match="damaged"):
            load_image(content[:end])


@pytest.mark.parametrize(("content", "package"), [(PDF, "pypdfium2"), (HEIC, "pillow_heif")])
def test_a_missing_extra_is_named_with_the_file(content, package, tmp_path, monkeypatch):
    path = tmp_path / "file.png"  # the content counts, not the name
    path.write_bytes(content)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError):
        importlib.import_module(package)
    with pytest.raises(MissingExtraError, match=r"pip install 'digitlens\[photo\]'") as caught:
        load_image(path)
    assert str(caught.value).startswith(f"{path}: is a ")
    assert package in str(caught.value)
