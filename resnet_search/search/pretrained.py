"""Which files of ImageNet weights a run needs before it starts or resumes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.imagenet import Source, sources_of
from resnet_search.runs.trials import FAILED, RUNNING, RunView
from resnet_search.spaces.plan import Plan, make_plan
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.job import STATE


def sources_of_space(space: SearchSpace, plan: Plan, baselines: Iterable[Architecture] = ()) -> tuple[Source, ...]:
    """Return the weights that trials of a space start from, if any; `UsageError` if one of its networks has none.

    `baselines` use the recipe of the space; values that vary are replaced by those of the recipe it starts from.
    """
    init = space.recipe.get("init", ())
    if init == "imagenet":
        return sources_of((*plan.feasible.architectures, *baselines))
    return sources_of(plan.feasible.architectures) if "imagenet" in init else ()


def sources_of_known(content: dict[str, Any]) -> tuple[Source, ...]:
    """Return the weights that the known candidates of a run start from. `content`: of run.json."""
    return sources_of(
        Architecture.from_dict(candidate["architecture"])
        for known in content.get("known", ())
        for candidate in known["candidates"]
        if {**content["recipe"], **candidate["recipe"]}.get("init") == "imagenet"
    )


def sources_of_run(view: RunView, space: SearchSpace) -> tuple[Source, ...]:
    """Return the weights that trials still to start need; resumed trials have theirs in their state."""
    data = view.content["data"]
    trials = view.trials.values()
    draws = sum(bracket["rungs"][0]["size"] for bracket in view.content["plan"])
    # A grid has no replacements.
    drawn = [trial for trial in trials if trial.rung == 0 and (space.method == "grid" or trial.status != FAILED)]
    if len(drawn) < draws or any(trial.status == RUNNING and _begins(view, trial.trial) for trial in trials):
        known = sources_of_known(view.content)
        if view.content.get("of"):  # Following runs train only known candidates.
            return known
        plan = make_plan(space, tuple(data["image_shape"]), len(data["classes"]))
        return (*known, *sources_of_space(space, plan))
    return ()


def _begins(view: RunView, trial: str) -> bool:
    return view.trials[trial].parent is None and not (view.folder.trial(trial) / STATE).is_file()
