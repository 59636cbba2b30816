from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.errors import UsageError
from resnet_search.training.recipe import RECIPES, Recipe, recipe_fields, recipe_from


def rates(name: str, epochs: list[float], horizon: float) -> list[float]:
    return [RECIPES[name].learning_rate_at(epoch, horizon) for epoch in epochs]


def test_adam_is_the_schedule_of_the_keras_example():
    # 1e-3, then x0.1 after 80, 120 and 160 epochs, x0.5e-3 after 180.
    assert rates("adam", [0, 79.9, 80, 120, 160, 180, 199], 200) == pytest.approx(
        [1e-3, 1e-3, 1e-4, 1e-5, 1e-6, 0.5e-6, 0.5e-6]
    )


def test_he_divides_by_ten_at_half_and_at_three_quarters():
    assert rates("he", [0, 81.9, 82, 122.9, 123, 164], 164) == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_finetune_falls_along_a_cosine_to_nothing():
    assert rates("finetune", [15.15, 30], 30) == pytest.approx([0.0015, 0], abs=1e-9)


def test_milestones_scale_with_the_horizon():
    assert rates("wrn", [5, 6, 12, 16], 20) == pytest.approx([0.1, 0.02, 0.004, 0.0008])
    assert RECIPES["resnext"].learning_rate_at(150, 300) == pytest.approx(0.01)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@given(epoch=st.floats(0, 50), horizon=st.integers(1, 50))
def test_every_rate_is_between_zero_and_the_highest(schedule, epoch, horizon):
    recipe = Recipe(schedule=schedule)
    assert 0 <= recipe.learning_rate_at(epoch, horizon) <= recipe.learning_rate * (1 + 1e-9)


def test_the_default_rises_over_the_warm_up_and_falls_to_the_final_factor():
    recipe = Recipe()
    assert recipe.learning_rate_at(0, 27) == 0
    assert recipe.learning_rate_at(recipe.warmup_epochs, 27) == pytest.approx(recipe.learning_rate)
    assert recipe.learning_rate_at(27, 27) == pytest.approx(recipe.learning_rate * recipe.final_factor)


def test_dictionaries_are_recipes():
    for recipe in RECIPES.values():
        assert recipe_from(recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "adamw"}, ["recipe name", "'adamw'", "search, he, wrn, resnext, adam, finetune"]),
        ({"learning_rate": -1}, ["learning_rate", "-1", "from 1e-06 to 10"]),
        ({"learning_rate": True}, ["learning_rate", "True"]),
        ({"learning_rate": float("nan")}, ["learning_rate", "nan"]),
        ({"batch_size": 1.5}, ["batch_size", "1.5", "integers"]),
        ({"optimizer": "lion"}, ["optimizer", "'lion'", "sgd, adam"]),
        ({"nesterov": 1}, ["nesterov", "1", "true or false"]),
        ({"milestones": [[0.5, 0.1]]}, ["milestones", "step schedule"]),
        ({"schedule": "step"}, ["milestones", "step schedule"]),
        ({"schedule": "step", "milestones": [[0.5, 0.1], [0.4, 0.1]]}, ["milestones", "rising"]),
        ({"init": "imagenet21k"}, ["init", "'imagenet21k'", "he_normal, imagenet"]),
        ({"init": "imagenet", "frozen_stages": 5}, ["frozen_stages", "5", "from 0 to 4"]),
        ({"frozen_stages": 1}, ["frozen_stages", "1 with init 'he_normal'", "allowed: 0, or init 'imagenet'"]),
        ({"lr": 0.1}, ["'lr'", "learning_rate"]),
    ],
)
def test_wrong_values_are_named(values, words):
    with pytest.raises(UsageError) as caught:
        recipe_from(values)
    assert all(word in str(caught.value) for word in words)


def test_every_value_is_documented():
    for name, field in recipe_fields().items():
        assert field.doc, name
        assert field.accepts(getattr(Recipe(), name)), name
