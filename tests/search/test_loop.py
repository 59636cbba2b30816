"""The search loop with workers whose every score is known: plan kept, work kept, same trials whatever happens."""

from __future__ import annotations

import gc
import json
import random
import weakref
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from resnet_search.errors import RunError, TrainingError
from resnet_search.files import read_lines, write_json, write_lines
from resnet_search.runs.checkpoints import superseded
from resnet_search.runs.events import read_events
from resnet_search.runs.trials import read_run
from resnet_search.search.budget import Budget
from resnet_search.search.candidates import Candidates
from resnet_search.search.loop import SearchLoop
from resnet_search.search.losses import LOSSES_OF_A_TRIAL
from resnet_search.search.resume import ResumeSettings
from resnet_search.search.schedule import Draw
from resnet_search.search.store import TunerStore
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import brackets_from
from resnet_search.training.job import STATE
from resnet_search.workers.contract import Lost, Ready
from tests.faults.table import fault

from . import conftest
from .conftest import KnownWorkers, make_space

pytestmark = pytest.mark.interface

FOUR = """
[axes]
n = [1, 2]
width = [4, 6]
block = ["basic"]
[hyperband]
max_epochs = 9
[data]
source = "shapes"
"""


ENDLESS = "[recipe]\nlearning_rate = { min = 0.01, max = 0.4 }"  # No candidate is drawn twice.


def rungs(view):
    """Completed trials of each rung."""
    return Counter((t.iteration, t.bracket, t.rung) for t in view.trials.values() if t.status == "completed")


def planned(view):
    return {
        (bracket["iteration"], bracket["number"], rung["index"]): rung["size"]
        for bracket in view.content["plan"]
        for rung in bracket["rungs"]
    }


def table(view):
    """What a user calls the result: every completed trial, without ids and times, which order of events decides."""
    return sorted(
        (t.iteration, t.bracket, t.rung, t.name, t.epochs, t.score, t.status)
        for t in view.trials.values()
        if t.status == "completed"
    )


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_plan_is_what_runs(make_search, workers):
    view = make_search().drive(KnownWorkers(workers, choose=random.Random(workers).choice))
    assert view.state == "finished"
    assert rungs(view) == planned(view)
    assert len(view.trials) == view.planned_trials


def test_a_folder_of_a_trial_that_the_events_do_not_know_is_set_aside(make_search):
    search = make_search()
    unknown = search.folder.trial("0000")
    unknown.mkdir()
    (unknown / "history.jsonl").write_text("of another run")
    search.drive(KnownWorkers(1))
    aside = unknown.with_name("trial_0000.unknown-1")
    assert [file.read_text() for file in aside.iterdir()] == ["of another run"]


def test_the_same_seed_gives_the_same_trials_on_any_number_of_workers(make_search, whole):
    tables = [table(make_search(number=n).drive(KnownWorkers(n, choose=random.Random(n).choice))) for n in (2, 4)]
    assert tables == [table(whole())] * 2
    assert table(whole(seed=1)) != table(whole())


def test_no_architecture_is_drawn_twice_while_the_space_has_others(whole):
    names = [t.name for t in whole(workers=2).trials.values() if t.rung == 0]
    # 25 feasible architectures, 17 draws of a 9-epoch plan.
    assert len(names) == len(set(names)) == 17


@pytest.mark.parametrize("stop_after", [0, 1, 2, 7, 20, 45, 70])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_run_that_is_killed_and_resumed_ends_the_same(make_search, whole, stop_after, workers):
    reference = whole(workers=workers)
    search = make_search()
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(workers, stop_after=stop_after))
    view = search.drive(KnownWorkers(workers))
    assert view.state == "finished"
    assert table(view) == table(reference)
    assert view.winner.trial == reference.winner.trial or workers > 1
    assert len({t.trial for t in view.trials.values()}) == view.planned_trials


def test_killed_again_and_again(make_search, whole):
    search = make_search()
    chance = random.Random(3)
    for _ in range(200):
        try:
            view = search.drive(KnownWorkers(2, stop_after=chance.randint(0, 25)))
        except KeyboardInterrupt:
            continue
        break
    assert table(view) == table(whole())


