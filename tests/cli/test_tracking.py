"""--track, `track` and `dashboard` as commands: what they take and what they say."""

from __future__ import annotations

import pytest

from resnet_search.cli.tracking import untold
from resnet_search.errors import TrackingError
from resnet_search.runs.folder import RunFolder
from resnet_search.spaces.schema import TRACKERS
from resnet_search.trackers import choice
from resnet_search.trackers.choice import KINDS, look_words, tracked_by

from .conftest import make_run, refused


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Whoever renames a folder may use any character.
    return RunFolder(make_run(tmp_path / "runs", "a").path.rename(tmp_path / "runs" / "a run"))


def test_the_trackers_are_the_same_everywhere():
    assert tuple(KINDS) == TRACKERS


def test_a_run_is_told_and_how_to_look_is_said(run, command):
    outcome = command("track", "a run", "--to", "tensorboard")
    assert outcome.status == 0, outcome.err
    assert outcome.out.split() == ["tensorboard", "tensorboard", "--logdir", "'runs/a", "run/tensorboard'"]
    assert list(run.path.glob("tensorboard/candidate-*/events.out.tfevents.*"))
    assert command("track", "latest", "--to", "tensorboard,tensorboard", "--follow", "--quiet").out == ""


def test_who_cannot_be_told_is_said(run, command):
    (run.path / "tensorboard").write_text("")
    outcome = command("track", "latest", "--to", "tensorboard")
    refused(outcome, 1, "a run", "tensorboard: ")
    assert outcome.error is TrackingError


@pytest.mark.parametrize("words", [["track", "latest", "--to"], ["run", "--space", "quickstart", "--track"]], ids=len)
@pytest.mark.parametrize("given", ["tensorbord", "tensorboard,", "", "tensorboard;mlflow"])
def test_a_mistyped_name_is_said(run, command, words, given):
    outcome = command(*words, given)
    refused(outcome, 2, words[-1], "tensorboard, mlflow, wandb")


@pytest.mark.parametrize("words", [["track", "latest", "--to"], ["run", "--space", "quickstart", "--track"]], ids=len)
def test_a_missing_package_is_said_first(run, command, words, monkeypatch):
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    outcome = command(*words, "wandb")
    refused(outcome, 2, words[-1], "'wandb'", "pip install 'resnet-search[wandb]'")
    assert not outcome.out


def test_a_server_is_where_to_look(run, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert look_words(run, "mlflow") == "see http://127.0.0.1:5000"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert look_words(run, "mlflow").startswith("mlflow ui --backend-store-uri sqlite:///")


@pytest.mark.parametrize("named", [None, "mlflow", 3, ["comet", ["mlflow"], {}]], ids=str)
def test_a_run_that_names_nobody_known_is_told_to_nobody(named):
    assert tracked_by({"track": named}) == ()


def test_what_fails_is_told_with_its_tracker_its_reason_and_its_log():
    line = untold({"event": "tracker_failed", "tracker": "mlflow", "reason": "ConnectionError: nobody"})
    assert line.startswith("mlflow: ConnectionError: nobody")
    assert "trackers.log" in line


def test_no_run_and_a_wrong_port_are_said(run, command):
    refused(command("dashboard", "b"), 1, "RUN", "'b'")
    refused(command("dashboard", "a run", "--port", 70_000), 2, "--port", "65,535")
