from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest

from resnet_search.errors import UsageError
from resnet_search.training.recipe import RECIPES, Recipe, recipe_fields, recipe_from

# He et al. 2015, section 4.2: SGD with momentum 0.9, rate 0.1 divided by 10 at 32k and 48k of 64k iterations, which are
# 164 epochs; weight decay 1e-4, batches of 128, 4 pixels of padding and flips.
HE = {
    "name": "he",
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "nesterov": False,
    "weight_decay": 1e-4,
    "batch_size": 128,
    "schedule": "step",
    "milestones": [[0.5, 0.1], [0.75, 0.01]],
    "final_factor": 0.01,
    "warmup_epochs": 0.0,
    "init": "he_normal",
    "frozen_stages": 0,
    "epochs": 164,
    "label_smoothing": 0.0,
    "crop_padding": 4,
    "flip": True,
    "average_fraction": 0.0,
    "average_epochs": 2.0,
    "bn_batches": 0,
}
# Zagoruyko and Komodakis 2016, section 3: Nesterov's momentum, weight decay 5e-4, times 0.2 at epochs 60, 120 and 160
# of 200.
WRN = {
    **HE,
    "name": "wrn",
    "nesterov": True,
    "weight_decay": 5e-4,
    "milestones": [[0.3, 0.2], [0.6, 0.04], [0.8, 0.008]],
    "epochs": 200,
}
# Xie et al. 2017, section 4.4, with the authors' code: Nesterov's momentum, weight decay 5e-4, divided by 10 at epochs
# 150 and 225 of 300.
RESNEXT = {**HE, "name": "resnext", "nesterov": True, "weight_decay": 5e-4, "epochs": 300}
# The Keras example cifar10_resnet: Adam 1e-3, factors after epochs 80, 120, 160 and 180 of 200, batches of 32,
# l2(1e-4), shifts of a tenth of 32 pixels.
ADAM = {
    **HE,
    "name": "adam",
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "nesterov": True,
    "weight_decay": 2e-4,
    "batch_size": 32,
    "milestones": [[0.4, 0.1], [0.6, 0.01], [0.8, 0.001], [0.9, 0.0005]],
    "epochs": 200,
    "crop_padding": 3,
}
# This project's own, for short rungs.
SEARCH = {
    **HE,
    "name": "search",
    "optimizer": "muon",
    "batch_size": "auto",
    "crop_padding": 2,
    "nesterov": True,
    "weight_decay": 5e-4,
    "schedule": "linear",
    "milestones": [],
    "warmup_epochs": 0.3,
    "epochs": 0,
    "label_smoothing": 0.1,
    "average_fraction": 0.2,
    "bn_batches": 8,
}
# Kornblith et al. 2019 and BiT (Kolesnikov et al. 2020): Nesterov's momentum at 0.003 and a cosine to zero.
FINETUNE = {
    **SEARCH,
    "name": "finetune",
    "optimizer": "sgd",
    "crop_padding": 4,
    "learning_rate": 0.003,
    "weight_decay": 1e-4,
    "batch_size": 32,
    "schedule": "cosine",
    "final_factor": 0.0,
    "epochs": 30,
}

# The least and the greatest value of each number.
LIMITS = {
    "learning_rate": (1e-6, 10.0),
    "momentum": (0.0, 0.999),
    "weight_decay": (0.0, 0.1),
    "batch_size": (1, 8192),
    "final_factor": (0.0, 1.0),
    "warmup_epochs": (0.0, 100.0),
    "frozen_stages": (0, 4),
    "epochs": (0, 10_000),
    "label_smoothing": (0.0, 0.9),
    "crop_padding": (0, 64),
    "average_fraction": (0.0, 0.9),
    "average_epochs": (0.0, 100.0),
    "bn_batches": (0, 1000),
}
CHOICES = {
    "optimizer": ("muon", "sgd", "adam"),
    "schedule": ("constant", "linear", "cosine", "step"),
    "init": ("he_normal", "imagenet"),
}
FLAGS = ("nesterov", "flip")


