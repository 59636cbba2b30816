"""What the largest trial of a search takes."""

from __future__ import annotations

from typing import Any

from resnet_search.networks.memory import HIGHEST, memory_of
from resnet_search.spaces.plan import Plan
from resnet_search.spaces.schema import Range
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.recipe import RECIPES


def largest_trial(space: SearchSpace, plan: Plan, images: int) -> int:
    """Bytes of a worker that trains the largest network of a plan, beside `images` bytes of training images.

    As in single precision, whatever it trains in: what half precision saves is left for what convolutions work with.
    """
    largest = max(memory_of(cost, largest_batch(space)) for cost in plan.feasible.costs)
    return images + round(largest * (1 + HIGHEST))


def largest_batch(space: SearchSpace) -> int:
    """Images of the largest step that the recipe of a space may take."""
    given: Any = space.recipe.get("batch_size", RECIPES[space.recipe["name"]].batch_size)
    if isinstance(given, Range):
        return int(given.max)
    return max(given) if isinstance(given, tuple) else int(given)
