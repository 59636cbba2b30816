"""What a search needs of the machine, looked at before it is needed: each finding with its cure."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from resnet_search.files import leftovers
from resnet_search.runs.folder import DATA_FOLDER
from resnet_search.runs.latency import processors

if TYPE_CHECKING:
    from resnet_search.workers.nvidia import Gpu

OK, WARNING, PROBLEM = "ok", "warning", "problem"

PACKAGES = ("resnet-search", "keras", "keras-tuner", "tensorflow", "tensorflow-datasets", "jax")
# Either one can train.
BACKENDS = frozenset({"tensorflow", "jax"})
# What an optional package is needed for; other packages are not mentioned.
MISSED = {
    "tensorflow": "trains on JAX; a SavedModel is exported where TensorFlow is",
    "tensorflow-datasets": "its data sets cannot be read; archives, .npz, folders and shapes can",
    "jax": "",
}
OLDEST, NEWEST = (3, 11), (3, 13)  # requires-python of pyproject.toml
_CUDA_LIBRARIES = ("nvidia-cuda-runtime", "nvidia-cudnn", "nvidia-cublas")
_CUDA_RELEASES = ("-cu12", "-cu13", "")
_BFLOAT16 = 8  # of the compute capability
_TAKEN = 0.5  # of the memory; above this share, less is left than the plan assumes for workers
_UNKNOWN = "not known"
# A run of 200 trials of the sizes that ship takes some hundred MB, CIFAR-10 and its copies a GB.
LOW_DISK, NO_DISK = 5e9, 5e8
# One worker with TensorFlow and CIFAR-10 takes 2 GB.
LOW_MEMORY = 3e9


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: what was looked at, ok, warning or problem, what was found, and what to do about it."""

    name: str
    status: str
    text: str
    cure: str = ""


def examine(runs_dir: Path, data_dir: Path | None = None) -> list[Check]:
    """Everything, in the order of a search's needs. Imports the training backend; writes nothing that stays."""
    return [
        check_python(sys.version_info[:2]),
        *check_packages(),
        check_processor(),
        check_memory(),
        *check_devices(),
        check_data(data_dir),
        check_writing(runs_dir),
        check_disk(runs_dir),
        *check_leftovers(runs_dir),
    ]


def check_python(version: tuple[int, int]) -> Check:
    """Whether the package supports this Python."""
    text = f"{platform.python_version()}, {sys.executable}"
    if OLDEST <= version <= NEWEST:
        return Check("Python", OK, text)
    allowed = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    return Check("Python", PROBLEM, text, f"Make a virtual environment with Python {allowed}.")


