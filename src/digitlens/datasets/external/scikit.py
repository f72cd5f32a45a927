"""The digits that come with scikit-learn: 1,797 of 8 x 8 pixels, by people who are not in MNIST.

The test set of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak, 1998, from
the UCI Machine Learning Repository: each pixel counts the ink in 4 x 4 pixels of a scan, 0 to 16.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from digitlens.datasets.external.pictures import Pictures, images_from, labels_from
from digitlens.errors import MissingExtraError

SIDE = 8
MOST = 16  # pixels of ink in one


def load_scikit() -> Pictures:
    """The digits of ``sklearn.datasets.load_digits``.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - not needed for anything else
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "these digits come with the package scikit-learn, which is not installed: "
            "run  pip install scikit-learn"
        ) from error
    digits: Any = load_digits()
    values = np.asarray(digits.data, np.float64)
    labels = np.asarray(digits.target, np.float64)
    images = images_from(values, 0, MOST, SIDE, "scikit-learn")
    return Pictures(images, labels_from(labels, 0, "scikit-learn"))
