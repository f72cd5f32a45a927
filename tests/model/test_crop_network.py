import torch

from digitlens.model.crop_model import CLASSES
from digitlens.model.crop_network import CropNetwork


def network():
    torch.manual_seed(0)
    return CropNetwork((4, 8), (1,)).eval()


def test_windows_become_logits_of_ten_digits_and_none():
    windows = torch.randint(0, 256, (3, 3, 56, 56), dtype=torch.uint8)
    found = network()(windows)
    assert found.shape == (3, CLASSES)
    assert found.dtype == torch.float32


def test_how_bright_a_window_is_says_nothing_and_how_strong_its_ink_next_to_nothing():
    dark = torch.randint(0, 60, (1, 3, 56, 56), dtype=torch.uint8)
    seen = network()
    assert torch.allclose(seen(dark), seen(dark + 100), atol=1e-4)
    assert torch.allclose(seen(dark), seen(dark * 4), atol=0.2)


def test_a_blank_window_is_no_trouble():
    assert network()(torch.full((1, 3, 56, 56), 9, dtype=torch.uint8)).isfinite().all()
