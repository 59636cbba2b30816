"""Requests to a search from another terminal."""

from __future__ import annotations

import pytest

from resnet_search.errors import RunError
from resnet_search.files import read_lines, write_lines
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.presets import preset
from resnet_search.runs.events import append_event, read_events
from resnet_search.runs.trial import SKIPPED
from resnet_search.runs.trials import read_run
from resnet_search.search.budget import Budget
from resnet_search.search.resume import ResumeSettings
from resnet_search.search.steering import ENQUEUE, REQUESTS, SKIP, Requests, answer, ask, write_request

from .conftest import KnownWorkers, make_space

SMALL = Architecture.from_axes(block="basic", n=1, width=10).to_dict()


class Asking(KnownWorkers):
    """Workers during whose first trials somebody asks for something."""

    def __init__(self, slots, folder, *requests, after=3, **options):
        super().__init__(slots, **options)
        self.folder, self.requests, self.after = folder, list(requests), after

    def wait(self, seconds):
        if self.requests and len(self.submitted) >= self.after:
            kind, fields = self.requests.pop(0)
            if kind == SKIP:
                fields = {"trial": max(job.trial for job in self._jobs.values())}
            write_request(self.folder, kind, **fields)
            return None
        return super().wait(seconds)


def answers(search):
    return [event for event in read_events(search.folder.events) if event["event"] == "steered"]


def places(view):
    """What was trained, and with which score, whatever the order."""
    return {(t.iteration, t.bracket, t.rung, t.name, t.status, t.score) for t in view.trials.values()}


@pytest.mark.parametrize("slots", [1, 3])
def test_a_skipped_trial_is_replaced_and_the_plan_kept(make_search, whole, slots):
    search = make_search()
    view = search.drive(Asking(slots, search.folder, (SKIP, {})))
    (skipped,) = [trial for trial in view.trials.values() if trial.status == "failed"]
    assert skipped.reason == SKIPPED
    assert view.state == "finished"
    assert view.completed == whole().completed
    replacement = [t for t in view.trials.values() if (t.slot, t.rung) == (skipped.slot, 0) and t.replacement == 1]
    assert len(replacement) == 1 or skipped.rung > 0
    assert [(event["said"], event["done"]) for event in answers(search)] == [
        (f"trial {skipped.trial} is skipped", True)
    ]
    again = search.drive(KnownWorkers(1), settings=ResumeSettings(retry_failed=True))
    assert again.trials[skipped.trial].status == "failed"


def test_a_trial_of_a_killed_search_can_be_skipped(make_search):
    search = make_search()
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(2, stop_after=4))
    running = [t.trial for t in read_run(search.folder, locked=False).trials.values() if t.status == "running"]
    assert running[0] in ask(search.folder, SKIP, trial=running[0])
    workers = KnownWorkers(2)
    view = search.drive(workers)
    assert running[0] not in {job.trial for job in workers.submitted}
    assert (view.trials[running[0]].reason, view.state) == (SKIPPED, "finished")
    assert len(answers(search)) == 1, "it is carried out once"


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize(("limit", "wins"), [("", True), ("[limits]\nmax_params = 20_000", False)])
def test_a_given_network_is_trained_next(make_search, whole, slots, limit, wins):
    space = make_space(extra=limit)
    search = make_search(space)
    view = search.drive(Asking(slots, search.folder, (ENQUEUE, {"network": "mine", "architecture": SMALL})))
    (given,) = [trial for trial in view.trials.values() if trial.architecture == SMALL]
    assert (given.initial_epoch, given.epochs, given.status) == (0, 9, "completed")
    assert view.is_ranked(given) is wins
    assert (given in view.ranking()) is wins
    assert int(given.trial) <= 3 + slots, "before what was planned"
    assert places(view) - places(whole(space)) == {place for place in places(view) if place[3] == given.name}
    assert places(whole(space)) <= places(view), "the rest of the plan is as it was"
    assert view.state == "finished"


def test_a_search_that_has_ended_trains_a_given_network_when_it_resumes(make_search):
    search = make_search()
    before = search.drive(KnownWorkers(1))
    resnet = preset("resnet-20").architecture.to_dict()
    assert "9 epochs" in ask(search.folder, ENQUEUE, network="resnet-20", architecture=resnet)
    assert read_run(search.folder, locked=False).state == "interrupted"
    view = search.drive(KnownWorkers(1))
    assert len(view.trials) == len(before.trials) + 1
    assert view.state == "finished"
    with pytest.raises(RunError, match="resnet-20"):
        ask(search.folder, ENQUEUE, network="resnet-20", architecture=resnet)


