"""Worker processes: jobs, messages and the watch for hangs with fake processes; replacement and end with real ones."""

from __future__ import annotations

import json
import os
import platform
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from resnet_search.training.job import MACHINE, Epoch
from resnet_search.workers import backend, local
from resnet_search.workers.backend import MEMORY_FRACTIONS, memory_fraction
from resnet_search.workers.contract import Divided, Done, EpochDone, Failed, Lost, Message, Ready, Stopped
from resnet_search.workers.local import LocalWorkers, WorkerSettings
from tests.faults.table import fault
from tests.workers.jobs import PATIENCE, hear, job

EPOCH = Epoch(
    epoch=1, loss=0.9, accuracy=0.5, val_loss=0.8, val_accuracy=0.6, learning_rate=0.1, train_seconds=2.0,
    validation_seconds=1.0,
)  # fmt: skip
# Of a process, after the first epoch of a trial, and before it; docs/resume.md names them.
HANG_TIMEOUT, FIRST_TIMEOUT = 600.0, 1800.0


class Pipe:
    """What a child says, line by line, until it ends."""

    def __init__(self) -> None:
        self.lines: queue.Queue[bytes] = queue.Queue()
        self.listener: threading.Thread | None = None
        self.heard, self.closed = threading.Event(), False

    def __iter__(self) -> Iterator[bytes]:
        self.listener = threading.current_thread()
        self.heard.set()
        while line := self.lines.get():
            try:
                yield line
            finally:
                self.lines.task_done()

    def say(self, line: bytes) -> None:
        """Returns when the line was read and worked on."""
        self.lines.put(line)
        self.lines.join()

    def end(self, torn: bytes) -> None:
        """Returns when the listener has ended too."""
        self.lines.put(torn)
        self.lines.put(b"")
        assert self.heard.wait(PATIENCE)
        self.listener.join(PATIENCE)

    def close(self) -> None:
        self.closed = True


