"""What the driver says of GPUs: by a fake of its library, and by a fake nvidia-smi."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from resnet_search.workers import devices, nvidia
from tests.workers.nvml import GIB, Device, fake

SMALL = Device("GPU-aaaa1111-1", "NVIDIA T400", 4 * GIB, 3 * GIB, capability=(7, 5))
LARGE = Device("GPU-bbbb2222-2")


@pytest.fixture(autouse=True)
def all_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (None, None), ("", []), ("-1", []), ("0", ["0"]), ("1, 0", ["1", "0"]), ("0,-1,1", ["0"]),
        ("GPU-1f3a-1e,GPU-8932-16", ["GPU-1f3a-1e", "GPU-8932-16"]), ("MIG-c6d4,MIG-13c5", ["MIG-c6d4", "MIG-13c5"]),
        ("GPU-a,-1,GPU-b", ["GPU-a"]), ("0,10", ["0", "10"]),
    ],
)  # fmt: skip
def test_names_are_those_that_cuda_reads(monkeypatch, value, names):
    if value is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert nvidia.visible_names() == names


@pytest.mark.parametrize(
    ("value", "order", "memory"),
    [
        (None, "", 4), ("1", "PCI_BUS_ID", 140), ("0", "PCI_BUS_ID", 4), ("GPU-bbbb", "", 140), ("", "", 0),
        ("1", "", 4),  # The fastest may be first.
        ("GPU-cccc", "", 0), ("GPU-bbbb,GPU-cccc", "", 0),  # Nobody knows of it.
    ],
)  # fmt: skip
def test_memory_is_that_of_the_smallest_visible_gpu(monkeypatch, value, order, memory):
    monkeypatch.setitem(sys.modules, "pynvml", fake([SMALL, LARGE]))
    if value is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    monkeypatch.setenv("CUDA_DEVICE_ORDER", order)
    assert devices.gpu_memory() == memory * GIB


def test_a_machine_without_gpus_has_none_whatever_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", fake([]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-a")
    assert nvidia.visible_gpus() == []


def test_equal_gpus_have_one_order(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", fake([Device("GPU-a"), Device("GPU-b", memory=None)]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert [gpu.uuid for gpu in nvidia.visible_gpus()] == ["GPU-a"]
    assert devices.gpu_memory() == 140 * GIB
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert devices.gpu_memory() == 0, "one that shares the memory of its processor"


def test_a_divided_gpu_is_its_parts(monkeypatch):
    parts = [Device(f"MIG-{name}", "NVIDIA H200 MIG 1g.18gb", 16 * GIB, 16 * GIB) for name in ("c6d4", "13c5")]
    monkeypatch.setitem(sys.modules, "pynvml", fake([Device("GPU-a", parts=parts), Device("GPU-b", lost=True)]))
    found = nvidia.present_gpus()
    assert [(gpu.uuid, gpu.index, gpu.mig, gpu.memory) for gpu in found] == [
        ("MIG-c6d4", 0, True, 16 * GIB), ("MIG-13c5", 0, True, 16 * GIB),
    ]  # fmt: skip
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-13c5")
    assert [gpu.uuid for gpu in nvidia.visible_gpus()] == ["MIG-13c5"]
    assert devices.gpu_memory() == 16 * GIB


def test_what_the_driver_says_of_a_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", fake([LARGE]))
    [gpu] = nvidia.present_gpus()
    assert (gpu.name, gpu.driver, gpu.capability, gpu.free) == ("NVIDIA H200", "570.124.06", "9.0", 100 * GIB)


def smi(folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, refused: str = "nothing") -> None:
    """Install an nvidia-smi that answers so, and fails where it is asked for `refused`."""
    tool = folder / "nvidia-smi"
    (folder / "said").write_text(answer)
    tool.write_text(f'#!/bin/sh\ncase "$1" in *{refused}*) exit 2;; esac\ncat {folder / "said"}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setitem(sys.modules, "pynvml", None)


def test_without_its_library_nvidia_smi_is_asked(tmp_path, monkeypatch):
    smi(tmp_path, monkeypatch, "0, NVIDIA T400, GPU-aa, 4096, 4000, 570.1, [N/A], 7.5\n"
                               "1, NVIDIA H200, GPU-bb, 143771, 143000, 570.1, Disabled, 9.0\n")  # fmt: skip
    assert devices.gpu_memory() == 4096 * 2**20
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-bb")
    assert devices.gpu_memory() == 143771 * 2**20
    assert [(gpu.capability, gpu.driver) for gpu in nvidia.visible_gpus()] == [("9.0", "570.1")]


@pytest.mark.parametrize(
    ("line", "memory"),
    [
        ("0, NVIDIA H200, GPU-bb, 143771, 9, 570.1, Enabled, 9.0", 0),
        ("0, NVIDIA GB10, GPU-bb, [N/A], [N/A], 580.1, [N/A], 12.1", 0),
        ("0, Tesla K80, GPU-bb, 11441, 9, 470.1, [N/A]", 11441 * 2**20), ("", 0),
    ],
)  # fmt: skip
def test_what_nvidia_smi_does_not_say_is_not_known(tmp_path, monkeypatch, line, memory):
    smi(tmp_path, monkeypatch, line + "\n", refused="compute_cap" if "K80" in line else "nothing")
    assert devices.gpu_memory() == memory


def test_mps_serves_where_its_pipe_is(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert not nvidia.mps_serves()
    (tmp_path / "control").touch()
    assert nvidia.mps_serves()