@pytest.mark.parametrize("values", [SEARCH, HE, WRN, RESNEXT, ADAM, FINETUNE], ids=lambda values: values["name"])
def test_every_number_of_a_recipe_is_the_published_one(values):
    assert RECIPES[values["name"]].to_dict() == values


def test_the_recipes_are_listed_in_the_order_of_the_documentation():
    assert list(RECIPES) == ["search", "he", "wrn", "resnext", "adam", "finetune"]
    assert list(recipe_fields()) == [name for name in HE if name != "name"]
    assert Recipe() == RECIPES["search"]


def rates(recipe: Recipe, epochs: list[float], horizon: float) -> list[float]:
    return [recipe.learning_rate_at(epoch, horizon) for epoch in epochs]


def test_adam_is_the_schedule_of_the_keras_example():
    # 1e-3, then x0.1 after 80, 120 and 160 epochs, x0.5e-3 after 180.
    assert rates(RECIPES["adam"], [0, 79.9, 80, 120, 160, 180, 199], 200) == pytest.approx(
        [1e-3, 1e-3, 1e-4, 1e-5, 1e-6, 0.5e-6, 0.5e-6]
    )


def test_he_divides_by_ten_at_half_and_at_three_quarters():
    assert rates(RECIPES["he"], [0, 81.9, 82, 122.9, 123, 164], 164) == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )


def test_milestones_scale_with_the_horizon():
    assert rates(RECIPES["wrn"], [5, 6, 12, 16], 20) == pytest.approx([0.1, 0.02, 0.004, 0.0008])
    assert RECIPES["resnext"].learning_rate_at(150, 300) == pytest.approx(0.01)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_schedule_may_start_to_fall_late(schedule):
    """Before that, the rate does not depend on the horizon, so that the horizon can be chosen then."""
    recipe = Recipe(schedule=schedule, warmup_epochs=0.3, final_factor=0.1)
    for horizon in (9, 30):
        early = [recipe.learning_rate_at(epoch, horizon, 6) for epoch in (0.15, 0.3, 2, 6)]
        assert early == pytest.approx([0.05, 0.1, 0.1, 0.1])
        middle, end, after = (recipe.learning_rate_at(at, horizon, 6) for at in ((6 + horizon) / 2, horizon, 99))
        assert [middle, end, after] == pytest.approx([0.055, 0.01, 0.01])
    assert recipe.learning_rate_at(9, 9, 9) == pytest.approx(0.1), "a search that is not at its end"


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("linear", [1, 0.775, 0.55, 0.1, 0.1]),
        ("cosine", [1, 0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2, 0.55, 0.1, 0.1]),
    ],
)
def test_a_schedule_falls_to_its_final_factor_and_stays_there(schedule, factors):
    recipe = Recipe(schedule=schedule, learning_rate=2.0, final_factor=0.1, warmup_epochs=0.0)
    assert rates(recipe, [0, 5, 10, 20, 30], 20) == pytest.approx([2.0 * factor for factor in factors])


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_schedule_begins_to_fall_when_the_warm_up_ends(schedule):
    recipe = Recipe(schedule=schedule, learning_rate=2.0, final_factor=0.1, warmup_epochs=2.0)
    assert rates(recipe, [0, 0.5, 1, 2, 11, 20], 20) == pytest.approx([0.0, 0.5, 1.0, 2.0, 1.1, 0.2])


def test_a_step_schedule_warms_up_too():
    recipe = recipe_from({"name": "he", "warmup_epochs": 1.0})
    assert rates(recipe, [0, 0.5, 1, 82], 164) == pytest.approx([0.0, 0.05, 0.1, 0.01])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_warm_up_takes_at_most_a_tenth_of_the_horizon(schedule):
    recipe = Recipe(schedule=schedule, learning_rate=2.0, warmup_epochs=5.0)
    assert rates(recipe, [0, 0.05, 0.1, 0.2], 2) == pytest.approx([0.0, 0.5, 1.0, 2.0])
    assert rates(recipe, [2.5, 5.0], 50) == pytest.approx([1.0, 2.0])
    assert rates(recipe, [2.5, 5.0], 500) == pytest.approx([1.0, 2.0])


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("horizon", [1, 2, 3, 27, 50])
def test_the_rate_rises_to_the_highest_and_never_rises_again(schedule, horizon):
    recipe = Recipe(schedule=schedule)
    top = min(recipe.warmup_epochs, horizon / 10)
    rising = rates(recipe, [top * step / 20 for step in range(21)], horizon)
    falling = rates(recipe, [top + (1.2 * horizon - top) * step / 200 for step in range(201)], horizon)
    assert all(before < after for before, after in pairwise(rising))
    assert rising[-1] == falling[0] == max(falling) == pytest.approx(0.1)
    assert all(before >= after > 0 for before, after in pairwise(falling))


