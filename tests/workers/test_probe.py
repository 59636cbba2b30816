"""One convolution before a search: a real one on this machine, and programs that fail as recorded ones did."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from resnet_search.workers import probe
from tests.faults.table import fault

# As recorded in issues 101746, 99592, 97387 and 7025 of TensorFlow and 16078 and 12461 of JAX; the third from
# NVIDIA's list of errors.
RECORDED = [
    ("tensorflow", "cuModuleLoadData(&module, data) failed with CUDA_ERROR_INVALID_PTX", "KERAS_BACKEND=jax"),
    ("tensorflow", "InternalError: cuLaunchKernel(...) failed with CUDA_ERROR_INVALID_HANDLE", "KERAS_BACKEND=jax"),
    (
        "jax",
        "CUDA_ERROR_UNSUPPORTED_PTX_VERSION: the provided PTX was compiled with an unsupported toolchain",
        "driver",
    ),
    ("jax", "CUDA_ERROR_INVALID_PTX", "--upgrade"),
    ("tensorflow", "InternalError: Dst tensor is not initialized.", "nvidia-smi"),
    ("jax", "XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory allocating 1048576 bytes.", "nvidia-smi"),
    ("jax", "XlaRuntimeError: UNIMPLEMENTED: DNN library is not found.", "jax[cuda12]"),
    ("tensorflow", "AssertionError: a convolution gave 0.0, not 576", "resnet-search[gpu]"),
]


@pytest.fixture(autouse=True)
def asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    probe.gpu_fault.cache_clear()


@fault(
    "environment",
    "A GPU is there but does not compute: driver, CUDA libraries or its generation do not fit",
    here="one convolution before the search fails or takes too long; the error names the cure, and `doctor` does too",
)
@pytest.mark.parametrize(("backend", "message", "cure"), RECORDED)
def test_what_fails_has_its_line_and_its_cure(monkeypatch, backend, message, cure):
    monkeypatch.setattr(probe, "_PROGRAM", f"import sys; sys.exit({message!r} + chr(10) + 'more')")
    found = probe.gpu_fault(backend)
    assert found is not None
    assert cure in found.cure
    assert message.split(":")[-1].strip() in found.why or "more" in found.why
    assert "\n" not in found.why


def test_an_abort_without_a_word_is_a_fault(monkeypatch):
    monkeypatch.setattr(probe, "_PROGRAM", "import os; os.abort()")
    assert probe.gpu_fault("jax") is not None


def test_what_hangs_is_ended_and_has_a_cure(monkeypatch):
    monkeypatch.setattr(probe, "SECONDS", 0.1)
    monkeypatch.setattr(probe, "_PROGRAM", "import threading; threading.Event().wait()")
    found = probe.gpu_fault("tensorflow")
    assert found is not None
    assert "KERAS_BACKEND=jax" in found.cure


def test_a_hidden_gpu_is_to_be_shown(monkeypatch):
    for value in ("", "-1", "-1,0"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert probe.gpu_cure("jax").startswith("Unset CUDA_VISIBLE_DEVICES")


def test_on_windows_the_cure_is_wsl2(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(probe.sys, "platform", "win32")
    assert all("WSL2" in probe.gpu_cure(backend) and "--device cpu" in probe.gpu_cure(backend)
               for backend in ("tensorflow", "jax"))  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_the_convolution_computes_on_this_machine(backend):
    if find_spec(backend) is None:
        pytest.skip(f"{'TensorFlow' if backend == 'tensorflow' else 'JAX'} is not installed")
    assert probe.gpu_fault(backend) is None
