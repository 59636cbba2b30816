"""The kind of a run: a Hyperband search, a grid of networks trained in full, or a single network."""

from __future__ import annotations

from resnet_search.runs.after import CONFIRM, FINAL
from resnet_search.runs.trials import RunView


def is_grid(view: RunView) -> bool:
    """Return whether a run trains each of its networks to the last epoch."""
    return bool(view.content["space"].get("method") == "grid")


def is_single(view: RunView) -> bool:
    """Return whether a run trains a single network, as `train` does."""
    return is_grid(view) and network_count(view) == 1


def is_final(view: RunView) -> bool:
    """Return whether a run trains on its validation images too, so that only test images can measure its accuracy."""
    return bool(view.content["data"].get("merged"))


def is_confirmation(view: RunView) -> bool:
    """Return whether a run trains the candidates of a search again, with several seeds."""
    return bool((view.content.get("of") or {}).get("kind") == CONFIRM)


def origin(view: RunView) -> str:
    """Name the trial and the search that a final network comes from; empty for other runs."""
    of = view.content.get("of") or {}
    return f"trial {of['trials'][0]} of the search {of['run']}" if of.get("kind") == FINAL else ""


def accuracy_name(view: RunView) -> str:
    """Name the scores and learning curves of a run."""
    return "Accuracy on the validation images (trained on)" if is_final(view) else "Validation accuracy"


def accuracy_word(view: RunView) -> str:
    """Return a short form of `accuracy_name`."""
    return "train acc" if is_final(view) else "val acc"


def network_count(view: RunView) -> int:
    """Return the number of networks of a grid; an extended grid has more trials than networks."""
    return int(view.content["feasible"]["architectures"])
