"""What workers compute in."""

from __future__ import annotations

import pytest

from resnet_search.errors import TrainingError
from resnet_search.workers import precision
from resnet_search.workers.precision import AUTO, BFLOAT16, on_gpu, on_processor


@pytest.fixture
def processor(tmp_path, monkeypatch):
    """Writes what Linux says of the processor."""

    def flags(*words: str) -> None:
        (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu " + " ".join(words) + "\nbugs\t: \n")

    monkeypatch.setattr(precision, "_PROCESSOR", tmp_path / "cpuinfo")
    return flags


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16"])
def test_a_processor_computes_in_bfloat16_where_it_was_asked_for(processor, flag):
    processor("avx2", flag)
    assert on_processor(AUTO, "tensorflow") == on_processor("float32", "tensorflow") == "float32"
    assert on_processor(BFLOAT16, "tensorflow") == "wide_bfloat16"
    with pytest.raises(TrainingError, match=r"--precision: got 'bfloat16'.* jax "):
        on_processor(BFLOAT16, "jax")


def test_a_processor_without_instructions_for_it(processor):
    for known in (lambda: None, lambda: processor("avx512f")):
        known()
        with pytest.raises(TrainingError, match="amx_bf16, avx512_bf16") as caught:
            on_processor(BFLOAT16, "tensorflow")
        assert "--precision float32" in caught.value.cure


def test_other_machines_are_asked_for_themselves(processor):
    """A head without work of its own may have another processor than those that train."""
    processor("avx512f")
    assert on_processor(BFLOAT16, "tensorflow", elsewhere=True) == "wide_bfloat16"
    with pytest.raises(TrainingError, match=" jax "):
        on_processor(BFLOAT16, "jax", elsewhere=True)


@pytest.mark.parametrize(
    ("asked", "has", "found"),
    [
        (AUTO, True, "mixed_bfloat16"),
        (AUTO, False, "float32"),
        ("float32", True, "float32"),
        (BFLOAT16, True, "mixed_bfloat16"),
    ],
)
def test_a_gpu_computes_in_bfloat16_where_it_can(asked, has, found):
    assert on_gpu(asked, has_bfloat16=has) == found


def test_a_gpu_without_it():
    with pytest.raises(TrainingError, match="--precision: got 'bfloat16'"):
        on_gpu(BFLOAT16, has_bfloat16=False)
