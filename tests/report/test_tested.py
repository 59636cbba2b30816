from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from resnet_search.report.document import Section, Strong, Table
from resnet_search.report.facts import Duplicates, Facts
from resnet_search.report.learning import Learning, measured_at_chance
from resnet_search.report.measured import Bin, Calibration, Estimate, Measured
from resnet_search.report.tested import ledger, on_test_images, unbiased
from tests.faults.table import fault
from tests.report.reading import prose, rows

NONE = Duplicates()
HALF = Estimate(0.5, 0.4, 0.6)


def make_measured(confusion: list[list[int]], error: float = 0.1, chance: float = 0.02) -> Measured:
    matrix = np.array(confusion)
    images = int(matrix.sum())
    shares = [row[at] / sum(row) if sum(row) else None for at, row in enumerate(confusion)]
    return Measured(
        images=images,
        classes=tuple(f"c{at}" for at in range(len(confusion))),
        top1=HALF,
        top5=HALF if len(confusion) > 5 else None,
        per_class=tuple(None if one is None else Estimate(one, one / 2, (1 + one) / 2) for one in shares),
        confusion=tuple(map(tuple, confusion)),
        calibration=Calibration(Estimate(error, 0.0, 0.3), chance, (Bin(0.8, 0.9, images, 0.85, HALF),)),
    )


THREE = make_measured([[8, 2, 0], [5, 3, 2], [0, 0, 0]])


def tables(sections: tuple[Section, ...]) -> list[Table]:
    return [block for section in sections for block in section.blocks if isinstance(block, Table)]


def test_measured_survives_json():
    assert Measured.from_dict(json.loads(json.dumps(THREE.to_dict()))) == THREE
    with pytest.raises((KeyError, TypeError)):
        Measured.from_dict({**THREE.to_dict(), "calibration": {}})


def test_every_number_has_its_interval():
    results, *_ = on_test_images(THREE, NONE)
    assert "20 test images" in prose(results)
    top1, calibration = rows(results)
    assert top1[1:] == ["50.00 %", "40.00 to 60.00 %"]
    assert calibration[1:] == ["10.00 %", "0.00 to 30.00 %"]
    with_top5, *_ = on_test_images(make_measured([[1] * 6] * 6), NONE)
    assert ["Top-5" in row[0] for row in rows(with_top5)] == [False, True, False]


def test_classes_come_with_the_worst_first_and_absent_ones_are_named():
    _, by_class, *_ = on_test_images(THREE, NONE)
    assert rows(by_class) == [
        ["c1", "10", "30.00 %", "15.00 to 65.00 %", "c0 (5)"],
        ["c0", "10", "80.00 %", "40.00 to 90.00 %", "c1 (2)"],
    ]
    assert prose(by_class).splitlines()[-1] == "c2"


def test_a_small_matrix_is_shown_whole():
    _, _, confusion, _ = on_test_images(THREE, NONE)
    [table] = tables((confusion,))
    assert rows(confusion) == [["c0", "8", "2", "0"], ["c1", "5", "3", "2"], ["c2", "0", "0", "0"]]
    assert [row.index(cell) for row in table.rows for cell in row if isinstance(cell, Strong)] == [1, 2, 3]


def test_of_many_classes_the_most_confused_pairs_are_shown():
    matrix = (np.eye(30, dtype=int) * 50).tolist()
    matrix[3][7], matrix[9][1] = 4, 6
    sections = on_test_images(make_measured(matrix), NONE)
    _, by_class, confusion, _ = sections
    assert rows(confusion) == [["c9", "c1", "6", "56"], ["c3", "c7", "4", "54"]]
    assert "2 confusions" in prose(confusion)
    for fact in ("20 least accurate", "30 classes"):
        assert fact in prose(by_class)
    assert max(len(table.rows) for table in tables(sections)) == 20
    assert max(len(table.header) for table in tables(sections)) == 5


def test_many_classes_without_a_confusion():
    _, _, confusion, _ = on_test_images(make_measured((np.eye(25, dtype=int) * 2).tolist()), NONE)
    assert rows(confusion) == []
    assert prose(confusion)


def test_calibration_is_judged_against_chance():
    *_, loud = on_test_images(THREE, NONE)
    assert "35.00 percentage points" in prose(loud)
    *_, quiet = on_test_images(make_measured([[1, 1], [1, 1]], error=0.01), NONE)
    assert "35.00" not in prose(quiet)


READ = {"time": 1_790_000_000.0, "command": ["resnet-search", "train", "my run"], "network": "a|b", "images": 10_000}


def facts(*reads: dict[str, Any], early: int = 0, same: int = 0) -> Facts:
    learnt = Learning(chance=0.1, classes=10, images=1000, networks=1, best=0.9, p=0.0)
    return Facts(
        merged=False, train=3000, validation=1000, test=500, reads=reads, early=early, tested=None,
        duplicates=Duplicates(test_in_train=same), confirmed=None, full=None, learning=learnt,
    )  # fmt: skip


def test_the_ledger_says_every_read():
    section = ledger(facts(READ, {**READ, "images": 5}))
    assert "2 times" in prose(section)
    assert rows(section)[0] == ["2026-09-21 14:13:20 UTC", "resnet-search train 'my run'", "a|b", "10,000"]
    assert [row[-1] for row in rows(section)] == ["10,000", "5"]


def test_the_ledger_says_that_there_was_none():
    assert rows(ledger(facts())) == []
    assert "never read" in prose(ledger(facts()))
    assert "read once" in prose(ledger(facts(READ)))


def test_a_biased_test_accuracy_is_called_so():
    assert "is unbiased" in unbiased(facts(READ))
    for biased in (facts(READ, early=1), facts(READ, same=3), facts(READ, READ)):
        assert "not unbiased" in unbiased(biased)
    assert "3 test images equal a training image" in unbiased(facts(READ, same=3))


@fault(
    "numbers",
    "Test images equal training images",
    here="their number stands beside every test accuracy, which is no longer called unbiased",
)
def test_test_images_that_were_trained_on_stand_beside_the_accuracy():
    results, *_ = on_test_images(THREE, Duplicates(test_in_train=1))
    assert "1 test image equals a training image" in prose(results)


def test_a_test_accuracy_of_chance_is_called_so():
    # The largest of two classes has 10 of 20 images, and half of the images are right.
    assert "chance, 50.00 %" in measured_at_chance(THREE)
    sure = make_measured([[50, 0], [0, 50]])
    assert measured_at_chance(replace(sure, top1=Estimate(1.0, 0.96, 1.0))) == ""