def test_failed_trials_are_replaced_in_every_rung(make_search):
    def outcome(job, _):
        return "failed" if job.seed % 5 == 0 and job.epochs > 1 else "done"

    search = make_search()
    view = search.drive(KnownWorkers(2, outcome))
    failed = [t for t in view.trials.values() if t.status == "failed"]
    assert failed
    assert all(t.reason == "the loss was nan" for t in failed)
    assert (search.folder.trial(failed[0].trial) / "failure.txt").read_text() == "the loss was nan in epoch 1\n"
    assert rungs(view) == planned(view)


def test_a_space_smaller_than_the_plan_is_gone_through_again_without_training_twice(make_search):
    space = make_space(extra="[limits]\nmax_params = 6000")
    small = len(space.feasible().architectures)
    assert small < 9
    workers = KnownWorkers(1)
    view = make_search(space).drive(workers)
    assert rungs(view) == planned(view)
    trained = Counter()
    for job in workers.submitted:
        for epoch in range(job.initial_epoch, job.epochs):
            trained[job.seed, epoch] += 1
    assert set(trained.values()) == {1}, "no candidate is trained twice for the same epoch"
    reused = [t for t in view.trials.values() if t.reused]
    assert reused
    for trial in reused:
        assert view.history(trial)[-1]["val_accuracy"] == trial.score
        assert (trial.trained_epochs, trial.setup_seconds, trial.train_seconds) == (0, 0, 0)