def check_packages() -> Iterable[Check]:
    """The versions of what a result depends on."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    for package in PACKAGES:
        if package in found:
            yield Check(package, OK, found[package])
        elif package not in MISSED or not BACKENDS & found.keys():
            yield Check(package, PROBLEM, "not installed", "Install it: pip install resnet-search")
        elif MISSED[package]:
            yield Check(package, WARNING, f"not installed: {MISSED[package]}", f"Install it: pip install {package}")


def check_processor() -> Check:
    """How many processors this process may use."""
    return Check(
        "Processors", OK, f"{processors()} of {os.cpu_count()} usable, {platform.machine()}, {platform.system()}"
    )


def check_memory() -> Check:
    """How much memory is free."""
    import psutil

    memory = psutil.virtual_memory()
    text = f"{_gigabytes(memory.available)} of {_gigabytes(memory.total)} free"
    if memory.available < LOW_MEMORY:
        return Check("Memory", WARNING, text, f"A worker takes about {_gigabytes(2e9)}: close other programs.")
    return Check("Memory", OK, text)


def check_devices() -> Iterable[Check]:
    """Whether the training backend starts, and what it can train on."""
    from resnet_search.errors import TrainingError
    from resnet_search.workers.backend import keras_backend
    from resnet_search.workers.devices import backend_gpus, nvidia_gpus, unusable_gpu
    from resnet_search.workers.probe import gpu_cure
    from resnet_search.workers.quiet import quiet_stderr

    try:
        with quiet_stderr():
            backend = keras_backend()
            usable = backend_gpus(backend)
    except TrainingError as error:
        yield Check("Backend", PROBLEM, error.message, error.cure)
        return
    except Exception as error:  # noqa: BLE001 - any error of an installation is a finding
        first = (str(error).strip() or "no message").splitlines()[0]
        yield Check("Backend", PROBLEM, f"does not start: {type(error).__name__}: {first}", _BACKEND_CURE)
        return
    yield Check("Backend", OK, backend)
    why = unusable_gpu(nvidia_gpus(), usable)
    if why:
        yield Check("GPU", PROBLEM, why, gpu_cure(backend))
    elif usable:
        yield from check_gpus(backend, usable)
    else:
        yield Check("GPU", OK, "none; trials train on the processor")


_BACKEND_CURE = "Install it again: pip install --force-reinstall tensorflow keras. KERAS_BACKEND=jax chooses the other."


def check_gpus(backend: str, usable: Sequence[str]) -> Iterable[Check]:
    """Yield a finding for each property of the GPUs that the backend can use; the first GPU computes."""
    from resnet_search.workers.nvidia import mps_serves, visible_gpus
    from resnet_search.workers.probe import gpu_fault

    fault = gpu_fault(backend)
    named = ", ".join(usable)
    yield Check("GPU", OK, named) if fault is None else Check("GPU", PROBLEM, f"{named}, but {fault.why}", fault.cure)
    gpus = visible_gpus()
    yield Check("Driver", OK, _each(gpu.driver for gpu in gpus))
    yield Check(
        "CUDA", OK, ", ".join(_cuda_libraries()) or "no package of pip; TensorFlow or JAX has found the system's"
    )
    yield Check("Capability", OK, _each(_capability(gpu) for gpu in gpus))
    yield _gpu_memory(gpus)
    serves = mps_serves()
    yield Check("MPS", OK, "serves" if serves else "off; workers of a GPU take turns (docs/backends.md)")
    yield Check("MIG", OK, _each(gpu.uuid for gpu in gpus if gpu.mig) if any(gpu.mig for gpu in gpus) else "off")


def _each(values: Iterable[str]) -> str:
    """Return the values, equal ones once."""
    return ", ".join(dict.fromkeys(value or _UNKNOWN for value in values)) or _UNKNOWN


def _cuda_libraries() -> Iterable[str]:
    for library in _CUDA_LIBRARIES:
        for release in _CUDA_RELEASES:
            try:
                yield f"{library}{release} {metadata.version(library + release)}"
            except metadata.PackageNotFoundError:
                continue
            break


def _capability(gpu: Gpu) -> str:
    major = gpu.capability.partition(".")[0]
    if not major.isdigit():
        return ""
    return f"{gpu.capability}, {'bfloat16' if int(major) >= _BFLOAT16 else 'float32 alone'}"


def _gpu_memory(gpus: Sequence[Gpu]) -> Check:
    if not gpus or not all(gpu.memory for gpu in gpus):
        cure = "Install what the driver says it to: pip install nvidia-ml-py. Until then, each GPU has one worker."
        return Check("GPU memory", WARNING, _UNKNOWN, cure)
    text = _each(f"{gpu.free / 1e9:.1f} of {gpu.memory / 1e9:.1f} GB free" for gpu in gpus)
    if any(gpu.free < _TAKEN * gpu.memory for gpu in gpus):
        return Check("GPU memory", WARNING, text, "Other programs have taken it; nvidia-smi lists them.")
    return Check("GPU memory", OK, text)


def check_data(data_dir: Path | None) -> Check:
    """Where CIFAR-10 would come from."""
    from resnet_search.training.datasets import describe_source

    report = describe_source("cifar10", data_dir)
    if report.found:
        return Check("CIFAR-10", OK, f"{report.location} ({report.kind})")
    return Check("CIFAR-10", WARNING, f"not on this machine; it would be downloaded: {report.location}", report.cure)


def check_writing(runs_dir: Path) -> Check:
    """Whether runs can be made."""
    reason = not_writable(runs_dir)
    if reason:
        return Check("Runs", PROBLEM, reason, "Name a folder of your own: --runs-dir DIR.")
    return Check("Runs", OK, str(runs_dir.absolute()))


def check_disk(runs_dir: Path) -> Check:
    """How much space is left for runs."""
    free = shutil.disk_usage(_existing(runs_dir)).free
    text = f"{_gigabytes(free)} free"
    if free < NO_DISK:
        return Check("Disk", PROBLEM, text, "Free some space, or name a folder on another disk: --runs-dir DIR.")
    if free < LOW_DISK:
        return Check("Disk", WARNING, text, "Enough for a small search; long ones need more.")
    return Check("Disk", OK, text)


def check_leftovers(runs_dir: Path) -> Iterable[Check]:
    """List what killed starts of searches have left in the folder of runs."""
    folders = [folder for folder in (runs_dir, runs_dir / DATA_FOLDER) if folder.is_dir()]
    left = [path for folder in folders for path in leftovers(folder)]
    if left:
        size = sum(file.lstat().st_size for path in left for file in (path, *path.rglob("*")) if not file.is_dir())
        text = f"{_gigabytes(size)} in {', '.join(str(path) for path in left)}"
        yield Check("Leftovers", WARNING, text, "Delete them, unless a search is being started.")


def not_writable(runs_dir: Path) -> str:
    """Why no run can be made in a folder that may not exist yet; empty if one can."""
    existing = _existing(runs_dir)
    if not existing.is_dir():
        return f"{existing} is no folder"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"{existing} may not be written to"
    return ""


def _existing(path: Path) -> Path:
    """The path, or its nearest parent that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
