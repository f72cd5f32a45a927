"""The exported folder on a plain host: it reads, and asks nobody but its host."""

import pytest

from digitlens.server.site import write_site


@pytest.fixture(scope="module")
def site(hosted, tmp_path_factory):
    """The address of the site, below a name as that of a project."""
    folder = tmp_path_factory.mktemp("host")
    write_site(folder / "project", "default", "pages")
    with hosted(folder) as address:
        yield f"{address}/project/"


@pytest.mark.parametrize("text", ["7", "2048"])
def test_a_drawing_is_read_without_any_server(open_page, reads, site, text):
    page = open_page(address=site)
    page.set_default_timeout(60_000)  # the networks are loaded first
    page.hand.write(text, height=170)
    reads(page, text)
    assert page.locator("#again").is_hidden()  # the autoencoder stays with servers
    assert "default" in page.inner_text("#model")
    loaded = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert all(name.startswith((site, "blob:")) for name in loaded), loaded
