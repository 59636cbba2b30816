from __future__ import annotations

import json

import numpy as np
import pytest

from resnet_search.report.document import Document, Section, Table
from resnet_search.report.markdown import to_markdown
from resnet_search.report.measured import Bin, Calibration, Estimate, Measured
from resnet_search.report.tested import ledger, on_test_images

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


def text(*sections: Section) -> str:
    return to_markdown(Document("t", (), sections))


def tables(sections: tuple[Section, ...]) -> list[Table]:
    return [block for section in sections for block in section.blocks if isinstance(block, Table)]


def test_measured_survives_json():
    assert Measured.from_dict(json.loads(json.dumps(THREE.to_dict()))) == THREE
    with pytest.raises((KeyError, TypeError)):
        Measured.from_dict({**THREE.to_dict(), "calibration": {}})


def test_every_number_has_its_interval():
    said = text(*on_test_images(THREE))
    assert "On 20 test images." in said
    assert "| Top-1 accuracy | 50.00 % | 40.00 to 60.00 % |" in said
    assert "Top-5" not in said
    assert "Top-5 accuracy" in text(*on_test_images(make_measured([[1] * 6] * 6)))


def test_classes_come_with_the_worst_first_and_absent_ones_are_named():
    said = text(*on_test_images(THREE))
    assert said.index("| `c1` | 10 | 30.00 % | 15.00 to 65.00 % | `c0` (5) |") < said.index("| `c0` | 10 | 80.00 % |")
    assert "Of these classes there was no image:\n\n- `c2`" in said


def test_a_small_matrix_is_shown_whole():
    assert "| `c1` | 5 | **3** | 2 |" in text(*on_test_images(THREE))


def test_of_many_classes_the_most_confused_pairs_are_shown():
    matrix = (np.eye(30, dtype=int) * 50).tolist()
    matrix[3][7], matrix[9][1] = 4, 6
    sections = on_test_images(make_measured(matrix))
    said = text(*sections)
    assert "The most frequent of 2 confusions." in said
    assert said.index("| `c9` | `c1` | 6 | 56 |") < said.index("| `c3` | `c7` | 4 | 54 |")
    assert "The 20 least accurate of 30 classes." in said
    assert max(len(table.rows) for table in tables(sections)) == 20
    assert max(len(table.header) for table in tables(sections)) == 5


def test_many_classes_without_a_confusion():
    said = text(*on_test_images(make_measured((np.eye(25, dtype=int) * 2).tolist())))
    assert "No image was taken for one of another class." in said


def test_calibration_is_judged_against_chance():
    assert "more than chance; on the whole it is more sure than right, by 35.00" in text(*on_test_images(THREE))
    quiet = make_measured([[1, 1], [1, 1]], error=0.01)
    assert "no more than a perfectly calibrated network" in text(*on_test_images(quiet))


READ = {"time": 1_790_000_000.0, "command": ["resnet-search", "train", "my run"], "network": "a|b", "images": 10_000}


def test_the_ledger_says_every_read():
    said = text(ledger([READ, {**READ, "images": 5}]))
    assert "The test images were read 2 times." in said
    assert "| 2026\\-09-21 14:13:20 UTC | `resnet-search train 'my run'` | a\\|b | 10,000 |" in said
    assert said.count("UTC") == 2


def test_the_ledger_says_that_there_was_none():
    assert "The test images were read 0 times: no number here is of them." in text(ledger([]))
    assert "read once." in text(ledger([READ]))
