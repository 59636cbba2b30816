"""A fake of NVIDIA's management library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

GIB = 2**30


class NVMLError(Exception):
    """What the library raises."""


@dataclass(eq=False)
class Device:
    """A GPU, or a part of one. What is None is not supported; `lost`: nothing is."""

    uuid: str
    name: str = "NVIDIA H200"
    memory: int | None = 140 * GIB
    free: int = 100 * GIB
    millijoules: int | None = 5000
    capability: tuple[int, int] = (9, 0)
    parts: list[Device] = field(default_factory=list)
    lost: bool = False


def known(value: Any) -> Any:
    if value is None:
        raise NVMLError("Not Supported")
    return value


def fake(devices: Sequence[Device], driver: str = "570.124.06") -> SimpleNamespace:
    """The module `pynvml` on a machine with these GPUs."""

    def handle(index: int) -> Device:
        if devices[index].lost:
            raise NVMLError("GPU is lost")
        return devices[index]

    def part(whole: Device, number: int) -> Device:
        if number >= len(whole.parts):
            raise NVMLError("Not Found")
        return whole.parts[number]

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlSystemGetDriverVersion=lambda: driver,
        nvmlDeviceGetCount=lambda: len(devices),
        nvmlDeviceGetHandleByIndex=handle,
        nvmlDeviceGetMigMode=lambda whole: known([1, 1] if whole.parts else None),
        nvmlDeviceGetMaxMigDeviceCount=lambda _: 7,
        nvmlDeviceGetMigDeviceHandleByIndex=part,
        nvmlDeviceGetMemoryInfo=lambda one: SimpleNamespace(total=known(one.memory), free=one.free),
        nvmlDeviceGetCudaComputeCapability=lambda one: one.capability,
        nvmlDeviceGetName=lambda one: one.name,
        nvmlDeviceGetUUID=lambda one: one.uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda one: known(one.millijoules),
    )
