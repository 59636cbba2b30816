"""The speed of a machine, from the trials that it has trained, and the times of plans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resnet_search.networks.complexity import Complexity
from resnet_search.runs import speed
from resnet_search.runs.speed import (
    DEFAULT,
    MEASURED,
    NEAR,
    ON_A_GPU,
    Pacing,
    Trained,
    joined,
    machine_speed,
    speed_from,
)
from resnet_search.spaces.load import load_space, parse_space
from resnet_search.spaces.plan import make_plan
from resnet_search.spaces.timing import EXPORT_SECONDS, START_SECONDS, Crew, Estimate, Images, Speed, estimate
from tests.cli.conftest import make_run
from tests.faults.table import fault

_FILE = Path(__file__).parents[1] / "golden" / "recorded_times.json"
RECORDED = {one["name"]: one for one in json.loads(_FILE.read_text())}
SMALL, LARGE = Complexity(5_000, 100, 900_000, 30_000), Complexity(270_000, 1_400, 40_000_000, 200_000)
IMAGES = Images(3_200, 800)


def recorded_estimate(one: dict[str, Any]) -> Estimate:
    """What `plan` would have said before a recorded run, after those that came before it on that machine."""
    space = parse_space(one["space"], "recorded").with_settings(**one.get("hyperband", {}))
    speeds, name = list[Speed](), one["after"]
    while name is not None:
        before = RECORDED[name]
        trials = [Trained(Complexity(0, 0, *cost), epochs, took) for *cost, epochs, took in before["trials"]]
        speeds.append(speed_from(trials, images_of(before), crew_of(before), DEFAULT, name))
        name = before["after"]
    known = joined(speeds, DEFAULT) if speeds else DEFAULT
    return estimate(make_plan(space), known, images_of(one), crew_of(one))


def images_of(one: dict[str, Any]) -> Images:
    return Images(one["train"], one["validation"])


def crew_of(one: dict[str, Any]) -> Crew:
    return Crew(one["workers"], one["threads"], one["processors"])


@fault(
    "use",
    "`plan` estimates a time from a few tiny trials",
    here="set-up and training are estimated apart, for the workers of the search, and with a range",
)
def test_the_times_of_recorded_runs_are_in_their_ranges() -> None:
    """At least 8 of 10, and the ranges are not so wide that they say nothing."""
    estimates = {name: recorded_estimate(one) for name, one in RECORDED.items()}
    inside = [name for name, found in estimates.items() if found.low <= RECORDED[name]["seconds"] <= found.high]
    assert len(RECORDED) >= 10
    assert len(inside) >= 0.8 * len(RECORDED), set(RECORDED) - set(inside)
    for name, found in estimates.items():
        # Without the start and the export, a large part of short runs.
        widest = 20 if RECORDED[name]["after"] is None else 12
        assert found.high - START_SECONDS - EXPORT_SECONDS <= widest * found.low, name


def took(known: Speed, cost: Complexity, epochs: int) -> Trained:
    return Trained(cost, epochs, known.trial_seconds + epochs * known.epoch_seconds(cost, IMAGES))


def test_setting_up_and_training_are_told_apart_where_the_trials_show_them() -> None:
    known = Speed(2 * DEFAULT.trial_seconds, DEFAULT.mac_seconds / 2, DEFAULT.activation_seconds / 2, 1.0, "")
    trials = [took(known, cost, epochs) for cost in (SMALL, LARGE) for epochs in (1, 3, 9) for _ in range(20)]
    found = speed_from(trials, IMAGES, Crew(), DEFAULT, "here")
    assert found.trial_seconds == pytest.approx(known.trial_seconds, rel=0.2)
    assert found.mac_seconds == pytest.approx(known.mac_seconds, rel=0.2)
    assert (found.error, found.source) == (MEASURED, "here")


@pytest.mark.parametrize("count", [3, 4, 50])
def test_tiny_trials_do_not_make_large_networks_cheap(count: int) -> None:
    """Their time is that of their start; the speed of large networks stays within a factor of what is assumed."""
    for slower in (0.5, 1.0, 3.0):
        tiny = Complexity(0, 0, 200_000, 9_000)
        trials = [Trained(tiny, 1, slower * (5.0 + 0.01 * number)) for number in range(count)]
        found = speed_from(trials, Images(100, 20), Crew(), DEFAULT, "")
        assert found.trial_seconds == pytest.approx(5.0 * slower, rel=0.3)
        assumed = slower * DEFAULT.epoch_seconds(LARGE, IMAGES)
        assert found.epoch_seconds(LARGE, IMAGES) == pytest.approx(assumed, rel=0.5)


def test_runs_that_differ_make_times_less_certain() -> None:
    slow, fast = (Speed(seconds, seconds * 1e-11, seconds * 1e-9, MEASURED, f"in {seconds}") for seconds in (16.0, 4.0))
    found = joined([slow, fast], DEFAULT)
    assert found.trial_seconds == pytest.approx(8.0)
    assert found.mac_seconds / slow.mac_seconds == pytest.approx(0.5)
    assert found.error == pytest.approx(2 * MEASURED)
    assert joined([slow, slow], DEFAULT).error == pytest.approx(MEASURED)
    assert joined([slow], DEFAULT).source == "in 16.0"
    assert joined([slow, fast, fast, slow], DEFAULT) == joined([slow, fast, fast], DEFAULT)


def test_more_workers_take_less_time_until_they_share_the_processors() -> None:
    plan = make_plan(load_space("quickstart", Path("no-such-folder")))
    alone, two, eight = (estimate(plan, DEFAULT, IMAGES, Crew(workers, 1, 8)).likely for workers in (1, 2, 8))
    assert alone > 1.5 * two > 1.5 * 1.5 * eight
    crowded = estimate(plan, DEFAULT, IMAGES, Crew(8, 1, 2)).likely
    assert crowded >= 0.99 * estimate(plan, DEFAULT, IMAGES, Crew(2, 1, 2)).likely
    for workers in (1, 2, 8, 64):
        found = estimate(plan, DEFAULT, IMAGES, Crew(workers, 1, 64))
        longest = DEFAULT.trial_seconds + plan.brackets[-1].rungs[-1].epochs * min(
            DEFAULT.epoch_seconds(cost, IMAGES) for cost in plan.feasible.costs
        )
        assert longest / DEFAULT.error / 2 < found.low < found.likely < found.high


def test_known_networks_take_their_time() -> None:
    plan = make_plan(load_space("quickstart", Path("no-such-folder")))
    without, beside = (estimate(plan, DEFAULT, IMAGES, Crew(), known) for known in ((), (LARGE,)))
    last = plan.brackets[-1].rungs[-1].epochs
    own = DEFAULT.trial_seconds + last * DEFAULT.epoch_seconds(LARGE, IMAGES)
    assert beside.likely - without.likely == pytest.approx(own)


def test_the_latest_run_of_this_machine_and_device_counts(tmp_path: Path) -> None:
    assert machine_speed(tmp_path, [SMALL]) is DEFAULT
    make_run(tmp_path, "here", created="2026-01-01")
    make_run(tmp_path, "elsewhere", created="2026-01-02", machine={"host": "another"})
    make_run(tmp_path, "short", created="2026-01-03", stop_after=1)
    damaged = make_run(tmp_path, "damaged", created="2026-01-04")
    damaged.events.write_text("[]\n")
    for number in range(8):  # However many there are that say nothing.
        make_run(tmp_path, f"empty-{number}", created="2026-01-05", stop_after=0)
    found = machine_speed(tmp_path, [SMALL])
    assert (found.source, found.error) == ("measured in here", MEASURED)
    assert machine_speed(tmp_path, [SMALL], "cpu") == found
    assert machine_speed(tmp_path, [SMALL], "gpu") is ON_A_GPU


def test_a_run_on_the_processor_says_nothing_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, "here")
    assert machine_speed(tmp_path, [SMALL], "auto").source == "measured in here"
    monkeypatch.setattr(speed, "nvidia_gpus", lambda: ["NVIDIA H200"])
    assert machine_speed(tmp_path, [SMALL], "auto") is ON_A_GPU
    assert machine_speed(tmp_path, [SMALL], "cpu").source == "measured in here"
    workers = {"slots": 2, "threads": 1, "precision": "mixed_bfloat16", "jit": True, "device": "gpu"}
    make_run(tmp_path, "there", workers=workers)
    assert machine_speed(tmp_path, [SMALL], "auto").source == "measured in there"
    assert machine_speed(tmp_path, [SMALL], "cpu").source == "measured in here"


def test_times_of_networks_of_another_size_are_less_certain(tmp_path: Path) -> None:
    make_run(tmp_path, "here")
    near, far = (machine_speed(tmp_path, [Complexity(0, 0, macs, macs // 100)]) for macs in (3 * 10**6, NEAR * 10**8))
    assert (near.error, far.error) == (MEASURED, DEFAULT.error)
    assert near.mac_seconds == far.mac_seconds
    assert "another size" in far.source


def test_workers_and_threads_of_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    from resnet_search.workers.cluster import Cluster

    monkeypatch.setattr(speed, "processors", lambda: 8)
    monkeypatch.setattr(speed, "nvidia_gpus", list)
    assert speed.crew_of(2, None, "cpu", 0) == Crew(2, 4, 8)
    assert speed.crew_of(2, 1, "auto", 0) == Crew(2, 1, 8)
    assert speed.crew_of(16, None, "cpu", 0).share == 0.5
    assert speed.crew_of(Cluster.from_word("ray"), None, "auto", 0).workers == 1
    monkeypatch.setattr(speed, "nvidia_gpus", lambda: ["one", "two"])
    assert speed.crew_of(4, None, "auto", 0) == Crew(4, 1, 2)


def trials(*work: tuple[int, int], mac_seconds: float, trial_seconds: float) -> Iterator[Any]:
    for macs, epochs in work:
        seconds = macs * epochs * mac_seconds + trial_seconds - 1.0
        yield SimpleNamespace(
            status="completed",
            was_trained=True,
            macs=macs,
            trained_epochs=epochs,
            setup_seconds=1.0,
            train_seconds=seconds,
        )


def pace_of(ended: Iterator[Any]) -> Any:
    pacing = Pacing()
    for trial in ended:
        pacing.add(trial)
    return pacing.pace


def test_a_pace_has_a_part_for_each_epoch_and_one_for_each_trial() -> None:
    pace = pace_of(trials((10**6, 1), (3 * 10**6, 2), (2 * 10**6, 9), mac_seconds=1e-6, trial_seconds=4.0))
    assert pace.seconds_per_mac_epoch == pytest.approx(1e-6)
    assert pace.trial_seconds == pytest.approx(4.0)


def test_a_pace_never_runs_backwards() -> None:
    assert pace_of(trials((10**6, 1), (2 * 10**6, 1), mac_seconds=1e-6, trial_seconds=4.0)) is None
    same = pace_of(trials(*[(10**6, 1)] * 5, mac_seconds=1e-6, trial_seconds=4.0))
    falling = pace_of(trials((10**6, 1), (2 * 10**6, 1), (3 * 10**6, 1), mac_seconds=-1e-6, trial_seconds=9.0))
    cheap = pace_of(trials((10**6, 1), (2 * 10**6, 1), (3 * 10**6, 1), mac_seconds=1e-5, trial_seconds=-1.0))
    for pace in (same, falling, cheap):
        assert pace is not None
        assert pace.seconds_per_mac_epoch > 0
        assert pace.trial_seconds == 0
