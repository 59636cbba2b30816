from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from resnet_search.training.optimizer import TableSchedule, build_optimizer, lasting_variables
from resnet_search.training.recipe import RECIPES, Recipe

pytestmark = pytest.mark.interface

GRADIENTS = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")


def value(variable) -> np.ndarray:
    return np.array(ops.convert_to_numpy(variable))


def trained(optimizer, gradients=GRADIENTS) -> tuple[keras.Variable, list[np.ndarray]]:
    """A variable after a step for each gradient, and its value after each of them."""
    variable = keras.Variable(np.array([0.0, 1.0, 2.0]), dtype="float32")
    optimizer.build([variable])
    values = []
    for gradient in gradients:
        optimizer.apply([ops.convert_to_tensor(gradient)])
        values.append(value(variable))
    return variable, values


def average(optimizer) -> np.ndarray:
    variable = keras.Variable(np.zeros(3), dtype="float32")
    optimizer.load_average([variable])
    return value(variable)


@pytest.mark.parametrize("name", ["he", "search"])
@pytest.mark.parametrize("parts", [1, 3])
def test_the_rate_of_every_step_is_that_of_its_middle(name, parts):
    recipe = RECIPES[name]
    schedule = TableSchedule(recipe, 10, 4, parts)
    rates = [recipe.learning_rate_at((step + 0.5) / 4, 10) for step in range(40)]
    assert schedule.get_config() == {"rates": pytest.approx(rates), "parts": parts}
    for step in (0, 1, 2, 19, 20, 39):
        for part in range(parts):
            assert float(schedule(step * parts + part)) == pytest.approx(rates[step])
    assert float(schedule(40 * parts)) == float(schedule(1000)) == pytest.approx(rates[-1]), "the last rate stays"


@pytest.mark.parametrize("options", [{}, {"nesterov": False}, {"momentum": 0.0}, {"average_fraction": 0.0}])
def test_sgd_is_keras_own(options):
    """To rounding: on TensorFlow it is another operation."""
    recipe = Recipe(learning_rate=0.3, **options)
    rates = TableSchedule(recipe, 2, 2)
    values = []
    for optimizer in (
        build_optimizer(recipe, horizon=2, steps_per_epoch=2),
        keras.optimizers.SGD(rates, momentum=recipe.momentum, nesterov=recipe.nesterov),
    ):
        _, steps = trained(optimizer, GRADIENTS[:4])
        momentums = [value(variable) for variable in optimizer.variables if "momentum" in variable.name]
        values.append([*steps, *momentums])
    np.testing.assert_allclose(values[0], values[1], rtol=1e-5, atol=1e-6)


def test_adam_is_keras_own():
    recipe = RECIPES["adam"]
    _, own = trained(build_optimizer(recipe, horizon=2, steps_per_epoch=2), GRADIENTS[:4])
    _, of_keras = trained(keras.optimizers.Adam(TableSchedule(recipe, 2, 2)), GRADIENTS[:4])
    np.testing.assert_allclose(own, of_keras, rtol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the operation is TensorFlow's")
@pytest.mark.parametrize("name", ["he", "search"])
def test_a_step_of_sgd_is_one_operation_a_variable(name):
    import tensorflow as tf

    optimizer = build_optimizer(RECIPES[name], horizon=2, steps_per_epoch=3)
    optimizer.build([keras.Variable(np.ones(size), dtype="float32") for size in (2, 3)])

    @tf.function
    def step() -> None:
        optimizer.apply([tf.ones(2), tf.ones(3)])

    types = [operation.type for operation in step.get_concrete_function().graph.get_operations()]
    assert types.count("ResourceApplyKerasMomentum") == 2


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("parts", [1, 2])
def test_an_optimizer_is_of_its_recipe(name, parts):
    recipe = RECIPES[name]
    optimizer = build_optimizer(recipe, horizon=2, steps_per_epoch=3, parts=parts)
    assert optimizer.name == recipe.optimizer
    assert isinstance(optimizer, keras.optimizers.Adam if recipe.optimizer == "adam" else keras.optimizers.SGD)
    if recipe.optimizer == "sgd":
        assert (optimizer.momentum, optimizer.nesterov) == (recipe.momentum, recipe.nesterov)
    assert optimizer.gradient_accumulation_steps == (parts if parts > 1 else None)
    averages = recipe.average_fraction > 0
    assert optimizer.use_ema is averages
    assert hasattr(optimizer, "load_average") is averages


@pytest.mark.parametrize(
    ("optimizer", "fraction", "epochs", "limit"),
    [
        ("sgd", 0.5, 1.5, 3),
        ("sgd", 0.4, 100.0, 200),
        ("sgd", 0.5, 0.0, 1),
        ("adam", 0.5, 1.5, 3),
    ],
)
def test_the_average_is_over_a_window_that_grows_with_the_steps_up_to_a_limit(optimizer, fraction, epochs, limit):
    recipe = Recipe(optimizer=optimizer, average_fraction=fraction, average_epochs=epochs)
    own = build_optimizer(recipe, horizon=10, steps_per_epoch=2)
    variable, values = trained(own)
    expected = values[0]
    for step, weights in enumerate(values, 1):
        expected = expected + (weights - expected) / max(1.0, min(step * fraction, limit))
    np.testing.assert_allclose(average(own), expected, rtol=1e-4)
    own.finalize_variable_values([variable])  # Keras calls it after every fit.
    assert np.array_equal(value(variable), values[-1]), "training continues from the weights"


def test_the_average_needs_as_many_variables_as_there_are():
    own = build_optimizer(Recipe(average_fraction=0.5), horizon=10, steps_per_epoch=2)
    variable, _ = trained(own, GRADIENTS[:1])
    with pytest.raises(ValueError, match="zip"):
        own.load_average([variable, variable])


@pytest.mark.parametrize(("optimizer", "parts"), [("sgd", 2), ("sgd", 3), ("adam", 2)])
def test_parts_of_a_batch_make_the_step_of_the_whole(optimizer, parts):
    """Rate, weights and average: the gradient of a batch is the mean of those of its parts."""
    recipe = Recipe(optimizer=optimizer, average_fraction=0.8)
    whole = build_optimizer(recipe, horizon=1, steps_per_epoch=4)
    divided = build_optimizer(recipe, horizon=1, steps_per_epoch=4, parts=parts)
    gradients = GRADIENTS[:4]
    _, expected = trained(whole, gradients)
    shifts = np.linspace(-1, 1, parts, dtype="float32")
    _, values = trained(divided, [gradient + shift for gradient in gradients for shift in shifts])
    np.testing.assert_allclose(values[parts - 1 :: parts], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(average(divided), average(whole), rtol=1e-4, atol=1e-5)
    assert not np.allclose(average(whole), expected[-1]), "the average is another than the last weights"
    assert int(divided.iterations) == int(whole.iterations) == 4


@pytest.mark.parametrize("name", ["he", "search", "adam"])
def test_what_outlives_a_step_is_the_same_whatever_the_parts(name):
    lasting = {}
    for parts in (1, 2):
        optimizer = build_optimizer(RECIPES[name], horizon=2, steps_per_epoch=6, parts=parts)
        optimizer.build([keras.Variable(np.zeros(3), dtype="float32", name="kernel")])
        lasting[parts] = lasting_variables(optimizer)
        assert lasting[parts][0] is optimizer._iterations
        assert len(optimizer.variables) == len(lasting[parts]) + (parts > 1)
    assert [(variable.path, variable.shape) for variable in lasting[1]] == [
        (variable.path, variable.shape) for variable in lasting[2]
    ]
