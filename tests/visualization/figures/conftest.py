"""Figures are drawn coarsely, which takes less than half of the time, but where size counts."""

import pytest

from digitlens.visualization import theme

DPI = theme.DPI


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    monkeypatch.setattr(theme, "DPI", 72)


@pytest.fixture
def for_a_talk(coarse, monkeypatch):
    """As large as they are for users."""
    del coarse
    monkeypatch.setattr(theme, "DPI", DPI)
