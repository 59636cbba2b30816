"""Points of a space: numbers and architectures are one to one; the permutation of the numbers is one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_search.errors import ArchitectureError
from resnet_search.networks.complexity import complexity
from resnet_search.networks.presets import PRESETS
from resnet_search.spaces.permutation import Permutation
from resnet_search.spaces.points import FREE, Points, architecture_of, values_of
from resnet_search.spaces.schema import KEYS, Axes

from .strategies import axes_of_spaces


def architectures(points):
    """Every point that is a network."""
    found = {}
    for point in range(points.total):
        try:
            found[point] = points.architecture(point)
        except ArchitectureError:
            continue
    return found


@settings(deadline=None, max_examples=60)
@given(axes_of_spaces())
def test_points_and_architectures_are_one_to_one(axes):
    points = Points(axes)
    found = architectures(points)
    assert len(set(found.values())) == len(found)
    for point, architecture in found.items():
        assert architecture_of(values_of(axes, architecture)) == architecture
        assert values_of(axes, architecture) == points.values(point)


@settings(deadline=None, max_examples=60)
@given(axes_of_spaces())
def test_classes_go_through_every_point_once_and_cost_the_same(axes):
    points = Points(axes)
    classes = list(points.classes())
    assert sorted(point for alike in classes for point in alike) == list(range(points.total))
    assert len(classes) == points.kinds
    found = architectures(points)
    for alike in classes:
        assert len({complexity(found[point]) if point in found else None for point in alike}) == 1


def test_the_numbers_of_blocks_lead_and_what_costs_nothing_follows():
    """So that `classes` may take neighbours together."""
    axes = list(KEYS["axes"])
    assert axes[-5:-1] == list(FREE)
    assert axes[-1] == "models"


def test_models_are_points():
    axes = Axes(models=("wrn-16-4", "plain-20"))
    points = Points(axes)
    assert points.total == points.kinds == 2
    assert [list(alike) for alike in points.classes()] == [[0], [1]]
    assert points.architecture(0) == PRESETS["wrn-16-4"].architecture
    assert values_of(axes, points.architecture(1)) == {"models": "plain-20"}


@given(st.integers(1, 400), st.text(max_size=5))
def test_a_permutation_has_each_number_once(size, key):
    permutation = Permutation(size, key)
    assert sorted(permutation[place] for place in range(size)) == list(range(size))


@given(st.integers(1, 10**40), st.text(max_size=5))
def test_a_permutation_of_any_size_stays_inside(size, key):
    permutation = Permutation(size, key)
    numbers = [permutation[place] for place in {0, size // 2, size - 1}]
    assert all(0 <= number < size for number in numbers)
    assert len(set(numbers)) == len(numbers)
    assert numbers == [Permutation(size, key)[place] for place in {0, size // 2, size - 1}]


@pytest.mark.parametrize("place", [-1, 100])
def test_a_permutation_has_no_place_beyond(place):
    with pytest.raises(IndexError):
        Permutation(100, "")[place]


def test_a_permutation_looks_random():
    """Each tenth of 10,000 places draws from each tenth of the numbers: a chi-square of 81 degrees of freedom."""
    permutation = Permutation(10_000, "key")
    counts = [[0] * 10 for _ in range(10)]
    for place in range(10_000):
        counts[place // 1_000][permutation[place] // 1_000] += 1
    assert 40 < sum((count - 100) ** 2 / 100 for row in counts for count in row) < 130
    assert [Permutation(10_000, "other")[place] for place in range(9)] != [permutation[place] for place in range(9)]
