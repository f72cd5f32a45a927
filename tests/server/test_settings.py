import pytest

from digitlens.server.settings import Settings


def test_by_default_nobody_else_on_the_network_is_served():
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.cors == ()


def test_the_token_is_not_shown():
    assert "secret" not in repr(Settings(token="secret"))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"workers": 0}, "workers above 0, found 0"),
        ({"time_limit": float("nan")}, "time_limit above 0, found nan"),
        ({"body_limit": -1}, "body_limit above 0"),
        ({"queue": -1}, "queue of 0 or more, found -1"),
        ({"port": 70000}, "port from 0 to 65535, found 70000"),
    ],
)
def test_impossible_settings_are_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        Settings(**wrong)
