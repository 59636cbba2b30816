"""resnet-search import, and what the other commands say of what it made."""

from __future__ import annotations

import json
import shlex
import socket
from pathlib import Path

import pytest

from tests.search.projects import make_images, make_project


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project, images, and nothing else."""
    folder = tmp_path_factory.mktemp("there")
    make_images(folder / "images.npz")
    make_project(folder / "search")
    return folder


@pytest.fixture
def imported(command, there, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("--data", there / "images.npz", "--image-size", 16, "--validation", 12, "--name", "theirs")
    return command("import", there / "search" / "hyperband", *options)


def test_it_says_what_it_made_and_what_comes_next(imported, command):
    assert (imported.status, imported.err) == (0, "")
    assert "of Hyperband, 1 failed: runs/theirs" in imported.out
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
    assert "Imported from Keras Tuner" in text
    assert "No weights are taken over" in text
    assert "To repeat this run" not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("export theirs", "an imported run has no weights"),
        ("resume theirs --add-iterations 1", "imported from Keras Tuner"),
        ("resume theirs --add-epochs 9", "imported from Keras Tuner"),
    ],
)
def test_what_needs_weights_says_so(words, message, imported, command):
    done = command(*shlex.split(words))
    assert done.status == 1
    assert message in done.err
    assert "Traceback" not in done.err


def test_no_estimate_of_time_is_made_from_it(imported, command):
    """Nobody knows which machine it was trained on."""
    content = json.loads(Path("runs/theirs/run.json").read_text())
    assert content["machine"]["host"] != socket.gethostname()
    assert "measured in theirs" not in command("plan", "--space", "runs/theirs/theirs.toml").out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--map", "filters"], "--map: got 'filters'; allowed: NAME=KEY"),
        (["--map", "filters=width:"], "--map: got 'filters=width:'"),
        (["--map", "filters=widht"], "KEY: got 'widht'"),
        (["--set", "block"], "--set: got 'block'; allowed: KEY=VALUE"),
        (["--epochs", "3"], "--epochs: got 3; allowed: 9"),
        (["--score", "top5"], "--score: got 'top5'"),
        (["--epochs", "none"], "--epochs: got 'none'"),
        (["--data", "./nowhere"], "nowhere"),
    ],
    ids=["no key", "no values", "no such key", "no value", "other epochs", "no metric", "no number", "no images"],
)
def test_wrong_options_are_one_message(options, message, there, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("import", there / "search" / "hyperband", "--data", there / "images.npz", *options)
    assert done.status in {1, 2}
    assert message in done.err
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err
    assert not (tmp_path / "runs").exists()
