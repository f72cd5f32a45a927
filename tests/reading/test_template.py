import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digitlens.errors import TemplateError
from digitlens.reading.template import (
    Drum,
    Reference,
    Region,
    Registration,
    load_template,
    make_region,
    write_template,
)

WHOLE = {"box": [10, 20, 90, 40]}


@pytest.fixture
def folder(tmp_path):
    Image.fromarray(np.zeros((80, 100), np.uint8)).save(tmp_path / "form.png")
    return tmp_path


def written(folder, text, picture="form.png"):
    path = folder / "form.toml"
    path.write_text(f'picture = "{picture}"\n{text}', encoding="utf-8")
    return path


def test_template_survives_writing_and_loading(folder):
    regions = (
        Region("total", (10, 20, 90, 40), expect="range 0..500", unit="€"),
        Region("main", (0.1, 0.5, 0.9, 1.0), "counter", "", 8, 3, "m³", True, 0.5),
        Region("down", (0.1, 0.1, 0.9, 0.2), "counter", digits=3, monotone=False),
    )
    text = write_template("form.png", regions, "%Y%m%d_%H%M")
    (folder / "form.toml").write_text(text, encoding="utf-8")
    template = load_template(folder / "form.toml")
    assert template.regions == regions
    assert template.time == "%Y%m%d_%H%M"
    assert template.page.shape == (80, 100)
    assert regions[1].pixels(template.page) == (10, 40, 90, 80)


def test_counter_is_monotone_by_default():
    assert make_region("main", {**WHOLE, "kind": "counter", "digits": 5}).monotone
    assert not make_region("main", WHOLE).monotone
    assert not make_region(
        "main", {**WHOLE, "kind": "counter", "digits": 5, "monotone": False}
    ).monotone


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "regions: expected at least one table"),
        ("title = 1\n[regions.a]\nbox = [0, 0, 9, 9]", "title: unknown"),
        ("time = 3\n[regions.a]\nbox = [0, 0, 9, 9]", "time: expected a format"),
        ("time = '%m-%m'\n[regions.a]\nbox = [0, 0, 9, 9]", "time: expected a format"),
        ("[regions.a]", r"regions.a.box: expected x0, y0, x1, y1 .* found \(\)"),
        ("[regions.a]\nbox = [9, 0, 0, 9]", "regions.a.box: expected x0"),
        ("[regions.a]\nbox = [0, 0, 101, 9]", "regions.a.box: .*100 x 80 pixels"),
        ("[regions.a]\nbox = [0, 0, 9, 9]\nkind = 'dial'", "regions.a.kind: expected counter, num"),
        ("[regions.a]\nbox = [0, 0, 9, 9]\nkind = 'counter'", "regions.a.digits: expected 1 to"),
        ("[regions.a]\nbox = [0, 0, 9, 9]\ndigits = 4\ndecimals = 5", "decimals: expected 0 to 4"),
        ("[regions.a]\nbox = [0, 0, 9, 9]\nexpect = '[9-1]'", "regions.a.expect: "),
        ("[regions.a]\nbox = [0, 0, 9, 9]\nmost_per_hour = 0", "a.most_per_hour: expected a num"),
        ("[regions.a]\nbox = [0, 0, 9, 9]\nmost_per_hour = inf", "a.most_per_hour: expected a num"),
        ("[regions.a]\nbox = [0, 0, 9, 9]\nlength = 4", "regions.a.length: unknown"),
        ("[regions.'a b']\nbox = [0, 0, 9, 9]", "regions.a b: expected a name"),
        ("regions", "is not a TOML file"),
        ("a = " + "[" * 5000, "is not a TOML file"),
    ],
)
def test_error_names_the_wrong_key(folder, text, told):
    with pytest.raises(TemplateError, match=told):
        load_template(written(folder, text))


def test_all_errors_are_reported_at_once(folder):
    with pytest.raises(TemplateError, match=r"picture: .*no such file.*regions\.a\.box"):
        load_template(written(folder, "[regions.a]\nbox = 1", "none.png"))
    with pytest.raises(TemplateError, match="digitlens template"):
        load_template(folder / "none.toml")


SIZE = (480, 360)
BOX = (120, 140, 360, 200)


