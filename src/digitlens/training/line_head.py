"""From the published recogniser's vocabulary of 18,710 classes to the alphabet of this package."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

from digitlens.alphabet import ALPHABET, BLANK, CLASS_OF, CLASSES, OTHER
from digitlens.training.nets.line_network import WIDTH, LineNetwork
from digitlens.training.pretrained import PublishedRecogniser

OTHER_OFFSET = 3.0  # see ``adapted``

# Characters that look like one of the alphabet and mean the same on a line of numbers. Superscripts
# are not among them: the 2 of m² is no digit of a number.
_LOOKALIKES = {
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2500\u2501",
    "'": "\u2018\u2019\u2032\u00b4",
    "/": "\u2044\u2215",
    ":": "\u2236",
    "*": "\u2217\u204e",
    "×": "\u2715\u2716",  # noqa: RUF001  (the multiplication sign is meant)
    "÷": "\u2797",
    "°": "\u02da\u00ba",
    "¥": "\uffe5",
    "%": "\ufe6a",
    " ": "\u3000",
}


@cache
def _alternatives() -> dict[str, int]:
    full_width = {chr(ord(char) + 0xFEE0): char for char in ALPHABET if "!" <= char <= "~"}
    similar = {other: char for char, others in _LOOKALIKES.items() for other in others}
    return {other: CLASS_OF[char] for other, char in (full_width | similar).items()}


def class_of(character: str) -> int:
    """The class of a character of the published vocabulary; the empty one is the blank."""
    if not character:
        return BLANK
    return CLASS_OF.get(character, _alternatives().get(character, OTHER))


class PooledNetwork(nn.Module):
    """The published recogniser as it is, the posteriors of its characters added up by class."""

    groups: Tensor
    chosen: Tensor

    def __init__(self, published: PublishedRecogniser) -> None:
        super().__init__()
        self.network = published.network
        classes = torch.tensor([class_of(each) for each in published.characters])
        chosen = torch.nonzero(classes != OTHER).squeeze(1)
        self.register_buffer("chosen", chosen)
        groups = nn.functional.one_hot(classes[chosen], CLASSES).float()
        self.register_buffer("groups", groups)

    def forward(self, lines: Tensor) -> Tensor:
        """Posteriors float32[N, W / 8, classes] of lines uint8[N, 48, W, 3]."""
        posteriors = torch.softmax(self.network(lines), dim=2)
        pooled = torch.matmul(posteriors.index_select(2, self.chosen), self.groups)
        other = (1 - pooled.sum(2, keepdim=True)).clamp(min=0)
        return torch.cat([pooled[:, :, :OTHER], other], dim=2)


def adapted(published: PublishedRecogniser) -> LineNetwork:
    """The published recogniser with a head for the alphabet, to train from.

    The score of a character is the published one. The sum over all other characters is no linear
    function; a mean of their rows, moved by an offset, comes near enough to train from.
    """
    network = copy.deepcopy(published.network)
    weight, bias = network.head.weight.data, network.head.bias.data
    head = nn.Linear(WIDTH, CLASSES)
    others = [i for i, each in enumerate(published.characters) if class_of(each) == OTHER]
    rows = [BLANK, *_places(published.characters, ALPHABET)]
    head.weight.data = torch.cat([weight[rows], weight[others].mean(0, keepdim=True)])
    head.bias.data = torch.cat([bias[rows], bias[others].mean()[None] + OTHER_OFFSET])
    network.head = head
    return network


def _places(characters: Sequence[str], wanted: str) -> list[int]:
    places = {each: index for index, each in enumerate(characters)}
    return [places[each] for each in wanted]
