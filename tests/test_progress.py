"""Progress is for terminals: a pipe gets nothing."""

from digitlens.progress import stderr_console, work_bar


def test_a_bar_is_silent_without_a_terminal(capsys):
    with work_bar("{task.fields[state]}") as bar:
        task = bar.add_task("work", total=3, state="")
        bar.update(task, completed=3, state="done")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.strip() == ""


def test_notes_go_to_standard_error(capsys):
    stderr_console().print("a note")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "a note\n")
