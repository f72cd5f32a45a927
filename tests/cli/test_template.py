import json

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digitlens.errors import TemplateError
from digitlens.reading.template import load_template

COMMAND = "template"


@pytest.fixture
def form(tmp_path):
    """A form with a number on it."""
    image = Image.new("RGB", (640, 360), (240, 240, 236))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(30)
    for y, text in ((30, "METER READING"), (90, "please write clearly"), (300, "thank you")):
        pen.text((40, y), text, (40, 40, 60), font)
    pen.rectangle((300, 160, 560, 230), outline=(60, 60, 60), width=3)
    pen.text((330, 172), "40751", (10, 10, 40), ImageFont.load_default(46))
    image.save(tmp_path / "form.png")
    return tmp_path / "form.png"


def test_a_template_is_written_and_tried(run, form, tmp_path):
    out = tmp_path / "made" / "form.toml"
    region = "reading=310,165,550,225,5,kind=counter,digits=5,decimals=1,unit=kWh"
    done = run(form, "--region", region, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"reading": "40751"}
    template = load_template(out)
    assert template.page.shape == (360, 640, 3)
    (made,) = template.regions
    assert (made.expect, made.kind, made.decimals, made.unit) == ("5", "counter", 1, "kWh")
    assert np.allclose(made.box, (310, 165, 550, 225))


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ("a=1,2,3", "a.box: expected x0"),
        ("a=1,2,x,4", "expected NAME=X0,Y0,X1,Y1"),
        ("a=1,2,9,9,kind=dial", "regions.a.kind: expected counter"),
        ("a=1,2,9,9,one of 12, 15,digits=99", "regions.a.digits"),
    ],
)
def test_a_wrong_region_is_told(run, form, tmp_path, region, told):
    done = run(form, "--region", region, "--out", tmp_path / "t.toml")
    assert done.exit_code == 2
    assert told in " ".join(done.output.replace("│", " ").split())
    assert not (tmp_path / "t.toml").exists()


def test_a_blank_picture_is_told_before_anything_is_written(run, tmp_path):
    Image.new("RGB", (640, 360), (240, 240, 236)).save(tmp_path / "blank.png")
    done = run(tmp_path / "blank.png", "--region", "a=1,2,90,50", "--out", tmp_path / "t.toml")
    assert isinstance(done.exception, TemplateError)
    assert "shows too little" in str(done.exception)
    assert not (tmp_path / "t.toml").exists()


def test_two_regions_of_one_name_are_told(run, form, tmp_path):
    region = "reading=310,165,550,225"
    done = run(form, "--region", region, "--region", region, "--out", tmp_path / "t.toml")
    assert isinstance(done.exception, TemplateError)
    assert "regions.reading: named twice" in str(done.exception)
    assert not (tmp_path / "t.toml").exists()