class Child:
    """A process that takes jobs, and says and does what a test wants."""

    def __init__(self, command: list[str], **options: Any) -> None:
        self.settings, self.options = json.loads(command[-1]), options
        self.stdin, self.stdout = SimpleNamespace(write=self._read, flush=self._flush, close=self._close), Pipe()
        self.unread, self.jobs = b"", []
        self.running, self.waited_for, self.status = True, False, 0
        self.asked, self.obeys, self.waits = False, True, []

    def _read(self, data: bytes) -> None:
        if not self.running:
            raise BrokenPipeError
        self.unread += data

    def _flush(self) -> None:
        *lines, rest = self.unread.split(b"\n")
        assert rest == b""
        self.unread = b""
        self.jobs += [json.loads(line)["trial"] for line in lines]

    def _close(self) -> None:
        self.asked = True
        if self.running and self.obeys:
            self.end(0)
        raise BrokenPipeError  # Of a job that was not read.

    def say(self, kind: str, **fields: Any) -> None:
        self.stdout.say(json.dumps({"kind": kind, **fields}).encode() + b"\n")

    def end(self, status: int, torn: bytes = b"") -> None:
        self.running, self.status = False, status
        self.stdout.end(torn)

    def kill(self) -> None:
        if self.running:
            self.end(-signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        if timeout is not None and self.running:
            self.waits.append(timeout)
            raise subprocess.TimeoutExpired("child", timeout)
        self.waited_for |= threading.current_thread() is not self.stdout.listener
        return self.status


class Fakes:
    """Workers of this machine with fake children and a fake clock."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 1000.0
        self.children: list[Child] = []

    def start(self, *words: Any, **options: Any) -> Child:
        self.children.append(Child(*words, **options))
        return self.children[-1]

    def pool(self, slots: int = 1, settings: WorkerSettings | None = None) -> LocalWorkers:
        self.workers = LocalWorkers(slots, settings or WorkerSettings(threads=1), self.folder / "worker.log")
        return self.workers

    def submit(self, trial: str, slot: int = 0) -> None:
        self.workers.submit(slot, job(self.folder, self.folder, trial))

    def hear(self) -> Message | None:
        return self.workers.wait(0.0)

    def pass_time(self, seconds: float) -> Message | None:
        """Let time pass as a driver does that looks every five seconds."""
        for _ in range(round(seconds / 5)):
            self.now += 5.0
            if (message := self.workers.wait(0.0)) is not None:
                return message
        return None


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    fakes = Fakes(tmp_path)
    monkeypatch.setattr(local, "time", SimpleNamespace(monotonic=lambda: fakes.now))
    monkeypatch.setattr(
        local,
        "subprocess",
        SimpleNamespace(Popen=fakes.start, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired),
    )
    return fakes


def test_every_slot_has_a_process_from_the_start(fakes):
    threads, log = set(threading.enumerate()), fakes.folder / "worker.log"
    log.write_text("before")
    settings = WorkerSettings(threads=3, jit=True, device="gpu", gpus=2, gpu_share=0.5, gpu_bytes=10)
    pool = fakes.pool(2, settings)
    assert pool.slots == len(fakes.children) == 2
    assert [child.settings for child in fakes.children] == [{"threads": 3, "gpu_limit": 5}] * 2
    assert [child.options["env"] for child in fakes.children] == [local._environment(settings, slot) for slot in (0, 1)]
    assert [child.options["stderr"].name for child in fakes.children] == [str(log)] * 2
    assert log.read_text() == "before", "what earlier processes have printed stays"
    assert all(child.options["start_new_session"] for child in fakes.children), "Ctrl-C is for the driver alone"
    assert all(thread.daemon for thread in set(threading.enumerate()) - threads), "nobody waits for them"
    pool.submit(1, job(fakes.folder, fakes.folder, "0000"))
    assert [child.jobs for child in fakes.children] == [[], ["0000"]]
    assert pool.wait(0.0) is None


def test_a_process_is_replaced_after_some_trials(fakes, monkeypatch):
    monkeypatch.setattr(local, "TRIALS_PER_PROCESS", 2)
    fakes.pool()
    for trial in range(5):
        fakes.submit(f"{trial:04d}")
        assert sum(child.running for child in fakes.children) == 1
        assert all(child.waited_for and child.stdout.closed for child in fakes.children[:-1])
    assert [child.jobs for child in fakes.children] == [["0000", "0001"], ["0002", "0003"], ["0004"]]
    assert fakes.hear() is None, "that of a process that was replaced is not the end of its trial"


def test_a_job_is_for_another_process_where_the_first_has_ended(fakes):
    fakes.pool()
    fakes.children[0].running = False  # Its listener has not noticed yet.
    fakes.submit("0000")
    fakes.children[0].end(1)
    assert [child.jobs for child in fakes.children] == [[], ["0000"]]
    assert fakes.hear() is None


SAID = [
    ({"kind": "ready", "devices": ["CPU"]}, Ready(1, ("CPU",))),
    ({"kind": "epoch", "trial": "0000", "epoch": asdict(EPOCH)}, EpochDone(1, "0000", EPOCH)),
    ({"kind": "divided", "trial": "0000", "parts": 2}, Divided(1, "0000", 2)),
    ({"kind": "stopped", "trial": "0000", "reason": "full"}, Stopped(1, "0000", "full")),
    (
        {"kind": "done", "trial": "0000", "history": [asdict(EPOCH)], "setup_seconds": 1.5},
        Done(1, "0000", (EPOCH,), 1.5),
    ),
    ({"kind": "failed", "trial": "0000", "reason": "odd", "detail": "more"}, Failed(1, "0000", "odd", "more")),
]


@pytest.mark.parametrize(("said", "message"), SAID, ids=[said["kind"] for said, _ in SAID])
def test_what_a_process_says_is_a_message_of_its_slot(fakes, said, message):
    fakes.pool(2)
    fakes.submit("0000", slot=1)
    fakes.children[1].say(**said)
    assert fakes.hear() == message
    fakes.children[1].end(1)
    lost = fakes.hear()
    assert isinstance(lost, Lost)
    assert lost.trial == (None if isinstance(message, Done | Failed) else "0000"), "a trial that has ended is not lost"


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "status 0"), (1, "status 1"), (-9, "SIGKILL"), (-11, "SIGSEGV"), (-99, "signal 99")],
)
def test_a_process_that_ends_is_lost_once_with_its_trial(fakes, status, words):
    fakes.pool(2)
    fakes.submit("0000", slot=1)
    fakes.children[1].end(status, b'{"kind": "epo')
    lost = fakes.hear()
    assert isinstance(lost, Lost)
    assert (lost.slot, lost.trial, lost.exit_code, lost.blameless) == (1, "0000", status, False)
    assert words in lost.reason
    assert ("memory" in lost.reason) is (status == -signal.SIGKILL)
    assert fakes.pass_time(2 * FIRST_TIMEOUT) is None
    fakes.submit("0000", slot=1)
    assert [child.jobs for child in fakes.children] == [[], ["0000"], ["0000"]]


@pytest.mark.parametrize(
    ("status", "stepped", "machine"),
    [(1, False, True), (-9, False, True), (1, True, False), (-9, True, False), (-11, True, False), (-6, True, True),
     (-7, True, True), (MACHINE, True, True)],
)  # fmt: skip
def test_a_loss_before_the_first_step_or_by_an_abort_is_the_machines(fakes, status, stepped, machine):
    fakes.pool(1)
    fakes.submit("0000")
    if stepped:
        fakes.children[0].say("step")
    fakes.children[0].end(status)
    assert fakes.hear().machine is machine


def test_closing_ends_every_process(fakes):
    pool = fakes.pool(2)
    fakes.submit("0000")
    pool.close()
    assert all(child.waited_for and child.stdout.closed for child in fakes.children)
    assert fakes.pass_time(2 * FIRST_TIMEOUT) is None


def test_a_process_that_makes_no_progress_is_killed(fakes):
    fakes.pool(2)
    fakes.submit("0000", slot=1)
    fakes.children[1].obeys = False
    fakes.children[1].say("step")
    fakes.children[1].say("epoch", trial="0000", epoch=asdict(EPOCH))
    assert isinstance(fakes.hear(), EpochDone)
    assert fakes.pass_time(HANG_TIMEOUT) is None
    lost = fakes.pass_time(5)
    assert isinstance(lost, Lost)
    assert (lost.slot, lost.trial, lost.exit_code, lost.blameless) == (1, "0000", -signal.SIGKILL, False)
    assert "605 s" in lost.reason
    assert [child.running for child in fakes.children] == [True, False]
    assert (fakes.children[1].asked, fakes.children[1].waits) == (True, [2.0]), "it is asked to end before it is killed"
    assert fakes.hear() is None, "it is lost once"
    fakes.submit("0001", slot=1)
    assert fakes.children[2].jobs == ["0001"]


@fault(
    "training",
    "A deep network compiles for longer than a worker may be silent, for validation after its steps too",
    here="the limit is three times as long until its first epoch has ended",
)
def test_the_first_epoch_may_take_longer(fakes):
    """The network is compiled before its first step, and for validation after the last; again if its batches divide."""
    fakes.pool()
    fakes.submit("0000")
    for said in ("step", "divided", "step"):
        assert fakes.pass_time(FIRST_TIMEOUT) is None
        fakes.children[0].say(said, **({"trial": "0000", "parts": 2} if said == "divided" else {}))
        assert fakes.hear() == (Divided(0, "0000", 2) if said == "divided" else None)
    assert fakes.pass_time(FIRST_TIMEOUT) is None
    fakes.children[0].say("epoch", trial="0000", epoch=asdict(EPOCH))
    assert isinstance(fakes.hear(), EpochDone)
    assert fakes.pass_time(HANG_TIMEOUT) is None
    assert isinstance(fakes.pass_time(5), Lost)


def test_the_first_epoch_may_not_take_forever(fakes):
    fakes.pool()
    fakes.submit("0000")
    assert fakes.pass_time(FIRST_TIMEOUT) is None
    assert isinstance(fakes.pass_time(5), Lost)


def test_a_process_that_ends_when_it_is_asked_to_is_not_killed(fakes, monkeypatch):
    killed = []
    monkeypatch.setattr(Child, "kill", killed.append)
    pool = fakes.pool(2)
    pool.close()
    assert [child.asked for child in fakes.children] == [True, True]
    assert killed == []


@fault(
    "crash",
    "A fatal error on a GPU whose workers share an MPS server",
    here="all of its workers are replaced, and the other trials continue without blame",
)
@pytest.mark.parametrize(("mps", "status", "ended"), [
    (True, -6, [2]), (True, MACHINE, [2]), (True, -11, [2]), (True, -9, []), (False, -6, []),
])  # fmt: skip
def test_a_fatal_error_under_mps_is_no_fault_of_the_other_workers_of_the_gpu(fakes, monkeypatch, mps, status, ended):
    monkeypatch.setattr(local, "mps_serves", lambda: mps)
    fakes.pool(4, WorkerSettings(threads=1, device="gpu", gpus=2, gpu_share=0.4))
    for slot in range(3):
        fakes.submit(f"000{slot}", slot=slot)
        fakes.children[slot].say("step")
    fakes.children[0].end(status)
    if status == MACHINE:
        fakes.children[2].end(status)  # At the same moment: its loss is known before the first one is heard.
    first = fakes.hear()
    assert (first.trial, first.blameless) == ("0000", False)
    lost = {message.slot: message for message in iter(fakes.hear, None)}
    assert list(lost) == ended
    assert all((one.trial, one.blameless, one.machine) == ("0002", True, False) for one in lost.values())
    assert [child.running for child in fakes.children] == [False, True, not ended, True]


def test_a_process_without_a_trial_does_not_hang(fakes):
    fakes.pool()
    assert fakes.pass_time(2 * FIRST_TIMEOUT) is None
    fakes.submit("0000")
    fakes.children[0].say("step")
    fakes.children[0].say("done", trial="0000", history=[], setup_seconds=0.0)
    assert fakes.hear() == Done(0, "0000", (), 0.0)
    assert fakes.pass_time(2 * FIRST_TIMEOUT) is None


def test_every_step_and_every_job_restarts_the_wait(fakes):
    fakes.pool()
    for trial in ("0000", "0001"):
        fakes.submit(trial)
        assert fakes.pass_time(FIRST_TIMEOUT) is None
        fakes.children[0].say("epoch", trial=trial, epoch=asdict(EPOCH))
        assert isinstance(fakes.hear(), EpochDone)
        for _ in range(3):
            fakes.children[0].say("step")
            assert fakes.pass_time(HANG_TIMEOUT) is None
    assert fakes.children[0].running


def test_the_time_for_which_a_driver_was_suspended_does_not_count(fakes):
    """After a laptop's sleep no worker hangs: its messages are on their way."""
    fakes.pool()
    fakes.submit("0000")
    fakes.children[0].say("epoch", trial="0000", epoch=asdict(EPOCH))
    assert isinstance(fakes.hear(), EpochDone)
    for _ in range(3):
        fakes.now += 100_000.0
        assert fakes.hear() is None
    assert local._MOST_WAITED <= HANG_TIMEOUT / 100
    assert fakes.pass_time(HANG_TIMEOUT - 3 * local._MOST_WAITED) is None
    assert isinstance(fakes.pass_time(5), Lost)


def test_default_settings():
    assert WorkerSettings(threads=2) == WorkerSettings(
        threads=2, precision="float32", jit=False, device="cpu", hang_timeout=HANG_TIMEOUT, gpus=1, gpu_share=0.0,
        gpu_bytes=0, backend="", cluster=None, deterministic=False,
    )  # fmt: skip


ECHO = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"kind": "failed", "trial": json.loads(line)["trial"], "reason": "", "detail": ""}), flush=True)
"""


def test_real_processes_are_replaced_and_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "TRIALS_PER_PROCESS", 1)
    monkeypatch.setattr(local, "CHILD", [sys.executable, "-c", ECHO])
    before = set(psutil.Process().children())
    pool = LocalWorkers(1, WorkerSettings(threads=1), tmp_path / "worker.log")
    children = []
    for trial in ("0000", "0001"):
        pool.submit(0, job(tmp_path, tmp_path, trial))
        assert hear(pool, Failed).trial == trial
        children += set(psutil.Process().children()) - before
    assert len(children) == len(set(children)) == 2, "the first one is gone when the second one works"
    pool.close()
    assert set(psutil.Process().children()) <= before


# A worker on a GPU whose context is lost in its first trial. Nothing but `train_in_parts` and `_configure` is replaced.
POISONED = """
from pathlib import Path
from resnet_search.training import arrays, memory
from resnet_search.workers import child
class XlaRuntimeError(RuntimeError): pass
def train(job, *_):
    if job.trial == "0000":
        raise XlaRuntimeError("INTERNAL: Failed to launch: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access")
    return []
