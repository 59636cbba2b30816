"""--promotion from the command line to the report: planned, recorded, kept by resume, and told."""

from __future__ import annotations

import copy
import json
import random
import re

import pytest

from resnet_search.cli.changes import refuse_changes
from resnet_search.cli.progress import Progress
from resnet_search.errors import SpaceError, UsageError
from resnet_search.report.figures.halving import DROPPED, OPEN, outcomes
from resnet_search.report.inputs import searched
from resnet_search.runs.events import read_events
from resnet_search.runs.trials import RunView, read_run, view_of
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan
from tests.search.conftest import KnownWorkers, make_space, new_search


def test_plan_says_what_there_is_at_worst(command):
    words = ["plan", "--space", "cifar_small", "--max-epochs", "9"]
    found = command(*words, "--promotion", "async")
    # Brackets of 9, 5 and 3 draws.
    assert {"40 trials", "153 epochs"} <= set(re.findall(r"\d+ (?:trials|epochs)", " ".join(found.out.split())))
    assert "40 trials" not in " ".join(command(*words).out.split())
    plan = json.loads(command(*words, "--promotion", "async", "--json").out)
    assert (plan["promotion"], plan["trials"], plan["most_trials"], plan["most_epochs"]) == ("async", 23, 40, 153)
    plan = json.loads(command(*words, "--json").out)
    assert (plan["promotion"], plan["most_trials"], plan["most_epochs"]) == ("sync", plan["trials"], plan["epochs"])


def content_of(space, tmp_path):
    content = new_search(tmp_path, space).folder.read()
    content["data"] |= {"train_examples": None, "data_dir": None}
    return content


def test_resume_keeps_to_it(tmp_path):
    content = content_of(make_space().with_settings(promotion="async"), tmp_path)
    refuse_changes("night", content, {"promotion": "async"})
    with pytest.raises(UsageError, match=r"--promotion.*'sync'.*'async'"):
        refuse_changes("night", content, {"promotion": "sync"})


def test_a_run_from_before_there_was_a_choice_is_synchronous(tmp_path):
    content = content_of(make_space(), tmp_path)
    del content["space"]["hyperband"]["promotion"]
    refuse_changes("night", content, {"promotion": "sync"})
    with pytest.raises(UsageError, match="--promotion"):
        refuse_changes("night", content, {"promotion": "async"})


def test_a_grid_promotes_nobody():
    text = make_space().text.replace("max_epochs = 9", 'max_epochs = 9\npromotion = "async"')
    with pytest.raises(SpaceError, match=r"promotion.*grid"):
        parse_space('method = "grid"\n' + text, "grid")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    space = make_space(max_epochs=27).with_settings(promotion="async")
    folder = new_search(tmp_path_factory.mktemp("run"), space)
    return folder.drive(KnownWorkers(8, choose=random.Random(5).choice))


def test_rungs_that_become_larger_make_the_plan_larger(run):
    """What progress counts event by event is what the whole run says, at every moment."""
    events = read_events(run.folder.events)
    view, progress = view_of(run.folder, run.folder.read(), [], locked=False), Progress()
    for event in events:
        view.apply(event)
        now = progress.take(event, view)
        assert (now.planned_trials, now.planned_epochs) == (view.planned_trials, view.planned_epochs)
        assert now.trials <= now.planned_trials
    assert now.planned_trials == now.trials > make_plan(make_space(max_epochs=27)).trials


def test_nobody_is_dropped_before_the_end(run):
    """Asynchronously, a trial may become one of the best later."""
    events = read_events(run.folder.events)
    unfinished: RunView = view_of(run.folder, run.folder.read(), events[:-1], locked=False)
    found = {outcome for _, outcome in outcomes(unfinished)}
    assert OPEN in found
    assert DROPPED not in found
    assert DROPPED in {outcome for _, outcome in outcomes(read_run(run.folder))}


def test_the_report_says_by_what_rule(run):
    view = copy.deepcopy(run)
    view.content["feasible"] = {"architectures": 25, "excluded": {}}
    asynchronous = repr(searched(view))
    view.content["space"]["hyperband"]["promotion"] = "sync"
    assert repr(searched(view)) != asynchronous
