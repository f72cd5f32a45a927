import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from digitlens.datasets.external.scikit import load_scikit
from digitlens.errors import MissingExtraError


def test_all_digits_are_there_and_sixteen_is_full_ink():
    pictures = load_scikit()
    assert pictures.images.shape == (1797, 8, 8)
    assert pictures.images.max() == 255
    digits = load_digits()
    assert (np.rint(pictures.images / 255 * 16) == digits.images).all()
    assert (pictures.labels == digits.target).all()


def test_without_scikit_learn_its_name_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match="pip install scikit-learn"):
        load_scikit()
