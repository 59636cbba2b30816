"""Which files of ImageNet weights a run needs before it starts, or goes on."""

from __future__ import annotations

from resnet_search.networks.imagenet import Source, sources_of
from resnet_search.runs.trials import FAILED, RUNNING, RunView
from resnet_search.spaces.plan import Plan, make_plan
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.job import STATE


def sources_of_space(space: SearchSpace, plan: Plan) -> tuple[Source, ...]:
    """Those that trials of a space start from, if any do; `UsageError` if one of its networks has none."""
    init = space.recipe.get("init", ())
    inits = (init,) if isinstance(init, str) else init
    return sources_of(plan.feasible.architectures) if "imagenet" in inits else ()


def sources_of_run(view: RunView, space: SearchSpace) -> tuple[Source, ...]:
    """Those that the trials still to start need: what goes on from a state has its weights in it."""
    data = view.content["data"]
    trials = view.trials.values()
    draws = sum(bracket["rungs"][0]["size"] for bracket in view.content["plan"])
    # In a grid nothing takes the place of what failed.
    drawn = [trial for trial in trials if trial.rung == 0 and (space.method == "grid" or trial.status != FAILED)]
    if len(drawn) < draws or any(trial.status == RUNNING and _begins(view, trial.trial) for trial in trials):
        return sources_of_space(space, make_plan(space, tuple(data["image_shape"]), len(data["classes"])))
    return ()


def _begins(view: RunView, trial: str) -> bool:
    return view.trials[trial].parent is None and not (view.folder.trial(trial) / STATE).is_file()
