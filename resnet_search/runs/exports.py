"""The exports in a run's folder, one for each exported network, and which network each holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_search.reading import read_json
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView, Trial

BEST = "export"  # folder of the best trial's network
MANIFEST = "export.json"


@dataclass(frozen=True, slots=True)
class Network:
    """An exported network: its run, its trials (the members of an ensemble), its name and its score.

    `run`, `name` and `score` are empty or None in exports of older versions that lack them.
    """

    run: str
    members: tuple[str, ...]
    name: str
    score: float | None

    def __str__(self) -> str:
        trials = f"trial {self.members[0]}" if len(self.members) == 1 else f"an ensemble of {', '.join(self.members)}"
        return f"{trials}{f' of {self.run}' if self.run else ''}{f', {self.name}' if self.name else ''}"


def network_of(view: RunView, members: Sequence[Trial]) -> Network:
    """Describe the network of these trials."""
    return Network(view.folder.full_name, tuple(one.trial for one in members), members[0].name, members[0].score)


def place_of(view: RunView, members: Sequence[Trial]) -> Path:
    """Return the folder in the run's folder for the network of these trials; the best trial's is `export`."""
    if len(members) > 1:
        return view.folder.path / f"{BEST}-ensemble-{len(members)}"
    if view.leader is not None and members[0].trial == view.leader.trial:
        return view.folder.path / BEST
    return view.folder.path / f"{BEST}-trial-{members[0].trial}"


def network_in(folder: Path) -> Network:
    """Read which network an export holds; `OSError` without an export.json, `ValueError` if it is damaged."""
    return network_from(read_json(folder / MANIFEST))


def network_from(manifest: Any) -> Network:
    """Return which network an export.json describes; `ValueError` if it is damaged."""
    try:
        run, name, score = manifest.get("run", ""), manifest.get("name", ""), manifest.get("score")
        members = manifest.get("members", [manifest["trial"]])
        numbers = isinstance(score, int | float | None)
        if numbers and members and all(isinstance(word, str) for word in (run, name, *members)):
            return Network(run, tuple(members), name, score)
    except (AttributeError, LookupError, TypeError):
        pass
    raise ValueError(f"{MANIFEST} does not say which network this is")


def exports_in(folder: RunFolder) -> list[Path]:
    """List the folders of a run's exports, the best trial's first."""
    found = (path for path in folder.path.glob(f"{BEST}*") if (path / MANIFEST).is_file())
    return sorted(path for path in found if path.name == BEST or path.name.startswith(f"{BEST}-"))


def is_current(view: RunView) -> bool:
    """Return whether `export` holds the best trial's network."""
    try:
        held = network_in(view.folder.path / BEST).members
    except (OSError, ValueError):
        return False
    return view.leader is not None and held == (view.leader.trial,)
