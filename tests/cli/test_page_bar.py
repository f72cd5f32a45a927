import io
import sys

import pytest

from digitlens.cli.reading import PageBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def said(monkeypatch):
    """A function from pages and where to show them to what is shown."""

    def said(pages, stderr, **options):
        monkeypatch.setattr(sys, "stderr", stderr)
        with PageBar(**options) as bar:
            for count in pages:
                bar.expect(count)
                bar.say("one [is] empty")
                bar.advance()
        return stderr.getvalue()

    monkeypatch.setenv("TERM", "xterm")
    return said


def test_several_pages_have_a_bar(said):
    shown = said([2, 3], Terminal(), wanted=True)
    assert "reading" in shown
    assert "/5" in shown
    assert "one [is] empty\n" in shown


@pytest.mark.parametrize(("pages", "wanted"), [([1], True), ([2, 3], False), ([], True)])
def test_one_page_or_nobody_who_looks_has_none(said, pages, wanted):
    assert said(pages, Terminal(), wanted=wanted) == "one [is] empty\n" * len(pages)


def test_a_pipe_has_none(said):
    assert said([2, 3], io.StringIO(), wanted=True) == "one [is] empty\n" * 2
