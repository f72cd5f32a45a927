"""The networks that see tiles: tiles to ten logits, normalised inside; tiles to a code and back.

The autoencoder: G. Hinton and R. Salakhutdinov, "Reducing the dimensionality of data with neural
networks", Science, 2006; with convolutions: J. Masci et al., "Stacked convolutional auto-encoders
for hierarchical feature extraction", ICANN 2011. Knows nothing of data or training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from digitlens.training.recipe import Recipe

CLASSES = 10
# Mean and standard deviation of the MNIST training pixels, scaled to 0..1. They exist here only:
# the network, and the graph exported from it, take plain uint8 tiles.
MEAN, SD = 0.1307, 0.3081


class DigitNetwork(nn.Module):
    """A body of layers behind the normalisation that belongs to it."""

    def __init__(self, body: nn.Sequential, margin: int = 0) -> None:
        super().__init__()
        self.body, self.margin, self.folded = body, margin, False

    def forward(self, tiles: Tensor) -> Tensor:
        """Logits before softmax of tiles uint8[N, 28, 28], ink bright on dark: float[N, 10], or 11.

        The eleventh is that of no digit, if the network was trained to know it.
        """
        return self.logits(self.features(tiles))

    @property
    def knows_none(self) -> bool:
        """Whether there is an eleventh class, of tiles that show no digit."""
        return cast(nn.Linear, self.body[-1]).out_features > CLASSES

    @property
    def fixed(self) -> nn.Conv2d | None:
        """The first convolution, if its filters are given and not trained."""
        first = self.body[0]
        if isinstance(first, nn.Conv2d) and not first.weight.requires_grad:
            return first
        return None

    def features(self, tiles: Tensor) -> Tensor:
        """What the last layer is given, float[N, D]; tiles as above."""
        if self.margin:
            tiles = tiles[:, self.margin : -self.margin, self.margin : -self.margin]
        pixels = tiles.unsqueeze(1).float()
        pixels = pixels - 255 * MEAN if self.folded else (pixels / 255 - MEAN) / SD
        return cast(Tensor, self.body[:-1](pixels))

    def fold(self) -> None:
        """Divides the first kernels instead of the pixels, whose normalisation takes as long.

        The mean is still taken off each pixel: the zeros around a map go on to stand for it.
        """
        cast(nn.Conv2d, self.body[0]).weight.data /= 255 * SD
        self.folded = True

    def logits(self, features: Tensor) -> Tensor:
        """What the last layer makes of features float[N, D]: float[N, 10], or 11 with none."""
        return cast(Tensor, self.body[-1](features))


def classic(recipe: Recipe) -> nn.Sequential:
    """The textbook network: blocks of convolution, ReLU and max pooling, then dense layers.

    LeCun et al., "Gradient-based learning applied to document recognition", 1998, with today's
    activations.
    """
    return _with_head(_body(1, recipe.blocks(), recipe), recipe)


def fast(recipe: Recipe) -> nn.Sequential:
    """A small network whose first convolution already halves the side, by a stride of two.

    Most of a digit network's time goes into its first, largest maps; this one has none of 28 x 28.
    """
    first, *others = recipe.blocks()
    layers = [*_block(1, first, recipe, stride=2), *_body(first[0], others, recipe)]
    return _with_head(layers, recipe)


def swift(recipe: Recipe) -> nn.Sequential:
    """A network to be trained in seconds: no gradient reaches its largest maps.

    The first convolution is given, not trained, and needs no batch normalisation (``fixed``). It
    and the second halve the side by a stride of two; from the third on nothing is padded, so that
    maps shrink by themselves, and a convolution without stride is the cheapest to go back through.
    """
    side, channels = _side(recipe), 1
    layers: list[nn.Module] = []
    for number, (width, kernel) in enumerate(recipe.blocks()):
        stride = 2 if number < 2 else 1
        padding = 0 if number > 1 and kernel <= side else kernel // 2
        first = nn.Conv2d(channels, width, kernel, stride, padding, bias=False)
        layers += [first, nn.BatchNorm2d(width), nn.ReLU()] if number else [first, nn.ReLU()]
        for _ in range(recipe.convs - 1):
            layers += [*_convolution(width, width, kernel), nn.ReLU()]
        side, channels = (side + 2 * padding - kernel) // stride + 1, width
    cast(nn.Conv2d, layers[0]).weight.requires_grad_(False)
    return _with_head(layers, recipe)


class Residual(nn.Module):
    """Two convolutions whose result is added to what they were given.

    K. He et al., "Deep residual learning for image recognition", 2015. Left out of some training
    steps: G. Huang et al., "Deep networks with stochastic depth", 2016.
    """

    def __init__(self, width: int, kernel: int, drop: float) -> None:
        super().__init__()
        self.pair = nn.Sequential(*_convolution(width, width, kernel), nn.ReLU())
        self.pair.extend(_convolution(width, width, kernel))
        # A pair that adds nothing at first: the depth is learned, not imposed.
        nn.init.zeros_(cast(nn.BatchNorm2d, self.pair[-1]).weight)
        self.drop = drop

    def forward(self, maps: Tensor) -> Tensor:
        """Maps float[N, C, H, W] to maps of the same shape."""
        if self.training and self.drop and float(torch.rand(())) < self.drop:
            return maps
        kept = 1.0 if self.training else 1 - self.drop
        return torch.relu(maps + kept * self.pair(maps))


def residual(recipe: Recipe) -> nn.Sequential:
    """``fast`` with residual pairs; pooling comes first in a block, so that it is widened cheaply.

    Always with batch normalisation. The later a pair, the more often it is dropped.
    """
    layers: list[nn.Module] = []
    channels, pairs = 1, len(recipe.widths) * recipe.convs
    for number, (width, kernel) in enumerate(recipe.blocks()):
        if number:
            layers.append(nn.MaxPool2d(2))
        layers += [*_convolution(channels, width, kernel, 1 if number else 2), nn.ReLU()]
        for place in range(number * recipe.convs, (number + 1) * recipe.convs):
            # Only the first kernel is large: it sees pixels, the others maps.
            layers.append(Residual(width, 3, recipe.stochastic_depth * (place + 1) / pairs))
        channels = width
    return _with_head(layers, recipe)


def pooled(recipe: Recipe) -> nn.Sequential:
    """``fast`` whose first convolution sees every place and is pooled: for small networks."""
    channels, layers = _pooled_stem(recipe)
    return _with_head([*layers, *_body(channels, recipe.blocks()[1:], recipe)], recipe)


def separable(recipe: Recipe) -> nn.Sequential:
    """``pooled`` for a thousand to some ten thousand parameters: places and channels mixed apart.

    F. Chollet, "Xception: deep learning with depthwise separable convolutions", CVPR 2017. Each
    last map is summed with weights of its own before the dense layer, which costs a tenth of a
    dense layer over all of their places: S. Chen et al., "MobileFaceNets", CCBR 2018. Always with
    batch normalisation.
    """
    channels, layers = _pooled_stem(recipe)  # of a single map there is nothing to mix apart
    for width, kernel in recipe.blocks()[1:]:
        for given in (channels, *[width] * (recipe.convs - 1)):
            layers.append(
                nn.Conv2d(given, given, kernel, padding=kernel // 2, groups=given, bias=False)
            )
            layers += [*_convolution(given, width, 1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
        channels = width
    side = _side(recipe) // 2 ** len(recipe.widths)
    summed = nn.Conv2d(channels, channels, side, groups=channels, bias=False)
    return _with_head([*layers, summed], recipe)


def _pooled_stem(recipe: Recipe) -> tuple[int, list[nn.Module]]:
    width, kernel = recipe.blocks()[0]
    convolution, norm = _convolution(1, width, kernel)
    # Pooled before all else, of which there is then a quarter to do.
    return width, [convolution, nn.MaxPool2d(2), norm, nn.ReLU()]


def _convolution(channels: int, width: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(width)]


ARCHITECTURES: dict[str, Callable[[Recipe], nn.Sequential]] = {
    "classic": classic,
    "fast": fast,
    "pooled": pooled,
    "residual": residual,
    "separable": separable,
    "swift": swift,
}


def one_network(recipe: Recipe) -> DigitNetwork:
    """One network with freshly drawn weights; the draw follows ``torch.manual_seed``."""
    return DigitNetwork(ARCHITECTURES[recipe.architecture](recipe), recipe.margin)


def count_parameters(network: nn.Module) -> int:
    """How many numbers training can change."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


