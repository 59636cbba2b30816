"""Which device trials train on, and how: a GPU that the backend cannot use is an error, not a slow night."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import psutil

from resnet_search.errors import TrainingError
from resnet_search.processes import PYTHON, safe_environment
from resnet_search.workers.backend import keras_backend
from resnet_search.workers.cluster import Cluster
from resnet_search.workers.local import WorkerSettings
from resnet_search.workers.nvidia import VISIBLE, present_gpus, visible_gpus, visible_names
from resnet_search.workers.precision import AUTO, on_gpu, on_processor
from resnet_search.workers.probe import gpu_cure, gpu_fault

# A worker with TensorFlow, CIFAR-10 and a small network was seen at 1 to 1.5 GB; some is left for others.
_WORKER_BYTES = 2_500_000_000
FRAMEWORK_BYTES = 1_500_000_000
# Beyond this, the last trials of a bracket leave most workers idle.
_MOST_WORKERS = 8
# What CUDA and its libraries take of a GPU for each process, outside the backend's own memory: at most, with room.
CONTEXT_BYTES = 2**30
# What a worker with CUDA takes of the machine's own memory.
BESIDE_A_GPU = 3_000_000_000
# Of a GPU's memory; the rest is for the display, the driver, and what estimates leave out.
_USABLE = 0.9
# The first generation with bfloat16 in its matrix units.
_BFLOAT16_CAPABILITY = (8, 0)


def nvidia_gpus() -> list[str]:
    """The names of NVIDIA GPUs that the machine has, whether the backend can use them or not."""
    names = []
    for information in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        fields = dict(line.split(":", 1) for line in information.read_text().splitlines() if ":" in line)
        names.append(fields.get("Model", "NVIDIA GPU").strip())
    return names or [gpu.name for gpu in present_gpus()]


def backend_gpus(backend: str) -> list[str]:
    """The names of the GPUs that a Keras backend can train on. Imports TensorFlow; JAX is asked in another process."""
    if backend == "tensorflow":
        import tensorflow as tf

        return [
            str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
            for gpu in tf.config.list_physical_devices("GPU")
        ]
    return [name for name, _ in _jax_gpus()]


@cache
def _jax_gpus() -> list[tuple[str, tuple[int, int]]]:
    """Name and compute capability of each GPU. JAX keeps a part of a GPU's memory to itself once it has looked."""
    environment = safe_environment(XLA_PYTHON_CLIENT_PREALLOCATE="false")
    done = subprocess.run([*PYTHON, "-c", _ASK_JAX], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "JAX does not start").splitlines()[-1])
    return [(name, (major, minor)) for name, major, minor in json.loads(done.stdout.splitlines()[-1])]


_ASK_JAX = """
import json, jax
found = [device for device in jax.devices() if device.platform == "gpu"]
# "8.0", and a name such as "gfx90a" on GPUs of another maker.
parts = [str(getattr(device, "compute_capability", "")).split(".") for device in found]
numbers = [[int(part) for part in two] if len(two) == 2 and all(map(str.isdigit, two)) else [0, 0] for two in parts]
print(json.dumps([[device.device_kind, *number] for device, number in zip(found, numbers)]))
"""


def gpu_memory() -> int:
    """Bytes of memory of the smallest visible NVIDIA GPU, or part of one; 0 where the driver does not say."""
    return min((gpu.memory for gpu in visible_gpus()), default=0)


def unusable_gpu(present: list[str], usable: list[str]) -> str:
    """Why GPUs that are there are not used, in a sentence; empty if there is nothing to say."""
    if not present or usable:
        return ""
    names = ", ".join(present)
    if visible_names() == []:
        return f"this machine has {names}, but {VISIBLE} hides it"
    if sys.platform == "win32":
        return f"this machine has {names}, but TensorFlow and JAX cannot use it on Windows"
    return (
        f"this machine has {names}, but the training backend sees no GPU: "
        "its CUDA libraries are missing or do not fit the driver"
    )


