"""A run as its events tell it, read-only: trials, the candidates they belong to, and the ranking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from resnet_search.errors import RunError
from resnet_search.files import read_lines
from resnet_search.runs.events import Event, read_events
from resnet_search.runs.folder import RUN_JSON, RunFolder, find_run
from resnet_search.training.job import HISTORY

RUNNING, COMPLETED, FAILED = "running", "completed", "failed"
STATUSES = (RUNNING, COMPLETED, FAILED)


@dataclass(slots=True)
class Trial:
    """One candidate in one rung: trained from `initial_epoch` to `epochs` (absolute).

    `score` is the validation accuracy after the last epoch. `reused`: nothing was trained, since the candidate had
    been trained this far before, in trial `parent` or beyond.
    """

    trial: str
    candidate: int
    iteration: int
    bracket: int
    rung: int
    slot: int
    replacement: int
    promoted_from: str | None
    parent: str | None
    initial_epoch: int
    epochs: int
    name: str
    depth: int
    architecture: dict[str, Any]
    recipe: dict[str, Any]
    params: int
    macs: int
    reused: bool
    created: float
    status: str = RUNNING
    score: float | None = None
    reason: str = ""
    ended: float | None = None
    setup_seconds: float = 0.0
    train_seconds: float = 0.0
    losses: int = 0

    @property
    def trained_epochs(self) -> int:
        """Epochs that this trial itself trains."""
        return 0 if self.reused else self.epochs - self.initial_epoch


@dataclass(slots=True)
class RunView:
    """Everything a reader of a run asks for; made by `read_run`."""

    folder: RunFolder
    content: dict[str, Any]
    trials: dict[str, Trial] = field(default_factory=dict)
    state: str = "interrupted"
    sessions: list[tuple[float, float]] = field(default_factory=list)

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        kind, now = event["event"], float(event["time"])
        if kind in {"started", "resumed"}:
            self.sessions.append((now, now))
            self.state = "interrupted"
        elif kind == "created":
            trial = _created(event)
            self.trials[trial.trial] = trial
        elif kind in {"completed", "failed", "lost"}:
            _apply(self.trials[event["trial"]], event)
        elif kind == "finished":
            self.state = "finished"
        self.sessions[-1] = (self.sessions[-1][0], now)

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
    def planned_trials(self) -> int:
        return sum(rung["size"] for bracket in self.content["plan"] for rung in bracket["rungs"])

    @property
    def planned_epochs(self) -> int:
        return sum(
            rung["size"] * (rung["epochs"] - rung["initial_epoch"])
            for bracket in self.content["plan"]
            for rung in bracket["rungs"]
        )

    def ranking(self) -> list[Trial]:
        """Completed trials of the full budget, best first; ties go to the earlier draw.

        Shorter trials are not compared: their scores are of less training.
        """
        full = [t for t in self.trials.values() if t.status == COMPLETED and t.epochs == self.max_epochs]
        best: dict[int, Trial] = {}
        for trial in sorted(full, key=_rank):
            best.setdefault(trial.candidate, trial)
        return list(best.values())

    @property
    def winner(self) -> Trial | None:
        """The best candidate of the full budget so far."""
        ranking = self.ranking()
        return ranking[0] if ranking else None

    @property
    def leader(self) -> Trial | None:
        """The winner, or before there is one the best trial of the most epochs."""
        done = [t for t in self.trials.values() if t.status == COMPLETED]
        return min(done, key=lambda t: (-t.epochs, *_rank(t)), default=None)

    def find(self, ref: str) -> Trial:
        """The trial with an id, zeros in front or not; `RunError` names those there are."""
        if ref.isdigit() and ref.isascii() and f"{int(ref):04d}" in self.trials:
            return self.trials[f"{int(ref):04d}"]
        ids = list(self.trials)
        known = f"{ids[0]} to {ids[-1]}" if ids else "none yet"
        raise RunError(
            f"TRIAL: got {ref!r}; allowed: the id of a trial of {self.folder.name}: {known}",
            f"resnet-search trials {self.folder.name} lists them.",
        )

    def chain(self, trial: Trial) -> list[Trial]:
        """The trials that this one continues, first rung first, itself last."""
        chain = [trial]
        while chain[0].parent is not None:
            chain.insert(0, self.trials[chain[0].parent])
        return chain

    def history(self, trial: Trial) -> list[dict[str, Any]]:
        """The learning curve of its candidate up to this trial's last epoch, over all rungs."""
        lines: dict[int, dict[str, Any]] = {}
        for link in self.chain(trial):
            path = self.folder.trial(link.trial) / HISTORY
            try:
                lines |= {line["epoch"]: line for line in read_lines(path) if line["epoch"] <= trial.epochs}
            except _DAMAGE as error:
                raise _damaged(path, repr(error)) from error
        return [lines[epoch] for epoch in sorted(lines)]


def _rank(trial: Trial) -> tuple[float, int]:
    return (-(trial.score if trial.score is not None else float("-inf")), trial.candidate)


def open_run(ref: str | Path = "latest", runs_dir: Path | str = "runs") -> RunView:
    """Read the run that `ref` means: `latest`, a name under `runs_dir`, or a path; `RunError` if there is none."""
    return read_run(find_run(str(ref), Path(runs_dir)))


def read_run(folder: RunFolder, *, locked: bool | None = None) -> RunView:
    """Read a run as it is now. `locked`: whether a driver holds it, None to look."""
    locked = folder.is_locked() if locked is None else locked
    return view_of(folder, folder.read(), read_events(folder.events), locked=locked)


def view_of(folder: RunFolder, content: dict[str, Any], events: Iterable[Event], *, locked: bool) -> RunView:
    """Fold the events; `RunError` if one of them is none that this program writes."""
    view = RunView(folder, content)
    for event in events:
        try:
            view.apply(event)
        except _DAMAGE as error:
            raise _damaged(folder.events, f"{event!r:.200}: {error!r:.200}") from error
    try:
        _ = (view.max_epochs, view.planned_epochs, content["data"]["notes"], content["workers"]["slots"])
    except _DAMAGE as error:
        raise _damaged(folder.path / RUN_JSON, repr(error)) from error
    if locked:
        view.state = "running"
    return view


# What reading values that are missing, or of another kind, raises.
_DAMAGE = (LookupError, TypeError, ValueError, AttributeError)


def _damaged(path: Path, what: str) -> RunError:
    return RunError(
        f"{path}: is damaged: {what}", "Restore the file from a copy, or start a new run; nothing was changed."
    )


_CREATED = tuple(item.name for item in fields(Trial) if item.default is MISSING and item.name != "created")


def _created(event: Event) -> Trial:
    if not (event["trial"].isascii() and event["trial"].isdigit()):
        raise ValueError("a trial id has digits alone")  # It names a folder.
    return Trial(**{name: event[name] for name in _CREATED}, created=event["time"])


def _apply(trial: Trial, event: Event) -> None:
    if event["event"] == "lost":
        trial.losses += 1
        return
    trial.status = event["event"]
    trial.ended = event["time"]
    if trial.status == COMPLETED:
        trial.score = float(event["score"])
        trial.setup_seconds = float(event["setup_seconds"])
        trial.train_seconds = float(event["train_seconds"])
    else:
        trial.reason = event["reason"]
