"""Workers on a Ray cluster: an actor for each slot, placed by Ray where there is room, and placed anew when it is lost.

The run's folder stays here: the files of a job go with it, and come back after each epoch.
"""

from __future__ import annotations

import signal
import time
import uuid
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from resnet_search.errors import TrainingError
from resnet_search.files import make_folder, write_bytes
from resnet_search.training.arrays import Arrays, read_arrays
from resnet_search.training.job import STATE, Job
from resnet_search.workers.cluster import MOST_SLOTS, Cluster
from resnet_search.workers.connect import Needs, admitted, alive, check_node, connect, options
from resnet_search.workers.contract import Done, Failed, Lost, Message, Stopped, Waiting
from resnet_search.workers.host import FILES, Heard, Host, Node, weights_of, worker_versions
from resnet_search.workers.local import WorkerSettings

_HEAR_SECONDS = 10.0  # An answer comes sooner, with whatever is said.
_LOOK_SECONDS = 2.0  # between looks at what the cluster has
_WAITING_SECONDS = 10.0  # before a trial is said to wait, and again
_END_SECONDS = 3.0  # that workers have to tidy up: Ctrl-C is to be quick
_AGAIN_SECONDS = 0.5  # before an actor that cannot be reached is asked again
_NEVER_JOINED = 5


@dataclass(slots=True)
class _Hired:
    """The actor of a slot and the one call to it that is under way; `job` is what it trains or is to train."""

    actor: Any
    call: Any
    doing: str  # join, submit, hear, or nothing
    job: Job | None = None
    node: str = ""
    heard: int = 0
    since: float = 0.0


@dataclass(slots=True)
class _Files:
    """What goes with a job: files of its folder, the state of its parent, and references to what many jobs share."""

    own: dict[str, bytes] = field(default_factory=dict)
    parent: bytes | None = None
    arrays: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)


