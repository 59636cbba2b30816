"""Runs as a search leaves them, made without training; and the command line, called in this process."""

from __future__ import annotations

import atexit
import hashlib
import inspect
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.content import DATA, WORKERS, make_content
from resnet_search.cli import main
from resnet_search.cli.session import Session, Signals
from resnet_search.files import append_line
from resnet_search.networks.presets import PRESETS
from resnet_search.runs.events import read_events
from resnet_search.runs.folder import RUN_JSON, RunFolder, create_run
from resnet_search.runs.trials import RunView, read_run
from resnet_search.search.candidates import Candidates
from resnet_search.search.schedule import Draw, Promote, Schedule
from resnet_search.spaces.load import load_space
from resnet_search.spaces.plan import Plan, make_plan
from resnet_search.spaces.space import SearchSpace

STARTED = 1_790_000_000.0


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit status, what it printed, and the class of the error that ended it."""

    status: int
    out: str
    err: str
    error: type[BaseException] | None = field(default=None, compare=False)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Call the command line with words, in this process."""
    monkeypatch.delenv("RESNET_SEARCH_RUNS_DIR", raising=False)
    # Of whoever runs the tests; a file or a pipe has no width.
    monkeypatch.delenv("COLUMNS", raising=False)

    errors: list[type[BaseException]] = []
    explain = main._explain

    def keep(error: BaseException, session: Session) -> int:
        errors.append(type(error))
        return explain(error, session)

    monkeypatch.setattr(main, "_explain", keep)

    def call(*words: Any) -> Outcome:
        capfd.readouterr()
        errors.clear()
        status = main.execute([str(word) for word in words], Signals(Session()))
        return Outcome(status, *capfd.readouterr(), *errors)

    return call


