import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from digitlens.explain.evidence import Counterfactual
from digitlens.explain.explanation import (
    Attributions,
    DigitExplanation,
    Explanation,
    Neighbour,
    SimilarDigits,
)
from digitlens.results import Box, Digit, Reading
from digitlens.visualization.explanation_page import AGAINST, FOR, blend, mark, page

TILE = np.zeros((28, 28), np.uint8)
TILE[4:24, 12:16] = 255


def test_evidence_for_the_answer_is_blue_and_against_it_orange():
    evidence = np.zeros((28, 28), np.float32)
    evidence[2, 3], evidence[20, 20] = 1, -1
    picture = blend(TILE, evidence).astype(int)
    assert np.abs(picture[2, 3] - 0.75 * np.array(FOR)).max() <= 1
    assert np.abs(picture[20, 20] - 0.75 * np.array(AGAINST)).max() <= 1
    assert (picture[0, 0] == 0).all()
    assert len(set(picture[10, 13].tolist())) == 1  # ink without evidence is gray
    assert (blend(TILE, 0 * evidence) == blend(TILE, 0 * evidence)[..., :1]).all()


def test_changed_patch_is_framed():
    framed = mark(Counterfactual("add", 3, (4, 12), 0.1, 9, 0.7, TILE))
    rows, columns = np.nonzero((framed == AGAINST).all(axis=2))
    assert (rows.min(), columns.min()) == (15, 47)
    assert (rows.max(), columns.max()) == (15 + 13, 47 + 13)
    turned = mark(Counterfactual("turn", 3, None, 0.0, 9, 0.7, TILE))
    assert not (turned == AGAINST).all(axis=2).any()


def account(number=1, status="digit"):
    own = np.full(10, 0.02)
    own[4] = 0.82
    reason = "" if status == "digit" else "50 % sure, <could> be 9"
    digit = Digit(4, 0.9, tuple(own.tolist()), Box(10, 20, 40, 80), status, reason)
    ones = tuple(Neighbour(k, 4 + 5 * (k % 2), 0.25, TILE) for k in range(8))
    evidence = np.zeros((28, 28), np.float32)
    evidence[5, 13], evidence[20, 20] = 2, -2
    found = (
        Counterfactual("erase", 3, (4, 12), 0.1, 9, 0.7, TILE),
        Counterfactual("turn", -12, None, 0.0, 7, 0.6, TILE),
    )
    reasons = None if status == "rejected" else Attributions(evidence, evidence, found)
    scores = np.stack([own] * 3)
    alike = SimilarDigits(ones, ones[::2], ones[1::2], 0.3, 1000)
    seen, exists = (True, True), (0.8, 0.9, 0.95)
    return DigitExplanation(number, digit, TILE, scores, exists, seen, "4", 9, reasons, alike)


HOSTILE = "<script>alert(1)</script>&\"'.png"


@pytest.fixture
def story():
    digits, rejected = (account(1), account(2, "unsure")), (account(1, "rejected"),)
    lines = (tuple(one.digit for one in (*digits, *rejected)),)
    reading = Reading(lines, 120, 90, HOSTILE, "0" * 64)
    pixels = np.full((90, 120), 255, np.uint8)
    return Explanation(
        HOSTILE, pixels, reading, 0, ((96, 64),), ("<4>4",), 0.5, 0.15, 0.6, digits, rejected
    )


class Reader(HTMLParser):
    """Parses a page into open tags, ids, addresses and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.addresses, self.tags, self.text = [], [], [], set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.add(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.addresses += [values[key] for key in ("src", "href") if key in values]
        if tag not in ("meta", "img", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_page_loads_nothing_and_escapes_its_input(story):
    text = page(story, [np.zeros((40, 60, 3), np.uint8)] * 9)
    read = Reader(text)
    assert not read.open
    assert not read.tags & {"script", "could", "iframe", "object"}
    assert "default-src 'none'" in text
    assert read.ids == ["digit-1", "digit-2", "rejected-1"]
    assert all(url.startswith(("data:", "#digit-")) for url in read.addresses)
    assert {url[1:] for url in read.addresses if url.startswith("#")} <= set(read.ids)
    assert "url(" not in text
    assert "@import" not in text
    changes = ("erase 3 x 3 pixels", "turn 12° clockwise")
    for part in (HOSTILE, "<could> be 9", "Read: 44", "“<4>4”", *changes):
        assert part in read.text
    assert text.count("View ") == 6
    assert "prefers-color-scheme: dark" in text


def test_images_of_the_page_decode(story):
    found = re.findall(r"data:image/(\w+);base64,([^\"]+)", page(story))
    assert len(found) > 30
    for kind, content in set(found):
        with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
            assert picture.format == kind.upper()
            picture.load()
