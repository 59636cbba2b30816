"""resume with settings: those that can change do, the others are refused by name; budgets reach the search."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnet_search.errors import RunError
from resnet_search.runs.events import append_event
from resnet_search.runs.trials import read_run
from resnet_search.search import start
from resnet_search.search.resume import ResumeSettings

from .conftest import Asked, Outcome, commands, make_run, refused


def test_every_difference_is_named(command: Callable[..., Outcome], asked: Asked) -> None:
    make_run(Path("runs"), "a", stop_after=5)
    words = ["--seed", 7, "--factor", 2, "--max-epochs", 9, "--train-examples", 100, "--precision", "bfloat16"]
    words += ["--deterministic"]
    outcome = command("resume", "a", *words)
    refused(outcome, 2)
    lines = [line for line in outcome.err.splitlines() if line.startswith("  --")]
    assert [re.findall(r"--[a-z-]+|\d+|None|'\w+'", line) for line in lines] == [
        ["--seed", "7", "0"],
        ["--train-examples", "100", "None"],
        ["--precision", "'bfloat16'", "'auto'"],
        ["--deterministic"],
        ["--factor", "2", "3"],
    ]
    assert asked == Asked()


def test_a_space_is_compared_key_by_key(command: Callable[..., Outcome], asked: Asked) -> None:
    make_run(Path("runs"), "a", stop_after=5)
    refused(command("resume", "a", "--space", "cifar_small"), 2, "--space cifar_small", "[axes]")
    assert asked == Asked()


def test_the_same_settings_are_none_that_changed(command: Callable[..., Outcome], asked: Asked) -> None:
    make_run(Path("runs"), "a", stop_after=5)
    outcome = command("resume", "a", "--seed", 0, "--max-epochs", 9, "--space", "quickstart", "--data", "shapes")
    assert outcome.status == 0, outcome.err
    assert asked.resumed == [("a", ResumeSettings())]


def test_what_can_change_reaches_the_search(command: Callable[..., Outcome], asked: Asked) -> None:
    make_run(Path("runs"), "a", stop_after=5)
    words = ["--workers", 2, "--threads", 3, "--device", "cpu", "--hang-timeout", "5m", "--max-trials", 4]
    outcome = command("resume", "a", *words)
    assert outcome.status == 0, outcome.err
    assert asked.resumed == [("a", ResumeSettings(workers=2, threads=3, device="cpu", hang_timeout=300.0))]
    assert asked.budgets == [(None, 4)]


@pytest.mark.parametrize("words", [[], ["--add-epochs", "3"]])
def test_a_run_that_is_driven_is_left_alone(command: Callable[..., Outcome], asked: Asked, words: list[str]) -> None:
    folder = make_run(Path("runs"), "held", stop_after=2)
    with folder.lock():
        (folder.path / "lock").write_text("")
        outcome = command("resume", "held", *words)
    refused(outcome, 1, "runs/held", "resnet-search stop held")
    assert (outcome.error, outcome.out) == (RunError, "")
    assert asked == Asked()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--add-epochs", "3"], ["--add-epochs"]),
        (["--add-epochs", "3", "--add-iterations", "1"], ["--add-epochs", "--add-iterations"]),
    ],
)
def test_an_extension_that_cannot_be_is_refused_at_once(
    command: Callable[..., Outcome], asked: Asked, words: list[str], names: list[str]
) -> None:
    make_run(Path("runs"), "a", stop_after=2)
    outcome = command("resume", "a", *words)
    refused(outcome, 1, *names)
    assert outcome.out == ""
    assert asked == Asked()


def test_a_finished_run_is_extended(command: Callable[..., Outcome], asked: Asked) -> None:
    make_run(Path("runs"), "a")
    assert command("resume", "a", "--add-iterations", 2, "-q").status == 0
    assert asked.resumed == [("a", ResumeSettings(add_iterations=2))]


def test_a_search_that_was_stopped_is_exported_and_names_the_way_on(
    command: Callable[..., Outcome], asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(space: Any, settings: Any, observers: Any = (), *, budget: Any = None) -> Any:
        del space, budget
        folder = make_run(settings.runs_dir, settings.name, stop_after=5)
        event = append_event(folder.events, "stopped", reason="the reason why")
        view = read_run(folder)
        for observer in observers:
            observer({"event": "started", "time": event["time"]}, view)
            observer(event, view)
        return view

    monkeypatch.setattr(start, "run_search", search)
    outcome = command("run", "--space", "quickstart", "--name", "a", "--max-trials", 5)
    assert outcome.status == 0, outcome.err
    assert asked.exports == [{"run": "a"}]
    assert "the reason why" in outcome.out
    assert " 9 epochs" in outcome.out, "which no trial has yet"
    assert commands(outcome.out)[0] == "resume a"
    assert command("resume", "a").status == 0
    assert [run for run, _ in asked.resumed] == ["a"]
    assert asked.exports == [{"run": "a"}] * 2, "exported anew, since trials have completed"