def test_dictionaries_are_recipes():
    for recipe in RECIPES.values():
        assert recipe_from(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_values_replace_those_of_the_named_recipe():
    assert recipe_from({}) == RECIPES["search"]
    assert recipe_from({"epochs": 3}).to_dict() == {**SEARCH, "epochs": 3}
    assert recipe_from({"name": "he", "epochs": 3, "flip": False}).to_dict() == {**HE, "epochs": 3, "flip": False}


def test_milestones_become_pairs_of_floats():
    recipe = recipe_from({"schedule": "step", "milestones": [[0.5, 1]]})
    assert recipe.milestones == ((0.5, 1.0),)
    assert {type(number) for pair in recipe.milestones for number in pair} == {float}
    assert hash(recipe) == hash(recipe_from(recipe.to_dict()))


@pytest.mark.parametrize(("name", "limits"), LIMITS.items(), ids=LIMITS)
def test_a_number_may_be_anything_between_its_limits(name, limits):
    field = recipe_fields()[name]
    least, greatest = limits
    whole = type(greatest) is int
    below, above = (
        (least - 1, greatest + 1) if whole else (math.nextafter(least, -1), math.nextafter(greatest, math.inf))
    )
    assert field.accepts(least)
    assert field.accepts(greatest)
    for wrong in (below, above, True, False, None, str(greatest), [greatest], math.nan, math.inf, -math.inf):
        assert not field.accepts(wrong), wrong
    assert field.accepts(0) or field.accepts(1), "an integer is a number"
    assert field.accepts((least + greatest) / 2) is not whole


@pytest.mark.parametrize(("name", "choices"), CHOICES.items(), ids=CHOICES)
def test_a_choice_is_one_of_its_names(name, choices):
    field = recipe_fields()[name]
    assert field.choices == choices
    assert all(field.accepts(choice) for choice in choices)
    assert not any(field.accepts(wrong) for wrong in ("", "x", choices[0].upper(), True, None, [choices[0]]))


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_is_true_or_false(name):
    field = recipe_fields()[name]
    assert field.accepts(True)
    assert field.accepts(False)
    assert not any(field.accepts(wrong) for wrong in (0, 1, "true", None))


def test_every_value_of_a_recipe_has_a_rule_and_is_documented():
    assert set(recipe_fields()) == {*LIMITS, *CHOICES, *FLAGS, "milestones"}
    assert all(field.doc and field.allowed for field in recipe_fields().values())


@pytest.mark.parametrize(
    "milestones",
    [
        [],
        (),
        [[0.5, 0.1]],
        ((0.5, 0.1), (0.75, 0.01)),
        [(0.001, 2), [0.999, 1e-9]],
    ],
    ids=str,
)
def test_milestones_rise_between_zero_and_one(milestones):
    assert recipe_fields()["milestones"].accepts(milestones)


@pytest.mark.parametrize(
    "milestones",
    [
        None,
        "0.5",
        0.5,
        {0.5: 0.1},
        [0.5, 0.1],
        [[0.5]],
        [[0.5, 0.1, 0.1]],
        ["ab"],
        [[0.5, 0.1], [0.4, 0.1]],
        [[0.5, 0.1], [0.5, 0.01]],
        [[0, 0.1]],
        [[0.0, 0.1]],
        [[-0.5, 0.1]],
        [[1, 0.1]],
        [[1.0, 0.1]],
        [[1.5, 0.1]],
        [[0.5, 0]],
        [[0.5, -0.1]],
        [[0.5, math.inf]],
        [[0.5, math.nan]],
        [[math.nan, 0.1]],
        [[0.5, True]],
        [[True, 0.1]],
        [["0.5", 0.1]],
        [[0.5, "0.1"]],
        [[0.5, None]],
        [[0.5, 0.1], [0.75, 0]],
    ],
    ids=str,
)
def test_other_milestones_are_refused(milestones):
    assert not recipe_fields()["milestones"].accepts(milestones)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "adamw"}, ["recipe name", "'adamw'", "search, he, wrn, resnext, adam, finetune"]),
        ({"learning_rate": -1}, ["learning_rate", "-1", "from 1e-06 to 10"]),
        ({"batch_size": 1.5}, ["batch_size", "1.5", "integers"]),
        ({"optimizer": "lion"}, ["optimizer", "'lion'", "sgd, adam"]),
        ({"nesterov": 1}, ["nesterov", "1", "true or false"]),
        ({"milestones": [[0.5, 0.1]]}, ["milestones", "step schedule"]),
        ({"schedule": "step"}, ["milestones", "step schedule"]),
        ({"name": "he", "milestones": []}, ["milestones", "step schedule"]),
        ({"schedule": "step", "milestones": [[0.5, 0.1], [0.4, 0.1]]}, ["milestones", "rising"]),
        ({"init": "imagenet", "frozen_stages": 5}, ["frozen_stages", "5", "from 0 to 4"]),
        ({"frozen_stages": 1}, ["frozen_stages", "1", "he_normal", "imagenet"]),
        ({"lr": 0.1}, ["'lr'", "learning_rate"]),
        ({"epochs": 3, "zeta": 1, "alpha": 1}, ["'zeta'"]),
    ],
)
def test_wrong_values_are_named(values, words):
    with pytest.raises(UsageError) as caught:
        recipe_from(values)
    assert [word for word in words if word not in str(caught.value)] == []


