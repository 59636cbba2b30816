"""run, resume, export and doctor around a search and an export that are made up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resnet_search.errors import ExportError, TrainingError
from resnet_search.export import saved_model
from resnet_search.export.folder import MANIFEST
from resnet_search.runs import doctor
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView, read_run
from resnet_search.search import start
from resnet_search.search.start import SearchSettings
from resnet_search.spaces.load import load_space

from .conftest import Asked, Outcome, commands, make_run, refused
from .test_confirm import KNOWN


@pytest.fixture(autouse=True)
def made_up(asked: Asked) -> None:
    """No search of this module trains."""


def test_run_searches_shows_exports_and_says_what_comes_next(command: Callable[..., Outcome], asked: Asked) -> None:
    outcome = command("run", "--space", "quickstart", "--name", "a")
    assert outcome.status == 0, outcome.err
    assert asked.searches == [(load_space("quickstart"), SearchSettings(name="a"))]
    assert asked.budgets == [(None, None)]
    assert asked.exports == [{"run": "a"}]
    winner = read_run(RunFolder(Path("runs/a"))).winner
    assert winner is not None
    for fact in (
        "17 candidates", "23 trials", "75 epochs", "3,200", "800", winner.name, f"{100 * winner.score:.2f} % ± 1.12 %",
        "runs/a/export/saved_model", "runs/a/export/report.md", "runs/a/report/report.html", "1.5e-07",
        "a \\x1b[31mnote",
    ):  # fmt: skip
        assert fact in outcome.out
    assert commands(outcome.out) == ["trials a", f"show a {winner.trial}", "confirm a"]
    assert "\n\n\n" not in outcome.out, "one blank line between blocks"


def test_every_option_of_run_reaches_the_search(
    command: Callable[..., Outcome], asked: Asked, tmp_path: Path, machine: Path
) -> None:
    space = ["--max-epochs", 4, "--min-epochs", 2, "--factor", 2, "--iterations", 2, "--promotion", "async"]
    space += ["--max-params", 10**6]
    space += ["--max-macs", 10**8, "--validation", 0.1, "--data", "shapes"]
    run = ["--name", "a", "--runs-dir", tmp_path / "there", "--seed", 7, "--data-dir", tmp_path]
    run += ["--train-examples", 500, "--workers", 2, "--threads", 3, "--device", "cpu", "--precision", "float32"]
    run += ["--hang-timeout", "5m", "--baseline", "resnet-20", "--track", "tensorboard", "--time-budget", "1h30m"]
    outcome = command("run", "--space", "quickstart", *space, *run, "--max-trials", 4, "--no-export", "--quiet")
    assert outcome.status == 0, outcome.err
    [(searched, settings)] = asked.searches
    assert searched == load_space("quickstart").with_settings(
        max_epochs=4, min_epochs=2, factor=2, iterations=2, promotion="async", max_params=10**6, max_macs=10**8,
        validation=0.1, source="shapes",
    )  # fmt: skip
    assert settings == SearchSettings(
        runs_dir=tmp_path / "there", name="a", seed=7, data_dir=tmp_path, train_examples=500, workers=2, threads=3,
        device="cpu", precision="float32", hang_timeout=300.0, baselines=("resnet-20",), track=("tensorboard",),
    )  # fmt: skip
    assert asked.budgets == [(5400.0, 4)]
    assert asked.exports == []


def test_commands_to_type_name_the_folder_of_runs(command: Callable[..., Outcome]) -> None:
    outcome = command("run", "--space", "quickstart", "--name", "a", "--runs-dir", "my runs", "--no-export")
    assert commands(outcome.out)[0] == "trials a --runs-dir 'my runs'"
    assert "\n\n\n" not in outcome.out


def test_a_quiet_run_prints_paths_alone(command: Callable[..., Outcome]) -> None:
    outcome = command("run", "--space", "quickstart", "--name", "a", "--quiet")
    assert outcome.out == "runs/a/export/saved_model\nruns/a/export/report.md\nruns/a/report/report.html\n"
    assert command("resume", "a", "--quiet").out == outcome.out
    assert command("run", "--space", "quickstart", "--name", "b", "--quiet", "--no-export").out == "runs/b\n"
    assert outcome.err == ""


def test_a_run_has_a_name_of_its_own(command: Callable[..., Outcome], asked: Asked) -> None:
    assert command("run", "--space", "quickstart", "-q", "--no-export").status == 0
    [(_, settings)] = asked.searches
    assert re.fullmatch(r"quickstart-\d{8}-\d{6}", settings.name)


def test_resume_goes_on_and_exports(command: Callable[..., Outcome], asked: Asked) -> None:
    make_run(Path("runs"), "a", stop_after=5)
    outcome = command("resume", "a")
    assert outcome.status == 0, outcome.err
    assert [run for run, _ in asked.resumed] == ["a"]
    assert asked.exports == [{"run": "a"}]
    assert "runs/a/export/saved_model" in outcome.out


def test_resume_of_a_finished_run_sees_to_its_export(command: Callable[..., Outcome], asked: Asked) -> None:
    make_run(Path("runs"), "a")
    for _ in range(2):
        outcome = command("resume", "latest")
        assert outcome.status == 0
        assert "runs/a/export/saved_model" in outcome.out
        assert asked.resumed == []
        assert asked.exports == [{"run": "a"}]


def follow(search: RunFolder, kind: str, bracket: int = 9, **options: Any) -> RunFolder:
    """What follows a search, as far as its state goes."""
    of = {"run": search.name, "kind": kind, "trials": ["0000"], "seeds": 1}
    return make_run(search.path, kind, of=of, known=[{**KNOWN[0], "bracket": bracket}], **options)


@pytest.mark.parametrize(
    ("confirmed", "trained", "then"),
    [
        ("", "", ["confirm a"]),
        ("half", "", ["confirm a"]),
        ("done", "", ["train a"]),
        ("done", "half", ["train a"]),
        ("done", "done", ["predict a/final new-images/", "export a/final --format onnx"]),
        ("", "done", ["predict a/final new-images/", "export a/final --format onnx"]),
    ],
)
def test_what_comes_next_is_what_was_not_done_yet(
    confirmed: str, trained: str, then: list[str], command: Callable[..., Outcome]
) -> None:
    search = make_run(Path("runs"), "a")
    for kind, state in (("confirm", confirmed), ("final", trained)):
        if state:
            whole = {} if state == "done" else {"stop_after": 2}
            run = read_run(follow(search, kind, **whole))
            (run.folder.path / "export").mkdir()
            (run.folder.path / "export" / MANIFEST).write_text(
                json.dumps({"trial": run.leader and run.leader.trial, "completed": run.completed})
            )
    # Behind those that show the trials and the best.
    assert commands(command("resume", "a").out)[2:] == then


def test_resume_names_what_follows_a_search_in_full(command: Callable[..., Outcome]) -> None:
    folder = follow(make_run(Path("runs"), "a"), "final", bracket=0)
    winner = read_run(folder).winner
    assert winner is not None
    out = command("resume", "a/final").out
    assert out.startswith("a/final ")
    assert f"show a/final {winner.trial}" in commands(out)


def test_export(command: Callable[..., Outcome], asked: Asked) -> None:
    make_run(Path("runs"), "a")
    assert command("export", "a", "--trial", 3, "--out", "there", "--license", "MIT").status == 0
    assert asked.exports == [{"run": "a", "trial": "0003", "out": Path("there"), "license_id": "MIT"}]
    assert command("export", "a", "--trial", 99).status == 1


def test_a_search_that_fails_names_the_way_on(command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    def search(space: Any, settings: Any, observers: Any = (), *, budget: Any = None) -> RunView:
        del space, budget
        view = read_run(make_run(settings.runs_dir, settings.name, stop_after=3))
        for observer in observers:
            observer({"event": "started", "time": 1.0}, view)
        raise TrainingError("the message", "The cure.")

    monkeypatch.setattr(start, "run_search", search)
    outcome = command("run", "--space", "quickstart", "--name", "a")
    assert outcome.status == 1
    message, cure, way = outcome.err.splitlines()
    assert (message, cure) == ("Error: the message", "The cure.")
    assert way.endswith(" resnet-search resume a")


def test_an_export_that_fails_is_an_error(command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    def export_run(*_: Any, **__: Any) -> Any:
        raise ExportError("the message")

    monkeypatch.setattr(saved_model, "export_run", export_run)
    outcome = command("run", "--space", "quickstart", "--name", "a")
    refused(outcome, 1, "the message", "resnet-search resume a")


def test_doctor(command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [doctor.Check("Disk", doctor.OK, "9 GB free"), doctor.Check("GPU", doctor.WARNING, "asleep", "Wake it.")]
    monkeypatch.setattr(doctor, "examine", lambda *_: checks)
    outcome = command("doctor")
    assert outcome.status == 0
    assert [line.split() for line in outcome.out.splitlines()] == [
        ["ok", "Disk:", "9", "GB", "free"],
        ["warning", "GPU:", "asleep"],
        ["Wake", "it."],
    ]
    checks.append(doctor.Check("Runs", doctor.PROBLEM, "\x1b[31m", "Mend it."))
    assert command("doctor").status == 1
    statuses = [check["status"] for check in json.loads(command("doctor", "--json").out)["checks"]]
    assert statuses == ["ok", "warning", "problem"]


def test_an_export_without_a_difference_says_no_number(
    command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(Path("runs"), "a")
    export_run = saved_model.export_run
    monkeypatch.setattr(saved_model, "export_run", lambda *words, **_: replace(export_run(*words), difference=0.0))
    [line] = [line for line in command("resume", "a").out.splitlines() if line.startswith("Verified ")]
    assert re.search(r"\d", line) is None
