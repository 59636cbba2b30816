"""The two child processes of an export: one that has Keras and builds, one that has TensorFlow alone and runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resnet_search.errors import ExportError
from resnet_search.export import verify
from resnet_search.export.build import BAD_WEIGHTS, Request

_ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",  # whatever backend trained: only this one writes a SavedModel
    "CUDA_VISIBLE_DEVICES": "-1",  # a GPU may be in use, and rounds matrix products to 10 bits
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_USE_LEGACY_KERAS": "0",
}
_CURE = "Nothing was exported; resnet-search doctor shows the versions and the memory there is."


def build_saved_model(request: Request) -> None:
    """Write the SavedModel of a request, and the probabilities that Keras itself gives for its sample."""
    refused = _run(["-m", "resnet_search.export.build", request.to_json()], BAD_WEIGHTS, Path(request.error))
    if refused:
        raise ExportError(
            f"{request.weights}: does not hold the weights of the trial: {refused}",
            "Restore the file from a copy, or export another trial with --trial.",
        )


def run_saved_model(
    saved_model: Path, sample: Path, images: Path, work: Path
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Reload a SavedModel where Keras and this package cannot be imported, and run it on two .npy files of images.

    Returns the probabilities of `sample`, (images, classes), and the most probable class of each of `images`,
    (images,). `ExportError` if it needs more than TensorFlow's own runtime.
    """
    files = {
        "saved_model": str(saved_model),
        "sample": str(sample),
        "images": str(images),
        "outputs": str(work / "outputs.npy"),
        "labels": str(work / "labels.npy"),
        "error": str(work / "error.txt"),
    }
    # -P: the script's own folder holds modules of this package, and is not to be searched for imports.
    refused = _run(["-P", verify.__file__, json.dumps(files)], verify.REJECTED, Path(files["error"]))
    if refused:
        raise ExportError(f"the SavedModel {refused}", _CURE)
    return np.load(files["outputs"]), np.load(files["labels"])


def _run(arguments: list[str], refusal: int, error: Path) -> str:
    """Run Python without a sound; what `error` holds if it ends with status `refusal`, nothing if it succeeds."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | _ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode == 0:
        return ""
    if done.returncode == refusal:
        return error.read_text(encoding="utf-8")
    if done.returncode < 0:
        raise ExportError(f"the export's process was ended by signal {-done.returncode}", _CURE)
    said = done.stderr.decode(errors="replace").strip().splitlines()
    raise ExportError(f"the export's process failed: {said[-1][:500] if said else 'without a word'}", _CURE)
