"""A run as its events tell it, read-only: trials, the candidates they belong to, and the ranking."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resnet_search.errors import RunError
from resnet_search.files import read_lines
from resnet_search.runs.content import check_candidate, check_content, check_epoch, extended
from resnet_search.runs.events import Event, read_events
from resnet_search.runs.folder import RUN_JSON, RunFolder, find_run, repair_words
from resnet_search.runs.trial import (
    COMPLETED,
    DAMAGE,
    FAILED,
    LARGE,
    OF_A_TRIAL,
    RUNNING,
    STATUSES,
    Trial,
    apply_event,
    created_trial,
    moment,
    trial_id,
)
from resnet_search.training.job import HISTORY
from resnet_search.training.length import HUNDREDTHS, in_epochs, in_total

__all__ = ["COMPLETED", "FAILED", "RUNNING", "STATUSES", "RunView", "Trial", "open_run", "read_run", "view_of"]


@dataclass(slots=True)
class RunView:
    """Everything a reader of a run asks for; made by `read_run`."""

    folder: RunFolder
    content: dict[str, Any]
    trials: dict[str, Trial] = field(default_factory=dict)
    state: str = "interrupted"
    sessions: list[tuple[float, float]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    stopped: str = ""
    retried: bool = False  # Failed trials were retried beside their replacements.
    _of_candidate: dict[int, list[Trial]] = field(default_factory=dict)
    _planned: set[tuple[int, int]] = field(default_factory=set)  # Iteration and number of each bracket.

    def apply(self, event: Event) -> None:
        """Take in the next event; what it raises of `DAMAGE` says that it cannot follow those before it."""
        kind, now = event["event"], moment(event["time"])
        if kind in {"started", "resumed"}:
            self.sessions.append((now, now))
            self.state = "interrupted"
            if "workers" in event:
                self.content = {**self.content, "workers": event["workers"]}
                self.check()
        elif kind == "extended":
            self.content, self._planned, self.state = extended(self.content, event), set(), "interrupted"
            self.check()
        elif kind == "created":
            trial = created_trial(event, self.trials)
            self._check_bracket(trial)
            check_candidate(trial.architecture, trial.recipe, self.content)
            self.trials[trial.trial] = trial
            self._of_candidate.setdefault(trial.candidate, []).append(trial)
        elif kind in OF_A_TRIAL:
            apply_event(self.trials[event["trial"]], event)
            self.retried |= kind == "retried"
        elif kind in {"finished", "stopped"}:
            self.state, self.stopped = kind, str(event.get("reason", ""))
        elif kind not in _AFTERWARDS and kind not in {"interrupted", "steered"}:
            raise ValueError(f"{kind!r} is no event")
        begin, end = self.sessions[-1]
        if kind in _AFTERWARDS:
            self._put_in_order(event)
        elif not event.get("aside"):
            end = max(end, now)  # A clock may be set back.
        self.sessions[-1] = (begin, end)

    def check(self) -> None:
        """Raise one of `DAMAGE` if the run cannot be driven: its run.json may come from anyone."""
        check_content(self.content)
        for number in (self.max_epochs, self.planned_trials, math.ceil(self.planned_epochs)):
            _check_number(number, 0, LARGE)
        if self.content.get("of") and not any(known["candidates"] for known in self.content.get("known", ())):
            raise ValueError("it follows a search, but names no candidates")
        for trial in self.trials.values():
            self._check_bracket(trial)

    def _check_bracket(self, trial: Trial) -> None:
        if not self._planned:
            self._planned = {(bracket["iteration"], bracket["number"]) for bracket in self.content["plan"]}
        if (trial.iteration, trial.bracket) not in self._planned:
            raise ValueError(f"bracket {trial.bracket} of iteration {trial.iteration} is not planned")

    def _put_in_order(self, event: Event) -> None:
        """Take in an event of `clean` or `doctor --repair`."""
        if event["event"] == "reopened":
            self.state = "interrupted"
        elif event["event"] == "cleaned":
            for trial in [self.trials[name] for name in event["trials"]]:
                trial.cleaned = True
        elif event["event"] == "dropped":
            self.dropped.append(trial_id(event["trial"]))

    @property
    def started(self) -> float:
        """When the run was first started, seconds since 1970."""
        return self.sessions[0][0] if self.sessions else 0.0

    @property
    def seconds(self) -> float:
        """Wall time of all its sessions, up to the last event."""
        return sum(end - begin for begin, end in self.sessions)

    @property
    def max_epochs(self) -> int:
        """Epochs of the full budget."""
        return int(self.content["space"]["hyperband"]["max_epochs"])

    @property
    def promotes_by_loss(self) -> bool:
        """Whether the lowest loss is promoted: if chosen, recorded, and the same function for all trials."""
        space = self.content["space"]
        smoothing_varies = isinstance(space.get("recipe", {}).get("label_smoothing"), list | dict)
        recorded = all(trial.val_loss is not None for trial in self.trials.values() if trial.status == COMPLETED)
        return space["hyperband"].get("promote_by") == "loss" and recorded and not smoothing_varies

    @property
    def baselines(self) -> list[Trial]:
        """The trials of known architectures that the search is compared with, in the order given."""
        return [trial for trial in self.trials.values() if self.is_baseline(trial)]

    def is_baseline(self, trial: Trial) -> bool:
        """Whether a trial trains a known architecture."""
        return (trial.iteration, trial.bracket) in self._ranked_slots()

    def is_ranked(self, trial: Trial) -> bool:
        """Whether a trial may win. A known architecture may only if the run records that it fits the limits."""
        ranked = self._ranked_slots().get((trial.iteration, trial.bracket))
        return ranked is None or trial.slot in ranked

    def _ranked_slots(self) -> dict[tuple[int, int], list[int]]:
        """Return the ranked slots of each bracket of known architectures, by iteration and number of the bracket."""
        known = (one for one in self.content.get("known", ()) if one["presets"])
        return {(one["iteration"], one["bracket"]): one.get("ranked", []) for one in known}

    def of_candidate(self, candidate: int) -> list[Trial]:
        """The trials of a candidate, in the order of creation."""
        return self._of_candidate.get(candidate, [])

    @property
    def completed(self) -> int:
        """Completed trials."""
        return sum(trial.status == COMPLETED for trial in self.trials.values())

    @property
    def planned_trials(self) -> int:
        return sum(size for size, _ in self._rungs())

    @property
    def planned_epochs(self) -> float:
        return in_total(size * epochs for size, epochs in self._rungs())

    @property
    def ticks(self) -> int:
        """Steps per epoch where steps must be integers: 100 if rungs may end inside an epoch, otherwise 1."""
        return HUNDREDTHS if self.content["space"]["hyperband"].get("min_epochs", 1) < 1 else 1

    def _rungs(self) -> Iterator[tuple[int, float]]:
        """The trials in each rung and the epochs of each trial.

        A rung may be larger than planned: an asynchronous one, and one with a failed trial that is tried again.
        """
        hyperband = self.content.get("space", {}).get("hyperband", {})
        filled: Counter[tuple[int, int, int]] = Counter()
        closed = self.closed
        if hyperband.get("promotion") == "async" or self.retried or closed:
            filled.update((t.iteration, t.bracket, t.rung) for t in self.trials.values() if t.status != FAILED)
        for bracket in self.content["plan"]:
            for index, rung in enumerate(bracket["rungs"]):
                there = filled[bracket["iteration"], bracket["number"], index]
                is_closed = (bracket["iteration"], bracket["number"]) in closed
                size = there if is_closed else max(rung["size"], there)
                yield size, rung["epochs"] - rung["initial_epoch"]

    @property
    def saved_epochs(self) -> float:
        """Planned epochs that earlier trials of a candidate had trained; an extension plans none of these."""
        plan = [one for one in self.content["plan"] if one["rungs"]]
        starts = {(one["iteration"], one["number"]): one["rungs"][0]["initial_epoch"] for one in plan}
        saved = 0.0
        for trial in self.trials.values():
            if trial.status == COMPLETED:
                before = self.trials.get(trial.promoted_from or "")
                start = before.epochs if before else starts[trial.iteration, trial.bracket]
                saved += trial.epochs - start - trial.trained_epochs
        return in_epochs(saved)

    def ranking(self) -> list[Trial]:
        """Completed trials of the full budget, best first; ties go to the earlier draw.

        Shorter trials are not compared: their scores come from less training.
        """
        return [trial for trial in self.standings() if trial.epochs == self.max_epochs]

    def standings(self) -> list[Trial]:
        """Return the best completed trial of each candidate, ordered by epochs and then by score."""
        best: dict[int, Trial] = {}
        for trial in sorted(self._found(), key=self.rank):
            best.setdefault(trial.candidate, trial)
        return list(best.values())

    @property
    def as_started(self) -> dict[str, Any]:
        """The content of the run with the search space as it was at the start, before any final training."""
        return {**self.content, "space": self.folder.read()["space"]} if self.content.get("stage") else self.content

    @property
    def closed(self) -> set[tuple[int, int]]:
        """Iteration and number of the brackets in which no more trials start."""
        return {(iteration, number) for iteration, number in self.content.get("closed", ())}

    def _found(self) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.status == COMPLETED and self.is_ranked(trial)]

    def rank(self, trial: Trial) -> tuple[float, float, tuple[int, ...]]:
        """Return the sort key, better trials first: most epochs, best score, earliest place in the plan.

        That place is where the candidate is drawn first, which does not depend on timing.
        """
        drawn = [t for t in self.of_candidate(trial.candidate) if t.promoted_from is None]
        first = min(((t.iteration, -t.bracket, t.slot, t.replacement) for t in drawn), default=())
        return -trial.epochs, -(trial.score if trial.score is not None else -math.inf), first

    @property
    def winner(self) -> Trial | None:
        """The best candidate of the full budget so far."""
        return next(iter(self.ranking()), None)

    @property
    def leader(self) -> Trial | None:
        """The winner, or before there is one the best trial of the most epochs."""
        return min(self._found(), key=self.rank, default=None)

    def find(self, ref: str) -> Trial:
        """The trial with an id, zeros in front or not; `RunError` names those there are."""
        if ref.isdigit() and ref.isascii() and len(ref) <= len(str(LARGE)) and f"{int(ref):04d}" in self.trials:
            return self.trials[f"{int(ref):04d}"]
        ids = list(self.trials)
        known = f"{ids[0]} to {ids[-1]}" if ids else "none yet"
        raise RunError(
            f"TRIAL: got {ref!r}; allowed: the id of a trial of {self.folder.name}: {known}",
            f"resnet-search trials {self.folder.word} lists them.",
        )

    def holder(self, trial: Trial) -> Trial:
        """The trial whose weights gave a trial's score: itself, or the trial that it reuses."""
        return self.trials[trial.parent] if trial.reused and trial.parent is not None else trial

    def chain(self, trial: Trial) -> list[Trial]:
        """The trials that this one continues, first rung first, itself last."""
        chain = [trial]
        while chain[0].parent is not None:
            chain.insert(0, self.trials[chain[0].parent])
        return chain

    def history(self, trial: Trial) -> list[dict[str, Any]]:
        """The learning curve of its candidate up to this trial's last epoch, over all rungs."""
        lines: dict[float, dict[str, Any]] = {}
        for link in self.chain(trial):
            path = self.folder.trial(link.trial) / HISTORY
            try:
                lines |= {check_epoch(line): line for line in read_lines(path) if line["epoch"] <= trial.epochs}
            except DAMAGE as error:
                raise _damaged(path, repr(error), repair_words(self.folder)) from error
        return [lines[epoch] for epoch in sorted(lines)]


