"""Read the export in a run's folder, to report it without making it again."""

from __future__ import annotations

from typing import Any

from resnet_search.reading import read_json
from resnet_search.report.exported import Ensemble, Exported, File
from resnet_search.runs.exports import MANIFEST, exports_in
from resnet_search.runs.latency import Latency
from resnet_search.runs.trials import RunView, Trial


def exported_of(view: RunView, trial: Trial | None = None) -> Exported | None:
    """Return the verification results of an export of this trial (default: the best) in a run's folder; None without.

    An export of the trial alone comes before an ensemble that it leads.
    """
    chosen = trial or view.leader
    found = []
    for folder in exports_in(view.folder):
        try:
            manifest = read_json(folder / MANIFEST)
            if chosen is not None and manifest["trial"] == chosen.trial:
                found.append(_exported(manifest["verified"]))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):  # From another version, or damaged.
            continue
    return min(found, key=lambda one: one.ensemble is not None, default=None)


def _exported(values: dict[str, Any]) -> Exported:
    files = tuple(File(**{**file, "latencies": _latencies(file["latencies"])}) for file in values.get("files", ()))
    together = values.get("ensemble")
    if together is not None:
        members = tuple(together["members"])
        together = Ensemble(**{**together, "members": members, "alone": _latencies(together["alone"])})
    return Exported(**{**values, "files": files, "ensemble": together})


def _latencies(values: list[dict[str, Any]]) -> tuple[Latency, ...]:
    return tuple(Latency(**value) for value in values)