@pytest.mark.parametrize("workers", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("iterations", [1, 3])
def test_what_trains_already_is_waited_for_and_not_trained_beside_it(make_search, whole, workers, iterations):
    """Four networks, drawn again and again, also while they train."""
    space = parse_space(FOUR, "four").with_settings(iterations=iterations)
    reference = whole(space)
    beside = KnownWorkers(workers, choose=random.Random(workers).choice)
    view = make_search(space).drive(beside)
    trained = Counter(
        (job.seed, epoch) for job in beside.submitted for epoch in range(job.initial_epoch + 1, job.epochs + 1)
    )
    assert set(trained.values()) == {1}
    assert sum(trained.values()) == 4 * 9
    assert table(view) == table(reference)
    assert view.saved_epochs == reference.saved_epochs


def test_keras_tuner_forgets_a_search_that_is_over(make_search, monkeypatch):
    known = []

    def loop(view, oracle, *arguments, **options):
        known.append(weakref.ref(oracle))
        return SearchLoop(view, oracle, *arguments, **options)

    monkeypatch.setattr(conftest, "SearchLoop", loop)
    make_search().drive(KnownWorkers(1))
    gc.collect()
    assert [oracle() for oracle in known] == [None]


def test_a_lost_worker_costs_its_trial_nothing(make_search, whole):
    workers = KnownWorkers(2, lambda job, times: "lost" if times == 1 and job.seed % 2 else "done")
    view = make_search().drive(workers)
    assert table(view) == table(whole())
    assert sum(t.losses for t in view.trials.values()) > 0


def test_a_trial_that_kills_its_worker_again_and_again_is_failed_and_replaced(make_search):
    victim = []

    def outcome(job, _):
        victim[:] = victim or [job.seed]
        return "lost" if job.seed == victim[0] else "done"

    view = make_search().drive(KnownWorkers(1, outcome))
    failed = [t for t in view.trials.values() if t.status == "failed"]
    assert [t.losses for t in failed] == [LOSSES_OF_A_TRIAL]
    assert "3 times" in failed[0].reason
    assert failed[0].reason.endswith("was killed (SIGKILL)")
    assert rungs(view) == planned(view)


def test_what_trains_in_parts_says_so_and_is_promoted_in_parts(make_search):
    workers = KnownWorkers(1, lambda job, _: "divided" if job.trial == "0000" else "done")
    search = make_search()
    view = search.drive(workers)
    divided = {t.trial for t in view.trials.values() if t.parts == 2}
    assert divided == {t.trial for t in view.trials.values() if t.candidate == view.trials["0000"].candidate}
    assert {job.trial for job in workers.submitted if job.parts == 2} == divided - {"0000"}


def test_a_lost_trial_starts_again_in_the_parts_that_fitted(make_search):
    parts = []

    def outcome(job, times):
        if job.trial == "0000":
            parts.append(job.parts)
        return "done" if job.trial != "0000" or times > 2 else ("divided", "lost")[times - 1]

    class Losing(KnownWorkers):
        def _train(self, slot, job):
            if job.trial == "0000" and len(parts) == 1:
                return [Lost(slot, job.trial, -9, "was killed")]
            return super()._train(slot, job)

    make_search().drive(Losing(1, outcome))
    assert parts == [1, 2, 2]


def test_when_every_trial_fails_the_search_says_so_and_can_go_on(make_search):
    search = make_search()
    with pytest.raises(TrainingError, match=r"^10 trials .*the loss was nan"):
        search.drive(KnownWorkers(1, lambda *_: "failed"))
    assert [t.status for t in read_run(search.folder, locked=False).trials.values()] == ["failed"] * 10
    view = search.drive(KnownWorkers(1))
    assert rungs(view) == planned(view)


def test_a_full_disk_ends_the_search_and_costs_no_candidate(make_search, whole):
    search = make_search()
    with pytest.raises(TrainingError, match="No space left on device"):
        search.drive(KnownWorkers(1, lambda job, _: "stopped" if job.trial == "0004" else "done"))
    view = search.drive(KnownWorkers(1))
    assert table(view) == table(whole())
    assert not [t for t in view.trials.values() if t.status == "failed"]


def test_a_link_in_the_place_of_a_trials_folder_is_named(make_search):
    search = make_search()
    link = search.folder.trial("0000")
    link.symlink_to(search.folder.path / "nowhere")
    with pytest.raises(RunError, match="trial_0000: is a link"):
        search.drive(KnownWorkers(1))
    assert list(link.parent.glob("nowhere")) == []


def test_recipe_values_that_vary_are_drawn_for_each_candidate(make_search):
    space = make_space(extra="[recipe]\nlearning_rate = { min = 0.01, max = 0.4, log = true }")
    workers = KnownWorkers(1)
    view = make_search(space).drive(workers)
    drawn = {t.candidate: t.recipe["learning_rate"] for t in view.trials.values()}
    assert len(set(drawn.values())) == len(drawn) == 17
    assert all(0.01 <= value <= 0.4 for value in drawn.values())
    assert all(job.recipe["learning_rate"] in drawn.values() for job in workers.submitted)


def test_observers_hear_everything_in_order(make_search):
    search = make_search()
    search.drive(KnownWorkers(1))
    kinds = [event["event"] for event in search.heard]
    assert kinds[:3] == ["created", "epoch", "completed"]
    assert kinds[-1] == "finished"
    assert kinds.count("completed") == 23


@pytest.mark.parametrize(
    ("device", "seen", "goes_on"),
    [
        ("gpu", ("/physical_device:CPU:0",), False),
        ("gpu", ("cpu:0",), False),
        ("gpu", (), False),
        ("gpu", ("/physical_device:CPU:0", "/physical_device:GPU:0"), True),
        ("gpu", ("gpu:0",), True),
        ("gpu", ("cuda:0",), True),
        ("cpu", ("/physical_device:CPU:0",), True),
    ],
    ids=str,
)
def test_a_worker_that_sees_no_gpu_does_not_train_the_night_through(make_search, device, seen, goes_on):
    class Seeing(KnownWorkers):
        ready = False

        def wait(self, seconds):
            if not self.ready:
                self.ready = True
                return Ready(0, seen)
            return super().wait(seconds)

    search = make_search()
    content = json.loads((search.folder.path / "run.json").read_text())
    content["workers"]["device"] = device
    (search.folder.path / "run.json").write_text(json.dumps(content))
    if goes_on:
        assert search.drive(Seeing(1)).state == "finished"
    else:
        with pytest.raises(TrainingError, match="trains on a GPU, but worker 0 sees none") as caught:
            search.drive(Seeing(1))
        assert "worker.log" in caught.value.cure


@pytest.mark.parametrize("workers", [1, 4])
def test_the_costliest_free_draw_of_a_bracket_starts_first_and_slots_draw_what_they_would(make_search, workers):
    search = make_search()
    view = search.drive(KnownWorkers(workers))
    draws = Candidates(search.space, search.space.feasible(), brackets_from(view.content["plan"]), 0)
    for bracket in brackets_from(view.content["plan"]):
        started = [t for t in view.trials.values() if (t.bracket, t.rung) == (bracket.number, 0)]
        assert [t.macs for t in started] == sorted((t.macs for t in started), reverse=True)
        for trial in started:
            drawn = draws.draw(Draw(bracket, trial.slot, 0), set(), set())
            assert drawn.architecture.to_dict() == trial.architecture


def test_nine_failures_in_a_row_are_no_reason_to_stop(make_search):
    workers = KnownWorkers(1, lambda job, _: "done" if int(job.trial) % 10 == 9 else "failed")
    view = make_search(make_space(extra=ENDLESS)).drive(workers, Budget(trials=30))
    assert Counter(t.status for t in view.trials.values()) == {"failed": 27, "completed": 3}


@pytest.mark.parametrize("epochs", [1, 9])
def test_a_candidate_that_failed_is_not_trained_that_far_again(make_search, epochs):
    """A space that is gone through again: what follows a failure of its candidate fails with it."""
    space = parse_space(FOUR, "four").with_settings(iterations=3)
    victim = []

    def outcome(job, _):
        if job.epochs == epochs:
            victim[:] = victim or [job.seed]
        return "failed" if job.epochs == epochs and job.seed == victim[0] else "done"

    search = make_search(space)
    workers = KnownWorkers(1, outcome)
    view = search.drive(workers)
    tried = [job.trial for job in workers.submitted if job.seed == victim[0] and job.epochs >= epochs]
    assert len(tried) == 1
    candidate = view.trials[tried[0]].candidate
    again = [t for t in view.of_candidate(candidate) if t.epochs >= epochs and t.trial != tried[0]]
    assert again
    for trial in again:
        assert (trial.status, trial.reason) == ("failed", f"as in trial {tried[0]}: the loss was nan")
        assert (search.folder.trial(trial.trial) / "failure.txt").read_text() == f"{trial.reason}\n"
    assert all(t.status == "completed" for t in view.of_candidate(candidate) if t.epochs < epochs)


def harmed(line: dict, harm: str) -> dict | None:
    """A line of a learning curve, without its end or one of its fields."""
    if harm == "short":
        return line if line["epoch"] == 1 else None
    return {"epoch": line["epoch"]}


@pytest.mark.parametrize("harm", ["gone", "short", "fields", "garbage"])
def test_where_a_learning_curve_is_damaged_its_candidate_is_trained_again(make_search, whole, harm):
    space = parse_space(FOUR, "four").with_settings(iterations=2)
    search = make_search(space)
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(1, stop_after=30))
    for path in search.folder.path.glob("trial_*/history.jsonl"):
        if harm == "gone":
            path.unlink()
        elif harm == "garbage":
            path.write_text("garbage\n")
        else:
            write_lines(path, [line for each in read_lines(path) if (line := harmed(each, harm))])
    workers = KnownWorkers(1)
    view = search.drive(workers)
    assert table(view) == table(whole(space))
    events = read_events(search.folder.events)
    reused = {event["trial"] for event in events if event["event"] == "created" and event["reused"]}
    retrained = {event["trial"] for event in events if event["event"] == "retrained"}
    assert retrained & reused
    for job in workers.submitted:
        if job.trial in retrained & reused:
            assert (job.initial_epoch, job.parent) == (0, None)
            assert not view.trials[job.trial].reused


