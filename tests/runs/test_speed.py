"""The speed of a machine, from the trials that it has trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resnet_search.runs import speed
from resnet_search.runs.speed import DEFAULT, NEAR, ON_A_GPU, machine_speed, pace_of
from resnet_search.runs.trials import read_run
from resnet_search.spaces.plan import PASSES
from tests.cli.conftest import make_run

MACS = 3e6  # about those of the networks of quickstart


def trials(*work: tuple[int, int], mac_seconds: float, trial_seconds: float) -> Iterator[Any]:
    for macs, epochs in work:
        seconds = macs * epochs * mac_seconds + trial_seconds - 1.0
        yield SimpleNamespace(
            status="completed", reused=False, macs=macs, trained_epochs=epochs, setup_seconds=1.0, train_seconds=seconds
        )


def test_a_pace_has_a_part_for_each_epoch_and_one_for_each_trial() -> None:
    pace = pace_of(trials((10**6, 1), (3 * 10**6, 2), (2 * 10**6, 9), mac_seconds=1e-6, trial_seconds=4.0))
    assert pace is not None
    assert pace.seconds_per_mac_epoch == pytest.approx(1e-6)
    assert pace.trial_seconds == pytest.approx(4.0)


def test_a_pace_never_runs_backwards() -> None:
    few = list(trials((10**6, 1), (2 * 10**6, 1), mac_seconds=1e-6, trial_seconds=4.0))
    assert pace_of(few) is None
    same = pace_of(trials(*[(10**6, 1)] * 5, mac_seconds=1e-6, trial_seconds=4.0))
    falling = pace_of(trials((10**6, 1), (2 * 10**6, 1), (3 * 10**6, 1), mac_seconds=-1e-6, trial_seconds=9.0))
    cheap = pace_of(trials((10**6, 1), (2 * 10**6, 1), (3 * 10**6, 1), mac_seconds=1e-5, trial_seconds=-1.0))
    for pace in (same, falling, cheap):
        assert pace is not None
        assert pace.seconds_per_mac_epoch > 0
        assert pace.trial_seconds == 0


def test_the_latest_run_of_this_machine_and_device_counts(tmp_path: Path) -> None:
    assert machine_speed(tmp_path, MACS) is DEFAULT
    run = make_run(tmp_path, "here", created="2026-01-01")
    make_run(tmp_path, "elsewhere", created="2026-01-02", machine={"host": "another"})
    make_run(tmp_path, "short", created="2026-01-03", stop_after=1)
    damaged = make_run(tmp_path, "damaged", created="2026-01-04")
    damaged.events.write_text("[]\n")
    for number in range(8):  # However many there are that say nothing.
        make_run(tmp_path, f"empty-{number}", created="2026-01-05", stop_after=0)
    found = machine_speed(tmp_path, MACS)
    assert found.source == "measured in here"
    pace = pace_of(read_run(run).trials.values())
    assert pace is not None
    assert found.macs_per_second == pytest.approx(PASSES * 3200 / pace.seconds_per_mac_epoch)
    assert machine_speed(tmp_path, MACS, "cpu") == found
    assert machine_speed(tmp_path, MACS, "gpu") is ON_A_GPU


def test_a_run_on_the_processor_says_nothing_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, "here")
    assert machine_speed(tmp_path, MACS, "auto").source == "measured in here"
    monkeypatch.setattr(speed, "nvidia_gpus", lambda: ["NVIDIA H200"])
    assert machine_speed(tmp_path, MACS, "auto") is ON_A_GPU
    assert machine_speed(tmp_path, MACS, "cpu").source == "measured in here"
    workers = {"slots": 2, "threads": 1, "precision": "mixed_bfloat16", "jit": True, "device": "gpu"}
    make_run(tmp_path, "there", workers=workers)
    assert machine_speed(tmp_path, MACS, "auto").source == "measured in there"
    assert machine_speed(tmp_path, MACS, "cpu").source == "measured in here"


def test_a_run_says_nothing_of_networks_of_another_size(tmp_path: Path) -> None:
    run = make_run(tmp_path, "here")
    done = [trial for trial in read_run(run).trials.values() if trial.status == "completed"]
    mean = sum(trial.macs for trial in done) / len(done)
    for near in (mean, 0.99 * NEAR * mean, 1.01 * mean / NEAR):
        assert machine_speed(tmp_path, near).source == "measured in here"
    for far in (1.01 * NEAR * mean, 0.99 * mean / NEAR):
        assert machine_speed(tmp_path, far) is DEFAULT
    assert f"within {NEAR} times" in DEFAULT.source


def test_workers_count_together(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    workers = {"slots": 2, "threads": 1, "precision": "float32", "jit": False, "device": "cpu"}
    make_run(tmp_path / "two", workers=workers)
    one, two = machine_speed(tmp_path / "one", MACS), machine_speed(tmp_path / "two", MACS)
    assert two.macs_per_second == pytest.approx(2 * one.macs_per_second)