def test_stages_may_be_frozen_with_weights_of_imagenet():
    assert recipe_from({"init": "imagenet", "frozen_stages": 4}).frozen_stages == 4
    assert recipe_from({"init": "imagenet"}).frozen_stages == 0


@pytest.mark.parametrize(
    ("images", "batch", "rate"),
    [
        (1, 16, 0.1 / 8**0.5),
        (300, 16, 0.1 / 8**0.5),
        (1_535, 16, 0.1 / 8**0.5),
        (1_536, 32, 0.05),
        (3_072, 64, 0.1 / 2**0.5),
        (6_143, 64, 0.1 / 2**0.5),
        (6_144, 128, 0.1),
        (1_281_167, 128, 0.1),
    ],
)
def test_batch_and_rate_follow_the_number_of_images(images, batch, rate):
    recipe = Recipe().for_images(images)
    assert (recipe.batch_size, recipe.learning_rate) == (batch, pytest.approx(rate))
    assert recipe == replace(Recipe(), batch_size=batch, learning_rate=recipe.learning_rate)
    assert recipe.for_images(10**6) == recipe, "it stays what it was chosen as"
    assert Recipe().batch_for(images) == min(batch, images)


def test_a_batch_that_is_given_stays():
    recipe = Recipe(batch_size=96, learning_rate=0.3)
    assert recipe.for_images(300) == recipe
    assert (recipe.batch_for(300), recipe.batch_for(50)) == (96, 50)


def test_a_learning_rate_that_is_given_is_the_one_for_the_largest_batch():
    assert Recipe(learning_rate=0.4).for_images(300).learning_rate == pytest.approx(0.4 / 8**0.5)


def test_only_the_word_auto_is_no_number():
    field = recipe_fields()["batch_size"]
    assert field.accepts("auto")
    assert not field.accepts("128")
    assert field.allowed == "auto, integers from 1 to 8192"
    with pytest.raises(UsageError, match=r"batch_size.*'most'.*auto, integers"):
        Recipe(batch_size="most")
