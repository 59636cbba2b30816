"""Whether a GPU computes: one real convolution in a process of its own, because a bad installation aborts or hangs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from typing import Final

from resnet_search.processes import PYTHON, safe_environment
from resnet_search.workers.backend import INSTALL_GPU
from resnet_search.workers.nvidia import VISIBLE, visible_names

# Importing a backend and compiling one convolution takes half a minute on a slow disk.
SECONDS: Final = 180.0
_PROGRAM = """
import keras
import numpy as np
from keras import ops

def step(images, kernel):
    means = ops.mean(ops.conv(images, kernel, padding="valid"), axis=(1, 2))
    return ops.matmul(means, ops.ones((8, 1)))

if keras.backend.backend() == "tensorflow":
    import tensorflow
    compiled = tensorflow.function(step, jit_compile=True)
else:
    import jax
    compiled = jax.jit(step)
found = ops.convert_to_numpy(compiled(np.ones((8, 16, 16, 8), "float32"), np.ones((3, 3, 8, 8), "float32")) * 1.0)
assert np.allclose(found, 576, rtol=0.01), f"a convolution gave {found.ravel()[0]}, not 576"
"""
_NO_CODE = (
    "CUDA_ERROR_INVALID_PTX", "CUDA_ERROR_INVALID_HANDLE", "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image",
    "ptxas", "is not defined for option 'gpu-name'",
)  # fmt: skip
_DRIVER = (
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "CUDA_ERROR_COMPAT_NOT_SUPPORTED",
    "CUDA_ERROR_SYSTEM_NOT_READY", "driver version is insufficient", "driver/library version mismatch",
)  # fmt: skip
_MEMORY = ("RESOURCE_EXHAUSTED", "OUT_OF_MEMORY", "_ALLOC_FAILED", "_NOT_INITIALIZED", "Dst tensor is not initialized")
_OTHER_CODE: Final = {
    "tensorflow": f"Train on JAX: {INSTALL_GPU['jax']}, then set KERAS_BACKEND=jax.",
    "jax": "Install a release that knows this GPU: pip install --upgrade 'jax[cuda12]'.",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a GPU does not compute, and what to do about it."""

    why: str
    cure: str


@cache
def gpu_fault(backend: str) -> Fault | None:
    """Return what is wrong with this machine's GPU; None if the backend computes on it."""
    environment = safe_environment(
        KERAS_BACKEND=backend, TF_FORCE_GPU_ALLOW_GROWTH="true", XLA_PYTHON_CLIENT_PREALLOCATE="false"
    )
    try:
        done = subprocess.run(
            [*PYTHON, "-c", _PROGRAM], capture_output=True, text=True, errors="replace", check=False,
            timeout=SECONDS, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        why = f"one convolution takes more than {SECONDS:.0f} s, so {backend} has no code for this GPU and compiles it"
        return Fault(why, _OTHER_CODE[backend])
    return _fault(done.stderr, backend) if done.returncode else None


def gpu_cure(backend: str) -> str:
    """Return what to do where the backend cannot use a GPU; on Windows neither backend can."""
    if visible_names() == []:
        return f"Unset {VISIBLE}. To train on the processor all the same: --device cpu"
    if sys.platform == "win32":
        return (
            "Install resnet-search in WSL2, where it can be used. To train on the processor all the same: --device cpu"
        )
    return f"Install its CUDA libraries: {INSTALL_GPU[backend]}. To train on the processor all the same: --device cpu"


def _fault(said: str, backend: str) -> Fault:
    """Return what the output of a process that failed means."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]

    def line_with(words: tuple[str, ...]) -> str:
        return next((line for line in reversed(lines) if any(word in line for word in words)), "")[:_LONGEST]

    # In this order: where the driver is too old, a handle is invalid too.
    for words, cure in (
        (_DRIVER, "Update NVIDIA's driver and restart the machine; nvidia-smi shows its version."),
        (_MEMORY, "Other programs have taken the GPU's memory; nvidia-smi lists them. End them, or use another GPU."),
        (_NO_CODE, _OTHER_CODE[backend]),
    ):
        if line := line_with(words):
            return Fault(f"a convolution on it fails: {line}", cure)
    last = lines[-1][:_LONGEST] if lines else "its process ended without a word"
    return Fault(f"a convolution on it fails: {last}", gpu_cure(backend))


_LONGEST = 200  # characters of a message
