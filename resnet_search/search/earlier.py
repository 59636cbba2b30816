"""What earlier runs have trained: their equal trials are taken over, and their scores inform the sampler.

Two trials are equal if they train the same candidate, seeded alike, for as many epochs of the same images, with the
same recipe, schedule, precision, device, backend and versions, and so do the trials that they continue. The scores are
recorded in run.json, so the draws of a run stay the same if an earlier one is removed; a trial whose files are gone or
damaged is trained.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from resnet_search.errors import RunError
from resnet_search.files import make_folder, write_bytes, write_lines
from resnet_search.networks.architecture import Architecture
from resnet_search.reading import links_in
from resnet_search.runs.checkup import h5_problem
from resnet_search.runs.events import read_events
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trial import COMPLETED, DAMAGE, Trial
from resnet_search.runs.trials import RunView
from resnet_search.search.candidates import Candidate
from resnet_search.training.job import ANSWERS, HISTORY, STATE, WEIGHTS, Epoch

MOST: Final = 500  # scores that are recorded of all earlier runs


def recorded(views: Sequence[RunView], content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entry of run.json about earlier runs, the given ones first: their folders and scores.

    `alike`: whether a run trains like that of `content`, so that its scores can be compared with the new ones.
    """
    entries = []
    left = MOST
    for view in views:
        done = [trial for trial in view.trials.values() if trial.status == COMPLETED and trial.was_trained][:left]
        left -= len(done)
        started = view.folder.read()
        entries.append(
            {
                "run": str(view.folder.path.resolve()),
                "alike": (_conditions(started), started["recipe"]) == (_conditions(content), content["recipe"]),
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
        self._trials: defaultdict[tuple[Any, ...], list[_Run]] = defaultdict(list)
        entries = view.content.get("earlier", ())
        self._own = _Run(view) if entries else None
        for entry in entries:
            self._read(RunFolder(Path(entry["run"])))

    def _read(self, folder: RunFolder) -> None:
        try:
            run = _Run(RunView(folder, folder.read()))
            run.follow(read_events(folder.events))
        except (RunError, OSError, *DAMAGE):
            return  # It is gone or damaged, so its trials are trained.
        for trial in run.view.trials.values():
            key = run.key(trial) if trial.status == COMPLETED and trial.parts == 1 else None
            if key is not None:
                self._trials[key].append(run.at(trial))

    def take(self, trial: Trial) -> tuple[list[Epoch], str] | None:
        """Copy the files of an equal trial into the folder of `trial`; return its learning curve, and its name."""
        if self._own is None:
            return None
        self._own.see(self._view, trial)
        key = self._own.key(trial)
        for run in self._trials.get(key, ()) if key is not None else ():
            try:
                return run.copied(self._view.folder.trial(trial.trial), trial.initial_epoch)
            except (RunError, OSError, *DAMAGE):
                continue  # What is missing or damaged is taken from another run, or trained.
        return None


class _Run:
    """A run with the conditions under which each of its trials was trained, and one of its trials."""

    def __init__(self, view: RunView, trial: Trial | None = None) -> None:
        self.view, self._trial = view, trial
        self._conditions: dict[str, tuple[Any, ...]] = {}

    def follow(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Read a run from its events."""
        for event in events:
            self.view.apply(dict(event))
            if event["event"] == "created":
                self._conditions[event["trial"]] = _conditions(self.view.content)

    def see(self, view: RunView, trial: Trial) -> None:
        """Note that a trial is trained under the conditions of now; those of earlier sessions are in the events."""
        if not self._conditions:
            self._conditions = _Run(RunView(view.folder, view.folder.read())).conditions_of(view)
        self._conditions[trial.trial] = _conditions(view.content)

    def conditions_of(self, view: RunView) -> dict[str, tuple[Any, ...]]:
        """Return the conditions of all trials of a run so far."""
        self.follow(read_events(view.folder.events))
        return self._conditions

    def at(self, trial: Trial) -> _Run:
        """Return the run at one of its trials."""
        return _Run(self.view, trial)

    def key(self, trial: Trial) -> tuple[Any, ...] | None:
        """Return what equal trials have in common; None if the trial continues one that was trained otherwise."""
        conditions = {self._conditions.get(link.trial) for link in self.view.chain(trial)}
        if len(conditions) != 1 or None in conditions:
            return None
        content = self.view.content
        architecture, recipe = Architecture.from_dict(trial.architecture), tuple(sorted(trial.recipe.items()))
        seed = Candidate(architecture, recipe, trial.repeat).seed(int(content["seed"]))
        # As text, since values may be lists.
        text = json.dumps({**content["recipe"], **trial.recipe}, sort_keys=True)
        return architecture, text, seed, trial.epochs, *conditions

    def copied(self, folder: Path, initial_epoch: float) -> tuple[list[Epoch], str]:
        """Copy the files of its trial; return the learning curve from an epoch on, and the trial's name.

        `RunError`, `OSError` or one of `DAMAGE` if a file is missing, damaged or a link.
        """
        trial, view = self._trial, self.view
        assert trial is not None  # noqa: S101 - from `at`
        holder = view.holder(trial)
        source = view.folder.trial(holder.trial)
        view.folder.check_links()
        if links_in(source) or holder.epochs != trial.epochs or h5_problem(source / WEIGHTS):
            raise RunError(f"trial {trial.trial} of {view.folder.name} cannot be copied")
        lines = [Epoch(**line) for line in view.history(trial) if line["epoch"] > initial_epoch]
        if lines[-1].epoch != trial.epochs or lines[-1].val_accuracy != trial.score:
            raise RunError(f"trial {trial.trial} of {view.folder.name} has another learning curve")
        make_folder(folder)
        for name in (WEIGHTS, ANSWERS, STATE):
            whole = name != STATE or not h5_problem(source / STATE, trial.epochs)
            if (source / name).is_file() and whole:
                write_bytes(folder / name, (source / name).read_bytes())
        write_lines(folder / HISTORY, [line.to_dict() for line in lines])
        return lines, f"run {view.folder.name}, trial {trial.trial}"


def _conditions(content: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a trial depends on besides its candidate, hashable."""
    workers = content["workers"]
    return (
        content["data"]["arrays"],
        content["data"]["fingerprint"],
        content["horizon"],
        content.get("constant_until", 0),
        content.get("backend"),
        json.dumps(content["versions"], sort_keys=True),
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
