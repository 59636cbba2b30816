"""Steps of SGD and Muon against Keras's own and against NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from resnet_search.training.sgd import SGD, Muon, orthogonal

pytestmark = pytest.mark.interface

SHAPES = [(3, 3, 4, 8), (1, 1, 8, 4), (3, 3, 1, 8), (4,), (8, 5)]


def values(optimizer, shapes=SHAPES, steps=4, seed=0) -> list[list[np.ndarray]]:
    """The variables of these shapes before the first step and after each."""
    random = np.random.default_rng(seed)
    variables = [keras.Variable(random.normal(size=shape), dtype="float32") for shape in shapes]
    optimizer.build(variables)
    found = [[np.array(ops.convert_to_numpy(variable)) for variable in variables]]
    for _ in range(steps):
        optimizer.apply([ops.convert_to_tensor(random.normal(size=shape).astype("float32")) for shape in shapes])
        found.append([np.array(ops.convert_to_numpy(variable)) for variable in variables])
    return found


def assert_equal(one, other, rtol=1e-5, atol=1e-6):
    for left, right in zip(one, other, strict=True):
        for a, b in zip(left, right, strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.9, True), (0.9, False), (0.0, False)])
def test_sgd_is_keras_own(momentum, nesterov):
    options = {"learning_rate": 0.3, "momentum": momentum, "nesterov": nesterov}
    assert_equal(values(SGD(**options)), values(keras.optimizers.SGD(**options)))


@settings(deadline=None, max_examples=30)
@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.integers(0, 2**32 - 1))
def test_singular_values_become_about_one_and_their_vectors_stay(shape, seed):
    matrix = np.random.default_rng(seed).normal(size=shape).astype("float32")
    result = np.array(ops.convert_to_numpy(orthogonal(ops.convert_to_tensor(matrix))))
    left, size, right = np.linalg.svd(matrix, full_matrices=False)
    inside = left.T @ result @ right.T
    np.testing.assert_allclose(inside, np.diag(np.diag(inside)), atol=1e-3)
    large = size > 0.05 * size[0]
    assert np.all((np.diag(inside)[large] > 0.6) & (np.diag(inside)[large] < 1.25))


def test_a_matrix_of_zeros_stays_one():
    assert not np.any(ops.convert_to_numpy(orthogonal(ops.zeros((4, 3)))))


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.9, True), (0.9, False), (0.0, False)])
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_a_step_of_muon(momentum, nesterov, decay):
    """Kernels: the momentum of SGD, orthogonalised, with a root mean square of about a fifth of the rate."""
    optimizer = Muon(0.1, momentum=momentum, nesterov=nesterov, decay=decay)
    found = values(optimizer)
    assert_equal(
        [after[3:] for after in found],
        [after[3:] for after in values(keras.optimizers.SGD(0.1, momentum=momentum, nesterov=nesterov))],
    )
    random = np.random.default_rng(0)
    expected = [random.normal(size=shape) for shape in SHAPES]
    momentums = [np.zeros(shape) for shape in SHAPES]
    for after in found[1:]:
        for index, shape in enumerate(SHAPES):
            gradient = random.normal(size=shape)
            if len(shape) != 4:
                continue
            momentums[index] = momentum * momentums[index] + gradient
            step = gradient + momentum * momentums[index] if nesterov else momentums[index]
            step = (step if momentum else gradient).reshape(-1, shape[-1]).astype("float32")
            direction = np.array(ops.convert_to_numpy(orthogonal(ops.convert_to_tensor(step)))).reshape(shape)
            change = 0.2 * max(step.shape) ** 0.5 * direction
            assert 0.1 < np.sqrt(np.mean(change**2)) < 0.26
            expected[index] = expected[index] - 0.1 * (change + decay * expected[index])
            np.testing.assert_allclose(after[index], expected[index], rtol=1e-3, atol=1e-4)


def test_a_step_of_muon_does_not_depend_on_the_size_of_the_gradients():
    kernel = keras.Variable(np.zeros((3, 3, 4, 8)), dtype="float32")
    gradient = np.random.default_rng(0).normal(size=kernel.shape).astype("float32")
    steps = []
    for scale in (1.0, 1000.0):
        kernel.assign(np.zeros(kernel.shape))
        optimizer = Muon(0.1, momentum=0.9)
        optimizer.build([kernel])
        optimizer.apply([ops.convert_to_tensor(scale * gradient)])
        steps.append(np.array(ops.convert_to_numpy(kernel)))
    np.testing.assert_allclose(steps[0], steps[1], rtol=1e-3, atol=1e-5)


def test_muon_is_made_again_from_its_configuration():
    optimizer = Muon(0.1, momentum=0.8, nesterov=True, decay=0.25)
    again = Muon.from_config(optimizer.get_config())
    assert_equal(values(again), values(Muon(0.1, momentum=0.8, nesterov=True, decay=0.25)))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow traces functions by shape")
def test_kernels_of_one_shape_are_traced_once():
    import tensorflow as tf

    optimizer = Muon(0.1, momentum=0.9)
    kernels = [keras.Variable(np.ones((3, 3, 2, 2)), dtype="float32") for _ in range(4)]
    optimizer.build(kernels)

    @tf.function
    def step() -> None:
        optimizer.apply([tf.ones((3, 3, 2, 2)) for _ in kernels])

    operations = step.get_concrete_function().graph.get_operations()
    calls = [operation for operation in operations if "PartitionedCall" in operation.type]
    assert len(calls) == 4
    assert len({operation.get_attr("f").name for operation in calls}) == 1
    assert "MatMul" not in {operation.type for operation in operations}
