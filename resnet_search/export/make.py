"""Make the files of an export in a folder, each reloaded by its runtime, compared and timed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnet_search.errors import ExportError
from resnet_search.export.build import Member, Request
from resnet_search.export.checks import LEAST_AGREEMENT, agreement, difference
from resnet_search.export.children import Ran, build_saved_model, convert, run_file, time_on_gpu
from resnet_search.export.choice import weights_of
from resnet_search.export.folder import folder_bytes
from resnet_search.export.formats import FORMATS, SAVED_MODEL, Format
from resnet_search.files import make_folder
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.imagenet import normalisation
from resnet_search.report.exported import File
from resnet_search.runs.latency import Latency
from resnet_search.runs.trials import RunView, Trial
from resnet_search.search.images import arrays_of
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.arrays import Arrays, read_arrays
from resnet_search.training.recipe import recipe_from
from resnet_search.workers.devices import nvidia_gpus

COMPARED = 1000  # validation images that every file is run on; all if there are fewer
CALIBRATION = 256  # training images for the value ranges of an int8 file

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Images:
    """The arrays of a run, and their folder; the values of black and white, if the images were not bytes."""

    folder: Path
    arrays: Arrays
    values: tuple[float, float] | None = None

    @property
    def compared(self) -> NDArray[np.int64]:
        """Return the indices of the validation images to compare on."""
        return _spread(len(self.arrays.x_validation), COMPARED)


def images_of(view: RunView) -> Images:
    """Return the images of a run, made again if they are gone."""
    space = SearchSpace.from_dict(view.content["space"], where=str(view.folder.path / "run.json"))
    folder = arrays_of(view.folder, view.content, space).resolve()
    values = view.content["data"].get("values")
    return Images(folder, read_arrays(folder), None if values is None else (values["low"], values["high"]))


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """Return indices spread evenly, because a data set may be sorted by class."""
    return np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)


def member_of(view: RunView, trial: Trial, arrays: Arrays) -> Member:
    """Describe a trial's network for the process that builds it."""
    init = recipe_from({**view.content["recipe"], **trial.recipe}).init
    mean, std = normalisation(Architecture.from_dict(trial.architecture), init, arrays.mean, arrays.std)
    weights = str(weights_of(view, trial))
    return Member(weights=weights, architecture=trial.architecture, mean=tuple(mean), std=tuple(std))


def make_files(
    members: Sequence[Member], formats: Sequence[Format], images: Images, folder: Path, progress: Progress
) -> tuple[list[File], NDArray[np.int64]]:
    """Make, verify and time every format in `folder`.

    Returns the files, the SavedModel first, and the SavedModel's most probable class for every validation image.
    `ExportError` if a file does not give the mean of the trained networks' probabilities.
    """
    arrays, compared = images.arrays, images.compared
    work = folder / "work"
    make_folder(work)
    np.save(work / "images.npy", arrays.x_validation[compared])
    np.save(work / "calibration.npy", arrays.x_train[_spread(len(arrays.x_train), CALIBRATION)])
    saved_model = folder / FORMATS[SAVED_MODEL].file
    progress("building the network")
    keras = [str(folder / made.file) for made in formats if made.name == "keras"]
    build_saved_model(
        Request(
            members=tuple(members),
            image_shape=arrays.image_shape,
            classes=len(arrays.classes),
            images=str(work / "images.npy"),
            expected=str(work / "expected.npy"),
            saved_model=str(saved_model),
            keras="".join(keras),
            error=str(work / "error.txt"),
            values=images.values,
        )
    )
    expected, truth = np.load(work / "expected.npy"), arrays.y_validation[compared]
    files, labels = [], np.empty(0, np.int64)
    for number, made in enumerate(formats, 1):
        progress(f"{made.name}, {number} of {len(formats)}")
        model = folder / made.file
        if made.name not in {SAVED_MODEL, "keras"}:
            convert(made, saved_model, model, work / "calibration.npy")
        every = images.folder / "x_validation.npy" if made.name == SAVED_MODEL else None
        ran = run_file(made, model, work / "images.npy", work, every=every)
        if made.name == SAVED_MODEL:
            labels = ran.labels
            ran = replace(ran, latencies=(*ran.latencies, *_on_gpu(made, model, work)))
        files.append(_checked(made, model, ran, expected, truth))
    shutil.rmtree(work)
    return files, labels


def _on_gpu(made: Format, model: Path, work: Path) -> tuple[Latency, ...]:
    """Time a file on a GPU, if there is one with enough free memory."""
    if not nvidia_gpus():
        return ()
    try:
        return time_on_gpu(made, model, work / "images.npy", work)
    except ExportError:
        return ()


def _checked(made: Format, model: Path, ran: Ran, expected: NDArray[Any], truth: NDArray[Any]) -> File:
    return File(
        format=made.name,
        name=made.file,
        runtime=made.runtime,
        size=folder_bytes(model),
        compared=len(truth),
        difference=difference(ran.outputs, expected, made),
        agreement=agreement(ran.outputs, expected),
        required=0.0 if made.exact else LEAST_AGREEMENT,
        accuracy=float(np.mean(ran.outputs.argmax(axis=1) == truth)),
        latencies=ran.latencies,
    )