def refused(outcome: Outcome, status: int, *names: str) -> None:
    """The command ended with this status and one error message, which has all of these names and values in it."""
    assert outcome.status == status, outcome
    assert outcome.err.startswith("Error: ")
    assert "Traceback" not in outcome.out + outcome.err
    assert "internal error" not in outcome.err
    missing = [name for name in names if name not in outcome.err]
    assert missing == [], outcome.err


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


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """16 GB of memory, four processors without bfloat16, no GPU; what it says of its processor, to be replaced."""
    import psutil

    from resnet_search.workers import devices, precision

    memory = SimpleNamespace(total=16_000_000_000, available=12_000_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(devices, "nvidia_gpus", list)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    processor = tmp_path / "cpuinfo"
    processor.write_text("flags\t\t: fpu avx512f\n")
    monkeypatch.setattr(precision, "_PROCESSOR", processor)
    return processor


@dataclass
class Asked:
    """What the searches and exports of a test were asked for."""

    searches: list[tuple[SearchSpace, Any]] = field(default_factory=list)
    resumed: list[tuple[str, Any]] = field(default_factory=list)
    budgets: list[tuple[float | None, int | None]] = field(default_factory=list)
    exports: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Searches and exports that end at once, in a folder of the test's own; what they were asked for."""
    from resnet_search.export import saved_model
    from resnet_search.export.folder import MANIFEST
    from resnet_search.report.exported import Ensemble
    from resnet_search.search import start
    from tests.report.test_exported import EXPORTED

    calls = Asked()
    exported = inspect.signature(saved_model.export_run)

    def watched(folder: RunFolder, observers: Any, budget: Any) -> RunView:
        calls.budgets.append((budget.seconds, budget.trials))
        view = RunView(folder, folder.read())
        for event in read_events(folder.events):
            view.apply(event)
            for observer in observers:
                observer(event, view)
        return read_run(folder)

    def run_search(space: SearchSpace, settings: Any, observers: Any = (), *, budget: Any = None) -> RunView:
        calls.searches.append((space, settings))
        # Runs are made in the order of a synchronous search.
        made = space.with_settings(promotion="sync") if space.hyperband.promotion == "async" else space
        return watched(make_run(settings.runs_dir, settings.name, space=made), observers, budget)

    def resume_run(folder: RunFolder, observers: Any = (), *, settings: Any = None, budget: Any = None) -> RunView:
        calls.resumed.append((folder.name, settings))
        whole = make_run(tmp_path / "spare", folder.name)
        folder.events.write_bytes(whole.events.read_bytes())
        return watched(folder, observers, budget)

    def export_run(view: RunView, trial: Any = None, out: Path | None = None, **options: Any) -> Any:
        exported.bind(view, trial, out, **options)
        values = {"trial": trial and trial.trial, "out": out, **options}
        calls.exports.append({"run": view.folder.name} | {key: value for key, value in values.items() if value})
        folder = out or view.folder.path / "export"
        folder.mkdir(parents=True, exist_ok=True)
        best = view.leader.trial if view.leader else "0000"
        (folder / MANIFEST).write_text(json.dumps({"trial": best, "completed": view.completed}))
        ensemble = None
        if "ensemble" in options:
            members = tuple(member.trial for member in view.ranking()[: options["ensemble"]])
            ensemble = Ensemble(members=members, params=30_000, macs=5_000_000, alone=())
        return saved_model.ExportResult(
            folder=folder, saved_model=folder, report=folder, trial="0000", difference=1.5e-7, accuracy=0.75,
            exported=replace(EXPORTED, ensemble=ensemble), notes=("a \x1b[31mnote",),
        )  # fmt: skip

    monkeypatch.setattr(start, "run_search", run_search)
    monkeypatch.setattr(start, "resume_run", resume_run)
    monkeypatch.setattr(saved_model, "export_run", export_run)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.chdir(tmp_path)
    return calls


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of the test's own: a machine that was examined, a finished confirmation, an export of colours."""
    from resnet_search.cli import confirm
    from resnet_search.export import predict
    from resnet_search.report import confirmed
    from resnet_search.runs import doctor
    from tests.export import colours
    from tests.report.test_confirmed import found

    checks = [doctor.Check("Disk", doctor.OK, "9 GB free"), doctor.Check("GPU", doctor.WARNING, "asleep", "Wake it.")]
    scores = {"0007": [0.74, 0.76, 0.75], "0004": [0.78, 0.77, 0.79]}
    confirmation = found(scores, failed=("0001",))
    monkeypatch.setattr(doctor, "examine", lambda *_: checks)
    monkeypatch.setattr(confirm, "begin_or_go_on", lambda *_, **__: SimpleNamespace(state="finished"))
    monkeypatch.setattr(confirmed, "confirmation", lambda *_: confirmation)
    monkeypatch.setattr(predict, "running", colours.running)
    colours.describe(tmp_path / "export")
    monkeypatch.chdir(tmp_path)


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


def commands(text: str) -> list[str]:
    """The commands that a text offers, each a line of its own, without the program's name."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("  resnet-search ")]
    return [line.removeprefix("resnet-search ").split("   #")[0] for line in lines]


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
    searched = _shipped(space) if isinstance(space, str) else space
    template = _template(searched, stop_after)
    folder = RunFolder(runs_dir / name)
    shutil.copytree(template, folder.path, copy_function=shutil.copyfile)
    content = {**json.loads((template / RUN_JSON).read_text()), "name": name, **changes}
    (folder.path / RUN_JSON).write_text(json.dumps(content, indent=1) + "\n")
    return folder


@cache
def _shipped(name: str) -> SearchSpace:
    return load_space(name, Path("no-such-folder"))


def _template(space: SearchSpace, stop_after: int) -> Path:
    """Such a run, written once and then copied."""
    key = hashlib.sha256(json.dumps([space.to_dict(), stop_after]).encode()).hexdigest()
    path = _templates() / key
    if not path.exists():
        _Writer(path, space, stop_after).write()
    return path


@cache
def _templates() -> Path:
    folder = tempfile.mkdtemp(prefix="made-runs-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


class _Writer:
    def __init__(self, path: Path, space: SearchSpace, stop_after: int) -> None:
        self.space, self.plan = space, make_plan(space)
        self.names = {PRESETS[model].architecture: model for model in space.axes.models}
        self.folder = create_run(path.parent, path.name, _content(space, self.plan))
        self.stop_after, self.time = stop_after, STARTED
        self.architectures: list[Any] = []
        self.random = random.Random(0)

    def note(self, event: str, **fields: Any) -> None:
        self.time += 1.0
        append_line(self.folder.events, {"event": event, "time": self.time, **fields})

    def write(self) -> None:
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
                return
            if isinstance(step, Draw) and len(of_trial) % 7 == 0:
                self.note("failed", trial=trial, reason="the loss was nan in epoch 1")
                schedule.failed(trial)
                continue
            score = round(self.random.uniform(0.2, 0.9), 4)
            self.history(trial, step.rung.initial_epoch, step.rung.epochs, score)
            self.time += 2.0 * (step.rung.epochs - step.rung.initial_epoch)
            seconds = 2.0 * (step.rung.epochs - step.rung.initial_epoch)
            self.note(
                "completed", trial=trial, score=score, val_loss=2.3 - score, setup_seconds=1.5, train_seconds=seconds
            )
            schedule.completed(trial, score)
        self.note("finished")

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
    data = {"classes": [f"class {index}" for index in range(10)], "notes": ["3 images could not be read"]}
    return make_content(
        created="2026-09-21T00:00:00.000+00:00",
        space=space.to_dict(),
        horizon=space.hyperband.max_epochs,
        plan=plan.to_list(),
        feasible=plan.feasible.to_dict(),
        data={**DATA, "source": space.data.source, "train": 3200, "validation": 800, "test": 1000, **data},
        workers={**WORKERS, "threads": 2},
        versions={"python": "3.11.7"},
        machine={"host": socket.gethostname(), "processors": 2, "system": "Linux"},
    )


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project of Keras Tuner, its images, and nothing else."""
    from tests.search.projects import make_images, make_project

    folder = tmp_path_factory.mktemp("there")
    make_images(folder / "images.npz")
    make_project(folder / "search")
    return folder
