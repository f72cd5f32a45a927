import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digitlens.datasets import mnist as data
from digitlens.errors import DataError, ImageError
from digitlens.explain import explanation as explained
from digitlens.explain.trained_model import TrainedModel
from digitlens.imaging.image import load_image
from digitlens.reading.reader import DigitReader

COMMAND = "explain --model swift"
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, small_split):
    """An empty working folder; models have 300 training tiles and 100 for validation."""
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(TrainedModel, "training", small_split.take(range(300)))
    monkeypatch.setattr(TrainedModel, "split", small_split.take(range(300, 400)))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture(scope="module")
def reader():
    return DigitReader("swift", threads=1)


def test_drawing_is_explained_on_stdout_and_in_a_folder(run, here):
    shutil.copy(EXAMPLES / "drawing.png", here / "mine.png")
    folder = here / "explanation-mine"
    done = run("mine.png")
    text = done.stdout
    assert "mine.png: Read: 7" in text
    assert "digit 1: A 7, 99 % sure" in text
    for part in ("digit detector", "the line reads “7”", "most like it", "smallest changes"):
        assert part in text
    assert "open explanation-mine/explanation.html" in done.stderr
    assert {path.name for path in folder.iterdir()} == {
        *("explanation.html", "explanation.json", "overview.png", "stages")
    }
    assert (folder / "stages" / "6-answer.png").is_file()
    values = json.loads((folder / "explanation.json").read_text())
    assert values["text"] == "7"
    html = (folder / "explanation.html").read_text()
    assert "http" not in html.replace("http-equiv", "")


def test_json_contains_the_whole_explanation(run, here, small_split):
    done = run(EXAMPLES / "drawing.png", "--json", "--out", "elsewhere")
    values = json.loads(done.stdout)
    assert values == json.loads((here / "elsewhere" / "explanation.json").read_text())
    (one,) = values["digits"]
    assert (one["value"], one["status"], one["number"]) == (7, "digit", 1)
    assert {name: np.argmax(said["digits"]) for name, said in one["scores"].items()} == {
        "detector": 7, "recognizer": 7, "classifier": 7
    }  # fmt: skip
    assert (one["line"], values["lines"]) == ("7", ["7"])
    assert np.shape(one["tile"]) == np.shape(one["evidence"]) == (28, 28)
    assert one["runner_up"] != 7
    assert all(change["value"] != 7 for change in one["changes"])
    assert {"erase", "add"} <= {change["kind"] for change in one["changes"]}
    alike = one["alike"]
    assert len(alike["nearest"]) == 8
    for near in (*alike["nearest"], *alike["of_value"], *alike["of_runner_up"]):
        assert small_split.labels[near["index"]] == near["label"]
    assert {near["label"] for near in alike["of_value"]} == {7}
    assert {near["label"] for near in alike["of_runner_up"]} == {one["runner_up"]}
    assert alike["usual"] == 100
    assert 0 <= alike["share_of_usual_nearer"] <= 1
    assert values["rejected"] == []
    assert values["looks"]


def test_blank_page_explains_why_nothing_was_read(run, here):
    Image.new("L", (120, 90), "white").save(here / "blank.png")
    done = run("blank.png", "--out", "out")
    assert "No digits were read" in done.stdout
    assert "It detected no digit: the highest score was" in done.stdout
    facts = json.loads((here / "out" / "explanation.json").read_text())
    assert facts["text"] == ""
    assert facts["digits"] == facts["rejected"] == []
    assert facts["strongest"] < facts["least"]
    assert len(facts["looks"]) == (here / "out" / "explanation.html").read_text().count("View ") > 0


def test_without_mnist_only_the_neighbours_are_missing(run, monkeypatch):
    def missing(_=None):
        raise DataError("no source has it")

    monkeypatch.delattr(TrainedModel, "training")
    monkeypatch.setattr(
        TrainedModel, "training", property(lambda _: data.load_mnist()), raising=False
    )
    monkeypatch.setattr(data, "load_mnist", missing)
    done = run(EXAMPLES / "drawing.png", "--json")
    told = json.loads(done.stdout)
    assert "digitlens data --fetch" in told["note"]
    assert told["digits"][0]["alike"] is None
    assert told["digits"][0]["changes"]


def test_page_and_digit_are_chosen_and_missing_ones_refused(run, here):
    with Image.open(EXAMPLES / "drawing.png") as page:
        blank = Image.new(page.mode, page.size, "white")
        blank.save(here / "two.tif", save_all=True, append_images=[page])
    done = run("two.tif", "--page", "2", "--digit", "1")
    assert "two.tif#2: Read: 7" in done.stdout
    assert (here / "explanation-two-page-2" / "explanation.html").is_file()
    message = "has 2 pages, found --page 3"
    run.fails(ImageError, message, "two.tif", "--page", "3")
    run.misused("a digit from 1 to 1, found 2", "two.tif", "--page", "2", "--digit", "2")
    run.fails(ImageError, "no such file", "none.png")


def test_rejected_candidate_is_explained_without_attributions(reader):
    page = np.full((280, 280), 255, np.uint8)
    for k in range(160):  # an A
        for x in (140 - k * 0.45, 140 + k * 0.45):
            page[50 + k : 60 + k, int(x) - 7 : int(x) + 8] = 0
    page[150:162, 95:185] = 0
    story = explained.explain("A", reader, reader.examine(page), "swift")
    assert not story.digits
    (one,) = story.rejected
    assert one.digit.status == "rejected"
    assert one.attributions is None
    assert one.alike is not None


def test_runner_up_comes_from_the_fusion_or_else_from_the_classifier():
    chances = (0.9, 0.0, 0.06, 0.04, *(0.0,) * 6)
    own = np.array([0.9, 0.05, 0.01, 0.04, *(0.0,) * 6])
    assert explained._runner_up(0, chances, own) == 2
    assert explained._runner_up(0, (0.991, 0.0, 0.005, 0.004, *(0.0,) * 6), own) == 1


def test_at_most_twelve_digits_are_explained(reader, monkeypatch):
    seen = reader.examine(load_image(EXAMPLES / "drawing.png"))
    one = explained._collect(seen)[0]
    monkeypatch.setattr(explained, "_collect", lambda *_: [one] * 15)
    monkeypatch.setattr(explained, "_attribute", lambda account, _: account)
    story = explained.explain("many", reader, seen, "swift")
    assert len(story.digits) == 12
    assert story.left_out == (3, 0)
