"""--track, `track` and `dashboard` as commands: what they take and what they say."""

from __future__ import annotations

import pytest

from resnet_search.cli.tracking import untold
from resnet_search.runs.folder import RunFolder
from resnet_search.spaces.schema import TRACKERS
from resnet_search.trackers import choice
from resnet_search.trackers.choice import KINDS, look_words, tracked_by

from .conftest import make_run


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
    assert outcome.out == "tensorboard tensorboard --logdir 'runs/a run/tensorboard'\n"
    assert list(run.path.glob("tensorboard/candidate-*/events.out.tfevents.*"))
    assert command("track", "latest", "--to", "tensorboard,tensorboard", "--follow", "--quiet").out == ""


def test_who_cannot_be_told_is_said(run, command):
    (run.path / "tensorboard").write_text("")
    outcome = command("track", "latest", "--to", "tensorboard")
    assert outcome.status == 1
    assert outcome.err.startswith("Error: a run was not told to all: tensorboard: ")
    assert "this should not have happened" not in outcome.err


@pytest.mark.parametrize("words", [["track", "latest", "--to"], ["run", "--space", "quickstart", "--track"]], ids=len)
@pytest.mark.parametrize("given", ["tensorbord", "tensorboard,", "", "tensorboard;mlflow"])
def test_a_mistyped_name_is_said(run, command, words, given):
    outcome = command(*words, given)
    assert outcome.status == 2
    assert "allowed: tensorboard, mlflow, wandb" in outcome.err


@pytest.mark.parametrize("words", [["track", "latest", "--to"], ["run", "--space", "quickstart", "--track"]], ids=len)
def test_a_missing_package_is_said_first(run, command, words, monkeypatch):
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    outcome = command(*words, "wandb")
    assert outcome.status == 2
    assert not outcome.out
    assert outcome.err == (
        f"Error: {words[-1]}: got 'wandb', which needs wandb, not installed here\n"
        "Install it: pip install 'resnet-search[wandb]'\n"
    )


def test_a_server_is_where_to_look(run, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert look_words(run, "mlflow") == "see http://127.0.0.1:5000"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert look_words(run, "mlflow").startswith("mlflow ui --backend-store-uri sqlite:///")


@pytest.mark.parametrize("named", [None, "mlflow", 3, ["comet", ["mlflow"], {}]], ids=str)
def test_a_run_that_names_nobody_known_is_told_to_nobody(named):
    assert tracked_by({"track": named}) == ()


def test_what_fails_is_told_in_a_sentence():
    said = untold({"event": "tracker_failed", "tracker": "mlflow", "reason": "ConnectionError: nobody is there"})
    assert said == (
        "mlflow: ConnectionError: nobody is there; the search goes on, and tells it again later (trackers.log)"
    )


def test_no_run_and_a_wrong_port_are_said(run, command):
    assert "which is no run in" in command("dashboard", "b").err
    assert "allowed: integers from 0 to 65,535" in command("dashboard", "a run", "--port", 70_000).err
