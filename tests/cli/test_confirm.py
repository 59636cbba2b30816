"""`confirm` and `train RUN`: what is refused, and the way from a search to a network whose worth is known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import pytest

from resnet_search.cli import confirm, searching
from resnet_search.cli.named import space_of
from resnet_search.cli.plain import PlainLines
from resnet_search.cli.progress import Progress, Snapshot
from resnet_search.errors import DataError, RunError
from resnet_search.networks.presets import preset
from resnet_search.report.content import report_of
from resnet_search.report.exported import Exported
from resnet_search.report.markdown import to_markdown
from resnet_search.report.units import percent
from resnet_search.runs.after import TESTED
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView, Trial, open_run
from resnet_search.search import after
from resnet_search.search.after import AgainSettings
from tests.report.test_confirmed import found as confirmed
from tests.report.test_tested import make_measured

from .conftest import Outcome, commands, make_run, refused
from .test_progress import drawn, epoch, replay
from .test_signals import SPACE

# What a confirmation trains: of a bracket that the runs of these tests have not, whose trials were drawn.
KNOWN = [{"iteration": 0, "bracket": 9, "candidates": [{"architecture": {}, "recipe": {}, "repeat": 1}], "presets": []}]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished run without checkpoints, in ./runs."""
    monkeypatch.chdir(tmp_path)
    return make_run(Path("runs")).name


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["confirm", "RUN", "--top", "0"], ["--top"]),
        (["confirm", "RUN", "--top", "999"], ["--top", "999", "1 to 6"]),
        (["confirm", "RUN", "--seeds", "x"], ["--seeds"]),
        (["confirm", "RUN", "--recipe", "hee"], ["--recipe", "nearest: he"]),
        (["train"], ["RUN", "--model"]),
        (["train", "RUN", "--model", "resnet-20"], ["RUN", "--model"]),
        (["train", "RUN", "--seed", "1"], ["--seed", "--model"]),
        (["train", "RUN", "--test"], ["--test", "--model"]),
        (["train", "RUN", "--trial", "77777"], ["TRIAL", "'77777'"]),
        (["train", "--model", "resnet-20", "--all-images"], ["--all-images", "RUN"]),
        (["train", "RUN", "--workers", "2"], ["--workers", "'2'", "ray"]),
        (["train", "RUN", "--cpus-per-trial", "2"], ["--cpus-per-trial", "--workers ray"]),
        (["confirm", "RUN", "--gpus-per-trial", "1"], ["--gpus-per-trial", "--workers ray"]),
        (["confirm", "RUN", "--workers", "ray://a b:1"], ["--workers", "'ray://a b:1'"]),
        (["confirm", "nothing"], ["RUN", "'nothing'"]),
    ],
)
def test_what_is_refused(run: str, command: Callable[..., Outcome], words: list[str], names: list[str]) -> None:
    outcome = command(*[run if word == "RUN" else word for word in words])
    refused(outcome, 1 if names[0] == "TRIAL" or "nothing" in words else 2, *names)
    assert not (Path("runs") / run / "confirm").exists()
    assert not (Path("runs") / run / "final").exists()


def test_nothing_was_trained_in_full_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., Outcome]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = make_run(Path("runs"), stop_after=3).name
    for verb in ("confirm", "train"):
        refused(command(verb, name), 1, f"resnet-search resume {name}")


