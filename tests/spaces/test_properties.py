"""What holds for every space: it survives JSON, its feasible part is a filter, and a planted mistake is found."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from itertools import product

import pytest
from hypothesis import HealthCheck, assume
from hypothesis import strategies as st

from resnet_search.errors import ArchitectureError, SpaceError
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.spaces import SearchSpace
from resnet_search.spaces.points import Points
from resnet_search.spaces.schema import KEYS, has_axis
from resnet_search.training.recipe import recipe_fields
from tests.properties import holds_for

from .strategies import built, documents


@holds_for(100, document=documents())
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
        block, attention = given_axes["block"], given_axes.get("attention", "none")
        given_axes = {name: value for name, value in given_axes.items() if has_axis(name, block, attention)}
        try:
            architecture = Architecture.from_axes(**given_axes)
        except ArchitectureError:
            continue
        cost = complexity(architecture)
        least, most = limits.min_params or 0, limits.max_params or cost.trainable
        if least <= cost.trainable <= most and cost.macs <= (limits.max_macs or cost.macs):
            found[architecture] = cost
    return found


@holds_for(100, document=documents())
def test_feasible_is_the_brute_force_filter(document):
    space = built(document)
    expected = brute_force(space.axes, space.limits)
    if not expected:
        with pytest.raises(SpaceError, match="no architecture is feasible"):
            space.feasible()
        return
    found = space.feasible()
    assert dict(zip(found.architectures, found.costs, strict=True)) == expected
    assert len(found.architectures) == len(expected)
    assert built(document).feasible() == found


@pytest.fixture
def tiny_cap(set_cap):
    """More than 30 points are too many to list, and 30 are a sample."""
    set_cap(30, sample=30)


@pytest.mark.usefixtures("tiny_cap")
@holds_for(100, without=[HealthCheck.filter_too_much], document=documents())
def test_an_estimate_holds_against_the_count(document):
    space = built(document)
    expected = brute_force(space.axes, space.limits)
    try:
        sampled = space.feasible()
    except SpaceError:
        # None among 30 at random.
        assert len(expected) < Points(space.axes).total / 2
        return
    assume(sampled.total > 30)
    assert not sampled.exact
    assert set(sampled.architectures) <= set(expected)
    low, high = sampled.interval
    # The interval misses one in twenty; four times as wide it misses none.
    assert low - 1.5 * (high - low) <= len(expected) <= high + 1.5 * (high - low)
    counted = sampled.counted()
    assert (counted.count, counted.exact) == (len(expected), True)
    assert sum(counted.excluded.values()) + counted.count == counted.total == sampled.total
    order = sampled.order("any", 40)
    assert len(order) == len(set(order)) == min(40, len(expected))
    assert set(order) <= set(expected)


BAD = [[], [[]], -1, 0.5, float("nan"), "zzzz", {"x": 1}, 10**400, "\x00", None]


@holds_for(
    100,
    document=documents(),
    places=st.lists(st.tuples(st.sampled_from(sorted(KEYS)), st.integers(0, 9)), min_size=1),
    data=st.data(),
)
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


@holds_for(
    100,
    document=documents(),
    name=st.sampled_from(sorted(recipe_fields())),
    bad=st.sampled_from([-1, "zzzz", 10**400, {"min": 2}, []]),
)
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


@holds_for(
    100,
    document=documents(),
    table=st.sampled_from(["axes", "limits", "hyperband", "data", "recipe", "description", "odd"]),
    data=st.data(),
)
def test_whatever_stands_in_a_file_is_a_space_or_a_list_of_mistakes(document, table, data):
    content = data.draw(json_values)
    if isinstance(document.get(table), dict) and data.draw(st.booleans()):
        document[table][data.draw(st.sampled_from([*document[table], "odd"]))] = content
    else:
        document[table] = content
    with suppress(SpaceError):
        built(document)
