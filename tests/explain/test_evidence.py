import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from digitlens.datasets.corruptions import sweep
from digitlens.errors import MissingExtraError, ModelError
from digitlens.explain.evidence import (
    KINDS,
    Counterfactual,
    embed_known_digits,
    find_counterfactuals,
    find_nearest,
    integrate_gradients,
    log_odds,
    measure_usual_distances,
    occlude,
    pca,
    project,
)
from digitlens.results import Outputs
from digitlens.training.recipe import Recipe
from digitlens.training.tasks.tile import new_network

ROWS, COLUMNS = slice(9, 14), slice(17, 22)


def sees(patch, share):
    """A classifier whose log-odds of a 3 against a 4 are ``share`` times a patch's mean ink."""

    def predict_proba(tiles):
        odds = np.exp(share * tiles[(slice(None), *patch)].mean(axis=(1, 2)) / 255)
        rows = np.full((len(tiles), 10), 0.1 / 9)
        rows[:, 3] = odds * rows[:, 4]
        return rows / rows.sum(axis=1, keepdims=True)

    return predict_proba


@given(st.integers(0, 23), st.integers(0, 23), st.integers(1, 9))
def test_occlusion_finds_the_decisive_patch(top, left, size):
    patch = slice(top, top + 5), slice(left, left + 5)
    found = occlude(sees(patch, 4), np.full((28, 28), 255, np.uint8), 3, size=size, against=4)
    assert found.dtype == np.float32
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert top <= y < top + 5
    assert left <= x < left + 5
    reached = np.zeros((28, 28), bool)
    near = size - 1
    reached[max(0, top - near) : top + 5 + near, max(0, left - near) : left + 5 + near] = True
    # Exactly the pixels that share an occluded patch with it.
    assert np.array_equal(found > 1e-6, reached)


def test_occlusion_of_single_pixels_finds_exactly_the_patch():
    tile = np.full((28, 28), 255, np.uint8)
    found = occlude(sees((ROWS, COLUMNS), 5), tile, 3, size=1, against=4)
    expected = np.zeros((28, 28))
    expected[ROWS, COLUMNS] = 5 / 25  # nats per pixel
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_ink_where_there_should_be_none_is_evidence_against():
    tile = np.zeros((28, 28), np.uint8)
    tile[ROWS, COLUMNS] = 255
    blanked = occlude(sees((ROWS, COLUMNS), -4), tile, 3)
    assert blanked[11, 19] < 0
    assert blanked[0, 0] == 0
    inked = occlude(sees((ROWS, COLUMNS), -4), np.zeros_like(tile), 3, ink=255)
    assert inked[11, 19] > 0, "the paper there speaks for it"


def test_log_odds_stay_precise_near_certainty():
    rows = np.full((1, 10), 1e-9, np.float32)
    rows[0, 7] = 1
    assert log_odds(rows, 7)[0] == pytest.approx(-np.log(9e-9), rel=1e-6)
    assert log_odds(rows, 7, 2)[0] == pytest.approx(-np.log(1e-9), rel=1e-6)
    assert log_odds(np.eye(10, dtype=np.float32)[:1], 0, 1)[0] == pytest.approx(-np.log(1e-12))


def test_digit_cannot_be_compared_with_itself():
    with pytest.raises(ValueError, match="found 3 twice"):
        occlude(sees((ROWS, COLUMNS), 1), np.zeros((28, 28), np.uint8), 3, against=3)


class Weighted(nn.Module):
    """Logits that are weighted sums of pixels, and an eleventh that must be ignored."""

    def __init__(self):
        super().__init__()
        self.weight = torch.randn(11, 784, generator=torch.Generator().manual_seed(0)) / 500
        self.weight[10] = 100

    def forward(self, tiles):
        return tiles.flatten(1).float() @ self.weight.T


@pytest.mark.train
def test_gradients_of_a_linear_network_are_exact(small_split):
    network, tile = Weighted(), small_split.tiles[0]
    found = integrate_gradients(network, tile, 3, against=8)
    expected = (network.weight[3] - network.weight[8]).numpy().reshape(28, 28) * tile
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.train
@pytest.mark.parametrize("against", [None, 2])
def test_attributions_sum_to_the_difference_from_a_blank_tile(small_split, against):
    torch.manual_seed(1)
    network = new_network(Recipe(architecture="fast", widths=(4, 8))).eval()
    tile = small_split.tiles[5]
    found = integrate_gradients(network, tile, 7, against=against, steps=512)
    with torch.inference_mode():
        logits = network(torch.from_numpy(np.stack([tile, np.zeros_like(tile)])))
    rest = [digit for digit in range(10) if digit != 7] if against is None else [against]
    odds = logits[:, 7] - torch.logsumexp(logits[:, rest], 1)
    assert found.sum() == pytest.approx(float(odds[0] - odds[1]), abs=0.01)
    assert not found[tile == 0].any()
    assert all(weight.grad is None for weight in network.parameters())


