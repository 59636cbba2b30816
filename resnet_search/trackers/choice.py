"""The trackers by name, with their stores and required packages."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from resnet_search.errors import UsageError
from resnet_search.runs.folder import RunFolder
from resnet_search.spaces.schema import TRACKERS
from resnet_search.trackers.contract import Tracker
from resnet_search.trackers.follow import Follower


@dataclass(frozen=True, slots=True)
class Kind:
    """A tracker: the package that it needs, how to install it, and the command that shows its store in `{place}`.

    `server`: the environment variable for a server, which then holds the store.
    """

    package: str
    install: str
    look: str
    server: str = ""


KINDS: Final = {
    "tensorboard": Kind("tensorboard", "tensorboard", "tensorboard --logdir {place}"),
    "mlflow": Kind(
        "mlflow",
        "'resnet-search[mlflow]'",
        "mlflow ui --backend-store-uri sqlite:///{place}/mlflow.db",
        "MLFLOW_TRACKING_URI",
    ),
    "wandb": Kind("wandb", "'resnet-search[wandb]'", "wandb sync {place}/offline-run-*"),
}
DASHBOARD: Final = "optuna"


def check_installed(names: Iterable[str], where: str) -> None:
    """Raise `UsageError` for a tracker whose package is not installed; `where`: the option that asks for it."""
    for name in names:
        if find_spec(KINDS[name].package) is None:
            raise UsageError(
                f"{where}: got {name!r}, which needs {KINDS[name].package}; not installed here",
                f"Install it: pip install {KINDS[name].install}",
            )


def tracked_by(content: dict[str, Any]) -> tuple[str, ...]:
    """Return the known trackers that run.json names."""
    named = content.get("track")
    return tuple(name for name in TRACKERS if isinstance(named, list) and name in named)


def open_tracker(name: str, follower: Follower) -> Tracker:
    """Open the tracker with this name for the followed run; its store may exist already."""
    module = import_module(f"resnet_search.trackers.to_{name}")
    tracker: Tracker = module.open_store(follower.search, place_of(follower.folder, name), follower.space)
    return tracker


def place_of(folder: RunFolder, name: str) -> Path:
    """Return the folder of a tracker's store for a run, unless the environment names a server."""
    return folder.path / name


def look_words(folder: RunFolder, name: str) -> str:
    """Return the command that shows a tracker's view of a run."""
    server = os.environ.get(KINDS[name].server)
    if server:
        return f"see {server}"
    return KINDS[name].look.format(place=shlex.quote(str(place_of(folder, name))))


__all__ = ["DASHBOARD", "KINDS", "TRACKERS", "check_installed", "look_words", "open_tracker", "place_of"]
