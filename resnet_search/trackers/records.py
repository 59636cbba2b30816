"""Convert a run and its candidates to the records of the trackers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from typing import Any

from resnet_search.files import read_lines
from resnet_search.runs.axes import values_on_axes
from resnet_search.runs.trial import DAMAGE
from resnet_search.runs.trials import COMPLETED, RunView, Trial
from resnet_search.runs.trials import FAILED as TRIAL_FAILED
from resnet_search.runs.trials import RUNNING as TRIAL_RUNNING
from resnet_search.spaces.space import SearchSpace
from resnet_search.spaces.wording import escape
from resnet_search.trackers.contract import COMPLETE, FAILED, METRICS, PRUNED, RUNNING, Point, Record, Search
from resnet_search.training.job import HISTORY

# Characters; the smallest limits of any of the tools for a name and for a value.
_LONGEST_NAME, _LONGEST = 100, 400


def search_of(view: RunView) -> Search:
    """Describe the run as a whole."""
    content, folder = view.content, view.folder
    created = str(content.get("created", ""))
    key = hashlib.sha256(f"{content.get('name')} {created} {content.get('seed')}".encode()).hexdigest()[:8]
    data, space = content["data"], content["space"]
    tags = {
        "space": space.get("name"),
        "description": space.get("description"),
        "data": data.get("source"),
        "seed": content.get("seed"),
        "created": created,
        "max_epochs": view.max_epochs,
        "steps_per_epoch": view.ticks if view.ticks > 1 else None,
    }
    return Search(text(folder.name, _LONGEST_NAME), key, _seconds(created), _texts(tags))


def _seconds(created: str) -> float:
    try:
        return datetime.fromisoformat(created).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def record_of(
    view: RunView,
    space: SearchSpace | None,
    candidate: int,
    promoted: Collection[str],
    full: Callable[[tuple[int, int, int]], bool],
) -> Record:
    """Return the current state of a candidate.

    `promoted`: the trials that continue in the next rung. `full`: whether a rung has reached its planned size.
    """
    trials = view.of_candidate(candidate)
    first, last = trials[0], trials[-1]
    tags = {
        "candidate": candidate,
        "architecture": first.name,
        "depth": first.depth,
        "parameters": first.params,
        "multiply_adds": first.macs,
        "trial": last.trial,
        "iteration": last.iteration,
        "bracket": last.bracket,
        "rung": last.rung,
        "epochs": last.epochs,
        "parent": last.parent,
        "baseline": view.is_baseline(first),
        "repeat": first.repeat,
        "reason": last.reason or None,
    }
    return Record(
        candidate=candidate,
        name=text(first.name, _LONGEST_NAME),
        params={name: _text(value) for name, value in values_on_axes(space, first).items()},
        tags=_texts(tags),
        started=first.created,
        ended=last.ended or last.created,
        curve=tuple(_curve(view, trials)),
        state=_state(view, trials, promoted, full),
    )


def _state(
    view: RunView, trials: list[Trial], promoted: Collection[str], full: Callable[[tuple[int, int, int]], bool]
) -> str:
    last = trials[-1]
    if any(trial.status == TRIAL_RUNNING for trial in trials):
        return RUNNING
    if last.status == TRIAL_FAILED:
        return FAILED
    if any(trial.status == COMPLETED and trial.epochs == view.max_epochs for trial in trials):
        return COMPLETE
    passed = full((last.iteration, last.bracket, last.rung + 1)) and last.trial not in promoted
    return PRUNED if passed or view.state == "finished" else RUNNING


def _curve(view: RunView, trials: Iterable[Trial]) -> Iterator[Point]:
    """Return the validations of its trials, each once: an epoch that is trained again gives the same result.

    Histories have no times: a trial's clock starts at its creation, and each epoch adds its own seconds.
    """
    points: dict[int, Point] = {}
    for trial in trials:
        clock = trial.created
        for line in () if trial.reused else _lines(view, trial):
            metrics = {name: float(line[name]) for name in METRICS if _is_number(line.get(name))}
            clock += metrics.get("train_seconds", 0.0) + metrics.get("validation_seconds", 0.0)
            step = round(view.ticks * line["epoch"])
            points.setdefault(step, Point(step, clock, metrics))
    yield from (points[step] for step in sorted(points))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _lines(view: RunView, trial: Trial) -> list[dict[str, Any]]:
    """Read a history; None if it is damaged, which `doctor` reports. The rest of the candidate is still sent."""
    try:
        lines = read_lines(view.folder.trial(trial.trial) / HISTORY)
        return [line for line in lines if _is_number(line["epoch"]) and 0 < line["epoch"] <= trial.epochs]
    except (*DAMAGE, OSError):
        return []


def text(value: str, longest: int = _LONGEST) -> str:
    """Escape characters that are not printable, because names come from files."""
    return escape(value, longest)


def _text(value: Any) -> Any:
    return text(value) if isinstance(value, str) else value


def _texts(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _text(value) for name, value in values.items() if value is not None and value != ""}
