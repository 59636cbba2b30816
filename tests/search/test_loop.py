"""The search loop with workers whose every score is known: plan kept, work kept, same trials whatever happens."""

from __future__ import annotations

import gc
import json
import random
import weakref
from collections import Counter

import pytest

from resnet_search.errors import TrainingError
from resnet_search.search.candidates import Candidates
from resnet_search.search.loop import FAILURES_IN_A_ROW, LOSSES_OF_A_TRIAL, SearchLoop
from resnet_search.search.schedule import Draw
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import brackets_from
from resnet_search.workers.contract import Lost, Ready

from . import conftest
from .conftest import KnownWorkers, make_space

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
        assert trial.trained_epochs == 0


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
    assert failed[0].reason == "lost 3 times, the last time because its worker was killed (SIGKILL)"
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
    with pytest.raises(TrainingError, match=f"{FAILURES_IN_A_ROW} trials failed in a row.*the loss was nan"):
        search.drive(KnownWorkers(1, lambda *_: "failed"))
    view = search.drive(KnownWorkers(1))
    assert rungs(view) == planned(view)


def test_a_full_disk_ends_the_search_and_costs_no_candidate(make_search, whole):
    search = make_search()
    with pytest.raises(TrainingError, match="No space left on device"):
        search.drive(KnownWorkers(1, lambda job, _: "stopped" if job.trial == "0004" else "done"))
    view = search.drive(KnownWorkers(1))
    assert table(view) == table(whole())
    assert not [t for t in view.trials.values() if t.status == "failed"]


def test_a_link_to_nowhere_in_the_place_of_a_trials_folder_is_set_aside(make_search):
    search = make_search()
    link = search.folder.trial("0000")
    link.symlink_to(search.folder.path / "nowhere")
    search.drive(KnownWorkers(1))
    assert link.is_dir()
    assert not link.is_symlink()
    assert (search.folder.path / "trial_0000.unknown-1").is_symlink()


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
