"""What a run says of a precision that it was not asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_search.errors import UserError
from resnet_search.search import start
from resnet_search.workers import devices, precision

from .conftest import Outcome

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
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Callable[..., Outcome]) -> Callable[..., str]:
    """Starts a run on a processor with bfloat16 and without a GPU, as far as the first trial; what the screen says."""

    def run_search(*_: object, **__: object) -> None:
        raise UserError("enough was seen")

    monkeypatch.setattr(start, "run_search", run_search)
    monkeypatch.setattr(devices, "nvidia_gpus", list)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(precision, "_PROCESSOR", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx512_bf16\n")

    def tell(*words: str, width: str = "[8, 16, 32]") -> str:
        (tmp_path / "one.toml").write_text(SPACE.format(width=width))
        start_words = words if "train" in words else ("run", "--space", "one.toml", *words)
        outcome = command(*start_words)
        assert "enough was seen" in outcome.err, outcome.err
        return " ".join(outcome.out.split())

    return tell


def test_a_processor_that_has_bfloat16_is_told_of(told: Callable[..., str]) -> None:
    assert "--precision bfloat16 makes an epoch shorter" in told()
    # Of width 4 no block has 16 channels on both sides.
    assert "makes an epoch of about 50 % of the networks shorter" in told(width="[4, 8]")
    assert "--precision bfloat16 makes an epoch shorter" in told("train", "--model", "resnet-20", "--data", "shapes")


def test_not_where_it_says_nothing_new(
    told: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "bfloat16" not in told("--precision", "float32")
    assert "bfloat16" not in told(width="[2, 4]")
    monkeypatch.setattr(devices, "nvidia_gpus", lambda: ["NVIDIA H200"])
    assert "bfloat16" not in told()
    assert "bfloat16" in told("--device", "cpu")
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx512f\n")
    assert "bfloat16" not in told("--device", "cpu")
