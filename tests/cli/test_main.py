"""What the command line does with whatever goes wrong in it."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from resnet_search.cli import main, screen
from resnet_search.cli.session import Session, run_words
from resnet_search.errors import UserError

from .conftest import Outcome, make_run, refused, spawn

pytestmark = pytest.mark.interface


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, command: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Call a command that raises an error."""

    def call(error: BaseException, **session: object) -> Outcome:
        @click.command("list")
        @click.pass_obj
        def failing_command(state: Session) -> None:
            for name, value in session.items():
                setattr(state, name, value)
            raise error

        monkeypatch.setattr(main._Commands, "get_command", lambda *_: failing_command)
        return command("list")

    return call


@pytest.mark.parametrize("columns", ["0", "-5", "many", ""])
def test_a_width_that_is_none_is_ignored(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert not screen.has_width()
    assert screen.console().width == screen.FILE_WIDTH


def test_the_program_alone_shows_its_commands(command: Callable[..., Outcome]) -> None:
    alone = command()
    assert alone.status == 0
    assert alone == command("--help") == command("-h")
    for name in main.COMMANDS:
        assert f"  {name} " in alone.out
        assert command(name, "--help").status == 0


def test_no_summary_of_a_command_is_cut_short(command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = command().out.splitlines()
    assert max(map(len, lines)) <= 80
    summaries = lines[lines.index("Commands:") + 1 :][: len(main.COMMANDS)]
    assert [line.split()[0] for line in summaries] == list(main.COMMANDS)
    assert [line for line in summaries if not line.endswith(".") or line.endswith("...")] == []


def test_the_version(command: Callable[..., Outcome]) -> None:
    assert command("--version").out.startswith("resnet-search 0.")


def test_a_users_error_is_message_and_cure(failing: Callable[..., Outcome]) -> None:
    outcome = failing(UserError("it is \x1b[31mwrong", "Mend it."))
    assert outcome == Outcome(1, "", "Error: it is \\x1b[31mwrong\nMend it.\n")


LONG = "one-two-three four-five-six seven eight: see resnet-search list --runs-dir a/b/c/d"
MISTAKES = "space: 1 mistake\n  - one two three four five six seven eight nine"


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        (LONG, ["Error: one-two-three four-five-six seven", "eight: see", "resnet-search list --runs-dir a/b/c/d"]),
        (MISTAKES, ["Error: space: 1 mistake", "  - one two three four five six seven", "    eight nine"]),
        ("x" * 60, ["Error:", "x" * 60]),
    ],
)  # fmt: skip
def test_on_a_terminal_an_error_is_wrapped_between_words(
    failing: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, message: str, lines: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert failing(UserError(message)).err == f"Error: {message}\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert failing(UserError(message)).err.splitlines() == lines


def test_an_error_in_a_search_names_the_way_on(failing: Callable[..., Outcome], tmp_path: Path) -> None:
    run = make_run(tmp_path / "my runs", stop_after=1)
    outcome = failing(UserError("wrong"), folder=run.path, runs_dir=tmp_path / "my runs", begun=True)
    assert outcome.err.endswith(f" trial-run --runs-dir '{tmp_path}/my runs'\n")


def test_a_cure_is_told_with_the_folder_of_runs(command: Callable[..., Outcome], tmp_path: Path) -> None:
    assert f"--runs-dir {tmp_path}" in command("trials", "latest", "--runs-dir", tmp_path).err


@pytest.mark.parametrize(
    ("error", "names"),
    [
        (OSError(errno.ENOSPC, "why", "/data/x"), ["why: /data/x\n", "disk"]),
        (PermissionError(errno.EACCES, "why", "x"), ["why: x\n"]),
        (OSError("odd"), ["Error: odd"]),
        (MemoryError(), ["memory", "--workers"]),
    ],
)
def test_the_machines_errors_are_named_with_their_file(
    failing: Callable[..., Outcome], error: Exception, names: list[str]
) -> None:
    refused(failing(error), 1, *names)


@pytest.mark.parametrize("in_run", [False, True])
def test_a_bug_is_a_line_and_a_file(failing: Callable[..., Outcome], tmp_path: Path, in_run: bool) -> None:
    folder = make_run(tmp_path, stop_after=1).path
    outcome = failing(ZeroDivisionError("by nought\nand more"), folder=folder, begun=in_run)
    assert outcome.status == 1
    first, second, *_ = outcome.err.splitlines()
    assert first.endswith(": ZeroDivisionError: by nought")
    path = Path(second.split(": ", 1)[1])
    assert "Traceback" in path.read_text()
    assert (path.parent == folder) is in_run
    path.unlink()


def test_a_reader_that_has_enough(tmp_path: Path) -> None:
    make_run(tmp_path / "runs")
    process = spawn("trials", "latest", "--json", cwd=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 1


def test_a_terminal_that_is_not_utf_8(tmp_path: Path) -> None:
    make_run(tmp_path / "runs").path.rename(tmp_path / "runs" / "猫")
    outcome = subprocess.run(
        [sys.executable, "-m", "resnet_search", "show", "latest", "22"],
        cwd=tmp_path, capture_output=True, text=True, env={"PYTHONIOENCODING": "ascii", "PATH": ""}, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    assert "0022 of ?" in outcome.stdout
    assert "  _.:-==+*#\n" in outcome.stdout


def test_words_that_name_a_run(tmp_path: Path) -> None:
    assert run_words(Path("runs/a"), Path("runs")) == "a"
    assert run_words(Path("else where/a"), Path("else where")) == "a --runs-dir 'else where'"
    assert run_words(Path("/far/a b"), Path("runs")) == "'/far/a b'"
    final = make_run(make_run(tmp_path / "runs", "a").path, "final").path
    assert run_words(final, tmp_path / "runs") == f"a/final --runs-dir {tmp_path / 'runs'}"
    assert run_words(final, tmp_path / "others") == str(final)


def test_completion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path / "runs", "my-run", stop_after=2)
    monkeypatch.chdir(tmp_path)

    def complete(*words: str) -> list[str]:
        *whole, begun = words
        completions = ShellComplete(main.cli, {}, "resnet-search", "").get_completions(list(whole), begun)
        return [item.value for item in completions]

    assert complete("tr") == ["trials", "train", "track"]
    assert complete("trials", "my") == ["my-run"]
    assert complete("show", "my-run", "") == ["0000", "0001", "0002"]
    assert complete("run", "--space", "quick") == ["quickstart"]
    assert complete("trials", "my-run", "--sort", "sc") == ["score"]


def test_the_program_answers_a_shell_that_completes(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", "from resnet_search.cli.main import main; main()"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"_RESNET_SEARCH_COMPLETE": "bash_complete", "COMP_WORDS": "resnet-search tr", "COMP_CWORD": "1"},
    )  # fmt: skip
    assert process.stdout.split() == ["plain,trials", "plain,train", "plain,track"]
