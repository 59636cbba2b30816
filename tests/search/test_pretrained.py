"""Which files of weights a run asks for: those that a trial still to begin starts from, and no others."""

from __future__ import annotations

import pytest

from resnet_search.errors import UsageError
from resnet_search.networks.presets import preset
from resnet_search.runs.events import append_event
from resnet_search.runs.trials import read_run
from resnet_search.search import start
from resnet_search.search.pretrained import sources_of_known, sources_of_run, sources_of_space
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan
from resnet_search.training.job import STATE

from .conftest import KnownWorkers, make_space

TWO = """
method = "{method}"
[axes]
models = ["keras-resnet-50", "resnet-101-v2"]
[hyperband]
max_epochs = 2
[recipe]
name = "finetune"
init = {init}
[data]
source = "shapes"
"""


def space_of_two(init='"imagenet"', method="grid"):
    return parse_space(TWO.format(init=init, method=method), "two")


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (space_of_two(), ["keras-resnet-50", "resnet-101-v2"]),
        (space_of_two('["he_normal", "imagenet"]', "hyperband"), ["keras-resnet-50", "resnet-101-v2"]),
        (space_of_two('"he_normal"'), []),
        (make_space(), []),
    ],
)
def test_of_a_space(space, expected):
    assert [source.model for source in sources_of_space(space, make_plan(space))] == expected


def test_of_a_space_that_was_not_checked():
    space = make_space()
    space.recipe["init"] = "imagenet"
    with pytest.raises(UsageError, match="allowed with imagenet: keras-resnet-50"):
        sources_of_space(space, make_plan(space))


def needed(folder, space):
    return [source.model for source in sources_of_run(read_run(folder, locked=False), space)]


def test_of_a_run_only_while_a_trial_is_still_to_begin(make_search):
    space = space_of_two()
    search = make_search(space)
    both = ["keras-resnet-50", "resnet-101-v2"]
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(1, stop_after=0))
    assert needed(search.folder, space) == both, "the second is not created"
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(1, stop_after=3))
    view = read_run(search.folder, locked=False)
    assert [trial.status for trial in view.trials.values()] == ["completed", "running"]
    assert needed(search.folder, space) == both, "the second has no state"
    folder = search.folder.trial("0001")
    folder.mkdir(exist_ok=True)
    (folder / STATE).touch()
    assert needed(search.folder, space) == []
    append_event(search.folder.events, "failed", trial="0001", reason="the loss was nan")
    assert needed(search.folder, space) == [], "nothing takes the place of a failed one"
    assert [trial.name for trial in view.trials.values()] == both


def test_promotions_need_none(make_search):
    space = space_of_two(method="hyperband").with_settings(max_epochs=3)
    view = make_search(space).drive(KnownWorkers(1))
    drawn = {name: trial for name, trial in view.trials.items() if trial.rung == 0}
    assert 1 < len(drawn) < len(view.trials)
    view.trials = dict(drawn)
    assert sources_of_run(view, space) == ()
    view.trials.popitem()
    assert len(sources_of_run(view, space)) == 2


def test_a_run_that_goes_on_provides_them_first(make_search, monkeypatch):
    provided = []

    class NoMoreError(Exception):
        pass

    def provide(sources):
        provided.extend(source.model for source in sources)
        raise NoMoreError

    space = space_of_two()
    search = make_search(space)
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(1, stop_after=0))
    monkeypatch.setattr(start, "provide", provide)
    monkeypatch.setattr(start, "arrays_of", lambda *_: search.folder.path)
    with pytest.raises(NoMoreError):
        start.resume_run(search.folder)
    assert provided == ["keras-resnet-50", "resnet-101-v2"]


def test_known_candidates_need_theirs(make_search):
    """The value may vary from trial to trial, and what follows a search trains these alone."""
    known = [
        {"architecture": preset(name).architecture.to_dict(), "recipe": recipe, "repeat": 0}
        for name, recipe in [("keras-resnet-50", {"init": "imagenet"}), ("resnet-101-v2", {}), ("resnet-20", {})]
    ]
    content = {"recipe": {"init": "he_normal"}, "known": [{"candidates": known[:2]}, {"candidates": known[2:]}]}
    assert [source.model for source in sources_of_known(content)] == ["keras-resnet-50"]
    content["recipe"] = {"init": "imagenet"}
    with pytest.raises(UsageError, match="got 'imagenet' with basic20-w16"):
        sources_of_known(content)
    space = space_of_two()
    view = make_search(space).drive(KnownWorkers(1))
    view.trials.popitem()
    view.content |= {"of": {"run": "other"}, "recipe": {"init": "imagenet"}, "known": [{"candidates": known[:1]}]}
    assert [source.model for source in sources_of_run(view, space)] == ["keras-resnet-50"]


def test_a_baseline_needs_its_own():
    space = space_of_two()
    plan = make_plan(space)
    baselines = [preset("keras-resnet-101").architecture]
    assert [source.model for source in sources_of_space(space, plan, baselines)][-1] == "keras-resnet-101"
    varied = space_of_two('["he_normal", "imagenet"]', "hyperband")
    assert len(sources_of_space(varied, make_plan(varied), baselines)) == 2
    with pytest.raises(UsageError, match="got 'imagenet' with basic20-w16"):
        sources_of_space(space, plan, [preset("resnet-20").architecture])
