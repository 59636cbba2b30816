"""Runs whose trials have files, made without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from benchmarks.content import make_content
from resnet_search.files import append_line
from resnet_search.runs.events import append_event
from resnet_search.runs.folder import RunFolder, create_run
from resnet_search.runs.trials import RunView, read_run

ARCHITECTURE = {"block": "basic", "blocks": [1, 1, 1], "width": 4}
CONTENT = make_content(
    plan=[
        {"iteration": 0, "number": 1, "rungs": [
            {"size": 2, "initial_epoch": 0, "epochs": 1}, {"size": 1, "initial_epoch": 1, "epochs": 3},
        ]},
        {"iteration": 0, "number": 0, "rungs": [{"size": 0, "initial_epoch": 0, "epochs": 3}]},
    ],
)  # fmt: skip


def created(trial: str, candidate: int, **values: Any) -> dict[str, Any]:
    """The fields of a `created` event, those of a first rung of one epoch by default."""
    return {
        "trial": trial, "candidate": candidate, "iteration": 0, "bracket": 1, "rung": 0, "slot": candidate,
        "replacement": 0, "promoted_from": None, "parent": None, "initial_epoch": 0, "epochs": 1, "name": "basic8-w4",
        "depth": 8, "architecture": ARCHITECTURE, "recipe": {}, "params": 10, "macs": 100, "reused": False, **values,
    }  # fmt: skip


class Writer:
    """Writes the events of a run, and the files that a trial would have by then."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        append_event(folder.events, "started", process=1, host="h")

    def create(self, trial: str, candidate: int, **values: Any) -> None:
        append_event(self.folder.events, "created", **created(trial, candidate, **values))

    def complete(self, trial: str, score: float) -> None:
        """With a learning curve, a state and weights, unless it is reused."""
        entry = read_run(self.folder, locked=False).trials[trial]
        path = self.folder.trial(trial)
        if not entry.reused:
            path.mkdir()
            for epoch in range(entry.initial_epoch + 1, entry.epochs + 1):
                append_line(path / "history.jsonl", {"epoch": epoch, "val_accuracy": score})
            with h5py.File(path / "state.h5", "w") as file:
                file.attrs["epoch"] = entry.epochs
                file["network/0"] = [1.0]
            with h5py.File(path / "checkpoint.weights.h5", "w") as file:
                file["0"] = [1.0]
        append_event(self.folder.events, "completed", trial=trial, score=score, setup_seconds=1.0, train_seconds=2.0)

    def note(self, event: str, **fields: Any) -> None:
        append_event(self.folder.events, event, **fields)

    def view(self) -> RunView:
        return read_run(self.folder, locked=False)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    """A run that has just been started."""
    return Writer(create_run(tmp_path, "run", CONTENT))


@pytest.fixture
def finished(writer: Writer) -> Writer:
    """Two candidates of one epoch, one of which was promoted to three: trials 0000 and 0001, and 0002 after 0001."""
    for trial, score in (("0000", 0.3), ("0001", 0.5)):
        writer.create(trial, int(trial))
        writer.complete(trial, score)
    promoted = {"rung": 1, "promoted_from": "0001", "parent": "0001", "initial_epoch": 1, "epochs": 3}
    writer.create("0002", 1, **promoted)
    writer.complete("0002", 0.6)
    writer.note("finished")
    return writer


Files = Callable[[], set[str]]


@pytest.fixture
def checkpoints(finished: Writer) -> Files:
    """The checkpoints that are there."""

    def there() -> set[str]:
        return {str(path.relative_to(finished.folder.path)) for path in finished.folder.path.glob("trial_*/*.h5")}

    return there
