"""A small convolutional autoencoder, in PyTorch: tiles in, a short code, and the tiles again.

G. Hinton and R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science,
2006; with convolutions: J. Masci et al., "Stacked convolutional auto-encoders for hierarchical
feature extraction", ICANN 2011. Knows nothing of recipes, data or training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIDE = 28
LEAST_INK = 0.03  # mean of the pixels; a thin digit 1 has as much
_PATCH = 4  # pixels a side of what becomes one place of the maps: no layer works on 28 x 28


class Autoencoder(nn.Module):
    """An encoder from pixels to a code, and a decoder back; no pixel goes past the code.

    Each place of the maps holds the 4 x 4 pixels of a patch as channels, so that convolutions of
    7 x 7 places do all the work: sub-pixel convolution of W. Shi et al., "Real-time single image
    and video super-resolution using an efficient sub-pixel convolutional neural network", CVPR
    2016. An epoch takes half of the time that strides and transposed convolutions take.
    """

    def __init__(self, widths: tuple[int, int], code: int) -> None:
        """Draws the weights; ``widths`` are channels next to the pixels, and next to the code."""
        super().__init__()
        self.code = code
        outer, inner = widths
        places = SIDE // _PATCH
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(_PATCH),
            *_convolution(_PATCH**2, outer),
            *_convolution(outer, inner),
            nn.Flatten(),
            nn.Linear(inner * places**2, code),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, inner * places**2),
            nn.ReLU(),
            nn.Unflatten(1, (inner, places, places)),
            *_convolution(inner, outer),
            nn.Conv2d(outer, _PATCH**2, 3, padding=1),
            nn.PixelShuffle(_PATCH),
        )

    def encode(self, pixels: Tensor) -> Tensor:
        """Codes float[N, D] of pixels float[N, 28, 28] from 0 to 1."""
        code: Tensor = self.encoder(pixels.unsqueeze(1))
        return code

    def decode(self, code: Tensor) -> Tensor:
        """Logits of pixels float[N, 28, 28] of codes float[N, D]; a sigmoid is missing."""
        logits: Tensor = self.decoder(code)
        return logits.squeeze(1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of the pixels float[N, 28, 28] that come back for those given."""
        return self.decode(self.encode(pixels))


def _convolution(channels: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]


def as_pixels(tiles: Tensor) -> Tensor:
    """Tiles uint8[N, 28, 28] as pixels float32[N, 28, 28] from 0 to 1."""
    return tiles.float() / 255


def as_tiles(pixels: Tensor) -> Tensor:
    """Pixels float[N, 28, 28] from 0 to 1 as tiles uint8[N, 28, 28], rounded."""
    return torch.round(pixels * 255).to(torch.uint8)


def reconstruction_error(pixels: Tensor, drawn: Tensor) -> Tensor:
    """How far each drawing is from its tile: squared error for each unit of ink, float[N].

    Bold digits have more edges to miss, so that the bare error would call them strange; a blank
    tile has next to none whatever is drawn, so that the little that is weighs more. Pixels are
    float[N, 28, 28] from 0 to 1.
    """
    squares = (pixels - drawn).square().mean(dim=(1, 2))
    return squares / (pixels.mean(dim=(1, 2)) + LEAST_INK)