def stroke():
    """An upright stroke in the middle of a tile."""
    tile = np.zeros((28, 28), np.uint8)
    tile[5:23, 12:16] = 200
    return tile


def says_one_if(inked):
    """A classifier that predicts 1 for tiles that meet a condition and 0 for others."""

    def predict(tiles):
        chances = np.full((len(tiles), 10), 0.01)
        chances[np.arange(len(tiles)), inked(tiles).astype(int)] = 0.91
        return chances

    return predict


def by_kind(found: list[Counterfactual]) -> dict[str, Counterfactual]:
    return {change.kind: change for change in found}


@settings(max_examples=12)
@given(st.integers(2, 6), st.integers(0, 22), st.integers(17, 22), st.booleans())
def test_counterfactual_inks_exactly_the_decisive_patch(side, row, column, grey):
    patch = (slice(None), slice(row, row + side), slice(column, column + side))
    least = 100 if grey else 255
    predict = says_one_if(lambda tiles: (tiles[patch] >= least).all(axis=(1, 2)))
    added = by_kind(find_counterfactuals(predict, stroke()))["add"]
    place = (row, column)
    assert (added.amount, added.place, added.value, added.probability) == (side, place, 1, 0.91)
    changed = np.flatnonzero(added.tile != stroke())
    assert len(changed) == side * side
    assert added.ink == pytest.approx(255 * side * side / stroke().sum())


def test_counterfactual_erases_exactly_the_decisive_patch():
    predict = says_one_if(lambda tiles: tiles[:, 8:11, 12:15].any(axis=(1, 2)))
    tile = stroke()
    erased = by_kind(
        find_counterfactuals(lambda tiles: predict(tiles)[:, [1, 0, *range(2, 10)]], tile)
    )
    # Erasing or moving the ink works; adding ink or widening the stroke does not.
    assert erased["erase"].place == (8, 12)
    assert erased["erase"].amount == 3
    assert not erased["erase"].tile[8:11, 12:15].any()
    assert not {"add", "thicken"} & set(erased)


def test_smallest_rotation_and_shift_are_found():
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


def test_search_without_counterfactuals_uses_few_tiles():
    asked = []

    def predict(tiles):
        asked.append(len(tiles))
        return np.tile(np.eye(10)[3], (len(tiles), 1))

    assert find_counterfactuals(predict, stroke()) == []
    assert sum(asked) < 1300
    assert len(asked) < 30


def test_counterfactuals_change_the_prediction_and_are_deterministic():
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


def test_blank_tile_has_no_counterfactuals_and_other_arrays_are_refused():
    predict = says_one_if(lambda tiles: tiles.any(axis=(1, 2)))
    assert find_counterfactuals(predict, np.zeros((28, 28), np.uint8)) == []
    with pytest.raises(ValueError, match=r"expected uint8\[28, 28\], found float64"):
        find_counterfactuals(predict, np.zeros((28, 28)))


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 6), st.data())
def test_nearest_neighbours_match_a_comparison_of_all_pairs(seed, count, width, data):
    random, k = np.random.default_rng(seed), data.draw(st.integers(1, count))
    known = random.normal(size=(count, width)).astype(np.float32)
    features = random.normal(size=(random.integers(1, 6), width)).astype(np.float32)
    apart = np.linalg.norm(unit(features)[:, None] - unit(known)[None], axis=2)
    found = find_nearest(features, known, k)
    np.testing.assert_allclose(found.distances, np.sort(apart, axis=1)[:, :k], atol=2e-3)
    mine = np.take_along_axis(apart, found.indices, axis=1)
    np.testing.assert_allclose(mine, found.distances, atol=2e-3)
    assert all(len(set(row)) == k for row in found.indices.tolist())
    assert (np.diff(found.distances, axis=1) >= 0).all()


def test_neighbours_at_equal_distance_are_in_order_of_index():
    known = np.tile(np.eye(3, dtype=np.float32), (3, 1))
    assert find_nearest(known[1:2], known, 3).indices.tolist() == [[1, 4, 7]]


class Model:
    """A fake model whose features are the sums of columns; counts the tiles it receives."""

    name, sha256 = "sums", "ab" * 32

    def __init__(self):
        self.asked = 0

    def outputs(self, tiles):
        self.asked += len(tiles)
        chances = np.full((len(tiles), 10), 0.1, np.float32)
        return Outputs(chances, features=tiles.sum(axis=1, dtype=np.float32) / 255)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path))
    return tmp_path / "known"