def test_a_worker_that_finds_nothing_to_continue_starts_again_and_says_so(make_search, whole):
    class Forgetting(KnownWorkers):
        def _train(self, slot, job):
            messages = super()._train(slot, replace(job, initial_epoch=0))
            lost = job.initial_epoch and sum(other.trial == job.trial for other in self.submitted) == 1
            return [*messages[:-1], Lost(slot, job.trial, -9, "was killed")] if lost else messages

    search = make_search()
    workers = Forgetting(1)
    view = search.drive(workers)
    assert table(view) == table(whole())
    retrained = [event["trial"] for event in read_events(search.folder.events) if event["event"] == "retrained"]
    assert retrained == [t.trial for t in view.trials.values() if t.promoted_from]
    for trial in retrained:
        first, second = (job for job in workers.submitted if job.trial == trial)
        assert (first.initial_epoch > 0, first.parent is None) == (True, False)
        assert (second.initial_epoch, second.parent) == (0, None)


class Keeping(KnownWorkers):
    """Leaves a state of each trial, as training does, and what a write that was cut off leaves."""

    def _train(self, slot, job):
        messages = super()._train(slot, job)
        (Path(job.folder) / STATE).touch()
        (Path(job.folder) / ".partial-1-history.jsonl").touch()
        return messages


def states(search) -> set[str]:
    return {path.parent.name.removeprefix("trial_") for path in search.folder.path.glob(f"trial_*/{STATE}")}


def test_a_state_goes_as_soon_as_its_candidate_has_been_trained_on(make_search):
    """The disk does not fill up with what nothing continues from."""
    search = make_search()
    with pytest.raises(KeyboardInterrupt):
        search.drive(Keeping(1, stop_after=75))
    view = read_run(search.folder, locked=False)
    gone = {t.trial for t in superseded(view)}
    assert len(gone) > 3
    completed = {t.trial for t in view.trials.values() if t.status == "completed"}
    assert states(search) & completed == completed - gone


