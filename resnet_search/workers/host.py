"""One worker of a node of a Ray cluster, in an actor: a local worker, and the files that go to it and come from it.

A job's folder is on this node; after each epoch what is in it goes to the driver, which has the run's folder. What is
said is kept until the driver has it, so a connection that breaks for a moment loses nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import psutil

from resnet_search.errors import TrainingError
from resnet_search.files import make_folder, remove, write_bytes
from resnet_search.networks.imagenet import Source
from resnet_search.training.arrays import whole, write_arrays
from resnet_search.training.job import STATE, Job
from resnet_search.training.weights import missing
from resnet_search.workers.contract import Divided, Done, EpochDone, Message
from resnet_search.workers.devices import gpu_memory, share_gpus
from resnet_search.workers.local import LocalWorkers, WorkerSettings
from resnet_search.workers.node import Node, worker_versions
from resnet_search.workers.packing import FILES, Files
from resnet_search.workers.precision import processor_has_bfloat16

_PREFIX: Final = "resnet-search-ray-"
_SESSION: Final = re.compile(_PREFIX + "[0-9a-f]{32}")
_LOG: Final = "worker.log"
_LOG_BYTES = 2**16  # of what a process prints, at a time
_SLICE = 0.2  # seconds in which `end` is heard
# A folder without a living owner that is older is what a killed search left, in seconds.
_LEFT_OVER = 60.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What a worker has said: the messages from number `first` on, the files of its trial, and what it printed."""

    first: int
    messages: tuple[Message, ...]
    files: dict[str, bytes] = field(default_factory=dict)
    log: bytes = b""


