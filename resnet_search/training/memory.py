"""Retry training that runs out of memory with batches in parts, and report the memory it needs if that fails."""

from __future__ import annotations

import gc
import re
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
# The same libraries, where the memory that is left is too little for themselves; a broken installation says this too.
_LIKELY = (
    "Dst tensor is not initialized",
    "Failed to determine best cudnn convolution algorithm",
    "DNN library initialization failed",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "No algorithm worked",
)
# The context is lost, so smaller batches do not help.
_LOST = re.compile("CUDA_ERROR_(?!OUT_OF_MEMORY)")
_LONGEST_LINE = 200  # characters


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
    `TrialFailure`, with the estimated memory for the whole batch and what the backend said, if the smallest parts do
    not fit.
    """
    while True:
        try:
            return train(job, arrays, report, alive)
        except Exception as error:
            said = out_of_memory(error)
            more_room = bool(said) and KEPT.forget()
            if not said:
                raise
        # Outside the handler, because its traceback keeps the tensors alive.
        gc.collect()
        if more_room:
            continue
        batch = recipe_from(job.recipe).batch_for(len(arrays.x_train))
        parts = more_parts(batch, job.parts)
        if parts is None:
            raise TrialFailure(_too_large(job, arrays, batch, said))
        job = replace(job, parts=parts)
        divided(parts)


def out_of_memory(error: BaseException) -> str:
    """Return the line of an error, or of one of its causes, that says that memory ran out; empty if none does."""
    for one in chain(error):
        text = str(one)
        words = _WORDS if _LOST.search(text) else _WORDS + _LIKELY
        lines = [line.strip() for line in text.splitlines() if any(word in line for word in words)]
        if lines:
            return lines[0][:_LONGEST_LINE]
        if isinstance(one, MemoryError) or type(one).__name__ == "ResourceExhaustedError":
            return f"{type(one).__name__}: {text}".splitlines()[0].rstrip(": ")[:_LONGEST_LINE]
    return ""


def more_parts(batch: int, parts: int) -> int | None:
    """Return the next number of equal parts, at least twice as many; None if they would be too small."""
    fitting = (more for more in range(2 * parts, batch // SMALLEST_PART + 1) if batch % more == 0)
    return next(fitting, None)


def _too_large(job: Job, arrays: Arrays, batch: int, said: str) -> str:
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
        f"the whole batch of {batch} needs {gigabytes(batch)} ({said})"
    )


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    one: Any = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__