def open_run(ref: str | Path = "latest", runs_dir: Path | str = "runs") -> RunView:
    """Read the run that `ref` means: `latest`, a name under `runs_dir`, or a path; `RunError` if there is none."""
    return read_run(find_run(str(ref), Path(runs_dir)))


def read_run(folder: RunFolder, *, locked: bool | None = None) -> RunView:
    """Read a run as it is now. `locked`: whether a driver holds it, None to look."""
    locked = folder.is_locked() if locked is None else locked
    return view_of(folder, folder.read(), read_events(folder.events), locked=locked)


def view_of(folder: RunFolder, content: dict[str, Any], events: Iterable[Event], *, locked: bool) -> RunView:
    """Fold the events; `RunError` if this program does not write such an event."""
    view = RunView(folder, content)
    try:
        view.check()
        _ = content["data"]["notes"]
    except DAMAGE as error:
        raise _damaged(folder.path / RUN_JSON, repr(error), "Restore the file from a copy.") from error
    for number, event in enumerate(events, 1):
        try:
            view.apply(event)
        except DAMAGE as error:
            what = f"line {number}: {event!r:.200}: {error!r:.200}"
            raise _damaged(folder.events, what, repair_words(folder)) from error
    if locked:
        view.state = "running"
    return view


def _check_number(number: Any, low: int, high: int) -> None:
    if not isinstance(number, int) or not low <= number <= high:
        raise TypeError(f"got {number!r:.100} for a number of epochs, trials or workers")


def _damaged(path: Path, what: str, cure: str) -> RunError:
    return RunError(f"{path}: is damaged: {what}", cure)


# Events of commands that do not search: no time is spent on the search up to them.
_AFTERWARDS = frozenset({"cleaned", "repaired", "dropped", "reopened"})
