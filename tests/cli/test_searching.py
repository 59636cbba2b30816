"""run, resume, export and doctor around a search and an export that are made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resnet_search.cli.worth import of_images
from resnet_search.errors import ExportError, TrainingError
from resnet_search.export import saved_model
from resnet_search.export.folder import MANIFEST
from resnet_search.runs import doctor
from resnet_search.runs.events import read_events
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView, read_run
from resnet_search.search import start
from tests.report.test_exported import EXPORTED

from .conftest import Outcome, make_run
from .test_confirm import KNOWN

# What the searches of a test were given besides.
budgets: list[Any] = []
resumed: list[Any] = []


@pytest.fixture(autouse=True)
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Searches end at once; the settings that they were called with, and exports."""
    calls: list[Any] = []
    budgets.clear()
    resumed.clear()

    def tell(folder: RunFolder, observers: Any) -> RunView:
        view = RunView(folder, folder.read())
        for event in read_events(folder.events):
            view.apply(event)
            for observer in observers:
                observer(event, view)
        return read_run(folder)

    def search(space: Any, settings: Any, observers: Any = (), *, budget: Any = None) -> RunView:
        calls.append((space, settings))
        budgets.append(budget)
        return tell(make_run(settings.runs_dir, settings.name), observers)

    def resume(folder: RunFolder, observers: Any = (), *, settings: Any = None, budget: Any = None) -> RunView:
        calls.append(folder)
        budgets.append(budget)
        resumed.append(settings)
        folder.events.unlink()
        whole = make_run(tmp_path / "spare", folder.name)
        folder.events.write_bytes(whole.events.read_bytes())
        return tell(folder, observers)

    def export_run(view: RunView, trial: Any, out: Path | None, **_: Any) -> Any:
        calls.append((view.folder.name, trial and trial.trial, out))
        folder = out or view.folder.path / "export"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).write_text(json.dumps({"trial": "0000", "completed": view.completed}))
        return SimpleNamespace(
            folder=folder, difference=1.5e-7, accuracy=0.75, notes=("a \x1b[31mnote",), exported=EXPORTED
        )

    monkeypatch.setattr(start, "run_search", search)
    monkeypatch.setattr(start, "resume_run", resume)
    monkeypatch.setattr(saved_model, "export_run", export_run)
    monkeypatch.chdir(tmp_path)
    return calls


def test_run_searches_shows_exports_and_says_what_comes_next(
    command: Callable[..., Outcome], made_up: list[Any]
) -> None:
    outcome = command("run", "--space", "quickstart", "--name", "a", "--seed", 7, "--workers", 2, "--max-epochs", 9)
    assert outcome.status == 0, outcome.err
    space, settings = made_up[0]
    assert space.hyperband.max_epochs == 9
    assert (settings.name, settings.seed, settings.workers, settings.runs_dir) == ("a", 7, 2, Path("runs"))
    assert made_up[1] == ("a", None, None)
    winner = read_run(RunFolder(Path("runs/a"))).winner
    assert winner is not None
    for words in (
        "17 candidates, 23 trials, 75 epochs", "started a: 23 trials", "Best at the full budget", winner.name,
        "Images     10 classes, 3,200 to train on,", f"Best       {of_images(winner.score, 800)}",
        "SavedModel  runs/a/export/saved_model", "Report      runs/a/export/report.md", "1.5e-07", "a \\x1b[31mnote",
        "  resnet-search trials a\n", f"  resnet-search show a {winner.trial}\n",
    ):  # fmt: skip
        assert words in outcome.out


def test_commands_to_type_name_the_folder_of_runs(command: Callable[..., Outcome]) -> None:
    outcome = command("run", "--space", "quickstart", "--name", "a", "--runs-dir", "my runs")
    assert "  resnet-search trials a --runs-dir 'my runs'\n" in outcome.out


def test_a_quiet_run_prints_paths_alone(command: Callable[..., Outcome]) -> None:
    outcome = command("run", "--space", "quickstart", "--name", "a", "--quiet")
    assert outcome.out == "runs/a/export/saved_model\nruns/a/export/report.md\nruns/a/report/report.html\n"
    assert command("resume", "a", "--quiet").out == outcome.out
    assert command("run", "--space", "quickstart", "--name", "b", "--quiet", "--no-export").out == "runs/b\n"
    assert outcome.err == ""


