"""Whether a run can be driven: its folder may come from anywhere, or have been edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from resnet_search.errors import RunError, UserError
from resnet_search.runs.content import check_candidate
from resnet_search.runs.folder import repair_words
from resnet_search.runs.trial import DAMAGE, LARGE, Trial
from resnet_search.runs.trials import RunView
from resnet_search.spaces.plan import brackets_from
from resnet_search.training.recipe import recipe_from
from resnet_search.workers.local import WorkerSettings

_Sizes = Mapping[tuple[int, int], Sequence[int]]


def check_drivable(view: RunView) -> None:
    """`RunError` unless the run's plan can be carried out, and its trials have their places in it."""
    content = view.content
    try:
        sizes = _sizes(content["plan"])
        _number(content["horizon"], 1)
        _number(content["seed"], 0)
        brackets_from(content["plan"])
        recipe_from(content["recipe"])
        WorkerSettings(**{key: value for key, value in content["workers"].items() if key != "slots"})
        for known in content.get("known", ()):
            for candidate in known["candidates"]:
                check_candidate(candidate["architecture"], candidate["recipe"], content)
                _number(candidate.get("repeat", 0), 0)
    except (*DAMAGE, UserError) as error:
        what = f"{view.folder.path}: run.json, or an event that extends the plan, is damaged: {error!r:.200}"
        raise RunError(what, "Restore the run's folder from a copy.") from error
    for trial in view.trials.values():
        if not _has_place(trial, sizes):
            what = f"trial {trial.trial}: slot {trial.slot} of rung {trial.rung} is not in the plan of its bracket"
            raise RunError(f"{view.folder.events}: is damaged: {what}", repair_words(view.folder))


def _sizes(plan: Sequence[Mapping[str, Any]]) -> _Sizes:
    """How many trials each rung of each bracket is for, by the bracket's iteration and number.

    Raises of `DAMAGE` unless `plan` has each bracket once, with rungs that are numbered from 0, no larger than the one
    before, each starting at the epoch where that one ends.
    """
    sizes: dict[tuple[int, int], Sequence[int]] = {}
    for bracket in plan:
        place = (_number(bracket["iteration"], 0), _number(bracket["number"], 0))
        _number(bracket["offset"], 0)
        if place in sizes:
            raise ValueError(f"bracket {place[1]} of iteration {place[0]} is planned twice")
        rungs = bracket["rungs"]
        if not rungs or [rung["index"] for rung in rungs] != list(range(len(rungs))):
            raise ValueError(f"the rungs of bracket {place[1]} of iteration {place[0]} are not 0, 1, 2, ...")
        for rung in rungs:
            _number(rung["size"], 1)
            _length(rung["epochs"], _length(rung["initial_epoch"], 0))
        for before, after in pairwise(rungs):
            if after["size"] > before["size"] or after["initial_epoch"] != before["epochs"]:
                raise ValueError(f"a rung of bracket {place[1]} of iteration {place[0]} does not follow the one before")
        sizes[place] = [rung["size"] for rung in rungs]
    return sizes


def _length(value: Any, low: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value < LARGE:
        raise TypeError(f"{value!r:.100} is not a number of epochs of at least {low}")
    return value


def _number(value: Any, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < LARGE:
        raise TypeError(f"{value!r:.100} is no number from {low} on")
    return value


def _has_place(trial: Trial, sizes: _Sizes) -> bool:
    """Two may have the same in a repaired run, and in an asynchronous bracket each rung is for as many as the first."""
    bracket = sizes[trial.iteration, trial.bracket]
    return trial.rung < len(bracket) and trial.slot < bracket[0]
