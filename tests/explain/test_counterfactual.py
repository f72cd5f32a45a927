import numpy as np
import pytest
from digitlens.explain.counterfactual import KINDS, Counterfactual, find_counterfactuals
from hypothesis import given, settings
from hypothesis import strategies as st

from digitlens.datasets.corruptions import sweep


def stroke():
    """An upright stroke in the middle of a tile."""
    tile = np.zeros((28, 28), np.uint8)
    tile[5:23, 12:16] = 200
    return tile


def says_one_if(inked):
    """A classifier that says 1 where a condition on tiles holds, and 0 elsewhere."""

    def predict(tiles):
        chances = np.full((len(tiles), 10), 0.01)
        chances[np.arange(len(tiles)), inked(tiles).astype(int)] = 0.91
        return chances

    return predict


def by_kind(found: list[Counterfactual]) -> dict[str, Counterfactual]:
    return {change.kind: change for change in found}


@settings(max_examples=12)
@given(st.integers(2, 6), st.integers(0, 22), st.integers(17, 22), st.booleans())
def test_exactly_the_patch_that_a_classifier_looks_at_is_inked(side, row, column, grey):
    patch = (slice(None), slice(row, row + side), slice(column, column + side))
    least = 100 if grey else 255
    predict = says_one_if(lambda tiles: (tiles[patch] >= least).all(axis=(1, 2)))
    added = by_kind(find_counterfactuals(predict, stroke()))["add"]
    place = (row, column)
    assert (added.amount, added.place, added.value, added.probability) == (side, place, 1, 0.91)
    changed = np.flatnonzero(added.tile != stroke())
    assert len(changed) == side * side
    assert added.ink == pytest.approx(255 * side * side / stroke().sum())


def test_exactly_the_patch_that_a_classifier_looks_at_is_erased():
    predict = says_one_if(lambda tiles: tiles[:, 8:11, 12:15].any(axis=(1, 2)))
    tile = stroke()
    erased = by_kind(
        find_counterfactuals(lambda tiles: predict(tiles)[:, [1, 0, *range(2, 10)]], tile)
    )
    # Blanked or moved away; neither ink nor another width undoes it.
    assert erased["erase"].place == (8, 12)
    assert erased["erase"].amount == 3
    assert not erased["erase"].tile[8:11, 12:15].any()
    assert not {"add", "thicken"} & set(erased)


def test_the_least_turn_and_the_least_way_are_found():
    tile = stroke()
    beside = says_one_if(lambda tiles: tiles[:, 5:23, 19].sum(axis=1) > 1000)
    found = by_kind(find_counterfactuals(beside, tile))
    assert found["move"].place == (0, 4)
    assert found["move"].amount == 4
    assert (found["move"].tile == np.roll(tile, 4, axis=1)).all()
    leaning = says_one_if(lambda tiles: (tiles[:, 6, 17] > 60) & (tiles[:, 20, 16] < 60))
    turn = by_kind(find_counterfactuals(leaning, tile))["turn"]
    assert -20 < turn.amount < -5  # clockwise: its top to the right
    less = sweep(np.stack([tile]), "rotation", turn.amount + 1)
    assert leaning(turn.tile[None])[0, 1] > leaning(less)[0, 1]


def test_a_wider_or_thinner_stroke_is_found():
    tile = stroke()
    wide = says_one_if(lambda tiles: (tiles[:, 14] > 100).sum(axis=1) >= 6)
    assert 1 <= by_kind(find_counterfactuals(wide, tile))["thicken"].amount <= 2.5
    thin = says_one_if(lambda tiles: (tiles[:, 14] > 100).sum(axis=1) <= 3)
    assert 0.5 <= by_kind(find_counterfactuals(thin, tile))["thin"].amount <= 2


def test_an_answer_that_nothing_changes_is_said_to_be_so_with_few_tiles():
    asked = []

    def predict(tiles):
        asked.append(len(tiles))
        return np.tile(np.eye(10)[3], (len(tiles), 1))

    assert find_counterfactuals(predict, stroke()) == []
    assert sum(asked) < 1300
    assert len(asked) < 30


def test_what_is_found_changes_the_answer_and_is_the_same_each_time():
    weights = np.random.default_rng(0).normal(size=(784, 10)) / 1000

    def predict(tiles):
        powers = np.exp(tiles.reshape(-1, 784) @ weights)
        return powers / powers.sum(axis=1, keepdims=True)

    tile = stroke()
    before = predict(tile[None])[0].argmax()
    found, again = find_counterfactuals(predict, tile), find_counterfactuals(predict, tile)
    assert [one.as_dict() for one in found] == [one.as_dict() for one in again]
    assert [one.kind for one in found] == [kind for kind in KINDS if kind in by_kind(found)]
    assert len(found) >= 3
    for one in found:
        chances = predict(one.tile[None])[0]
        assert chances.argmax() == one.value != before
        assert one.probability == pytest.approx(chances.max())
        assert one.ink <= 0.5 or one.kind == "add"


def test_paper_has_nothing_to_change_and_anything_else_is_no_tile():
    predict = says_one_if(lambda tiles: tiles.any(axis=(1, 2)))
    assert find_counterfactuals(predict, np.zeros((28, 28), np.uint8)) == []
    with pytest.raises(ValueError, match=r"expected uint8\[28, 28\], found float64"):
        find_counterfactuals(predict, np.zeros((28, 28)))
