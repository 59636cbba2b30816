from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_search.errors import ExportError
from resnet_search.export.choice import Limits, best_trials, trial_within
from resnet_search.export.formats import FORMATS
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView, Trial, view_of
from resnet_search.training.job import WEIGHTS
from tests.report.conftest import Events, make_content

SAVED_MODEL, INT8 = FORMATS["saved_model"], FORMATS["litert-int8"]
# The most accurate is the largest: of trials 0 to 2, of these candidates, the parameters grow.
CANDIDATES = {0: 0.7, 2: 0.8, 1: 0.9}


@pytest.fixture
def view(tmp_path: Path) -> RunView:
    """Three candidates trained in full, with weights, and one that was not."""
    run = Events()
    for trial, (candidate, score) in enumerate(CANDIDATES.items()):
        run.create(trial, candidate, (0, 0, 0), (0, 3), slot=trial)
        run.complete(trial, score)
    run.create(3, 3, (0, 1, 0), (0, 1))
    run.complete(3, 0.95)
    run("finished")
    folder = RunFolder(tmp_path / "run")
    view = view_of(folder, make_content(), run.lines, locked=False)
    for name in view.trials:
        folder.trial(name).mkdir(parents=True)
        (folder.trial(name) / WEIGHTS).write_bytes(b"")
    sizes = [view.trials[f"000{number}"].params for number in range(3)]
    assert sizes == sorted(set(sizes))
    return view


def never(trial: Trial) -> float:
    raise AssertionError(trial)


def times(asked: list[str], **of: float) -> Callable[[Trial], float]:
    def time(trial: Trial) -> float:
        asked.append(trial.trial)
        return of[f"t{trial.trial}"]

    return time


def test_the_best_within_a_limit(view: RunView) -> None:
    sizes = [view.trials[f"000{candidate}"].params for candidate in range(3)]
    macs = [view.trials[f"000{candidate}"].macs for candidate in range(3)]
    assert trial_within(view, Limits(max_params=10**9), never, [SAVED_MODEL]).trial == "0002"
    assert trial_within(view, Limits(max_params=sizes[2]), never, [SAVED_MODEL]).trial == "0002"
    assert trial_within(view, Limits(max_params=sizes[2] - 1), never, [SAVED_MODEL]).trial == "0001"
    assert trial_within(view, Limits(max_params=sizes[2], max_macs=min(macs)), never, [SAVED_MODEL]).macs == min(macs)


def test_a_limit_below_the_smallest_names_it(view: RunView) -> None:
    smallest = view.trials["0000"]
    with pytest.raises(ExportError) as raised:
        trial_within(view, Limits(max_params=smallest.params - 1), never, [SAVED_MODEL])
    assert raised.value.message.startswith(f"--max-params: got {smallest.params - 1:,}; allowed: {smallest.params:,} ")
    for fact in ("trial 0000", smallest.name):
        assert fact in raised.value.message
    assert "trials run --pareto" in raised.value.cure
    with pytest.raises(ExportError, match="--max-macs: got 1; allowed: "):
        trial_within(view, Limits(max_macs=1), never, [SAVED_MODEL])


def test_latencies_are_asked_for_in_the_order_of_accuracy_until_one_fits(view: RunView) -> None:
    asked: list[str] = []
    time = times(asked, t0002=5.0, t0001=2.0, t0000=1.0)
    assert trial_within(view, Limits(max_latency=2.0), time, [SAVED_MODEL]).trial == "0001"
    assert asked == ["0002", "0001"]
    asked.clear()
    limits = Limits(max_latency=9.0, max_params=view.trials["0001"].params)
    assert trial_within(view, limits, time, [SAVED_MODEL]).trial == "0001"
    assert asked == ["0001"]
    with pytest.raises(ExportError, match=r"--max-latency: .*0\.5 ms.* 1 ms .*0000"):
        trial_within(view, Limits(max_latency=0.5), time, [SAVED_MODEL])
    with pytest.raises(ExportError, match=r"litert-int8 in LiteRT") as raised:
        trial_within(view, Limits(max_latency=0.5), time, [INT8])
    assert "TensorFlow" not in raised.value.message


def test_candidates_without_weights_are_left_out(view: RunView) -> None:
    (view.folder.trial("0002") / WEIGHTS).unlink()
    assert trial_within(view, Limits(max_params=10**9), never, [SAVED_MODEL]).trial == "0001"
    for trial in ("0000", "0001"):
        (view.folder.trial(trial) / WEIGHTS).unlink()
    with pytest.raises(ExportError, match=r"^RUN: got 'run'.*weights"):
        trial_within(view, Limits(max_params=10**9), never, [SAVED_MODEL])


def test_an_ensemble_is_of_the_best_candidates_trained_in_full(view: RunView) -> None:
    assert [trial.trial for trial in best_trials(view, 2)] == ["0002", "0001"]
    for count in (1, 4):
        with pytest.raises(ExportError, match=f"--ensemble: got {count}; allowed: 2 to 3,"):
            best_trials(view, count)
