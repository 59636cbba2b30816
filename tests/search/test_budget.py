"""A search that stops before its plan is done, in order, and goes on to what it would have been."""

from __future__ import annotations

import itertools

import pytest

from resnet_search.runs.events import read_events
from resnet_search.search.budget import Budget

from .conftest import KnownWorkers
from .test_loop import planned, rungs, table


def ticking(step: float = 1.0):
    """A clock that moves on at each look."""
    return itertools.count(0.0, step).__next__


def last_event(search) -> dict:
    return read_events(search.folder.events)[-1]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("trials", [1, 5, 22])
def test_a_number_of_trials(make_search, whole, workers, trials):
    search = make_search()
    view = search.drive(KnownWorkers(workers), Budget(trials=trials))
    assert view.state == "stopped"
    assert [t.status for t in view.trials.values()] == ["completed"] * trials, "what has begun is ended"
    assert last_event(search)["reason"] == ("1 trial is" if trials == 1 else f"{trials} trials are") + (
        " done, as asked for"
    )
    view = search.drive(KnownWorkers(workers))
    assert view.state == "finished"
    assert table(view) == table(whole())


def test_each_command_has_a_budget_of_its_own(make_search):
    search = make_search()
    for command in range(1, 5):
        view = search.drive(KnownWorkers(2), Budget(trials=5))
        assert len(view.trials) == 5 * command
    assert search.drive(KnownWorkers(2), Budget(trials=5)).state == "finished", "20 + 3 trials"


def test_what_is_taken_up_again_counts(make_search):
    search = make_search()
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(2, stop_after=0))
    view = search.drive(KnownWorkers(2), Budget(trials=2))
    assert len(view.trials) == 2


def test_a_budget_that_is_just_enough_ends_the_search(make_search):
    view = make_search().drive(KnownWorkers(2), Budget(trials=23))
    assert view.state == "finished"


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("seconds", [0, 1, 20, 45, 60, 90])
def test_a_time(make_search, whole, workers, seconds):
    search = make_search()
    view = search.drive(KnownWorkers(workers), Budget(seconds=seconds, clock=ticking()))
    assert view.state == "stopped"
    assert last_event(search)["reason"] == "the time budget is spent"
    running = [t for t in view.trials.values() if t.status == "running"]
    assert len(running) <= workers
    view = search.drive(KnownWorkers(workers))
    assert view.state == "finished"
    assert table(view) == table(whole())
    assert len(view.trials) == view.planned_trials


def test_running_trials_stop_at_the_end_of_their_epoch(make_search):
    """The first trial of nine epochs is 20 trials on; it is heard of once after the time is up."""
    search = make_search()
    heard = []
    now = [0.0]

    class Late(KnownWorkers):
        def wait(self, seconds):
            message = super().wait(seconds)
            if type(message).__name__ == "EpochDone" and message.epoch.epoch == 4:
                now[0] = 100.0
            heard.append(message)
            return message

    view = search.drive(Late(1), Budget(seconds=10, clock=lambda: now[0]))
    [running] = [t for t in view.trials.values() if t.status == "running"]
    assert heard[-1].trial == running.trial
    assert heard[-1].epoch.epoch == 4


def test_a_trial_in_its_last_epoch_is_ended(make_search):
    now = [0.0]

    class Late(KnownWorkers):
        def wait(self, seconds):
            now[0] = 100.0
            return super().wait(seconds)

    view = make_search().drive(Late(1), Budget(seconds=10, clock=lambda: now[0]))
    assert [t.status for t in view.trials.values()] == ["completed"]


def test_a_worker_lost_after_the_time_is_not_waited_for(make_search):
    now = [0.0]

    def outcome(*_):
        now[0] = 100.0
        return "lost"

    view = make_search().drive(KnownWorkers(1, outcome), Budget(seconds=10, clock=lambda: now[0]))
    assert [(t.status, t.losses) for t in view.trials.values()] == [("running", 1)]


def test_observers_hear_why(make_search):
    search = make_search()
    search.drive(KnownWorkers(1), Budget(trials=1))
    assert search.heard[-1]["event"] == "stopped"


def test_failures_count(make_search):
    search = make_search()
    view = search.drive(KnownWorkers(1, lambda *_: "failed"), Budget(trials=3))
    assert [t.status for t in view.trials.values()] == ["failed"] * 3
    view = search.drive(KnownWorkers(1))
    assert rungs(view) == planned(view)