def make_final(runs_dir: Path, *, merged: bool, **options: Any) -> RunFolder:
    """A run of one network that trains on its validation images too."""
    space = space_of(preset("resnet-20"), {"name": "he"}, 9, {"source": "shapes"})
    folder = make_run(runs_dir, "t", space=space, **options)
    content = folder.read()
    content["data"]["merged"] = merged
    (folder.path / "run.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("merged", [True, False])
def test_an_accuracy_on_trained_images_is_called_that(
    merged: bool, tmp_path: Path, command: Callable[..., Outcome], capfd: pytest.CaptureFixture[str]
) -> None:
    """On the screen, in lines, in the tables and in the report."""
    folder = make_final(tmp_path, merged=merged)
    shown = command("show", "t", "0", "--runs-dir", tmp_path).out
    table = command("trials", "t", "--runs-dir", tmp_path).out
    listed = command("list", "--runs-dir", tmp_path).out
    report = to_markdown(report_of(open_run("t", tmp_path)))
    score = percent(open_run("t", tmp_path).trials["0000"].score)
    name = "Accuracy on the validation images (trained on)"
    assert (name in shown, name in report) == (merged, merged)
    assert ("Validation accuracy" in shown, "Validation accuracy" in report) == (not merged, not merged)
    assert (f"{score} on images that it was trained on" in shown) == merged
    assert ("train acc" in table, "score" in table) == (merged, not merged)
    assert (score in listed) == (not merged)

    running = make_final(tmp_path / "running", merged=merged, stop_after=0)
    with PlainLines("Reading ...") as lines:
        replay(running, lines, epoch("0000", 5))
    last = capfd.readouterr().out.splitlines()[-1]
    now = replay(running, Progress().take, epoch("0000", 5))[-1]
    for told in (last, "\n".join(drawn(now))):
        assert ("train acc" in told, "val acc" in told) == (merged, not merged)
    ended = "\n".join(drawn(replay(folder, Progress().take)[-1]))
    assert score not in ended


def test_what_failed_is_said_to_be_replaced_only_where_it_is(tmp_path: Path) -> None:
    now = replay(make_run(tmp_path, stop_after=12), Progress().take)[-1]

    def failed(now: Snapshot) -> str:
        return next(line.split("1 failed")[1].strip() for line in drawn(now) if "1 failed" in line)

    assert failed(now)
    assert not failed(replace(now, halving=False))


def stopped(*_: object, **__: object) -> None:
    raise DataError("no images")


def test_every_option_reaches_what_trains_again(
    run: str, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def confirm_run(
        view: Any, top: int, seeds: int, settings: Any, observers: Any, *, discard: bool, budget: Any
    ) -> None:
        calls.append((view.folder.name, top, seeds, settings, discard, budget.seconds))
        stopped()

    def final_run(
        view: Any, trial: Any, settings: Any, observers: Any, *, all_images: bool, discard: bool, budget: Any
    ) -> None:
        calls.append((view.folder.name, trial.trial, settings, all_images, discard, budget.seconds))
        stopped()

    monkeypatch.setattr(after, "confirm_run", confirm_run)
    monkeypatch.setattr(after, "final_run", final_run)
    words = ["--recipe", "he", "--epochs", 5, "--threads", 3, "--device", "cpu", "--hang-timeout", "5m", "--discard"]
    words += ["--time-budget", "2h", "--quiet"]
    command("confirm", run, "--top", 2, "--seeds", 4, "--workers", 2, *words)
    command("train", run, "--trial", 3, "--all-images", *words)
    settings = AgainSettings(recipe="he", epochs=5, threads=3, device="cpu", hang_timeout=300.0)
    assert calls == [
        (run, 2, 4, replace(settings, workers=2), True, 7200.0),
        (run, "0003", settings, True, True, 7200.0),
    ]


@pytest.mark.parametrize("running", [True, False])
def test_training_before_the_confirmation_is_done_is_told(
    running: bool, run: str, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    of = {"run": run, "kind": "confirm", "trials": ["0000"], "seeds": 1}
    monkeypatch.setattr(after, "final_run", stopped)
    assert "Note" not in command("train", run).out
    there = make_run(Path("runs") / run, "confirm", of=of, known=KNOWN, stop_after=9)
    with there.lock() if running else nullcontext():
        whole, named = (command("train", run, *words) for words in ([], ["--trial", "3"]))
    [note] = [line for line in whole.out.splitlines() if line.startswith("Note ")]
    assert "8 of 23" in note
    assert "Note" not in named.out, "whoever names a trial has chosen"


def test_an_outdated_confirmation_is_marked_and_chooses_nothing(
    run: str, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search has completed trials since, and its best candidate is another one."""
    view = open_run(Path("runs") / run)
    assert view.winner is not None
    other = next(trial for trial in view.ranking() if trial.candidate != view.winner.candidate)
    of = {"run": run, "kind": "confirm", "trials": [other.trial], "seeds": 1, "completed": view.completed - 1}
    make_run(Path("runs") / run, "confirm", of=of, known=KNOWN)
    chosen = []

    def choose(view: RunView, trial: Trial, *rest: Any, **options: Any) -> None:
        chosen.append(trial)
        stopped()

    monkeypatch.setattr(after, "final_run", choose)
    [note] = [line for line in command("train", run).out.splitlines() if line.startswith("Note ")]
    assert f"trial {view.winner.trial}" in note
    assert [trial.trial for trial in chosen] == [view.winner.trial]
    shown, as_json = command("confirm", run), json.loads(command("confirm", run, "--json").out)
    assert f"confirm {run} --discard" in shown.out
    assert f"trial {view.winner.trial}" in as_json["outdated"]


def test_the_network_is_named_before_the_live_view_owns_the_terminal(
    run: str, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In it, the line stood behind the text of the spinner."""
    order = []

    def watch(*args: Any, **options: Any) -> Any:
        order.append("live view")
        return stopped()

    monkeypatch.setattr(searching, "watch", watch)
    monkeypatch.setattr(click, "echo", lambda text="", **_: order.append(str(text)))
    command("train", run)
    named = [place for place, text in enumerate(order) if text.startswith("Network ")]
    assert named[0] < order.index("live view")


def test_a_confirmation_is_kept_where_a_new_one_cannot_start(
    run: str, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options that are wrong, images that are not those of the run, and another process that drives it."""
    monkeypatch.setattr(after, "arrays_of", stopped)
    of = {"run": run, "kind": "confirm", "trials": ["0000"], "seeds": 1}
    there = make_run(Path("runs") / run, "confirm", of=of, known=KNOWN)
    before = open_run(there.path).trials
    for words in (["--recipe", "hee"], ["--top", "999"], ["--seeds", "1"]):
        outcome = command("confirm", run, "--discard", *words)
        assert outcome.status in {1, 2}, outcome
        assert open_run(there.path).trials == before
    assert outcome.error is DataError
    with there.lock():
        outcome = command("confirm", run, "--discard")
    refused(outcome, 1, str(there.path))
    assert outcome.error is RunError
    assert "Reading" not in outcome.out
    assert {path.name for path in there.path.parent.iterdir() if "confirm" in path.name} == {"confirm"}


def test_what_another_process_drives_is_not_gone_on_with(run: str, command: Callable[..., Outcome]) -> None:
    of = {"run": run, "kind": "confirm", "trials": ["0000"], "seeds": 1}
    there = make_run(Path("runs") / run, "confirm", of=of, known=KNOWN, stop_after=3)
    with there.lock():
        outcome = command("confirm", run)
    refused(outcome, 1, str(there.path))
    assert (outcome.error, outcome.out) == (RunError, "")


@pytest.mark.parametrize(
    ("large", "small", "offered"),
    [
        ([0.70, 0.72, 0.74], [0.69, 0.71, 0.75], True),
        ([0.69, 0.71, 0.75], [0.70, 0.73, 0.76], False),  # The best is the smaller one.
        ([0.80, 0.81, 0.82], [0.40, 0.41, 0.42], False),  # They are not tied.
        ([0.80], [0.79], False),  # Nor is anything known of that.
    ],
)
def test_the_smaller_of_those_that_are_tied_is_offered(
    large: list[float], small: list[float], offered: bool, run: str, command: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    trials = sorted((open_run(run).trials[trial] for trial in ("0004", "0007")), key=lambda trial: trial.params)
    assert trials[0].params < trials[1].params
    found = confirmed({trials[1].trial: large, trials[0].trial: small})
    monkeypatch.setattr("resnet_search.report.confirmed.confirmation", lambda *_: found)
    monkeypatch.setattr(confirm, "report_again", lambda *_, **__: None)
    smaller = [f"train {run} --trial {trials[0].trial}"] if offered else []
    assert commands(command("confirm", with_confirmation(run).name).out) == [f"train {run}", *smaller]


def test_what_was_measured_is_shown_again_by_the_same_command(
    run: str, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    of = {"run": run, "kind": "final", "trials": ["0000"], "seeds": 1}
    final = make_run(Path("runs") / run, "final", of=of, known=KNOWN)
    (final.path / "export").mkdir()
    (final.path / "export" / "export.json").write_text(json.dumps({"trial": open_run(final.path).leader.trial}))
    words = ["train", run]
    assert "Test " not in command(*words).out, "nothing was measured yet"
    measured = make_measured([[8, 1, 0], [2, 9, 0], [0, 0, 10]])
    (final.path / TESTED).write_text(json.dumps({"trial": "0000", "time": 1.0, "measured": measured.to_dict()}))
    out = command(*words).out
    [line] = [line for line in out.splitlines() if line.startswith("Test ")]
    assert re.findall(r"[\d.]+", line) == ["50.00", "40.00", "60.00", "30"]
    assert "\nCalibration " in out
    assert "Test" not in command(*words, "-q").out


def with_confirmation(run: str) -> RunFolder:
    """A run that was confirmed, as far as its report and the command go."""
    of = {"run": run, "kind": "confirm", "trials": ["0000"], "seeds": 1}
    make_run(Path("runs") / run, "confirm", of=of, known=KNOWN)
    return RunFolder(Path("runs") / run)


def test_the_reports_of_the_search_have_what_followed_it(run: str, command: Callable[..., Outcome]) -> None:
    folder = with_confirmation(run)
    verified = Exported(difference=0.0, compared=1, accuracy=0.5, size=1)
    leader = open_run(folder.path).leader
    assert leader is not None
    (folder.path / "export").mkdir()
    manifest = {"trial": leader.trial, "verified": asdict(verified)}
    (folder.path / "export" / "export.json").write_text(json.dumps(manifest))
    outcome = command("confirm", run)
    assert outcome.status == 0, outcome
    page = folder.path / "report" / "report.html"
    assert str(page) in outcome.out
    assert ">Confirmed</h2>" in page.read_text()
    for words in (page.with_name("report.md"), folder.path / "export" / "report.md"):
        assert "## Confirmed" in words.read_text()
    quiet = command("confirm", run, "-q")
    assert "report.html" not in quiet.out


def test_a_report_that_cannot_be_written_does_not_fail_the_command(run: str, command: Callable[..., Outcome]) -> None:
    folder = with_confirmation(run)
    (folder.path / "report").write_text("a file where a folder should be")
    outcome = command("confirm", run)
    assert outcome.status == 0, outcome
    assert commands(outcome.out) == [f"train {run}"]
    assert str(folder.path / "report") in outcome.err


@pytest.mark.slow
def test_from_a_search_to_a_network_whose_worth_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., Outcome]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(SPACE)
    small = ["--space", "small.toml", "--max-epochs", "3", "--train-examples", "300"]
    outcome = command("run", *small, "--name", "s", "--no-export", "-q")
    assert outcome.status == 0, outcome
    outcome = command("confirm", "s", "--top", "2", "--seeds", "2", "--epochs", "1")
    assert outcome.status == 0, outcome
    assert "4 of 4 networks, 1 epoch each" in outcome.out
    assert "resnet-search train s" in outcome.out
    best = re.findall(r"^(\d{4}) .* best$", outcome.out, re.MULTILINE)
    assert len(best) == 1
    # With the same command what is done is shown again; with another it is refused, and kept.
    assert command("confirm", "s").out.splitlines()[-8:] == outcome.out.splitlines()[-8:]
    refused = command("confirm", "s", "--seeds", "3")
    assert refused.status == 2
    assert "--seeds: got 3; it has 2" in refused.err
    outcome = command("train", "s", "--epochs", "2")
    assert outcome.status == 0, outcome
    assert f"trial {best[0]} of s" in outcome.out
    assert re.search(r"Test +\d+\.\d\d % right", outcome.out)
    measured = json.loads(Path("runs/s/final/test.json").read_text())["measured"]
    assert measured["images"] == 1000
    assert sum(map(sum, measured["confusion"])) == 1000
    assert open_run("runs/s/final").content["data"]["train"] == 300 + open_run("s").content["data"]["validation"]
    assert "test accuracy on 1,000 test images" in Path("runs/s/final/export/report.md").read_text()
    assert 'split: "test"' in Path("runs/s/final/export/README.md").read_text()
    # Once read, never again: not by the same command, and not by another export.
    assert command("train", "s").status == 0
    assert command("export", "s/final").status == 0
    assert len(Path("runs/s/test_reads.jsonl").read_text().splitlines()) == 1
    report = command("export", "s", "-q")
    assert report.status == 0, report
    # Nobody has to ask for it: what a person opens in the morning.
    page = Path("runs/s/report/report.md").read_text()
    for title in ("## Confirmed", "## Trained in full", "The test images were read once"):
        assert title in page
    text = Path("runs/s/export/report.md").read_text()
    assert "## Confirmed" in text
    assert "## Trained in full" in text
    assert "The test images were read once" in text
