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


def accuracy_name(view: RunView) -> str:
    """What the scores of a run are, and the curves of its trials."""
    return "Accuracy on the validation images, trained on too" if is_final(view) else "Validation accuracy"


def accuracy_word(view: RunView) -> str:
    """The same where there is room for a word or two."""
    return "train acc" if is_final(view) else "val acc"


def network_count(view: RunView) -> int:
    """How many networks a grid has; its trials are more where it was extended."""
    return int(view.content["feasible"]["architectures"])
