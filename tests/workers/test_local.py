"""Worker processes for real: they are replaced, they die, and nobody is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from resnet_search.workers import local
from resnet_search.workers.contract import EpochDone, Failed, Lost
from resnet_search.workers.local import LocalWorkers, WorkerSettings
from tests.workers.jobs import PATIENCE, hear, job


@pytest.fixture
def workers(tmp_path):
    pool = LocalWorkers(1, WorkerSettings(threads=1), tmp_path / "worker.log")
    yield pool
    pool.close()
    assert not [child for child in psutil.Process().children(recursive=True) if "workers.child" in child.cmdline()]


def test_a_process_is_replaced_after_some_trials(workers, tmp_path, data, monkeypatch):
    monkeypatch.setattr(local, "TRIALS_PER_PROCESS", 1)
    seen = set()
    for trial in ("0000", "0001"):
        workers.submit(0, job(tmp_path, data, trial, recipe={"momentum": 2}))
        assert hear(workers, Failed).trial == trial
        seen |= {child.pid for child in psutil.Process().children() if "resnet_search.workers.child" in child.cmdline()}
    assert len(seen) == 2
    assert sum(psutil.pid_exists(pid) for pid in seen) == 1, "the first one is gone"


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
    monkeypatch.setattr(local, "FIRST_STEP", 60)
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


def test_what_a_worker_on_the_processor_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    told = local._environment(WorkerSettings(threads=3, backend="jax"), 0)
    assert (told["KERAS_BACKEND"], told["NPROC"], told["OMP_NUM_THREADS"]) == ("jax", "3", "3")
    assert (told["JAX_PLATFORMS"], told["CUDA_VISIBLE_DEVICES"]) == ("cpu", "-1")
    assert Path(told["JAX_COMPILATION_CACHE_DIR"]).parent == tmp_path / "resnet-search"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/mine")
    assert local._environment(WorkerSettings(threads=3), 0)["JAX_COMPILATION_CACHE_DIR"] == "/mine"


def test_without_a_home_there_is_no_cache(monkeypatch):
    def homeless(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    assert "JAX_COMPILATION_CACHE_DIR" not in local._environment(WorkerSettings(threads=1), 0)


def test_what_workers_that_share_gpus_are_told(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    settings = WorkerSettings(threads=1, device="gpu", gpu_share=0.2, gpu_bytes=10 * 2**30, gpus=2)
    told = [local._environment(settings, slot) for slot in range(4)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in told] == ["0", "1", "0", "1"]
    assert {one["XLA_PYTHON_CLIENT_MEM_FRACTION"] for one in told} == {"0.200"}
    assert {one["XLA_PYTHON_CLIENT_PREALLOCATE"] for one in told} == {"false"}
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
    monkeypatch.setenv("XLA_CLIENT_MEM_FRACTION", "0.5")
    told = [local._environment(settings, slot) for slot in range(3)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in told] == ["GPU-a", "GPU-b", "GPU-a"]
    assert not [one for one in told if "XLA_CLIENT_MEM_FRACTION" in one]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    alone = WorkerSettings(threads=1, device="gpu", gpu_bytes=10 * 2**30)
    assert local._environment(alone, 0)["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
    assert local._environment(alone, 0)["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.900"
    assert local._settings_dict(alone)["gpu_limit"] == 0
