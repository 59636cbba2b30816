"""Batches in parts: the same steps, and what happens where the memory does not suffice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from resnet_search.training import memory
from resnet_search.training.job import TrialFailure
from resnet_search.training.memory import is_out_of_memory, more_parts, train_in_parts
from resnet_search.training.optimizer import build_optimizer
from resnet_search.training.recipe import recipe_from
from resnet_search.training.train import Trainer, train


def exhausted() -> Exception:
    return tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[128,64,32,32]")


def wrapped(error: Exception) -> Exception:
    outer = ValueError("in a layer")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "memory_ran_out"),
    [
        (exhausted(), True),
        (wrapped(exhausted()), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8589934592 bytes."), True),
        (MemoryError(), True),
        (ValueError("a shape"), False),
        (TrialFailure("the loss was nan"), False),
    ],
)
def test_what_running_out_of_memory_looks_like(error, memory_ran_out):
    assert is_out_of_memory(error) == memory_ran_out


@pytest.mark.parametrize(
    ("batch", "parts", "more"),
    [(128, 1, 2), (128, 2, 4), (128, 16, None), (100, 1, 2), (100, 5, 10), (100, 10, None), (48, 1, 2), (97, 1, None)],
)
def test_parts_are_equal_and_not_too_small(batch, parts, more):
    assert more_parts(batch, parts) == more


def test_parts_of_a_batch_make_the_step_of_the_whole():
    """Weights, momentum and average of a network without batch normalisation, after 6 steps of an annealed rate."""
    random = np.random.default_rng(0)
    images, labels = random.normal(size=(96, 5)).astype("float32"), random.normal(size=(96, 1)).astype("float32")
    recipe = recipe_from({"average_fraction": 0.5})

    def fit(parts: int):
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, kernel_initializer="ones")])
        optimizer = build_optimizer(recipe, horizon=3, steps_per_epoch=3, parts=parts)
        optimizer.build(model.trainable_variables)
        model.compile(optimizer, "mse")
        model.fit(images, labels, batch_size=32 // parts, epochs=2, shuffle=False, verbose=0)
        trained = [variable.numpy().copy() for variable in model.trainable_variables]
        optimizer.load_average(model.trainable_variables)
        return trained, [variable.numpy() for variable in model.trainable_variables], int(optimizer.iterations)

    whole = fit(1)
    for parts in (2, 4):
        divided = fit(parts)
        assert divided[2] == whole[2] == 6
        for one, other in zip(whole[0] + whole[1], divided[0] + divided[1], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)
    assert not np.allclose(whole[0][0], whole[1][0]), "the average is another than the last weights"


@pytest.mark.slow
def test_continuing_in_parts_is_exact_too(make_job, arrays):
    whole = make_job(trial="0000", epochs=2, parts=2)
    once = train(whole, arrays, lambda _: None)
    first = make_job(trial="0001", epochs=1, parts=2)
    train(first, arrays, lambda _: None)
    [second] = train(make_job(trial="0002", parent=first.folder, initial_epoch=1, parts=2), arrays, lambda _: None)
    assert (second.loss, second.val_loss, second.val_accuracy) == (once[1].loss, once[1].val_loss, once[1].val_accuracy)


@pytest.mark.slow
def test_a_state_counts_whole_batches_whatever_the_parts(make_job, arrays):
    first = make_job(epochs=1)
    train(first, arrays, lambda _: None)
    for parts in (2, 1):
        job = make_job(trial="0001", parent=first.folder, initial_epoch=1, parts=parts)
        trainer = Trainer(job, arrays)
        assert trainer.restore([]) == 1
        assert int(trainer.optimizer.iterations) == trainer.steps
        trainer.run(1, last=False)
        assert int(trainer.optimizer.iterations) == 2 * trainer.steps
        Path(job.folder).mkdir(exist_ok=True)
        trainer.save(2)
        again = Trainer(replace(job, parts=3 - parts), arrays)
        assert again.restore([2]) == 2
        assert int(again.optimizer.iterations) == 2 * trainer.steps


def test_it_is_tried_with_more_parts_until_it_fits(make_job, arrays, monkeypatch):
    tried, heard = [], []

    def planted(job, *arguments):
        tried.append(job.parts)
        if job.parts < 2:
            raise exhausted()
        return train(job, *arguments)

    monkeypatch.setattr(memory, "train", planted)
    history = train_in_parts(make_job(epochs=1), arrays, lambda _: None, lambda: None, heard.append)
    assert (tried, heard) == ([1, 2], [2])
    assert [line.epoch for line in history] == [1]


def test_what_does_not_fit_in_the_smallest_parts_fails_with_what_it_needs(make_job, arrays, monkeypatch):
    heard = []

    def planted(*_):
        raise exhausted()

    monkeypatch.setattr(memory, "train", planted)
    job = make_job(recipe={"batch_size": 64})
    with pytest.raises(TrialFailure, match=r"out of memory with 8 images at a time, .* whole batch of 64 needs .* GB"):
        train_in_parts(job, arrays, lambda _: None, lambda: None, heard.append)
    assert heard == [2, 4, 8]


def test_another_error_is_none_of_its_business(make_job, arrays, monkeypatch):
    def planted(*_):
        raise TrialFailure("the loss was nan")

    monkeypatch.setattr(memory, "train", planted)
    with pytest.raises(TrialFailure, match="nan"):
        train_in_parts(make_job(), arrays, lambda _: None, lambda: None, lambda _: None)
