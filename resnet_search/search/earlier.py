"""What earlier runs have trained: their equal trials are taken over, and their scores inform the sampler.

Two trials are equal if they train the same candidate, seeded alike, for as many epochs of the same images, with the
same recipe, schedule, precision, backend and versions. The scores are recorded in run.json, so the draws of a run stay
the same if an earlier one is removed; a trial whose files are gone is trained.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from resnet_search.errors import RunError
from resnet_search.files import make_folder
from resnet_search.networks.architecture import Architecture
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import COMPLETED, RunView, Trial, read_run
from resnet_search.search.candidates import Candidate
from resnet_search.training.job import ANSWERS, HISTORY, STATE, WEIGHTS, Epoch

MOST: Final = 500  # scores that are recorded of all earlier runs


def recorded(views: Sequence[RunView], content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entry of run.json about earlier runs, the given ones first: their folders and scores.

    `alike`: whether a run has the images of `content`, so that its scores can be compared with the new ones.
    """
    entries = []
    left = MOST
    for view in views:
        done = [trial for trial in view.trials.values() if trial.status == COMPLETED and not trial.reused][:left]
        left -= len(done)
        entries.append(
            {
                "run": str(view.folder.path.resolve()),
                "alike": view.content["data"]["arrays"] == content["data"]["arrays"],
                "scores": [
                    {"architecture": trial.architecture, "epochs": trial.epochs, "score": trial.score} for trial in done
                ],
            }
        )
    return entries


class Earlier:
    """The earlier runs of a run, to take equal trials from."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._trials: dict[tuple[Any, ...], tuple[RunView, Trial]] = {}
        for entry in view.content.get("earlier", ()):
            self._read(Path(entry["run"]))

    def _read(self, path: Path) -> None:
        try:
            other = read_run(RunFolder(path), locked=False)
        except (RunError, OSError):
            return  # It is gone, so its trials are trained.
        if _conditions(other.content) != _conditions(self._view.content):
            return
        for trial in other.trials.values():
            if trial.status == COMPLETED and trial.parts == 1:
                self._trials.setdefault(_key(other, trial), (other, trial))

    def take(self, trial: Trial) -> tuple[list[Epoch], str] | None:
        """Copy the files of an equal trial into the folder of `trial`; return its learning curve, and its name."""
        found = self._trials.get(_key(self._view, trial))
        if found is None:
            return None
        view, other = found
        folder, source = self._view.folder.trial(trial.trial), view.folder.trial(view.holder(other).trial)
        try:
            lines = [Epoch(**line) for line in view.history(other) if line["epoch"] > trial.initial_epoch]
            if not lines or lines[-1].epoch != trial.epochs or lines[-1].val_accuracy != other.score:
                return None
            if view.holder(other).epochs != trial.epochs:
                return None
            make_folder(folder)
            for name in (WEIGHTS, STATE, ANSWERS, HISTORY):
                if name in {WEIGHTS, HISTORY} or (source / name).is_file():
                    shutil.copyfile(source / name, folder / name)
        except (RunError, OSError, TypeError):
            return None  # What is missing or damaged is trained.
        return lines, f"run {view.folder.name}, trial {other.trial}"


def _key(view: RunView, trial: Trial) -> tuple[Any, ...]:
    architecture, recipe = Architecture.from_dict(trial.architecture), tuple(sorted(trial.recipe.items()))
    seed = Candidate(architecture, recipe, trial.repeat).seed(int(view.content["seed"]))
    # As text, since values may be lists.
    return architecture, json.dumps({**view.content["recipe"], **trial.recipe}, sort_keys=True), seed, trial.epochs


def _conditions(content: Mapping[str, Any]) -> tuple[Any, ...]:
    workers = content["workers"]
    return (
        content["data"]["arrays"],
        content["data"]["fingerprint"],
        content["horizon"],
        content.get("constant_until", 0),
        content.get("backend"),
        content["versions"],
        *(workers.get(name) for name in ("precision", "jit", "device", "deterministic")),
    )


def scores(content: Mapping[str, Any]) -> Iterable[tuple[int, Architecture, float, float]]:
    """Yield the recorded scores: group, network, epochs, accuracy.

    Only scores of one group can be compared; group 0 is that of the run itself.
    """
    for number, entry in enumerate(content.get("earlier", ()), 1):
        group = 0 if entry["alike"] else number
        for line in entry["scores"]:
            yield group, Architecture.from_dict(line["architecture"]), line["epochs"], line["score"]