def test_what_killed_processes_left_goes_at_the_start_and_at_the_end(make_search):
    search = make_search()
    with pytest.raises(KeyboardInterrupt):
        search.drive(Keeping(1, stop_after=75))
    for trial in superseded(read_run(search.folder, locked=False)):
        (search.folder.trial(trial.trial) / STATE).touch()
    assert list(search.folder.path.glob("trial_*/.partial-*"))
    with pytest.raises(KeyboardInterrupt):
        search.drive(Keeping(1, stop_after=0))
    view = read_run(search.folder, locked=False)
    assert not list(search.folder.path.glob("trial_*/.partial-*"))
    assert not states(search) & {t.trial for t in superseded(view)}
    search.drive(Keeping(1))
    assert not list(search.folder.path.glob("trial_*/.partial-*"))


def test_keras_tuners_files_know_of_all_but_the_last_tenth_and_at_the_end_of_all(make_search, monkeypatch):
    """To write them at each end of a trial would take longer and longer."""
    written = []
    project = TunerStore.project
    monkeypatch.setattr(TunerStore, "project", lambda self, folder: (written.append(len(self.end_order)),
                                                                     project(self, folder)))  # fmt: skip
    search = make_search(make_space(extra=ENDLESS).with_settings(iterations=6))
    view = search.drive(KnownWorkers(1))
    assert written[-1] == len(view.trials) == 6 * 23
    assert all(after - before <= max(1, before / 10 + 1) for before, after in pairwise(written))
    assert len(written) < len(view.trials) / 3
    oracle = json.loads((search.folder.path / "oracle.json").read_text())
    assert sorted(oracle["end_order"]) == sorted(view.trials)


def test_a_restored_driver_writes_keras_tuners_files_no_more_often(make_search, monkeypatch):
    search = make_search(make_space(extra=ENDLESS).with_settings(iterations=2))
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(1, stop_after=150))
    ended = read_run(search.folder, locked=False).completed
    written = []
    monkeypatch.setattr(TunerStore, "project", lambda self, _: written.append(len(self.end_order)))
    search.drive(KnownWorkers(1))
    assert ended + 1 < written[0] <= ended * 1.1 + 1


def test_a_completed_trial_says_how_long_it_took_validation_included(whole):
    for trial in whole().trials.values():
        assert trial.train_seconds == pytest.approx(0.12 * (trial.epochs - trial.initial_epoch))
        assert trial.setup_seconds == 0.123


def test_times_are_kept_to_the_millisecond(make_search):
    class Exact(KnownWorkers):
        def _train(self, slot, job):
            *messages, done = super()._train(slot, job)
            line = replace(done.history[-1], train_seconds=0.0123456, validation_seconds=0)
            return [*messages, replace(done, history=(line,))]

    view = make_search().drive(Exact(1), Budget(trials=1))
    assert view.trials["0000"].train_seconds == 0.012


@pytest.mark.parametrize("precision", [None, "mixed_bfloat16"])
def test_jobs_are_of_the_run(make_search, precision):
    search = make_search(make_space(extra="[recipe]\nnesterov = [true, false]"))
    content = search.folder.read()
    content["horizon"] = 12
    content["recipe"] = {"name": "search", "batch_size": 7, "nesterov": True}
    if precision:
        content["workers"]["precision"] = precision
    write_json(search.folder.path / "run.json", content)
    workers = KnownWorkers(1)
    view = search.drive(workers)
    for job in workers.submitted:
        trial = view.trials[job.trial]
        assert (job.horizon, job.precision, job.parts) == (12, precision or "float32", 1)
        assert job.recipe == {"name": "search", "batch_size": 7, **trial.recipe}
        assert (job.initial_epoch, job.epochs, job.architecture) == (
            trial.initial_epoch, trial.epochs, trial.architecture
        )  # fmt: skip
        assert job.folder == str(search.folder.trial(trial.trial))
        assert job.parent == (None if trial.parent is None else str(search.folder.trial(trial.parent)))


