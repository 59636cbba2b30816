"""resume with settings: those that can change do, the others are refused by name; budgets reach the search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import read_run

from .conftest import Outcome, make_run
from .test_searching import budgets, made_up, resumed

__all__ = ["made_up"]


def test_every_difference_is_named(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    make_run(Path("runs"), "a", stop_after=5)
    words = ["--seed", 7, "--factor", 2, "--max-epochs", 9, "--train-examples", 100, "--precision", "bfloat16"]
    outcome = command("resume", "a", *words)
    assert outcome.status == 2
    assert outcome.err.splitlines() == [
        "Error: RUN: a was started with other settings:",
        "  --seed: got 7; this run has 0",
        "  --train-examples: got 100; this run has None",
        "  --precision: got 'bfloat16'; this run has 'auto'",
        "  --factor: got 2; this run has 3",
        "Leave them out, or start a new run. To train the best ones longer: --add-epochs.",
    ]
    assert made_up == []


def test_a_space_is_compared_key_by_key(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    make_run(Path("runs"), "a", stop_after=5)
    outcome = command("resume", "a", "--space", "cifar_small")
    assert outcome.status == 2
    assert "--space cifar_small: [axes] " in outcome.err
    assert made_up == []


def test_the_same_settings_are_none_that_changed(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    make_run(Path("runs"), "a", stop_after=5)
    outcome = command("resume", "a", "--seed", 0, "--max-epochs", 9, "--space", "quickstart", "--data", "shapes")
    assert outcome.status == 0, outcome.err
    assert made_up[0] == RunFolder(Path("runs/a"))


def test_what_can_change_reaches_the_search(command: Callable[..., Outcome]) -> None:
    make_run(Path("runs"), "a", stop_after=5)
    outcome = command("resume", "a", "--workers", 2, "--threads", 3, "--device", "cpu", "--hang-timeout", "5m")
    assert outcome.status == 0, outcome.err
    settings = resumed[0]
    assert (settings.workers, settings.threads, settings.device, settings.hang_timeout) == (2, 3, "cpu", 300.0)
    assert not settings.extends


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "runs/held: is in use by another process"),
        (["--add-epochs", "3"], "runs/held: is in use by another process"),
    ],
)
def test_a_run_that_is_driven_is_left_alone(
    command: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = make_run(Path("runs"), "held", stop_after=2)
    with folder.lock():
        (folder.path / "lock").write_text("")
        outcome = command("resume", "held", *words)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith(f"Error: {told}\n")
    assert "resnet-search stop held" in outcome.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--add-epochs", "3"], "--add-epochs"),
        (["--add-epochs", "3", "--add-iterations", "1"], "--add-epochs: got it beside --add-iterations"),
    ],
)
def test_an_extension_that_cannot_be_is_refused_at_once(
    command: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(Path("runs"), "a", stop_after=2)
    outcome = command("resume", "a", *words)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith(f"Error: {told}")


def test_budgets_reach_the_search(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    assert command("run", "--space", "quickstart", "--name", "a", "--time-budget", "1h30m", "-q").status == 0
    assert (budgets[0].seconds, budgets[0].trials) == (5400.0, None)
    assert made_up[0][1].hang_timeout == 600.0
    make_run(Path("runs"), "b", stop_after=5)
    assert command("resume", "b", "--max-trials", 4, "-q").status == 0
    assert (budgets[1].seconds, budgets[1].trials) == (None, 4)


def test_a_finished_run_is_extended(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    make_run(Path("runs"), "a")
    assert command("resume", "a", "--add-iterations", 2, "-q").status == 0
    assert resumed[0].add_iterations == 2
    assert made_up[0] == RunFolder(Path("runs/a"))


def test_a_search_that_was_stopped_is_exported_and_names_the_way_on(
    command: Callable[..., Outcome], made_up: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from resnet_search.runs.events import append_event
    from resnet_search.search import start

    def search(space: Any, settings: Any, observers: Any = (), *, budget: Any = None) -> Any:
        del space, budget
        folder = make_run(settings.runs_dir, settings.name, stop_after=5)
        event = append_event(folder.events, "stopped", reason="5 trials are done, as asked for")
        view = read_run(folder)
        for observer in observers:
            observer({"event": "started", "time": event["time"]}, view)
            observer(event, view)
        return view

    monkeypatch.setattr(start, "run_search", search)
    outcome = command("run", "--space", "quickstart", "--name", "a", "--max-trials", 5)
    assert outcome.status == 0, outcome.err
    assert made_up == [("a", None, None)]
    for words in (
        "stopped a after", "No trial has been trained for all 9 epochs yet.",
        "Stopped before the end of the plan: 5 trials are done, as asked for.", "SavedModel",
        "  resnet-search resume a\n",
    ):  # fmt: skip
        assert words in outcome.out
    assert command("resume", "a").status == 0
    assert made_up[1:] == [RunFolder(Path("runs/a")), ("a", None, None)], "exported anew, since trials have completed"
