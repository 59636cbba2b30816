"""Whether a run's folder holds what its events say: read-only, each finding with its cure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resnet_search.errors import RunError
from resnet_search.files import read_lines
from resnet_search.reading import read_json
from resnet_search.runs.checkpoints import all_leftovers, superseded
from resnet_search.runs.doctor import OK, PROBLEM, WARNING, Check
from resnet_search.runs.exports import BEST, MANIFEST, exports_in, is_current, network_in
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.salvage import Salvage, salvage
from resnet_search.runs.trials import COMPLETED, FAILED, RUNNING, RunView, Trial, view_of
from resnet_search.training.job import HISTORY, STATE, WEIGHTS
from resnet_search.training.length import in_epochs, validations

_TOLD = 5  # damaged lines


class Checkup:
    """The findings of a run, in the order of what depends on what."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.found: Salvage | None = None
        self.repair = f"resnet-search doctor {folder.word} --repair"
        self.resume = f"resnet-search resume {folder.word}"

    def checks(self) -> Iterator[Check]:
        """Every check that needs no Keras."""
        try:
            content = self.folder.read()
            view_of(self.folder, content, (), locked=False)
        except RunError as error:
            yield Check("run.json", PROBLEM, error.message, error.cure)
            return
        yield Check("run.json", OK, f"format {content['format']}, started {content.get('created', 'once')}")
        yield self._lock()
        try:
            self.found = salvage(self.folder, content)
        except OSError as error:
            yield Check("events.jsonl", PROBLEM, f"cannot be read: {error.strerror}", "Restore the file from a copy.")
            return
        view = self.found.view
        yield self._events(self.found)
        yield self._state(view)
        yield self._data(content)
        yield from self._images(content["data"])
        trials = list(self._trials(view))
        if content.get("imported"):
            yield Check("Trials", OK, f"{len(view.trials)}, imported from Keras Tuner: there are no files to check")
            return
        good = len({*view.trials}) - len({check.name for check in trials})
        yield Check("Trials", OK, f"{good} of {len(view.trials)} have the files that they should have")
        yield from trials
        yield from self._exports(view)
        yield from self._left(view)

    def _lock(self) -> Check:
        driver = self.folder.last_driver()
        if self.folder.is_locked():
            text = f"held by {driver or 'a process'}: what is found may be of the moment"
            return Check("Lock", WARNING, text, f"Ask again when it is stopped: resnet-search stop {self.folder.word}")
        if driver is not None:
            return Check("Lock", OK, f"free; {driver} had it and died")
        return Check("Lock", OK, "free")

    def _events(self, found: Salvage) -> Check:
        if not found.kept and self.folder.trial_folders():
            cure = "Restore the file from a copy: otherwise resume starts from scratch and sets the trials aside."
            return Check("events.jsonl", PROBLEM, "is gone, and there are folders of trials", cure)
        if found.wrong:
            more = f"; and {len(found.wrong) - _TOLD} more" if len(found.wrong) > _TOLD else ""
            text = f"{'; '.join(found.wrong[:_TOLD])}{more}"
            return Check("events.jsonl", PROBLEM, text, f"Continue from the lines that can be read: {self.repair}")
        torn = "; the last line is torn, as a crash leaves it, and does not count" if found.torn else ""
        return Check("events.jsonl", OK, f"{len(found.kept)} events{torn}")

    def _state(self, view: RunView) -> Check:
        done = sum(trial.status == COMPLETED for trial in view.trials.values())
        text = f"{view.state}, {done} of {view.planned_trials} trials completed"
        return Check("State", OK, text if view.state == "finished" else f"{text}; continue with: {self.resume}")

    def _data(self, content: dict[str, Any]) -> Check:
        from resnet_search.training.arrays import intact

        try:
            path = self.folder.arrays(content)
        except RunError as error:
            return Check("Data", PROBLEM, error.message, error.cure)
        if intact(path):
            return Check("Data", OK, str(path))
        source = content["data"].get("location") or content["data"].get("source")
        cure = f"The next command that needs it makes it again from {source}; keep that unchanged."
        return Check("Data", WARNING, f"{path} is gone or damaged", cure)

    def _images(self, data: dict[str, Any]) -> Iterator[Check]:
        """Report equal and left-out images; nothing for runs that did not record them."""
        found = data.get("duplicates")
        if not isinstance(found, dict):
            return
        equal, twice = int(found.get("train", 0)), int(found.get("test_in_train", 0))
        text = f"{equal:,} training images equal another; {twice:,} test images equal a training image"
        for split, counts in data.get("left_out", {}).items():
            text += "".join(f"; {split}: {int(number):,} left out ({reason})" for reason, number in counts.items())
        cure = "A test on images that were trained on says nothing: take them out of test, and start a new run."
        yield Check("Images", WARNING if twice else OK, text, cure if twice else "")

    def _trials(self, view: RunView) -> Iterator[Check]:
        useless = {trial.trial for trial in superseded(view)}
        needed = "" if view.winner is None else view.holder(view.winner).trial
        for trial in view.trials.values():
            if trial.reused or trial.status == FAILED:
                continue  # Nothing is trained from its files.
            findings = [*self._history(trial)]
            if trial.status == RUNNING:
                findings += self._running(view, trial)
            else:
                findings += [*self._state_file(trial, useless=trial.trial in useless)]
                findings += [*self._weights(trial, wins=trial.trial == needed)]
            for finding in findings:
                yield Check(f"Trial {trial.trial}", *finding)

    def _running(self, view: RunView, trial: Trial) -> Iterator[_Finding]:
        state = h5_problem(self.folder.trial(trial.trial) / STATE)
        if state not in {"", GONE}:
            yield WARNING, f"{STATE} {state}: its epochs are trained again", f"Continue with: {self.resume}"
        if state and trial.parent is not None:
            parent = view.trials[trial.parent]
            if h5_problem(self.folder.trial(parent.trial) / STATE, parent.epochs):
                text = f"{STATE} of trial {parent.trial}, which it continues, is gone: it is trained from epoch 1 on"
                yield WARNING, text, f"Continue with: {self.resume}"

    def _state_file(self, trial: Trial, *, useless: bool) -> Iterator[_Finding]:
        path = self.folder.trial(trial.trial) / STATE
        if useless:
            if path.exists():
                yield WARNING, f"{STATE} is superseded by a later rung", self._remove()
            return
        problem = h5_problem(path, trial.epochs)
        if problem == GONE:
            if not trial.cleaned:
                yield WARNING, f"{STATE} is gone: {_AGAIN}", ""
        elif problem:
            yield PROBLEM, f"{STATE} {problem}: {_AGAIN}", self._remove()

    def _weights(self, trial: Trial, *, wins: bool) -> Iterator[_Finding]:
        problem = h5_problem(self.folder.trial(trial.trial) / WEIGHTS)
        if not problem or (problem == GONE and trial.cleaned):
            return
        if wins:
            cure = f"Have it trained again, to the same score: {self.repair}, then {self.resume}"
            yield PROBLEM, f"{WEIGHTS} {problem}, and this is the best trial", cure
        elif problem == GONE:
            yield WARNING, f"{WEIGHTS} is gone: the trial cannot be exported", ""
        else:
            yield PROBLEM, f"{WEIGHTS} {problem}: the trial cannot be exported", self._remove()

    def _remove(self) -> str:
        return f"Remove the file: {self.repair}"

    def _history(self, trial: Trial) -> Iterator[_Finding]:
        try:
            epochs = [line["epoch"] for line in read_lines(self.folder.trial(trial.trial) / HISTORY)]
        except (OSError, ValueError, LookupError, TypeError) as error:
            yield PROBLEM, f"{HISTORY} is damaged: {error!r:.100}", f"Keep the lines that can be read: {self.repair}"
            return
        if trial.status == COMPLETED and not _are_whole(epochs, trial.initial_epoch, trial.epochs):
            yield WARNING, f"{HISTORY} is gone or not whole: its score stands, its learning curve has a gap", ""

    def _exports(self, view: RunView) -> Iterator[Check]:
        held, export = [], f"resnet-search export {self.folder.word}"
        for path in exports_in(self.folder):
            try:
                held.append(f"{path.name} holds {', '.join(network_in(path).members)}")
            except (OSError, ValueError) as error:
                yield Check("Exports", PROBLEM, f"{path.name}: {error!s:.80}", f"Delete it, and export again: {export}")
        if not held:
            return
        if view.leader is not None and (self.folder.path / BEST / MANIFEST).is_file() and not is_current(view):
            text = f"{'; '.join(held)}; the best trial is {view.leader.trial}"
            yield Check("Exports", WARNING, text, f"Export it: {export}")
        else:
            yield Check("Exports", OK, "; ".join(held))

    def _left(self, view: RunView) -> Iterator[Check]:
        left = all_leftovers(self.folder)
        if left and not self.folder.is_locked():
            text = f"{len(left)} files of writes that were cut off: {left[0].name}"
            yield Check("Leftovers", WARNING, text, f"Remove them: {self.repair}")
        unknown = [path.name for trial, path in self.folder.trial_folders().items() if trial not in view.trials]
        aside = [path.name for path in sorted(self.folder.path.glob("*.damaged-*"))]
        aside += [path.name for path in sorted(self.folder.path.glob("*.unknown-*"))]
        if unknown or aside:
            text = f"no event knows of {', '.join([*unknown, *aside][:_TOLD])}"
            yield Check("Set aside", WARNING, text, "Delete them if you do not need them.")


