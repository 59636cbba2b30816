"""NVIDIA's GPUs as their driver describes them, by NVML or else by nvidia-smi. Starts no backend."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
_FIELDS = ("index", "name", "uuid", "memory.total", "memory.free", "driver_version", "mig.mode.current", "compute_cap")


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or a part of one (MIG), with the `index` of the whole. Memory in bytes; 0 and "" where it is not known."""

    index: int
    name: str
    uuid: str
    memory: int = 0
    free: int = 0
    driver: str = ""
    capability: str = ""
    mig: bool = False


def visible_names() -> list[str] | None:
    """Return what CUDA_VISIBLE_DEVICES names, as CUDA reads it; None where it is not set, which shows all GPUs."""
    value = os.environ.get(VISIBLE)
    if value is None:
        return None
    names = [name.strip() for name in value.split(",")]
    # CUDA hides what comes after a -1.
    return [name for name in names[: names.index("-1") if "-1" in names else None] if name]


def visible_gpus() -> list[Gpu]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES shows, without memory those that the driver does not describe.

    None where the driver describes none at all.
    """
    found, names = present_gpus(), visible_names()
    if names is None or not found:
        return found
    # By default CUDA counts the fastest GPU first, the driver by PCI bus; on equal GPUs that is the same for memory.
    in_order = os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or len({gpu.name for gpu in found}) == 1
    chosen: list[Gpu] = []
    for name in names:
        if name.isdigit():
            named = [gpu for gpu in found if gpu.index == int(name)] if in_order else found
        else:
            named = [gpu for gpu in found if gpu.uuid.startswith(name)][:1]
        chosen += named or [Gpu(-1, name, name)]
    return list(dict.fromkeys(chosen))


def present_gpus() -> list[Gpu]:
    """Return the GPUs of this machine in the driver's order, and instead of a divided one its parts."""
    return _by_nvml() or _by_smi()


def mps_serves() -> bool:
    """Return whether NVIDIA's MPS server is running; it lets the workers of a GPU compute at the same time."""
    pipes = os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or "/tmp/nvidia-mps"  # noqa: S108 - where NVIDIA puts them
    return Path(pipes, "control").exists()


def nvml() -> Any:
    """Return the started module of NVML; None where the package or the driver is missing."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # noqa: BLE001 - NVMLError of a module that may be missing, and OSError of its library
        return None
    return pynvml


def _by_nvml() -> list[Gpu]:
    library, found = nvml(), list[Gpu]()
    if library is None:
        return []
    with suppress(library.NVMLError, OSError):
        driver = str(library.nvmlSystemGetDriverVersion())
        for index in range(library.nvmlDeviceGetCount()):
            with suppress(library.NVMLError, OSError):  # For a GPU that has fallen off the bus.
                whole = library.nvmlDeviceGetHandleByIndex(index)
                parts = list(_parts(library, whole))
                found += [_described(library, index, driver, whole, one) for one in parts or [whole]]
    return found


def _parts(library: Any, whole: Any) -> Iterator[Any]:
    with suppress(library.NVMLError):
        if library.nvmlDeviceGetMigMode(whole)[0]:
            for number in range(library.nvmlDeviceGetMaxMigDeviceCount(whole)):
                with suppress(library.NVMLError):
                    yield library.nvmlDeviceGetMigDeviceHandleByIndex(whole, number)


def _described(library: Any, index: int, driver: str, whole: Any, one: Any) -> Gpu:
    memory, free, capability = 0, 0, ""
    with suppress(library.NVMLError):  # Where it shares the memory of the processor.
        info = library.nvmlDeviceGetMemoryInfo(one)
        memory, free = int(info.total), int(info.free)
    with suppress(library.NVMLError):
        capability = ".".join(map(str, library.nvmlDeviceGetCudaComputeCapability(whole)))
    name, uuid = str(library.nvmlDeviceGetName(one)), str(library.nvmlDeviceGetUUID(one))
    return Gpu(index, name, uuid, memory, free, driver, capability, mig=one is not whole)


def _by_smi() -> list[Gpu]:
    # Old drivers do not know the last field, and then answer nothing.
    return [_read(line) for line in _ask_smi(_FIELDS) or _ask_smi(_FIELDS[:-1])]


def _read(line: str) -> Gpu:
    index, name, uuid, memory, free, driver, mig, capability = [*map(str.strip, line.split(",")), *[""] * 8][:8]
    # Of a divided GPU it gives the memory of the whole.
    total, left = (int(size) * 2**20 if size.isdigit() and mig != "Enabled" else 0 for size in (memory, free))
    return Gpu(int(index) if index.isdigit() else -1, name, uuid, total, left, driver, capability, mig == "Enabled")


def _ask_smi(fields: Iterable[str]) -> list[str]:
    """Return a line for every GPU; none where nvidia-smi is absent or fails."""
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return []
    try:
        listed = subprocess.run(
            [smi, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()]
