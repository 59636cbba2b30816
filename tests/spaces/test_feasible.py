"""What of a space is inside its limits, what is excluded and why, and errors where nothing is."""

from __future__ import annotations

import random
import re
from contextlib import suppress
from unittest.mock import ANY

import pytest

from resnet_search.errors import ArchitectureError, SpaceError
from resnet_search.networks.complexity import complexity
from resnet_search.networks.presets import PRESETS
from resnet_search.spaces import Range, feasible, load_space, parse_space
from resnet_search.spaces.feasible import CAP, PACE, SAMPLE, TRIES, Feasible, Sampled, wilson
from resnet_search.spaces.permutation import Permutation
from resnet_search.spaces.points import Points


def space(axes, rest=""):
    return parse_space(f"[axes]\n{axes}\n{rest}", "my.toml")


@pytest.mark.parametrize(
    ("name", "found", "total", "draws"),
    [
        ("quickstart", 30, 80, 17),
        ("cifar_small", 207, 540, 49),
        ("cifar_full", 265, 630, 143),
        ("cifar_resnext", 870, 960, 49),
        ("cifar_wide", 240, 320, 49),
        ("cifar_preact", 660, 900, 49),
        ("folder", 148, 180, 49),
    ],
)
def test_the_shipped_spaces_hold_more_than_their_searches_draw(name, found, total, draws):
    space = load_space(name)
    here = space.feasible()
    assert (here.count, len(here.architectures), here.total) == (found, found, total)
    assert (here.exact, here.interval) == (True, (found, found))
    assert found > draws
    # No value of an axis is there in vain.
    assert {a.block for a in here.architectures} == set(space.axes.block)
    for axis in ("cardinality", "base_width", "attention", "stem", "dropout", "stochastic_depth"):
        assert set(getattr(space.axes, axis)) <= {getattr(a, axis) for a in here.architectures}


def test_the_degradation_experiment_is_that_of_its_paper():
    depths = (20, 32, 44, 56)
    papers = [PRESETS[f"{name}-{depth}"].architecture for name in ("resnet", "plain") for depth in depths]
    assert list(load_space("degradation").feasible().architectures) == papers


def test_models_are_the_presets_own_in_the_order_of_the_file():
    here = space('models = ["resnet-50", "plain-20", "keras-resnet-v2-29"]').feasible()
    assert [PRESETS[name].architecture for name in ("resnet-50", "plain-20", "keras-resnet-v2-29")] == list(
        here.architectures
    )
    assert here.costs == tuple(complexity(a) for a in here.architectures)
    assert here.excluded == {}
    limited = space('models = ["resnet-50", "plain-20"]', "[limits]\nmax_params = 300_000").feasible()
    assert [a.block for a in limited.architectures] == ["plain"]


def test_cifar_small_is_what_it_promises():
    cifar_small = load_space("cifar_small")
    feasible = cifar_small.feasible()
    assert {a.blocks for a in feasible.architectures} == {(n, n, n) for n in range(1, 7)}
    assert {a.width for a in feasible.architectures} <= set(range(8, 33))
    assert max(cost.trainable for cost in feasible.costs) <= 300_000
    assert feasible.excluded == {"more than 300,000 parameters": 309, "cardinality does not divide": 24}
    assert not cifar_small.recipe_varies
    assert (cifar_small.hyperband.max_epochs, cifar_small.hyperband.factor) == (27, 3)


def test_the_large_space_varies_its_learning_rate():
    assert load_space("cifar_full").recipe == {"name": "search", "learning_rate": Range(0.05, 0.2, log=True)}


def test_costs_stand_beside_their_architectures():
    feasible = load_space("quickstart").feasible()
    assert feasible.costs == tuple(complexity(a) for a in feasible.architectures)
    assert len({a.name for a in feasible.architectures}) == len(feasible.architectures)


def test_the_order_does_not_depend_on_how_the_file_lists_values():
    one = space('n = [1, 2]\nwidth = [8, 16]\nblock = ["basic", "resnext"]\ncardinality = [2, 4]').feasible()
    other = space('cardinality = [4, 2]\nblock = ["resnext", "basic"]\nwidth = [16, 8]\nn = [2, 1]').feasible()
    assert one == other
    assert [a.name for a in one.architectures][:4] == ["basic8-w8", "basic8-w16", "basic14-w8", "basic14-w16"]


