"""What is done and what is left, and how it is told."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from resnet_search.cli import plain
from resnet_search.cli.live import LiveView, draw
from resnet_search.cli.plain import PlainLines
from resnet_search.cli.progress import Progress, Snapshot
from resnet_search.cli.worth import images_line
from resnet_search.errors import RunError
from resnet_search.files import read_lines, write_lines
from resnet_search.runs.events import read_events
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView, open_run, read_run

from .conftest import make_run

pytestmark = pytest.mark.interface


def epoch(trial: str, number: int, seconds: float = 2.0) -> dict[str, Any]:
    line = {"epoch": number, "loss": 1.25, "val_accuracy": 0.5, "train_seconds": seconds, "validation_seconds": 0.0}
    return {"event": "epoch", "trial": trial, "slot": 0, "line": line}


def replay(folder: RunFolder, observer: Any, *extra: dict[str, Any]) -> list[Any]:
    """Show an observer the events of a run, and then others that are not on disk."""
    view = RunView(folder, folder.read())
    view.check()
    seen = []
    for event in read_events(folder.events):
        view.apply(event)
        seen.append(observer(event, view))
    return [*seen, *(observer(event, view) for event in extra)]


def drawn(now: Snapshot, width: int = 80, height: int = 24) -> list[str]:
    out = Console(file=io.StringIO(), width=width, height=height)
    out.print(draw(now, 0.0, "0:10", height - 12))
    text: io.StringIO = out.file  # type: ignore[assignment]
    return [line.rstrip() for line in text.getvalue().splitlines()]


def test_a_finished_run_has_done_all_that_was_planned(tmp_path: Path) -> None:
    now = replay(make_run(tmp_path), Progress().take)[-1]
    assert (now.trials, now.epochs) == (now.planned_trials, now.planned_epochs)
    assert now.failed > 0
    assert now.running == ()
    assert now.seconds_left == pytest.approx(0.0)
    assert now.best is not None


def test_epochs_of_a_running_trial_count(tmp_path: Path) -> None:
    folder = make_run(tmp_path, stop_after=20)
    last = f"{20:04d}"
    before, after = replay(folder, Progress().take, epoch(last, 4))[-2:]
    assert before.running[0].trial == last
    assert after.epochs == before.epochs + 4 - before.running[0].epoch
    assert (after.running[0].epoch, after.running[0].loss, after.running[0].val_accuracy) == (4, 1.25, 0.5)
    assert after.seconds_left < before.seconds_left


def test_no_estimate_before_anything_is_measured(tmp_path: Path) -> None:
    first = replay(make_run(tmp_path, stop_after=1), Progress().take)[:3]
    assert [now.seconds_left for now in first] == [None] * 3


def test_a_first_epoch_alone_is_no_measure_since_it_compiles(tmp_path: Path) -> None:
    folder = make_run(tmp_path, stop_after=0)
    seen = replay(folder, Progress().take, epoch("0000", 1, 30.0), epoch("0000", 2, 1.0))
    assert seen[-2].seconds_left is None
    slowly = replay(folder, Progress().take, epoch("0000", 1, 30.0), epoch("0000", 2, 10.0))
    assert slowly[-1].seconds_left == pytest.approx(10 * seen[-1].seconds_left)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 15)])
def test_the_live_view_fits_the_screen(tmp_path: Path, width: int, height: int) -> None:
    now = replay(make_run(tmp_path, stop_after=12), Progress().take, epoch("0012", 1))[-1]
    many = Snapshot(**{name: getattr(now, name) for name in now.__slots__} | {"running": now.running * 40})
    for snapshot in (now, many):
        lines = drawn(snapshot, width, height)
        assert len(lines) < height
        assert max(map(len, lines)) <= width
    assert any("more" in line for line in drawn(many, width, height))


def test_the_live_view_says_what_matters(tmp_path: Path) -> None:
    now = replay(make_run(tmp_path, stop_after=12), Progress().take, epoch("0012", 1))[-1]
    text = "\n".join(drawn(now))
    for words in (
        "of 75 epochs",
        "of 23 trials",
        "1 failed",
        "0012",
        "1 of 3",
        "1.2500",
        "50.00 %",
        "Best so far",
        "left",
    ):
        assert words in text
    assert "Starting the worker" in "\n".join(drawn(replay(make_run(tmp_path, "b", stop_after=0), Progress().take)[-1]))


def test_the_live_view_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    out = io.StringIO()
    with LiveView(Console(file=out, force_terminal=True, width=80), "Reading ...") as live:
        replay(make_run(tmp_path, stop_after=3), live)
    written = out.getvalue()
    assert images_line(open_run(tmp_path / "trial-run")) in written
    assert "3 images could not be read" in written
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") == 1


def test_notes_of_the_live_view_are_wrapped_between_words(tmp_path: Path) -> None:
    run = make_run(tmp_path, stop_after=3)
    content = run.read()
    note = "photos/train/circle/a-picture.png cannot be read and is left out: (Truncated File Read)"
    content["data"]["notes"] = [note]
    (run.path / "run.json").write_text(json.dumps(content))
    out = io.StringIO()
    with LiveView(Console(file=out, force_terminal=True, width=60), "Reading ...") as live:
        replay(run, live)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    [first] = [at for at, line in enumerate(lines) if "Note: " in line]
    lines[first] = lines[first][lines[first].index("Note: ") :]
    assert lines[first + 1].startswith("      ")
    assert " ".join(" ".join(lines[first : first + 2]).split()) == f"Note: {note}"


def test_plain_lines_have_fixed_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path)
    with PlainLines("Reading ...") as lines:
        replay(run, lines)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "Reading ..."
    assert "trial-run" in out[1]
    assert "23 trials" in out[1]
    assert out[2] == images_line(read_run(run))
    assert out[3].endswith(" 3 images could not be read")
    ended = [line for line in out if " of 23  trial " in line]
    assert len({line.index("bracket") for line in ended}) == 1
    assert sum("failed: the loss was nan" in line for line in ended) == 1
    assert out[-1].startswith("finished trial-run")


def test_names_of_any_length_keep_the_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run(tmp_path)
    lines = read_lines(folder.events)
    named = [line for line in lines if "name" in line]
    for length, line in zip([30, *range(len(named) - 1)], named, strict=True):
        line["name"] = "x" * length
    write_lines(folder.events, lines)
    with PlainLines("Reading ...") as shown:
        replay(folder, shown)
    ended = [line for line in capsys.readouterr().out.splitlines() if " of 23  trial " in line]
    assert len({line.index(" parameters") for line in ended}) == 1


def test_stopped_is_said_of_what_had_begun_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def search(*, begun: bool) -> None:
        with PlainLines("Reading ...") as lines:
            if begun:
                replay(make_run(tmp_path, stop_after=3), lines)
            raise RunError("there are no images")

    for begun in (False, True):
        with pytest.raises(RunError):
            search(begun=begun)
        assert ("stopped" in capsys.readouterr().out.splitlines()) == begun


def test_a_reader_that_is_gone_does_not_end_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def broken(text: str) -> None:
        said.append(text)
        raise BrokenPipeError

    monkeypatch.setattr(plain.click, "echo", broken)
    with PlainLines("Reading ...") as lines:
        replay(make_run(tmp_path), lines)
    assert len(said) == 1


@pytest.mark.parametrize("stop_after", [0, 5, 22, 10**9])
def test_what_is_kept_is_what_all_trials_say(tmp_path: Path, stop_after: int) -> None:
    folder = make_run(tmp_path, stop_after=stop_after)
    view, progress = RunView(folder, folder.read()), Progress()
    for event in read_events(folder.events):
        view.apply(event)
        now, trials = progress.take(event, view), list(view.trials.values())
        assert now.best is view.leader
        assert now.trials == view.completed
        assert now.failed == sum(trial.status == "failed" for trial in trials)
        assert [trial.trial for trial in now.running] == [trial.trial for trial in trials if trial.status == "running"]
        assert (now.planned_trials, now.planned_epochs) == (view.planned_trials, view.planned_epochs)
    again = Progress().take({"event": "resumed"}, view)
    for name in ("trials", "failed", "epochs", "best"):
        assert getattr(again, name) == getattr(now, name)
    assert again.seconds_left == pytest.approx(now.seconds_left)


def test_of_equals_the_best_is_the_one_drawn_first_in_the_plan_whenever_it_was_drawn(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    events = read_events(folder.events)
    for event in events:
        if event["event"] == "completed":
            event["score"] = 0.5
    view, progress = RunView(folder, folder.read()), Progress()
    last = next(e for e in reversed(events) if e["event"] == "created" and e["epochs"] == view.max_epochs)
    # Drawn again, and so first in the plan.
    again = {**last, "trial": "0099", "bracket": 2, "slot": 0, "rung": 0, "promoted_from": None, "parent": None}
    for event in [*events[:-1], again]:
        view.apply(event)
        now = progress.take(event, view)
    assert now.best is view.leader
    assert now.best is not None
    assert now.best.candidate == last["candidate"]


def test_what_an_event_costs_does_not_grow_with_the_trials_of_its_candidate() -> None:
    """A small space that is gone through again and again has hundreds of them."""
    ranked = []
    done = [SimpleNamespace(trial=str(n), status="completed", epochs=9, score=n / 1000, promoted_from=None,
                            iteration=n, bracket=0, rung=0, macs=1, candidate=0, reused=True, initial_epoch=0)
            for n in range(300)]  # fmt: skip
    view: Any = SimpleNamespace(
        of_candidate=lambda _: done, is_ranked=lambda _: True, rank=lambda one: ranked.append(one) or -one.score
    )
    again: Any = SimpleNamespace(**{**vars(done[0]), "trial": "300", "status": "running", "iteration": 300})
    progress = Progress()
    progress._take_trial({"event": "created"}, again, view)
    progress._take_trial({"event": "created"}, again, view)
    assert len(ranked) <= 4
    assert progress._best is done[-1]
