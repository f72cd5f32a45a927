"""The exported site, in a real browser and without a digitlens server, reads what Python reads.

Both get the same pixels. A browser that decodes a JPEG itself may differ from Pillow by a gray
level; decoders are not compared here.
"""

import base64
import importlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digitlens.imaging.image import load_image
from digitlens.reading.reader import DigitReader

EXAMPLES = Path(__file__).parents[2] / "examples"
VECTORS = Path(__file__).parents[1] / "vectors"
CLOSE = 0.02  # largest difference of confidences
TEXT = "of all the pages that were found there only some could be read again by hand"
ALL = "DIGITLENS_ALL"  # if set, all pictures are read (some minutes), else every sixth

# Loads the reader of the site once, then reads the pictures in order.
READ = """async ([names, options]) => {
  const { createReader } = await import('/site/reader/index.js');
  window.steps ??= [];
  window.reader ??= await createReader('/site/', { onProgress: (step) => steps.push(step) });
  const readings = [];
  for (const { name, width, height } of names) {
    const picture = await fetch('/pictures/' + name, { cache: 'no-store' });
    const data = new Uint8ClampedArray(await picture.arrayBuffer());
    readings.push(await reader.read({ data, width, height }, options));
  }
  return readings;
}"""


def rgba(page):
    page = np.repeat(page[:, :, None], 3, 2) if page.ndim == 2 else page
    opaque = np.full((*page.shape[:2], 1), 255, np.uint8)
    return page if page.shape[2] == 4 else np.concatenate([page, opaque], axis=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory, exported):
    """A host's folder with the site in a subfolder."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "site").symlink_to(exported)
    (folder / "blank.html").write_text("<!doctype html><title>blank</title>")
    (folder / "pictures").mkdir()
    return folder


@pytest.fixture(scope="module")
def origin(hosted, root):
    with hosted(root) as address:
        yield address


@pytest.fixture(scope="module")
def page(browser, origin):
    """A page of the site's origin; a request to any other origin is aborted and fails the test."""
    strays = []

    def decide(route):
        if route.request.url.startswith((origin, "blob:", "data:")):
            route.continue_()
        else:
            strays.append(route.request.url)
            route.abort()

    context = browser.new_context()
    context.route("**/*", decide)
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{origin}/blank.html")
    yield page
    context.close()
    assert not strays


@pytest.fixture(scope="module")
def shared_set():
    """The function that draws the shared set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(VECTORS)
        yield importlib.import_module("drawings").shared_set
    del sys.modules["drawings"]


@pytest.fixture(scope="module")
def python():
    return DigitReader(threads=1)


def read_in_browser(page, root, pictures, **options):
    """Returns the browser's readings of pictures, passed as RGBA."""
    names = []
    for k, picture in enumerate(pictures):
        pixels = rgba(picture)
        (root / "pictures" / f"{k}.rgba").write_bytes(pixels.tobytes())
        names.append({"name": f"{k}.rgba", "width": pixels.shape[1], "height": pixels.shape[0]})
    return page.evaluate(READ, [names, options])


def answers(reading):
    """Returns the contents of a reading without confidences."""
    digit_keys = ("value", "status", "starts_number")
    keys = ("text", "digits_only", "numbers_digits")
    digits = [[[digit[key] for key in digit_keys] for digit in line] for line in reading["lines"]]
    characters = ["".join(each["char"] for each in line) for line in reading["characters"]]
    return digits, characters, [reading[key] for key in keys]


def confidences(reading):
    return np.array([digit["confidence"] for line in reading["lines"] for digit in line])


def test_tiles_and_patterns_match_python(page, root, python):
    drawing, sticky = EXAMPLES / "drawing.png", EXAMPLES / "sticky.jpg"
    for path, pattern in ((drawing, "#"), (drawing, "3##"), (sticky, "[0-2]6")):
        pages = [rgba(load_image(path))]
        js_reading = read_in_browser(page, root, pages, expect=pattern, tiles=True)
        for picture, reading in zip(pages, js_reading, strict=True):
            py_reading = python.read(picture, expect=pattern)
            assert answers(reading) == answers(py_reading.as_dict())
            known = np.array([digit.tile for line in py_reading.lines for digit in line], int)
            tiles = [base64.b64decode(digit["tile"]) for line in reading["lines"] for digit in line]
            shown = np.frombuffer(b"".join(tiles), np.uint8).reshape(-1, 28, 28).astype(int)
            assert np.abs(shown - known).max() <= 1


def test_values_of_numbers_match_python(page, root, python):
    sheet = Image.new("L", (420, 460), 255)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(48)
    for row, text in enumerate(("-12.50", "27/04/2021", "7.5%", "14:35")):
        pen.text((40, 60 + 110 * row), text, 0, font, anchor="lm")
    picture = rgba(np.asarray(sheet))
    keys = ("text", "value", "kind", "unit", "digits", "box")
    (js_reading,) = read_in_browser(page, root, [picture])
    py_reading = python.read(picture).as_dict()
    texts = [[number[key] for key in keys] for number in js_reading["numbers"]]
    assert texts == [[number[key] for key in keys] for number in py_reading["numbers"]]
    assert [number[1] for number in texts] == ["-12.50", "2021-04-27", "7.5", "14:35:00"]
    # Notation of a lone amount is ambiguous: only Python has a fitted confidence for such doubts.
    assert [each["status"] for each in py_reading["numbers"]] == ["unsure", *["number"] * 3]
    assert [each["status"] for each in js_reading["numbers"]] == ["number"] * 4
    pen.rectangle((0, 0, 420, 460), fill=255)
    pen.text((40, 60), "1.234", 0, font, anchor="lm")
    picture = rgba(np.asarray(sheet))
    (doubtful,) = read_in_browser(page, root, [picture])[0]["numbers"]
    assert (doubtful["status"], doubtful["reason"]) == ("unsure", "1.234 or 1234")
    (known,) = read_in_browser(page, root, [picture], decimal=",")[0]["numbers"]
    assert (known["status"], known["value"]) == ("number", "1234")
    (code,) = read_in_browser(page, root, [picture], expect="4")[0]["numbers"]
    assert (code["text"], code["value"], code["kind"]) == ("1234", None, "code")