def page(seed=0):
    """A form with words and boxes."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", SIZE, (235, 235, 230))
    pen = ImageDraw.Draw(image)
    for y in range(20, 340, 32):
        word = "".join(chr(65 + int(k)) for k in rng.integers(0, 26, 12))
        pen.text((20 + int(rng.integers(60)), y), word, (40, 40, 50), ImageFont.load_default(22))
    for _ in range(12):
        x, y = rng.integers(0, 400, 2)
        pen.rectangle((int(x), int(y), int(x) + 50, int(y) + 18), outline=(160, 30, 30), width=3)
    return np.asarray(image)


def seen(picture, *, turn=0.0, scale=1.0, shift=(0, 0), tilt=0.0):
    matrix = np.vstack([cv2.getRotationMatrix2D((240, 180), turn, scale), [tilt, 0, 1]])
    matrix[:2, 2] += shift
    return cv2.warpPerspective(picture, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE), matrix


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"shift": (23, -14)},
        {"turn": 12, "scale": 0.8},
        {"turn": -4, "scale": 1.2, "tilt": 2e-4},
    ],
)
def test_picture_is_registered_when_shifted_rotated_scaled_or_tilted(how):
    picture, matrix = seen(page(), **how)
    darker = (picture * 0.6 + np.linspace(0, 60, SIZE[0])[None, :, None]).astype(np.uint8)
    found = Reference(page()).register(darker)
    corners = np.array([BOX[:2], (BOX[2], BOX[1]), BOX[2:], (BOX[0], BOX[3])], np.float32)
    wanted = cv2.perspectiveTransform(corners[None], matrix)[0]
    assert found.matches
    assert np.abs(found.quad(BOX) - wanted).max() < 2


def test_a_blank_reference_is_refused():
    with pytest.raises(TemplateError, match="expected at least 8 distinct points, found 0"):
        Reference(np.full((100, 100), 240, np.uint8))


@pytest.mark.parametrize(
    "other",
    [
        page(1),
        np.zeros((100, 100), np.uint8),
        np.random.default_rng(0).integers(0, 256, (360, 480, 3)).astype(np.uint8),
        page()[:, ::-1],
    ],
)
def test_other_pictures_do_not_match(other):
    assert not Reference(page()).register(np.ascontiguousarray(other)).matches


def drum(wheels, *texts, **more):
    """The drum learned from clear pictures of ``texts``."""
    known = Drum()
    for text in texts:
        known.learn(wheels(*map(int, text), **more), text)
        known.observe(wheels(*map(int, text), **more))
    return known


ALL = "12345671", "81911011"


@pytest.mark.parametrize("apart", [26, 30, 40])
@pytest.mark.parametrize("dark", [False, True])
def test_wheel_between_digits_is_read_after_clear_pictures_of_the_meter(wheels, apart, dark):
    known = drum(wheels, *ALL, apart=apart, noise=4)
    for digit in range(10):
        half = wheels(1, digit + 0.5, apart=apart, dark=dark, noise=12, seed=digit)
        both = np.stack(known.observe(half // 2 + 50))[:, 1]
        assert both.argmax() == 10 + digit
        assert both[1, digit] > 10 * np.delete(both.ravel(), 10 + digit).max()


def test_a_digit_that_was_never_seen_clearly_is_not_ruled_out(wheels):
    assert all((each == 1).all() for each in Drum().observe(wheels(1, 4.5)))
    between = drum(wheels, "1234561", "2345611").observe(wheels(1, 8.5, noise=12))[1][1]
    assert between[8] >= between[1:6].max()
    unlearnt = drum(wheels, "9009999")  # these may be between digits
    assert (unlearnt.observe(wheels(1, 4.5))[1] == 1).all()


def test_wheels_are_cropped_at_their_positions():
    page = np.zeros((60, 120), np.uint8)
    page[10:42, 36:60] = 200  # the second of three
    cells = Registration(np.eye(3), 1.0).cells(page, (12, 10, 84, 42), 3)
    assert cells.shape == (3, 32, 24)
    assert [round(float(each[2:-2, 2:-2].mean())) for each in cells] == [0, 200, 0]
