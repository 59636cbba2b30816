"""Networks that do not fit into the memory of this machine, told before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnet_search.networks.memory import training_memory
from resnet_search.networks.presets import preset
from resnet_search.search.memory import largest_batch
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan
from resnet_search.training.recipe import LARGEST, Recipe
from resnet_search.workers import devices

from .conftest import Asked, Outcome

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


@pytest.fixture(autouse=True)
def place(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A space in the current folder."""
    monkeypatch.chdir(machine.parent)
    Path("wide.toml").write_text(SPACE.format(batch=256))


def memory_lines(outcome: Outcome) -> str:
    """What is said of memory, in one line."""
    start = outcome.out.find("\nMemory ")
    return "" if start < 0 else " ".join(outcome.out[start:].split("\n\n")[0].split())


def plan(command: Callable[..., Outcome], *words: str) -> dict[str, Any]:
    outcome = command("plan", "--space", "wide.toml", "--json", *words)
    assert outcome.status == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)["too_large"]
    return found


def test_what_does_not_fit_is_named_with_its_size(command: Callable[..., Outcome]) -> None:
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
    line = memory_lines(command("plan", "--space", "wide.toml", "--workers", "4"))
    for fact in ("1 of 3 networks", "4 GB", "4 workers", f"wide10-w512, {needs['wide10-w512'] / 1e9:.3g} GB", "256"):
        assert fact in line
    assert memory_lines(command("plan", "--space", "wide.toml", "--workers", "1")) == ""


def test_a_baseline_counts_and_a_gpu_is_not_judged(
    command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--workers", "2", "--baseline", "wrn-28-10"]
    name = preset("wrn-28-10").architecture.name
    assert name in plan(command, *words)["networks"]
    assert name not in plan(command, "--workers", "2")["networks"]
    assert plan(command, *words, "--device", "gpu") == {}
    monkeypatch.setattr(devices, "nvidia_gpus", lambda: ["NVIDIA H200"])
    assert plan(command, *words) == {}
    assert plan(command, *words, "--device", "cpu") != {}


def test_as_many_workers_as_there_is_memory_for() -> None:
    assert [devices.processor_workers(size) for size in (0, 10**9, 4_000_000_000, 10**11)] == [4, 4, 2, 1]


def test_train_tells_of_its_network(command: Callable[..., Outcome], asked: Asked) -> None:
    outcome = command("train", "--model", "wrn-28-10", "--data", "shapes", "--batch-size", "1024", "--no-export")
    assert len(asked.searches) == 1
    for fact in ("1 of 1 network", "16 GB", "wide28-w160"):
        assert fact in memory_lines(outcome)


@pytest.mark.parametrize(
    ("batch", "largest"), [("64", 64), ("[32, 512, 64]", 512), ("{ min = 32, max = 300, log = true }", 300)]
)
def test_the_largest_batch_counts(batch: str, largest: int) -> None:
    assert largest_batch(parse_space(SPACE.format(batch=batch), "wide"), 50_000) == largest
    assert largest_batch(parse_space(SPACE.replace("batch_size = {batch}", 'name = "adam"'), "wide"), 50_000) == 32


@pytest.mark.parametrize("images", [100, 3_000, 50_000])
def test_a_batch_by_the_number_of_images_counts_as_it_is_trained(images: int) -> None:
    space = parse_space(SPACE.replace("batch_size = {batch}", ""), "wide")
    assert largest_batch(space, images) == Recipe().batch_for(images)
    assert largest_batch(space, None) == LARGEST, "of images that are not known yet"
    assert largest_batch(space, images, 96) == 96, "a run that is older than the rule keeps its batch"
