"""The final training: who takes part, for how long, what a killed search resumes, and how a time budget is divided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from resnet_search.errors import RunError
from resnet_search.files import write_json, write_lines
from resnet_search.networks.presets import preset
from resnet_search.runs.events import read_events
from resnet_search.runs.trials import RunView
from resnet_search.search import final, start
from resnet_search.search.budget import Budget
from resnet_search.search.final import FINALISTS, PACE, SEARCH_SHARE, WINNER, workers_of
from resnet_search.search.known import known_networks, with_known
from resnet_search.search.resume import ResumeSettings
from resnet_search.spaces.plan import make_plan
from resnet_search.spaces.space import SearchSpace

from .conftest import KnownWorkers, Search, make_space, new_search
from .test_known import space_with
from .test_loop import table


@pytest.fixture
def make_final(tmp_path) -> Callable[..., Search]:
    """A search of up to 3 epochs whose winner is trained for 12."""

    def make(number: int = 0, **settings: object) -> Search:
        space = make_space(max_epochs=3).with_settings(**{"final_epochs": 12, **settings})
        search = new_search(tmp_path, space, number=number)
        content = search.folder.read()
        return with_content(search, {**content, "horizon": 12, "constant_until": 12})

    return make


def with_content(search: Search, content: dict) -> Search:
    write_json(search.folder.path / "run.json", content)
    return search


def stages(search: Search) -> list[str]:
    return [event["stage"] for event in read_events(search.folder.events) if "stage" in event]


def last_rung(view: RunView, iteration: int) -> list:
    return [t for t in view.trials.values() if (t.iteration, t.rung) == (iteration, 1)]


def test_the_best_continue_and_the_best_of_these_is_trained_to_the_end(make_final, whole):
    search = make_final()
    view = search.drive(KnownWorkers(2))
    assert stages(search) == [FINALISTS, WINNER]
    first = whole(make_space(max_epochs=3))
    assert table(view)[: len(first.trials)] == table(first), "the search before it is the same"
    best = [trial.candidate for trial in first.ranking()[:3]]
    finalists = last_rung(view, 1)
    assert [trial.candidate for trial in finalists] == best
    assert {(trial.initial_epoch, trial.epochs) for trial in finalists} == {(3, 5)}
    [winner] = last_rung(view, 2)
    assert winner.candidate == max(finalists, key=lambda trial: trial.score).candidate
    assert (winner.initial_epoch, winner.epochs) == (5, 12)
    assert view.ranking() == [winner]
    assert (view.state, view.max_epochs, view.planned_trials) == ("finished", 12, view.completed)


def test_the_rate_is_constant_until_the_winner_is_trained_to_the_end(make_final):
    workers = KnownWorkers(2)
    make_final().drive(workers)
    *before, last = workers.submitted
    assert {(job.horizon, job.constant_until) for job in before} == {(12, 12)}
    assert (last.epochs, last.horizon, last.constant_until) == (12, 12, 5)


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_the_trials_are_the_same_for_any_number_of_workers(make_final, workers):
    one, other = (make_final(number).drive(KnownWorkers(count)) for number, count in ((1, 2), (2, workers)))
    assert table(one) == table(other)
    assert one.winner.trial == other.winner.trial


def test_a_search_that_is_killed_anywhere_ends_the_same(make_final):
    whole = table(make_final(0).drive(KnownWorkers(2)))
    for stop_after in range(1, 60):
        search = make_final(stop_after)
        try:
            search.drive(KnownWorkers(2, stop_after=stop_after))
        except KeyboardInterrupt:
            assert table(search.drive(KnownWorkers(2))) == whole
        else:
            break
    else:
        pytest.fail("the search is longer than expected")
    assert stop_after > 20


def interrupted(*_):
    raise KeyboardInterrupt


def test_a_search_that_is_killed_between_two_stages_ends_the_same(make_final, monkeypatch):
    whole = table(make_final(0).drive(KnownWorkers(2)))
    search = make_final(1)
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(final, "next_stage", interrupted)
            with pytest.raises(KeyboardInterrupt):
                search.drive(KnownWorkers(2))
    assert table(search.drive(KnownWorkers(2))) == whole


def test_the_known_network_inside_the_limits_is_a_finalist(tmp_path):
    axes = "n = [1, 2, 3]\nwidth = [4, 6, 8]\nblock = ['basic']\n"
    space = space_with("max_params = 300_000", axes=axes).with_settings(final_epochs=12)
    search = new_search(tmp_path, space)
    brackets, known = with_known(make_plan(space).brackets, known_networks(space, (), (32, 32, 3), 10), 3)
    content = {**search.folder.read(), "plan": [asdict(bracket) for bracket in brackets], "known": known}
    view = with_content(search, content).drive(KnownWorkers(2))
    assert view.baselines[0].candidate not in [trial.candidate for trial in view.standings()[:1]]
    finalists = last_rung(view, 1)
    assert len(finalists) == 3
    assert preset("resnet-20").architecture.to_dict() in [trial.architecture for trial in finalists]


def test_without_a_longer_final_training_nothing_follows(make_final):
    search = make_final(final_epochs=3)
    assert search.drive(KnownWorkers(2)).state == "finished"
    assert stages(search) == []


def test_a_stopped_search_has_no_final_training_until_it_is_resumed(make_final):
    search = make_final()
    view = search.drive(KnownWorkers(2), budget=Budget(trials=4))
    assert (view.state, stages(search)) == ("stopped", [])
    view = search.drive(KnownWorkers(2))
    assert (view.state, stages(search)) == ("finished", [FINALISTS, WINNER])


def test_the_winner_can_be_trained_longer_afterwards(make_final):
    search = make_final()
    search.drive(KnownWorkers(2))
    view = search.drive(KnownWorkers(2), settings=ResumeSettings(add_epochs=6))
    assert (view.winner.initial_epoch, view.winner.epochs, view.state) == (12, 18, "finished")
    with pytest.raises(RunError, match="--add-iterations: got 1"):
        search.drive(KnownWorkers(2), settings=ResumeSettings(add_iterations=1))


class TimedWorkers(KnownWorkers):
    """Each epoch takes a second of `time`, on whatever slot, and each history says so."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self.time = 0.0

    def _train(self, slot, job):
        *_, done = super()._train(slot, job)
        self.time += job.epochs - job.initial_epoch
        lines = [replace(line, train_seconds=1.0, validation_seconds=0.0) for line in done.history]
        write_lines(Path(job.folder) / "history.jsonl", [line.to_dict() for line in lines])
        return [replace(done, history=tuple(lines))]