def test_axes_that_mean_nothing_for_a_block_make_no_more_of_it():
    feasible = space(
        'n = 1\nwidth = 8\nblock = ["plain", "basic", "resnext"]\ncardinality = [2, 4]\nbase_width = [4, 8]\n'
        'shortcut = ["identity", "projection"]'
    ).feasible()
    blocks = [a.block for a in feasible.architectures]
    assert {block: blocks.count(block) for block in set(blocks)} == {"plain": 1, "basic": 2, "resnext": 8}
    assert feasible.total == 11


def test_a_depth_is_left_out_for_the_blocks_it_does_not_fit():
    feasible = space('depth = [14, 20, 29]\nwidth = [8, 16]\nblock = ["basic", "bottleneck"]').feasible()
    assert sorted({(a.block, a.depth) for a in feasible.architectures}) == [
        ("basic", 14),
        ("basic", 20),
        ("bottleneck", 20),
        ("bottleneck", 29),
    ]
    assert feasible.excluded == {"depth fits no n": 4}
    assert feasible.explained == {"depth fits no n": ANY}
    assert feasible.total == 12


def test_the_formula_of_wide_networks_counts_as_their_paper_does():
    here = space('depth = [14, 16]\nwidth = 16\nblock = ["basic", "wide"]').feasible()
    assert [(a.block, a.depth) for a in here.architectures] == [("basic", 14), ("wide", 16)]
    assert here.excluded == {"depth fits no n": 2}


def test_every_rule_that_a_combination_breaks_is_counted_by_name_and_explained():
    here = space(
        'blocks = [[1, 1], [1, 1, 1]]\nwidth = [3, 8]\nblock = ["basic", "resnext"]\ncardinality = [1, 4]\n'
        'shortcut = "identity"\nmultiples = [[1, 1.5], [1, 2, 4], [2, 1, 1]]'
    ).feasible()
    assert here.excluded == {
        "one multiple for each stage": 18,
        "multiples give whole channels": 3,
        "identity shortcut cannot narrow": 6,
        "cardinality does not divide": 1,
    }
    assert here.explained.keys() == here.excluded.keys()
    assert here.explained["one multiple for each stage"].startswith("multiples is (1, 1.5)")
    assert sum(here.excluded.values()) + here.count == here.total == 36


def test_axes_without_a_meaning_are_not_multiplied():
    here = space(
        'n = 1\nwidth = 8\nblock = ["plain", "basic", "preact_basic", "wide", "highway"]\nattention = ["none", "se"]\n'
        "attention_ratio = [4, 8, 16]\ndropout = [0, 0.3]\nstochastic_depth = [0, 0.1]\nzero_gamma = [false, true]"
    ).feasible()
    blocks = [a.block for a in here.architectures]
    # One without attention and three ratios with; then what each block has of the other three.
    expected = {"plain": 1, "basic": 4 * 2 * 2, "preact_basic": 4 * 2, "wide": 4 * 2 * 2, "highway": 4}
    assert {block: blocks.count(block) for block in blocks} == expected
    assert here.total == len(set(here.architectures)) == sum(expected.values())


def test_a_limit_itself_is_inside():
    # ResNet-20 of He et al. 2015 has 269,722 parameters and 40,551,040 multiply-adds.
    axes = 'depth = 20\nwidth = [16, 17]\nblock = "basic"\nshortcut = "identity"'
    for limit in ("max_params = 269_722", "max_macs = 40_551_040", 'params = "256_878.1 +- 5 %"'.replace("_", "")):
        feasible = space(axes, f"[limits]\n{limit}").feasible()
        assert [a.width for a in feasible.architectures] == [16]
        assert sum(feasible.excluded.values()) == 1
    above = space(axes, "[limits]\nmin_params = 269_723").feasible()
    assert [a.width for a in above.architectures] == [17]
    assert above.excluded == {"fewer than 269,723 parameters": 1}


def test_costs_depend_on_the_images_and_classes():
    basic = space('n = 1\nwidth = [8, 16]\nblock = "basic"\n[limits]\nmax_macs = 5_000_000')
    assert [a.width for a in basic.feasible().architectures] == [8]
    assert [a.width for a in basic.feasible((16, 16, 3)).architectures] == [8, 16]
    assert basic.feasible((32, 32, 3), classes=100).costs[0].trainable == basic.feasible().costs[0].trainable + 90 * 33
    assert basic.feasible((32, 32, 3)) is basic.feasible()
    assert basic.with_settings(image_size=16).feasible().costs == basic.feasible((16, 16, 3)).costs