def test_computed_features_are_loaded_the_next_time(folder, small_split):
    model = Model()
    first = embed_known_digits(model, small_split)
    assert (first.features == small_split.tiles.sum(axis=1, dtype=np.float32) / 255).all()
    assert first.labels is small_split.labels
    asked, (file,) = model.asked, folder.iterdir()
    assert asked > len(small_split)
    again = embed_known_digits(model, small_split)
    assert model.asked == asked + 1  # to find their width
    assert again.features.dtype == np.float32
    assert (again.features == first.features).all()
    assert not first.features.flags.writeable
    assert not again.features.flags.writeable
    # Other tiles and another model are cached separately.
    embed_known_digits(model, small_split.take(range(40)))
    model.sha256 = "cd" * 32
    embed_known_digits(model, small_split)
    assert len(list(folder.iterdir())) == 3
    assert file.exists()


def wrong(kind, shape):
    values = np.ones(shape, kind)
    if kind is np.float32 and shape == (400, 28):
        values[7, 7] = np.nan
    return values


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"no numbers", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'"),
        *(wrong(np.float32, (400, 28)), wrong(np.float64, (400, 28)), wrong(np.float32, (400, 27))),
        np.array([{"a": 1}], object),
    ],
    ids=["empty", "text", "cut", "nan", "double", "narrow", "pickled"],
)
def test_damaged_cache_file_is_recomputed(folder, small_split, content):
    model = Model()
    right = np.array(embed_known_digits(model, small_split).features)
    (file,) = folder.iterdir()
    good = file.read_bytes()
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content, allow_pickle=True)
    asked = model.asked
    assert (embed_known_digits(model, small_split).features == right).all()
    assert model.asked == asked + 1 + len(small_split)
    assert file.read_bytes() == good


def test_unwritable_cache_is_only_reported(tmp_path, monkeypatch, small_split, capsys):
    (tmp_path / "file").write_text("here no folder can be")
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path / "file"))
    assert len(embed_known_digits(Model(), small_split).features) == 400
    assert "cannot be cached for the next run" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_usual_distances_are_sorted_and_cached(small_split):
    model = Model()
    known = embed_known_digits(model, small_split.take(range(300)))
    others = small_split.take(range(300, 400))
    found = measure_usual_distances(model, known, others)
    assert found.shape == (100,)
    assert (np.diff(found) >= 0).all()
    assert 0 < found[0] < found[-1] < 1
    asked = model.asked
    assert (measure_usual_distances(model, known, others) == found).all()
    assert model.asked == asked
    assert measure_usual_distances(model, known, others.take(np.zeros(100, bool))).shape == (0,)


def test_a_model_without_features_is_refused(folder, small_split):
    model = Model()
    model.outputs = lambda tiles: Outputs(np.full((len(tiles), 10), 0.1))
    with pytest.raises(ModelError, match="sums has no features output: expected a single network"):
        embed_known_digits(model, small_split)
    assert not folder.exists()


def distances(points):
    return np.linalg.norm(points[:, None].astype(np.float64) - points[None], axis=2)


@given(st.integers(0, 1000), st.integers(3, 40), st.integers(2, 30))
def test_pca_keeps_the_distances_of_points_in_a_plane(seed, count, width):
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, 2)) @ random.normal(size=(2, width)) + 100
    found = pca(features)
    np.testing.assert_allclose(distances(found), distances(features), atol=1e-4)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    assert np.array_equal(found, pca(features.copy()))


@given(st.integers(0, 1000))
def test_pca_axes_have_the_most_variance_and_a_fixed_sign(seed):
    random = np.random.default_rng(seed)
    features = random.normal(size=(50, 6)) * [1, 9, 1, 4, 1, 1]
    found = pca(features)
    largest = np.linalg.eigvalsh(np.cov(features.T))[:-3:-1]
    np.testing.assert_allclose(found.var(axis=0, ddof=1), largest, rtol=1e-5)
    assert abs(np.corrcoef(found.T)[0, 1]) < 1e-5
    # Neither the order of the tiles nor rounding flips the map.
    np.testing.assert_allclose(pca(features[::-1])[::-1], found, atol=1e-4)


def test_tsne_keeps_two_clusters_apart():
    random = np.random.default_rng(0)
    features = random.normal(size=(40, 5)) + np.repeat([0, 50], 20)[:, None]
    found = project(features, "tsne")
    assert found.dtype == np.float32
    far = distances(found)
    nearest = (far + 1e9 * np.eye(40)).argmin(axis=1)
    assert np.array_equal(nearest < 20, np.arange(40) < 20)


def test_invalid_features_and_methods_of_projection_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"'umap'.*pip install 'digitlens\[maps\]'"):
        project(np.eye(5), "umap")
    for features in (np.zeros((2, 5)), np.zeros((5, 1)), np.zeros(5)):
        with pytest.raises(ValueError, match="expected features"):
            project(features)
    with pytest.raises(ValueError, match="found 'lda'"):
        project(np.eye(5), "lda")
