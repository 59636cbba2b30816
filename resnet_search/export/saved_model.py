"""A run's best trial as a verified SavedModel, with its classes and its report.

One child process builds it with TensorFlow, another one, without Keras and without this package, reloads and runs it.
Both compute on the processor, in float32, whatever the trial was trained on: the same on every machine.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resnet_search.errors import ExportError, RunError
from resnet_search.export.build import INPUT, OUTPUT, Request
from resnet_search.export.checks import accuracy, difference
from resnet_search.export.children import build_saved_model, run_saved_model
from resnet_search.export.folder import CLASSES, MANIFEST, REPORT, SAVED_MODEL, folder_bytes, replacing_export
from resnet_search.files import write_json, write_text
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.imagenet import normalisation
from resnet_search.report.content import Exported, report_of
from resnet_search.report.markdown import to_markdown
from resnet_search.runs.checkpoints import gone
from resnet_search.runs.trials import COMPLETED, RunView, Trial
from resnet_search.search.start import arrays_of, versions
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.arrays import read_arrays
from resnet_search.training.job import WEIGHTS
from resnet_search.training.recipe import recipe_from

SAMPLE = 64  # images on which the SavedModel is compared with the trained model


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What was exported, and where.

    `difference`: the largest between a probability of the SavedModel and of the trained model. `accuracy`: of the
    SavedModel on the run's validation images. `notes`: what the user should know, a sentence each.
    """

    folder: Path
    saved_model: Path
    report: Path
    trial: str
    difference: float
    accuracy: float
    notes: tuple[str, ...]


def export_run(view: RunView, trial: Trial | None = None, out: Path | None = None) -> ExportResult:
    """Export a trial of a run, by default its winner, to `out`, by default `export` in the run's folder.

    Before there is a winner, that is the best of the trials with the most epochs, and a note says so. An earlier
    export at `out` is replaced, but only by a verified one. Raises `RunError` if nothing has completed, `DataError` if
    the images are gone, and `ExportError` for a trial without weights, a destination that cannot be used, or a model
    that does not give the outputs of the trained one.
    """
    chosen = _choose(view, trial)
    weights = weights_of(view, chosen)
    out = view.folder.path / "export" if out is None else out
    data = _data(view)
    with replacing_export(out) as partial:
        exported = _make(view, chosen, weights, data, partial)
        write_json(partial / CLASSES, view.content["data"]["classes"])
        write_text(partial / REPORT, to_markdown(report_of(view, chosen, exported)))
        write_json(partial / MANIFEST, _manifest(view, chosen, exported))
    return ExportResult(
        folder=out,
        saved_model=out / SAVED_MODEL,
        report=out / REPORT,
        trial=chosen.trial,
        difference=exported.difference,
        accuracy=exported.accuracy,
        notes=_notes(view, chosen),
    )


def _choose(view: RunView, trial: Trial | None) -> Trial:
    name = view.folder.name
    chosen = trial or view.leader
    if chosen is None:
        raise RunError(
            f"RUN: got {name!r}, where no trial has completed yet", f"Go on with it: resnet-search resume {name}"
        )
    if chosen.status != COMPLETED:
        reason = f" ({chosen.reason})" if chosen.reason else ""
        raise ExportError(
            f"TRIAL: got {chosen.trial!r}, which is {chosen.status}{reason}; allowed: a completed trial",
            f"resnet-search trials {name} --status {COMPLETED} lists them.",
        )
    return chosen


def _notes(view: RunView, trial: Trial) -> tuple[str, ...]:
    notes = []
    if view.state != "finished":
        notes.append(f"The run is {view.state}, not finished: a better trial may still come.")
    if trial.epochs < view.max_epochs:
        notes.append(f"Trial {trial.trial} was trained for {trial.epochs} of the full {view.max_epochs} epochs.")
    return tuple(notes)


def weights_of(view: RunView, trial: Trial) -> Path:
    """The file of the weights that a trial's score is of: its own, or that of the trial it reuses."""
    holder = view.holder(trial)
    if holder.epochs != trial.epochs:
        raise ExportError(
            f"TRIAL: got {trial.trial!r}, which was not trained itself: its score is from the way of trial "
            f"{holder.trial}, whose weights are those after {holder.epochs} epochs, not {trial.epochs}",
            f"Export that one: --trial {holder.trial}",
        )
    path = view.folder.trial(holder.trial) / WEIGHTS
    if not path.is_file():
        why, cure = gone(view, holder)
        raise ExportError(f"{path}: {why}, so trial {trial.trial} cannot be exported", cure)
    return path.resolve()


def _data(view: RunView) -> Path:
    space = SearchSpace.from_dict(view.content["space"], where=str(view.folder.path / "run.json"))
    return arrays_of(view.folder, view.content, space).resolve()


def _make(view: RunView, trial: Trial, weights: Path, data: Path, folder: Path) -> Exported:
    """Build the SavedModel in `folder` and hold it against the trained model and the trial's score."""
    arrays = read_arrays(data)
    work = folder / "work"
    work.mkdir()
    count = len(arrays.x_validation)
    # Evenly over all: a data set may lie sorted by class.
    chosen = np.linspace(0, count - 1, min(SAMPLE, count)).round().astype(int)
    np.save(work / "sample.npy", arrays.x_validation[chosen])
    init = recipe_from({**view.content["recipe"], **trial.recipe}).init
    mean, std = normalisation(Architecture.from_dict(trial.architecture), init, arrays.mean, arrays.std)
    request = Request(
        weights=str(weights),
        architecture=trial.architecture,
        image_shape=arrays.image_shape,
        classes=len(arrays.classes),
        mean=mean,
        std=std,
        images=str(work / "sample.npy"),
        expected=str(work / "expected.npy"),
        saved_model=str(folder / SAVED_MODEL),
        error=str(work / "error.txt"),
    )
    build_saved_model(request)
    outputs, labels = run_saved_model(folder / SAVED_MODEL, work / "sample.npy", data / "x_validation.npy", work)
    exported = Exported(
        difference=difference(outputs, np.load(work / "expected.npy")),
        compared=len(chosen),
        accuracy=accuracy(
            labels,
            arrays.y_validation,
            score=trial.score or 0.0,
            precision=str(view.content["workers"].get("precision", "")),
            trial=trial.trial,
        ),
        size=folder_bytes(folder / SAVED_MODEL),
    )
    shutil.rmtree(work)
    return exported


def _manifest(view: RunView, trial: Trial, exported: Exported) -> dict[str, Any]:
    """What a program asks of an export; the report says it to people."""
    data = view.content["data"]
    return {
        "run": view.folder.name,
        "trial": trial.trial,
        "name": trial.name,
        "architecture": trial.architecture,
        "epochs": trial.epochs,
        "score": trial.score,
        "completed": view.completed,
        "input": {"name": INPUT, "dtype": "uint8", "shape": [None, *data["image_shape"]]},
        "output": {"name": OUTPUT, "dtype": "float32", "shape": [None, len(data["classes"])]},
        "data": data["fingerprint"],
        "verified": asdict(exported),
        "versions": versions(),
    }
