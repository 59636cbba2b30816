"""Workers as processes of this machine, talking JSON lines over pipes.

A process is replaced after some trials, since TensorFlow grows with every model it trains, and at once if it ends or
makes no progress.
"""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

from resnet_search.processes import PYTHON, safe_environment
from resnet_search.reading import BINARY, open_plain
from resnet_search.training.job import MACHINE, Epoch, Job
from resnet_search.workers.backend import MEMORY_FRACTIONS, memory_fraction
from resnet_search.workers.compiled import compiled_folder, prune
from resnet_search.workers.contract import Divided, Done, EpochDone, Failed, Lost, Message, Ready, Stopped
from resnet_search.workers.nvidia import mps_serves, visible_names

# About 14 MB stay with the process per trained model on a CPU (measured with Keras 3.15, TensorFlow 2.21).
TRIALS_PER_PROCESS = 25
CHILD = [*PYTHON, "-m", "resnet_search.workers.child"]
# A step of the largest network that trains on a processor at all takes seconds; of validation, a minute.
HANG_TIMEOUT = 600.0
# A trial's first epoch also reads the images and compiles the network, and its validation comes last: until it has
# ended, this many times longer is waited.
FIRST_EPOCH = 3
# How processes end where the machine fails, not the candidate: by their own exit status, out of memory, as mapped
# images cannot be read, and by instructions that the processor lacks.
_SIGNALS = (getattr(signal, name, 0) for name in ("SIGABRT", "SIGBUS", "SIGILL"))
OF_THE_MACHINE = frozenset({MACHINE, *(-number for number in _SIGNALS if number)})
# A process that is asked to end has so many seconds before it is killed: MPS serves the others of its GPU worse after.
_GRACE = 2.0
# A driver that was suspended counts no more than this as waiting, in seconds: its workers' words are on their way.
_MOST_WAITED = 5.0


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How each process computes: intra-op threads, XLA, the device, and the precision of its networks.

    `hang_timeout`: a process that finishes no step for so long, in seconds, is replaced. `gpus`: how many there are,
    which take the workers in turn. `gpu_share`: the part of a GPU's memory that each may take, 0 for all of it.
    `gpu_bytes`: the memory of a GPU, 0 where that is not known. `backend`: of Keras; empty for what it takes here.
    `deterministic`: the same bits in every process on a GPU, as on a processor; slower.
    `cluster`: of `workers.connect`, None for processes of this machine.
    """

    threads: int
    precision: str = "float32"
    jit: bool = False
    device: str = "cpu"
    hang_timeout: float = HANG_TIMEOUT
    gpus: int = 1
    gpu_share: float = 0.0
    gpu_bytes: int = 0
    backend: str = ""
    cluster: dict[str, Any] | None = None
    deterministic: bool = False


class LocalWorkers:
    """`workers.contract.Workers` on this machine. What the processes print goes to `log`."""

    def __init__(self, slots: int, settings: WorkerSettings, log: Path) -> None:
        self.slots = slots
        self._settings, self._log = settings, log
        self._messages: queue.Queue[tuple[_Process, Message]] = queue.Queue()
        self._processes: dict[int, _Process] = {}
        self._watched = time.monotonic()
        with suppress(RuntimeError):
            prune(compiled_folder())
        for slot in range(slots):
            self._start(slot)

    def submit(self, slot: int, job: Job) -> None:
        process = self._processes.get(slot)
        if process is not None and process.jobs < TRIALS_PER_PROCESS and process.take(job):
            return
        if process is not None:
            process.end()
        self._start(slot).take(job)

    def cancel(self, slot: int) -> None:
        process = self._processes.pop(slot, None)
        if process is not None:
            process.end()

    def wait(self, seconds: float) -> Message | None:
        hanging = self._hanging()
        if hanging is not None:
            hanging.kill()
            del self._processes[hanging.slot]
            reason = f"made no progress for {hanging.silent:.0f} s and was killed"
            return Lost(hanging.slot, hanging.trial, -signal.SIGKILL, reason, machine=not hanging.stepped)
        try:
            process, message = self._messages.get(timeout=seconds)
        except queue.Empty:
            return None
        if self._processes.get(message.slot) is not process:
            return None  # The last words of a process that was replaced.
        if isinstance(message, Done | Failed):
            process.trial = None
        if isinstance(message, Lost):
            del self._processes[message.slot]
            if process.blameless:
                reason = "was ended with another one on its GPU, which shares an MPS server"
                return replace(message, reason=reason, blameless=True, machine=False)
            if message.exit_code in OF_THE_MACHINE | {-signal.SIGSEGV}:
                self._end_neighbours(message.slot)
        return message

    def close(self) -> None:
        for process in self._processes.values():
            process.ask_to_end()
        for process in self._processes.values():
            process.end()
        self._processes.clear()

    def _end_neighbours(self, slot: int) -> None:
        """End the other workers of a failed worker's GPU if they share an MPS server.

        It ends all of its clients with one, and serves no new one before; neither is their trials' fault.
        """
        if not (self._settings.device == "gpu" and mps_serves()):
            return
        neighbours = [one for one in self._processes.values() if (one.slot - slot) % self._settings.gpus == 0]
        for process in neighbours:
            process.blameless = True
            process.ask_to_end()
        for process in neighbours:
            process.kill()

    def _hanging(self) -> _Process | None:
        """A process that has a trial and finishes no step of it."""
        now = time.monotonic()
        passed = min(now - self._watched, _MOST_WAITED)
        self._watched = now
        for process in self._processes.values():
            if process.trial is not None:
                process.silent += passed
                patience = self._settings.hang_timeout * (1 if process.settled else FIRST_EPOCH)
                if process.silent > patience:
                    return process
        return None

    def _start(self, slot: int) -> _Process:
        process = _Process(slot, self._settings, self._log, self._messages)
        self._processes[slot] = process
        return process


class _Process:
    """One child, and the thread that reads what it says."""

    silent = 0.0  # Seconds since a child that has a trial was last heard of.
    stepped = False  # Whether its trial has started.
    settled = False  # Whether an epoch has ended, so that nothing is left to compile.
    blameless = False  # Whether it is ended for another's fault.

    def __init__(
        self, slot: int, settings: WorkerSettings, log: Path, messages: queue.Queue[tuple[_Process, Message]]
    ) -> None:
        self.slot, self.jobs = slot, 0
        self.trial: str | None = None
        self._messages = messages
        with open_plain(log, BINARY, "ab") as stderr:
            self._child = subprocess.Popen(
                [*CHILD, json.dumps(_settings_dict(settings))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=_environment(settings, slot),
                # Ctrl-C is for the driver alone; it ends its workers in its own order.
                start_new_session=True,
            )
        self._stdin, self._stdout = cast("IO[bytes]", self._child.stdin), cast("IO[bytes]", self._child.stdout)
        threading.Thread(target=self._listen, daemon=True).start()

    def take(self, job: Job) -> bool:
        """Hand a job over; whether the process is still there for it. If it is not, the listener says so too."""
        self.trial = job.trial
        self.silent, self.stepped, self.settled = 0.0, False, False
        self.jobs += 1
        try:
            self._stdin.write(json.dumps(job.to_dict()).encode() + b"\n")
            self._stdin.flush()
        except OSError:
            # Asking whether it runs would not do: it does until somebody has waited for it.
            return False
        return True

    def ask_to_end(self) -> None:
        """Close standard input; a child ends when its input ends."""
        with suppress(OSError):
            self._stdin.close()

    def kill(self) -> None:
        """Without waiting for its end: a process that hangs in a driver may take long."""
        self.ask_to_end()
        try:
            self._child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._child.kill()

    def end(self) -> None:
        self.kill()
        self._child.wait()
        with suppress(OSError):
            self._stdout.close()

    def _listen(self) -> None:
        try:
            for line in self._stdout:
                said = json.loads(line)
                self.silent = 0.0
                if said["kind"] == "step":
                    self.stepped = True
                else:
                    self.settled |= said["kind"] == "epoch"
                    if said["kind"] == "divided":
                        self.stepped = self.settled = False  # It is compiled again.
                    self._messages.put((self, _message(self.slot, said)))
        except ValueError:
            pass  # A line torn by the end of the process, or the pipe closed by `end`.
        status = self._child.wait()
        machine = not self.stepped or status in OF_THE_MACHINE
        self._messages.put((self, Lost(self.slot, self.trial, status, _how_it_ended(status), machine=machine)))


def _how_it_ended(status: int) -> str:
    if status == MACHINE:
        return "could not compute on this machine"
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    if name == "SIGKILL":
        return "was killed (SIGKILL), as the system does when memory runs out"
    return f"crashed ({name})"


def _message(slot: int, said: dict[str, Any]) -> Message:
    kind = said["kind"]
    if kind == "ready":
        return Ready(slot, tuple(said["devices"]))
    if kind == "epoch":
        return EpochDone(slot, said["trial"], Epoch(**said["epoch"]))
    if kind == "divided":
        return Divided(slot, said["trial"], said["parts"])
    if kind == "done":
        return Done(slot, said["trial"], tuple(Epoch(**line) for line in said["history"]), said["setup_seconds"])
    if kind == "stopped":
        return Stopped(slot, said["trial"], said["reason"])
    return Failed(slot, said["trial"], said["reason"], said["detail"])


def _settings_dict(settings: WorkerSettings) -> dict[str, Any]:
    return {
        "threads": settings.threads,
        "gpu_limit": int(settings.gpu_share * settings.gpu_bytes),
    }


def _environment(settings: WorkerSettings, slot: int) -> dict[str, str]:
    # NPROC is the size of JAX's thread pool on a processor, which has no setting of its own.
    threads = {"OMP_NUM_THREADS": str(settings.threads), "NPROC": str(settings.threads)}
    environment = safe_environment(**threads, TF_CPP_MIN_LOG_LEVEL="2")
    if settings.backend:
        environment["KERAS_BACKEND"] = settings.backend
    # A step compiles for longer than a short trial takes, and a promotion compiles the same again.
    with suppress(RuntimeError):  # Without a home, without a cache.
        environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(compiled_folder()))
        # Small programs too: together they take longer to compile than to read.
        environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    if settings.device == "cpu":
        return environment | {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    # Memory as it is needed, so that several trials can share one GPU; by default JAX takes 75 %.
    environment |= {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    for name in MEMORY_FRACTIONS:  # With both set, JAX leaves the GPU out.
        environment.pop(name, None)
    environment[memory_fraction()] = f"{settings.gpu_share or _ALONE:.3f}"
    if settings.deterministic:
        environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} {DETERMINISTIC}".strip()
    if settings.gpus > 1:
        numbers = visible_names() or [str(number) for number in range(settings.gpus)]
        environment["CUDA_VISIBLE_DEVICES"] = numbers[slot % len(numbers)]
    return environment


_ALONE = 0.9
# Without autotuning, whose choice differs by process, and without operations that add up in any order.
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
