"""The note of a run that a processor may train in bfloat16."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_search.workers import devices

from .conftest import Asked, Outcome

SPACE = """
[axes]
n = [1]
width = {width}
block = ["basic"]

[hyperband]
max_epochs = 3

[data]
source = "shapes"
validation = 800
"""


@pytest.fixture
def hint(machine: Path, asked: Asked, command: Callable[..., Outcome]) -> Callable[..., list[str]]:
    """Start a run on a processor with bfloat16 and without a GPU; return the numbers in the note on bfloat16."""
    machine.write_text("flags\t\t: fpu avx512_bf16\n")

    def tell(*words: str, width: str = "[8, 16, 32]") -> list[str]:
        Path("one.toml").write_text(SPACE.format(width=width))
        start_words = words if "train" in words else ("run", "--space", "one.toml", *words)
        outcome = command(*start_words, "--no-export")
        assert outcome.status == 0, outcome.err
        lines = [line for line in outcome.out.splitlines() if "bfloat16" in line]
        assert len(lines) <= 1
        return re.findall(r"bfloat16|\d+ %", lines[0]) if lines else []

    return tell


def test_a_processor_that_has_bfloat16_is_told_of(hint: Callable[..., list[str]]) -> None:
    assert hint() == ["bfloat16"]
    # Of width 4 no block has 16 channels on both sides.
    assert hint(width="[4, 8]") == ["bfloat16", "50 %"]
    assert hint("train", "--model", "resnet-20", "--data", "shapes") == ["bfloat16"]


def test_not_where_it_says_nothing_new(
    hint: Callable[..., list[str]], machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hint("--precision", "float32") == []
    assert hint(width="[2, 4]") == []
    monkeypatch.setattr(devices, "nvidia_gpus", lambda: ["NVIDIA H200"])
    assert hint() == []
    assert hint("--device", "cpu") != []
    machine.write_text("flags\t\t: fpu avx512f\n")
    assert hint("--device", "cpu") == []
