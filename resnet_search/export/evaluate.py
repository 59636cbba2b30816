"""An exported network on images: its probabilities, by TensorFlow alone, and what they say of labelled ones."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from resnet_search.errors import ExportError
from resnet_search.export import serve
from resnet_search.export.serve import receive, send
from resnet_search.report import statistics
from resnet_search.report.measured import Measured

BATCH = 250  # images of 32 x 32 at once, fewer of larger ones
_PIXELS = BATCH * 32 * 32
_FEW = 5  # classes among which the best five are no achievement


def batch_size(height: int, width: int) -> int:
    """How many images of this size are run at once."""
    return min(BATCH, max(1, _PIXELS // (height * width)))


def probabilities_of(saved_model: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The probabilities (N, classes) that a SavedModel gives for raw images (N, H, W, C).

    It runs in a fresh process, on the processor, where neither Keras nor this package can be imported. `images` may be
    mapped from a file: they are read batch by batch. `ExportError` if it cannot be loaded, or gives something else.
    """
    size = batch_size(*images.shape[1:3])
    with running(saved_model) as run:
        return np.concatenate([run(images[start : start + size]) for start in range(0, len(images), size)])


@contextmanager
def running(saved_model: Path) -> Iterator[Callable[[NDArray[np.uint8]], NDArray[np.float32]]]:
    """A function from a batch of images to its probabilities, in one such process that lives as long as the block."""
    with tempfile.TemporaryFile() as said:
        # -P: the script's own folder holds modules of this package, and is not to be searched for imports.
        child = subprocess.Popen(
            [sys.executable, "-P", serve.__file__, str(saved_model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
        )
        questions, answers = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)

        def run(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
            with suppress(BrokenPipeError):
                send(questions, batch)
            found = receive(answers)
            if found is None:
                raise _failed(saved_model, child.wait(), said)
            return _checked(found, len(batch))

        try:
            yield run
        finally:
            child.kill()
            child.wait()
            answers.close()
            # What is left in its buffer finds no reader.
            with suppress(BrokenPipeError):
                questions.close()


def _checked(found: NDArray[np.float32], images: int) -> NDArray[np.float32]:
    if found.dtype != np.float32 or found.shape != (images, found.size // images) or not np.isfinite(found).all():
        raise ExportError(
            f"the SavedModel gives {found.dtype} of shape {found.shape} for {images} images, or what is not finite; "
            "allowed: finite float32 of shape (images, classes)",
            "It was changed since it was exported: export it again.",
        )
    return found


def _failed(saved_model: Path, status: int, said: IO[bytes]) -> ExportError:
    said.seek(0)
    last = (said.read().decode(errors="replace").strip().splitlines() or ["without a word"])[-1][:400]
    if status == serve.UNLOADABLE:
        return ExportError(f"{saved_model}: cannot be loaded: {last}", "Export the network again.")
    how = f"was ended by signal {-status}" if status < 0 else f"failed: {last}"
    return ExportError(
        f"{saved_model}: the process that runs it {how}",
        "resnet-search doctor shows the versions and the memory there is.",
    )


def measure(probabilities: NDArray[np.float32], labels: NDArray[np.integer], classes: Sequence[str]) -> Measured:
    """What probabilities (N, classes) say of images whose classes `labels` (N,) are known; N is at least 1."""
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    images, count = len(labels), len(classes)
    matrix = statistics.confusion_matrix(predicted, labels, count)
    of_class = matrix.sum(axis=1)
    top5 = statistics.right_in_top(probabilities, labels, _FEW) if count > _FEW else None
    return Measured(
        images=images,
        classes=tuple(classes),
        top1=statistics.share(int(right.sum()), images),
        top5=None if top5 is None else statistics.share(top5, images),
        per_class=tuple(
            statistics.share(int(matrix[at, at]), int(of_class[at])) if of_class[at] else None for at in range(count)
        ),
        confusion=tuple(tuple(map(int, row)) for row in matrix),
        calibration=statistics.calibration(probabilities.max(axis=1), right),
    )
