import pytest

from digitlens.errors import DataError
from digitlens.training.search_space import parse_space
from digitlens.training.study import (
    local_storage,
    open_study,
    plan_of,
    result_of,
    shown_address,
    space_of,
)

SPACE = parse_space("fast", [], ["epochs=1..3", "learning_rate=0.001..0.1:log"])
PLAN = plan_of(SPACE, 2, 60)


def test_a_study_is_begun_joined_and_remembers_what_it_searches(tmp_path):
    storage = local_storage(tmp_path)
    begun = open_study(storage, "mine", PLAN)
    for joined in (open_study(storage, "mine", PLAN), open_study(storage, "", None)):
        assert joined.study_name == begun.study_name
        assert space_of(joined) == SPACE
        assert (result_of(joined).seeds, result_of(joined).tiles) == (2, 60)
        assert result_of(joined).trials == ()


def test_a_study_that_searches_otherwise_is_not_joined(tmp_path):
    storage = local_storage(tmp_path)
    open_study(storage, "mine", PLAN)
    other = parse_space("fast", ["batch_size=32"], ["epochs=1..4", "learning_rate=0.001..0.1:log"])
    with pytest.raises(DataError, match=r"otherwise \(search: .*batch_size: 256 there, 32"):
        open_study(storage, "mine", plan_of(other, 2, 60))


def test_a_study_that_is_not_there_is_refused(tmp_path):
    storage = local_storage(tmp_path)
    with pytest.raises(DataError, match="it has none; begin one with --search"):
        open_study(storage, "mine", None)
    open_study(storage, "mine", PLAN)
    with pytest.raises(DataError, match="those there are: mine"):
        open_study(storage, "yours", None)


@pytest.mark.parametrize(
    "storage",
    ["nonsense", "sqlite:////nowhere/at/all.db", "oracle+nothing://me:secret@host/db"],
)
def test_an_unusable_database_is_one_line_without_the_password(storage, monkeypatch):
    monkeypatch.setattr("digitlens.training.study.PAUSE", 0)
    with pytest.raises(DataError) as told:
        open_study(storage, "mine", PLAN)
    assert "cannot be used" in str(told.value)
    assert "\n" not in str(told.value)
    assert "secret" not in str(told.value)


def test_a_file_that_is_no_database_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("digitlens.training.study.PAUSE", 0)
    (tmp_path / "study.db").write_text("this is not a database, and quite long at that" * 99)
    with pytest.raises(DataError, match="cannot be used"):
        open_study(local_storage(tmp_path), "mine", PLAN)


def test_a_foreign_study_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("digitlens.training.study.PAUSE", 0)
    study = open_study(local_storage(tmp_path), "mine", PLAN)
    monkeypatch.setattr("digitlens.training.study.PLAN", "another attribute")
    with pytest.raises(DataError, match="not begun by digitlens tune"):
        open_study(local_storage(tmp_path), study.study_name, None)


def test_an_address_is_shown_without_its_password():
    assert shown_address("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
