"""A large vocabulary becomes the alphabet: by pooling, and as a head of its own."""

import pytest
import torch

from digitlens.alphabet import ALPHABET, BLANK, CLASS_OF, CLASSES, OTHER
from digitlens.training.line_head import PooledNetwork, adapted, class_of
from digitlens.training.nets.line_network import LineNetwork
from digitlens.training.pretrained import PublishedRecogniser


@pytest.fixture(scope="module")
def published():
    torch.manual_seed(0)
    characters = ("", "中", "é", "\uff18", *ALPHABET)
    return PublishedRecogniser(LineNetwork(len(characters)).eval(), characters)


@pytest.fixture(scope="module")
def lines():
    return torch.randint(0, 256, (2, 48, 64, 3), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("character", "expected"),
    [
        ("", BLANK),
        ("8", CLASS_OF["8"]),
        ("\uff18", CLASS_OF["8"]),  # full width
        ("\u2212", CLASS_OF["-"]),
        ("²", OTHER),
        ("é", OTHER),
        ("中", OTHER),
    ],
)
def test_characters_that_look_and_mean_the_same_share_a_class(character, expected):
    assert class_of(character) == expected


def test_pooled_posteriors_are_sums_over_characters(published, lines):
    with torch.inference_mode():
        posteriors = torch.softmax(published.network(lines), dim=2)
        pooled = PooledNetwork(published)(lines)
    assert pooled.shape == (2, 8, CLASSES)
    torch.testing.assert_close(pooled.sum(2), torch.ones(2, 8))
    torch.testing.assert_close(pooled[..., OTHER], posteriors[..., 1] + posteriors[..., 2])
    eight = published.characters.index("8")
    torch.testing.assert_close(
        pooled[..., CLASS_OF["8"]], posteriors[..., 3] + posteriors[..., eight]
    )


def test_the_new_head_keeps_the_scores_of_the_alphabet(published, lines):
    with torch.inference_mode():
        before, after = published.network(lines), adapted(published)(lines)
    assert after.shape == (2, 8, CLASSES)
    torch.testing.assert_close(after[..., 1:OTHER], before[..., 4:])
    torch.testing.assert_close(after[..., BLANK], before[..., 0])
