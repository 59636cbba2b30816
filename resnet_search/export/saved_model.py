"""Export a run's best trial as a verified SavedModel, with its classes, its report, and files in other formats.

One child process builds it with TensorFlow, others convert it, and others reload and run each file with its runtime and
without this package. All compute in float32 on the processor, whatever the trial was trained on, so that the result is
the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resnet_search.export.card import card
from resnet_search.export.checks import accuracy
from resnet_search.export.choice import Limits, best_trials, chosen_trial, trial_within, weights_of
from resnet_search.export.folder import CARD, CLASSES, REPORT, SAVED_MODEL, recover, replaced, replacing_export
from resnet_search.export.formats import OPSET, chosen
from resnet_search.export.interface import INPUT, OUTPUT
from resnet_search.export.latency import latency_of, measured_now, timed_formats
from resnet_search.export.make import Images, Progress, images_of, make_files, member_of
from resnet_search.export.metadata import checked_license
from resnet_search.export.test_set import measure_once
from resnet_search.files import write_json, write_text
from resnet_search.networks.precision import MIXED
from resnet_search.report.content import Exported, report_of
from resnet_search.report.exported import Ensemble, File, missed
from resnet_search.report.facts import known_test
from resnet_search.report.kind import is_final
from resnet_search.report.learning import CURES, at_chance, learning
from resnet_search.report.markdown import to_markdown
from resnet_search.runs.exports import BEST, MANIFEST, network_of, place_of
from resnet_search.runs.latency import alone, keep_latency, machine
from resnet_search.runs.trials import RunView, Trial
from resnet_search.search.start import versions

__all__ = ["ExportResult", "Limits", "export_run", "weights_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """The result of an export.

    `difference`: the largest difference between probabilities of the SavedModel and of the trained model. `accuracy`:
    the SavedModel's on the run's validation images. `exported`: the same for each file, with its latency. `notes`:
    sentences for the user.
    """

    folder: Path
    saved_model: Path
    report: Path
    trial: str
    difference: float
    accuracy: float
    exported: Exported
    notes: tuple[str, ...]


def _silent(_: str) -> None:
    pass


def export_run(
    view: RunView,
    trial: Trial | None = None,
    out: Path | None = None,
    *,
    formats: Sequence[str] = (),
    ensemble: int | None = None,
    limits: Limits | None = None,
    progress: Progress = _silent,
    license_id: str | None = None,
    replace: bool = False,
) -> ExportResult:
    """Export a trial of a run, by default its winner, to `out`, by default a folder of its own in the run's folder.

    That is `export` for the best trial, else `export-trial-ID` or `export-ensemble-K`.

    Before there is a winner, that is the best of the trials with the most epochs, and a note says so. Instead of
    `trial`, give `ensemble`, the number of best candidates whose probabilities are averaged, or `limits`, which the
    best candidate must meet. `formats`: names in `export.formats.FORMATS`, made in addition to the SavedModel.
    `progress` receives the name of each step. `license_id`: an SPDX identifier for the model card. An earlier export
    of the same network at `out` is replaced, but only by a verified one; `replace`: that of another network, too.
    `export` in the run's folder always follows the best trial.

    Raises `RunError` if nothing has completed, `DataError` if the images are gone, and `ExportError` for a format whose
    packages are missing, a trial without weights, limits that no candidate meets, a destination that cannot be used, or
    a file that does not give the outputs of the trained model.
    """
    wanted, stated = chosen(formats), checked_license(license_id)
    members = best_trials(view, ensemble) if ensemble else []
    if not members and limits is None:
        members = [chosen_trial(view, trial)]
    for member in members:
        weights_of(view, member)
    images = images_of(view)
    if limits is not None:
        timed = timed_formats(formats)
        members = [trial_within(view, limits, lambda one: latency_of(view, one, images, progress, timed), timed)]
    own, network, first = place_of(view, members), network_of(view, members), members[0]
    follows = out is None and own.name == BEST
    out = own if out is None else out
    recovered = recover(out)
    before = replaced(out, network, wanted)
    with replacing_export(out, None if replace or follows else network) as partial:
        networks = [member_of(view, member, images.arrays) for member in members]
        files, labels = make_files(networks, wanted, images, partial, progress)
        right = _accuracy(view, members, labels, images)
        together = _ensemble(view, members, images, progress) if len(members) > 1 else None
        if together is None:
            for file in files:
                keep_latency(view.folder, first.trial, file.latencies, file.format)
        exported = Exported(
            difference=files[0].difference,
            compared=files[0].compared,
            accuracy=right,
            size=files[0].size,
            files=tuple(files),
            ensemble=together,
            machine=machine(),
            trained_on=is_final(view),
        )
        if is_final(view) and view.state == "finished" and together is None:
            progress("measuring on the test images")
            measure_once(view, first, partial / SAVED_MODEL)
        write_json(partial / CLASSES, view.content["data"]["classes"])
        write_text(partial / REPORT, to_markdown(report_of(view, first, exported)))
        write_text(partial / CARD, _card(view, members, exported, stated))
        write_json(partial / MANIFEST, _manifest(view, members, exported))
    return ExportResult(
        folder=out,
        saved_model=out / SAVED_MODEL,
        report=out / REPORT,
        trial=first.trial,
        difference=exported.difference,
        accuracy=exported.accuracy,
        exported=exported,
        notes=(*recovered, *_notes(view, first, files), *_within(limits, files, formats), *before),
    )


def _card(view: RunView, members: Sequence[Trial], exported: Exported, license_id: str) -> str:
    known = known_test(view)
    measured = known.measured if known and [known.trial] == [member.trial for member in members] else None
    return card(view, members, exported, license_id=license_id, measured=measured)


def _accuracy(view: RunView, members: Sequence[Trial], labels: Any, images: Images) -> float:
    """Return the share of all validation images that is right; for a single network it is checked against the score."""
    truth = images.arrays.y_validation
    if len(members) > 1:
        return float(np.mean(labels == truth))
    workers = view.content["workers"]
    # Even in float32, GPUs multiply with the 10 bits of TF32.
    precision = MIXED if workers.get("device") == "gpu" else str(workers.get("precision", ""))
    return accuracy(labels, truth, score=members[0].score or 0.0, precision=precision, trial=members[0].trial)


def _ensemble(view: RunView, members: Sequence[Trial], images: Images, progress: Progress) -> Ensemble:
    return Ensemble(
        members=tuple(member.trial for member in members),
        params=sum(member.params for member in members),
        macs=sum(member.macs for member in members),
        alone=measured_now(view, members[0], images, progress),
    )


def _notes(view: RunView, trial: Trial, files: Sequence[File]) -> tuple[str, ...]:
    notes = []
    if view.state != "finished":
        notes.append(f"The run is {view.state}, not finished: a better trial may still come.")
    if trial.epochs < view.max_epochs:
        notes.append(f"Trial {trial.trial} was trained for {trial.epochs} of the full {view.max_epochs} epochs.")
    found = learning(view)
    if found.nothing:
        notes += [found.words, CURES]
    elif at_chance(view, trial):
        notes.append(f"Trial {trial.trial} is not significantly better than {found.of_chance}.")
    return (*notes, *(f"{file.format}: {missed(file)}" for file in files if file.shortfall))


def _within(limits: Limits | None, files: Sequence[File], formats: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence for each file on its latency and the limit on it."""
    if limits is None or limits.max_latency is None:
        return ()
    timed = [
        (file, alone(file.latencies)) for file in files if file.format in {made.name for made in timed_formats(formats)}
    ]
    return tuple(
        f"As {file.format} in {file.runtime}, one image takes {time:.3g} ms, "
        f"{'within' if time <= limits.max_latency else 'now above'} the limit of {limits.max_latency:g} ms."
        for file, time in timed
        if time is not None
    )


def _manifest(view: RunView, members: Sequence[Trial], exported: Exported) -> dict[str, Any]:
    """Return the description of an export for programs; the report is the one for people."""
    data, trial = view.content["data"], members[0]
    return {
        "run": view.folder.name,
        "trial": trial.trial,
        "members": [member.trial for member in members],
        "name": trial.name,
        "architecture": trial.architecture,
        "epochs": trial.epochs,
        "score": trial.score,
        "completed": view.completed,
        "input": {
            "name": INPUT,
            "dtype": "uint8",
            "shape": [None, *data["image_shape"]],
            "values": data.get("values"),
        },
        "output": {"name": OUTPUT, "dtype": "float32", "shape": [None, len(data["classes"])]},
        "onnx_opset": OPSET,
        "data": data["fingerprint"],
        "verified": asdict(exported),
        "versions": versions(),
    }
