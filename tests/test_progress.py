"""Progress is shown only on terminals."""

from digitlens.progress import note, work_bar


def test_bar_is_silent_without_a_terminal(capsys):
    with work_bar("{task.fields[state]}") as bar:
        task = bar.add_task("work", total=3, state="")
        bar.update(task, completed=3, state="done")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.strip() == ""


def test_notes_are_one_line_on_standard_error(capsys):
    text = "run  pip install 'digitlens[train]'  " + "and so on " * 20
    note(text)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", text + "\n")
