from __future__ import annotations

from collections.abc import Callable
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

MakeView = Callable[..., RunView]
ONE = Latency(device="cpu", batch=1, p50=1.5, p99=2.5, throughput=600.0, calls=1000, threads=2)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What was built, in place of building and running it."""
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
    assert told == ["measuring trial 0000"]
    (request,) = built
    assert request.members[0].architecture == view.trials["0000"].architecture
    assert not Path(request.saved_model).parent.exists()


def test_trials_without_weights_are_passed_over(make_view: MakeView, built: list[Request]) -> None:
    view = make_view()
    (view.folder.trial("0000") / WEIGHTS).unlink()
    latency.measure(view, view.ranking(), lambda _: None)
    assert built == []
    assert read_latencies(view.folder) == {}
