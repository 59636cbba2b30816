"""One search for real: from the command line to a worker process and back, as small as a search can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_search.files import read_lines
from resnet_search.runs.trials import open_run

from .conftest import Outcome, commands

pytestmark = pytest.mark.interface

SPACE = """
method = "grid"
[axes]
block = "basic"
blocks = [[1]]
width = [3, 4]
[hyperband]
max_epochs = 1
[data]
source = "shapes"
image_size = 8
validation = 100
"""


def test_a_search_trains_in_a_worker_with_the_options_it_was_given(
    command: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("two.toml").write_text(SPACE)
    words = ["--train-examples", 60, "--seed", 7, "--workers", 1, "--threads", 1, "--device", "cpu", "--no-export"]
    outcome = command("run", "--space", "two.toml", "--name", "a", "--runs-dir", "there", *words)
    assert outcome.status == 0, outcome.err
    view = open_run("a", Path("there"))
    assert view.state == "finished"
    assert [trial.status for trial in view.trials.values()] == ["completed"] * 2
    assert (view.content["seed"], view.content["data"]["train"], view.content["data"]["validation"]) == (7, 60, 100)
    workers = view.content["workers"]
    assert (workers["slots"], workers["threads"], workers["device"]) == (1, 1, "cpu")
    for trial in view.trials.values():
        [epoch] = read_lines(view.folder.trial(trial.trial) / "history.jsonl")
        assert epoch["val_accuracy"] == trial.score
        assert (view.folder.trial(trial.trial) / "checkpoint.weights.h5").is_file()
    assert commands(outcome.out)[0] == "trials a --runs-dir there"