@pytest.mark.parametrize(("seconds", "searched"), [(400, True), (150, False)])
def test_a_time_budget_is_divided_between_the_search_and_the_final_training(make_final, seconds, searched):
    """Of 150 seconds a third goes to the search, and in 400 seconds everything fits."""
    search, workers = make_final(final_epochs=100, max_epochs=9), TimedWorkers(1)
    budget = Budget(seconds=seconds, clock=lambda: workers.time)
    view = search.drive(workers, budget=budget)
    assert view.state == "finished"
    assert workers.time <= seconds
    assert stages(search) == [FINALISTS, PACE, WINNER]
    assert (view.winner.epochs == 100) is searched
    first = [t for t in view.trials.values() if t.iteration == 0]
    planned = sum(rung["size"] for one in view.content["plan"] if one["iteration"] == 0 for rung in one["rungs"])
    assert (len(first) == planned) is searched
    assert view.planned_trials == view.completed
    if not searched:
        spent = sum(t.trained_epochs for t in first)
        longest = max(t.trained_epochs for t in first)
        assert SEARCH_SHARE * seconds <= spent <= SEARCH_SHARE * seconds + longest
        assert workers.time > 0.5 * seconds, "the winner uses what is left"


def test_a_single_network_trains_on_all_processors():
    workers = {"slots": 3, "threads": 2, "device": "cpu", "cluster": None}
    assert workers_of(FINALISTS, workers) == workers_of(None, workers) == workers
    for stage in (PACE, WINNER):
        assert workers_of(stage, workers) == {**workers, "slots": 1, "threads": 6}
        assert workers_of(stage, {**workers, "device": "gpu"})["slots"] == 3
        assert workers_of(stage, {**workers, "cluster": {"address": ""}})["slots"] == 3


def test_workers_start_again_only_for_a_stage_that_needs_others(tmp_path, monkeypatch):
    made: list[KnownWorkers] = []
    closed = []

    class Counted(KnownWorkers):
        def close(self) -> None:
            closed.append(self.slots)

    monkeypatch.setattr(start, "start_workers", lambda slots, *_: made.append(Counted(slots)) or made[-1])
    pool = start.Pool(tmp_path / "log")
    search = {"slots": 2, "threads": 1, "device": "cpu", "cluster": None}
    for stage in (None, FINALISTS, PACE, WINNER):
        assert pool.of(workers_of(stage, search)) is made[-1]
    pool.close()
    pool.close()
    assert [workers.slots for workers in made] == closed == [2, 1]


@pytest.mark.parametrize("final_epochs", [4, 5])
def test_a_final_training_of_few_epochs_ends_where_it_was_asked_to(make_final, final_epochs):
    search = make_final(final_epochs=final_epochs)
    view = search.drive(KnownWorkers(2))
    assert (view.state, view.winner.epochs) == ("finished", final_epochs)
    assert make_plan(SearchSpace.from_dict(view.content["space"])).brackets


def test_a_winner_that_fails_is_replaced_by_the_next_finalist(make_final):
    failed = []

    def first_fails(job, _) -> str:
        if job.epochs == 12 and not failed:
            failed.append(job.seed)
        return "failed" if job.epochs == 12 and job.seed in failed else "done"

    search = make_final()
    view = search.drive(KnownWorkers(2, first_fails))
    assert stages(search) == [FINALISTS, WINNER, WINNER]
    assert (view.state, view.winner.epochs) == ("finished", 12)
    assert view.winner.candidate == sorted(last_rung(view, 1), key=lambda trial: -trial.score)[1].candidate


def test_trials_of_a_killed_search_are_not_continued_in_its_final_training(make_final):
    search = make_final(max_epochs=9, final_epochs=100)
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(8, stop_after=12))
    workers = TimedWorkers(1)
    view = search.drive(workers, budget=Budget(seconds=0.01, clock=lambda: 0.02 * (workers.time > 0)))
    assert view.state == "stopped"
    workers = TimedWorkers(1)
    view = search.drive(workers, budget=Budget(seconds=60, clock=lambda: 25 + workers.time))
    assert view.state in {"finished", "stopped"}
    assert not any(trial.status == "running" and trial.iteration == 0 for trial in view.trials.values())


def test_failed_trials_of_the_search_are_not_retried_after_it(make_final):
    view = make_final().drive(KnownWorkers(2))
    assert (0, 0) in view.closed
    assert view.as_started["space"]["hyperband"]["max_epochs"] == 3 != view.max_epochs