memory.train_in_parts, arrays.read_arrays, child._configure = train, lambda _: None, lambda **_: ["cuda:0"]
child.main()
"""


@fault(
    "crash",
    "A CUDA error leaves a worker's process unusable",
    here="the worker ends, its trial continues in another process, and no candidate is blamed",
)
def test_after_a_lost_context_the_next_trial_has_another_process(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "CHILD", [sys.executable, "-c", POISONED])
    pool = LocalWorkers(1, WorkerSettings(threads=1), tmp_path / "worker.log")
    try:
        pool.submit(0, job(tmp_path, tmp_path, "0000"))
        lost = hear(pool, Lost)
        assert (lost.trial, lost.exit_code, lost.machine) == ("0000", MACHINE, True)
        assert "CUDA_ERROR_ILLEGAL_ADDRESS" in (tmp_path / "worker.log").read_text().splitlines()[-1]
        pool.submit(0, job(tmp_path, tmp_path, "0001"))
        assert hear(pool, Done).trial == "0001"
    finally:
        pool.close()


def test_what_a_worker_on_the_processor_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    told = local._environment(WorkerSettings(threads=3, backend="jax"), 0)
    assert (told["KERAS_BACKEND"], told["NPROC"], told["OMP_NUM_THREADS"]) == ("jax", "3", "3")
    assert (told["JAX_PLATFORMS"], told["CUDA_VISIBLE_DEVICES"]) == ("cpu", "-1")
    assert Path(told["JAX_COMPILATION_CACHE_DIR"]).parent == tmp_path / "resnet-search"
    assert (told["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"], told["TF_CPP_MIN_LOG_LEVEL"]) == ("0", "2")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/mine")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    told = local._environment(WorkerSettings(threads=3), 0)
    assert (told["JAX_COMPILATION_CACHE_DIR"], told["KERAS_BACKEND"]) == ("/mine", "torch")


def test_without_a_home_there_is_no_cache(monkeypatch):
    def homeless(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    assert "JAX_COMPILATION_CACHE_DIR" not in local._environment(WorkerSettings(threads=1), 0)


@pytest.mark.parametrize("cpuinfo", [True, False])
def test_each_kind_of_processor_has_its_own_cache(cpuinfo, monkeypatch, tmp_path):
    """A home may be shared by machines: what one has compiled ends the process on another."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(platform, "processor", lambda: "")

    def cache(kind: str) -> Path:
        def read(*_: Any, **__: Any) -> str:
            if not cpuinfo:
                raise FileNotFoundError
            return f"processor : 0\nflags : {kind}\nprocessor : 1\nflags : {kind}\n"

        monkeypatch.setattr(Path, "read_text", read)
        monkeypatch.setattr(platform, "machine", lambda: kind)
        return Path(local._environment(WorkerSettings(threads=1), 0)["JAX_COMPILATION_CACHE_DIR"])

    assert cache("avx2") == cache("avx2") != cache("avx512")
    assert cache("avx2").parent == tmp_path / ".cache" / "resnet-search"


