from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resnet_search.export import latency
from resnet_search.export.build import Request
from resnet_search.export.make import images_of
from resnet_search.runs.latency import Latency, read_latencies
from resnet_search.runs.trials import RunView
from resnet_search.training.job import WEIGHTS
from tests.faults.table import fault

MakeView = Callable[..., RunView]
ONE = Latency(device="cpu", batch=1, p50=1.5, p99=2.5, throughput=600.0, calls=1000, threads=2)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What was built, instead of building and running it."""
    asked: list[Request] = []

    def run_file(made: Any, model: Path, images: Path, work: Path) -> Any:
        assert images.is_file()
        return SimpleNamespace(latencies=(ONE,))

    monkeypatch.setattr(latency, "build_saved_model", asked.append)
    monkeypatch.setattr(latency, "run_file", run_file)
    return asked


def test_a_trial_is_measured_once(make_view: MakeView, built: list[Request]) -> None:
    view, told = make_view(), []
    images = images_of(view)
    for _ in range(2):
        assert latency.latency_of(view, view.trials["0000"], images, told.append) == 1.5
    assert read_latencies(view.folder) == {"0000": (ONE,)}
    assert told == ["measuring trial 0000 as saved_model"]
    (request,) = built
    assert request.members[0].architecture == view.trials["0000"].architecture
    assert not Path(request.saved_model).parent.exists()


@fault(
    "use",
    "A limit on the latency is given for a network in another format",
    here="candidates are measured in that format and its runtime, and the export says so",
)
def test_each_format_is_measured_and_kept_by_itself(
    make_view: MakeView, built: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    view, converted = make_view(), []
    times = {"saved_model": 5.0, "keras": 4.0, "litert-int8": 0.25}
    monkeypatch.setattr(latency, "convert", lambda made, *_: converted.append(made.name))
    monkeypatch.setattr(
        latency, "run_file", lambda made, *_: SimpleNamespace(latencies=(replace(ONE, p50=times[made.name]),))
    )
    images, trial = images_of(view), view.trials["0000"]

    def time(*names: str) -> float:
        return latency.latency_of(view, trial, images, lambda _: None, latency.timed_formats(names))

    assert (time("litert-int8"), time(), time("litert-int8", "keras"), time("keras")) == (0.25, 5.0, 4.0, 4.0)
    assert converted == ["litert-int8"]
    assert [bool(request.keras) for request in built] == [False, False, True]
    assert read_latencies(view.folder)["0000"][0].p50 == 5.0
    assert read_latencies(view.folder, "litert-int8")["0000"][0].p50 == 0.25
    assert list(read_latencies(view.folder)) == ["0000"], "names of formats are no trials"


def test_trials_without_weights_are_passed_over(make_view: MakeView, built: list[Request]) -> None:
    view = make_view()
    (view.folder.trial("0000") / WEIGHTS).unlink()
    latency.measure(view, view.ranking(), lambda _: None)
    assert built == []
    assert read_latencies(view.folder) == {}
