"""The memory of a search's largest trial."""

from __future__ import annotations

import math
from typing import Any

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.networks.memory import HIGHEST, memory_of
from resnet_search.spaces.plan import Plan, make_plan
from resnet_search.spaces.schema import Range
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.recipe import AUTO, LARGEST, RECIPES, recipe_from


def largest_trial(content: dict[str, Any], plan: Plan | None = None) -> int:
    """Return the bytes of a worker that trains the largest network of a run, without its training images.

    Always assumes single precision: the savings of half precision are left as workspace for convolutions. `content`: of
    run.json, its space, images and known candidates. `plan`: the plan of its space, if available.
    """
    space, data = SearchSpace.from_dict(content["space"]), content["data"]
    shape, classes = tuple(data["image_shape"]), len(data["classes"])
    batch = largest_batch(space, data["train"], recipe_from(content["recipe"]).batch_size)
    needs = [
        memory_of(
            complexity(Architecture.from_dict(candidate["architecture"]), shape, classes),
            candidate["recipe"].get("batch_size", batch),
        )
        for known in content["known"]
        for candidate in known["candidates"]
    ]
    if not content.get("of"):  # Following runs train only known candidates.
        plan = plan or make_plan(space, shape, classes)
        needs += [memory_of(cost, batch) for cost in plan.feasible.costs]
    images: int = data["train"] * math.prod(shape)
    return images + round(max(needs) * (1 + HIGHEST))


def largest_batch(space: SearchSpace, images: int | None, default: int | str | None = None) -> int:
    """Return the largest batch of a space's trials.

    `images`: to train on, None if unknown. `default`: the batch size of the run's recipe.
    """
    recipe = RECIPES[space.recipe["name"]]
    given: Any = space.recipe.get("batch_size", default or recipe.batch_size)
    if isinstance(given, Range):
        return int(given.max)
    if given == AUTO:
        return LARGEST if images is None else recipe.batch_for(images)
    return max(given) if isinstance(given, tuple) else int(given)
