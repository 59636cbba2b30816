"""resnet-search import, and what the other commands say of what it made."""

from __future__ import annotations

import json
import shlex
import socket
from pathlib import Path

import pytest

from .conftest import refused


@pytest.fixture
def imported(command, project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("--data", project / "images.npz", "--image-size", 16, "--validation", 12, "--name", "theirs")
    return command("import", project / "search" / "hyperband", *options)


def test_it_says_what_it_made_and_what_comes_next(imported, command):
    assert (imported.status, imported.err) == (0, "")
    assert all(fact in imported.out for fact in ("Hyperband", "1 failed", "runs/theirs"))
    [run] = [line.split() for line in imported.out.splitlines() if " run " in line]
    assert run[:4] == ["resnet-search", "run", "--space", "runs/theirs/theirs.toml"]
    assert run.count("--baseline") == 3
    # All of it can be typed: the plan of that search, with its baselines.
    planned = command("plan", *run[2:])
    assert (planned.status, planned.err) == (0, "")
    assert planned.out.count("Baseline   block=") == 3


@pytest.mark.parametrize("words", ["list", "trials theirs", "show theirs 0", "show theirs 3", "doctor theirs",
                                   "report theirs", "resume theirs --no-export"])  # fmt: skip
def test_readers_take_it_as_a_run(words, imported, command):
    done = command(*shlex.split(words))
    assert (done.status, done.err) == (0, "")


def test_trials_as_json(imported, command):
    trials = json.loads(command("trials", "theirs", "--json").out)["trials"]
    assert [trial["trial"] for trial in sorted(trials, key=lambda one: one["trial"])][:2] == ["0000", "0001"]
    assert sum(trial["status"] == "failed" for trial in trials) == 1


def test_the_report_says_where_it_is_from_and_names_no_command_that_repeats_it(imported, command):
    assert command("report", "theirs").status == 0
    text = Path("runs/theirs/report/report.md").read_text()
    assert "Keras Tuner" in text
    assert "weights" in text
    # Every command that repeats a run has its seed.
    assert "--seed" not in text


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("export theirs", "weights"),
        ("resume theirs --add-iterations 1", "Keras Tuner"),
        ("resume theirs --add-epochs 9", "Keras Tuner"),
    ],
)
def test_what_needs_weights_says_so(words, name, imported, command):
    refused(command(*shlex.split(words)), 1, name)


def test_no_estimate_of_time_is_made_from_it(imported, command):
    """Nobody knows which machine it was trained on."""
    content = json.loads(Path("runs/theirs/run.json").read_text())
    assert content["machine"]["host"] != socket.gethostname()
    assert "in theirs" not in command("plan", "--space", "runs/theirs/theirs.toml").out


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--map", "filters"], ["--map", "'filters'", "NAME=KEY"]),
        (["--map", "filters=width:"], ["--map", "'filters=width:'"]),
        (["--map", "filters=widht"], ["KEY", "'widht'"]),
        (["--set", "block"], ["--set", "'block'", "KEY=VALUE"]),
        (["--epochs", "3"], ["--epochs", "3", "9"]),
        (["--score", "top5"], ["--score", "'top5'"]),
        (["--epochs", "none"], ["--epochs", "'none'"]),
        (["--data", "./nowhere"], ["nowhere"]),
    ],
    ids=["no key", "no values", "no such key", "no value", "other epochs", "no metric", "no number", "no images"],
)
def test_wrong_options_are_one_message(options, names, project, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("import", project / "search" / "hyperband", "--data", project / "images.npz", *options)
    assert done.status in {1, 2}
    refused(done, done.status, *names)
    assert not (tmp_path / "runs").exists()