# Status, text and cure of a `Check`.
_Finding = tuple[str, str, str]
GONE = "is gone"
_AGAIN = "a later rung of its candidate would train from epoch 1 on"


def _are_whole(epochs: list[Any], start: float, end: float) -> bool:
    """Return whether `epochs` are those of the validations; `end` may be huge, so lengths are compared first."""
    return len(epochs) > end - start - 1 and set(validations(start, end)) <= set(epochs)


def h5_problem(path: Path, epochs: float | None = None) -> str:
    """What is wrong with an HDF5 file, from "is" on; empty if it can be read and holds epoch `epochs` (if given)."""
    from resnet_search.training.checkpoint import open_h5

    if not os.path.lexists(path):
        return GONE
    try:
        with open_h5(path) as file:  # Reads every header.
            found = in_epochs(file.attrs["epoch"]) if epochs is not None else None
    except (OSError, LookupError, ValueError, TypeError, RuntimeError, OverflowError) as error:
        return f"is damaged ({error!s:.80})"
    return "" if found == epochs else f"holds epoch {found}, not {epochs}"


def damaged_json(path: Path) -> str:
    """What is wrong with a file that should hold a JSON object, from "is" on; nothing if it does."""
    try:
        value = read_json(path)
    except FileNotFoundError:
        return GONE
    except (OSError, ValueError) as error:
        return f"is damaged ({error!s:.80})"
    return "" if isinstance(value, dict) else "is damaged (no object)"
