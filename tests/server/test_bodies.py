import tempfile

import pytest
from PIL import Image

from digitlens.server.bodies import NAME, Picture, is_raw

MEGABYTES = 3


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A picture larger than what web frameworks keep in memory."""
    path = tmp_path_factory.mktemp("large") / "noise.bmp"
    Image.effect_noise((1000 * MEGABYTES, 1000), 50).save(path)
    return path.read_bytes()


def test_no_picture_is_written_to_a_disk(client, large, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("a file was made")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    monkeypatch.setattr(tempfile, "mkstemp", fail)
    assert len(large) > MEGABYTES * 1_000_000
    answer = client.post("/v1/read", files={"file": ("large.bmp", large)})
    assert answer.status_code == 200, answer.text


def test_nothing_is_logged_of_a_request(client, picture, caplog, capfd):
    caplog.set_level("DEBUG", "digitlens")
    client.post("/v1/read", files={"file": ("secret.png", picture)})
    client.post("/v1/read", files={"file": ("secret.png", picture[:20])})
    assert "secret" not in caplog.text + "".join(capfd.readouterr())


def test_a_picture_has_a_name_for_errors_that_is_not_too_long():
    assert (Picture(b"").name, Picture(b"", "").given) == ("image", None)
    assert Picture(b"", "a" * 999).name == "a" * NAME


@pytest.mark.parametrize("kind", ["", "image/png", "image/x-unknown", "application/pdf"])
def test_these_types_are_one_file(kind):
    assert is_raw(kind)


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data"])
def test_these_types_are_not(kind):
    assert not is_raw(kind)