@torch.inference_mode()
def predict_logits(network: nn.Module, tiles: Tensor, batch: int = 1000) -> Tensor:
    """Logits for any number of tiles, in evaluation mode; the mode is put back afterwards."""
    was_training = network.training
    network.eval()
    logits = torch.cat([network(part).float() for part in tiles.split(batch)])
    network.train(was_training)
    return logits


def _side(recipe: Recipe) -> int:
    return 28 - 2 * recipe.margin


def _body(channels: int, blocks: Sequence[tuple[int, int]], recipe: Recipe) -> list[nn.Module]:
    """Blocks that halve the side each."""
    layers: list[nn.Module] = []
    strided = recipe.pool == "stride"
    for block in blocks:
        layers += _block(channels, block, recipe, stride=2 if strided else 1)
        layers += [] if strided else [nn.MaxPool2d(2)]
        channels = block[0]
    return layers


def _block(
    channels: int, block: tuple[int, int], recipe: Recipe, stride: int = 1
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    width, kernel = block
    for _ in range(recipe.convs):
        bias = not recipe.batch_norm
        layers.append(nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=bias))
        if recipe.batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU())
        channels, stride = width, 1
    return layers


def _with_head(layers: Sequence[nn.Module], recipe: Recipe) -> nn.Sequential:
    """The layers and dense ones behind them, for as many features as they make of a tile."""
    body = nn.Sequential(*layers, nn.Flatten())
    with torch.no_grad():
        tile = torch.zeros(1, 1, _side(recipe), _side(recipe))
        features = body.eval()(tile).numel()
    body.append(nn.Dropout(recipe.dropout))
    if recipe.dense:
        body.extend([nn.Linear(features, recipe.dense), nn.ReLU(), nn.Dropout(recipe.dropout)])
    return body.append(nn.Linear(recipe.dense or features, recipe.classes)).train()


