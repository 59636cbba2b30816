"""The final training of a search with `final_epochs`: its best candidates continue, and the best of them to the end.

Until then, all candidates train at a constant learning rate, so the length of the final training can be chosen when it
starts, and nothing is trained twice. An `extended` event starts each stage; a killed search resumes in its stage.

FINALISTS: the best candidates, including the best known network inside the limits, train for some more epochs.
PACE: with a time budget, the best finalist trains for two epochs, which shows how long an epoch takes.
WINNER: the best finalist trains to the end, at a falling rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from resnet_search.runs.events import Event, append_event
from resnet_search.runs.trials import FAILED, RUNNING, RunView, Trial
from resnet_search.search.budget import Budget
from resnet_search.search.known import known_candidates
from resnet_search.spaces.brackets import Bracket, Rung, finalists_until
from resnet_search.training.length import in_epochs

FINALISTS: Final = "finalists"
PACE: Final = "pace"
WINNER: Final = "winner"

SEARCH_SHARE: Final = 1 / 3  # of a time budget, unless the final training needs less than the rest
_PACE_EPOCHS = 2  # the first one also compiles
_EXPORT_SECONDS = 20.0
_MARGIN = 0.98  # of the time that is left, because epochs do not all take the same time


def is_to_come(view: RunView) -> bool:
    """Return whether a stage of the final training has yet to start."""
    stage, final = view.content.get("stage"), final_epochs(view)
    return final is not None and stage != WINNER and (stage is not None or final > view.max_epochs)


def follows(view: RunView) -> bool:
    """Return whether a stage follows the one that has ended: the next, or another finalist if the winner has failed."""
    failed = view.content.get("stage") == WINNER and view.winner is None and bool(_finalists(view))
    return is_to_come(view) or failed


def final_epochs(view: RunView) -> int | None:
    """Return the epochs of the winner that the space asks for; None for a search without a final training."""
    epochs: int | None = view.content["space"]["hyperband"].get("final_epochs")
    return epochs


def carry_out(
    view: RunView,
    budget: Budget,
    observers: Sequence[Callable[[Event, RunView], None]],
    search: Callable[[int], int],
) -> None:
    """Carry out a search and the stages after it.

    `search` carries out the current plan of the view; it takes and returns the number of trials started so far.
    """
    started = search(0)
    while view.state == "running":
        _end_running(view, observers)
        stage = next_stage(view, budget)
        kind, fields = ("finished", {}) if stage is None else ("extended", stage)
        line = append_event(view.folder.events, kind, **fields)
        view.apply(line)
        for observer in observers:
            observer(line, view)
        if stage is not None:
            view.state = "running"
            started = search(started)


def _end_running(view: RunView, observers: Sequence[Callable[[Event, RunView], None]]) -> None:
    """End the trials of a search that was killed, and resumed when its time was up."""
    for trial in [trial for trial in view.trials.values() if trial.status == RUNNING]:
        line = append_event(view.folder.events, "failed", trial=trial.trial, reason="the time of the search was up")
        view.apply(line)
        for observer in observers:
            observer(line, view)


def next_stage(view: RunView, budget: Budget) -> dict[str, Any] | None:
    """Return the fields of the `extended` event that starts the next stage; None if no candidate can continue."""
    chosen = _finalists(view)
    if not chosen:
        return None
    before, now = view.content.get("stage"), max(trial.epochs for trial in chosen)
    length = _length(view, chosen[0], budget, measured=before == PACE)
    until = finalists_until(now, length, len(chosen))
    if before is None and len(chosen) > 1 and until < length:
        return _stage(view, FINALISTS, chosen, until=until)
    if before in {None, FINALISTS} and budget.seconds is not None and now + _PACE_EPOCHS < length:
        return _stage(view, PACE, chosen[:1], until=math.floor(now) + _PACE_EPOCHS)
    return _stage(view, WINNER, chosen[:1], until=length)


def workers_of(stage: str | None, workers: dict[str, Any]) -> dict[str, Any]:
    """Return the workers of a stage: a single network trains on all processors that the search had."""
    if stage not in {PACE, WINNER} or workers["device"] != "cpu" or workers.get("cluster"):
        return workers
    return {**workers, "slots": 1, "threads": workers["slots"] * workers["threads"]}


@dataclass(frozen=True, slots=True)
class SearchTime:
    """Decides when the search gives way to the final training.

    A search with a time budget may use a third of it, or more if the final training needs less than the rest.
    """

    view: RunView
    budget: Budget

    @property
    def is_up(self) -> bool:
        """Return whether no further trial of the search may start."""
        left = self.budget.seconds_left
        if left is None or self.view.content.get("stage") is not None or not is_to_come(self.view):
            return False
        if left > (1 - SEARCH_SHARE) * (self.budget.seconds or 0.0) or self.view.leader is None:
            return False
        epochs, chosen = final_epochs(self.view) or 0, _finalists(self.view)
        until = finalists_until(chosen[0].epochs, epochs, len(chosen))
        trained = epochs - until + len(chosen) * (until - chosen[0].epochs)
        return left <= trained * _epoch_seconds(self.view, chosen[0]) + _EXPORT_SECONDS


def _finalists(view: RunView) -> list[Trial]:
    """Return the best trials, one per candidate, best first.

    After the search: as many as `factor`. After a stage: all that it trained.
    """
    stages = {(one["iteration"], one["bracket"]) for one in view.content.get("known", ()) if one.get("stage")}
    failed = {
        trial.candidate
        for trial in view.trials.values()
        if trial.status == FAILED and (trial.iteration, trial.bracket) in stages
    }
    standings = [trial for trial in view.standings() if trial.candidate not in failed]
    if view.content.get("stage") is not None:
        return [trial for trial in standings if trial.epochs == standings[0].epochs]
    chosen = standings[: int(view.content["space"]["hyperband"]["factor"])]
    known = next((trial for trial in standings if view.is_baseline(trial)), None)
    if known is not None and known.candidate not in {trial.candidate for trial in chosen}:
        chosen[-1] = known
    return chosen


def _length(view: RunView, trial: Trial, budget: Budget, *, measured: bool) -> int:
    """Return the epoch at which the winner's training ends: `final_epochs`, or as late as the time allows.

    `measured`: whether the trial's last epoch was timed under the conditions of the final training.
    """
    most, left = final_epochs(view) or 0, budget.seconds_left
    least = min(most, math.floor(trial.epochs) + 1)
    if left is None:
        return most
    seconds = _last_epoch_seconds(view, trial) if measured else _epoch_seconds(view, trial)
    time = _MARGIN * (left - _EXPORT_SECONDS - trial.setup_seconds)
    return max(least, min(most, math.floor(trial.epochs + time / seconds)))


def _epoch_seconds(view: RunView, trial: Trial) -> float:
    """Estimate the seconds of an epoch of the final training from the trials of a candidate.

    Several threads speed up training by the square root of their number (`spaces.timing`).
    """
    done = [one for one in view.of_candidate(trial.candidate) if one.score is not None and one.was_trained]
    if done:
        seconds = math.fsum(one.train_seconds for one in done) / math.fsum(one.trained_epochs for one in done)
    else:
        # All of an earlier run, whose learning curve has the times.
        lines = view.history(trial)
        seconds = math.fsum(one["train_seconds"] + one["validation_seconds"] for one in lines) / trial.epochs
    workers = view.content["workers"]
    return seconds / math.sqrt(workers_of(WINNER, workers)["threads"] / workers["threads"])


def _last_epoch_seconds(view: RunView, trial: Trial) -> float:
    line = view.history(trial)[-1]
    return float(line["train_seconds"] + line["validation_seconds"])


def _stage(view: RunView, name: str, chosen: list[Trial], *, until: int) -> dict[str, Any]:
    plan, now = view.content["plan"], max(trial.epochs for trial in chosen)
    following = max((bracket["iteration"] for bracket in plan), default=-1) + 1
    # In the first rung, candidates that the search has stopped earlier catch up; the others have their scores.
    least = min(trial.epochs for trial in chosen)
    rungs = (Rung(0, len(chosen), least, now), Rung(1, len(chosen), now, until))
    bracket = Bracket(following, 1, 0, rungs)
    return {
        "stage": name,
        "plan": [*plan, asdict(bracket)],
        "hyperband": {"max_epochs": until},
        "horizon": until if name == WINNER else max(final_epochs(view) or 0, until),
        "constant_until": in_epochs(now) if name == WINNER else max(final_epochs(view) or 0, until),
        "known": {
            **known_candidates(bracket, [(one.architecture, one.recipe, one.repeat) for one in chosen]),
            "stage": name,
        },
        # Brackets that the search had no time for are not continued.
        "closed": [[one["iteration"], one["number"]] for one in plan],
    }
