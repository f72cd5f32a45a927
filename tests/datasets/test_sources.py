import pytest

from digitlens.datasets.sources import Source, gather
from digitlens.errors import DataError


class Recorder:
    """Sources that note who was asked for what, and a cache that notes what was kept."""

    def __init__(self, tiny) -> None:
        self.tiny = tiny
        self.asked: list[tuple[str, int]] = []
        self.kept: list[str] = []

    def source(self, name: str, *gives, fails: str = "", on_disk: bool = False) -> Source:
        def fetch(wanted):
            self.asked.append((name, len(wanted)))
            yield from gives
            if fails:
                raise DataError(fails)

        return Source(name, self.tiny.files, fetch, on_disk)

    def gather(self, *sources: Source):
        return gather(sources, keep=lambda file, _content: self.kept.append(file.name))


@pytest.fixture
def recorder(tiny_mnist) -> Recorder:
    return Recorder(tiny_mnist)


@pytest.fixture
def items(tiny_mnist):
    return list(tiny_mnist.contents.items())


def test_the_first_source_that_has_it_all_is_the_last_asked(recorder, items) -> None:
    gathered = recorder.gather(recorder.source("a", *items), recorder.source("b", *items))

    assert recorder.asked == [("a", 4)]
    assert set(gathered.origins.values()) == {"a"}
    assert gathered.problems == []


def test_the_next_source_is_asked_for_what_is_missing(recorder, items) -> None:
    gathered = recorder.gather(recorder.source("a", *items[:3]), recorder.source("b", items[3]))

    assert recorder.asked == [("a", 4), ("b", 1)]
    assert list(gathered.origins.values()) == ["a", "a", "a", "b"]
    assert [(p.source.name, p.reason) for p in gathered.problems] == [
        ("a", "has no t10k-labels-idx1-ubyte")
    ]


def test_a_source_that_fails_is_noted_and_the_next_asked(recorder, items, caplog) -> None:
    gathered = recorder.gather(
        recorder.source("a", fails="no network"), recorder.source("b", *items)
    )

    assert gathered.contents == dict(items)
    assert [p.reason for p in gathered.problems] == ["no network"]
    assert caplog.messages == ["a: no network"]


def test_what_came_before_a_failure_counts(recorder, items) -> None:
    gathered = recorder.gather(
        recorder.source("a", *items[:2], fails="cut off"), recorder.source("b", *items[2:])
    )

    assert recorder.asked == [("a", 4), ("b", 2)]
    assert gathered.contents == dict(items)


def test_wrong_bytes_are_refused_and_the_next_source_asked(recorder, items, caplog) -> None:
    file, content = items[0]
    wrong = (file, content[:-1] + b"\x00")
    assert wrong[1] != content

    gathered = recorder.gather(recorder.source("a", wrong), recorder.source("b", *items))

    assert gathered.contents == dict(items)
    assert recorder.asked == [("a", 4), ("b", 4)]
    assert "train-images-idx3-ubyte is damaged: expected SHA-256" in caplog.text


def test_wrong_bytes_are_never_kept(recorder, items) -> None:
    file, content = items[1]

    gathered = recorder.gather(recorder.source("a", items[0], (file, content[::-1])))

    assert recorder.kept == ["train-images-idx3-ubyte"]
    assert gathered.missing(recorder.tiny.files) == list(recorder.tiny.files[1:])


def test_only_what_is_not_on_disk_is_kept(recorder, items) -> None:
    recorder.gather(
        recorder.source("disk", *items[:2], on_disk=True), recorder.source("net", *items[2:])
    )

    assert recorder.kept == ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def test_each_file_is_kept_before_the_next_is_asked_for(recorder, items) -> None:
    def fetch(_wanted):
        for number, item in enumerate(items):
            assert len(recorder.kept) == number
            yield item

    recorder.gather(Source("slow", recorder.tiny.files, fetch))

    assert len(recorder.kept) == 4


def test_a_source_is_not_asked_for_files_that_it_never_has(recorder, items) -> None:
    labels = Source("labels", recorder.tiny.files[3:], lambda _wanted: [items[3]])

    gathered = recorder.gather(recorder.source("a", *items), labels)

    assert gathered.origins[items[3][0]] == "a"
