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
    assert on_processor("float32", "tensorflow", wide=True) == "float32"
    assert on_processor(BFLOAT16, "tensorflow") == "wide_bfloat16"
    with pytest.raises(TrainingError, match=r"--precision: got 'bfloat16'.* jax "):
        on_processor(BFLOAT16, "jax")


def test_a_processor_without_instructions_for_it(processor):
    for known in (lambda: None, lambda: processor("avx512f")):
        known()
        with pytest.raises(TrainingError, match="amx_bf16, avx512_bf16") as caught:
            on_processor(BFLOAT16, "tensorflow")
        assert "--precision float32" in caught.value.cure


@pytest.fixture
def trial(monkeypatch):
    """Decides whether bfloat16 is found to be faster; a trial that is not expected fails."""

    def finds(answer: bool | None) -> None:
        def is_faster() -> bool:
            assert answer is not None
            return answer

        monkeypatch.setattr(precision.bfloat16, "is_faster", is_faster)

    return finds


def test_auto_tries_a_processor_that_has_it(processor, trial):
    processor("amx_bf16")
    for faster, found in ((True, "wide_bfloat16"), (False, "float32")):
        trial(faster)
        assert on_processor(AUTO, "tensorflow", wide=True) == found


def test_auto_tries_nothing_where_bfloat16_cannot_help(processor, trial):
    processor("amx_bf16")
    trial(None)
    assert on_processor(AUTO, "tensorflow", wide=False) == "float32"
    assert on_processor(AUTO, "jax", wide=True) == "float32"
    assert on_processor(AUTO, "tensorflow", wide=True, elsewhere=True) == "float32"
    processor("avx512f")
    assert on_processor(AUTO, "tensorflow", wide=True) == "float32"


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
