import numpy as np
import pytest

from digitlens.recognition.rules import find_rules


@pytest.fixture
def ruled():
    mask = np.zeros((200, 400), bool)
    mask[40:43] = mask[140:143] = True
    return mask


def test_lines_along_the_page_are_rules(ruled):
    assert np.array_equal(find_rules(ruled), ruled)
    assert np.array_equal(find_rules(ruled.T), ruled.T)


def test_a_tilted_line_is_a_rule():
    mask = np.zeros((200, 400), bool)
    for x in range(400):
        mask[60 + x // 50 : 63 + x // 50, x] = True
    assert find_rules(mask)[mask].mean() > 0.95


def test_a_stroke_across_a_rule_stays_whole(ruled):
    stroke = np.zeros_like(ruled)
    stroke[20:100, 200:208] = True
    rules = find_rules(ruled | stroke)
    assert not rules[stroke].any()
    assert rules[ruled & ~stroke].all()


def test_the_bars_of_digits_are_no_rules():
    mask = np.zeros((200, 400), bool)
    mask[30:42, 60:200] = mask[30:170, 188:200] = True  # a large 7
    assert not find_rules(mask).any()


def test_a_line_that_touches_no_border_is_no_rule():
    mask = np.zeros((200, 400), bool)
    mask[100:103, 40:360] = True
    assert not find_rules(mask).any()


def test_a_page_of_ink_is_no_rule():
    assert not find_rules(np.ones((200, 400), bool)).any()


def test_small_pictures_have_no_rules():
    mask = np.zeros((28, 28), bool)
    mask[4:6] = True
    assert not find_rules(mask).any()
