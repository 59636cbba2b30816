"""What kind of run it is: a search by halving, a grid of networks in full, or one network alone."""

from __future__ import annotations

from resnet_search.runs.trials import RunView


def is_grid(view: RunView) -> bool:
    """Whether a run trains each of its networks to the last epoch."""
    return bool(view.content["space"].get("method") == "grid")


def is_single(view: RunView) -> bool:
    """Whether that is one network alone, as `train` makes it."""
    return is_grid(view) and network_count(view) == 1


def is_final(view: RunView) -> bool:
    """Whether a run trains on its validation images too, so that only test images can say what its network is worth."""
    return bool(view.content["data"].get("merged"))


def network_count(view: RunView) -> int:
    """How many networks a grid has; its trials are more where it was extended."""
    return int(view.content["feasible"]["architectures"])
