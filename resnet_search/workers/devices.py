"""Which device trials train on, and how: a GPU that the backend cannot use is an error, not a slow night."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import psutil

from resnet_search.errors import TrainingError
from resnet_search.workers.local import WorkerSettings

# A worker with TensorFlow, CIFAR-10 and a small network was seen at 1 to 1.5 GB; some is left for others.
_WORKER_BYTES = 2_500_000_000
# Beyond this, the last trials of a bracket leave most of them idle.
_MOST_WORKERS = 8
# The first generation with bfloat16 in its matrix units.
_BFLOAT16_CAPABILITY = (8, 0)


def nvidia_gpus() -> list[str]:
    """The names of NVIDIA GPUs that the machine has, whether the backend can use them or not."""
    names = []
    for information in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        fields = dict(line.split(":", 1) for line in information.read_text().splitlines() if ":" in line)
        names.append(fields.get("Model", "NVIDIA GPU").strip())
    smi = shutil.which("nvidia-smi")
    if names or smi is None:
        return names
    try:
        listed = subprocess.run(
            [smi, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()]


def keras_backend() -> str:
    """The backend that Keras trains with: tensorflow unless KERAS_BACKEND or Keras's own settings say otherwise."""
    import keras

    return str(keras.backend.backend())


def backend_gpus() -> list[str]:
    """The names of the GPUs that the Keras backend can train on. Imports the backend."""
    if keras_backend() == "tensorflow":
        import tensorflow as tf

        return [
            str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
            for gpu in tf.config.list_physical_devices("GPU")
        ]
    import keras

    return [str(device) for device in keras.distribution.list_devices("gpu")]


def unusable_gpu(present: list[str], usable: list[str]) -> str:
    """Why GPUs that are there are not used, in a sentence; empty if there is nothing to say."""
    if not present or usable:
        return ""
    names = ", ".join(present)
    if os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}:
        return f"this machine has {names}, but CUDA_VISIBLE_DEVICES hides it"
    return (
        f"this machine has {names}, but the training backend sees no GPU: "
        "its CUDA libraries are missing or do not fit the driver"
    )


GPU_CURE = "Install them: pip install 'resnet-search[gpu]'. To train on the processor all the same: --device cpu"


def choose_workers(device: str, workers: int | None, threads: int | None) -> tuple[int, WorkerSettings]:
    """How many workers train at once, and their settings; None leaves the number to this machine.

    On a processor several small networks on one thread each train faster than one on several threads, so there are as
    many workers as processors, as far as the memory goes. A GPU has one.
    """
    settings = choose_settings(device, threads=1)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if workers is None:
        fitting = psutil.virtual_memory().available // _WORKER_BYTES
        workers = 1 if settings.device == "gpu" else max(1, min(processors, fitting, _MOST_WORKERS))
    return workers, replace(settings, threads=threads or max(1, processors // workers))


def choose_settings(device: str, threads: int) -> WorkerSettings:
    """Settings of the workers for `device` auto, cpu or gpu; `TrainingError` where that would be a surprise.

    On a GPU: XLA, and bfloat16 arithmetic where the GPU has it. On a processor: float32 without XLA, whose
    convolutions there are slow.
    """
    if device == "cpu":
        return WorkerSettings(threads=threads, device="cpu")
    usable = backend_gpus()
    if not usable:
        why = unusable_gpu(nvidia_gpus(), usable)
        if why:
            raise TrainingError(f"--device: got {device!r}, but {why}", GPU_CURE)
        if device == "gpu":
            raise TrainingError("--device: got 'gpu', but this machine has none", "Use --device cpu, or auto.")
        return WorkerSettings(threads=threads, device="cpu")
    precision = "mixed_bfloat16" if _has_bfloat16() else "float32"
    return WorkerSettings(threads=threads, precision=precision, jit=True, device="gpu")


def _has_bfloat16() -> bool:
    if keras_backend() != "tensorflow":
        return True
    import tensorflow as tf

    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return all(tuple(detail.get("compute_capability", (0, 0))) >= _BFLOAT16_CAPABILITY for detail in details)
