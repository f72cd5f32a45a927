"""The exported site on a static host: it reads, and sends requests only to its host."""

import pytest


@pytest.fixture(scope="module")
def site(hosted, exported):
    """Address of the site, in a subfolder of its host."""
    with hosted(exported.parent) as address:
        yield f"{address}/{exported.name}/"


def test_drawing_is_read_without_a_digitlens_server(open_page, reads, site):
    page = open_page(address=site)
    page.set_default_timeout(60_000)  # the networks load first
    page.hand.write("2048", height=170)
    reads(page, "2048")
    assert page.locator("#again").is_hidden()  # the autoencoder is not exported
    assert "default" in page.inner_text("#model")
    loaded = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert all(name.startswith((site, "blob:")) for name in loaded), loaded
