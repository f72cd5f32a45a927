"""What tests of figures share: the figures themselves, to be asked what they show."""

import pytest
from matplotlib.figure import Figure

from digitlens.visualization import style


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were made, in order."""
    made = []

    class Kept(Figure):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            made.append(self)

    monkeypatch.setattr(style, "Figure", Kept)
    return made
