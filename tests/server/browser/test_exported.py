"""The exported site on a static host: it reads, and sends requests only to its host."""


def test_drawing_is_read_without_a_digitlens_server(open_page, reads, hosted, exported):
    with hosted(exported.parent) as address:
        page = open_page(address=f"{address}/{exported.name}/")  # requests go only there
        page.set_default_timeout(60_000)  # the networks load first
        page.hand.write("2048", height=170)
        reads(page, "2048")
        assert page.locator("#again").is_hidden()  # the autoencoder is not exported
        assert "default" in page.inner_text("#model")
