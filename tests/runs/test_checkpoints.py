"""Which checkpoints a run needs: the rest goes by itself, or by `clean`."""

from __future__ import annotations

import shutil

import pytest

from resnet_search.errors import ExportError, RunError
from resnet_search.export.saved_model import weights_of
from resnet_search.runs.checkpoints import clean, describe, drop_superseded, plan_cleaning, remove_leftovers, superseded
from resnet_search.runs.trials import read_run

from .conftest import Files, Writer

ALL = {f"trial_000{trial}/{file}" for trial in range(3) for file in ("state.h5", "checkpoint.weights.h5")}
PROMOTED = {"rung": 1, "parent": "0000", "promoted_from": "0000", "initial_epoch": 1, "epochs": 3}


def names(trials):
    return [trial.trial for trial in trials]


def test_the_state_of_a_rung_goes_when_the_next_has_completed(finished: Writer, checkpoints: Files) -> None:
    view = finished.view()
    assert names(superseded(view)) == ["0001"]
    assert names(superseded(view, 0)) == []
    drop_superseded(view, 0)
    assert checkpoints() == ALL
    drop_superseded(view)
    assert checkpoints() == ALL - {"trial_0001/state.h5"}
    drop_superseded(view)


def test_the_last_state_of_a_candidate_stays(writer: Writer) -> None:
    writer.create("0000", 0)
    writer.complete("0000", 0.3)
    assert superseded(writer.view()) == []
    writer.create("0001", 0, **PROMOTED)
    assert superseded(writer.view()) == [], "the promotion has not completed"
    writer.note("failed", trial="0001", reason="nan")
    assert superseded(writer.view()) == [], "the promotion has failed"


def test_a_state_that_a_running_trial_continues_stays(writer: Writer) -> None:
    writer.create("0000", 0)
    writer.complete("0000", 0.3)
    writer.create("0001", 0, **PROMOTED)
    writer.create("0002", 0, bracket=0, parent="0000", initial_epoch=1, epochs=9)
    writer.complete("0001", 0.5)
    assert superseded(writer.view()) == []
    writer.complete("0002", 0.7)
    assert names(superseded(writer.view())) == ["0000", "0001"]


def test_a_reused_trial_neither_has_nor_supersedes_a_state(writer: Writer) -> None:
    writer.create("0000", 0, epochs=3)
    writer.complete("0000", 0.3)
    writer.create("0001", 0, bracket=0, parent="0000", initial_epoch=3, epochs=3, reused=True)
    writer.complete("0001", 0.3)
    view = writer.view()
    assert superseded(view) == []
    assert view.holder(view.trials["0001"]).trial == "0000"


def test_cleaning_keeps_the_best_and_says_what_it_frees(finished: Writer, checkpoints: Files) -> None:
    view = finished.view()
    before = sum((finished.folder.path / name).stat().st_size for name in checkpoints())
    seconds = view.seconds
    plan = plan_cleaning(view, 1)
    assert names(plan.kept) == ["0002"]
    assert names(plan.trials) == ["0000", "0001"]
    assert checkpoints() == ALL, "a plan removes nothing"
    clean(view, plan)
    assert checkpoints() == {"trial_0002/state.h5", "trial_0002/checkpoint.weights.h5"}
    assert plan.size == before - sum((finished.folder.path / name).stat().st_size for name in checkpoints())
    again = finished.view()
    assert [trial.cleaned for trial in again.trials.values()] == [True, True, False]
    assert again.state == "finished"
    assert again.seconds == seconds, "no time is spent on the search"
    assert plan_cleaning(again, 1).files == ()
    assert weights_of(again, again.trials["0002"])
    with pytest.raises(ExportError, match="resnet-search clean") as raised:
        weights_of(again, again.trials["0000"])
    assert "--trial 0002" in raised.value.cure
    assert "resnet-search clean" in describe(again, again.trials["0000"])


def test_cleaning_everything(finished: Writer, checkpoints: Files) -> None:
    view = finished.view()
    clean(view, plan_cleaning(view, 0))
    assert checkpoints() == set()
    with pytest.raises(ExportError, match="resnet-search clean") as raised:
        weights_of(view, view.trials["0002"])
    assert "--trial" not in raised.value.cure, "nothing was kept"


def test_an_interrupted_cleaning_goes_on(finished: Writer, checkpoints: Files) -> None:
    view = finished.view()
    plan = plan_cleaning(view, 1)
    finished.note("cleaned", trials=names(plan.trials), bytes=plan.size)
    again = finished.view()
    clean(again, plan_cleaning(again, 1))
    assert len(checkpoints()) == 2


def test_a_run_that_is_not_finished_is_not_cleaned(writer: Writer) -> None:
    with pytest.raises(RunError, match="interrupted") as raised:
        plan_cleaning(writer.view(), 1)
    assert "resnet-search resume run" in raised.value.cure
    with writer.folder.lock(), pytest.raises(RunError, match="running"):
        plan_cleaning(read_run(writer.folder), 1)


def test_leftovers_go_and_nothing_else(finished: Writer, checkpoints: Files) -> None:
    path = finished.folder.path
    left = [path / ".partial-1-oracle.json", path / "trial_0000" / ".partial-12-state.h5", path / ".old-3-export"]
    for entry in left[:2]:
        entry.write_bytes(b"half")
    left[2].mkdir()
    (left[2] / "file").touch()
    (path / ".partial-notes").touch()
    assert sorted(remove_leftovers(finished.folder)) == sorted(left)
    assert not any(entry.exists() for entry in left)
    assert (path / ".partial-notes").exists()
    assert checkpoints() == ALL


def test_what_is_there_of_a_checkpoint(finished: Writer) -> None:
    view = finished.view()
    drop_superseded(view)
    for file in ("checkpoint.weights.h5", "state.h5", "trial_0002"):
        assert file in describe(view, view.trials["0002"])
    assert "superseded" in describe(view, view.trials["0001"])
    shutil.rmtree(finished.folder.trial("0000"))
    assert "missing" in describe(view, view.trials["0000"])
