"""What `doctor` says of NVIDIA GPUs: whether one computes, and what its speed and its sharing depend on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import metadata

from resnet_search.runs.doctor import OK, PROBLEM, WARNING, Check
from resnet_search.workers.nvidia import Gpu, mps_serves, visible_gpus
from resnet_search.workers.probe import gpu_fault

_LIBRARIES = ("nvidia-cuda-runtime", "nvidia-cudnn", "nvidia-cublas")
_RELEASES = ("-cu12", "-cu13", "")
_BFLOAT16 = 8  # of the compute capability
_TAKEN = 0.5  # of the memory, from which on less is left than workers are planned with
_UNKNOWN = "not known"


def check_gpus(backend: str, usable: Sequence[str]) -> Iterable[Check]:
    """Yield a finding for each property of the GPUs that the backend can use, the first of which computes."""
    fault = gpu_fault(backend)
    named = ", ".join(usable)
    yield Check("GPU", OK, named) if fault is None else Check("GPU", PROBLEM, f"{named}, but {fault.why}", fault.cure)
    gpus = visible_gpus()
    yield Check("Driver", OK, _each(gpu.driver for gpu in gpus))
    yield Check("CUDA", OK, ", ".join(_libraries()) or "no package of pip; TensorFlow or JAX has found the system's")
    yield Check("Capability", OK, _each(_capability(gpu) for gpu in gpus))
    yield _memory(gpus)
    serves = mps_serves()
    yield Check("MPS", OK, "serves" if serves else "off; workers of a GPU take turns (docs/backends.md)")
    yield Check("MIG", OK, _each(gpu.uuid for gpu in gpus if gpu.mig) if any(gpu.mig for gpu in gpus) else "off")


def _each(values: Iterable[str]) -> str:
    """Return the values, equal ones once."""
    return ", ".join(dict.fromkeys(value or _UNKNOWN for value in values)) or _UNKNOWN


def _libraries() -> Iterable[str]:
    for library in _LIBRARIES:
        for release in _RELEASES:
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


def _memory(gpus: Sequence[Gpu]) -> Check:
    if not gpus or not all(gpu.memory for gpu in gpus):
        cure = "Install what the driver says it to: pip install nvidia-ml-py. Until then, each GPU has one worker."
        return Check("GPU memory", WARNING, _UNKNOWN, cure)
    text = _each(f"{gpu.free / 1e9:.1f} of {gpu.memory / 1e9:.1f} GB free" for gpu in gpus)
    if any(gpu.free < _TAKEN * gpu.memory for gpu in gpus):
        return Check("GPU memory", WARNING, text, "Other programs have taken it; nvidia-smi lists them.")
    return Check("GPU memory", OK, text)
