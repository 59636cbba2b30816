from __future__ import annotations

import numpy as np
import pytest

from resnet_search.errors import ExportError
from resnet_search.export.checks import accuracy, difference

EXPECTED = np.full((4, 2), 0.5, "float32")


def test_a_small_difference_is_measured() -> None:
    outputs = EXPECTED.copy()
    outputs[2, 1] += 3e-6
    assert difference(outputs, EXPECTED) == pytest.approx(3e-6, rel=0.1)


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        (EXPECTED + np.float32(2e-5), "differs from the trained model by 2e-05 in a probability of 4 images"),
        (EXPECTED[:3], "shape \\(3, 2\\)"),
        (EXPECTED.astype("float64"), "gives float64"),
        (np.full((4, 2), np.nan, "float32"), "not finite"),
    ],
)
def test_other_outputs_are_refused(outputs: np.ndarray, reason: str) -> None:
    with pytest.raises(ExportError, match=reason):
        difference(outputs, EXPECTED)


TRUTH = np.zeros(1000, "int64")


def labels(right: int) -> np.ndarray:
    return (np.arange(1000) >= right).astype("int64")


@pytest.mark.parametrize(
    ("right", "precision", "fits"),
    [
        (900, "float32", True),
        (902, "float32", True),
        (903, "float32", False),
        (897, "float32", False),
        (915, "mixed_bfloat16", True),
        (925, "mixed_bfloat16", False),
    ],
)
def test_the_accuracy_is_that_of_the_score(right: int, precision: str, fits: bool) -> None:
    if fits:
        found = accuracy(labels(right), TRUTH, score=0.9, precision=precision, trial="0001")
        assert found == pytest.approx(right / 1000)
        return
    with pytest.raises(ExportError, match=r"trial 0001: with its weights .* of 1,000 validation images are right"):
        accuracy(labels(right), TRUTH, score=0.9, precision=precision, trial="0001")
