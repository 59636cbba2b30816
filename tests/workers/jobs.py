"""Jobs for workers, and the messages that they answer with."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from resnet_search.networks.architecture import Architecture
from resnet_search.training.job import Job
from resnet_search.workers.contract import Done, Failed, Lost, Message, Stopped, Workers

PATIENCE = 300  # seconds; a busy machine is slow to import TensorFlow


def job(tmp_path: Path, images: Path, trial: str, **values) -> Job:
    settings = {
        "folder": str(tmp_path / f"trial_{trial}"), "parent": None, "recipe": {"batch_size": 16}, "seed": 1,
        "architecture": Architecture(block="basic", blocks=(1,), width=2).to_dict(), "initial_epoch": 0,
        "epochs": 1, "horizon": 100, "data": str(images),
    }  # fmt: skip
    return Job(trial=trial, **{**settings, **values})


def hear(workers: Workers, kind: type[Message]) -> Message:
    """The next message of a kind."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        message = workers.wait(1.0)
        if isinstance(message, kind):
            return message
        assert not isinstance(message, Done | Failed | Lost | Stopped), message
    raise AssertionError(f"no {kind.__name__} in {PATIENCE} s")


def children() -> list[psutil.Process]:
    """The worker processes below this one."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "resnet_search.workers.child" in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found
