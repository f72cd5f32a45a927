import numpy as np
import pytest
from PIL import Image

from digitlens.errors import TemplateError
from digitlens.reading.template import Region, load_template, make_region, write_template

WHOLE = {"box": [10, 20, 90, 40]}


@pytest.fixture
def folder(tmp_path):
    Image.fromarray(np.zeros((80, 100), np.uint8)).save(tmp_path / "form.png")
    return tmp_path


def written(folder, text, picture="form.png"):
    path = folder / "form.toml"
    path.write_text(f'picture = "{picture}"\n{text}', encoding="utf-8")
    return path


def test_what_is_written_is_loaded(folder):
    regions = (
        Region("total", (10, 20, 90, 40), expect="range 0..500", unit="€"),
        Region("main", (0.1, 0.5, 0.9, 1.0), "counter", "", 8, 3, "m³", True, 0.5),
    )
    text = write_template("form.png", regions, "%Y%m%d_%H%M")
    (folder / "form.toml").write_text(text, encoding="utf-8")
    template = load_template(folder / "form.toml")
    assert template.regions == regions
    assert template.time == "%Y%m%d_%H%M"
    assert template.page.shape == (80, 100)
    assert regions[1].pixels(template.page) == (10, 40, 90, 80)


def test_a_counter_does_not_go_back_unless_told_otherwise():
    assert make_region("main", {**WHOLE, "kind": "counter", "digits": 5}).monotone
    assert not make_region("main", WHOLE).monotone
    assert not make_region(
        "main", {**WHOLE, "kind": "counter", "digits": 5, "monotone": False}
    ).monotone


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "regions: expected a table"),
        ("title = 1\n[regions.a]\nbox = [0, 0, 9, 9]", "title: is no key"),
        ("time = 3\n[regions.a]\nbox = [0, 0, 9, 9]", "time: expected a format"),
        ("[regions.a]", r"regions.a.box: expected x0, y0, x1, y1 .* found \(\)"),
        ("[regions.a]\nbox = [9, 0, 0, 9]", "regions.a.box: expected x0"),
        ("[regions.a]\nbox = [0, 0, 101, 9]", "regions.a.box: .*100 x 80 pixels"),
        ("[regions.a]\nbox = [0, 0, 9, 9]\nkind = 'dial'", "regions.a.kind: expected counter, num"),
        ("[regions.a]\nbox = [0, 0, 9, 9]\nkind = 'counter'", "regions.a.digits: expected 1 to"),
        (
            "[regions.a]\nbox = [0, 0, 9, 9]\ndigits = 4\ndecimals = 5",
            "decimals: expected 0 to 4",
        ),
        ("[regions.a]\nbox = [0, 0, 9, 9]\nexpect = '[9-1]'", "regions.a.expect: "),
        ("[regions.a]\nbox = [0, 0, 9, 9]\nmost_per_hour = 0", "a.most_per_hour: expected a num"),
        ("[regions.a]\nbox = [0, 0, 9, 9]\nmost_per_hour = inf", "a.most_per_hour: expected a num"),
        (
            "[regions.a]\nbox = [0, 0, 9, 9]\nlength = 4",
            "regions.a.length: is no key",
        ),
        ("[regions.'a b']\nbox = [0, 0, 9, 9]", "regions.a b: expected a name"),
        ("regions", "is no TOML file"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(folder, text, told):
    with pytest.raises(TemplateError, match=told):
        load_template(written(folder, text))


def test_all_that_is_wrong_is_told_at_once(folder):
    with pytest.raises(TemplateError, match=r"picture: .*no such file.*regions\.a\.box"):
        load_template(written(folder, "[regions.a]\nbox = 1", "none.png"))
    with pytest.raises(TemplateError, match="digitlens template"):
        load_template(folder / "none.toml")