def test_killed_between_a_request_and_its_answer_it_is_carried_out_once(make_search):
    search = make_search()
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(1, stop_after=5))
    write_request(search.folder, ENQUEUE, network="mine", architecture=SMALL)
    (request,) = Requests(search.folder, []).new()
    _, event = answer(read_run(search.folder, locked=False), request)
    append_event(search.folder.events, **event)
    view = search.drive(KnownWorkers(1))
    assert [trial.architecture for trial in view.trials.values()].count(SMALL) == 1
    assert [event["done"] for event in answers(search)] == [True]


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        (SKIP, {"trial": "0000"}, "0000 has completed"),
        (SKIP, {"trial": "9999"}, "no trial 9999"),
        (ENQUEUE, {"network": "odd", "architecture": {"block": "basic"}}, "blocks is missing"),
        (ENQUEUE, {"network": "odd", "architecture": []}, "blocks? is missing|odd is not a network"),
        (ENQUEUE, {"network": "odd", "architecture": {**SMALL, "width": "x"}}, "odd is not a network|width"),
    ],
)
def test_what_cannot_be_done_is_refused(make_search, kind, fields, said):
    search = make_search()
    search.drive(KnownWorkers(1))
    with pytest.raises(RunError, match=said):
        ask(search.folder, kind, **fields)
    assert read_run(search.folder, locked=False).state == "finished"


def test_after_the_search_the_final_training_takes_no_network(make_search):
    search = make_search(make_space().with_settings(final_epochs=12))
    search.drive(KnownWorkers(1))
    with pytest.raises(RunError, match="ended"):
        ask(search.folder, ENQUEUE, network="mine", architecture=SMALL)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]\n",
        '{"kind": "skip"}\n',
        '{"request": 1, "kind": "skip", "trial": "0"}\n',
        '{"request": "a", "kind": "odd"}\n',
        '{"request": "a", "kind": []}\n',
    ],
)
def test_what_is_no_request_is_passed_over(make_search, content):
    search = make_search()
    (search.folder.path / REQUESTS).write_text(content)
    assert Requests(search.folder, []).new() == []
    assert search.drive(KnownWorkers(1)).state == "finished"
    assert answers(search) == []


def test_a_driver_that_does_not_answer(make_search):
    search = make_search()
    search.drive(KnownWorkers(1))
    with search.folder.lock(), pytest.raises(RunError, match="0 s"):
        ask(search.folder, SKIP, trial="0000", patience=0.3)
    assert len(read_lines(search.folder.path / REQUESTS)) == 1


def test_requests_take_no_time_of_a_search_that_has_ended(make_search):
    search = make_search()
    before = search.drive(KnownWorkers(1)).seconds
    lines = read_lines(search.folder.events)
    write_lines(search.folder.events, [{**line, "time": line["time"] - 10_000} for line in lines])
    with pytest.raises(RunError):
        ask(search.folder, SKIP, trial="0000")
    ask(search.folder, ENQUEUE, network="mine", architecture=SMALL)
    assert read_run(search.folder, locked=False).seconds == pytest.approx(before, abs=1)


def test_a_damaged_request_does_not_hide_the_others(make_search):
    search = make_search()
    search.drive(KnownWorkers(1))
    (search.folder.path / REQUESTS).write_text("{\n")
    assert "9 epochs" in ask(search.folder, ENQUEUE, network="mine", architecture=SMALL)


def test_a_run_that_has_not_begun_keeps_the_request(make_search):
    search = make_search()
    with pytest.raises(RunError, match="not started"):
        ask(search.folder, ENQUEUE, network="mine", architecture=SMALL)
    view = search.drive(KnownWorkers(1))
    assert SMALL in [trial.architecture for trial in view.trials.values()]


def test_a_network_whose_trial_was_skipped_can_be_enqueued(make_search):
    search = make_search()
    view = search.drive(Asking(1, search.folder, (SKIP, {})))
    (skipped,) = [trial for trial in view.trials.values() if trial.status == "failed"]
    ask(search.folder, ENQUEUE, network="mine", architecture=skipped.architecture)
    view = search.drive(KnownWorkers(1))
    assert [t.status for t in view.trials.values() if t.architecture == skipped.architecture][-1] == "completed"


def test_after_the_time_of_the_search_no_network_is_added(make_search):
    search = make_search(make_space().with_settings(final_epochs=12))
    workers = Asking(1, search.folder, (ENQUEUE, {"network": "mine", "architecture": SMALL}), after=6)
    view = search.drive(workers, Budget(trials=6))
    assert SMALL not in [trial.architecture for trial in view.trials.values()]
    assert [event["done"] for event in answers(search)] == [False]


def test_networks_beside_pretrained_ones_are_refused(make_search):
    view = make_search().drive(KnownWorkers(1))
    space = {**view.content["space"], "recipe": {"name": "finetune", "init": "imagenet"}}
    axes = {"models": ["keras-resnet-50"]}
    view.content = {**view.content, "space": {**space, "axes": axes}}
    request = {"request": "1", "kind": ENQUEUE, "network": "mine", "architecture": SMALL, "done": False}
    assert answer(view, request)[1] is None
