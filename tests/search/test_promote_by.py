"""Promotion by validation loss: which trials it promotes, what a restored run knows of it, and runs from before it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from resnet_search.files import append_line, write_json, write_text
from resnet_search.runs.events import read_events
from resnet_search.runs.trials import read_run, view_of
from resnet_search.search.oracle import HyperbandOracle
from resnet_search.search.resume import ResumeSettings
from resnet_search.spaces.plan import brackets_from
from resnet_search.spaces.space import SearchSpace
from resnet_search.workers.contract import Done

from .conftest import KnownWorkers, make_space, new_search


class OppositeWorkers(KnownWorkers):
    """The lower the accuracy, the lower the loss."""

    def _train(self, slot, job):
        *_, done = super()._train(slot, job)
        history = tuple(replace(line, val_loss=1 + line.val_accuracy) for line in done.history)
        return [Done(slot, job.trial, history, done.setup_seconds)]


def searched(tmp_path, by: str):
    search = new_search(tmp_path / by, make_space().with_settings(promote_by=by))
    return search, search.drive(OppositeWorkers(1))


def rung(view, bracket: int, index: int) -> list:
    return [trial for trial in view.trials.values() if (trial.bracket, trial.rung) == (bracket, index)]


@pytest.mark.parametrize(("by", "lowest"), [("loss", True), ("accuracy", False)])
def test_the_best_by_what_was_chosen_are_promoted_and_the_winner_has_the_highest_accuracy(tmp_path, by, lowest):
    _, view = searched(tmp_path, by)
    assert view.promotes_by_loss is lowest
    promotions = 0
    for bracket in {trial.bracket for trial in view.trials.values()}:
        below, index = rung(view, bracket, 0), 1
        while above := rung(view, bracket, index):
            ranked = sorted(below, key=lambda trial: trial.score if lowest else -trial.score)
            assert {t.promoted_from for t in above} == {t.trial for t in ranked[: len(above)]}
            promotions += len(above)
            below, index = above, index + 1
    assert promotions
    assert view.winner.score == max(trial.score for trial in view.trials.values() if trial.epochs == view.max_epochs)


def oracle_after(view, events) -> HyperbandOracle:
    content = view.content
    oracle = HyperbandOracle(SearchSpace.from_dict(content["space"]), view, brackets_from(content["plan"]), 0)
    oracle.restore(events)
    return oracle


def test_from_any_event_on_a_restored_run_promotes_the_same_even_without_histories(tmp_path):
    search, view = searched(tmp_path, "loss")
    for trial in view.trials.values():
        shutil.rmtree(search.folder.trial(trial.trial))
    events, content = read_events(search.folder.events), search.folder.read()
    for number, event in enumerate(events):
        if event["event"] == "created":
            before = view_of(search.folder, content, events[:number], locked=False)
            oracle = oracle_after(before, events[:number])
            oracle.create_trial("slot0")
            assert oracle.created == {key: event[key] for key in event if key not in {"event", "time"}}


def test_a_run_from_before_it_promotes_by_accuracy(tmp_path):
    search, _ = searched(tmp_path, "accuracy")
    content = search.folder.read()
    del content["space"]["hyperband"]["promote_by"]
    write_json(search.folder.path / "run.json", content)
    events = [{key: event[key] for key in event if key != "val_loss"} for event in read_events(search.folder.events)]
    write_text(search.folder.events, "")
    for event in events:
        append_line(search.folder.events, event)
    view = read_run(search.folder, locked=False)
    assert not view.promotes_by_loss
    assert SearchSpace.from_dict(content["space"]).hyperband.promote_by == "accuracy"
    assert oracle_after(view, events).finished
    assert view.trials["0000"].val_loss is None


def test_those_that_train_longer_are_chosen_by_accuracy(tmp_path):
    search, view = searched(tmp_path, "loss")
    best = view.ranking()
    view = search.drive(OppositeWorkers(1), settings=ResumeSettings(add_epochs=9))
    longer = [trial for trial in view.trials.values() if trial.epochs == view.max_epochs]
    assert {trial.candidate for trial in longer} == {trial.candidate for trial in best[: len(longer)]}


def test_where_label_smoothing_varies_losses_are_not_compared(tmp_path):
    space = make_space(extra="[recipe]\nlabel_smoothing = [0.0, 0.1]").with_settings(promote_by="loss")
    assert not new_search(tmp_path, space).drive(OppositeWorkers(1)).promotes_by_loss
