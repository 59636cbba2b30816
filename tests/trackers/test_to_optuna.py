"""Optuna's journal: what dashboards need of it."""

from __future__ import annotations

import json

import optuna
import pytest

from resnet_search.files import append_line
from resnet_search.networks.architecture import Architecture
from resnet_search.runs.axes import plain
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import read_run
from resnet_search.spaces.load import load_space, parse_space, shipped_spaces
from resnet_search.spaces.points import values_of
from resnet_search.trackers.to_optuna import distributions, storage_of
from tests.cli.conftest import make_run
from tests.report.conftest import Events, epoch_line, make_content

from .conftest import tell

pytestmark = pytest.mark.interface

SPACE = """
[axes]
n = [2, 1]
width = [4, 8]
block = ["basic", "wide"]
dropout = [0, 0.3]
multiples = [[1, 2, 4], [1, 1, 2]]
[recipe]
learning_rate = { min = 0.01, max = 0.1, log = true }
batch_size = { min = 32, max = 64 }
weight_decay = [1e-4, 5e-4]
"""


def study_of(folder):
    storage = storage_of(folder.path / "optuna")
    (study,) = optuna.get_all_study_summaries(storage)
    return optuna.load_study(study_name=study.study_name, storage=storage)


def test_the_best_trial_is_the_winner(finished):
    tell(finished, "optuna")
    study, winner = study_of(finished), read_run(finished, locked=False).winner
    assert study.best_trial.user_attrs["trial"] == winner.trial
    assert study.best_value == winner.score
    assert study.metric_names == ["val_accuracy"]
    assert study.user_attrs["space"] == "quickstart"


def test_what_a_rung_leaves_behind_is_pruned_before_the_run_ends(growing):
    view = read_run(growing.finished, locked=False)
    state = optuna.trial.TrialState
    # Up to where the second rung of the first bracket is full.
    rungs = {(t.bracket, t.rung) for t in view.trials.values()}
    bracket = max(bracket for bracket, _ in rungs)
    second = {t.trial for t in view.trials.values() if (t.bracket, t.rung) == (bracket, 1)}
    events = [json.loads(line) for line in growing.lines]
    ends = [at for at, event in enumerate(events) if event["event"] == "completed" and event["trial"] in second]
    growing.grow(ends[-1])
    tell(growing.folder, "optuna")
    assert state.PRUNED not in {trial.state for trial in study_of(growing.folder).trials}
    growing.grow(1)
    tell(growing.folder, "optuna")
    trials = {trial.user_attrs["candidate"]: trial for trial in study_of(growing.folder).trials}
    promoted = {view.trials[trial].candidate for trial in second}
    left = {
        t.candidate
        for t in view.trials.values()
        if (t.bracket, t.rung, t.status) == (bracket, 0, "completed") and t.candidate not in promoted
    }
    assert left
    assert {trials[candidate].state for candidate in left} == {state.PRUNED}
    assert all(
        trials[candidate].value == list(trials[candidate].intermediate_values.values())[-1] for candidate in left
    )
    assert {trials[candidate].state for candidate in promoted} <= {state.RUNNING, state.FAIL}


def again_trained(tmp_path) -> tuple[RunFolder, Events]:
    """A candidate that its rung left behind, and that a later bracket draws once more."""
    run = Events()
    run.create(0, 0, (0, 1, 0), (0, 1), slot=0)
    run.complete(0, 0.5)
    run.create(1, 1, (0, 1, 0), (0, 1), slot=1)
    run.complete(1, 0.6)
    run.create(2, 2, (0, 1, 0), (0, 1), slot=2)
    run.complete(2, 0.4)
    run.create(3, 1, (0, 1, 1), (1, 3), promoted_from="0001", parent="0001")
    run.complete(3, 0.8)
    run.create(4, 0, (0, 0, 0), (1, 3), slot=0, parent="0000")
    run.complete(4, 0.7)
    folder = RunFolder(tmp_path / "again")
    folder.path.mkdir()
    append_line(folder.path / "run.json", make_content())
    for trial, epochs in (("0000", [1]), ("0001", [1]), ("0002", [1]), ("0003", [2, 3]), ("0004", [2, 3])):
        folder.trial(trial).mkdir()
        for epoch in epochs:
            append_line(folder.trial(trial) / "history.jsonl", epoch_line(epoch, 0.2 * epoch))
    return folder, run


def test_a_candidate_that_is_drawn_once_more_gets_a_trial_with_its_whole_curve(tmp_path):
    folder, run = again_trained(tmp_path)
    for line in run.lines[:-2]:
        append_line(folder.events, line)
    tell(folder, "optuna")
    for line in run.lines[-2:]:
        append_line(folder.events, line)
    tell(folder, "optuna")
    tell(folder, "optuna")
    trials = [trial for trial in study_of(folder).trials if trial.user_attrs["candidate"] == 0]
    assert [trial.state.name for trial in trials] == ["PRUNED", "COMPLETE"]
    assert [list(trial.intermediate_values) for trial in trials] == [[1], [1, 2, 3]]


@pytest.mark.parametrize("content", [b"\x00\xff not a journal\n{}\n", b'{"op_code": 0', b""], ids=range(3))
def test_a_damaged_journal_is_begun_anew(finished, content):
    tell(finished, "optuna")
    journal = finished.path / "optuna" / "journal.log"
    journal.write_bytes(content)
    tell(finished, "optuna")
    assert study_of(finished).best_value == read_run(finished, locked=False).winner.score


def test_a_journal_of_another_run_of_this_name_is_begun_anew(finished, tmp_path):
    other = make_run(tmp_path / "other", "whole", stop_after=3, created="2020-01-01T00:00:00+00:00")
    tell(other, "optuna")
    (finished.path / "optuna").mkdir()
    (finished.path / "optuna" / "journal.log").write_bytes((other.path / "optuna" / "journal.log").read_bytes())
    tell(finished, "optuna")
    assert study_of(finished).best_value == read_run(finished, locked=False).winner.score


@pytest.mark.parametrize("name", shipped_spaces())
def test_every_network_of_a_space_has_values_that_optuna_takes(name):
    space = load_space(name)
    made = distributions(space)
    for architecture in space.feasible().architectures:
        read = Architecture.from_dict(json.loads(json.dumps(architecture.to_dict())))
        for axis, value in values_of(space.axes, read).items():
            assert plain(value) in made[axis].choices, axis


def test_distributions_are_of_the_space():
    made = distributions(parse_space(SPACE, "x.toml"))
    choices = optuna.distributions.CategoricalDistribution
    assert made == {
        "n": choices([1, 2]),
        "width": choices([4, 8]),
        "block": choices(["basic", "wide"]),
        "dropout": choices([0.0, 0.3]),
        "multiples": choices(["1-1-2", "1-2-4"]),
        "learning_rate": optuna.distributions.FloatDistribution(0.01, 0.1, log=True),
        "batch_size": optuna.distributions.IntDistribution(32, 64),
        "weight_decay": choices([1e-4, 5e-4]),
    }
    assert distributions(None) == {}
