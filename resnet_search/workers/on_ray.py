"""Workers on a Ray cluster: an actor for each slot, placed by Ray where there is room, and again when it is lost.

The run's folder stays here: the files of a job go with it, and come back after each epoch.
"""

from __future__ import annotations

import signal
import time
import uuid
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resnet_search.errors import TrainingError, UserError
from resnet_search.files import append_bytes, make_folder, write_bytes
from resnet_search.training.job import Job
from resnet_search.workers.cluster import MOST_SLOTS, Cluster
from resnet_search.workers.connect import Needs, admitted, alive, connect, last_line, options, worded
from resnet_search.workers.contract import Done, Failed, Lost, Message, Stopped, Waiting
from resnet_search.workers.host import Heard, Host
from resnet_search.workers.local import WorkerSettings
from resnet_search.workers.node import Node, check_node, worker_versions
from resnet_search.workers.packing import FILES, Packer

_HEAR_SECONDS = 10.0  # Answers of any kind arrive sooner.
_LOOK_SECONDS = 2.0  # between looks at what the cluster has
_WAITING_SECONDS = 10.0  # before a waiting trial is reported, and again
_END_SECONDS = 3.0  # that workers have to tidy up: Ctrl-C is to be quick
_AGAIN_SECONDS = 0.5  # before an actor that cannot be reached is asked again
_NEVER_JOINED = 5
_LOGS = "See the logs on the nodes, /tmp/ray/session_latest/logs"


