import numpy as np
import pytest

from digitlens.datasets.external.digit_sets import load_scikit
from digitlens.datasets.external.normalize import framed, ink_of_photos, photos_in_gray, unframed
from digitlens.models.classifier import Classifier

STROKE = (slice(4, 28), slice(14, 18))


@pytest.fixture
def photo():
    """A bright stroke in the middle and a neighbour's at the edge, on one colour."""

    def of(paper, ink):
        picture = np.empty((32, 32, 3))
        picture[...] = paper
        picture[STROKE] = ink
        picture[4:28, 29:] = ink
        noise = np.random.default_rng(0).normal(0, 3, picture.shape)
        return np.clip(picture + noise, 0, 255).astype(np.uint8)

    return of


COLOURS = [((30, 40, 90), (200, 190, 90)), ((220, 210, 200), (120, 20, 30)), (90, 130)]


@pytest.mark.parametrize(("paper", "ink"), COLOURS)
def test_ink_is_the_stroke_in_the_middle_in_any_colours(paper, ink, photo):
    found = ink_of_photos(photo(paper, ink)[None])[0]
    expected = np.zeros((32, 32), bool)
    expected[STROKE] = True
    assert ((found > 128) == expected).all()
    assert (found[~expected] == 0).all()


@pytest.mark.parametrize(("paper", "ink"), COLOURS)
def test_in_gray_the_digit_is_the_brighter_part(paper, ink, photo):
    gray = photos_in_gray(photo(paper, ink)[None])[0]
    assert gray[STROKE].min() > np.median(gray)


def test_photographs_do_not_depend_on_each_other(photo, monkeypatch):
    photos = np.stack([photo(*colours) for colours in COLOURS])
    monkeypatch.setattr("digitlens.datasets.external.normalize.CHUNK", 2)
    alone = np.concatenate([ink_of_photos(one[None]) for one in photos])
    assert (ink_of_photos(photos) == alone).all()


def test_a_photograph_of_nothing_has_no_ink_and_an_empty_tile():
    assert not ink_of_photos(np.full((1, 32, 32, 3), 77, np.uint8)).any()
    assert not framed(np.zeros((1, 8, 8), np.uint8)).any()


@pytest.mark.parametrize("side", [8, 16, 28, 64])
def test_tiles_hold_the_digit_as_mnist_does(side):
    images = np.zeros((1, side, side), np.uint8)
    images[0, : side // 2, 0 : max(2, side // 8)] = 200
    tile = framed(images)[0]
    rows, columns = np.flatnonzero(tile.any(axis=1)), np.flatnonzero(tile.any(axis=0))
    assert tile.max() == 255
    assert len(rows) == 20
    assert rows[0] == 4
    assert columns[0] <= 13 <= columns[-1]


def test_faint_paper_is_no_ink():
    images = np.full((1, 16, 16), 10, np.uint8)
    images[0, 5:11, 7:9] = 250
    tile = framed(images)[0]
    assert np.count_nonzero(tile.any(axis=1)) == 20
    assert np.count_nonzero(tile.any(axis=0)) < 12


def test_what_has_the_size_of_a_tile_stays_as_it_is(random):
    images = random.integers(0, 256, (3, 28, 28), np.uint8)
    assert (unframed(images) == images).all()


@pytest.mark.parametrize("side", [8, 32])
def test_other_sizes_are_only_resized(side):
    images = np.zeros((1, side, side), np.uint8)
    images[0, : side // 2] = 200
    tile = unframed(images)[0]
    assert (tile[:12] == 200).all()
    assert (tile[16:] == 0).all()


def test_photographs_become_tiles():
    photos = np.full((2, 32, 32, 3), 200, np.uint8)
    photos[:, 6:26, 15:18] = 20
    assert (framed(photos)[0] == framed(255 - photos)[0]).all()
    assert unframed(photos).shape == (2, 28, 28)
    assert unframed(photos)[0, 14, 14] > 200


def test_framing_is_what_makes_digits_of_scikit_learn_readable():
    """At least 96 %, as promised; a quarter of them, since framing takes a millisecond each."""
    pictures = load_scikit()
    images, labels = pictures.images[::4], pictures.labels[::4]
    classifier = Classifier()
    as_mnist, plain = (
        float((classifier.predict_proba(tiles).argmax(axis=1) == labels).mean())
        for tiles in (framed(images), unframed(images))
    )
    assert as_mnist >= 0.96
    assert plain < as_mnist - 0.05
