"""A search that is stopped: it ends soon, says how to go on, and goes on to what it would have been."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resnet_search.cli.session import PATIENCE

from .conftest import spawn

# 23 trials: stopped after its first ones, it cannot be over. Networks and images are small: most of the time goes into
# tracing, once for each network.
SPACE = """
description = "a search of a minute"
[axes]
block = "basic"
n = [1]
width = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]
[hyperband]
max_epochs = 9
factor = 3
[data]
source = "shapes"
image_size = 8
validation = 100
"""
SWALLOWED = """
import signal, sys, time
from pathlib import Path
from resnet_search.cli import session
session.PATIENCE = 0.2
signals = session.Signals(session.Session(Path("runs/never")))
signals.install()
try:
    signal.raise_signal(signal.SIGTERM)
except session.Interrupted:
    pass
time.sleep(60)
"""


def search(folder: Path, name: str, *more: str) -> subprocess.Popen[str]:
    """Start a search in a process of its own."""
    (folder / "small.toml").write_text(SPACE)
    words = ["--space", "small.toml", "--train-examples", "300", "--device", "cpu", "--no-export", "--name", name]
    return spawn("run", *words, *more, cwd=folder)


def read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    pytest.fail(f"it ended without {words!r}: {process.communicate()}")


def stop(process: subprocess.Popen[str], number: int) -> str:
    """Send a signal; the message. The 10 s that are promised are `session.PATIENCE`; a busy machine may take longer."""
    assert PATIENCE < 10
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_before_there_is_a_run(number: int, status: int, tmp_path: Path) -> None:
    process = search(tmp_path, "run")
    read_until(process, "starting the training backend")
    assert stop(process, number).startswith("Interrupted")
    assert process.returncode == status
    assert not list(tmp_path.rglob("run.json"))
    assert not list(tmp_path.rglob(".partial*"))


def test_a_signal_that_is_swallowed_ends_the_process_all_the_same(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", SWALLOWED], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert process.returncode == 143
    assert process.stderr.startswith("Interrupted")


def test_a_signal_that_the_parent_ignores_stays_ignored(tmp_path: Path) -> None:
    script = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + SWALLOWED.replace("SIGTERM", "SIGHUP")
    process = subprocess.run(
        [sys.executable, "-c", script.replace("time.sleep(60)", "print('still here')")],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert process.stdout == "still here\n"
