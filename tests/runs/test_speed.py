"""The speed of a machine, from the trials that it has trained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resnet_search.errors import DataError
from resnet_search.runs.speed import DEFAULT, NEAR, TRAIN_IMAGES, machine_speed, pace_of, training_images
from resnet_search.runs.trials import read_run
from resnet_search.spaces.plan import PASSES
from resnet_search.spaces.schema import Data
from resnet_search.training.datasets import shapes
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
    speed = machine_speed(tmp_path, MACS)
    assert speed.source == "measured in here"
    pace = pace_of(read_run(run).trials.values())
    assert pace is not None
    assert speed.macs_per_second == pytest.approx(PASSES * 3200 / pace.seconds_per_mac_epoch)
    assert machine_speed(tmp_path, MACS, "cpu") == speed
    assert machine_speed(tmp_path, MACS, "gpu") is DEFAULT


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


def test_images_that_a_search_trains_on() -> None:
    assert TRAIN_IMAGES["shapes"] == shapes.TRAIN
    assert training_images(Data(source="cifar10", validation=5000), None) == 45_000
    assert training_images(Data(source="shapes", validation=0.2), None) == 3200
    assert training_images(Data(source="./photos"), None) is None
    assert training_images(Data(source="./photos"), 400) == 400
    assert training_images(Data(source="shapes"), 400) == 400


@pytest.mark.parametrize(
    ("source", "validation", "train_examples", "said"),
    [
        ("shapes", 5000, None, "validation: 5000 images of 4000 training images"),
        ("cifar10", 9, None, "allowed is a number of images from 10"),
        ("shapes", 0.1, 100_000, "train_examples: 100000"),
        ("shapes", 0.1, 3, "from 10 (one a class) to 3600"),
    ],
)
def test_images_that_there_are_not(source: str, validation: float, train_examples: int | None, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        training_images(Data(source=source, validation=validation), train_examples)
