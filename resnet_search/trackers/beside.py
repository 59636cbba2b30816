"""Run each tracker of a search in its own process, which follows the run's files, so that the search never waits."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Self

from resnet_search.processes import PYTHON, safe_environment
from resnet_search.reading import BINARY, open_plain
from resnet_search.runs.folder import RunFolder

# Seconds that a search waits for its trackers at the end; after that they finish on their own.
PATIENCE = 20.0
LOG = "trackers.log"


class Beside:
    """A context around a search, and an observer that reports errors of the trackers to `observers`.

    The event is `tracker_failed`, with `tracker` and `reason`.
    """

    def __init__(self, folder: RunFolder, names: Iterable[str], observers: Sequence[Any]) -> None:
        self._folder, self._names, self._observers = folder, tuple(names), observers
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._said: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._listening: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for name in self._names:
            try:
                self._start(name)
            except OSError as error:
                self._said.put((name, f"its process does not start: {error.strerror or error}"))
        return self

    def _start(self, name: str) -> None:
        with open_plain(self._folder.path / LOG, BINARY, "ab") as log:
            process = subprocess.Popen(
                [*PYTHON, "-m", "resnet_search.trackers.keep_up", str(self._folder.path), name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=safe_environment(),
                # Ctrl-C is for the driver alone; the tracker still sends everything written until then.
                start_new_session=True,
            )
        self._processes[name] = process
        thread = threading.Thread(target=self._listen, args=(name, process.stdout), daemon=True)
        thread.start()
        self._listening.append(thread)

    def _listen(self, name: str, stdout: IO[bytes] | None) -> None:
        for line in stdout or ():
            self._said.put((name, line.decode(errors="replace").strip()))

    def __call__(self, event: dict[str, Any], view: Any) -> None:
        del event
        self._pass_on(view)

    def _pass_on(self, view: Any) -> None:
        while not self._said.empty():
            name, reason = self._said.get()
            for observer in self._observers:
                observer({"event": "tracker_failed", "tracker": name, "reason": reason}, view)

    def settle(self, view: Any) -> None:
        """Let the trackers catch up after the search, and report their errors."""
        self._let_go()
        end = time.monotonic() + PATIENCE
        for name, process in self._processes.items():
            try:
                status = process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._said.put((name, "is still catching up and continues after this command has ended"))
                continue
            if status < 0:
                self._said.put((name, f"its process was ended by signal {-status}"))
        for thread in self._listening:
            thread.join(0.2)
        self._pass_on(view)

    def _let_go(self) -> None:
        for process in self._processes.values():
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        del kind, error, at
        self._let_go()
