"""A tracker beside a search: it ends with it, waits for another, fails without harm, and catches up."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from resnet_search.runs.trials import read_run
from resnet_search.trackers import mirror as mirrors
from resnet_search.trackers.beside import LOG, Beside
from resnet_search.trackers.keep_up import keep_up, worded

from .conftest import told

pytestmark = pytest.mark.interface


def is_over():
    over = threading.Event()
    over.set()
    return over


@pytest.fixture
def broken(monkeypatch):
    """A server that is gone until the test brings it back."""
    open_tracker, gone = mirrors.open_tracker, threading.Event()
    gone.set()
    tries = []

    def opened(*rest):
        tries.append(time.monotonic())
        if gone.is_set():
            raise ConnectionError("nobody is there\nat all")
        return open_tracker(*rest)

    monkeypatch.setattr(mirrors, "open_tracker", opened)
    return gone, tries


def test_a_run_that_is_over_is_told_and_left(finished):
    assert keep_up(finished, "tensorboard", is_over(), pytest.fail)
    assert told(finished, "tensorboard")


def test_what_fails_is_said_once_and_told_when_that_can_be(finished, broken):
    gone, tries = broken
    over, said, done = threading.Event(), [], []
    thread = threading.Thread(
        target=lambda: done.append(
            keep_up(finished, "tensorboard", over, lambda error: said.append(worded(error)), interval=0.01)
        )
    )
    thread.start()
    while len(tries) < 4:
        assert thread.is_alive()
        time.sleep(0.01)
    assert said == ["ConnectionError: nobody is there"]
    gone.clear()
    over.set()
    thread.join(60)
    assert done == [True]
    assert len(said) == 1
    assert len(told(finished, "tensorboard")) == len({t.candidate for t in read_run(finished).trials.values()})


def test_one_that_fails_to_the_end_says_so(finished, broken):
    said = []
    assert not keep_up(finished, "tensorboard", is_over(), lambda error: said.append(worded(error)))
    assert said == ["ConnectionError: nobody is there"]


def test_two_that_do_the_same_wait_for_each_other(finished):
    with finished.sole("tensorboard") as sole:
        assert sole
        assert not keep_up(finished, "tensorboard", is_over(), pytest.fail, interval=0.01, patience=0.05)
        assert not (finished.path / "tensorboard").exists()
    assert keep_up(finished, "tensorboard", is_over(), pytest.fail)


def process_beside(folder):
    return subprocess.Popen(
        [sys.executable, "-m", "resnet_search.trackers.keep_up", str(folder.path), "tensorboard"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_process_that_is_killed_leaves_nothing_that_the_next_tells_twice(growing):
    growing.grow(15)
    first = process_beside(growing.folder)
    while not list(growing.folder.path.glob("tensorboard/*/events*")):
        assert first.poll() is None
        time.sleep(0.02)
    first.kill()
    first.communicate()
    growing.grow(10**6)
    out, err = process_beside(growing.folder).communicate()
    assert (out, err) == (b"", b"")
    assert keep_up(growing.finished, "tensorboard", is_over(), pytest.fail)
    assert told(growing.folder, "tensorboard") == told(growing.finished, "tensorboard")


def test_a_search_goes_on_whatever_its_tracker_does(finished):
    heard = []
    # Where its folder should be is a file.
    (finished.path / "tensorboard").write_text("")
    view = read_run(finished)
    with Beside(finished, ["tensorboard"], [lambda event, _: heard.append(event)]) as trackers:
        trackers({"event": "epoch"}, view)
        trackers.settle(view)
    assert [(event["event"], event["tracker"]) for event in heard] == [("tracker_failed", "tensorboard")]
    assert "Error" in heard[0]["reason"]
    assert "Traceback" in (finished.path / LOG).read_text()


def test_a_process_that_does_not_start_is_said(finished, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    heard = []
    with Beside(finished, ["tensorboard"], [lambda event, _: heard.append(event)]) as trackers:
        trackers.settle(read_run(finished))
    assert heard[0]["reason"].endswith("Permission denied")


def test_the_trackers_of_a_search_have_told_all_when_it_returns(growing):
    view = read_run(growing.finished)
    with Beside(growing.folder, ["tensorboard", "optuna"], [lambda *_: pytest.fail("complained")]) as trackers:
        growing.grow(10**6)
        trackers.settle(view)
    candidates = {trial.candidate for trial in view.trials.values()}
    assert told(growing.folder, "tensorboard").keys() == told(growing.folder, "optuna").keys() == candidates
