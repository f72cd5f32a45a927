"""Support: digits stand beside digits, letters beside letters; neighbours speak for or against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_NEAR = 1.5  # heights: at this distance a neighbour has 1 / e of its say
_FAR = 4.0  # heights: it has none
_BESIDE = 0.7  # heights: middles may be so far above or below each other
_ALIKE = 0.6  # logarithm: heights may differ by a factor of 1.8
_NONE = 0.3  # say of nobody: one neighbour far away is not much
_SURE = 6.0  # logits; nobody says more

Floats = npt.NDArray[np.float32]


def support(boxes: Floats, logits: npt.NDArray[np.floating]) -> Floats:
    """The mean logit of each candidate's neighbours in its line, nearer ones counting more.

    Args:
        boxes: float32[N, 4]; of the candidates of one page.
        logits: float[N]; of each being right, seen by itself.

    Returns:
        float32[N]; 0 where there is nobody.
    """
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    height = np.maximum(boxes[:, 3] - boxes[:, 1], 1)
    across, down = (np.abs(axis[:, None] - axis) / height[:, None] for axis in middle.T)
    alike = np.abs(np.log(height[:, None] / height)) < _ALIKE
    say = np.exp(-across / _NEAR) * ((across < _FAR) & (down < _BESIDE) & alike)
    np.fill_diagonal(say, 0)
    return (say @ np.clip(logits, -_SURE, _SURE) / (say.sum(axis=1) + _NONE)).astype(np.float32)
