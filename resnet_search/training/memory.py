"""Retry training that runs out of memory with batches in parts, and report the memory it needs if that fails."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.memory import training_memory
from resnet_search.training.arrays import Arrays
from resnet_search.training.job import Epoch, Job, TrialFailure
from resnet_search.training.kept import KEPT
from resnet_search.training.recipe import recipe_from
from resnet_search.training.train import train

# With fewer images, batch-norm statistics are too noisy.
SMALLEST_PART = 8
# Messages of TensorFlow, JAX and CUDA.
_WORDS = (
    "RESOURCE_EXHAUSTED",
    "OOM when allocating",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def train_in_parts(
    job: Job,
    arrays: Arrays,
    report: Callable[[Epoch], None],
    alive: Callable[[], None],
    divided: Callable[[int], None],
) -> list[Epoch]:
    """Call `train`, and again with each batch in more parts if memory runs out; `divided` receives their number.

    Networks kept for promotions are dropped first, so that the parts do not depend on what this process trained before.
    The batch, its gradient and the number of steps stay the same; batch-norm statistics are those of the parts.
    `TrialFailure`, with the estimated memory for the whole batch, if the smallest parts do not fit.
    """
    while True:
        try:
            return train(job, arrays, report, alive)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler, because its traceback keeps the tensors alive.
        more_room = KEPT.forget()
        gc.collect()
        if more_room:
            continue
        batch = min(recipe_from(job.recipe).batch_size, len(arrays.x_train))
        parts = more_parts(batch, job.parts)
        if parts is None:
            raise TrialFailure(_too_large(job, arrays, batch))
        job = replace(job, parts=parts)
        divided(parts)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error, or one of its causes, says that memory ran out."""
    return any(
        isinstance(one, MemoryError)
        or type(one).__name__ == "ResourceExhaustedError"
        or any(words in str(one) for words in _WORDS)
        for one in chain(error)
    )


def more_parts(batch: int, parts: int) -> int | None:
    """Return the next number of equal parts, at least twice as many; None if they would be too small."""
    fitting = (more for more in range(2 * parts, batch // SMALLEST_PART + 1) if batch % more == 0)
    return next(fitting, None)


def _too_large(job: Job, arrays: Arrays, batch: int) -> str:
    def gigabytes(images: int) -> str:
        size = training_memory(
            Architecture.from_dict(job.architecture),
            batch=images,
            input_shape=arrays.image_shape,
            classes=len(arrays.classes),
        )
        return f"{size / 1e9:.2g} GB"

    part = batch // job.parts
    return (
        f"out of memory with {part} images at a time, which need about {gigabytes(part)}; "
        f"the whole batch of {batch} needs {gigabytes(batch)}"
    )


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    one: Any = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__
