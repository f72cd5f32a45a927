import csv
import json

import numpy as np
import pytest
from chaos.inputs import draw_meter
from PIL import Image

from digitlens.errors import TemplateError
from digitlens.reading.template import load_template

WATCH = ("watch", "in", "--template", "meter.toml")


@pytest.fixture
def cellar(tmp_path, monkeypatch):
    """A template of a counter and a folder for pictures of it."""
    monkeypatch.chdir(tmp_path)
    draw_meter(tmp_path / "meter.png", "40751")
    (tmp_path / "in").mkdir()
    (tmp_path / "meter.toml").write_text(
        'picture = "meter.png"\n[regions.main]\nbox = [310, 165, 550, 225]\nkind = "counter"\n'
        'digits = 5\ndecimals = 1\nunit = "kWh"\nmost_per_hour = 12.5\n'
    )
    return tmp_path


@pytest.fixture
def form(tmp_path):
    return draw_meter(tmp_path / "form.png", "40751")


def test_values_are_logged_and_impossible_ones_rejected(run, cellar):
    for minute, number in enumerate(("40751", "40752", "40152", "40753")):
        draw_meter(cellar / f"in/{minute}.png", number, minute)
    Image.new("RGB", (640, 360)).save(cellar / "in/dead.png")
    (cellar / "in/torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    done = run(*WATCH, "--once", "--wait", "0", "--out", "log.csv", code=1)
    assert "could not be read: torn.jpg" in done.stderr
    with (cellar / "log.csv").open(newline="") as file:
        rows = {row["picture"]: row for row in csv.DictReader(file)}
    assert {name: (row["status"], row["value"]) for name, row in rows.items()} == {
        "0.png": ("value", "4075.1"),
        "1.png": ("value", "4075.2"),
        "2.png": ("rejected", ""),
        "3.png": ("value", "4075.3"),
        "dead.png": ("rejected", ""),
        "torn.jpg": ("error", ""),
    }
    assert "cannot follow 4075.2" in rows["2.png"]["reason"]
    assert "does not show what the template's picture shows" in rows["dead.png"]["reason"]
    assert "0.png\tmain\t4075.1 kWh" in done.stdout
    assert run(*WATCH, "--once", "--out", "log.csv").stdout == ""


def test_unreachable_webhook_is_reported_and_readings_logged(run, cellar):
    draw_meter(cellar / "in/a.png", "40751")
    done = run(*WATCH, "--once", "--out", "log.sqlite", "--webhook", "http://127.0.0.1:9/x", code=1)
    assert "127.0.0.1:9/x: cannot be reached" in done.stderr
    assert "1 readings were not posted" in done.stderr
    assert "a.png\tmain\tdoubtful\tmay be 40751" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--webhook", "there"], "--webhook"),
        (["--mqtt", "mqtt://host"], "--mqtt"),
        (["--wait", "-1"], "--wait"),
    ],
)
def test_invalid_options_are_refused(run, cellar, arguments, message):
    assert cellar
    run.misused(message, *WATCH, "--once", *arguments)


def test_template_is_written_and_tried(run, form, tmp_path):
    out = tmp_path / "made" / "form.toml"
    region = "reading=310,165,550,225,5,kind=counter,digits=5,decimals=1,unit=kWh"
    done = run("template", form, "--region", region, "--out", out, "--json")
    assert json.loads(done.stdout) == {"reading": "40751"}
    template = load_template(out)
    assert template.page.shape == (360, 640, 3)
    (parsed,) = template.regions
    assert (parsed.expect, parsed.kind, parsed.decimals, parsed.unit) == ("5", "counter", 1, "kWh")
    assert np.allclose(parsed.box, (310, 165, 550, 225))


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        (["a=1,2,3"], "a.box: expected x0"),
        (["a=1,2,x,4"], "expected NAME=X0,Y0,X1,Y1"),
        (["a=1,2,9,9,kind=dial"], "regions.a.kind: expected counter"),
        (["a=1,2,9,9,one of 12, 15,digits=99"], "regions.a.digits"),
        (["a=310,165,550,225"] * 2, "regions.a: named twice"),
        ([], "too few features"),
    ],
)
def test_invalid_region_or_picture_is_refused_before_writing(run, form, tmp_path, regions, message):
    if not regions:
        regions = ["a=1,2,90,50"]
        Image.new("RGB", (640, 360), (240, 240, 236)).save(form)
    arguments = [word for region in regions for word in ("--region", region)]
    done = run("template", form, *arguments, "--out", tmp_path / "t.toml", code=None)
    assert done.exit_code == (1 if isinstance(done.exception, TemplateError) else 2)
    assert message in f"{done.exception} {' '.join(done.output.replace('│', ' ').split())}"
    assert not (tmp_path / "t.toml").exists()
