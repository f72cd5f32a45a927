"""The live page of a training in a real browser: updates, answers and the state after a reload."""

import numpy as np
import pytest

from digitlens.results import Outputs
from digitlens.server.training_page import LiveHistory, PageData, TrainingInfo, listen, serving
from digitlens.training.monitor import Check, Mistake, Point, Pulse, SampleScore

PER_EPOCH = 20


class Training:
    """A fake training of three epochs that advances on request."""

    def __init__(self):
        tiles = np.zeros((50, 28, 28), np.uint8)
        tiles[:, 4:24, 12:16] = 255
        self.history = LiveHistory(
            TrainingInfo("fast-1", {"epochs": 3, "seed": 5}, "50 held-out digits", 50)
        )
        self.show = PageData(self.history, tiles, self.answers)
        self.steps, self.value = 0, 3

    def answers(self, tiles):
        rows = np.full((len(tiles), 10), 0.04, np.float32)
        rows[:, self.value] = 0.64
        return Outputs(rows)

    def go_on(self, count=PER_EPOCH):
        numbers = range(self.steps + 1, self.steps + count + 1)
        points = tuple(Point(n, 2.3 / n**0.5, 1 - 0.9 / n, 0.1 - n / 1000) for n in numbers)
        self.steps += count
        epoch = (self.steps - 1) // PER_EPOCH + 1
        rows = tuple(
            {"epoch": e, "val_loss": 2 / e, "val_accuracy": 0.9 + e / 50, "seconds": 1.0}
            for e in range(1, self.steps // PER_EPOCH + 1)
        )
        self.history.record(
            Pulse(1, 1, epoch, 3, self.steps, 3 * PER_EPOCH, 12345.0, 75.0, rows, points)
        )
        confusion = np.diag(np.full(10, 4))
        confusion[3, 5], confusion[8, 9] = 3, 1
        mistakes = (*(Mistake(i, 3, 5, 0.9 - i / 10) for i in range(3)), Mistake(4, 8, 9, 0.3))
        loss, accuracy = 2.3 / self.steps**0.5, 1 - 0.9 / self.steps
        self.history.record(Check(self.steps, SampleScore(loss, accuracy, confusion, mistakes)))


@pytest.fixture
def training():
    return Training()


@pytest.fixture
def server(training):
    """Address of the training page; replaces the reader's server."""
    with serving(training.show, listen(0)) as address:
        yield address


def expect_text(page, where, text):
    script = "([where, text]) => document.getElementById(where).innerText.trim() === text"
    page.wait_for_function(script, arg=[where, text])


def expect_points(page, chart, kind, count):
    """Waits until a curve has this number of points."""
    script = """([where, count]) => {
        const path = document.querySelector(where)?.getAttribute('d') ?? '';
        return (path.match(/[ML]/g) ?? []).length === count; }"""
    page.wait_for_function(script, arg=[f"#{chart} path.{kind}", count])


def test_page_updates_during_training_and_reclassifies_the_drawing(open_page, training):
    training.go_on()
    page = open_page(width=1280)
    expect_text(page, "n-step", "20 of 60")
    expect_points(page, "loss", "raw", 20)
    assert page.inner_text("#n-left") == "1 min 15 s"
    page.hand.draw("7", x=120, y=50, height=150)
    expect_text(page, "verdict", "3, 64 % sure")
    training.value = 7
    training.go_on()
    expect_text(page, "verdict", "7, 64 % sure")
    # Lifting the pen restarts the trail: the first answer may arrive before or after that.
    assert page.locator("#trail li").all_inner_texts() in (["3", "7"], ["7"])
    assert page.locator("#bars .first").get_attribute("aria-label") == "7: 64 %"
    expect_points(page, "loss", "raw", 40)
    expect_points(page, "accuracy", "valid", 2)
    assert page.locator("#accuracy .dot").count() == 2
    page.click("#clear")
    expect_text(page, "verdict", "")

    page.reload()
    expect_text(page, "n-step", "40 of 60")
    expect_points(page, "rate", "train", 40)
    assert page.inner_text("#mistakes-title") == "Current mistakes: 4 of 50"
    assert page.locator("#mistakes li").count() == 4
    page.get_by_role("button", name="8 read as 9: 1").click()
    assert page.locator("#mistakes li").all_inner_texts() == ["8 → 9\n30 % sure"]
    page.click("#all")
    assert page.locator("#mistakes li").count() == 4

    training.go_on()
    training.history.end("Epoch 3 of 3 is kept.")
    expect_text(page, "state", "Training has ended. Epoch 3 of 3 is kept.")
    expect_text(page, "say", "Training has ended. Epoch 3 of 3 is kept.")
    assert page.get_attribute("#progress", "aria-valuenow") == "100"


def test_page_fits_a_phone_in_dark_mode(open_page, training):
    training.go_on()
    page = open_page(width=390, height=844, has_touch=True, is_mobile=True, color_scheme="dark")
    expect_text(page, "n-step", "20 of 60")
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    unnamed = """() => [...document.querySelectorAll('button, canvas, svg[role]')]
        .filter(e => e.checkVisibility() && !e.disabled && !(e.getAttribute('aria-label')
          || e.textContent.trim())).map(e => e.outerHTML)"""
    assert page.evaluate(unnamed) == []
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(17, 19, 22)"
    page.click("#theme")
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(246, 246, 243)"
