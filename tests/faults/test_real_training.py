"""Five kills on real training: driver, worker and both, at random moments."""

from __future__ import annotations

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
from tests.cli.test_signals import read_until, search, trials


@pytest.mark.slow
def test_five_kills(tmp_path: Path) -> None:
    whole = search(tmp_path, "whole")
    assert whole.wait(1800) == 0, whole.communicate()

    chance = random.Random(0)
    process = search(tmp_path, "killed")
    for whom in ("driver", "worker", "both", "driver", "worker"):
        read_until(process, "  trial 0")  # A trial has ended, so others run.
        time.sleep(chance.uniform(0, 3))
        workers = [child.pid for child in psutil.Process(process.pid).children()]
        assert workers
        victims = {"driver": [process.pid], "worker": workers[:1], "both": [process.pid, *workers]}[whom]
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
