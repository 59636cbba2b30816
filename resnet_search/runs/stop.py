"""Stop a run from another terminal, as SIGTERM does."""

from __future__ import annotations

import os
import signal
import socket
import time

from resnet_search.errors import RunError
from resnet_search.runs.folder import LOCK, Driver, RunFolder

# A driver ends within 10 s of SIGTERM (`cli.session`); the rest is for a machine that is busy.
PATIENCE = 30.0


def stop(folder: RunFolder, patience: float = PATIENCE) -> Driver:
    """Send SIGTERM to the driver of a run and wait until it has released the run; return its process id.

    `RunError` if nothing runs, if it runs on another machine or for another user, or if it does not end within
    `patience` seconds.
    """
    driver = folder.last_driver()
    if not folder.is_locked():
        died = f"; {driver} had it and died" if driver else ""
        raise RunError(f"RUN: got {folder.name!r}, which no process works on{died}", _resume(folder))
    if driver is None:
        raise RunError(f"{folder.path / LOCK}: does not name the process that holds it", "Stop it in its terminal.")
    if driver.host != socket.gethostname():
        raise RunError(
            f"RUN: got {folder.name!r}, which {driver} works on; this is {socket.gethostname()}",
            f"Stop it there: resnet-search stop {folder.word}, or kill {driver.process}",
        )
    if not _holds(driver.process, folder):
        raise RunError(
            f"{folder.path / LOCK}: names {driver}, which does not hold it",
            "Stop the run in its terminal; if that is gone, look for the process with ps.",
        )
    os.kill(driver.process, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while folder.is_locked():
        if time.monotonic() > deadline:
            raise RunError(
                f"RUN: got {folder.name!r}, whose {driver} did not end within {patience:.0f} s of SIGTERM",
                f"End it by force, which costs no more than the running epochs: kill -9 {driver.process}",
            )
        time.sleep(0.1)
    return driver


def _holds(process: int, folder: RunFolder) -> bool:
    """Whether a process has the lock open: its number may have gone to another one since it was written there."""
    import psutil

    lock = os.path.realpath(folder.path / LOCK)
    try:
        return any(os.path.realpath(file.path) == lock for file in psutil.Process(process).open_files())
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied as error:
        raise RunError(
            f"RUN: got {folder.name!r}, whose process {process} belongs to another user", "Ask them, or use sudo."
        ) from error


def _resume(folder: RunFolder) -> str:
    return f"See how far it is: resnet-search trials {folder.word}"
