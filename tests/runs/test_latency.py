from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from resnet_search.runs import latency
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.latency import FILE, Latency, alone, keep_latency, machine, processors, read_latencies

ONE = Latency(device="cpu", batch=1, p50=1.5, p99=2.5, throughput=600.0, calls=1000, threads=2)
MANY = Latency(device="cpu", batch=128, p50=40.0, p99=55.0, throughput=3100.0, calls=50, threads=2)
GPU = Latency(device="H200", batch=1, p50=0.5, p99=0.7, throughput=1900.0, calls=1000, threads=2)


def test_what_is_kept_is_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert read_latencies(folder) == {}
    keep_latency(folder, "0001", [MANY])
    keep_latency(folder, "0002", [ONE, MANY])
    keep_latency(folder, "0001", [GPU, ONE])
    assert read_latencies(folder) == {"0001": (GPU, ONE), "0002": (ONE, MANY)}
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_times_of_another_machine_are_kept_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    keep_latency(folder, "0001", [ONE])
    with monkeypatch.context() as patch:
        patch.setattr(latency, "machine", lambda: "another")
        assert read_latencies(folder) == {}
        keep_latency(folder, "0001", [MANY])
    assert read_latencies(folder) == {"0001": (ONE,)}


def test_the_time_of_one_image_on_the_processor() -> None:
    assert alone([GPU, MANY, ONE]) == 1.5
    assert alone([GPU, MANY]) is None


def test_the_machine_is_named() -> None:
    count, _, model = machine().partition(" of ")
    assert int(count) == processors()
    assert model


@pytest.mark.parametrize(
    "found",
    [
        None,
        "text",
        [1],
        [{"device": "cpu"}],
        [{**asdict(ONE), "p50": "1.5"}],
        [{**asdict(ONE), "p50": float("nan")}],
        [{**asdict(ONE), "batch": 0}],
        [{**asdict(ONE), "device": 3}],
        [{**asdict(ONE), "more": 3}],
    ],
)
def test_what_is_damaged_is_as_good_as_not_measured(tmp_path: Path, found: Any) -> None:
    (tmp_path / FILE).write_text(json.dumps({machine(): {"0001": found, "0002": [asdict(ONE)]}}))
    assert read_latencies(RunFolder(tmp_path)) == {"0002": (ONE,)}


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"x": 1}'])
def test_a_damaged_file_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    folder = RunFolder(tmp_path)
    assert read_latencies(folder) == {}
    keep_latency(folder, "0001", [ONE])
    assert read_latencies(folder) == {"0001": (ONE,)}


def test_a_run_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    keep_latency(RunFolder(tmp_path / "gone"), "0001", [ONE])
    assert not (tmp_path / "gone").exists()