VIEWS = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))  # pixels down and across


class Ensemble(nn.Module):
    """The mean of the probabilities that networks give to one or five views of a tile.

    Of five, four have the tile moved by one pixel each way.
    """

    def __init__(self, members: Sequence[DigitNetwork], views: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.views = views

    @property
    def knows_none(self) -> bool:
        """Whether there is an eleventh class, of tiles that show no digit."""
        return cast(DigitNetwork, self.members[0]).knows_none

    def forward(self, tiles: Tensor) -> Tensor:
        """Logarithms of mean probabilities, float[N, 10] or [N, 11]: logits like a network's."""
        return self.examine(tiles)[0]

    def examine(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """What ``forward`` gives, and the mean energy float[N], see ``results.Outputs``."""
        views = [shift_tiles(tiles, *by) for by in VIEWS[: self.views]]
        logits = torch.stack([member(view) for member in self.members for view in views])
        energy = -torch.logsumexp(logits[..., :CLASSES], dim=2).mean(0)
        sure = functional.log_softmax(logits, dim=2)
        return torch.logsumexp(sure, dim=0) - torch.log(torch.tensor(float(len(logits)))), energy


def shift_tiles(tiles: Tensor, down: int, across: int) -> Tensor:
    """Tiles uint8[N, 28, 28], moved by at most one pixel; what comes in is dark."""
    if not down and not across:
        return tiles
    edged = functional.pad(tiles, (1, 1, 1, 1))
    side = tiles.shape[-1]
    return edged[:, 1 - down : 1 - down + side, 1 - across : 1 - across + side]


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

    def __init__(self, widths: Sequence[int], code: int) -> None:
        """Draws the weights; ``widths`` are channels next to the pixels, and next to the code."""
        super().__init__()
        self.code = code
        outer, inner = widths
        places = SIDE // _PATCH
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(_PATCH),
            *_with_relu(_PATCH**2, outer),
            *_with_relu(outer, inner),
            nn.Flatten(),
            nn.Linear(inner * places**2, code),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, inner * places**2),
            nn.ReLU(),
            nn.Unflatten(1, (inner, places, places)),
            *_with_relu(inner, outer),
            nn.Conv2d(outer, _PATCH**2, 3, padding=1),
            nn.PixelShuffle(_PATCH),
        )

    def encode(self, pixels: Tensor) -> Tensor:
        """Codes float[N, D] of pixels float[N, 28, 28] from 0 to 1."""
        return cast(Tensor, self.encoder(pixels.unsqueeze(1)))

    def decode(self, code: Tensor) -> Tensor:
        """Logits of pixels float[N, 28, 28] of codes float[N, D]; a sigmoid is missing."""
        return cast(Tensor, self.decoder(code)).squeeze(1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of the pixels float[N, 28, 28] that come back for those given."""
        return self.decode(self.encode(pixels))


def _with_relu(channels: int, width: int) -> list[nn.Module]:
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