def test_the_order_in_which_an_event_names_recipe_values_means_nothing(make_search, whole):
    space = make_space(extra="[recipe]\nlearning_rate = { min = 0.01, max = 0.4 }\nnesterov = [true, false]")
    search = make_search(space)
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(2, stop_after=20))
    events = read_events(search.folder.events)
    for event in events:
        if "recipe" in event:
            event["recipe"] = dict(reversed(event["recipe"].items()))
    write_lines(search.folder.events, events)
    assert table(search.drive(KnownWorkers(2))) == table(whole(space))


def test_observers_hear_of_workers_and_of_time_without_news(make_search, whole):
    """What is no event of the run is heard, and not written down."""

    class Eventful(KnownWorkers):
        def wait(self, seconds):
            return messages.pop(0) if messages else super().wait(seconds)

    messages = [None, Ready(0, ("cpu:0",)), Lost(0, None, 1, "ended"), Lost(0, "0099", -9, "was killed")]
    search = make_search()
    view = search.drive(Eventful(1))
    assert table(view) == table(whole())
    heard = [event for event in search.heard if event["event"].startswith("worker_")]
    assert heard == [
        {"event": "worker_ready", "slot": 0, "devices": ("cpu:0",)},
        {"event": "worker_lost", "slot": 0, "exit_code": 1},
        {"event": "worker_lost", "slot": 0, "exit_code": -9},
    ]
    kinds = {event["event"] for event in read_events(search.folder.events)}
    assert kinds == {"started", "created", "completed", "finished"}
    epochs = [event for event in search.heard if event["event"] == "epoch" and event["trial"] == "0000"]
    assert [event["line"]["val_accuracy"] for event in epochs][-1] == view.trials["0000"].score


def test_a_lost_worker_is_in_the_events(make_search):
    search = make_search()
    search.drive(KnownWorkers(1, lambda job, times: "lost" if (job.trial, times) == ("0000", 1) else "done"))
    (lost,) = [event for event in read_events(search.folder.events) if event["event"] == "lost"]
    del lost["time"]
    assert lost == {"event": "lost", "trial": "0000", "exit_code": -9, "reason": "was killed (SIGKILL)"}


class Machine(KnownWorkers):
    """Workers of a machine that fails whatever `fails` says, by trial and by how often it was tried before."""

    def __init__(self, fails):
        super().__init__(1)
        self.fails = fails

    def _work(self, slot, job):
        times = sum(other.trial == job.trial for other in self.submitted)
        if self.fails(job.trial, times):
            return [Lost(slot, job.trial, -6, "crashed (SIGABRT)", machine=True)]
        return super()._work(slot, job)


@fault(
    "training",
    "Memory is short, or the installation broken: workers end before their first step",
    here="the search stops and says so, no candidate has failed, and `resume` continues once that is fixed",
)
def test_a_machine_that_fails_ends_the_search_and_costs_no_candidate(make_search, whole):
    search = make_search()
    search.folder.worker_log.write_text("ImportError: no module\n\n")
    with pytest.raises(TrainingError, match=r"0000 .*3.*SIGABRT.*ImportError: no module"):
        search.drive(Machine(lambda *_: True))
    view = read_run(search.folder, locked=False)
    assert [(t.status, t.losses) for t in view.trials.values()] == [("running", 0)]
    assert table(search.drive(KnownWorkers(1))) == table(whole())


def test_a_machine_that_fails_now_and_then_is_no_reason_to_stop(make_search, whole):
    assert table(make_search().drive(Machine(lambda _, times: times < 3))) == table(whole())


def test_a_candidate_that_only_ends_its_own_workers_fails_in_the_second_session(make_search):
    search = make_search()
    with pytest.raises(TrainingError):
        search.drive(Machine(lambda trial, _: trial == "0001"))
    assert read_run(search.folder, locked=False).trials["0001"].status == "running"
    view = search.drive(Machine(lambda trial, _: trial == "0001"))
    assert [t.trial for t in view.trials.values() if t.status == "failed"] == ["0001"]
    assert rungs(view) == planned(view)


@fault(
    "training",
    "Candidates have failed for a reason that is gone",
    here="`resume --retry-failed` trains them again, in the places that they had",
)
def test_failed_trials_are_tried_again(make_search, whole):
    search = make_search()
    with pytest.raises(TrainingError, match="10 trials failed in a row"):
        search.drive(KnownWorkers(1, lambda *_: "failed"))
    view = search.drive(KnownWorkers(1), settings=ResumeSettings(retry_failed=True))
    assert view.state == "finished"
    assert {t.status for t in view.trials.values()} == {"completed"}
    assert view.completed == view.planned_trials
