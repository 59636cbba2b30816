"""Real training that is stopped by a signal, then killed: a worker, and the driver with its workers."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from resnet_search.runs.checkup import Checkup
from resnet_search.runs.events import read_events
from resnet_search.runs.folder import RunFolder
from tests.cli.conftest import spawn
from tests.cli.test_signals import read_until, search, stop


@pytest.mark.slow
def test_a_signal_and_two_kills(tmp_path: Path) -> None:
    few = ["--max-epochs", "4", "--factor", "2"]  # but enough to be stopped three times
    whole = search(tmp_path, "whole", *few)
    assert whole.wait(1800) == 0, whole.communicate()

    chance = random.Random(0)
    process = search(tmp_path, "killed", *few)
    read_until(process, "  trial 0")
    err = stop(process, signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM
    assert err.endswith("\n  resnet-search resume killed\n")
    process = spawn("resume", "killed", "--no-export", cwd=tmp_path)
    for whom in ("worker", "both"):
        read_until(process, "  trial 0")  # A trial has ended, so others run.
        time.sleep(chance.uniform(0, 1.5))
        workers = [child.pid for child in psutil.Process(process.pid).children()]
        assert workers
        victims = workers[:1] if whom == "worker" else [process.pid, *workers]
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        if whom != "worker":
            process.communicate()
            process = spawn("resume", "killed", "--no-export", cwd=tmp_path)
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 0, (out, err)

    assert trials(tmp_path, "killed") == trials(tmp_path, "whole")
    folder = RunFolder(tmp_path / "runs" / "killed")
    events = read_events(folder.events)
    completed = Counter(event["trial"] for event in events if event["event"] == "completed")
    assert set(completed.values()) == {1}
    assert not [event for event in events if event["event"] in {"failed", "retrained"}]
    assert [check for check in Checkup(folder).checks() if check.status != "ok"] == []
    assert not _left_over(tmp_path)


def trials(folder: Path, name: str) -> list[tuple[object, ...]]:
    """What a run's trials are, times aside, and numbers: with two workers those tell which ended first."""
    process = spawn("trials", name, "--json", cwd=folder)
    out, _ = process.communicate()
    found = json.loads(out)["trials"]
    names = {t["trial"]: (t["name"], t["epochs"]) for t in found}
    return sorted((t["name"], t["epochs"], names.get(t["parent"], ()), t["status"], t["score"]) for t in found)


def _left_over(folder: Path) -> list[str]:
    """Worker processes that still run in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found
