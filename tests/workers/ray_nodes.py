"""A Ray cluster of processes of this machine, each node with resources of its own; needs Ray."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

_TRIES = 4  # On a busy machine Ray's own start, which has 30 s, fails now and then.
_PATIENCE = 120.0
TOKEN = "0123456789abcdef" * 4
GIGABYTE = 10**9


class RayNodes:
    """Nodes by name. A cluster of its own for each: its files are in `place`, and its token is no one else's."""

    def __init__(self, place: Path, token: str = TOKEN) -> None:
        self.environment = {
            **os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_agent_register_timeout_ms": "120000",
            "RAY_USAGE_STATS_ENABLED": "0", "HOME": str(place),
        }  # fmt: skip
        self._place = place
        # Not in `place`: the path of a socket has at most 107 characters.
        self._sockets = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
        self._nodes: dict[str, psutil.Process] = {}
        self.address = ""

    def head(self, cpus: int = 0, **environment: str) -> str:
        """Start the head; its address."""
        words = ["--head", "--port=0", "--include-dashboard=false", f"--temp-dir={self._sockets.name}"]
        self._start("head", cpus, words, environment)
        return self.address

    def add(self, name: str, cpus: int = 1, **environment: str) -> None:
        """Start a node with `cpus` processors, whatever the machine has."""
        self._start(name, cpus, [f"--address={self.address}"], environment)

    def kill(self, name: str) -> None:
        """End a node at once, with everything that runs on it."""
        node = self._nodes.pop(name)
        # By session, in which those stay whose parent has ended.
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                if os.getsid(process.pid) == node.pid:
                    process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        for name in list(self._nodes):
            self.kill(name)
        self._sockets.cleanup()

    def _start(self, name: str, cpus: int, words: list[str], environment: dict[str, str]) -> None:
        for _ in range(_TRIES):
            log = self._place / f"{name}.log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block",
                     f"--num-cpus={cpus}", "--object-store-memory=100000000", f"--memory={4 * GIGABYTE}", *words],
                    stdout=output, stderr=output, env={**self.environment, **environment}, start_new_session=True,
                )  # fmt: skip
            self._nodes[name] = psutil.Process(process.pid)
            if self._is_up(process, log):
                return
            self.kill(name)
        raise AssertionError(f"node {name} does not start: {log.read_text()[-2000:]}")

    def _is_up(self, process: subprocess.Popen[bytes], log: Path) -> bool:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and process.poll() is None:
            text = log.read_text()
            if "Ray runtime started" in text:
                if "--address='" in text and not self.address:
                    self.address = text.split("--address='")[1].split("'")[0]
                return True
            time.sleep(0.5)
        return False
