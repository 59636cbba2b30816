"""Run an exported network on images with TensorFlow alone, and measure it on labelled images."""

from __future__ import annotations

import subprocess
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
from resnet_search.processes import PYTHON, safe_environment
from resnet_search.reading import check_tree
from resnet_search.report import statistics
from resnet_search.report.measured import Measured

BATCH = 250  # images of 32 x 32 at once, fewer if they are larger
_PIXELS = BATCH * 32 * 32
_FEW = 5  # classes; with so few, top-5 accuracy is always 1


def batch_size(height: int, width: int) -> int:
    """Return how many images of this size to run at once."""
    return min(BATCH, max(1, _PIXELS // (height * width)))


def probabilities_of(saved_model: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probabilities (N, classes) of a SavedModel for raw images (N, H, W, C).

    It runs in a fresh process on the processor, where neither Keras nor this package can be imported. `images` may be
    mapped from a file, since they are read in batches. `ExportError` if the model cannot be loaded or its output is
    invalid.
    """
    size = batch_size(*images.shape[1:3])
    with running(saved_model) as run:
        return np.concatenate([run(images[start : start + size]) for start in range(0, len(images), size)])


@contextmanager
def running(saved_model: Path) -> Iterator[Callable[[NDArray[np.uint8]], NDArray[np.float32]]]:
    """Give a function from a batch of images to probabilities; its process lives as long as the block."""
    try:
        check_tree(saved_model)
    except OSError as error:
        raise ExportError(f"{error.filename}: {error.strerror}", "Export the network again.") from error
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            [*PYTHON, serve.__file__, str(saved_model)],
            env=safe_environment(),
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
            # Nobody reads the rest of its buffer.
            with suppress(BrokenPipeError):
                questions.close()


def _checked(found: NDArray[np.float32], images: int) -> NDArray[np.float32]:
    if found.dtype != np.float32 or found.shape != (images, found.size // images) or not np.isfinite(found).all():
        raise ExportError(
            f"the SavedModel gives {found.dtype} of shape {found.shape} for {images} images, or values not finite; "
            "allowed: finite float32 of shape (images, classes)",
            "It was changed after the export: export it again.",
        )
    return found


def _failed(saved_model: Path, status: int, said: IO[bytes]) -> ExportError:
    said.seek(0)
    last = (said.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1][:400]
    if status == serve.UNLOADABLE:
        return ExportError(f"{saved_model}: cannot be loaded: {last}", "Export the network again.")
    how = f"was ended by signal {-status}" if status < 0 else f"failed: {last}"
    return ExportError(
        f"{saved_model}: the process that runs it {how}",
        "resnet-search doctor shows the versions and the available memory.",
    )


def measure(probabilities: NDArray[np.float32], labels: NDArray[np.integer], classes: Sequence[str]) -> Measured:
    """Measure probabilities (N, classes) against the true classes `labels` (N,); N is at least 1."""
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
