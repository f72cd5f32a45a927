"""The HTML of the report page: complete, escaped, self-contained and small."""

import dataclasses
import re
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from html.parser import HTMLParser

import numpy as np
import pytest

from digitlens.datasets.mnist import Split
from digitlens.evaluation.report import evaluate
from digitlens.training.recipe import Recipe
from digitlens.visualization.report_page import CELL, MAX_ERRORS, render

SECTIONS = ["trained", "training", "scores", "confusion", "errors", "calibration"]
ENDS = ["recipe", "provenance"]
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Tags(HTMLParser):
    """The elements of a page, as (name, attributes)."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, name):
        return [attributes for tag, attributes in self.found if tag == name]


@pytest.fixture(scope="module")
def page(make_contents):
    return render(make_contents())


def test_sections_are_in_order_and_every_anchor_has_a_target(page):
    tags = Tags(page)
    names = [attributes["id"] for attributes in tags.of("section") if "tabindex" not in attributes]
    assert names == [*SECTIONS, *ENDS]
    ids = Counter(attributes["id"] for _, attributes in tags.found if "id" in attributes)
    assert not [name for name, times in ids.items() if times > 1]
    hrefs = {a["href"] for a in tags.of("a")}
    assert all(href[0] == "#" and href[1:] in ids for href in hrefs)
    assert {f"#cell-{digit}-{(digit + 1) % 10}" for digit in range(10)} <= hrefs


def test_page_loads_nothing_from_outside(page):
    assert not re.findall(r"(?:src|href|url\()\s*=?\s*[\"']?(?!data:|#)\w+:", page)
    assert "http://" not in page
    assert "https://" not in page
    policy = Tags(page).of("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for element in ("style", "script"):
        (text,) = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert not [
        name for _, attributes in Tags(page).found for name in attributes if name == "style"
    ]


def test_all_input_is_escaped(make_contents):
    page = render(
        make_contents(
            name=EVIL,
            recipe=dataclasses.replace(Recipe(), teacher=EVIL),
            provenance={"device": EVIL, "versions": {EVIL: EVIL}},
            alone=EVIL,
            machine=EVIL,
        )
    )
    tags = Tags(page)
    assert len(tags.of("script")) == 1
    assert not [attributes for _, attributes in tags.found if "onerror" in attributes]
    assert "&lt;script&gt;alert(1)" in page


def test_verdict_is_one_sentence_with_interval_and_errors(page, make_contents):
    found = re.search(r'<p class="verdict">(.*?)</p>', page.replace("\u202f", " "))
    assert found
    # Every seventh of 400 tiles is misread: 58 tiles.
    assert found[1] == (
        "It reads 85.50 % of the MNIST test set correctly (95 % interval: 81.71 % to 88.61 %): "
        "58 errors in 400 digits, none of them used for training."
    )
    kept = render(make_contents(on="validation"))
    assert "of its validation tiles correctly" in kept


def test_cells_hold_their_tiles_and_errors_their_nearest_neighbours(page):
    panel = page[page.index('id="cell-3-4"') :]
    panel = panel[: panel.index("</section>")]
    assert panel.count("<img") == panel.count(": 3 read as 4, ") // 2  # alt and title
    near = page.count('aria-label="Nearest training digits"')
    assert near == page.count('class="tile big"') == 58
    assert "training digit 0 at distance 0.50" in page


def test_errors_list_the_vote_of_each_network(make_contents):
    votes = np.tile(np.array([3, 4, 9], np.uint8), (58, 1))
    page = render(make_contents(votes=votes))
    assert page.count("individual networks:") == 58
    assert '<b class="blue">3</b> <b class="red">4</b> 9' in page


def test_perfect_model_has_no_errors_to_show(make_contents):
    page = render(make_contents(every=1000, neighbours=None))
    assert "1 error in 400 digits" in page
    labels = make_contents().model.report.labels
    sure = np.full((len(labels), 10), 0.01, np.float32)
    sure[np.arange(len(labels)), labels] = 0.91
    tiles = make_contents().model.split.tiles
    report = evaluate(lambda tiles: sure[: len(tiles)], Split(tiles, labels))
    page = render(make_contents(every=1000, neighbours=None, report=report))
    assert "There are none: every tile was read correctly." in page


def test_one_epoch_suffices_and_missing_information_is_mentioned(make_contents):
    row = {"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.8, "learning_rate": 0.0}
    page = render(make_contents(history=[row]))
    assert "there is no validation curve" in page
    assert page.count('class="plot"') == 3  # one of training and two of calibration
    bare = make_contents(history=(), neighbours=None, alone="It has no features.")
    bare.model.card = dataclasses.replace(bare.model.card, recipe={})
    page = render(bare)
    assert "There is no training history" in page
    assert "It has no features." in page
    assert "card has no recipe" in page
    assert "Nearest training digits" not in page


@pytest.mark.mnist
def test_page_of_a_bad_model_stays_below_three_megabytes(make_contents, mnist):
    contents = make_contents(mnist.test)
    random = np.random.default_rng(0)
    guessed = random.random((len(mnist.test), 10), np.float32)
    guessed /= guessed.sum(axis=1, keepdims=True)
    chunks = iter(np.split(guessed, 10))
    report = evaluate(lambda _tiles: next(chunks), mnist.test)
    assert report.score.errors > 8000
    near = dataclasses.replace(
        contents.neighbours,
        tiles=mnist.test.tiles[: 5 * MAX_ERRORS].reshape(MAX_ERRORS, 5, 28, 28),
        labels=mnist.test.labels[: 5 * MAX_ERRORS].reshape(MAX_ERRORS, 5),
        distances=np.zeros((MAX_ERRORS, 5), np.float32),
    )
    whole = make_contents(mnist.test, report=report, neighbours=near)
    whole.model.split = mnist.test
    page = render(whole)
    assert len(page.encode()) < 3_000_000
    assert page.count('class="tile big"') == MAX_ERRORS
    assert page.count(" read as ") > 80 * CELL
    assert "errors are not shown individually" in page
    assert "more are not shown" in page
