"""--watch: shown again when files change, over when nothing trains, quiet after Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_search.cli import watch
from resnet_search.files import append_line
from resnet_search.runs.trials import read_run

from .conftest import Outcome, _heed_signals, make_run, refused

pytestmark = pytest.mark.interface

Command = Callable[..., Outcome]
WATCHED = [["list"], ["trials", "run"], ["show", "run", "9"]]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


@pytest.mark.parametrize("words", WATCHED, ids=" ".join)
def test_it_ends_with_the_run(
    words: list[str], place: Path, command: Command, terminal: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal(100)
    run = make_run(place, "run", stop_after=9)
    lock = run.lock()
    lock.__enter__()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            last = {"event": "completed", "trial": "0009", "score": 0.987, "setup_seconds": 1.0, "train_seconds": 2.0}
            append_line(run.events, {**last, "time": read_run(run, locked=False).started + 99})
        if len(slept) == 4:
            lock.__exit__(None, None, None)

    monkeypatch.setattr("resnet_search.cli.watch.time.sleep", sleep)
    outcome = command(*words, "--watch")
    assert outcome.status == 0
    assert outcome.err == ""
    assert min(slept) >= watch._PAUSE
    # What changed meanwhile is shown behind what was there.
    new = "9/23" if words == ["list"] else "98.70 %"
    assert 0 < outcome.out.find("Ctrl-C closes this view") < outcome.out.rfind(new)
    assert len(slept) <= 5


def test_a_list_goes_on_while_a_run_is_confirmed(
    place: Path, command: Command, terminal: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal(100)
    of = {"run": "run", "kind": "confirm", "trials": ["0000"], "seeds": 1}
    known = [{"iteration": 0, "bracket": 9, "candidates": [{"architecture": {}, "recipe": {}}], "presets": []}]
    search = make_run(place, "run").path
    other = make_run(place, "other", stop_after=9).lock()
    other.__enter__()
    slept: list[float] = []
    locks = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:  # It begins while the list is watched because of another.
            locks.append(make_run(search, "confirm", stop_after=9, of=of, known=known).lock())
            locks[0].__enter__()
        if len(slept) == 4:
            other.__exit__(None, None, None)
        if len(slept) == 6:
            locks[0].__exit__(None, None, None)

    monkeypatch.setattr("resnet_search.cli.watch.time.sleep", sleep)
    outcome = command("list", "--watch")
    assert (outcome.status, outcome.err) == (0, "")
    assert len(slept) == 6
    assert 0 < outcome.out.find("running") < outcome.out.rfind("confirming 8/23") < outcome.out.rfind("finished")


@pytest.mark.parametrize("words", WATCHED, ids=" ".join)
def test_what_trains_no_more_is_shown_once(
    words: list[str], place: Path, command: Command, terminal: Callable[[int], None]
) -> None:
    terminal(100)
    make_run(place, "run", stop_after=9)
    outcome = command(*words, "--watch")
    assert outcome.status == 0
    assert "Ctrl-C" not in outcome.out


def test_rows_are_as_many_as_fit(
    place: Path, command: Command, terminal: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal(100)
    monkeypatch.setenv("LINES", "12")
    for number in range(12):
        make_run(place, f"run-{number:02d}", stop_after=3, created=f"2026-01-01T00:00:{number:02d}")
    out = command("list", "--watch").out
    assert "run-11" in out, "the latest"
    assert "run-00" not in out
    trials = command("trials", "run-00", "--watch", "--top", "2").out
    assert set(re.findall(r"^00\d\d ", trials, re.MULTILINE)) == {"0000 ", "0001 "}


@pytest.mark.parametrize("words", WATCHED, ids=" ".join)
def test_not_into_a_pipe_and_not_for_programs(
    words: list[str], place: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(place, "run", stop_after=9)
    outcome = command(*words, "--watch")
    refused(outcome, 2, "--watch", "terminal")
    assert outcome.out == ""
    outcome = command(*words, "--watch", "--json")
    refused(outcome, 2, "--watch", "--json")
    assert outcome.out == ""


def test_ctrl_c_ends_it_without_a_word(place: Path) -> None:
    run = make_run(place, "run", stop_after=9)
    shown, terminal = pty.openpty()
    with run.lock():
        process = subprocess.Popen(
            [sys.executable, "-m", "resnet_search", "trials", "run", "--watch"],
            cwd=place.parent, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE,
            env={**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)}, preexec_fn=_heed_signals,  # noqa: PLW1509
        )  # fmt: skip
        os.close(terminal)
        seen = b""
        deadline = time.monotonic() + 60
        while b"Ctrl-C closes this view" not in seen and time.monotonic() < deadline:
            if select.select([shown], [], [], 1)[0]:
                seen += os.read(shown, 65536)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == b""
    os.set_blocking(shown, False)
    while select.select([shown], [], [], 0)[0]:
        try:
            seen += os.read(shown, 65536)
        except OSError:
            break
    assert seen.rfind(b"\x1b[?25h") > seen.rfind(b"\x1b[?25l") >= 0, "the cursor is back"
    assert b"Interrupted" not in seen
