"""The commands that look after a run's folder: doctor, clean, stop."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from resnet_search.errors import RunError
from resnet_search.runs.events import read_events
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import read_run

from .conftest import Outcome, make_run, refused, spawn
from .test_signals import read_until, search


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A finished run with checkpoints that hold nothing, in ./runs."""
    monkeypatch.chdir(tmp_path)
    folder = make_run(Path("runs"))
    for trial in read_run(folder).trials.values():
        if trial.status == "completed":
            for name in ("state.h5", "checkpoint.weights.h5"):
                with h5py.File(folder.trial(trial.trial) / name, "w") as file:
                    file.attrs["epoch"] = trial.epochs
    return folder


def test_doctor_of_a_run(run: RunFolder, command: Callable[..., Outcome]) -> None:
    def checks() -> dict[str, str]:
        lines = command("doctor", run.name).out.splitlines()
        return {line[9:].split(":")[0]: line for line in lines if not line.startswith(" ")}

    repaired = json.loads(command("doctor", run.name, "--repair", "--json").out)["repaired"]
    assert any("oracle.json" in line for line in repaired)
    assert len(list(run.path.glob("trial_*/state.h5"))) < 23, "those that a later rung superseded are gone"
    assert command("doctor", run.name).status == 0
    for name, fact in {"State": "23 of 23 trials", "Keras Tuner": "50 files"}.items():
        assert checks()[name].startswith("ok ")
        assert fact in checks()[name]
    winner = read_run(run).winner
    assert winner is not None
    (run.trial(winner.trial) / "checkpoint.weights.h5").write_text("x")
    outcome = command("doctor", run.name)
    assert outcome.status == 1
    problem = checks()[f"Trial {winner.trial}"]
    assert problem.startswith("problem ")
    assert "checkpoint.weights.h5" in problem
    assert f"resnet-search doctor {run.name} --repair" in outcome.out
    results = {check["name"]: check for check in json.loads(command("doctor", run.name, "--json").out)["checks"]}
    assert results[f"Trial {winner.trial}"]["status"] == "problem"
    assert results["State"]["cure"] == ""


def test_doctor_of_a_run_changes_nothing(run: RunFolder, command: Callable[..., Outcome]) -> None:
    (run.trial("0000") / "trial.json").write_text("{")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert command("doctor", run.name).status == 1
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_doctor_repairs_no_run_that_is_driven(run: RunFolder, command: Callable[..., Outcome]) -> None:
    with run.lock():
        outcome = command("doctor", run.name, "--repair")
    refused(outcome, 1, run.name, str(os.getpid()))
    refused(command("doctor", "--repair"), 2, "--repair", "RUN")
    assert command("doctor", "absent").status == 1


def test_clean(run: RunFolder, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    files = set(run.path.glob("trial_*/*.h5"))
    asked = command("clean", run.name)
    refused(asked, 2, "--yes")
    assert "Frees" in asked.out
    assert set(run.path.glob("trial_*/*.h5")) == files
    outcome = command("clean", run.name, "--keep", 2, "--yes")
    assert outcome.status == 0
    best = [trial.trial for trial in read_run(run).ranking()[:2]]
    assert all(trial in outcome.out for trial in best)
    kept = set(run.path.glob("trial_*/*.h5"))
    assert {path.parent.name for path in kept} == {f"trial_{trial}" for trial in best}
    assert len(kept) == 4
    assert read_events(run.events)[-1]["event"] == "cleaned"
    assert "Removed" not in command("clean", run.name, "--keep", 2, "--yes").out
    gone = next(trial.trial for trial in read_run(run).trials.values() if trial.cleaned)
    [line] = [line for line in command("show", run.name, gone).out.splitlines() if line.startswith("Checkpoint ")]
    assert "resnet-search clean" in line
    refused(command("export", run.name, "--trial", gone), 1, "resnet-search clean", f"--trial {best[0]}")


def test_clean_only_what_is_finished(tmp_path: Path, command: Callable[..., Outcome]) -> None:
    make_run(tmp_path, "stopped", stop_after=3)
    outcome = command("clean", "stopped", "--runs-dir", tmp_path, "--yes")
    refused(outcome, 1, "resnet-search resume stopped")
    with make_run(tmp_path, "held").lock():
        outcome = command("clean", "held", "--runs-dir", tmp_path, "--yes")
    # What is told to resume is refused while it runs.
    refused(outcome, 1, "resnet-search stop held", "resnet-search resume held")
    assert outcome.err.index(" stop held") < outcome.err.index(" resume held")


def test_the_run_of_a_driver_that_died_is_taken_over_with_a_word(
    tmp_path: Path, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    from resnet_search.search import start

    def resume_run(*_: object, **__: object) -> None:
        raise RunError("that is far enough")

    monkeypatch.setattr(start, "resume_run", resume_run)
    folder = make_run(tmp_path, "stopped", stop_after=3)
    driver = "process 7 on elsewhere"
    assert driver not in command("resume", "stopped", "--runs-dir", tmp_path).out
    (folder.path / "lock").write_text(driver)
    assert driver in command("resume", "stopped", "--runs-dir", tmp_path).out


def test_stop_of_a_run_that_nobody_drives(run: RunFolder, command: Callable[..., Outcome]) -> None:
    outcome = command("stop", run.name)
    refused(outcome, 1, "RUN", run.name)
    assert outcome.error is RunError


def test_stop_names_the_cluster_that_the_folder_may_not(
    run: RunFolder, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    from resnet_search.runs import stop

    monkeypatch.setattr(stop, "stop", lambda _: "process 7")
    assert command("stop", run.name).out.endswith(f"  resnet-search resume {run.name}\n")
    content = json.loads((run.path / "run.json").read_text())
    content["workers"]["cluster"] = {"address": "a:1", "cpus": 1.0, "gpus": 0.0, "storage": "", "needs": {"CPU": 1.0}}
    (run.path / "run.json").write_text(json.dumps(content))
    assert command("stop", run.name).out.endswith(f"  resnet-search resume {run.name} --workers ray://a:1\n")


@pytest.mark.slow
def test_stop(tmp_path: Path) -> None:
    process = search(tmp_path, "run")
    read_until(process, "  trial 0")
    stopper = spawn("stop", "run", cwd=tmp_path)
    out, err = stopper.communicate(timeout=120)
    assert (stopper.returncode, err) == (0, "")
    assert f"process {process.pid} has ended" in out
    assert out.endswith("  resnet-search resume run\n")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert err.endswith("\n  resnet-search resume run\n")
