"""Known networks and their names."""

from __future__ import annotations

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.presets import PRESETS, Preset
from resnet_search.report.document import Code, Text
from resnet_search.runs.trials import Trial

_BY_ARCHITECTURE = {known.architecture: known for known in PRESETS.values()}


def preset_of(trial: Trial) -> Preset | None:
    """Return the known network that a trial trained; None if its architecture has no name."""
    return _BY_ARCHITECTURE.get(Architecture.from_dict(trial.architecture))


def named(trial: Trial) -> Text:
    """Return a trial's network, with its known name if that differs."""
    known = preset_of(trial)
    return Code(trial.name) if known is None or known.name == trial.name else (Code(trial.name), f" ({known.name})")
