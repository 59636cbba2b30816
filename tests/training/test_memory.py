"""Batches in parts: the same steps, and what happens where the memory does not suffice."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.memory import training_memory
from resnet_search.training import memory
from resnet_search.training.job import TrialFailure
from resnet_search.training.kept import KEPT
from resnet_search.training.memory import more_parts, out_of_memory, train_in_parts
from resnet_search.training.train import Trainer, train
from tests.faults.table import fault

pytestmark = pytest.mark.interface


class ResourceExhaustedError(Exception):
    """Named as TensorFlow's."""


def raised_from(error: BaseException) -> Exception:
    outer = ValueError("in a layer")
    outer.__cause__ = error
    return outer


def raised_during(error: BaseException) -> Exception:
    outer = ValueError("while cleaning up")
    outer.__context__ = error
    return outer


@pytest.fixture
def quick_collection():
    """What the tests before made is left out of `gc.collect`."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def attempts(monkeypatch, quick_collection):
    """Plant a `train` that runs out of memory in batches of fewer parts; gives the jobs it was called with."""

    def plant(fits: int) -> list:
        jobs = []

        def planted(job, *arguments):
            jobs.append((job, *arguments))
            if job.parts < fits:
                raise MemoryError
            return ["history"]

        monkeypatch.setattr(memory, "train", planted)
        return jobs

    return plant


@pytest.mark.parametrize(
    ("error", "memory_ran_out"),
    [
        (MemoryError(), True),
        (ResourceExhaustedError(), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8589934592 bytes."), True),
        (RuntimeError("OOM when allocating tensor with shape[128,64,32,32]"), True),
        (RuntimeError("failed call to cuInit: CUDA_ERROR_OUT_OF_MEMORY: out of memory"), True),
        (RuntimeError("Could not create cudnn handle: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("failed to create cublas handle: CUBLAS_STATUS_ALLOC_FAILED"), True),
        # As recorded in issues 7025 of TensorFlow, and 8506, 13612 and 23145 of JAX.
        (RuntimeError("Dst tensor is not initialized.\n\t [[Node: resize/_11 = _Recv[]()]]"), True),
        (RuntimeError("UNKNOWN: Failed to determine best cudnn convolution algorithm: INTERNAL: All algorithms tried "
                      "for %cudnn-conv failed. CUDNN_STATUS_EXECUTION_FAILED"), True),
        (RuntimeError("FAILED_PRECONDITION: DNN library initialization failed. Look at the errors above."), True),
        (RuntimeError("Could not create cudnn handle: CUDNN_STATUS_NOT_INITIALIZED"), True),
        (RuntimeError("failed to create cublas handle: CUBLAS_STATUS_NOT_INITIALIZED"), True),
        (RuntimeError("No algorithm worked!  Error messages:"), True),
        (RuntimeError("Failed to determine best cudnn convolution algorithm: CUDA_ERROR_ILLEGAL_ADDRESS"), False),
        (RuntimeError("UNIMPLEMENTED: DNN library is not found."), False),
        (raised_from(MemoryError()), True),
        (raised_during(MemoryError()), True),
        (raised_from(raised_during(raised_from(MemoryError()))), True),
        (ValueError("a shape"), False),
        (raised_from(ValueError("a shape")), False),
        (TrialFailure("the loss was nan"), False),
        (RuntimeError("CUDA_ERROR_INVALID_VALUE"), False),
    ],
    ids=str,
)  # fmt: skip
def test_what_running_out_of_memory_looks_like(error, memory_ran_out):
    assert bool(out_of_memory(error)) is memory_ran_out


@fault(
    "training",
    "A network does not fit on a GPU, even with 8 images at a time",
    here="its failure has the memory that it needs and the backend's own line, which may name a broken installation",
)
def test_the_line_that_says_it_is_kept(make_job, arrays, monkeypatch, quick_collection):
    def planted(*_):
        raise raised_from(RuntimeError("In a step:\n  Dst tensor is not initialized.\n\t [[a node]]"))

    monkeypatch.setattr(memory, "train", planted)
    with pytest.raises(TrialFailure, match=r"\(Dst tensor is not initialized\.\)$"):
        train_in_parts(make_job(recipe={"batch_size": 16}), arrays, print, repr, repr)
    assert out_of_memory(MemoryError()) == "MemoryError"
    assert out_of_memory(ResourceExhaustedError("OOM, said the allocator")).endswith("said the allocator")
    assert len(out_of_memory(MemoryError("x" * 1000))) == 200


def test_the_error_of_tensorflow_is_of_that_name():
    tensorflow = pytest.importorskip("tensorflow")
    assert out_of_memory(tensorflow.errors.ResourceExhaustedError(None, None, ""))


@pytest.mark.parametrize(
    ("batch", "parts", "more"),
    [
        (128, 1, 2),
        (128, 2, 4),
        (128, 8, 16),
        (128, 16, None),
        (100, 1, 2),
        (100, 2, 4),
        (100, 4, 10),
        (100, 5, 10),
        (100, 10, None),
        (45, 1, 3),
        (97, 1, None),
        (16, 1, 2),
        (15, 1, None),
        (8, 1, None),
        (1, 1, None),
    ],
)
def test_parts_are_equal_and_not_too_small(batch, parts, more):
    assert more_parts(batch, parts) == more


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
        Path(job.folder).mkdir(exist_ok=True)
        trainer.run(1, 2)
        assert int(trainer.optimizer.iterations) == 2 * trainer.steps
        trainer.save(2)
        again = Trainer(replace(job, parts=3 - parts), arrays)
        assert again.restore([2]) == 2
        assert int(again.optimizer.iterations) == 2 * trainer.steps


def test_it_is_tried_with_more_parts_until_it_fits(make_job, attempts):
    jobs, divisions = attempts(fits=4), []
    job, arrays, report, alive = make_job(recipe={"batch_size": 64}), SimpleNamespace(x_train=range(80)), print, repr
    assert train_in_parts(job, arrays, report, alive, divisions.append) == ["history"]
    assert jobs == [(replace(job, parts=parts), arrays, report, alive) for parts in (1, 2, 4)]
    assert divisions == [2, 4]


def test_nothing_is_divided_where_the_memory_suffices(make_job, attempts):
    jobs, divisions = attempts(fits=2), []
    train_in_parts(make_job(parts=2), SimpleNamespace(), print, repr, divisions.append)
    assert [job.parts for job, *_ in jobs] == [2]
    assert divisions == []


def test_networks_kept_for_promotions_go_before_a_batch_is_divided(make_job, attempts):
    jobs, divisions = attempts(fits=2), []
    KEPT.keep(make_job(trial="1"), SimpleNamespace(), "trainer", size=1)
    train_in_parts(make_job(), SimpleNamespace(x_train=range(80)), print, repr, divisions.append)
    assert [job.parts for job, *_ in jobs] == [1, 1, 2], "once more without them"
    assert divisions == [2]
    assert not KEPT.forget()


def test_what_an_attempt_left_is_freed_before_the_next(make_job, monkeypatch, quick_collection):
    """Its traceback and its reference cycles would keep the tensors alive."""
    left = []

    class Tensor:
        def __init__(self) -> None:
            self.graph = self

    def planted(job, *_):
        assert all(tensor() is None for tensor in left)
        tensor = Tensor()
        left.append(weakref.ref(tensor))
        if job.parts < 4:
            raise MemoryError
        return []

    monkeypatch.setattr(memory, "train", planted)
    gc.disable()
    try:
        train_in_parts(make_job(recipe={"batch_size": 64}), SimpleNamespace(x_train=range(80)), print, repr, repr)
    finally:
        gc.enable()
    assert len(left) == 3


@pytest.mark.parametrize(
    ("batch_size", "batch", "divisions"),
    [(64, 64, [2, 4, 8]), (128, 80, [2, 4, 8])],
    ids=["batch", "fewer images than a batch"],
)
def test_what_does_not_fit_in_the_smallest_parts_fails_with_what_it_needs(
    make_job, arrays, attempts, batch_size, batch, divisions
):
    attempts(fits=1000)
    seen = []
    job = make_job(recipe={"batch_size": batch_size})
    with pytest.raises(TrialFailure) as caught:
        train_in_parts(job, arrays, print, repr, seen.append)
    assert seen == divisions
    architecture = Architecture.from_dict(job.architecture)
    part = batch // divisions[-1]
    needs = [
        training_memory(architecture, batch=images, input_shape=(12, 12, 3), classes=4) / 1e9
        for images in (part, batch)
    ]
    message = str(caught.value)
    assert f"{part} images at a time" in message
    assert f"{needs[0]:.2g} GB" in message
    assert f"batch of {batch} needs {needs[1]:.2g} GB" in message


def test_another_error_is_not_retried(make_job, monkeypatch):
    jobs = []

    def planted(job, *_):
        jobs.append(job)
        raise TrialFailure("the loss was nan")

    monkeypatch.setattr(memory, "train", planted)
    KEPT.keep(make_job(trial="1"), SimpleNamespace(), "trainer", size=1)
    with pytest.raises(TrialFailure, match="nan"):
        train_in_parts(make_job(), SimpleNamespace(), print, repr, print)
    assert len(jobs) == 1
    assert KEPT.forget(), "kept networks stay"
