"""Runs as a search leaves them, made without training; and the command line, called in this process."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from resnet_search.cli.main import execute
from resnet_search.cli.session import Session, Signals
from resnet_search.files import append_line
from resnet_search.networks.presets import PRESETS
from resnet_search.runs.folder import RunFolder, create_run
from resnet_search.search.candidates import Candidates
from resnet_search.search.schedule import Draw, Promote, Schedule
from resnet_search.spaces.load import load_space
from resnet_search.spaces.plan import Plan, make_plan
from resnet_search.spaces.space import SearchSpace

STARTED = 1_790_000_000.0


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit status and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Call the command line with words, in this process."""
    monkeypatch.delenv("RESNET_SEARCH_RUNS_DIR", raising=False)
    # Of whoever runs the tests; a file or a pipe has no width.
    monkeypatch.delenv("COLUMNS", raising=False)

    def call(*words: Any) -> Outcome:
        capfd.readouterr()
        status = execute([str(word) for word in words], Signals(Session()))
        return Outcome(status, *capfd.readouterr())

    return call


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes a terminal of standard output, so many columns wide."""

    def make(columns: int) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm-256color")
        for variable in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(variable, raising=False)

    return make


def _heed_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def spawn(*words: Any, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "resnet_search", *map(str, words)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        # A shell starts what runs in its background with SIGINT ignored, and the command line leaves it so.
        preexec_fn=_heed_signals,  # noqa: PLW1509 - it takes no lock
        **options,
    )


def make_folder(path: Path, **per_class: int) -> None:
    """A folder of files that are called images, ten to test each class on."""
    for name, images in per_class.items():
        for part, count in (("train", images), ("test", 10)):
            (path / part / name).mkdir(parents=True)
            for number in range(count):
                (path / part / name / f"{number}.jpg").touch()


def make_run(
    runs_dir: Path,
    name: str = "trial-run",
    *,
    space: str | SearchSpace = "quickstart",
    stop_after: int = 10**9,
    **changes: Any,
) -> RunFolder:
    """A run of a space, up to its trial `stop_after`, which is then still running; every 7th trial fails."""
    searched = load_space(space, Path("no-such-folder")) if isinstance(space, str) else space
    return _Writer(runs_dir, name, searched, stop_after, changes).write()


class _Writer:
    def __init__(self, runs_dir: Path, name: str, space: SearchSpace, stop_after: int, changes: dict[str, Any]) -> None:
        self.space, self.plan = space, make_plan(space)
        self.names = {PRESETS[model].architecture: model for model in space.axes.models}
        self.folder = create_run(runs_dir, name, {**_content(space, self.plan), **changes})
        self.stop_after, self.time = stop_after, STARTED
        self.architectures: list[Any] = []
        self.random = random.Random(0)

    def note(self, event: str, **fields: Any) -> None:
        self.time += 1.0
        append_line(self.folder.events, {"event": event, "time": self.time, **fields})

    def write(self) -> RunFolder:
        schedule = Schedule(self.plan.brackets)
        draws = Candidates(self.space, self.plan.feasible, self.plan.brackets, 0)
        of_trial: dict[str, tuple[Any, Any]] = {}
        self.note("started", process=1, host=socket.gethostname())
        while isinstance(step := schedule.next(), Draw | Promote):
            trial = f"{len(of_trial):04d}"
            if isinstance(step, Draw):
                candidate = draws.draw(step, set(), set())
                parent = None
                schedule.drawn(trial, step)
            else:
                candidate, _ = of_trial[step.trial]
                parent = step.trial
                schedule.promoted(trial, step)
            of_trial[trial] = (candidate, step)
            self.created(trial, candidate, step, parent)
            if len(of_trial) > self.stop_after:
                self.note("interrupted", reason="Interrupted")
                return self.folder
            if isinstance(step, Draw) and len(of_trial) % 7 == 0:
                self.note("failed", trial=trial, reason="the loss was nan in epoch 1")
                schedule.failed(trial)
                continue
            score = round(self.random.uniform(0.2, 0.9), 4)
            self.history(trial, step.rung.initial_epoch, step.rung.epochs, score)
            self.time += 2.0 * (step.rung.epochs - step.rung.initial_epoch)
            seconds = 2.0 * (step.rung.epochs - step.rung.initial_epoch)
            self.note("completed", trial=trial, score=score, setup_seconds=1.5, train_seconds=seconds)
            schedule.completed(trial, score)
        self.note("finished")
        return self.folder

    def created(self, trial: str, candidate: Any, step: Draw | Promote, parent: str | None) -> None:
        architecture = candidate.architecture
        if architecture not in self.architectures:
            self.architectures.append(architecture)
        cost = dict(zip(self.plan.feasible.architectures, self.plan.feasible.costs, strict=True))[architecture]
        self.note(
            "created",
            trial=trial,
            candidate=self.architectures.index(architecture),
            iteration=step.bracket.iteration,
            bracket=step.bracket.number,
            rung=step.rung.index,
            slot=step.slot,
            replacement=step.replacement if isinstance(step, Draw) else 0,
            promoted_from=parent,
            parent=parent,
            initial_epoch=step.rung.initial_epoch,
            epochs=step.rung.epochs,
            reused=False,
            name=self.names.get(architecture, architecture.name),
            depth=architecture.depth,
            architecture=architecture.to_dict(),
            recipe=dict(candidate.recipe),
            params=cost.trainable,
            macs=cost.macs,
        )

    def history(self, trial: str, first: int, last: int, score: float) -> None:
        folder = self.folder.trial(trial)
        folder.mkdir()
        for epoch in range(first + 1, last + 1):
            reached = score * epoch / last
            line = {"epoch": epoch, "loss": 2.3 - reached, "accuracy": reached, "val_loss": 2.3 - reached}
            line |= {"val_accuracy": reached, "learning_rate": 0.1, "train_seconds": 1.8, "validation_seconds": 0.2}
            append_line(folder / "history.jsonl", line)


def _content(space: SearchSpace, plan: Plan) -> dict[str, Any]:
    return {
        "created": "2026-09-21T00:00:00.000+00:00",
        "space": space.to_dict(),
        "recipe": {"name": "search"},
        "horizon": space.hyperband.max_epochs,
        "plan": plan.to_list(),
        "feasible": plan.feasible.to_dict(),
        "data": {
            "source": space.data.source, "location": "", "data_dir": None, "fingerprint": "0" * 64, "arrays": "none",
            "train": 3200, "train_examples": None, "validation": 800, "test": 1000, "image_shape": [32, 32, 3],
            "classes": [f"class {index}" for index in range(10)], "mean": [128.0] * 3, "std": [64.0] * 3,
            "notes": ["3 images could not be read"],
        },
        "seed": 0,
        "workers": {"slots": 1, "threads": 2, "precision": "float32", "jit": False, "device": "cpu"},
        "versions": {"python": "3.11.7"},
        "machine": {"host": socket.gethostname(), "processors": 2, "system": "Linux"},
        "command": ["resnet-search", "run"],
    }  # fmt: skip
