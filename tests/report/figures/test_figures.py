"""What each plot says, of a run of seven trials that is known by heart and of larger ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from resnet_search.report.document import Figure, Section, Table
from resnet_search.report.figures import axes, cost, halving, learning, workers
from resnet_search.report.figures.halving import DROPPED, FAILS, OPEN, TO_THE_END, WENT_ON
from resnet_search.report.figures.reading import read
from resnet_search.report.illustrated import illustrated
from resnet_search.report.kind import accuracy_name
from resnet_search.runs.trials import read_run
from resnet_search.spaces.load import parse_space
from tests.cli.conftest import make_run
from tests.report.conftest import Events, make_content, search_events
from tests.report.hostile import whole_run
from tests.report.reading import prose, rows

pytestmark = pytest.mark.interface

GRID = """
method = "grid"
[axes]
n = [1, 2]
width = [4, 8, 16]
block = ["basic"]
[hyperband]
max_epochs = 3
[data]
source = "shapes"
"""


def figures(sections: tuple[Section, ...]) -> dict[str, Figure]:
    return {block.name: block for section in sections for block in section.blocks if isinstance(block, Figure)}


def named(plot: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {trace.get("name", trace["type"]): trace for trace in plot["data"]}


def test_curves_are_named_after_what_they_are_of(make_view):
    view = make_view(search_events())
    names = set()
    for merged in (False, True):
        view.content["data"]["merged"] = merged
        names.add(accuracy_name(view))
        assert figures(learning.curves(read(view)))["curves"].title.startswith(f"{accuracy_name(view)}, ")
    assert len(names) == 2


def test_candidates_are_read_once_with_their_curves(make_view):
    reading = read(make_view(search_events()))
    assert {number: trial.trial for number, trial in reading.trials.items()} == {
        0: "0004", 2: "0002", 3: "0003", 4: "0005", 5: "0006"}  # fmt: skip
    assert reading.rungs == (1, 3)
    # The later rung continues the earlier one: one curve.
    assert reading.curves[0] == {1: 0.5, 2: pytest.approx(0.8 * 2 / 3), 3: reading.scores_at(3)[0]}
    assert reading.scores_at(1).keys() == {0, 2, 3, 4, 5}
    assert reading.scores_at(3) == pytest.approx({0: 0.8, 4: 0.79, 5: 0.6})


def test_damaged_histories_are_counted(make_view):
    view = make_view(search_events())
    (view.folder.trial("0002") / "history.jsonl").write_text('{"epoch": "x"}\n')
    (view.folder.trial("0003") / "history.jsonl").write_text("not JSON\n")
    reading = read(view)
    assert reading.unread == 2
    assert "2 candidates" in prose(*learning.curves(reading))


def test_cost_shows_the_longest_trained_and_their_front(make_view):
    found = figures(cost.against_cost(read(make_view(search_events()))))
    traces = named(found["cost-params"].plot)
    assert sorted(traces["Candidates"]["y"]) == [0.6, 0.79, 0.8]
    assert traces["The best"]["y"] == [0.8]
    assert traces["Pareto front"]["y"] == sorted(traces["Pareto front"]["y"])
    assert "Published (test)" not in traces  # Not on these images.


def test_published_networks_are_for_cifar10_alone(make_view):
    content = make_content()
    content["data"]["source"] = "cifar10"
    traces = named(figures(cost.against_cost(read(make_view(search_events(), content))))["cost-macs"].plot)
    places = dict(zip(traces["Published (test)"]["text"], traces["Published (test)"]["y"], strict=True))
    assert [place for name, place in places.items() if name.startswith("resnet-20<br>")] == [pytest.approx(0.9125)]


def test_what_became_of_each_trial(make_view):
    run = search_events()
    view = make_view(run)
    assert {trial.trial: outcome for trial, outcome in halving.outcomes(view)} == {
        "0000": WENT_ON, "0001": FAILS, "0002": DROPPED, "0003": DROPPED, "0004": TO_THE_END, "0005": TO_THE_END,
        "0006": TO_THE_END}  # fmt: skip


def test_before_the_next_rung_is_full_nobody_is_dropped(make_view):
    run = Events()
    for trial in range(3):
        run.create(trial, trial, (0, 1, 0), (0, 1), slot=trial)
        run.complete(trial, 0.5 - trial / 10)
    assert {outcome for _, outcome in halving.outcomes(make_view(run))} == {OPEN}


def test_flows_add_up(make_view):
    found = figures(halving.brackets(make_view(search_events())))
    sankey = found["halving"].plot["data"][0]
    assert sankey["node"]["label"] == ["bracket 1, epoch 1: 4", "epoch 3: 1", "bracket 0, epoch 3: 2",
                                       f"{TO_THE_END}: 3", f"{DROPPED}: 2", f"{FAILS}: 1"]  # fmt: skip
    links = list(zip(*(sankey["link"][key] for key in ("source", "target", "value")), strict=True))
    assert links == [(0, 1, 1), (0, 4, 2), (0, 5, 1), (1, 3, 1), (2, 3, 2)]
    spent = named(found["budget"].plot)
    assert {name: sum(trace["x"]) for name, trace in spent.items()} == {
        WENT_ON: 1, TO_THE_END: 8, DROPPED: 2}  # fmt: skip


def test_of_many_curves_some_are_shown_and_the_rest_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "MOST_CURVES", 3)
    reading = read(whole_run(tmp_path, max_epochs=9))
    (section,) = learning.curves(reading)
    groups: dict[int, int] = {}
    for trial in reading.trials.values():
        groups[trial.epochs] = groups.get(trial.epochs, 0) + 1
    left_out = sum(max(0, number - 3) for number in groups.values())
    assert f"leaves out {left_out:,}." in prose(section)
    shown = section.blocks[-1]
    assert isinstance(shown, Figure)
    for trace in shown.plot["data"][:-1]:
        assert trace["y"].count(None) <= 3


def test_each_trial_stands_in_a_row_that_was_free(make_view):
    run = Events()
    for trial in range(3):
        run.create(trial, trial, (0, 1, 0), (0, 1), slot=trial)
    for trial in range(3):
        run.complete(trial, 0.5)
    run.create(3, 3, (0, 1, 0), (0, 1), slot=3)
    view = make_view(run)
    found = sorted(workers.stretches(view), key=lambda one: one.begin)
    # The last one's creation is the run's last moment: it has not lasted yet.
    assert [one.trial.trial for one in found] == ["0000", "0001", "0002"]
    assert workers.lanes(found) == [0, 1, 2]


def test_a_trial_is_cut_where_no_session_ran(make_view):
    run = Events()
    run.create(0, 0, (0, 1, 0), (0, 1))
    run("interrupted", reason="Interrupted")
    run("resumed", process=2, host="box")
    run.complete(0, 0.5)
    view = make_view(run)
    found = list(workers.stretches(view))
    assert [one.end - one.begin for one in found] == [1.0, 1.0]
    assert workers.lanes(found) == [0, 0]


def test_very_many_trials_become_a_line(tmp_path, monkeypatch):
    view = whole_run(tmp_path, max_epochs=9)
    monkeypatch.setattr(workers, "MOST_BARS", 5)
    made = figures(workers.timeline(view))["timeline"]
    (trace,) = made.plot["data"]
    assert max(trace["y"]) <= 1.0 + 1e-6
    assert f"{len(view.trials)} trials" in str(made.alternative)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    return read(whole_run(tmp_path_factory.mktemp("runs")))


def test_importance_counts_an_axis_that_only_some_blocks_have(searched):
    level = axes._levels(searched)[0]
    found = axes.importances(level)
    assert found.keys() == {"n", "width", "block", "cardinality", "shortcut"}
    assert sum(found.values()) == pytest.approx(1)
    having = [number for number, values in level.values.items() if "cardinality" in values]
    assert 0 < len(having) < len(level.values)
    assert {level.values[number]["block"] for number in having} == {"resnext"}


def test_importance_finds_the_axis_that_decides():
    values = {number: {"width": number % 3, "n": number % 5} for number in range(60)}
    scores = {number: own["width"] / 10 + number / 10_000 for number, own in values.items()}
    found = axes.importances(axes.Level(1, scores, values))
    assert found["width"] > 0.9


def test_only_axes_with_an_effect_beyond_the_noise_are_interpreted():
    """Of two axes, one decides: the importance of the other one is marked, and its best value is not named."""
    values = {number: {"width": number % 3, "n": number % 5} for number in range(60)}
    scores = {number: own["width"] / 10 + (number * 7919 % 60) / 10_000 for number, own in values.items()}
    level = axes.Level(1, scores, values)
    assert level.clear == {"width"}
    importance, effects = axes._importance([level]), axes._effects([level])
    shares = {row[0]: row[1] for row in rows(importance)}
    assert shares["n"].endswith("noise")
    assert "noise" not in shares["width"]
    _, _, told = figures((effects,))["effects"].alternative.partition(": ")
    assert told.startswith("width 2 ")
    assert ";" not in told
    assert {row[0]: row[-1] for row in rows(effects)} == {"n": "no", "width": "yes"}


@pytest.mark.parametrize("values", [range(5), [number / 60 for number in range(60)]])
def test_axes_of_chance_have_neither_importance_nor_a_best_value(values):
    random = np.random.default_rng(3)
    own = {number: {"axis": values[number % len(values)]} for number in range(60)}
    level = axes.Level(1, {number: 0.1 + random.normal(0, 0.015) for number in own}, own)
    assert level.clear == set()
    assert figures((axes._importance([level]),)) == {}
    assert "0.1" not in figures((axes._effects([level]),))["effects"].alternative


def test_a_learning_rate_that_decides_is_clear():
    values = {number: {"learning_rate": 1e-3 * 1.1**number} for number in range(40)}
    assert axes.Level(1, {number: number / 100 for number in values}, values).clear == {"learning_rate"}


def test_marginals_are_means_of_those_who_have_the_value():
    values = {0: {"width": 4}, 1: {"width": 4}, 2: {"width": 8}, 3: {"width": 16, "cardinality": 2}}
    found = axes.marginals(axes.Level(1, {0: 0.1, 1: 0.3, 2: 0.5, 3: 0.7}, values))
    assert [(one.axis, one.value, one.candidates, round(one.mean, 6)) for one in found] == [
        ("cardinality", "2", 1, 0.7),
        ("width", "4", 2, 0.2),
        ("width", "8", 1, 0.5),
        ("width", "16", 1, 0.7),
    ]
    assert [one.error for one in found] == [None, pytest.approx(0.1), None, None]


def test_values_stand_in_their_order(searched):
    made = figures(axes.sections(searched))["effects"]
    order = made.plot["layout"]["yaxis"]["categoryarray"][::-1]
    assert [row for row in order if row.startswith(("n ", "width "))] == ["n 1", "n 2", "n 3", "width 4", "width 8",
                                                                          "width 16"]  # fmt: skip


def test_few_candidates_have_no_importance(make_view):
    _, importance, _ = axes.sections(read(make_view(search_events())))
    assert not any(isinstance(block, Figure) for block in importance.blocks)


@pytest.mark.parametrize("running", [False, True])
def test_a_run_that_has_just_begun_has_a_report(make_view, running):
    run = Events()
    if running:
        run.create(0, 0, (0, 1, 0), (0, 1))
    assert "0 of 6 trials" in prose(illustrated(make_view(run)))


def test_a_grid_has_no_brackets_but_curves_and_costs(tmp_path):
    view = read_run(make_run(tmp_path, space=parse_space(GRID, "grid")), locked=False)
    document = illustrated(view)
    names = set(figures(document.sections))
    assert {"cost-params", "curves", "timeline"} <= names
    assert not {"halving", "budget", "agreement"} & names
    assert any(isinstance(block, Table) for section in document.sections for block in section.blocks)


def test_an_extended_search_is_shown_with_its_new_bracket(tmp_path):
    from resnet_search.search.resume import ResumeSettings
    from tests.search.conftest import KnownWorkers, make_space, new_search

    search = new_search(tmp_path, make_space(9))
    search.drive(KnownWorkers(2))
    view = search.drive(KnownWorkers(2), settings=ResumeSettings(add_epochs=18))
    found = figures(halving.brackets(view))
    assert any(label.startswith("extension 1, ") for label in found["halving"].plot["data"][0]["node"]["label"])
    outcomes = [outcome for _, outcome in halving.outcomes(view)]
    assert outcomes.count(TO_THE_END) > 0
    links = found["halving"].plot["data"][0]["link"]
    assert sum(number for number, kind in zip(links["value"], links["customdata"], strict=True) if kind != WENT_ON) == (
        len(outcomes) - outcomes.count(WENT_ON)
    )