def test_nothing_feasible_says_why_and_what_the_smallest_costs():
    with pytest.raises(SpaceError) as caught:
        space(
            'n = [1, 2]\nwidth = 9\nblock = ["basic", "resnext"]\ncardinality = 4',
            "[limits]\nmax_params = 10\nmax_macs = 10",
        ).feasible()
    (mistake,) = caught.value.mistakes
    assert "2 excluded: cardinality does not divide" in mistake
    assert " 10 parameters" in mistake
    smallest = complexity(space('n = 1\nwidth = 9\nblock = "basic"').feasible().architectures[0])
    for fact in (f"{smallest.trainable:,} parameters", f" {smallest.macs:,} "):
        assert fact in mistake
    assert "[limits]" in caught.value.cure


def test_the_reason_that_excludes_most_comes_first():
    with pytest.raises(SpaceError) as caught:
        space(
            'n = [1, 2]\nwidth = 9\nblock = ["basic", "resnext"]\ncardinality = [4, 5]',
            "[limits]\nmax_params = 10",
        ).feasible()
    (mistake,) = caught.value.mistakes
    assert re.findall(r"(\d+) excluded", mistake) == ["4", "2"]


def test_the_smallest_and_the_cheapest_may_be_different_networks():
    axes = 'n = 1\nwidth = 8\nblock = "basic"\nmultiples = [[1, 2, 4], [2, 2, 2]]'
    deep_wide, early_wide = (complexity(a) for a in space(axes).feasible().architectures)
    assert deep_wide.trainable > early_wide.trainable
    assert deep_wide.macs < early_wide.macs
    with pytest.raises(SpaceError) as caught:
        space(axes, "[limits]\nmax_params = 10").feasible()
    assert f"{early_wide.trainable:,} parameters, the cheapest {deep_wide.macs:,} multiply" in caught.value.mistakes[0]


def test_nothing_of_one_size_says_which_are_nearest():
    axes = 'n = 3\nwidth = [8, 16, 20]\nblock = "basic"'
    sizes = [complexity(a).trainable for a in sorted(space(axes).feasible().architectures, key=lambda a: a.width)]
    with pytest.raises(SpaceError) as caught:
        space(axes, '[limits]\nparams = "350k +- 5 %"').feasible()
    assert f"{sizes[1]:,}" in str(caught.value)
    assert f"{sizes[2]:,}" in str(caught.value)
    with pytest.raises(SpaceError) as caught:
        space(axes, "[limits]\nmin_params = 10_000_000").feasible()
    assert f"{sizes[2]:,}" in str(caught.value)
    assert f"{sizes[0]:,}" not in str(caught.value)


def test_nothing_feasible_without_a_cost_to_name():
    with pytest.raises(SpaceError, match="1 excluded: cardinality does not divide"):
        space('n = 1\nwidth = 9\nblock = "resnext"\ncardinality = 4').feasible()


LARGE = """
n = [1, 2, 3, 4, 5, 6]
width = [8, 10, 12, 14, 16, 20]
block = ["basic", "resnext", "wide"]
cardinality = [2, 4, 8]
shortcut = ["identity", "projection"]
dropout = [0, 0.1, 0.2]
zero_gamma = [false, true]
"""
LIMITS = "[limits]\nmax_params = 100_000"


def test_a_large_space_is_estimated_and_can_be_counted(low_cap, monkeypatch):
    large = space(LARGE, LIMITS)
    sampled = large.feasible()
    counted = sampled.counted()
    with monkeypatch.context() as patch:
        patch.setattr(feasible, "CAP", 10_000)
        feasible.find_feasible.cache_clear()
        listed = large.feasible()
    assert not sampled.exact
    assert counted.exact
    assert (counted.count, counted.interval, counted.total) == (listed.count, listed.interval, listed.total)
    assert (counted.excluded, counted.explained) == (listed.excluded, listed.explained)
    assert listed.counted() is listed
    assert sum(listed.excluded.values()) + listed.count == listed.total
    assert sampled.interval[0] <= listed.count <= sampled.interval[1]
    assert sampled.interval[0] < sampled.count < sampled.interval[1]
    assert sampled.total == listed.total
    assert sum(sampled.excluded.values()) + sampled.count == pytest.approx(sampled.total, abs=3)
    # What is known of it is a part of it, in the same order.
    place = {architecture: number for number, architecture in enumerate(listed.architectures)}
    places = [place[architecture] for architecture in sampled.architectures]
    assert places == sorted(set(places))
    assert len(places) == pytest.approx(200 * listed.count / listed.total, rel=0.3)
    assert all(complexity(a) == cost for a, cost in zip(sampled.architectures, sampled.costs, strict=True))