def test_what_workers_that_share_gpus_are_told(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    settings = WorkerSettings(threads=1, device="gpu", gpu_share=0.2, gpu_bytes=10 * 2**30, gpus=2)
    told = [local._environment(settings, slot) for slot in range(4)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in told] == ["0", "1", "0", "1"]
    assert {one[memory_fraction()] for one in told} == {"0.200"}
    assert {one["XLA_PYTHON_CLIENT_PREALLOCATE"] for one in told} == {"false"}
    assert {one["TF_FORCE_GPU_ALLOW_GROWTH"] for one in told} == {"true"}, "or the first trial takes all memory"
    assert {one.get("JAX_PLATFORMS") for one in told} == {os.environ.get("JAX_PLATFORMS")}
    assert local._settings_dict(settings)["gpu_limit"] == 2 * 2**30
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    assert [local._environment(settings, slot)["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == [
        "GPU-a",
        "GPU-b",
        "GPU-a",
    ]
    # As CUDA reads it; and JAX, told its share by both names, would leave the GPU out.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a, GPU-b,-1,GPU-c")
    for name in MEMORY_FRACTIONS:
        monkeypatch.setenv(name, "0.5")
    told = [local._environment(settings, slot) for slot in range(3)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in told] == ["GPU-a", "GPU-b", "GPU-a"]
    assert all(len(one.keys() & set(MEMORY_FRACTIONS)) == 1 for one in told)
    # A UUID with a group that begins with 1, and parts of a GPU.
    for names in (["GPU-1f3a9c02-1b7d-1e55-1111-16d1", "GPU-8932"], ["MIG-c6d4f1ef-1a2b", "MIG-13c5"]):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(names))
        assert [local._environment(settings, slot)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == names
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    alone = WorkerSettings(threads=1, device="gpu", gpu_bytes=10 * 2**30)
    assert local._environment(alone, 0)["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
    assert local._environment(alone, 0)[memory_fraction()] == "0.900"
    assert local._settings_dict(alone)["gpu_limit"] == 0


def test_deterministic_operations_are_asked_for_on_a_gpu_beside_the_users_flags(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/tmp/x")
    for device, deterministic, flags in (
        ("gpu", True, f"--xla_dump_to=/tmp/x {local.DETERMINISTIC}"), ("gpu", False, "--xla_dump_to=/tmp/x"),
        ("cpu", True, "--xla_dump_to=/tmp/x"),
    ):  # fmt: skip
        settings = WorkerSettings(threads=1, device=device, deterministic=deterministic)
        assert local._environment(settings, 0)["XLA_FLAGS"] == flags
    monkeypatch.delenv("XLA_FLAGS")
    settings = WorkerSettings(threads=1, device="gpu", deterministic=True)
    assert local._environment(settings, 0)["XLA_FLAGS"] == local.DETERMINISTIC


@pytest.mark.parametrize(
    ("source", "name"), [
        ("os.getenv('XLA_CLIENT_MEM_FRACTION', '')\nos.getenv('XLA_PYTHON_CLIENT_MEM_FRACTION', '')", 0),
        ('os.getenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "")', 1), (None, 0),
    ],
)  # fmt: skip
def test_the_share_of_the_memory_has_the_name_that_jax_reads(tmp_path, monkeypatch, source, name):
    if source:
        (tmp_path / "xla_client.py").write_text(source)
    found = SimpleNamespace(origin=str(tmp_path / "__init__.py")) if source else None
    monkeypatch.setattr(backend, "find_spec", lambda _: found)
    assert backend.memory_fraction.__wrapped__() == MEMORY_FRACTIONS[name]


def test_a_worker_ends_with_its_driver(tmp_path):
    """However the driver ends: here, by kill -9."""
    program = (
        "import sys, time; from pathlib import Path\n"
        "from resnet_search.workers.local import LocalWorkers, WorkerSettings\n"
        "LocalWorkers(1, WorkerSettings(threads=1), Path(sys.argv[1]))\n"
        "print('started', flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        [child] = psutil.Process(driver.pid).children()
        assert os.getsid(child.pid) == child.pid, "Ctrl-C is for the driver alone"
        os.kill(driver.pid, signal.SIGKILL)
    child.wait(PATIENCE)
    assert not child.is_running()


def lethal(child: str, tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> LocalWorkers:
    """A worker that runs `child` in the middle of training, as long as a file named `marker` is there."""
    module = tmp_path / "lethal.py"
    module.write_text(
        "import ctypes, os, signal, time\n"
        "from resnet_search.training import train\n"
        "from resnet_search.workers import child\n"
        "beat = child._Beat.__call__\n"
        "def die(self):\n"
        "    beat(self)\n"
        f"    if os.path.exists({str(tmp_path / 'marker')!r}):\n"
        f"        os.remove({str(tmp_path / 'marker')!r})\n"
        f"        {child}\n"
        "child._Beat.__call__ = die\n"
        "child.main()\n"
    )
    monkeypatch.setattr(local, "CHILD", [sys.executable, str(module)])
    monkeypatch.setattr(local, "FIRST_EPOCH", 60)
    pool = LocalWorkers(1, WorkerSettings(threads=1, hang_timeout=20.0), tmp_path / "worker.log")
    pool.submit(0, job(tmp_path, images, "0000", epochs=300, horizon=300))
    return pool


@pytest.mark.slow
@pytest.mark.parametrize(
    ("child", "status", "reason"),
    [
        ("ctypes.string_at(0)", -signal.SIGSEGV, "crashed (SIGSEGV)"),
        ("os._exit(3)", 3, "ended with exit status 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, "as the system does when memory runs out"),
        ("time.sleep(10**6)", -signal.SIGKILL, "made no progress for"),
        ("os.kill(os.getpid(), signal.SIGSTOP)", -signal.SIGKILL, "made no progress for"),
    ],
    ids=["segfault", "exit", "out of memory", "hang", "stopped"],
)
def test_a_worker_that_dies_in_the_middle(child, status, reason, tmp_path, data, monkeypatch):
    """Its trial goes on from the last epoch that is on disk."""
    workers = lethal(child, tmp_path, data, monkeypatch)
    try:
        hear(workers, EpochDone)
        (tmp_path / "marker").touch()
        last = 0
        end = time.monotonic() + PATIENCE
        while not isinstance(message := workers.wait(1.0), Lost):
            assert time.monotonic() < end
            last = message.epoch.epoch if isinstance(message, EpochDone) else last
        assert (message.trial, message.exit_code) == ("0000", status)
        assert reason in message.reason
        workers.submit(0, job(tmp_path, data, "0000", epochs=300, horizon=300))
        again = hear(workers, EpochDone)
        assert last + 1 <= again.epoch.epoch <= last + 2, "at most the epoch in hand is lost, and none trained twice"
    finally:
        workers.close()
