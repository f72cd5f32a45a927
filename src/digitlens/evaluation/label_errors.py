"""The labels of the MNIST test set that are known to be wrong, and where they apply.

The indices count from 0 in the order of ``t10k-images-idx3-ubyte``: the tile at 947, for example,
is labelled 8 and shows a 9. People who voted on doubtful tiles disagreed with these fifteen labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MNIST_TEST_SHA256 = "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b"
"""Hash of the 10,000 test tiles followed by their labels, see ``evaluate.data_sha256``."""

MNIST_TEST = (
    *(947, 1621, 1901, 2130, 2462, 2597, 2654, 3520),
    *(3558, 5937, 6651, 6783, 8527, 9679, 9729),
)


def known_label_errors(data_sha256: str) -> npt.NDArray[np.int64]:
    """Indices of the wrong labels of a data set, which is known by its content and not its name.

    Args:
        data_sha256: Hash of tiles and labels.

    Returns:
        int64[K], ascending; empty for every data set but the MNIST test set in its own order.
    """
    known = MNIST_TEST if data_sha256 == MNIST_TEST_SHA256 else ()
    return np.array(known, np.int64)
