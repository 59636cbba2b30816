"""The search loop on workers whose number changes, and whose machines die."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from resnet_search.runs.events import read_events
from resnet_search.search.budget import Budget
from resnet_search.search.losses import LOSSES_OF_A_TRIAL
from resnet_search.training.job import Job
from resnet_search.workers.contract import Lost, Message, Waiting

from .conftest import KnownWorkers
from .test_loop import table


class Elastic(KnownWorkers):
    """So many slots as `sizes` say, one number for each message; the last one stays."""

    def __init__(self, sizes: list[int], **values) -> None:
        self.most = 0
        super().__init__(sizes[0], **values)
        self.sizes = sizes

    def submit(self, slot: int, job: Job) -> None:
        super().submit(slot, job)
        self.most = max(self.most, len(self._jobs))

    def wait(self, seconds: float) -> Message | None:
        if len(self.sizes) > 1:
            self.sizes.pop(0)
        self.slots = self.sizes[0]
        return super().wait(seconds)


def test_nodes_that_join_are_used_and_the_table_is_the_same(make_search, whole):
    workers = Elastic([1, 1, 1, 6])
    grown = make_search().drive(workers)
    assert workers.most == 6
    assert table(grown) == table(whole())


def test_no_trial_is_begun_that_a_smaller_cluster_has_no_room_for(make_search, whole):
    running = []

    class Counted(Elastic):
        def submit(self, slot: int, job: Job) -> None:
            super().submit(slot, job)
            running.append((len(self._jobs), self.slots))

    workers = Counted([6] * 5 + [1])
    view = make_search().drive(workers)
    assert all(number <= slots for number, slots in running if slots < 6)
    assert table(view) == table(whole())


def test_a_trial_does_not_fail_of_the_nodes_that_die(make_search, whole):
    def outcome(job: Job, times: int) -> str:
        return "lost" if job.trial == "0000" and times <= 2 * LOSSES_OF_A_TRIAL else "done"

    class Spot(KnownWorkers):
        def wait(self, seconds: float) -> Message | None:
            message = super().wait(seconds)
            return replace(message, blameless=True) if isinstance(message, Lost) else message

    search = make_search()
    view = search.drive(Spot(1, outcome=outcome))
    assert view.trials["0000"].status == "completed"
    assert view.trials["0000"].losses == 0
    lost = [event for event in read_events(search.folder.events) if event["event"] == "lost"]
    assert len(lost) == 2 * LOSSES_OF_A_TRIAL
    assert all(event["blameless"] for event in lost)
    assert table(view) == table(whole())


class WithoutNodes(KnownWorkers):
    """A cluster that has shrunk to nothing."""

    def wait(self, seconds: float) -> Message | None:
        [(slot, job)] = self._jobs.items()
        return Waiting(slot, job.trial, "the cluster has no node for it: a trial takes 1 CPU")


def test_time_that_is_up_ends_a_search_that_waits(make_search):
    search = make_search()
    view = search.drive(WithoutNodes(1), budget=Budget(seconds=0.2))
    assert view.state == "stopped"
    kinds = Counter(event["event"] for event in search.heard)
    assert kinds["waiting"] >= 1
    assert view.trials["0000"].status == "running", "it goes on when the run does"
    assert search.drive(KnownWorkers(1)).state == "finished"