@dataclass(slots=True)
class _Hired:
    """The actor of a slot and the one call to it that is under way; `job` is what it trains or is to train.

    `number` is that of its last submission, `heard` how many messages of it were.
    """

    actor: Any
    call: Any
    doing: str  # join, submit, hear, or nothing
    job: Job | None = None
    node: str = ""
    number: int = 0
    heard: int = 0
    since: float = 0.0


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
        self._packer = Packer(self._ray, shared=bool(self._cluster.storage))
        self._waiter = ThreadPoolExecutor(1)
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

    def cancel(self, slot: int) -> None:
        hired = self._hired.pop(slot, None)
        if hired is not None:
            self._ray.kill(hired.actor)
        self._messages = deque(message for message in self._messages if message.slot != slot)

    def wait(self, seconds: float) -> Message | None:
        if not self._messages:
            self._listen(seconds)
        return self._messages.popleft() if self._messages else None

    def close(self) -> None:
        """Never raise an error, in any state of the cluster: no caller is left to handle it."""
        ended = []
        try:
            ended = [hired.actor.end.remote(last=True) for hired in self._hired.values() if hired.doing != "join"]
            if ended:
                self._first(ended, len(ended), _END_SECONDS)
            for hired in self._hired.values():
                self._ray.kill(hired.actor)
        except self._ray.exceptions.RayError:
            pass
        self._waiter.shutdown()
        self._hired.clear()
        self._packer.clear()

    def _hire(self, job: Job) -> _Hired:
        # Without restarts: a new actor would not know what it was to do.
        kind = self._ray.remote(max_restarts=0, max_concurrency=2, **options(self._needs))(Host)
        storage = str(self._log.parent.absolute()) if self._cluster.storage else ""
        actor = kind.remote(self._settings, self._needs.get("GPU", 0.0), self._session, storage)
        return _Hired(actor, actor.join.remote(), "join", job, since=time.monotonic())

    def _give(self, slot: int, hired: _Hired, job: Job) -> None:
        """A job that is new to the actor."""
        hired.number += 1
        self._send(slot, hired, job)

    def _send(self, slot: int, hired: _Hired, job: Job) -> None:
        """Send a job with the files that it starts from; once more with the same number if the answer was lost."""
        try:
            sent, files = self._packer.pack(job)
        except OSError as error:
            self._stop(slot, hired, f"{error.filename or job.folder}: {error.strerror}")
            return
        except self._ray.exceptions.RayError as error:
            self._stop(slot, hired, f"Ray's object store does not take what goes with it: {last_line(str(error))}")
            return
        hired.doing, hired.heard = "submit", 0
        hired.call = hired.actor.submit.remote(hired.number, sent, files)

    def _stop(self, slot: int, hired: _Hired, reason: str) -> None:
        """Say that the search has to end; the actor is idle from then on."""
        self._messages.append(Stopped(slot, "" if hired.job is None else hired.job.trial, reason))
        hired.doing, hired.job = "", None

    def _listen(self, seconds: float) -> None:
        self._use_idle()
        self._tell_waiting()
        calls = {hired.call: slot for slot, hired in self._hired.items() if hired.doing}
        if not calls:
            time.sleep(seconds)
            return
        exceptions = self._ray.exceptions
        for call in self._first(list(calls), 1, seconds):
            slot = calls[call]
            try:
                self._answered(slot, self._hired[slot], self._ray.get(call))
            # An answer may be lost with its node before the loss is known; a second request reports it.
            except (exceptions.ActorUnavailableError, exceptions.ObjectLostError):
                time.sleep(min(seconds, _AGAIN_SECONDS))
                self._ask_again(slot, self._hired[slot])
            except exceptions.RayTaskError as error:
                self._refused(slot, self._hired[slot], error)
            except (exceptions.RayActorError, exceptions.OutOfMemoryError) as error:
                self._gone(slot, self._hired.pop(slot), error)
            except exceptions.RayError as error:
                raise TrainingError(
                    f"Ray cannot run a worker: {type(error).__name__}: {last_line(str(error))}",
                    f"{_LOGS}. Every finished epoch is kept: fix the cause, then resume the run.",
                ) from error

    def _first(self, calls: list[Any], number: int, seconds: float) -> list[Any]:
        """The first `number` calls that are answered, or as many as are in time."""
        # In another thread: in one that waits in Ray, what the handler of a signal raises becomes a SystemError.
        done, _ = self._waiter.submit(self._ray.wait, calls, num_returns=number, timeout=seconds).result()
        return list(done)

    def _answered(self, slot: int, hired: _Hired, answer: Any) -> None:
        if isinstance(answer, Node):
            check_node(answer, self._versions, self._log.parent, self._settings.precision)
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
            append_bytes(self._log, heard.log)
        for message in heard.messages[hired.heard - heard.first :]:
            self._messages.append(replace(message, slot=slot))
            if isinstance(message, Done | Failed | Lost):
                hired.job = None
        hired.heard = heard.first + len(heard.messages)

    def _ask_again(self, slot: int, hired: _Hired) -> None:
        """Repeat the answers that were lost with a broken connection."""
        if hired.doing == "join":
            hired.call = hired.actor.join.remote()
        elif hired.doing == "submit" and hired.job is not None:
            self._send(slot, hired, hired.job)
        else:
            hired.call = hired.actor.hear.remote(hired.heard, _HEAR_SECONDS)

    def _gone(self, slot: int, hired: _Hired, error: Any) -> None:
        said = str(error)
        if getattr(error, "actor_init_failed", False) or "ModuleNotFoundError" in said:
            raise TrainingError(
                f"a node of the cluster cannot start a worker: {last_line(said)}",
                "Install the same version of resnet-search, with the ray extra, on every node.",
            ) from error
        machine = _OF_A_NODE in said or getattr(error, "preempted", False)
        if not machine:
            self._never_joined = self._never_joined + 1 if hired.doing == "join" else 0
        if self._never_joined == _NEVER_JOINED:
            raise TrainingError(
                f"{_NEVER_JOINED} workers in a row ended before they joined: {last_line(said)}",
                "A cluster that was started without token authentication ends them so: start every node with "
                f"RAY_AUTH_MODE=token and the same token. {_LOGS}.",
            )
        # A worker that ends before its job has started was not ended by the job.
        blameless = machine or hired.doing != "hear"
        node = f" {hired.node}" if hired.node else ""
        if machine:
            reason = f"is lost with its node{node}"
        elif isinstance(error, self._ray.exceptions.OutOfMemoryError):
            reason = f"was killed by Ray, as memory ran out on its node{node}"
        else:
            reason = "ended, and Ray with it"
        trial = None if hired.job is None else hired.job.trial
        self._messages.append(Lost(slot, trial, -signal.SIGKILL, reason, blameless=blameless))

    def _refused(self, slot: int, hired: _Hired, error: Any) -> None:
        """An error on the node that is not of training: it would come with every candidate."""
        cause = error.cause if isinstance(getattr(error, "cause", None), Exception) else error
        where = f"node {hired.node or 'of the cluster'}"
        if isinstance(cause, UserError):
            name = f"on {where}: " if hired.node else ""  # Before it has joined, it names itself.
            raise TrainingError(f"{name}{cause.message}", cause.cure) from error
        if not isinstance(cause, OSError):
            raise TrainingError(f"a worker on {where} cannot continue: {last_line(str(error))}", f"{_LOGS}.") from error
        self._stop(slot, hired, f"on {where}: {cause}")

    def _use_idle(self) -> None:
        """Give the job of an actor without a place to an idle actor, which may hold the place it waits for."""
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
                self._messages.append(Waiting(slot, hired.job.trial, f"{reason}: a trial takes {worded(self._needs)}"))


# In the words of Ray's message.
_OF_A_NODE = "node has died"