def test_a_run_has_a_name_of_its_own(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    assert command("run", "--space", "quickstart", "-q").status == 0
    assert made_up[0][1].name.startswith("quickstart-20")


def test_resume_goes_on_and_exports(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    make_run(Path("runs"), "a", stop_after=5)
    outcome = command("resume", "a")
    assert outcome.status == 0, outcome.err
    assert made_up == [RunFolder(Path("runs/a")), ("a", None, None)]
    assert "SavedModel" in outcome.out


def test_resume_of_a_finished_run_sees_to_its_export(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    make_run(Path("runs"), "a")
    first, second = command("resume", "latest"), command("resume", "latest")
    assert made_up == [("a", None, None)]
    for outcome in (first, second):
        assert outcome.status == 0
        assert outcome.out.startswith("a is finished")
        assert "runs/a/export/saved_model" in outcome.out


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
            (run.folder.path / "export" / MANIFEST).write_text(json.dumps({"completed": run.completed}))
    lines = command("resume", "a").out.splitlines()
    first = lines.index("Next:") + 3  # behind those that show the trials and the best
    assert lines[first:] == [f"  resnet-search {words}" for words in then]


def test_resume_names_what_follows_a_search_in_full(command: Callable[..., Outcome]) -> None:
    folder = follow(make_run(Path("runs"), "a"), "final", bracket=0)
    assert command("resume", "a/final").out.startswith("a/final is finished")
    winner = read_run(folder).winner
    assert winner is not None
    assert f"  resnet-search show a/final {winner.trial}\n" in command("resume", "a/final").out


def test_export(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    make_run(Path("runs"), "a")
    assert command("export", "a", "--trial", 3, "--out", "there").status == 0
    assert made_up == [("a", "0003", Path("there"))]
    assert command("export", "a", "--trial", 99).status == 1


def test_a_search_that_fails_names_the_way_on(command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    def search(space: Any, settings: Any, observers: Any = (), *, budget: Any = None) -> RunView:
        del space, budget
        view = read_run(make_run(settings.runs_dir, settings.name, stop_after=3))
        for observer in observers:
            observer({"event": "started", "time": 1.0}, view)
        raise TrainingError("10 trials failed in a row", "See failure.txt.")

    monkeypatch.setattr(start, "run_search", search)
    outcome = command("run", "--space", "quickstart", "--name", "a")
    assert outcome.status == 1
    assert (
        outcome.err
        == "Error: 10 trials failed in a row\nSee failure.txt.\nThe run goes on with: resnet-search resume a\n"
    )


def test_an_export_that_fails_is_an_error(command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    def export_run(*_: Any) -> Any:
        raise ExportError("the SavedModel differs", "Nothing was exported.")

    monkeypatch.setattr(saved_model, "export_run", export_run)
    outcome = command("run", "--space", "quickstart", "--name", "a")
    assert outcome.status == 1
    assert "resnet-search resume a" in outcome.err


def test_doctor(command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [doctor.Check("Disk", doctor.OK, "9 GB free"), doctor.Check("GPU", doctor.WARNING, "asleep", "Wake it.")]
    monkeypatch.setattr(doctor, "examine", lambda *_: checks)
    outcome = command("doctor")
    assert outcome.status == 0
    assert outcome.out == "ok       Disk: 9 GB free\nwarning  GPU: asleep\n         Wake it.\n"
    checks.append(doctor.Check("Runs", doctor.PROBLEM, "\x1b[31m", "Mend it."))
    assert command("doctor").status == 1
    assert [check["status"] for check in json.loads(command("doctor", "--json").out)["checks"]] == [
        "ok",
        "warning",
        "problem",
    ]


def test_blocks_of_the_result_have_one_blank_line_between(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    for options in ([], ["--no-export"]):
        out = command("run", "--space", "quickstart", "--name", f"a{len(options)}", *options).out
        assert "\n\nNext:\n" in out
        assert "\n\n\n" not in out


def test_an_export_without_a_difference_says_so(
    command: Callable[..., Outcome], made_up: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from resnet_search.export import saved_model

    exact = SimpleNamespace(folder=Path("export"), difference=0.0, accuracy=0.75, notes=(), exported=EXPORTED)
    monkeypatch.setattr(saved_model, "export_run", lambda *_: exact)
    out = command("run", "--space", "quickstart", "--name", "a").out
    assert "Verified    no difference from the trained model" in out
