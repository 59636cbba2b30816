"""Read the export in a run's folder, to report it without making it again."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
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
                found.append(_exported(manifest["verified"], view))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):  # From another version, or damaged.
            continue
    return min(found, key=lambda one: one.ensemble is not None, default=None)


def _exported(values: dict[str, Any], view: RunView) -> Exported:
    files = tuple(File(**{**file, "latencies": _latencies(file["latencies"])}) for file in values.get("files", ()))
    together = values.get("ensemble")
    if together is not None:
        members = tuple(view.trials[member].trial for member in together["members"])
        together = Ensemble(**{**together, "members": members, "alone": _latencies(together["alone"])})
    exported = Exported(**{**values, "files": files, "ensemble": together})
    _check(exported)
    return exported


def _latencies(values: list[dict[str, Any]]) -> tuple[Latency, ...]:
    return tuple(Latency(**value) for value in values)


def _check(item: Any) -> None:
    """Raise `ValueError` for a value of another type than its field, or a number that no export can have."""
    for field in fields(item):
        value = getattr(item, field.name)
        kinds = _KINDS.get(str(field.type))
        measured = type(value) in (int, float)
        if (kinds and type(value) not in kinds) or (measured and not 0 <= value <= _MOST):
            raise ValueError(f"{field.name} is {value!r:.20}")
        for inner in value if isinstance(value, tuple) else (value,):
            if is_dataclass(inner):
                _check(inner)


_KINDS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
_MOST = 1e15
