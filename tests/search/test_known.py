"""Known architectures beside a search: trained first and to the end, and never taken for what was found."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

import pytest

from resnet_search.cli.worth import best_lines
from resnet_search.errors import UsageError
from resnet_search.files import write_json
from resnet_search.networks.presets import preset
from resnet_search.report.document import Document
from resnet_search.report.known import NOTHING_GAINED, against_known
from resnet_search.report.markdown import to_markdown
from resnet_search.search.hypermodel import ResNetHyperModel
from resnet_search.search.known import baselines_of, known_networks, with_known
from resnet_search.search.repair import restored_oracle
from resnet_search.spaces.brackets import hyperband
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.recipe import RECIPES
from resnet_search.workers.contract import Done

from .conftest import KnownWorkers, Search, make_space
from .test_loop import planned, rungs, table

NAMES = ("resnet-20", "plain-20")
AXES = 'n = [1]\nwidth = [4]\nblock = ["basic"]\n'


def space_with(limits: str, axes: str = AXES, method: str = "hyperband") -> SearchSpace:
    tables = f"[axes]\n{axes}\n[limits]\n{limits}\n[hyperband]\nmax_epochs = 3\n[data]\nsource = 'shapes'"
    return parse_space(f"method = '{method}'\n{tables}", "limits")


def section_of(view) -> str:
    return to_markdown(Document("", (), against_known(view, view.winner)))


@pytest.fixture
def make_compared(make_search):
    def make(number: int = 0, extra: str = "") -> Search:
        search = make_search(make_space(extra=extra), number=number)
        content = search.folder.read()
        brackets, known = with_known(
            make_plan(search.space).brackets, known_networks(search.space, NAMES, (32, 32, 3), 10), 9
        )
        content |= {"plan": [asdict(bracket) for bracket in brackets], "known": known}
        content["data"] |= {"validation": 1000}
        write_json(search.folder.path / "run.json", content)
        return search

    return make


def test_they_are_trained_first_and_to_the_end(make_compared):
    workers = KnownWorkers(2)
    view = make_compared().drive(workers)
    assert [(job.initial_epoch, job.epochs) for job in workers.submitted[:2]] == [(0, 9)] * 2
    assert [t.architecture for t in view.baselines] == [preset(name).architecture.to_dict() for name in NAMES]
    assert [t.params for t in view.baselines] == [preset(name).complexity.trainable for name in NAMES]
    assert rungs(view) == planned(view)


def test_the_search_beside_them_is_the_same(make_compared, whole):
    beside = make_compared().drive(KnownWorkers(2))
    baselines = {t.name for t in beside.baselines}
    assert [row for row in table(beside) if row[3] not in baselines] == table(whole())
    assert beside.winner.name == whole().winner.name


def test_they_are_not_ranked(make_compared):
    view = make_compared().drive(KnownWorkers(1, stop_after=None))
    names = {t.name for t in view.baselines}
    assert len(names) == 2
    assert not names & {t.name for t in view.ranking()}
    only = make_compared(number=1)
    with pytest.raises(KeyboardInterrupt):
        only.drive(KnownWorkers(1, stop_after=19))
    assert view.leader.name not in names


class WithAWinner(KnownWorkers):
    """ResNet-20 is always right."""

    def _train(self, slot, job):
        *messages, done = super()._train(slot, job)
        if job.architecture != preset("resnet-20").architecture.to_dict():
            return [*messages, done]
        history = tuple(replace(line, val_accuracy=1.0, val_loss=0.0) for line in done.history)
        return [Done(slot, job.trial, history, done.setup_seconds)]


def test_one_inside_the_limits_may_win_and_the_report_says_that_nothing_was_gained(make_compared):
    search = make_compared(extra="[limits]\nmax_params = 300_000")
    view = search.drive(WithAWinner(2))
    assert view.winner is view.leader is view.baselines[0]
    assert [view.is_ranked(trial) for trial in view.baselines] == [True, True]
    section = section_of(view)
    assert f"`resnet-20`{NOTHING_GAINED}" in section
    assert "found here" not in section
    assert any(f"resnet-20{NOTHING_GAINED}" in line for line in best_lines(view))


def test_one_outside_the_limits_is_only_compared_with(make_compared):
    view = make_compared(extra="[limits]\nmax_params = 269_721").drive(WithAWinner(2))
    assert view.baselines[0].score == 1
    assert not any(view.is_ranked(trial) or trial in view.ranking() for trial in view.baselines)
    [first, second] = [line for line in best_lines(view) if line.startswith("Baseline")]
    assert re.search(r"resnet-20: 100\.00 %.* -[\d.]+ points", first)
    assert second.startswith("Baseline   plain-20: ")


@pytest.mark.parametrize(
    ("limits", "others", "name"),
    [
        ("max_params = 300_000", {}, "resnet-20"),
        ("max_params = 269_722", {}, "resnet-20"),
        ("max_params = 269_721", {}, None),
        ("max_macs = 70_000_000", {}, "resnet-32"),
        ("max_params = 90_000_000", {}, "resnet-110"),
        ("max_params = 12_000_000", {"axes": AXES + 'stem = ["imagenet"]'}, "resnet-18"),
        ("max_params = 500_000", {"axes": 'models = ["resnet-20", "resnet-32"]'}, None),
        ("max_params = 300_000", {"method": "grid"}, None),
        ("", {}, None),
    ],
)
def test_the_published_network_of_a_space_is_the_largest_inside_its_limits(limits, others, name):
    space = space_with(limits, **others)
    networks = known_networks(space, (), (32, 32, 3), 10)
    assert [one.preset.name for one in networks] == ([name] if name else [])
    assert all(one.ranked for one in networks)
    assert known_networks(space, (), (32, 32, 3), 10, reference=False) == ()
    if name:
        assert known_networks(space, (name,), (32, 32, 3), 10) == networks, "each network once"


def test_one_that_fails_is_not_replaced(make_compared):
    view = make_compared().drive(KnownWorkers(1, lambda job, _: "failed" if job.trial == "0000" else "done"))
    assert [t.status for t in view.baselines] == ["failed", "completed"]
    assert view.state == "finished"
    assert re.search("`resnet-20`.*the loss was nan", section_of(view))


def test_a_run_with_them_goes_on_to_the_same(make_compared):
    whole = make_compared(number=1).drive(KnownWorkers(2))
    search = make_compared(number=2)
    for stop_after in (3, 30):
        with pytest.raises(KeyboardInterrupt):
            search.drive(KnownWorkers(2, stop_after=stop_after))
    assert table(search.drive(KnownWorkers(2))) == table(whole)


def test_where_recipes_vary_they_take_the_recipe_as_it_is(make_compared):
    workers = KnownWorkers(1)
    make_compared(extra="[recipe]\nlearning_rate = { min = 0.2, max = 0.4 }").drive(workers)
    rate = RECIPES["search"].learning_rate
    assert [job.recipe["learning_rate"] == rate for job in workers.submitted[:3]] == [True, True, False]


def test_the_report_holds_them_against_what_was_found(make_compared):
    view = make_compared().drive(KnownWorkers(2))
    section = section_of(view)
    assert "Found against known" in section
    for words in ("`resnet-20`", "`plain-20`", "found here", f"`{view.winner.name}`"):
        assert words in section
    best, *_ = view.baselines
    assert f"{(view.winner.score - best.score) * 100:+.2f} points" in section


def test_without_any_there_is_no_such_section(whole):
    assert "Found against known" not in section_of(whole())


def test_keras_tuner_gets_the_network_that_was_trained(make_compared):
    import keras_tuner

    search = make_compared()
    view = search.drive(KnownWorkers(2))
    hypermodel = ResNetHyperModel(search.space)
    tuner = keras_tuner.Hyperband(
        hypermodel, objective="val_accuracy", max_epochs=9, directory=search.folder.path.parent,
        project_name=search.folder.name,
    )  # fmt: skip
    again = restored_oracle(view)
    for trial in view.baselines:
        theirs = tuner.oracle.trials[trial.trial].hyperparameters
        assert again.trials[trial.trial].hyperparameters.values == theirs.values
        assert hypermodel.architecture(theirs).to_dict() == trial.architecture


def test_names():
    assert [named.name for named in baselines_of(("ResNet-20", "plain-20"))] == list(NAMES)
    assert with_known(hyperband(9, 3, 1), (), 9) == (hyperband(9, 3, 1), [])
    with pytest.raises(UsageError, match="same network as 'resnet-20'"):
        baselines_of(("resnet-20", "RESNET-20"))
    with pytest.raises(UsageError, match="resnet-21"):
        baselines_of(("resnet-21",))
