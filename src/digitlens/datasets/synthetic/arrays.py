"""Names for the arrays that pages are made of: what each holds, its type and its shape."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rng = np.random.Generator
Ink = npt.NDArray[np.uint8]  # [h, w]; 255 where there is ink, 0 where there is none
Pixels = npt.NDArray[np.uint8]  # [H, W, 3]; a finished picture
Plane = npt.NDArray[np.float32]  # [h, w] or [h, w, 3]; on the way to one, not clipped to 0..255
Colour = npt.NDArray[np.float32]  # [3]; 0..255
Boxes = npt.NDArray[np.float32]  # [N, 4]; x0, y0, x1, y1 in pixels, half-open
Values = npt.NDArray[np.int8]  # [N]; the digit in each box, or -1 for what may be read or not
Points = npt.NDArray[np.float64]  # [n, 2] or [2]; x to the right, y down
Matrix = npt.NDArray[np.float64]  # [2, 3] affine or [3, 3] homography, for columns (x, y, 1)
Extent = tuple[float, float, float, float]  # x0, y0, x1, y1 in digit heights, baseline at 0