def test_same_parts_of_long_lines_are_read(page, root, python):
    """Two of every three lines of words contain a number."""
    sheet = Image.new("RGB", (620, 480), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    words = TEXT.split()
    for row in range(16):
        line = [words[(row * 5 + k) % len(words)] for k in range(12)]
        line[row % 7 + 2] = f"{1234.5 * (row + 1):.2f}" if row % 3 else "numbers"
        pen.text((16, 12 + 28 * row), " ".join(line), "black", font)
    py_reading = python.examine(np.asarray(sheet))
    assert sum(line.crop.shape[1] for line in py_reading.view.lines) < 0.8 * 16 * 1280
    (js_reading,) = read_in_browser(page, root, [np.asarray(sheet)])
    assert answers(js_reading) == answers(py_reading.reading.as_dict())
    assert py_reading.reading.text == "\n".join(
        f"{1234.5 * (row + 1):.2f}" for row in range(16) if row % 3
    )


def test_transparent_file_is_read_as_in_python(browser, origin, python, tmp_path):
    """Opens the files in the page, because transparency has to survive its canvas."""
    page = browser.new_page()
    page.goto(f"{origin}/site/index.html")
    for number, ink in enumerate(("white", "yellow", "gray", "black"), 1):
        strokes = Image.new("RGBA", (200, 200))
        pen = ImageDraw.Draw(strokes)
        pen.line([(110, 40), (50, 120), (150, 120)], ink, 14, "curve")
        pen.line([(118, 80), (118, 175)], ink, 14)
        strokes.save(tmp_path / f"{ink}.png")
        page.set_input_files("#file", tmp_path / f"{ink}.png")
        page.wait_for_selector(f"#history-list li:nth-child({number})", timeout=60_000)
        assert page.inner_text("#strip .chip").strip().startswith("4"), ink
        assert python.read(tmp_path / f"{ink}.png").text == "4"
    page.close()


def test_reading_has_the_fields_of_python(page, root, python):
    picture = rgba(load_image(EXAMPLES / "drawing.png"))
    (js_reading,) = read_in_browser(page, root, [picture])
    py_reading = python.read(picture).as_dict()
    py_reading.pop("constrained", None)  # present only with constraints
    assert list(js_reading) == [*py_reading]
    others = py_reading.keys() - {"lines", "characters", "numbers"}
    assert list(map(list, js_reading["numbers"])) == list(map(list, py_reading["numbers"]))
    assert {key: js_reading[key] for key in others} == {key: py_reading[key] for key in others}
    assert [[list(each) for each in line] for line in js_reading["characters"]] == [
        [list(each) for each in line] for line in py_reading["characters"]
    ]
    assert [list(digit) for line in js_reading["lines"] for digit in line] == [
        list(digit) for line in py_reading["lines"] for digit in line
    ]


def test_loading_progress_and_model_are_reported(page, root, python):
    read_in_browser(page, root, [])
    steps = page.evaluate("steps")
    loaded = [step["loaded"] for step in steps]
    assert loaded == sorted(loaded)
    assert loaded[-1] == steps[-1]["total"] > 15e6
    model = page.evaluate("reader.model")
    assert model == {"name": python.classifier.name, "sha256": python.classifier.sha256}


def test_invalid_input_is_refused_with_a_reason(page, root):
    run = """async (options) => {
      const picture = { data: new Uint8ClampedArray(4), width: 1, height: options.height };
      return reader.read(picture, options).catch((error) => [error.name, error.message]);
    }"""
    read_in_browser(page, root, [])
    name, message = page.evaluate(run, {"height": 1, "expect": "[9-1]"})
    assert name == "RangeError"
    assert message.startswith("expected a number of digits from 1 to 99, or a pattern")
    name, message = page.evaluate(run, {"height": 2})
    assert (name, message) == ("RangeError", "expected 1 x 2 RGBA pixels, found 4 bytes")
    assert page.evaluate(run, {"height": 1})["text"] == ""


def test_missing_site_is_an_error(page):
    run = """async () => {
      const { createReader } = await import('/site/reader/index.js');
      return createReader('/nothing/').catch((error) => error.message);
    }"""
    assert page.evaluate(run) == "cannot fetch /nothing/site.json: status 404"


@pytest.mark.mnist
def test_readings_match_python_on_the_shared_set(page, root, python, mnist, shared_set):
    pictures = shared_set(mnist)
    assert len(pictures) >= 300
    if not os.environ.get(ALL):
        pictures = pictures[::6]
    with ThreadPoolExecutor(1) as pool:
        py_reading = pool.submit(lambda: [python.read(p).as_dict() for p in map(rgba, pictures)])
        js_reading = read_in_browser(page, root, pictures)
        py_reading = py_reading.result()
    for k, (ours, theirs) in enumerate(zip(py_reading, js_reading, strict=True)):
        assert answers(theirs) == answers(ours), k
        assert np.allclose(confidences(theirs), confidences(ours), rtol=0, atol=CLOSE), k
    assert sum(len(reading["lines"]) > 0 for reading in py_reading) > 0.8 * len(pictures)
