"""What of a space is inside its limits, what is excluded and why, and errors where nothing is."""

from __future__ import annotations

import pytest

from resnet_search.errors import SpaceError
from resnet_search.networks.complexity import complexity
from resnet_search.spaces import Range, load_space, parse_space
from resnet_search.spaces.feasible import CAP


def space(axes, rest=""):
    return parse_space(f"[axes]\n{axes}\n{rest}", "my.toml")


@pytest.mark.parametrize(
    ("name", "found", "total", "least"),
    [("quickstart", 30, 80, 17 + 1), ("cifar_small", 207, 540, 150), ("cifar_full", 265, 630, 143 + 1)],
)
def test_the_shipped_spaces_hold_more_than_their_searches_draw(name, found, total, least):
    feasible = load_space(name).feasible()
    assert (len(feasible.architectures), feasible.total) == (found, total)
    assert found >= least
    assert {a.block for a in feasible.architectures} == {"basic", "bottleneck", "resnext"}
    assert {a.cardinality for a in feasible.architectures if a.block == "resnext"} == set(
        load_space(name).axes.cardinality
    )


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
    assert feasible.excluded == {"depth 29 fits no basic (6n+2)": 2, "depth 14 fits no bottleneck (9n+2)": 2}
    assert feasible.total == 12


def test_the_formula_of_wide_networks_counts_as_their_paper_does():
    feasible = space('depth = [14, 16]\nwidth = 16\nblock = ["basic", "wide"]').feasible()
    assert feasible.excluded == {"depth 16 fits no basic (6n+2)": 1, "depth 14 fits no wide (6n+4)": 1}


def test_a_limit_itself_is_inside():
    # ResNet-20 of He et al. 2015 has 269,722 parameters and 40,551,040 multiply-adds.
    axes = 'depth = 20\nwidth = [16, 17]\nblock = "basic"\nshortcut = "identity"'
    for limit in ("max_params = 269_722", "max_macs = 40_551_040"):
        feasible = space(axes, f"[limits]\n{limit}").feasible()
        assert [a.width for a in feasible.architectures] == [16]
        assert sum(feasible.excluded.values()) == 1


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
    assert "no architecture is feasible: 2 excluded: " in mistake
    assert "2 excluded: cardinality does not divide" in mistake
    assert "2 excluded: more than 10 parameters" in mistake
    smallest = complexity(space('n = 1\nwidth = 9\nblock = "basic"').feasible().architectures[0])
    assert f"the smallest has {smallest.trainable:,} parameters, the cheapest {smallest.macs:,} multiply" in mistake
    assert "max_params" in caught.value.cure


def test_nothing_feasible_without_a_cost_to_name():
    with pytest.raises(SpaceError, match="feasible: 1 excluded: cardinality does not divide"):
        space('n = 1\nwidth = 9\nblock = "resnext"\ncardinality = 4').feasible()


def test_a_space_past_the_cap_says_the_cap_and_the_cure():
    large = f'n = {list(range(1, 101))}\nwidth = {list(range(1, 1_001))}\nblock = ["basic", "bottleneck", "highway"]'
    with pytest.raises(SpaceError) as caught:
        space(large).feasible()
    assert f"got 300,000 combinations; allowed: at most {CAP:,}" in str(caught.value)
    assert "fewer values" in caught.value.cure
