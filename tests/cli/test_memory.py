"""Networks that do not fit into the memory of this machine, told before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from resnet_search.errors import UserError
from resnet_search.networks.memory import training_memory
from resnet_search.networks.presets import preset
from resnet_search.search import start
from resnet_search.search.memory import largest_batch
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan
from resnet_search.workers import devices

from .conftest import Outcome

SPACE = """
[axes]
n = [1]
width = [8, 64, 512]
block = ["wide"]

[recipe]
batch_size = {batch}

[data]
source = "shapes"
validation = 800
"""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """16 GB, four processors, no GPU; a space in the current folder."""
    memory = SimpleNamespace(total=16_000_000_000, available=12_000_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(devices, "nvidia_gpus", list)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wide.toml").write_text(SPACE.format(batch=256))
    return tmp_path


def plan(command: Callable[..., Outcome], *words: str) -> dict[str, Any]:
    outcome = command("plan", "--space", "wide.toml", "--json", *words)
    assert outcome.status == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)["too_large"]
    return found


def test_what_does_not_fit_is_named_with_its_size(machine: Path, command: Callable[..., Outcome]) -> None:
    space = parse_space(SPACE.format(batch=256), "wide")
    needs = {
        one.name: 1_500_000_000 + training_memory(one, batch=256) for one in make_plan(space).feasible.architectures
    }
    assert sorted(needs) == ["wide10-w512", "wide10-w64", "wide10-w8"]
    assert 5e9 > needs["wide10-w64"] > 2e9 > needs["wide10-w8"]
    assert plan(command, "--workers", "1") == {}
    # As many workers as there is memory for are no trouble.
    assert plan(command) == {}
    large = {"wide10-w512": needs["wide10-w512"]}
    assert plan(command, "--workers", "4") == {
        "bytes_per_worker": 4_000_000_000, "workers": 4, "batch_size": 256, "networks": large,
    }  # fmt: skip
    assert plan(command, "--workers", "8")["networks"] == large | {"wide10-w64": needs["wide10-w64"]}
    out = " ".join(command("plan", "--space", "wide.toml", "--workers", "4").out.split())
    size = f"{needs['wide10-w512'] / 1e9:.3g} GB"
    assert (
        f"Memory 1 of 3 networks may need more than the 4 GB that each of 4 workers has: wide10-w512, {size}, " in out
    )
    assert "with batches of 256. Fewer --workers" in out
    assert "Memory" not in command("plan", "--space", "wide.toml", "--workers", "1").out


def test_a_baseline_counts_and_a_gpu_is_not_judged(
    machine: Path, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--workers", "2", "--baseline", "wrn-28-10"]
    name = preset("wrn-28-10").architecture.name
    assert name in plan(command, *words)["networks"]
    assert name not in plan(command, "--workers", "2")["networks"]
    assert plan(command, *words, "--device", "gpu") == {}
    monkeypatch.setattr(devices, "nvidia_gpus", lambda: ["NVIDIA H200"])
    assert plan(command, *words) == {}
    assert plan(command, *words, "--device", "cpu") != {}


def test_as_many_workers_as_there_is_memory_for(machine: Path) -> None:
    assert [devices.processor_workers(size) for size in (0, 10**9, 4_000_000_000, 10**11)] == [4, 4, 2, 1]


def test_train_tells_of_its_network(
    machine: Path, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_search(*_: object, **__: object) -> None:
        raise UserError("enough was seen")

    monkeypatch.setattr(start, "run_search", run_search)
    outcome = command("train", "--model", "wrn-28-10", "--data", "shapes", "--batch-size", "1024")
    assert "enough was seen" in outcome.err
    assert "Memory     1 of 1 network may need more than the 16 GB that this machine has: wide28-w160, " in outcome.out


@pytest.mark.parametrize(
    ("batch", "largest"), [("64", 64), ("[32, 512, 64]", 512), ("{ min = 32, max = 300, log = true }", 300)]
)
def test_the_largest_batch_counts(batch: str, largest: int) -> None:
    assert largest_batch(parse_space(SPACE.format(batch=batch), "wide")) == largest
    assert largest_batch(parse_space(SPACE.replace("batch_size = {batch}", 'name = "adam"'), "wide")) == 32
