from __future__ import annotations

import numpy as np
import pytest

from resnet_search.errors import ExportError
from resnet_search.export.checks import accuracy, agreement, difference
from resnet_search.export.formats import FORMATS

EXPECTED = np.full((4, 2), 0.5, "float32")
EXACT = [made for made in FORMATS.values() if made.name != "litert-int8"]
INT8 = FORMATS["litert-int8"]


def test_a_small_difference_is_measured() -> None:
    outputs = EXPECTED.copy()
    outputs[2, 1] += 3e-6
    assert difference(outputs, EXPECTED, FORMATS["onnx"]) == pytest.approx(3e-6, rel=0.1)


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        (EXPECTED + np.float32(2e-5), "2e-05 .*4 images"),
        (EXPECTED[:3], "shape \\(3, 2\\)"),
        (EXPECTED.astype("float64"), "float64"),
        (np.full((4, 2), np.nan, "float32"), "not finite"),
    ],
)
def test_other_outputs_are_refused(outputs: np.ndarray, reason: str) -> None:
    for made in EXACT:
        with pytest.raises(ExportError, match=f"{made.name} .*{reason}"):
            difference(outputs, EXPECTED, made)


def test_eight_bits_may_differ_and_are_probabilities_all_the_same() -> None:
    assert difference(EXPECTED + np.float32(0.25), EXPECTED, INT8) == 0.25
    with pytest.raises(ExportError, match=r"litert-int8 .*not finite"):
        difference(np.full((4, 2), np.nan, "float32"), EXPECTED, INT8)
    with pytest.raises(ExportError, match="uint8"):
        difference(np.zeros((4, 2), "uint8"), EXPECTED, INT8)


def test_agreement_is_of_classes() -> None:
    outputs = np.array([[0.1, 0.9], [0.6, 0.4], [0.3, 0.7], [0.0, 1.0]], "float32")
    expected = np.array([[0.4, 0.6], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]], "float32")
    assert agreement(outputs, expected) == 0.75


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
    with pytest.raises(ExportError, match=f"trial 0001: .*{right} of 1,000 .*90.00 %"):
        accuracy(labels(right), TRUTH, score=0.9, precision=precision, trial="0001")