class Host:
    """The actor. `session` names the search, and so its folder on this node, which its workers here share.

    `storage`: the run's folder, if every node sees that; then nothing is copied.
    """

    def __init__(self, settings: WorkerSettings, gpus: float, session: str, storage: str) -> None:
        self._settings, self._gpus, self._storage = settings, gpus, storage
        self._root = Path(tempfile.gettempdir()) / f"{_PREFIX}{session}"
        self._own = self._root  # Until it joins.
        self._logged = 0
        self._workers: LocalWorkers | None = None
        self._job: Job | None = None
        self._number = 0  # of the last submission that was carried out
        self._first, self._said = 0, list[Message]()
        self._sent: dict[str, tuple[int, int]] = {}
        self._turn, self._over = threading.Lock(), False

    def join(self) -> Node:
        """Start the worker process, and tell what the driver has to know of this node."""
        if self._workers is None:  # It is asked again where the answer was lost.
            _sweep(self._root.parent)
            self._root.mkdir(mode=0o700, exist_ok=True)
            self._own = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self._root))
            self._workers = LocalWorkers(1, self._shared_gpu(), self._own / _LOG)
        return Node(
            name=socket.gethostname(),
            versions=worker_versions(self._settings.backend),
            authentication=os.environ.get("RAY_AUTH_MODE", "disabled"),
            sees_storage=not self._storage or Path(self._storage, "run.json").is_file(),
            bfloat16=processor_has_bfloat16(),
        )

    def submit(self, number: int, job: Job, files: Files) -> None:
        """Start a job with the files that it needs; once, however often it comes with the same `number`."""
        with self._turn:
            if number == self._number:
                return  # The answer was lost, not the question.
            self._first, self._said = 0, []
            self._sent = {}
            _keep(files.weights)
            self._job = job if self._storage else self._placed(job, files)
            if self._workers is not None:
                self._workers.submit(0, self._job)
            self._number = number

    def hear(self, had: int, seconds: float) -> Heard:
        """What was said after the first `had` messages of this job; waits for some, `seconds` at most."""
        with self._turn:
            if had < self._first + len(self._said):
                self._sent = {}  # An answer was lost, and its files with it.
            del self._said[: had - self._first]
            self._first = had
            self._listen(seconds)
            return Heard(self._first, tuple(self._said), self._files(), self._printed())

    def end(self, *, last: bool) -> None:
        """End the worker process; `last`: the search leaves this node, and takes the folder with it."""
        self._over = True
        with self._turn:
            if self._workers is not None:
                self._workers.close()
            shutil.rmtree(self._root if last else self._own, ignore_errors=True)

    def _shared_gpu(self) -> WorkerSettings:
        """Add the memory of this node's GPUs; the worker gets its part, and Ray shows it one."""
        if self._settings.device != "gpu":
            return self._settings
        memory, share = gpu_memory(), 0.0
        if self._gpus < 1:
            try:
                share = share_gpus(int(1 / self._gpus), 1, memory, 0)[1]
            except TrainingError as error:  # It is worded for workers of one machine.
                what = (
                    f"too small a part of a GPU of {memory / 2**30:.0f} GiB" if memory else "a part of unknown memory"
                )
                raise TrainingError(
                    f"--gpus-per-trial: got {self._gpus:g}, {what} on node {socket.gethostname()}",
                    "Give each trial a larger part.",
                ) from error
        return replace(self._settings, gpus=1, gpu_bytes=memory, gpu_share=share)

    def _placed(self, job: Job, files: Files) -> Job:
        """The job with folders of this node, which hold what it needs."""
        data = self._root / "data" / Path(job.data).name
        if not whole(data):
            make_folder(data.parent)
            write_arrays(data, fetch(files.arrays))
        # The trials before it are the driver's by now.
        for folder in self._own.glob("trial_*"):
            remove(folder)
        own, before = self._own / f"trial_{job.trial}", self._own / f"trial_{job.trial}_parent"
        make_folder(own)
        for name, content in files.own.items():
            write_bytes(own / name, content, durable=False)
        if files.parent is not None:
            make_folder(before)
            write_bytes(before / STATE, files.parent, durable=False)
        return replace(job, folder=str(own), parent=str(before) if job.parent else None, data=str(data))

    def _listen(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._workers is not None and not self._over:
            left = 0.0 if self._said else end - time.monotonic()
            message = self._workers.wait(max(0.0, min(left, _SLICE)))
            if message is not None:
                self._said.append(message)
            elif left <= 0:
                return

    def _files(self) -> dict[str, bytes]:
        """Those that an epoch has changed, the state before the history, which then has a line for it in any case."""
        told = any(isinstance(message, EpochDone | Divided | Done) for message in self._said)
        if self._storage or self._job is None or not told:
            return {}
        found = {}
        for name in reversed(FILES):
            path = Path(self._job.folder) / name
            with suppress(FileNotFoundError):
                seen = path.stat()
                if self._sent.get(name) != (seen.st_mtime_ns, seen.st_size):
                    found[name] = path.read_bytes()
                    self._sent[name] = (seen.st_mtime_ns, seen.st_size)
        return found

    def _printed(self) -> bytes:
        with suppress(FileNotFoundError), (self._own / _LOG).open("rb") as log:
            log.seek(self._logged)
            printed = log.read(_LOG_BYTES)
            self._logged += len(printed)
            return printed
        return b""


def fetch(reference: Any) -> Any:
    """What a reference is to, from the object store."""
    import ray

    return ray.get(reference)


def _keep(weights: dict[Source, Any]) -> None:
    """Put files of ImageNet weights where Keras looks for them on this node."""
    for source in missing(weights):
        make_folder(source.path.parent)
        write_bytes(source.path, fetch(weights[source]))


def _sweep(place: Path) -> None:
    """Remove what searches that were killed have left on this node."""
    # Nothing else in a folder for temporary files is ours to remove.
    for folder in (path for path in place.glob(f"{_PREFIX}*") if _SESSION.fullmatch(path.name)):
        with suppress(OSError):
            owners = [int(path.name.partition("-")[0]) for path in folder.glob("[0-9]*-*")]
            old = time.time() - folder.stat().st_mtime > _LEFT_OVER
            mine = folder.stat().st_uid == os.getuid()
            if mine and old and not any(psutil.pid_exists(owner) for owner in owners):
                shutil.rmtree(folder, ignore_errors=True)
