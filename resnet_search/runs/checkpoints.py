"""The checkpoints of a run: which are superseded, and which the user can do without.

A trained trial leaves a state to continue training from, and the weights that gave its score. Once a later trial
of the same candidate has completed, the earlier state is useless and is removed. Everything else stays until
`clean`: the last state of each candidate, so that the run can be extended, and all weights, since any trial can be
exported and Keras Tuner opens those of a trial's parents too.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from resnet_search.errors import RunError
from resnet_search.files import leftovers, remove
from resnet_search.runs.events import append_event
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import COMPLETED, RUNNING, RunView, Trial
from resnet_search.training.job import STATE, WEIGHTS


def superseded(view: RunView, candidate: int | None = None) -> list[Trial]:
    """Trials, of one candidate or of all, whose state no trial can continue any more."""
    among = view.trials.values() if candidate is None else view.of_candidate(candidate)
    trials = [trial for trial in among if not trial.reused]
    # A trial that runs may not have a state of its own yet.
    continued = {trial.parent for trial in trials if trial.status == RUNNING}
    furthest: dict[int, float] = {}
    for trial in trials:
        if trial.status == COMPLETED:
            furthest[trial.candidate] = max(trial.epochs, furthest.get(trial.candidate, 0))
    return [
        trial
        for trial in trials
        if trial.status == COMPLETED and trial.epochs < furthest[trial.candidate] and trial.trial not in continued
    ]


def drop_superseded(view: RunView, candidate: int | None = None) -> None:
    """Remove the states that `superseded` names."""
    for trial in superseded(view, candidate):
        # Remaining files only cost space; the doctor reports them.
        with suppress(OSError):
            remove(view.folder.trial(trial.trial) / STATE)


def remove_leftovers(folder: RunFolder) -> list[Path]:
    """Remove what writes that were cut off have left in a run whose lock is held; returns what was there."""
    found = all_leftovers(folder)
    for path in found:
        remove(path)
    return found


def all_leftovers(folder: RunFolder) -> list[Path]:
    """What writes that were cut off have left in a run and its trials."""
    return [path for place in (folder.path, *folder.trial_folders().values()) for path in leftovers(place)]


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What `clean` would remove: files, and the trials that lose their checkpoint by it. `kept` keep theirs."""

    kept: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    files: tuple[Path, ...]
    size: int  # bytes


def plan_cleaning(view: RunView, keep: int) -> Cleaning:
    """What to remove so that the best `keep` trials keep their checkpoints; `RunError` if the run is not finished."""
    name = view.folder.name
    if view.state != "finished":
        word = view.folder.word
        cure = f"Finish it first: resnet-search resume {word}"
        if view.state == "running":
            cure = f"Wait for its end. Or resnet-search stop {word}, and finish it later: resnet-search resume {word}"
        raise RunError(
            f"RUN: got {name!r}, which is {view.state}: it needs its checkpoints to continue; allowed: a finished run",
            cure,
        )
    kept = {view.holder(trial).trial: trial for trial in view.ranking()[:keep]}
    of_trial = [
        (trial, [path for file in (STATE, WEIGHTS) if (path := view.folder.trial(trial.trial) / file).is_file()])
        for trial in view.trials.values()
        if trial.trial not in kept
    ]
    files = [*(path for _, paths in of_trial for path in paths), *all_leftovers(view.folder)]
    return Cleaning(
        kept=tuple(kept.values()),
        trials=tuple(trial for trial, paths in of_trial if paths),
        files=tuple(files),
        size=sum(map(_size, files)),
    )


def clean(view: RunView, cleaning: Cleaning) -> None:
    """Remove what was planned, from a run whose lock is held. It is in the events before it is done."""
    ids = [trial.trial for trial in cleaning.trials]
    view.apply(append_event(view.folder.events, "cleaned", trials=ids, bytes=cleaning.size))
    for path in cleaning.files:
        remove(path)


def describe(view: RunView, trial: Trial) -> str:
    """Which checkpoint files of a completed trial exist, in words, and why the others do not."""
    holder = view.holder(trial)
    folder = view.folder.trial(holder.trial)
    found = [name for name in (WEIGHTS, STATE) if (folder / name).is_file()]
    there = f"{' and '.join(found)} in {folder.name}" if found else ""
    if WEIGHTS not in found:
        return f"{there}; {WEIGHTS} {gone(view, holder)[0]}".removeprefix("; ")
    if STATE in found:
        return there
    why = "is superseded by a later rung" if holder in superseded(view, holder.candidate) else "is missing"
    return f"{there}; {STATE} {why}"


def gone(view: RunView, holder: Trial) -> tuple[str, str]:
    """Why the weights of a completed trial are not there, and the cure."""
    if view.content.get("imported"):
        return "is not there: an imported run has no weights", f"Train it here: resnet-search train {view.folder.word}"
    if not holder.cleaned:
        return "is missing", f"See what can be done: resnet-search doctor {view.folder.word}"
    kept = [trial.trial for trial in view.ranking() if not view.holder(trial).cleaned]
    cure = f"Export a trial whose weights were kept: --trial {' or '.join(kept[:3])}" if kept else "Nothing was kept."
    return "was removed by resnet-search clean", cure


def _size(path: Path) -> int:
    files: Iterable[Path] = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())
