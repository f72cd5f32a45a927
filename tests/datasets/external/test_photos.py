import numpy as np
import pytest

from digitlens.datasets.external.photos import ink_of_photos, photos_in_gray

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
    monkeypatch.setattr("digitlens.datasets.external.photos.CHUNK", 2)
    alone = np.concatenate([ink_of_photos(one[None]) for one in photos])
    assert (ink_of_photos(photos) == alone).all()


def test_a_photograph_of_nothing_has_no_ink():
    assert not ink_of_photos(np.full((1, 32, 32, 3), 77, np.uint8)).any()
