from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from resnet_search.errors import TrainingError
from resnet_search.workers import backend, devices, host
from resnet_search.workers.local import WorkerSettings
from resnet_search.workers.probe import Fault
from tests.faults.table import fault


@pytest.fixture(autouse=True)
def computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that a test names computes."""
    monkeypatch.setattr(devices, "gpu_fault", lambda _: None)


def test_nothing_to_say_without_a_gpu_or_with_one_that_works():
    assert devices.unusable_gpu([], []) == ""
    assert devices.unusable_gpu(["NVIDIA A100"], ["NVIDIA A100"]) == ""


def test_a_gpu_that_the_backend_does_not_see_is_named(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert "NVIDIA A100" in devices.unusable_gpu(["NVIDIA A100"], [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "CUDA_VISIBLE_DEVICES" in devices.unusable_gpu(["NVIDIA A100"], [])


@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_training_on_the_processor_beside_an_idle_gpu_is_refused(monkeypatch, device):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "nvidia_gpus", lambda: ["NVIDIA A100"])
    monkeypatch.setattr(devices, "backend_gpus", lambda _: [])
    with pytest.raises(TrainingError, match="NVIDIA A100") as caught:
        devices.choose_settings(device, 2, backend="tensorflow")
    assert "resnet-search[gpu]" in caught.value.cure
    assert "--device cpu" in caught.value.cure
    assert devices.choose_settings("cpu", 2, backend="tensorflow").device == "cpu"


def test_without_a_gpu_auto_is_the_processor_and_gpu_an_error(monkeypatch):
    monkeypatch.setattr(devices, "nvidia_gpus", list)
    monkeypatch.setattr(devices, "backend_gpus", lambda _: [])
    settings = devices.choose_settings("auto", 3, backend="tensorflow")
    assert (settings.device, settings.threads, settings.precision, settings.jit) == ("cpu", 3, "float32", False)
    with pytest.raises(TrainingError, match="this machine has none"):
        devices.choose_settings("gpu", 3, backend="tensorflow")


def test_workers_share_the_processors_and_a_gpu_has_one(monkeypatch):
    monkeypatch.setattr(devices, "backend_gpus", lambda _: [])
    monkeypatch.setattr(devices, "nvidia_gpus", list)
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    memory = {"available": 100 * 10**9}
    monkeypatch.setattr(devices.psutil, "virtual_memory", lambda: SimpleNamespace(**memory))

    def chosen(*arguments):
        workers, settings = devices.choose_workers(*arguments, backend="tensorflow")
        return workers, settings.threads

    assert chosen("auto", None, None) == (6, 1)
    assert chosen("auto", 2, None) == (2, 3)
    assert chosen("auto", 2, 5) == (2, 5)
    memory["available"] = 6 * 10**9
    assert chosen("cpu", None, None) == (2, 3)
    memory["available"] = 10**9
    assert chosen("cpu", None, None) == (1, 6)
    monkeypatch.setattr(devices, "backend_gpus", lambda _: ["NVIDIA A100"])
    monkeypatch.setattr(devices, "_has_bfloat16", lambda _: True)
    assert chosen("auto", None, None) == (1, 6)


def test_on_a_gpu_xla_and_half_precision(monkeypatch):
    monkeypatch.setattr(devices, "backend_gpus", lambda _: ["NVIDIA A100"])
    monkeypatch.setattr(devices, "_has_bfloat16", lambda _: True)
    settings = devices.choose_settings("auto", 2, backend="tensorflow")
    assert (settings.device, settings.precision, settings.jit) == ("gpu", "mixed_bfloat16", True)


GIB = 2**30


@pytest.mark.parametrize(
    ("workers", "gpus", "memory", "trial", "expected"),
    [
        (None, 1, 0, 3 * GIB, (1, 0.0)),  # Nobody says how large the GPU is.
        (None, 1, 80 * GIB, 0, (1, 0.0)),
        (None, 1, 8 * GIB, 5 * GIB, (1, 0.0)),
        (None, 1, 8 * GIB, 50 * GIB, (1, 0.0)),  # What does not fit is tried in parts.
        (None, 1, 10 * GIB, 2 * GIB, (3, 0.3 - 0.1)),
        (None, 2, 10 * GIB, 2 * GIB, (6, 0.3 - 0.1)),
        (None, 1, 80 * GIB, 1 * GIB, (8, 0.9 / 8 - 1 / 80)),  # No more than 8.
        (2, 1, 10 * GIB, 2 * GIB, (2, 0.45 - 0.1)),
        (3, 2, 10 * GIB, 2 * GIB, (3, 0.45 - 0.1)),
        (2, 2, 10 * GIB, 2 * GIB, (2, 0.0)),  # One each.
        (2, 2, 0, 2 * GIB, (2, 0.0)),
        (None, 2, 0, 2 * GIB, (2, 0.0)),
    ],
)
def test_workers_on_gpus_have_their_share_of_the_memory(monkeypatch, workers, gpus, memory, trial, expected):
    monkeypatch.setattr(devices, "_processors", lambda: 16)
    monkeypatch.setattr(devices.psutil, "virtual_memory", lambda: SimpleNamespace(available=100 * GIB))
    count, share = devices.share_gpus(workers, gpus, memory, trial)
    assert (count, share) == (expected[0], pytest.approx(expected[1]))
    each = -(-count // gpus)
    if share and memory:
        assert each * (share * memory + devices.CONTEXT_BYTES) <= memory
    if share and workers is None:
        assert share * memory >= trial * (1 - 1e-9), "what was predicted fits into the share"


def test_no_more_workers_on_a_gpu_than_processors_or_than_the_machines_memory_holds(monkeypatch):
    monkeypatch.setattr(devices, "_processors", lambda: 4)
    assert devices.share_gpus(None, 1, 80 * GIB, GIB)[0] == 4
    for free, workers in ((1, 1), (7, 2), (100, 4)):
        monkeypatch.setattr(devices.psutil, "virtual_memory", lambda free=free: SimpleNamespace(available=free * GIB))
        assert devices.share_gpus(None, 1, 80 * GIB, GIB)[0] == workers


@fault(
    "environment",
    "The driver does not say how much memory a GPU has",
    here="each GPU has one worker; more are refused, with the package that may tell",
)
@pytest.mark.parametrize(("workers", "gpus"), [(2, 1), (4, 1), (3, 2)])
def test_a_gpu_of_unknown_memory_is_not_shared(workers, gpus):
    with pytest.raises(TrainingError, match=f"--workers: got {workers} for {gpus} GPU") as caught:
        devices.share_gpus(workers, gpus, 0, GIB)
    assert f"--workers {gpus}" in caught.value.cure
    assert "nvidia-ml-py" in caught.value.cure


def test_nor_is_one_on_a_node_of_a_cluster(monkeypatch):
    monkeypatch.setattr(host, "gpu_memory", lambda: 0)
    node = host.Host(WorkerSettings(threads=1, device="gpu"), 0.5, "session", "")
    with pytest.raises(TrainingError, match=r"--gpus-per-trial: got 0\.5, .*unknown memory"):
        node._shared_gpu()
    monkeypatch.setattr(host, "gpu_memory", lambda: 80 * GIB)
    assert 0 < node._shared_gpu().gpu_share < 0.45


def test_the_number_of_workers_has_its_reason(monkeypatch):
    monkeypatch.setattr(devices, "_processors", lambda: 4)
    monkeypatch.setattr(devices.psutil, "virtual_memory", lambda: SimpleNamespace(available=100 * GIB))
    assert devices.why_so_many(2, 1, 80 * GIB, GIB) == "as given"
    assert "not known" in devices.why_so_many(None, 1, 0, GIB)
    assert "once" in devices.why_so_many(None, 1, 8 * GIB, 50 * GIB)
    assert "holds with the largest" in devices.why_so_many(None, 1, 10 * GIB, 2 * GIB)
    assert devices.why_so_many(None, 1, 80 * GIB, GIB) == "one for each processor"
    monkeypatch.setattr(devices, "_processors", lambda: 16)
    assert "8 idle" in devices.why_so_many(None, 1, 80 * GIB, GIB)
    monkeypatch.setattr(devices.psutil, "virtual_memory", lambda: SimpleNamespace(available=7 * GIB))
    assert "machine's own memory" in devices.why_so_many(None, 1, 80 * GIB, GIB)


def test_a_gpu_that_does_not_compute_is_refused_at_the_start(monkeypatch):
    monkeypatch.setattr(devices, "backend_gpus", lambda _: ["NVIDIA RTX 5080"])
    monkeypatch.setattr(devices, "gpu_fault", lambda backend: Fault("it fails", f"No {backend}."))
    with pytest.raises(TrainingError, match=r"NVIDIA RTX 5080, but it fails") as caught:
        devices.choose_settings("auto", 2, backend="tensorflow")
    assert caught.value.cure == "No tensorflow."
    assert devices.choose_settings("cpu", 2, backend="tensorflow").device == "cpu"


@fault(
    "environment",
    "An NVIDIA card in Windows, where neither backend can use it",
    here="an error that names WSL2 and `--device cpu`, instead of packages that do not exist there",
)
def test_on_windows_no_backend_uses_a_gpu(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices.sys, "platform", "win32")
    monkeypatch.setattr(devices, "nvidia_gpus", lambda: ["NVIDIA A100"])
    monkeypatch.setattr(devices, "backend_gpus", lambda _: [])
    with pytest.raises(TrainingError, match="Windows") as caught:
        devices.choose_settings("gpu", 2, backend="tensorflow")
    assert "WSL2" in caught.value.cure


def test_more_workers_than_a_gpu_has_room_for_are_refused(monkeypatch):
    with pytest.raises(TrainingError, match=r"--workers: got 20.* 8 GiB") as caught:
        devices.share_gpus(20, 1, 8 * GIB, GIB)
    most = int(re.search(r"\d+", caught.value.cure)[0])
    assert devices.share_gpus(most, 1, 8 * GIB, GIB)[1] > 0
    with pytest.raises(TrainingError):
        devices.share_gpus(most + 1, 1, 8 * GIB, GIB)


def test_the_choice_for_a_gpu_reaches_the_settings(monkeypatch):
    monkeypatch.setattr(devices, "backend_gpus", lambda _: ["NVIDIA A100"])
    monkeypatch.setattr(devices, "_has_bfloat16", lambda _: True)
    monkeypatch.setattr(devices, "gpu_memory", lambda: 10 * GIB)
    monkeypatch.setattr(devices, "_processors", lambda: 16)
    workers, settings = devices.choose_workers("auto", None, None, backend="jax", trial_bytes=2 * GIB)
    assert (workers, settings.gpus, settings.gpu_bytes, settings.backend) == (3, 1, 10 * GIB, "jax")
    assert settings.gpu_share == pytest.approx(0.2)


def test_a_missing_backend_has_a_cure(monkeypatch):
    there = {"jax"}
    monkeypatch.setattr(backend, "find_spec", lambda name: name if name in there else None)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    with pytest.raises(TrainingError, match="'tensorflow'") as caught:
        backend.check_backend("tensorflow")
    assert "pip install 'tensorflow" in caught.value.cure
    backend.check_backend("jax")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(TrainingError, match=r"KERAS_BACKEND: got 'torch'; allowed: .*jax"):
        backend.check_backend()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(TrainingError, match="KERAS_BACKEND: got 'tensorflow'"):
        backend.check_backend()
    there.clear()
    monkeypatch.delenv("KERAS_BACKEND")
    with pytest.raises(TrainingError, match=r"TensorFlow .*JAX"):
        backend.check_backend()
