"""The networks for tiles: classifiers, which normalise their input, and an autoencoder.

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
# Mean and standard deviation of the MNIST training pixels, scaled to 0..1. Used only here: the
# network, and the graph exported from it, accept plain uint8 tiles.
MEAN, SD = 0.1307, 0.3081


class DigitNetwork(nn.Module):
    """Input normalisation, followed by a body of layers."""

    def __init__(self, body: nn.Sequential, margin: int = 0) -> None:
        super().__init__()
        self.body, self.margin, self.folded = body, margin, False

    def forward(self, tiles: Tensor) -> Tensor:
        """Returns logits float[N, 10] or [N, 11] of tiles uint8[N, 28, 28], ink bright on dark.

        The eleventh class is "no digit", if the network was trained with negatives.
        """
        return self.logits(self.features(tiles))

    @property
    def knows_none(self) -> bool:
        """Whether there is an eleventh class, for tiles without a digit."""
        return cast(nn.Linear, self.body[-1]).out_features > CLASSES

    @property
    def fixed(self) -> nn.Conv2d | None:
        """The first convolution, if its filters are not trained."""
        first = self.body[0]
        if isinstance(first, nn.Conv2d) and not first.weight.requires_grad:
            return first
        return None

    def features(self, tiles: Tensor) -> Tensor:
        """Returns the input of the last layer, float[N, D]; tiles as in ``forward``."""
        if self.margin:
            tiles = tiles[:, self.margin : -self.margin, self.margin : -self.margin]
        pixels = tiles.unsqueeze(1).float()
        pixels = pixels - 255 * MEAN if self.folded else (pixels / 255 - MEAN) / SD
        return cast(Tensor, self.body[:-1](pixels))

    def fold(self) -> None:
        """Folds the division by ``255 * SD`` into the first kernels, which saves time per pixel.

        The mean is still subtracted from each pixel, so that zero padding still means the mean.
        """
        cast(nn.Conv2d, self.body[0]).weight.data /= 255 * SD
        self.folded = True

    def logits(self, features: Tensor) -> Tensor:
        """Returns the logits float[N, 10], or [N, 11] with negatives, of features float[N, D]."""
        return cast(Tensor, self.body[-1](features))


def classic(recipe: Recipe) -> nn.Sequential:
    """Builds the textbook network: blocks of convolution, ReLU and max pooling, then dense layers.

    LeCun et al., "Gradient-based learning applied to document recognition", 1998, with modern
    activations.
    """
    return _with_head(_body(1, recipe.blocks(), recipe), recipe)


def fast(recipe: Recipe) -> nn.Sequential:
    """Builds a small network whose first convolution halves the side with a stride of two.

    A digit network spends most of its time on the first, largest feature maps; this network has no
    maps of 28 x 28.
    """
    first, *others = recipe.blocks()
    layers = [*_block(1, first, recipe, stride=2), *_body(first[0], others, recipe)]
    return _with_head(layers, recipe)


def swift(recipe: Recipe) -> nn.Sequential:
    """Builds a network that trains in seconds: no gradient reaches its largest feature maps.

    The first convolution is fixed, not trained, and needs no batch normalisation. It and the second
    halve the side with a stride of two; later ones are unpadded, so that maps shrink, and have no
    stride, as those convolutions have the cheapest backward pass.
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
    """Two convolutions whose output is added to their input.

    K. He et al., "Deep residual learning for image recognition", 2015. Skipped in some training
    steps: G. Huang et al., "Deep networks with stochastic depth", 2016.
    """

    def __init__(self, width: int, kernel: int, drop: float) -> None:
        super().__init__()
        self.pair = nn.Sequential(*_convolution(width, width, kernel), nn.ReLU())
        self.pair.extend(_convolution(width, width, kernel))
        # The pair starts as the identity, so that the effective depth is learned.
        nn.init.zeros_(cast(nn.BatchNorm2d, self.pair[-1]).weight)
        self.drop = drop

    def forward(self, maps: Tensor) -> Tensor:
        """Returns feature maps of the same shape as ``maps``, float[N, C, H, W]."""
        if self.training and self.drop and float(torch.rand(())) < self.drop:
            return maps
        survival = 1.0 if self.training else 1 - self.drop
        return torch.relu(maps + survival * self.pair(maps))