class RayWorkers:
    """`workers.contract.Workers` on a cluster. What the processes print goes to `log`."""

    def __init__(self, settings: WorkerSettings, log: Path) -> None:
        chosen = dict(settings.cluster or {})
        self._needs: Needs = dict(chosen.pop("needs"))
        self._cluster = Cluster(**chosen)
        self._ray = connect(self._cluster)
        self._settings, self._log = settings, log
        self._session = uuid.uuid4().hex
        self._versions = worker_versions(settings.backend)
        self._hired: dict[int, _Hired] = {}
        self._messages: deque[Message] = deque()
        self._references: dict[str, Any] = {}  # What is in the object store, by path.
        self._never_joined = 0
        self._looked, self._room = -_LOOK_SECONDS, 0

    @property
    def slots(self) -> int:
        """As many as the cluster has room for now; one where it has none, which then waits for a node."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked, self._room = now, admitted(alive(self._ray), self._needs)
        return min(MOST_SLOTS, max(1, self._room))

    def submit(self, slot: int, job: Job) -> None:
        hired = self._hired.get(slot)
        if hired is None:
            self._hired[slot] = self._hire(job)
        else:
            hired.job = job
            self._give(slot, hired, job)

    def wait(self, seconds: float) -> Message | None:
        if not self._messages:
            self._listen(seconds)
        return self._messages.popleft() if self._messages else None

    def close(self) -> None:
        """Without an error, whatever has become of the cluster: nobody is left to hear of it."""
        ended = []
        try:
            ended = [hired.actor.end.remote(last=True) for hired in self._hired.values() if hired.doing != "join"]
            if ended:
                self._ray.wait(ended, num_returns=len(ended), timeout=_END_SECONDS)
            for hired in self._hired.values():
                self._ray.kill(hired.actor)
        except self._ray.exceptions.RayError:
            pass
        self._hired.clear()
        self._references.clear()

    def _hire(self, job: Job) -> _Hired:
        # Without restarts: a new actor would not know what it was to do.
        kind = self._ray.remote(max_restarts=0, max_concurrency=2, **options(self._needs))(Host)
        storage = str(self._log.parent) if self._cluster.storage else ""
        actor = kind.remote(self._settings, self._needs.get("GPU", 0.0), self._session, storage)
        return _Hired(actor, actor.join.remote(), "join", job, since=time.monotonic())

    def _give(self, slot: int, hired: _Hired, job: Job) -> None:
        """Send a job with the files that it goes on from."""
        try:
            files = _Files() if self._cluster.storage else self._files(job)
        except OSError as error:
            self._stop(slot, hired, f"{error.filename or job.folder}: {error.strerror}")
            return
        hired.doing, hired.heard = "submit", 0
        hired.call = hired.actor.submit.remote(job, files.own, files.parent, files.arrays, files.weights)

    def _files(self, job: Job) -> _Files:
        folder, parent = Path(job.folder), None if job.parent is None else Path(job.parent) / STATE
        own = {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}
        state = parent.read_bytes() if parent is not None and parent.is_file() else None
        starts = state is None and STATE not in own
        weights = [(source, self._stored(source.path)) for source in weights_of(job)] if starts else []
        return _Files(own, state, [self._stored(Path(job.data))], weights)

    def _stop(self, slot: int, hired: _Hired, reason: str) -> None:
        """Say that the search has to end; the actor is idle from then on."""
        self._messages.append(Stopped(slot, "" if hired.job is None else hired.job.trial, reason))
        hired.doing, hired.job = "", None

    def _stored(self, path: Path) -> Any:
        """A reference to the images of a folder, or to the content of a file; put into the object store once."""
        key = str(path)
        if key not in self._references:
            # Without the mapping of a file, so that it travels as it lies in memory.
            content = path.read_bytes() if path.is_file() else _plain(read_arrays(path))
            self._references[key] = self._ray.put(content)
        return self._references[key]

    def _listen(self, seconds: float) -> None:
        self._use_idle()
        self._tell_waiting()
        calls = {hired.call: slot for slot, hired in self._hired.items() if hired.doing}
        if not calls:
            time.sleep(seconds)
            return
        done, _ = self._ray.wait(list(calls), num_returns=1, timeout=seconds)
        for call in done:
            slot = calls[call]
            try:
                self._answered(slot, self._hired[slot], self._ray.get(call))
            # An answer may be lost with its node before anybody knows that the node is: asked again, that is said.
            except (self._ray.exceptions.ActorUnavailableError, self._ray.exceptions.ObjectLostError):
                time.sleep(min(seconds, _AGAIN_SECONDS))
                self._ask_again(slot, self._hired[slot])
            except self._ray.exceptions.RayActorError as error:
                self._gone(slot, self._hired.pop(slot), error)
            except self._ray.exceptions.RayTaskError as error:
                self._refused(slot, self._hired[slot], error)

    def _answered(self, slot: int, hired: _Hired, answer: Any) -> None:
        if isinstance(answer, Node):
            check_node(answer, self._versions, self._log.parent)
            self._never_joined = 0
            hired.node = answer.name
            if hired.job is not None:
                self._give(slot, hired, hired.job)
            return
        if isinstance(answer, Heard):
            try:
                self._take(slot, hired, answer)
            except OSError as error:
                self._stop(slot, hired, f"{error.filename or self._log.parent}: {error.strerror}")
        if hired.job is None:
            hired.doing = ""
        else:
            hired.doing, hired.call = "hear", hired.actor.hear.remote(hired.heard, _HEAR_SECONDS)

    def _take(self, slot: int, hired: _Hired, heard: Heard) -> None:
        """Files first: what a message says of an epoch is then on disk."""
        if hired.job is not None and heard.files:
            folder = Path(hired.job.folder)
            make_folder(folder)
            for name in FILES:
                if name in heard.files:
                    write_bytes(folder / name, heard.files[name])
        if heard.log:
            with self._log.open("ab") as log:
                log.write(heard.log)
        for message in heard.messages[hired.heard - heard.first :]:
            self._messages.append(replace(message, slot=slot))
            if isinstance(message, Done | Failed | Lost):
                hired.job = None
        hired.heard = heard.first + len(heard.messages)

    def _ask_again(self, slot: int, hired: _Hired) -> None:
        """After a connection that was broken: what was not heard is said again."""
        if hired.doing == "join":
            hired.call = hired.actor.join.remote()
        elif hired.doing == "submit" and hired.job is not None:
            self._give(slot, hired, hired.job)
        else:
            hired.call = hired.actor.hear.remote(hired.heard, _HEAR_SECONDS)

    def _gone(self, slot: int, hired: _Hired, error: Any) -> None:
        said = str(error)
        if getattr(error, "actor_init_failed", False) or "ModuleNotFoundError" in said:
            raise TrainingError(
                f"a node of the cluster cannot start a worker: {_last_line(said)}",
                "Install the same version of resnet-search, with the ray extra, on every node.",
            ) from error
        self._never_joined = self._never_joined + 1 if hired.doing == "join" else 0
        if self._never_joined == _NEVER_JOINED:
            raise TrainingError(
                f"{_NEVER_JOINED} workers in a row ended before they joined: {_last_line(said)}",
                "A cluster that was started without token authentication ends them so: start every node with "
                "RAY_AUTH_MODE=token and the same token. See also the logs on the nodes, /tmp/ray/session_latest/logs.",
            )
        machine = _OF_A_NODE in said or getattr(error, "preempted", False)
        # Before its job has begun, it is not the job that ends a worker.
        blameless = machine or hired.doing != "hear"
        reason = "is lost with its node" if machine else "ended, and Ray with it"
        name = f" {hired.node}" if hired.node and machine else ""
        trial = None if hired.job is None else hired.job.trial
        self._messages.append(Lost(slot, trial, -signal.SIGKILL, f"{reason}{name}", blameless=blameless))

    def _refused(self, slot: int, hired: _Hired, error: Any) -> None:
        """An error on the node that is not of training: it would come with every candidate."""
        cause = error.cause if isinstance(getattr(error, "cause", None), Exception) else error
        self._stop(slot, hired, f"on node {hired.node or 'of the cluster'}: {cause}")

    def _use_idle(self) -> None:
        """Give the job of an actor that is not placed to one that is idle, and may have the place that it waits for."""
        idle = [slot for slot, hired in self._hired.items() if not hired.doing]
        for slot, hired in list(self._hired.items()):
            if hired.doing == "join" and hired.job is not None and idle:
                self._ray.kill(hired.actor)
                self._hired[slot] = other = self._hired.pop(idle.pop())
                other.job = hired.job
                self._give(slot, other, hired.job)

    def _tell_waiting(self) -> None:
        """Say of trials that Ray cannot place that they wait, and what for."""
        now = time.monotonic()
        enough = self._room >= len(self._hired)
        for slot, hired in self._hired.items():
            patience = _WAITING_SECONDS * (6 if enough else 1)
            if hired.doing == "join" and hired.job is not None and now - hired.since > patience:
                hired.since = now - patience + _WAITING_SECONDS
                reason = "other work has the nodes for it" if self._room else "the cluster has no node for it"
                takes = ", ".join(_amount(name, need) for name, need in self._needs.items() if need)
                self._messages.append(Waiting(slot, hired.job.trial, f"{reason}: a trial takes {takes}"))


# In the words of Ray's message.
_OF_A_NODE = "node has died"


def _plain(arrays: Arrays) -> Arrays:
    """Arrays that travel as they lie in memory: those mapped from a file are objects of their own kind."""
    images, labels = np.asarray(arrays.x_train), np.asarray(arrays.y_train)
    held, theirs = np.asarray(arrays.x_validation), np.asarray(arrays.y_validation)
    return replace(arrays, x_train=images, y_train=labels, x_validation=held, y_validation=theirs)


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message")[:300]


def _amount(name: str, need: float) -> str:
    return f"{need / 1e9:.1f} GB of memory" if name == "memory" else f"{need:g} {name}"
