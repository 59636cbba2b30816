"""A space as a value: equality, JSON, settings, and draws of its recipe."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from resnet_search.errors import SpaceError
from resnet_search.spaces import Range, SearchSpace, load_space, parse_space
from resnet_search.training.recipe import recipe_from

AXES = '[axes]\nn = [1, 2]\nwidth = 8\nblock = "basic"\n'


def test_defaults():
    space = parse_space(AXES, "folder/my.toml")
    assert space.name == "my"
    assert space.description == ""
    assert space.axes.depth == space.axes.cardinality == space.axes.shortcut == ()
    assert {a.shortcut for a in space.feasible().architectures} == {"projection"}
    assert space.limits.max_params is space.limits.max_macs is None
    assert space.recipe == {"name": "search"}
    assert (space.data.source, space.data.validation, space.data.image_size) == ("cifar10", 0.1, 32)


def test_a_space_survives_json(shipped):
    for space in shipped:
        again = SearchSpace.from_dict(json.loads(json.dumps(space.to_dict())))
        assert again == space
        assert again.text == space.text
        assert again.feasible() == space.feasible()


def test_a_recipe_of_every_form_survives_json():
    recipe = (
        '[recipe]\nname = "he"\nschedule = "linear"\nmilestones = []\nbatch_size = [64, 128]\nflip = [true]\n'
        "learning_rate = { min = 1, max = 2, log = true }\nweight_decay = 0\n"
    )
    space = parse_space(AXES + recipe, "x.toml")
    assert space.recipe == {
        "name": "he",
        "schedule": "linear",
        "milestones": (),
        "batch_size": (64, 128),
        "flip": True,
        "learning_rate": Range(1.0, 2.0, log=True),
        "weight_decay": 0.0,
    }
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    milestones = parse_space(AXES + '[recipe]\nname = "he"\nmilestones = [[0.5, 0.1]]', "x.toml")
    assert milestones.recipe["milestones"] == ((0.5, 0.1),)
    assert not milestones.recipe_varies
    assert SearchSpace.from_dict(json.loads(json.dumps(milestones.to_dict()))) == milestones


@pytest.mark.parametrize("values", [{}, [], None, {"name": "x"}, {"name": 1, "text": ""}])
def test_what_to_dict_never_wrote_is_refused(values):
    with pytest.raises(SpaceError, match=r"run\.json"):
        SearchSpace.from_dict(values)


def test_a_damaged_dictionary_is_checked_like_a_file():
    values = parse_space(AXES, "x.toml").to_dict()
    values["axes"]["width"] = ["8"]
    values["hyperband"]["factor"] = 0
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_dict(values, where="runs/x/run.json")
    assert len(caught.value.mistakes) == 2
    assert str(caught.value).startswith("runs/x/run.json: 2 mistakes")


def test_settings_replace_what_they_name_and_nothing_else():
    space = load_space("cifar_small")
    changed = space.with_settings(
        max_epochs=9, factor=4, iterations=2, max_params=200_000, max_macs=10**8, source="shapes", validation=0.2,
        image_size=16,
    )  # fmt: skip
    assert (changed.hyperband.max_epochs, changed.hyperband.factor, changed.hyperband.iterations) == (9, 4, 2)
    assert (changed.limits.max_params, changed.limits.max_macs) == (200_000, 10**8)
    assert (changed.data.source, changed.data.validation, changed.data.image_size) == ("shapes", 0.2, 16)
    assert (changed.name, changed.text, changed.axes, changed.recipe) == (
        space.name,
        space.text,
        space.axes,
        space.recipe,
    )
    assert space.with_settings() == space
    assert space.hyperband.max_epochs == 27


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("70k +- 5 %", 66_500, 73_500), ("0.3M±10%", 270_000, 330_000), ("100 +/- 0 %", 100, 100), ("3 +- 20 %", 3, 3)],
)
def test_one_size_is_two_limits(text, low, high):
    space = load_space("cifar_small").with_settings(params=text)
    assert (space.limits.min_params, space.limits.max_params, space.limits.params) == (low, high, None)
    assert SearchSpace.from_dict(space.to_dict()) == space
    assert space.with_settings(params="80k +- 1 %").limits.max_params == 80_800


def test_wrong_settings_are_all_reported():
    with pytest.raises(SpaceError) as caught:
        load_space("quickstart").with_settings(max_epochs=0, factor=1, source="shape", validation=1.5)
    assert [mistake.split(":")[0] for mistake in caught.value.mistakes] == [
        "[hyperband] max_epochs",
        "[hyperband] factor",
        "[data] source",
        "[data] validation",
    ]
    assert str(caught.value).startswith("the settings given for quickstart: 4 ")


@pytest.mark.parametrize("source", ["cifar10", "shapes", "tfds:mnist", "./photos", "/data/x", "a.npz", "~/x", "..\\x"])
def test_sources(source):
    assert load_space("quickstart").with_settings(source=source).data.source == source


def test_a_draw_has_a_value_for_what_varies_and_depends_on_the_generator_alone():
    recipe = "[recipe]\nlearning_rate = { min = 0.05, max = 0.4, log = true }\nbatch_size = [64, 128]\nmomentum = 0.8\n"
    space = parse_space(AXES + recipe, "x.toml")
    assert space.recipe_varies
    assert space.fixed_recipe == {"name": "search", "momentum": 0.8}
    drawn = space.draw_recipe(random.Random(1))
    assert drawn.keys() == {"learning_rate", "batch_size"}
    assert drawn == space.draw_recipe(random.Random(1))
    assert drawn != space.draw_recipe(random.Random(2))
    assert SearchSpace.from_dict(space.to_dict()).draw_recipe(random.Random(1)) == drawn
    assert recipe_from({**space.fixed_recipe, **drawn}).batch_size in (64, 128)


def test_a_fixed_recipe_draws_nothing():
    space = parse_space(AXES, "x.toml")
    assert not space.recipe_varies
    assert space.draw_recipe(random.Random(0)) == {}


def test_spaces_load_without_the_heavy_packages():
    code = (
        "import sys; from resnet_search.spaces import load_space; load_space('quickstart').feasible();"
        "print([name for name in ('numpy', 'keras', 'tensorflow', 'pydantic', 'PIL') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