def residual(recipe: Recipe) -> nn.Sequential:
    """Builds ``fast`` with residual pairs; blocks start with pooling, so that widening is cheap.

    Always with batch normalisation. Later pairs are dropped more often.
    """
    layers: list[nn.Module] = []
    channels, pairs = 1, len(recipe.widths) * recipe.convs
    for number, (width, kernel) in enumerate(recipe.blocks()):
        if number:
            layers.append(nn.MaxPool2d(2))
        layers += [*_convolution(channels, width, kernel, 1 if number else 2), nn.ReLU()]
        for index in range(number * recipe.convs, (number + 1) * recipe.convs):
            # Only the first kernel, which is applied to pixels, is large.
            layers.append(Residual(width, 3, recipe.stochastic_depth * (index + 1) / pairs))
        channels = width
    return _with_head(layers, recipe)


def pooled(recipe: Recipe) -> nn.Sequential:
    """Builds ``fast`` with a first convolution that is pooled, not strided: for small networks."""
    channels, layers = _pooled_stem(recipe)
    return _with_head([*layers, *_body(channels, recipe.blocks()[1:], recipe)], recipe)


def separable(recipe: Recipe) -> nn.Sequential:
    """Builds ``pooled`` with depthwise separable convolutions, for 1,000 to some 10,000 parameters.

    F. Chollet, "Xception: deep learning with depthwise separable convolutions", CVPR 2017. Each
    final map is reduced to a learned weighted sum before the dense layer, which needs a tenth of
    the weights of a dense layer over all positions: S. Chen et al., "MobileFaceNets", CCBR 2018.
    Always with batch normalisation.
    """
    channels, layers = _pooled_stem(recipe)  # a single input channel has nothing to separate
    for width, kernel in recipe.blocks()[1:]:
        for inputs in (channels, *[width] * (recipe.convs - 1)):
            layers.append(
                nn.Conv2d(inputs, inputs, kernel, padding=kernel // 2, groups=inputs, bias=False)
            )
            layers += [*_convolution(inputs, width, 1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
        channels = width
    side = _side(recipe) // 2 ** len(recipe.widths)
    weighted_sum = nn.Conv2d(channels, channels, side, groups=channels, bias=False)
    return _with_head([*layers, weighted_sum], recipe)


def _pooled_stem(recipe: Recipe) -> tuple[int, list[nn.Module]]:
    width, kernel = recipe.blocks()[0]
    convolution, norm = _convolution(1, width, kernel)
    # Pooled first: normalisation and ReLU then process a quarter of the values.
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
    """Returns one network with initial weights, drawn from torch's global generator."""
    return DigitNetwork(ARCHITECTURES[recipe.architecture](recipe), recipe.margin)


def count_parameters(network: nn.Module) -> int:
    """Returns the number of trainable parameters."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


@torch.inference_mode()
def predict_logits(network: nn.Module, tiles: Tensor, batch: int = 1000) -> Tensor:
    """Returns logits for any number of tiles, in evaluation mode; restores the previous mode."""
    was_training = network.training
    network.eval()
    logits = torch.cat([network(part).float() for part in tiles.split(batch)])
    network.train(was_training)
    return logits


def _side(recipe: Recipe) -> int:
    return 28 - 2 * recipe.margin


def _body(channels: int, blocks: Sequence[tuple[int, int]], recipe: Recipe) -> list[nn.Module]:
    """Builds blocks that each halve the side."""
    layers: list[nn.Module] = []
    is_strided = recipe.pool == "stride"
    for block in blocks:
        layers += _block(channels, block, recipe, stride=2 if is_strided else 1)
        layers += [] if is_strided else [nn.MaxPool2d(2)]
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
    """Appends dense layers that fit the number of features that ``layers`` compute per tile."""
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
    """The mean of the probabilities of several networks for one or five views of a tile.

    Four of the five views are shifted by one pixel each way.
    """

    def __init__(self, members: Sequence[DigitNetwork], views: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.views = views

    @property
    def knows_none(self) -> bool:
        """Whether there is an eleventh class, for tiles without a digit."""
        return cast(DigitNetwork, self.members[0]).knows_none

    def forward(self, tiles: Tensor) -> Tensor:
        """Returns logarithms of mean probabilities, float[N, 10] or [N, 11], usable as logits."""
        return self.examine(tiles)[0]

    def examine(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """Returns log mean probabilities, and mean energy float[N], see ``results.Outputs``."""
        views = [shift_tiles(tiles, *shift) for shift in VIEWS[: self.views]]
        logits = torch.stack([member(view) for member in self.members for view in views])
        energy = -torch.logsumexp(logits[..., :CLASSES], dim=2).mean(0)
        logs = functional.log_softmax(logits, dim=2)
        return torch.logsumexp(logs, dim=0) - torch.log(torch.tensor(float(len(logits)))), energy


def shift_tiles(tiles: Tensor, down: int, across: int) -> Tensor:
    """Shifts tiles uint8[N, 28, 28] by at most one pixel; new pixels are dark."""
    if not down and not across:
        return tiles
    padded = functional.pad(tiles, (1, 1, 1, 1))
    side = tiles.shape[-1]
    return padded[:, 1 - down : 1 - down + side, 1 - across : 1 - across + side]


SIDE = 28
LEAST_INK = 0.03  # mean pixel value of a thin digit 1
_PATCH = 4  # pixels; side of the patch at each position of the maps: no layer works on 28 x 28


class Autoencoder(nn.Module):
    """An encoder from pixels to a code and a decoder back, without skip connections.

    Each position of the maps holds the 4 x 4 pixels of a patch as channels, so that all
    convolutions work on 7 x 7 maps: sub-pixel convolution of W. Shi et al., "Real-time single image
    and video super-resolution using an efficient sub-pixel convolutional neural network", CVPR
    2016. An epoch takes half as long as with strides and transposed convolutions.
    """

    def __init__(self, widths: Sequence[int], code: int) -> None:
        """Initialises weights; ``widths`` are the channels next to pixels, and next to the code."""
        super().__init__()
        self.code = code
        outer, inner = widths
        side = SIDE // _PATCH
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(_PATCH),
            *_with_relu(_PATCH**2, outer),
            *_with_relu(outer, inner),
            nn.Flatten(),
            nn.Linear(inner * side**2, code),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, inner * side**2),
            nn.ReLU(),
            nn.Unflatten(1, (inner, side, side)),
            *_with_relu(inner, outer),
            nn.Conv2d(outer, _PATCH**2, 3, padding=1),
            nn.PixelShuffle(_PATCH),
        )

    def encode(self, pixels: Tensor) -> Tensor:
        """Returns codes float[N, D] of pixels float[N, 28, 28] from 0 to 1."""
        return cast(Tensor, self.encoder(pixels.unsqueeze(1)))

    def decode(self, code: Tensor) -> Tensor:
        """Returns pixel logits float[N, 28, 28], before the sigmoid, of codes float[N, D]."""
        return cast(Tensor, self.decoder(code)).squeeze(1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Returns the logits float[N, 28, 28] of the reconstructed pixels."""
        return self.decode(self.encode(pixels))


def _with_relu(channels: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]


def as_pixels(tiles: Tensor) -> Tensor:
    """Converts tiles uint8[N, 28, 28] to pixels float32[N, 28, 28] from 0 to 1."""
    return tiles.float() / 255


def as_tiles(pixels: Tensor) -> Tensor:
    """Converts pixels float[N, 28, 28] from 0 to 1 to tiles uint8[N, 28, 28], rounded."""
    return torch.round(pixels * 255).to(torch.uint8)


def reconstruction_error(pixels: Tensor, reconstruction: Tensor) -> Tensor:
    """Returns the squared error of each reconstruction relative to the tile's ink, float[N].

    Without that division, bold digits, which have longer edges, would look anomalous, and nearly
    blank tiles would not, whatever the reconstruction. Pixels are float[N, 28, 28] from 0 to 1.
    """
    squares = (pixels - reconstruction).square().mean(dim=(1, 2))
    return squares / (pixels.mean(dim=(1, 2)) + LEAST_INK)