def choose_workers(
    device: str, workers: int | Cluster | None, threads: int | None, *, precision: str = AUTO,
    wide: bool = False, backend: str | None = None, trial_bytes: int = 0,
) -> tuple[int, WorkerSettings]:  # fmt: skip
    """How many workers train at once, and their settings; None leaves the number to this machine.

    On a processor several small networks on one thread each train faster than one on several threads, so there are as
    many workers as processors, as far as the memory goes if each trains what takes `trial_bytes`. On a GPU, as many as
    fit so, one if that or the GPU's memory is not known. A cluster takes what Ray places there. `wide`: whether some
    network has blocks that a processor may compute in bfloat16. `backend`: None for what Keras takes here.
    """
    backend = backend or keras_backend()
    if isinstance(workers, Cluster):
        from resnet_search.workers.connect import choose_on_cluster

        return choose_on_cluster(
            device, workers, threads, precision=precision, wide=wide, backend=backend, trial_bytes=trial_bytes
        )
    settings = choose_settings(device, threads=1, backend=backend, precision=precision, wide=wide)
    if settings.device == "gpu":
        workers, share = share_gpus(workers, settings.gpus, settings.gpu_bytes, trial_bytes)
        settings = replace(settings, gpu_share=share)
    elif workers is None:
        workers = processor_workers(trial_bytes)
    return workers, replace(settings, threads=threads or max(1, _processors() // workers))


def share_gpus(workers: int | None, gpus: int, memory: int, trial_bytes: int) -> tuple[int, float]:
    """How many workers on `gpus` GPUs of `memory` bytes (0: unknown), and the part of a GPU that each may take.

    None: as many as fit with `trial_bytes` each, and beside each other in the machine's own memory. A part of 0 is no
    limit, for a worker that has a GPU to itself.
    """
    usable = _USABLE * memory
    if workers is None:
        workers = min(_limits(gpus, memory, trial_bytes).values())
    each = math.ceil(workers / gpus)
    if each == 1:
        return workers, 0.0
    if not memory:
        raise TrainingError(
            f"--workers: got {workers} for {gpus} GPU{'s' * (gpus > 1)} of unknown memory, which cannot be shared",
            f"Use --workers {gpus}. Where nvidia-ml-py is installed, the driver may tell the memory.",
        )
    share = _USABLE / each - CONTEXT_BYTES / memory
    if share <= 0:
        most = gpus * (math.ceil(usable / CONTEXT_BYTES) - 1)
        raise TrainingError(
            f"--workers: got {workers}, too many for a GPU of {memory / 2**30:.0f} GiB: CUDA alone takes "
            f"{CONTEXT_BYTES / 2**30:g} GiB per worker",
            f"Use at most {max(most, gpus)}, or omit --workers to start as many as fit.",
        )
    return workers, share


def _limits(gpus: int, memory: int, trial_bytes: int) -> dict[str, int]:
    """The most workers on GPUs, by the reason for it."""
    fitting = int(_USABLE * memory // (CONTEXT_BYTES + trial_bytes)) if memory and trial_bytes else 1
    one_each = "whose memory holds the largest network once" if memory else "whose memory is not known"
    more = "as many as its memory holds with the largest network"
    return {
        (more if fitting > 1 else f"one for each GPU, {one_each}"): max(1, fitting) * gpus,
        f"the limit, since the last trials of a bracket leave more than {_MOST_WORKERS} idle": _MOST_WORKERS,
        "one for each processor": _processors(),
        f"as many as the machine's own memory holds at {BESIDE_A_GPU / 1e9:g} GB each": max(
            1, int(psutil.virtual_memory().available // BESIDE_A_GPU)
        ),
    }


def why_so_many(workers: int | None, gpus: int, memory: int, trial_bytes: int) -> str:
    """Why `share_gpus` takes so many workers, to stand behind their number."""
    if workers is not None:
        return "as given"
    limits = _limits(gpus, memory, trial_bytes)
    return min(limits, key=limits.__getitem__)


def processor_workers(trial_bytes: int = 0) -> int:
    """How many workers train at once on the processors, unless the user says how many."""
    each = max(_WORKER_BYTES, FRAMEWORK_BYTES + trial_bytes)
    fitting = int(psutil.virtual_memory().available // each)
    return max(1, min(_processors(), fitting, _MOST_WORKERS))


def workers_of_plan(workers: int | None, gpus: int, trial_bytes: int) -> int:
    """Return how many workers a search would have, without starting a backend; None leaves it to the machine."""
    if workers is not None:
        return workers
    return share_gpus(None, gpus, gpu_memory(), trial_bytes)[0] if gpus else processor_workers(trial_bytes)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_settings(
    device: str, threads: int, *, backend: str, precision: str = AUTO, wide: bool = False
) -> WorkerSettings:
    """Settings of the workers for `device` auto, cpu or gpu; `TrainingError` where that would be a surprise.

    On a GPU: XLA, and bfloat16 arithmetic where the GPU has it. On a processor: no XLA, whose convolutions there are
    slow, and the precision of `workers.precision.on_processor`.
    """
    if device == "cpu":
        return _of_processor(threads, backend, precision, wide=wide)
    usable = backend_gpus(backend)
    if not usable:
        why = unusable_gpu(nvidia_gpus(), usable)
        if why:
            raise TrainingError(f"--device: got {device!r}, but {why}", gpu_cure(backend))
        if device == "gpu":
            raise TrainingError("--device: got 'gpu', but this machine has none", "Use --device cpu, or auto.")
        return _of_processor(threads, backend, precision, wide=wide)
    fault = gpu_fault(backend)
    if fault is not None:
        raise TrainingError(f"--device: got {device!r} and {', '.join(usable)}, but {fault.why}", fault.cure)
    return WorkerSettings(
        threads=threads,
        precision=on_gpu(precision, has_bfloat16=_has_bfloat16(backend)),
        jit=True,
        device="gpu",
        gpus=len(usable),
        gpu_bytes=gpu_memory(),
        backend=backend,
    )


def _of_processor(threads: int, backend: str, precision: str, *, wide: bool) -> WorkerSettings:
    chosen = on_processor(precision, backend, wide=wide)
    return WorkerSettings(threads=threads, precision=chosen, device="cpu", backend=backend)


def _has_bfloat16(backend: str) -> bool:
    if backend == "tensorflow":
        import tensorflow as tf

        details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
        found = [tuple(detail.get("compute_capability", (0, 0))) for detail in details]
    else:
        found = [capability for _, capability in _jax_gpus()]
    return all(capability >= _BFLOAT16_CAPABILITY for capability in found)