def test_the_sample_of_a_space_is_the_same_in_every_version(low_cap):
    """So that a run that goes on plans what it began with."""
    here = space(LARGE, LIMITS).feasible()
    assert (here.count, here.interval) == (135, (98, 181))


def test_the_interval_covers_the_count_as_often_as_it_says():
    """In 95 of 100 samples; over 400 samples 93 to 97 are within two standard errors."""
    points = Points(space(LARGE).axes)
    architectures = set(space(LARGE, LIMITS).feasible().architectures)
    inside = {point for point in range(points.total) if network(points, point) in architectures}
    hits = 0
    for seed in range(400):
        order = Permutation(points.total, str(seed))
        low, high = wilson(sum(order[place] in inside for place in range(60)), 60)
        hits += low * points.total <= len(inside) <= high * points.total
    assert 0.93 <= hits / 400 <= 0.99


def network(points, point):
    with suppress(ArchitectureError):
        return points.architecture(point)


@pytest.mark.parametrize(("hits", "low", "high"), [(0, 0.0, 0.0370), (50, 0.4038, 0.5962), (100, 0.9630, 1.0)])
def test_the_score_interval_at_known_points(hits, low, high):
    assert wilson(hits, 100) == pytest.approx((low, high), abs=1e-4)


def test_a_share_is_never_below_none_nor_above_all():
    """Of 10^16 points the last digit of a share is several."""
    for size in range(1, 300):
        assert wilson(0, size)[0] == 0 < wilson(0, size)[1]
        assert wilson(size, size)[0] < wilson(size, size)[1] <= 1


def test_an_order_of_a_large_space_is_of_feasible_architectures_each_once(low_cap):
    large = space(LARGE, LIMITS).feasible()
    order = large.order("a key", 50)
    assert len(order) == len(set(order)) == 50
    assert all(complexity(a).trainable <= 100_000 for a in order)
    assert order == space(LARGE, LIMITS).feasible().order("a key", 50)
    assert order[:20] == large.order("a key", 20)
    assert order != large.order("another", 50)
    assert set(order) - set(large.architectures), "the sample that counts is not what is drawn from"
    everything = large.order("a key", 10**9)
    assert len(everything) == len(set(everything)) == large.counted().count


def test_an_order_falls_back_on_the_sample_where_nothing_is_found_any_more(low_cap, monkeypatch):
    monkeypatch.setattr(feasible, "TRIES", 3)
    large = space(LARGE, LIMITS).feasible()
    order = large.order("a key", 10**9)
    assert len(order) == len(set(order)) < large.counted().count
    assert set(large.architectures) < set(order)
    monkeypatch.setattr(feasible, "TRIES", 0)
    assert set(large.order("a key", 5)) <= {*large.architectures, order[0]}


def test_an_order_of_a_listed_space_is_the_one_that_earlier_versions_drew():
    here = load_space("quickstart").feasible()
    order = list(here.architectures)
    random.Random("architectures;7;0").shuffle(order)
    assert here.order("architectures;7;0", least=3) == order


class Looks:
    """A survey that finds a network at the looks named, whatever the point, and notes the points."""

    def __init__(self, *hits):
        self.hits, self.points = hits, []

    def again(self):
        self.anew = Looks(*self.hits)
        return self.anew

    def look(self, point):
        self.points.append(point)
        return (f"network {len(self.points)}", None) if len(self.points) in self.hits else None


@pytest.mark.parametrize(
    ("hits", "least", "networks", "looks"),
    [
        ((), 3, [], 4),
        ((4, 8), 3, [4, 8], 12),
        ((1, 2, 6, 7), 4, [1, 2, 6, 7], 7),
        ((1, 2, 6, 7), 3, [1, 2, 6], 6),
        ((1, 6), 3, [1], 5),
        (tuple(range(1, 21)), 50, range(1, 21), 20),
    ],
)
def test_an_order_ends_with_enough_or_after_so_many_points_in_a_row_without_any(
    monkeypatch, hits, least, networks, looks
):
    monkeypatch.setattr(feasible, "TRIES", 4)
    survey = Looks(*hits)
    large = Sampled(("a", "b", "c"), (), {}, {}, 20, 3, (1, 5), exact=False, survey=survey)
    assert large.order("a key", least) == [*(f"network {look}" for look in networks), *"abc"][:least]
    permutation = Permutation(20, "a key")
    assert survey.anew.points == [permutation[place] for place in range(looks)]
    assert not survey.points, "what it has counted stays as it is"


