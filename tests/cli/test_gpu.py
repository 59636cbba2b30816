"""What a run says of the GPUs that it will train on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_search.workers import nvidia
from tests.workers.nvml import GIB, Device, fake

from .conftest import Asked, Outcome

SPACE = """
[axes]
n = [1]
width = [8]
block = ["basic"]

[data]
source = "shapes"
validation = 800
"""


@pytest.fixture
def said(
    machine: Path, asked: Asked, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Starts a run on a machine with these GPUs; what it says of them, in one line."""
    del machine, asked
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(nvidia, "mps_serves", lambda: False)

    def tell(gpus: list[Device], *words: str) -> str:
        monkeypatch.setitem(sys.modules, "pynvml", fake(gpus))
        Path("one.toml").write_text(SPACE)
        start = words if "train" in words else ("run", "--space", "one.toml", *words)
        outcome = command(*start, "--no-export")
        assert outcome.status == 0, outcome.err
        _, line, rest = outcome.out.partition("\nGPU ")
        return " ".join(rest.split("\n\n")[0].split("\nPrecision")[0].split()) if line else ""

    return tell


def test_the_gpu_its_memory_its_workers_and_why_so_many(said: Callable[..., str]) -> None:
    line = said([Device("GPU-a", memory=140 * GIB)])
    for fact in ("NVIDIA H200, 150 GB", "4 workers, one for each processor", "MPS"):
        assert fact in line
    assert "3 workers, as given" in said([Device("GPU-a")], "--workers", "3")
    assert "4 x NVIDIA H200, 150 GB: 4 workers" in said([Device(f"GPU-{one}") for one in "abcd"])
    line = said([Device("GPU-a", memory=None)])
    for fact in ("unknown memory: 1 worker, ", "not known"):
        assert fact in line
    assert "MPS" not in line
    assert "1 worker, as given" in said([Device("GPU-a")], "train", "--model", "resnet-20", "--data", "shapes")


def test_nothing_is_said_without_a_gpu_or_of_one_that_is_not_used(said: Callable[..., str]) -> None:
    assert said([]) == ""
    assert said([Device("GPU-a")], "--device", "cpu") == ""


def test_a_deterministic_run_is_asked_for(said: Callable[..., str], asked: Asked) -> None:
    said([], "--deterministic")
    said([])
    said([], "train", "--model", "resnet-20", "--data", "shapes", "--deterministic")
    assert [settings.deterministic for _, settings in asked.searches] == [True, False, True]
