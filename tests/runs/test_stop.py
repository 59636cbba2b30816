"""A run is stopped from another terminal."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resnet_search.errors import RunError
from resnet_search.runs import stop as stopping
from resnet_search.runs.folder import RunFolder, create_run
from resnet_search.runs.stop import stop

HOLD = """
import signal, sys
from pathlib import Path
from resnet_search.runs.folder import RunFolder
signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in sys.argv else lambda *_: sys.exit(143))
with RunFolder(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return create_run(tmp_path, "run", {})


@pytest.fixture
def driver(run: RunFolder) -> Iterator[subprocess.Popen[str]]:
    with start(run) as process:
        yield process
        process.kill()


def start(run: RunFolder, *words: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_the_driver_gets_sigterm_and_its_end_is_waited_for(run: RunFolder, driver: subprocess.Popen[str]) -> None:
    assert stop(run).process == driver.pid
    assert not run.is_locked()
    assert driver.wait(10) == 143
    assert run.last_driver() is None, "it has given the run back"


def test_nothing_runs(run: RunFolder) -> None:
    with pytest.raises(RunError, match=f"got '{run.name}'"):
        stop(run)


def test_the_driver_has_died(run: RunFolder, driver: subprocess.Popen[str]) -> None:
    driver.kill()
    driver.wait()
    with pytest.raises(RunError, match=f"process {driver.pid} "):
        stop(run)


def test_it_runs_on_another_machine(run: RunFolder, driver: subprocess.Popen[str]) -> None:
    (run.path / "lock").write_text(f"process {driver.pid} on elsewhere")
    with pytest.raises(RunError, match="elsewhere") as raised:
        stop(run)
    assert f"kill {driver.pid}" in raised.value.cure
    assert driver.poll() is None


@pytest.mark.parametrize("process", [os.getpid(), 2**22 + 1], ids=["own", "none"])
def test_a_process_that_does_not_hold_the_run_is_left_alone(
    process: int, run: RunFolder, driver: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number may have been written by hand, or be another process's by now."""
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a signal was sent"))
    (run.path / "lock").write_text(f"process {process} on {socket.gethostname()}")
    with pytest.raises(RunError, match=f"process {process}"):
        stop(run)


@pytest.mark.parametrize(
    "text", ["", "process -1 on x", "process 1", "rm -rf / on host now", "process 9e9 on x", "process 1 on \x1b[2J"]
)
def test_a_lock_that_names_nobody(text: str, run: RunFolder, driver: subprocess.Popen[str]) -> None:
    (run.path / "lock").write_text(text)
    with pytest.raises(RunError, match="lock"):
        stop(run)


def test_a_driver_that_does_not_end(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with start(run, "deaf") as process:
        with pytest.raises(RunError, match="did not end") as raised:
            stop(run, patience=0.3)
        assert f"kill -9 {process.pid}" in raised.value.cure
        process.send_signal(signal.SIGKILL)
    assert stopping.PATIENCE > 10
