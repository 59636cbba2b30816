"""Workers as processes of this machine, talking JSON lines over pipes.

A process is replaced after some trials, since TensorFlow grows with every model it trains.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_search.training.job import Epoch, Job
from resnet_search.workers.contract import Done, EpochDone, Failed, Lost, Message, Ready, Stopped

# About 14 MB stay with the process per trained model on a CPU (measured with Keras 3.15, TensorFlow 2.21).
TRIALS_PER_PROCESS = 25


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How each process computes: intra-op threads, `float32` or `mixed_bfloat16`, XLA, and on which device."""

    threads: int
    precision: str = "float32"
    jit: bool = False
    device: str = "cpu"


class LocalWorkers:
    """`workers.contract.Workers` on this machine. What the processes print goes to `log`."""

    def __init__(self, slots: int, settings: WorkerSettings, log: Path) -> None:
        self.slots = slots
        self._settings, self._log = settings, log
        self._messages: queue.Queue[tuple[_Process, Message]] = queue.Queue()
        self._processes: dict[int, _Process] = {}
        for slot in range(slots):
            self._start(slot)

    def submit(self, slot: int, job: Job) -> None:
        process = self._processes.get(slot)
        if process is None or process.jobs >= TRIALS_PER_PROCESS or not process.alive:
            if process is not None:
                process.end()
            process = self._start(slot)
        process.submit(job)

    def wait(self, seconds: float) -> Message | None:
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
        return message

    def close(self) -> None:
        for process in self._processes.values():
            process.end()
        self._processes.clear()

    def _start(self, slot: int) -> _Process:
        process = _Process(slot, self._settings, self._log, self._messages)
        self._processes[slot] = process
        return process


class _Process:
    """One child, and the thread that reads what it says."""

    def __init__(
        self, slot: int, settings: WorkerSettings, log: Path, messages: queue.Queue[tuple[_Process, Message]]
    ) -> None:
        self.slot, self.jobs = slot, 0
        self.trial: str | None = None
        self._messages = messages
        with log.open("ab") as stderr:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "resnet_search.workers.child", json.dumps(_settings_dict(settings))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=_environment(settings),
                # Ctrl-C is for the driver alone; it ends its workers in its own order.
                start_new_session=True,
            )
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def submit(self, job: Job) -> None:
        self.trial = job.trial
        self.jobs += 1
        stdin = self._child.stdin
        if stdin is None:
            return
        try:
            stdin.write(json.dumps(job.to_dict()).encode() + b"\n")
            stdin.flush()
        except OSError:
            return  # It is gone; the listener says so.

    def end(self) -> None:
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue

    def _listen(self) -> None:
        stdout = self._child.stdout
        if stdout is None:
            return
        try:
            for line in stdout:
                self._messages.put((self, _message(self.slot, json.loads(line))))
        except ValueError:
            pass  # A line torn by the end of the process, or the pipe closed by `end`.
        self._messages.put((self, Lost(self.slot, self.trial, self._child.wait())))


def _message(slot: int, said: dict[str, Any]) -> Message:
    kind = said["kind"]
    if kind == "ready":
        return Ready(slot, tuple(said["devices"]))
    if kind == "epoch":
        return EpochDone(slot, said["trial"], Epoch(**said["epoch"]))
    if kind == "done":
        return Done(slot, said["trial"], tuple(Epoch(**line) for line in said["history"]), said["setup_seconds"])
    if kind == "stopped":
        return Stopped(slot, said["trial"], said["reason"])
    return Failed(slot, said["trial"], said["reason"], said["detail"])


def _settings_dict(settings: WorkerSettings) -> dict[str, Any]:
    return {"threads": settings.threads, "precision": settings.precision, "jit": settings.jit}


def _environment(settings: WorkerSettings) -> dict[str, str]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(settings.threads), "TF_CPP_MIN_LOG_LEVEL": "2"}
    # Memory as it is needed, so that several trials can share one GPU.
    environment |= {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if settings.device == "cpu":
        environment |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    return environment
