"""Runs that were never run: a content as run.json has it, and events folded into a view."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnet_search.files import append_line, write_json, write_text
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.runs.events import Event
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView, view_of
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan
from resnet_search.training.recipe import recipe_from

SPACE = """description = "two blocks"
[axes]
n = [1, 2]
width = [4, 6, 8]
block = ["basic", "bottleneck"]
[limits]
max_params = 100_000
[hyperband]
max_epochs = 3
[data]
source = "shapes"
validation = 1000
"""
CLASSES = ["disc", "ring", "star"]


def make_content() -> dict[str, Any]:
    space = parse_space(SPACE, "small")
    plan = make_plan(space, (32, 32, 3), len(CLASSES))
    return {
        "format": 1,
        "name": "small-run",
        "created": "2026-01-02T03:04:05.678+00:00",
        "space": space.to_dict(),
        "recipe": recipe_from(space.fixed_recipe).to_dict(),
        "horizon": 3,
        "plan": plan.to_list(),
        "feasible": plan.feasible.to_dict(),
        "data": {
            "source": "shapes",
            "location": "drawn by resnet-search",
            "data_dir": None,
            "fingerprint": "5604e3d3",
            "arrays": "key",
            "train": 3000,
            "train_examples": None,
            "validation": 1000,
            "test": 500,
            "image_shape": [32, 32, 3],
            "classes": CLASSES,
            "mean": [1.0, 2.0, 3.0],
            "std": [4.0, 5.0, 6.0],
            "notes": [],
        },
        "seed": 7,
        "workers": {"slots": 2, "threads": 3, "precision": "float32", "jit": False, "device": "cpu"},
        "versions": {"python": "3.11.7", "keras": "3.15.1", "tensorflow": "2.21.0"},
        "machine": {"host": "box", "processors": 6, "system": "Linux"},
        "command": ["resnet-search", "run", "--space", "small", "--seed", "7"],
    }


class Events:
    """Builds a run's events; a second passes between two of them."""

    def __init__(self) -> None:
        self.lines: list[Event] = []
        self._architectures: dict[int, Architecture] = {}
        self("started", process=1, host="box")

    def __call__(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, "time": 1_767_323_045.0 + len(self.lines), **fields})

    def create(
        self, trial: int, candidate: int, rung: tuple[int, int, int], epochs: tuple[int, int], **rest: Any
    ) -> None:
        a = Architecture.from_axes(block="basic", n=1 + candidate % 2, width=4 + 2 * (candidate // 2))
        cost = complexity(a, classes=len(CLASSES))
        iteration, bracket, index = rung
        fields = {
            "trial": f"{trial:04d}",
            "candidate": candidate,
            "iteration": iteration,
            "bracket": bracket,
            "rung": index,
            "slot": 0,
            "replacement": 0,
            "promoted_from": None,
            "parent": None,
            "initial_epoch": epochs[0],
            "epochs": epochs[1],
            "name": a.name,
            "depth": a.depth,
            "architecture": a.to_dict(),
            "recipe": {},
            "params": cost.trainable,
            "macs": cost.macs,
            "reused": False,
        }
        self("created", **{**fields, **rest})

    def complete(self, trial: int, score: float) -> None:
        self("completed", trial=f"{trial:04d}", score=score, setup_seconds=1.0, train_seconds=6.0)

    def fail(self, trial: int, reason: str) -> None:
        self("failed", trial=f"{trial:04d}", reason=reason)


def search_events() -> Events:
    """Bracket 1 draws three, one after a failure, and promotes the best; bracket 0 draws two."""
    run = Events()
    run.create(0, 0, (0, 1, 0), (0, 1), slot=0)
    run.complete(0, 0.5)
    run.create(1, 1, (0, 1, 0), (0, 1), slot=1)
    run.fail(1, "the loss was nan in epoch 1")
    run.create(2, 2, (0, 1, 0), (0, 1), slot=1, replacement=1)
    run.complete(2, 0.4)
    run.create(3, 3, (0, 1, 0), (0, 1), slot=2)
    run.complete(3, 0.45)
    run.create(4, 0, (0, 1, 1), (1, 3), promoted_from="0000", parent="0000")
    run.complete(4, 0.8)
    run.create(5, 4, (0, 0, 0), (0, 3), slot=0)
    run.complete(5, 0.79)
    run.create(6, 5, (0, 0, 0), (0, 3), slot=1)
    run.complete(6, 0.6)
    return run


@pytest.fixture
def make_view(tmp_path: Path) -> Callable[..., RunView]:
    """A view of events, with histories on disk for what completed."""

    def make(run: Events, content: dict[str, Any] | None = None) -> RunView:
        folder = RunFolder(tmp_path / "small-run")
        view = view_of(folder, content or make_content(), run.lines, locked=False)
        for trial in view.trials.values():
            if trial.score is not None and not trial.reused:
                folder.trial(trial.trial).mkdir(parents=True, exist_ok=True)
                path = folder.trial(trial.trial) / "history.jsonl"
                write_text(path, "")
                for epoch in range(trial.initial_epoch + 1, trial.epochs + 1):
                    append_line(path, epoch_line(epoch, trial.score * epoch / trial.epochs))
        return view

    return make


def epoch_line(epoch: int, score: float) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "loss": 2.0 / epoch,
        "accuracy": score,
        "val_loss": 1.5 / epoch,
        "val_accuracy": score,
        "learning_rate": 0.1,
        "train_seconds": 1.0,
        "validation_seconds": 0.5,
    }


def put(folder: Path, content: dict[str, Any], events: Events) -> None:
    """Write a run's folder."""
    folder.mkdir()
    write_json(folder / "run.json", content)
    for event in events.lines:
        append_line(folder / "events.jsonl", event)