BLOCKS = 'n = [1, 2, 3]\nwidth = [8, 9]\nblock = ["basic", "resnext"]\ncardinality = 4'


def test_as_many_points_as_may_be_listed_are_listed_and_one_more_is_sampled(low_cap, monkeypatch):
    monkeypatch.setattr(feasible, "CAP", 12)
    listed = space(BLOCKS).feasible()
    assert (listed.exact, listed.count, listed.total, type(listed)) == (True, 9, 12, Feasible)
    with pytest.raises(SpaceError, match="no architecture is feasible"):
        space(BLOCKS, "[limits]\nmax_params = 1").feasible()
    monkeypatch.setattr(feasible, "CAP", 11)
    monkeypatch.setattr(feasible, "SAMPLE", 12)
    feasible.find_feasible.cache_clear()
    sampled = space(BLOCKS).feasible()
    assert (sampled.exact, sampled.count, sampled.total, type(sampled)) == (False, 9, 12, Sampled)
    assert (sampled.architectures, sampled.costs) == (listed.architectures, listed.costs)
    assert (sampled.excluded, sampled.explained) == (listed.excluded, listed.explained)
    assert (sampled.counted().count, sampled.counted().excluded) == (9, {"cardinality does not divide": 3})
    feasible.find_feasible.cache_clear()
    assert space(BLOCKS).feasible() == sampled


def test_what_a_run_notes_of_a_space(low_cap):
    assert space(BLOCKS).feasible().to_dict() == {
        "architectures": 9, "interval": [9, 9], "exact": True, "total": 12,
        "excluded": {"cardinality does not divide": 3},
    }  # fmt: skip
    large = space(LARGE, LIMITS).feasible()
    assert large.to_dict() == {
        "architectures": large.count, "interval": list(large.interval), "exact": False, "total": 792,
        "excluded": large.excluded,
    }  # fmt: skip


def test_counting_takes_no_time_where_everything_is_listed_and_else_a_second_for_so_many_points(low_cap):
    assert space(BLOCKS).feasible().counting_seconds == 0
    # Of 6 sizes and 6 widths: basic with 2 shortcuts, resnext with these and 3 cardinalities, wide with these.
    assert space(LARGE, LIMITS).feasible().counting_seconds == 36 * (2 + 2 * 3 + 2) / PACE


def test_the_limits_are_those_of_the_documentation():
    """docs/spaces.md: what is listed, the sample, where a search for more ends, and points a second."""
    assert (CAP, SAMPLE, TRIES, PACE) == (200_000, 20_000, 200_000, 25_000)


def test_a_large_space_without_a_feasible_architecture_says_what_was_looked_at(low_cap):
    with pytest.raises(SpaceError) as caught:
        space(LARGE, "[limits]\nmax_params = 1_000").feasible()
    (mistake,) = caught.value.mistakes
    for fact in (" 200 architectures ", " 792 "):
        assert fact in mistake
    assert " 1,000 parameters" in mistake


def vast(sizes):
    axes = {
        "width": range(1, 1025), "n": range(1, sizes + 1), "cardinality": range(1, 1025), "base_width": range(1, 1025),
        "attention_ratio": range(1, 257), "stochastic_depth": [x / 1000 for x in range(900)],
    }  # fmt: skip
    text = "\n".join(f"{name} = {list(values)}" for name, values in axes.items())
    return space(text + '\nblock = "resnext"\nattention = "se"', "[limits]\nmax_macs = 100_000_000_000").feasible()


def test_a_space_that_no_computer_could_list_is_planned(low_cap):
    here = vast(10)
    assert here.total == 1024 * 10 * 1024 * 1024 * 256 * 900
    assert not here.exact
    assert here.interval[0] < here.count < here.interval[1]
    assert len(set(here.order("x", 5))) == 5
    # n, width, cardinality, base width and the ratio of attention cost something.
    assert here.counting_seconds == 1024 * 10 * 1024 * 1024 * 256 / PACE


@pytest.mark.slow
def test_the_sample_of_such_a_space_is_large_enough_for_a_hundredth():
    here = vast(100)
    low, high = here.interval
    assert 0 < (high - low) / here.total < 0.014
