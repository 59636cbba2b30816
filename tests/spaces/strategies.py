"""Search spaces that are valid, of every form, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from resnet_search.networks.architecture import nearest_depths
from resnet_search.spaces import SearchSpace
from resnet_search.spaces.schema import BLOCKS_WITH, KEYS
from resnet_search.training.recipe import RECIPES, recipe_fields


def lists(values, size=3):
    """A few different values."""
    return st.lists(values, min_size=1, max_size=size, unique=True)


@st.composite
def recipes(draw):
    """[recipe]: a name, and some numbers that are fixed, listed or ranged."""
    recipe = {"name": draw(st.sampled_from(sorted(RECIPES)))}
    for name, field in recipe_fields().items():
        # Stages that are frozen ask for pretrained weights, which networks put together from axes have not.
        if field.kind in ("int", "float") and name != "frozen_stages" and draw(st.integers(0, 3)) == 0:
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
def axes_tables(draw):
    """[axes], as tomllib would give it: up to some thousand points, with up to four axes beside those that must be."""
    blocks = draw(lists(st.sampled_from(KEYS["axes"]["block"].choices)))
    axes = {"block": blocks, "width": draw(lists(st.integers(1, 40)))}
    size = draw(st.sampled_from(["n", "depth", "blocks"]))
    stages = 3
    if size == "n":
        axes["n"] = draw(lists(st.integers(1, 8)))
    elif size == "depth":
        axes["depth"] = draw(lists(st.integers(8, 60).filter(lambda depth: depth in nearest_depths(blocks, depth))))
    else:
        stages = draw(st.integers(1, 4))
        axes["blocks"] = draw(lists(st.lists(st.integers(1, 4), min_size=stages, max_size=stages).map(tuple)))
    grouped = set(blocks) & set(BLOCKS_WITH["cardinality"])
    if grouped:
        axes["cardinality"] = draw(lists(st.integers(1, 16)))
    multiples = st.lists(st.sampled_from([0.5, 1, 1.5, 2, 4]), min_size=stages, max_size=stages).map(tuple)
    optional = {
        "base_width": st.integers(1, 16), "attention_ratio": st.integers(1, 32), "multiples": multiples,
        "dropout": st.floats(0, 0.9), "stochastic_depth": st.floats(0, 0.9), "zero_gamma": st.booleans(),
    }  # fmt: skip
    for axis in ("shortcut", "attention", "stem", "activation"):
        optional[axis] = st.sampled_from(KEYS["axes"][axis].choices)
    for axis in draw(st.lists(st.sampled_from(sorted(optional)), max_size=4, unique=True)):
        if set(BLOCKS_WITH.get(axis, blocks)) & set(blocks):
            axes[axis] = draw(lists(optional[axis], size=2))
    if "attention_ratio" in axes:
        axes["attention"] = draw(st.sampled_from([["se"], ["none", "se"]]))
    return {
        axis: list(map(list, values)) if axis in ("blocks", "multiples") else values for axis, values in axes.items()
    }


@st.composite
def documents(draw):
    """A valid space file, as tomllib would give it."""
    return {
        "description": draw(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)),
        "axes": draw(axes_tables()),
        "limits": draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "max_params": st.integers(10_000, 2_000_000),
                    "min_params": st.integers(1, 10_000),
                    "max_macs": st.integers(1, 10**9),
                },
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
    """The space of a document."""
    return SearchSpace.from_document(document, name="x", text="", where="x.toml")


def axes_of_spaces():
    """Axes, checked."""
    return axes_tables().map(lambda axes: built({"axes": axes}).axes)
