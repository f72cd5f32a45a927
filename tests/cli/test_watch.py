import csv
import os

import pytest
from PIL import Image, ImageDraw, ImageFont

COMMAND = "watch in --template meter.toml"


@pytest.fixture
def cellar(tmp_path, monkeypatch):
    """A template of a counter, and a folder with pictures of it."""
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "meter.png", "40751")
    (tmp_path / "in").mkdir()
    (tmp_path / "meter.toml").write_text(
        'picture = "meter.png"\n[regions.main]\nbox = [310, 165, 550, 225]\nkind = "counter"\n'
        'digits = 5\ndecimals = 1\nunit = "kWh"\nmost_per_hour = 12.5\n'
    )
    return tmp_path


def picture(path, number, minute=0):
    image = Image.new("RGB", (640, 360), (240, 240, 236))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(30)
    for y, text in ((30, "ELECTRICITY"), (90, "type B 230 V"), (300, "sealed by office")):
        pen.text((40, y), text, (40, 40, 60), font)
    pen.rectangle((300, 160, 560, 230), outline=(60, 60, 60), width=3)
    pen.text((330, 172), number, (10, 10, 40), ImageFont.load_default(46))
    image.save(path)
    os.utime(path, (1_700_000_000 + 60 * minute,) * 2)


def test_values_are_logged_and_what_cannot_be_is_not(run, cellar):
    for minute, number in enumerate(("40751", "40752", "40152", "40753")):
        picture(cellar / f"in/{minute}.png", number, minute)
    Image.new("RGB", (640, 360)).save(cellar / "in/dead.png")
    (cellar / "in/torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    done = run("--once", "--wait", "0", "--out", "log.csv")
    assert done.exit_code == 1, done.output
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
    again = run("--once", "--out", "log.csv")
    assert (again.exit_code, again.stdout) == (0, "")


def test_an_unreachable_webhook_is_told_and_all_is_logged(run, cellar):
    picture(cellar / "in/a.png", "40751")
    done = run("--once", "--out", "log.sqlite", "--webhook", "http://127.0.0.1:9/x")
    assert done.exit_code == 1
    assert "127.0.0.1:9/x: cannot be reached" in done.stderr
    assert "1 readings were not posted" in done.stderr
    assert "a.png\tmain\tdoubtful\tmay be 40751" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--webhook", "there"], "--webhook"),
        (["--mqtt", "mqtt://host"], "--mqtt"),
        (["--wait", "-1"], "--wait"),
    ],
)
def test_wrong_options_are_told(run, cellar, arguments, told):
    assert cellar
    done = run("--once", *arguments)
    assert done.exit_code == 2
    assert told in done.output
