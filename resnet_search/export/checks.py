"""The checks that an exported model must pass before it is kept; pure comparisons of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnet_search.errors import ExportError
from resnet_search.export.formats import Format
from resnet_search.networks.precision import FLOAT32, MIXED, WIDE
from resnet_search.report.units import percent

# Largest difference of a probability from Keras's own: float32 resolves 1e-7, the rest allows for the order of sums.
TOLERANCE = 1e-5
# An 8-bit network should predict the same class for this share of the images.
LEAST_AGREEMENT = 0.98
# Share of the validation images by which the number of right answers may differ from the trial's score. With the same
# weights, only images whose two best classes are nearly tied can change. In float32, where logits agree to about 1e-6,
# there are very few. In bfloat16, with 8 bits of precision, six networks changed their answer on 0.5 to 1.8 % of
# 1,000 images (and their accuracy by at most 0.2 %; measured close to chance, where classes are closest).
_ACCURACY_TOLERANCE = {FLOAT32: 0.001, MIXED: 0.02, WIDE: 0.02}
# At least so many images, also where the share of few images is less.
_IMAGES_TOLERANCE = 2


def difference(outputs: NDArray[Any], expected: NDArray[Any], made: Format) -> float:
    """Return the largest difference between two sets of probabilities, (images, classes).

    `ExportError` if a format that computes in float32 differs by more than TOLERANCE, or if outputs are not
    probabilities of this shape and type.
    """
    if outputs.shape != expected.shape or outputs.dtype != np.float32:
        raise _rejected(
            made,
            f"gives {outputs.dtype} of shape {outputs.shape}; "
            f"the trained model gives float32 of shape {expected.shape}",
        )
    if not np.isfinite(outputs).all():
        raise _rejected(made, "gives probabilities that are not finite")
    largest = float(np.abs(outputs.astype(np.float64) - expected).max())
    if made.exact and not largest <= TOLERANCE:
        raise _rejected(
            made,
            f"differs from the trained model by up to {largest:.2g} in the probabilities of {len(outputs):,} images; "
            f"allowed: {TOLERANCE:g}",
        )
    return largest


def agreement(outputs: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the share of images (first axis) for which both have the same most probable class."""
    return float(np.mean(outputs.argmax(axis=1) == expected.argmax(axis=1)))


def accuracy(labels: NDArray[Any], truth: NDArray[Any], *, score: float, precision: str, trial: str) -> float:
    """Return the share of `labels` (images,) that are right; `ExportError` if it does not match the trial's score."""
    images, right = len(truth), int(np.sum(labels == truth))
    allowed = max(round(_ACCURACY_TOLERANCE.get(precision, 0.0) * images), _IMAGES_TOLERANCE)
    if abs(right - round(score * images)) > allowed:
        raise ExportError(
            f"trial {trial}: its weights classify {right:,} of {images:,} validation images correctly, but its score "
            f"is {percent(score)}; allowed: a difference of {allowed} images",
            "The weights file was changed after training; export another trial with --trial.",
        )
    return right / images


def _rejected(made: Format, what: str) -> ExportError:
    return ExportError(
        f"the reloaded {made.name} {what}", "Nothing was exported; resnet-search doctor shows the versions in use."
    )
