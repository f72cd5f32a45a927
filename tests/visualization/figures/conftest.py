"""Draws figures at low resolution, in less than half the time, unless their size matters."""

import pytest

from digitlens.visualization import theme

DPI = theme.DPI


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    monkeypatch.setattr(theme, "DPI", 72)


@pytest.fixture
def for_a_talk(coarse, monkeypatch):
    """Draws figures at the resolution users get."""
    del coarse
    monkeypatch.setattr(theme, "DPI", DPI)
