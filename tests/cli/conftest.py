"""What commands need: plots that are made without drawing them."""

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def unsaved(monkeypatch):
    """Plots are made and nothing is drawn into their files, which takes seconds."""
    monkeypatch.setattr(Figure, "savefig", lambda _, path, **__: path.touch())
