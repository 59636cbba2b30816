"""Measure the latency of a trial's network as a SavedModel, once on each machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from resnet_search.export.build import Request
from resnet_search.export.children import build_saved_model, run_file
from resnet_search.export.choice import has_weights
from resnet_search.export.formats import FORMATS, SAVED_MODEL
from resnet_search.export.make import Images, Progress, images_of, member_of
from resnet_search.runs.latency import Latency, alone, keep_latency, read_latencies
from resnet_search.runs.trials import RunView, Trial

_IMAGES = 128  # the largest batch that is timed


def latencies_of(view: RunView, trial: Trial, images: Images, progress: Progress) -> tuple[Latency, ...]:
    """Return a trial's latencies on this machine; measure them now if needed, and keep them in the run's folder."""
    return read_latencies(view.folder).get(trial.trial) or measured_now(view, trial, images, progress)


def measured_now(view: RunView, trial: Trial, images: Images, progress: Progress) -> tuple[Latency, ...]:
    """Measure a trial now and keep the result."""
    progress(f"measuring trial {trial.trial}")
    made = FORMATS[SAVED_MODEL]
    with tempfile.TemporaryDirectory(prefix="resnet-search-") as name:
        work = Path(name)
        request = Request(
            members=(member_of(view, trial, images.arrays),),
            image_shape=images.arrays.image_shape,
            classes=len(images.arrays.classes),
            images=str(work / "images.npy"),
            expected=str(work / "expected.npy"),
            saved_model=str(work / made.file),
            keras="",
            error=str(work / "error.txt"),
        )
        np.save(request.images, images.arrays.x_validation[:_IMAGES])
        build_saved_model(request)
        latencies = run_file(made, Path(request.saved_model), Path(request.images), work).latencies
    keep_latency(view.folder, trial.trial, latencies)
    return latencies


def latency_of(view: RunView, trial: Trial, images: Images, progress: Progress) -> float:
    """Return the median milliseconds for one image on the processor."""
    return alone(latencies_of(view, trial, images, progress)) or 0.0


def measure(view: RunView, trials: Iterable[Trial], progress: Progress) -> None:
    """Measure the trials of a run that have weights and no latency on this machine."""
    images = images_of(view)
    for trial in trials:
        if has_weights(view, trial):
            latencies_of(view, trial, images, progress)
