"""The exported folder on a plain host: it reads, and asks nobody but its host."""

import pytest


@pytest.fixture(scope="module")
def site(hosted, exported):
    """The address of the site, below a name as that of a project."""
    with hosted(exported.parent) as address:
        yield f"{address}/{exported.name}/"


def test_a_drawing_is_read_without_any_server(open_page, reads, site):
    page = open_page(address=site)
    page.set_default_timeout(60_000)  # the networks are loaded first
    page.hand.write("2048", height=170)
    reads(page, "2048")
    assert page.locator("#again").is_hidden()  # the autoencoder stays with servers
    assert "default" in page.inner_text("#model")
    loaded = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert all(name.startswith((site, "blob:")) for name in loaded), loaded
