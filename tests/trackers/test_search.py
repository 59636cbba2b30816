"""A search with trackers, by the driver itself: switched on, kept by the run, and caught up after an interruption."""

from __future__ import annotations

import pytest

from resnet_search.errors import UsageError
from resnet_search.runs.trials import read_run
from resnet_search.search import start
from resnet_search.search.start import SearchSettings, resume_run, run_search
from resnet_search.spaces.load import parse_space
from resnet_search.trackers import choice
from resnet_search.training.datasets import shapes
from tests.search.conftest import SPACE, KnownWorkers

from .conftest import told

pytestmark = pytest.mark.interface


@pytest.fixture
def workers(monkeypatch):
    """How the searches of a test are worked on."""
    options = {}
    monkeypatch.setattr(shapes, "TRAIN", 500)
    monkeypatch.setattr(shapes, "TEST", 50)
    monkeypatch.setattr(start, "LocalWorkers", lambda slots, *_: KnownWorkers(slots, **options))
    return options


def space(track):
    return parse_space(f"track = {track}\n" + SPACE.format(max_epochs=9, extra=""), "test")


def settings(tmp_path, **more):
    return SearchSettings(runs_dir=tmp_path, name="a", train_examples=200, workers=2, device="cpu", **more)


def whole(folder, name):
    view, had = read_run(folder), told(folder, name)
    assert had.keys() == {trial.candidate for trial in view.trials.values()}
    for candidate, one in had.items():
        last = max(trial.epochs for trial in view.of_candidate(candidate))
        assert [epoch for epoch, _ in one.points] == list(range(1, last + 1))
        assert one.state == "ended"


def test_what_the_space_says_is_done_and_kept_when_it_goes_on(workers, tmp_path):
    workers["stop_after"] = 60
    with pytest.raises(KeyboardInterrupt):
        run_search(space('"tensorboard"'), settings(tmp_path), [lambda *_: None])
    folder = read_run(start.RunFolder(tmp_path / "a")).folder
    assert folder.read()["track"] == ["tensorboard"]
    workers.clear()
    heard = []
    resume_run(folder, [lambda event, _: heard.append(event)])
    assert not [event for event in heard if event["event"] == "tracker_failed"]
    whole(folder, "tensorboard")


def test_settings_go_before_the_space(workers, tmp_path):
    view = run_search(space('["tensorboard"]'), settings(tmp_path, track=()))
    assert view.content["track"] == []
    assert not (view.folder.path / "tensorboard").exists()


def test_a_search_ends_as_without_a_tracker_that_fails(workers, tmp_path, monkeypatch):
    heard = []

    def spoil(event, view):
        heard.append(event)
        if event["event"] == "started":
            (view.folder.path / "tensorboard").write_text("")

    view = run_search(space('"tensorboard"'), settings(tmp_path), [spoil])
    assert view.state == "finished"
    assert len([event for event in heard if event["event"] == "tracker_failed"]) == 1
    (tmp_path / "b").mkdir()
    other = run_search(space('"tensorboard"'), settings(tmp_path / "b", track=()))
    assert [trial.score for trial in view.ranking()] == [trial.score for trial in other.ranking()]


def test_a_missing_package_is_said_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"mlflow.*\n.*pip install 'resnet-search\[mlflow\]'"):
        run_search(space('"mlflow"'), settings(tmp_path))
    assert not (tmp_path / "a").exists()


def test_an_unknown_tracker_is_said():
    with pytest.raises(UsageError, match=r"--track: got 'comet'; allowed: .*mlflow"):
        SearchSettings(track=("comet",))
