"""Measure the latency of a trial's network in a format, once on each machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from resnet_search.export.build import Request
from resnet_search.export.children import build_saved_model, convert, run_file
from resnet_search.export.choice import has_weights
from resnet_search.export.formats import FORMATS, SAVED_MODEL, Format
from resnet_search.export.make import Images, Progress, images_of, member_of
from resnet_search.runs.latency import Latency, alone, keep_latency, read_latencies
from resnet_search.runs.trials import RunView, Trial

_IMAGES = 128  # the largest batch that is timed


def timed_formats(names: Sequence[str]) -> tuple[Format, ...]:
    """Return the formats that a limit on the latency is about: those asked for, by default the SavedModel."""
    return tuple(made for made in FORMATS.values() if made.name in (names or (SAVED_MODEL,)))


def latencies_of(
    view: RunView, trial: Trial, images: Images, progress: Progress, made: Format = FORMATS[SAVED_MODEL]
) -> tuple[Latency, ...]:
    """Return a trial's latencies on this machine; measure them now if needed, and keep them in the run's folder."""
    return read_latencies(view.folder, made.name).get(trial.trial) or measured_now(view, trial, images, progress, made)


def measured_now(
    view: RunView, trial: Trial, images: Images, progress: Progress, made: Format = FORMATS[SAVED_MODEL]
) -> tuple[Latency, ...]:
    """Measure a trial now and keep the result."""
    progress(f"measuring trial {trial.trial} as {made.name}")
    with tempfile.TemporaryDirectory(prefix="resnet-search-") as name:
        work = Path(name)
        request = Request(
            members=(member_of(view, trial, images.arrays),),
            image_shape=images.arrays.image_shape,
            classes=len(images.arrays.classes),
            images=str(work / "images.npy"),
            expected=str(work / "expected.npy"),
            saved_model=str(work / FORMATS[SAVED_MODEL].file),
            keras=str(work / made.file) if made.name == "keras" else "",
            error=str(work / "error.txt"),
        )
        np.save(request.images, images.arrays.x_validation[:_IMAGES])
        build_saved_model(request)
        if made.name not in {SAVED_MODEL, "keras"}:
            convert(made, Path(request.saved_model), work / made.file, Path(request.images))
        latencies = run_file(made, work / made.file, Path(request.images), work).latencies
    keep_latency(view.folder, trial.trial, latencies, made.name)
    return latencies


def latency_of(
    view: RunView, trial: Trial, images: Images, progress: Progress, formats: Sequence[Format] = (FORMATS[SAVED_MODEL],)
) -> float:
    """Return the median milliseconds for one image on the processor, in the slowest of these formats."""
    return max(alone(latencies_of(view, trial, images, progress, made)) or 0.0 for made in formats)


def measure(view: RunView, trials: Iterable[Trial], progress: Progress, form: str = SAVED_MODEL) -> None:
    """Measure the trials of a run that have weights, and no latency on this machine, in a format."""
    images = images_of(view)
    for trial in trials:
        if has_weights(view, trial):
            latencies_of(view, trial, images, progress, FORMATS[form])
