"""What holds for every space: it survives JSON, its feasible part is a filter, and a planted mistake is found."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from resnet_search.errors import ArchitectureError, SpaceError
from resnet_search.networks.architecture import Architecture, nearest_depths
from resnet_search.networks.complexity import complexity
from resnet_search.spaces import SearchSpace
from resnet_search.spaces.schema import BLOCKS_WITH, KEYS
from resnet_search.training.recipe import RECIPES, recipe_fields


def lists(values, size=3):
    return st.lists(values, min_size=1, max_size=size, unique=True)


@st.composite
def recipes(draw):
    recipe = {"name": draw(st.sampled_from(sorted(RECIPES)))}
    for name, field in recipe_fields().items():
        if field.kind in ("int", "float") and draw(st.integers(0, 3)) == 0:
            top = min(field.maximum, 1000)
            numbers = (
                st.integers(int(field.minimum), int(top)) if field.kind == "int" else st.floats(field.minimum, top)
            )
            low, high = sorted([draw(numbers), draw(numbers)])
            if low < high and draw(st.booleans()):
                recipe[name] = {"min": low, "max": high, "log": low > 0 and draw(st.booleans())}
            else:
                recipe[name] = draw(st.one_of(numbers, lists(numbers)))
    return recipe


@st.composite
def documents(draw):
    """A valid space file, as tomllib would give it."""
    blocks = draw(lists(st.sampled_from(KEYS["axes"]["block"].choices)))
    axes = {"block": blocks, "width": draw(lists(st.integers(1, 40)))}
    if draw(st.booleans()):
        axes["n"] = draw(lists(st.integers(1, 8)))
    else:
        depths = st.integers(8, 60).filter(lambda depth: depth in nearest_depths(blocks, depth))
        axes["depth"] = draw(lists(depths))
    grouped = set(blocks) & set(BLOCKS_WITH["cardinality"])
    if grouped:
        axes["cardinality"] = draw(lists(st.integers(1, 16)))
        if draw(st.booleans()):
            axes["base_width"] = draw(lists(st.integers(1, 16)))
    if set(blocks) & set(BLOCKS_WITH["shortcut"]) and draw(st.booleans()):
        axes["shortcut"] = draw(lists(st.sampled_from(KEYS["axes"]["shortcut"].choices)))
    return {
        "description": draw(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)),
        "axes": axes,
        "limits": draw(
            st.fixed_dictionaries(
                {},
                optional={"max_params": st.integers(1, 2_000_000), "max_macs": st.integers(1, 10**9)},
            )
        ),
        "hyperband": {"max_epochs": draw(st.integers(1, 200)), "factor": draw(st.integers(2, 5))},
        "data": {
            "source": draw(st.sampled_from(["cifar10", "shapes", "tfds:mnist", "./photos", "x.npz"])),
            "validation": draw(st.one_of(st.integers(1, 50_000), st.floats(0.01, 0.99))),
        },
        "recipe": draw(recipes()),
    }


def built(document):
    return SearchSpace.from_document(document, name="x", text="", where="x.toml")


@settings(deadline=None)
@given(documents())
def test_every_space_survives_json(document):
    space = built(document)
    again = SearchSpace.from_dict(json.loads(json.dumps(space.to_dict())))
    assert again == space
    assert again.to_dict() == space.to_dict()
    assert again.draw_recipe(random.Random(3)) == space.draw_recipe(random.Random(3))


def brute_force(axes, limits):
    """Every product of every axis, put together and looked at one by one."""
    names = [name for name in KEYS["axes"] if getattr(axes, name)]
    found = {}
    for values in product(*(getattr(axes, name) for name in names)):
        given_axes = dict(zip(names, values, strict=True))
        for name, blocks in BLOCKS_WITH.items():
            if given_axes["block"] not in blocks:
                given_axes.pop(name, None)
        try:
            architecture = Architecture.from_axes(**given_axes)
        except ArchitectureError:
            continue
        cost = complexity(architecture)
        if (limits.max_params or cost.trainable) >= cost.trainable and (limits.max_macs or cost.macs) >= cost.macs:
            found[architecture] = cost
    return found


@settings(deadline=None)
@given(documents())
def test_feasible_is_the_brute_force_filter(document):
    space = built(document)
    expected = brute_force(space.axes, space.limits)
    if not expected:
        with pytest.raises(SpaceError, match="no architecture is feasible"):
            space.feasible()
        return
    feasible = space.feasible()
    assert dict(zip(feasible.architectures, feasible.costs, strict=True)) == expected
    assert len(feasible.architectures) == len(expected)
    assert built(document).feasible() == feasible


BAD = [[], [[]], -1, 0.5, float("nan"), "zzzz", {"x": 1}, 10**400, "\x00", None]


@settings(deadline=None)
@given(documents(), st.lists(st.tuples(st.sampled_from(sorted(KEYS)), st.integers(0, 9)), min_size=1), st.data())
def test_every_planted_mistake_is_reported_by_its_key(document, places, data):
    planted = set()
    for table, number in places:
        name = sorted(KEYS[table])[number % len(KEYS[table])]
        bad = data.draw(st.sampled_from(BAD))
        assume(not KEYS[table][name].accepts(bad))
        document[table][name] = bad
        planted.add(f"[{table}] {name}")
    with pytest.raises(SpaceError) as caught:
        built(document)
    assert planted <= {mistake.split(":")[0] for mistake in caught.value.mistakes}
    assert str(caught.value).replace("\n", "").isprintable()


@settings(deadline=None)
@given(documents(), st.sampled_from(sorted(recipe_fields())), st.sampled_from([-1, "zzzz", 10**400, {"min": 2}, []]))
def test_every_mistake_planted_in_a_recipe_is_reported_by_its_key(document, name, bad):
    assume(not (name == "milestones" and bad == []))
    document["recipe"][name] = bad
    with pytest.raises(SpaceError) as caught:
        built(document)
    assert all(mistake.startswith(f"[recipe] {name}") for mistake in caught.value.mistakes)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)


@settings(deadline=None)
@given(documents(), st.sampled_from(["axes", "limits", "hyperband", "data", "recipe", "description", "odd"]), st.data())
def test_whatever_stands_in_a_file_is_a_space_or_a_list_of_mistakes(document, table, data):
    content = data.draw(json_values)
    if isinstance(document.get(table), dict) and data.draw(st.booleans()):
        document[table][data.draw(st.sampled_from([*document[table], "odd"]))] = content
    else:
        document[table] = content
    with suppress(SpaceError):
        built(document)
