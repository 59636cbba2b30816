"""The child processes of an export: one builds with Keras, others convert, others run a file with its runtime alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resnet_search.errors import ExportError
from resnet_search.export import verify
from resnet_search.export.build import BAD_WEIGHTS, Request
from resnet_search.export.formats import Format, check_tensorflow
from resnet_search.processes import PYTHON, safe_environment
from resnet_search.runs.latency import Latency, processors

BATCHES = (1, 128)  # sizes that are timed
_ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",  # the only backend that writes a SavedModel
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
# A GPU may be busy, and it rounds matrix products to 10 bits.
_NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1"}
_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}  # a search may be using the rest of it
_CURE = "Nothing was exported; resnet-search doctor shows the versions and the available memory."


@dataclass(frozen=True, slots=True)
class Ran:
    """The results of a file: `outputs` (images, classes), its times and, if requested, the `labels` of all images."""

    outputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    latencies: tuple[Latency, ...]


def build_saved_model(request: Request) -> None:
    """Write the SavedModel of a request, and Keras's own probabilities for its images."""
    check_tensorflow()
    refused = _run("building", ["-m", "resnet_search.export.build", request.to_json()], BAD_WEIGHTS, request.error)
    if refused:
        raise ExportError(refused, "Restore the file from a copy, or export another trial with --trial.")


def convert(made: Format, saved_model: Path, target: Path, calibration: Path) -> None:
    """Convert a SavedModel to another format; `calibration` is a .npy of training images."""
    request = {
        "format": made.name,
        "saved_model": str(saved_model),
        "target": str(target),
        "calibration": str(calibration),
    }
    _run(f"converting to {made.name}", ["-m", "resnet_search.export.convert", json.dumps(request)])


def run_file(
    made: Format, model: Path, images: Path, work: Path, *, every: Path | None = None, batches: Sequence[int] = BATCHES
) -> Ran:
    """Reload a file where only its runtime can be imported, run it on a .npy of images, and time it.

    `every`: another .npy of images, whose most probable classes are returned too. `ExportError` if the file needs more
    than its runtime.
    """
    done = _ask(made, model, images, work, batches=batches, every="" if every is None else str(every))
    labels = np.empty(0, np.int64) if every is None else np.load(work / "labels.npy")
    return Ran(np.load(work / "outputs.npy"), labels, done)


def time_on_gpu(made: Format, model: Path, images: Path, work: Path) -> tuple[Latency, ...]:
    """Time a file on the GPU that its runtime sees; return nothing if it sees none."""
    return _ask(made, model, images, work, gpu=True)


def _ask(
    made: Format,
    model: Path,
    images: Path,
    work: Path,
    *,
    batches: Sequence[int] = BATCHES,
    every: str = "",
    gpu: bool = False,
) -> tuple[Latency, ...]:
    files = {name: str(work / f"{name}.{kind}") for name, kind in _FILES}
    request = {
        **files,
        "format": made.name,
        "model": str(model),
        "images": str(images),
        "all": every,
        "batches": list(batches),
        "threads": processors(),
        "gpu": gpu,
    }
    arguments = [verify.__file__, json.dumps(request)]
    refused = _run(f"running {made.name}", arguments, verify.REJECTED, files["error"], gpu=gpu)
    if refused:
        raise ExportError(f"the exported {made.name} {refused}", _CURE)
    return tuple(Latency(**one) for one in json.loads(Path(files["times"]).read_text(encoding="utf-8")))


_FILES = (("outputs", "npy"), ("labels", "npy"), ("times", "json"), ("error", "txt"))


def _run(what: str, arguments: list[str], refusal: int = 0, error: str = "", *, gpu: bool = False) -> str:
    """Run Python silently; return the content of `error` if it ends with status `refusal`, nothing if it succeeds."""
    done = subprocess.run(
        [*PYTHON, *arguments],
        env=safe_environment(**_ENVIRONMENT, **(_GPU if gpu else _NO_GPU)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode == 0:
        return ""
    if done.returncode == refusal:
        return Path(error).read_text(encoding="utf-8")
    if done.returncode < 0:
        raise ExportError(f"{what}: the export's process was ended by signal {-done.returncode}", _CURE)
    said = done.stderr.decode(errors="replace").strip().splitlines()
    raise ExportError(f"{what}: the export's process failed: {said[-1][:500] if said else 'no message'}", _CURE)
