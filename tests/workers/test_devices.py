from __future__ import annotations

from types import SimpleNamespace

import pytest

from resnet_search.errors import TrainingError
from resnet_search.workers import devices


def test_nothing_to_say_without_a_gpu_or_with_one_that_works():
    assert devices.unusable_gpu([], []) == ""
    assert devices.unusable_gpu(["NVIDIA A100"], ["NVIDIA A100"]) == ""


def test_a_gpu_that_the_backend_does_not_see_is_named(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert "NVIDIA A100" in devices.unusable_gpu(["NVIDIA A100"], [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "CUDA_VISIBLE_DEVICES hides it" in devices.unusable_gpu(["NVIDIA A100"], [])


@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_training_on_the_processor_beside_an_idle_gpu_is_refused(monkeypatch, device):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "nvidia_gpus", lambda: ["NVIDIA A100"])
    monkeypatch.setattr(devices, "backend_gpus", list)
    with pytest.raises(TrainingError, match="NVIDIA A100") as caught:
        devices.choose_settings(device, 2)
    assert "resnet-search[gpu]" in caught.value.cure
    assert "--device cpu" in caught.value.cure
    assert devices.choose_settings("cpu", 2).device == "cpu"


def test_without_a_gpu_auto_is_the_processor_and_gpu_an_error(monkeypatch):
    monkeypatch.setattr(devices, "nvidia_gpus", list)
    monkeypatch.setattr(devices, "backend_gpus", list)
    settings = devices.choose_settings("auto", 3)
    assert (settings.device, settings.threads, settings.precision, settings.jit) == ("cpu", 3, "float32", False)
    with pytest.raises(TrainingError, match="this machine has none"):
        devices.choose_settings("gpu", 3)


def test_workers_share_the_processors_and_a_gpu_has_one(monkeypatch):
    monkeypatch.setattr(devices, "backend_gpus", list)
    monkeypatch.setattr(devices, "nvidia_gpus", list)
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    memory = {"available": 100 * 10**9}
    monkeypatch.setattr(devices.psutil, "virtual_memory", lambda: SimpleNamespace(**memory))

    def chosen(*arguments):
        workers, settings = devices.choose_workers(*arguments)
        return workers, settings.threads

    assert chosen("auto", None, None) == (6, 1)
    assert chosen("auto", 2, None) == (2, 3)
    assert chosen("auto", 2, 5) == (2, 5)
    memory["available"] = 6 * 10**9
    assert chosen("cpu", None, None) == (2, 3)
    memory["available"] = 10**9
    assert chosen("cpu", None, None) == (1, 6)
    monkeypatch.setattr(devices, "backend_gpus", lambda: ["NVIDIA A100"])
    monkeypatch.setattr(devices, "_has_bfloat16", lambda: True)
    assert chosen("auto", None, None) == (1, 6)


def test_on_a_gpu_xla_and_half_precision(monkeypatch):
    monkeypatch.setattr(devices, "backend_gpus", lambda: ["NVIDIA A100"])
    monkeypatch.setattr(devices, "_has_bfloat16", lambda: True)
    settings = devices.choose_settings("auto", 2)
    assert (settings.device, settings.precision, settings.jit) == ("gpu", "mixed_bfloat16", True)
