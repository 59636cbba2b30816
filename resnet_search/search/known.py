"""Brackets with given candidates: known architectures to compare with, and the best candidates to train longer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from resnet_search.errors import UsageError
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.presets import Preset, preset
from resnet_search.spaces.brackets import Bracket, Rung
from resnet_search.spaces.spelled import architecture_spelled


def baselines_of(names: Iterable[str]) -> tuple[Preset, ...]:
    """Return presets for names, and for networks spelled by their axes, each under the given text.

    `UserError` for an unknown one, or for two that are the same network.
    """
    found: dict[Architecture, Preset] = {}
    for name in names:
        by_axes = "=" in name
        named = (
            Preset(name, architecture_spelled(name, "--baseline"), "by its axes")
            if by_axes
            else preset(name, "--baseline")
        )
        if named.architecture in found:
            other = found[named.architecture].name
            raise UsageError(f"--baseline: got {name!r}, which is the same network as {other!r}", "Name it once.")
        found[named.architecture] = named
    return tuple(found.values())


def with_baselines(
    brackets: tuple[Bracket, ...], baselines: Sequence[Preset], max_epochs: int
) -> tuple[tuple[Bracket, ...], list[dict[str, Any]]]:
    """Put a bracket that trains the baselines to the end before a plan; return it with its entry for run.json.

    It is numbered after the others of the first iteration, and has one rung.
    """
    if not baselines:
        return brackets, []
    following = max((bracket.number for bracket in brackets if bracket.iteration == 0), default=-1) + 1
    bracket = Bracket(0, following, 0, (Rung(0, len(baselines), 0, max_epochs),))
    named = [baseline.name for baseline in baselines]
    # The recipe of the space; values that vary are replaced by those of the recipe it starts from.
    known = known_candidates(bracket, [(baseline.architecture.to_dict(), {}, 0) for baseline in baselines], named)
    return (bracket, *brackets), [known]


def known_candidates(
    bracket: Bracket, candidates: Iterable[tuple[dict[str, Any], dict[str, Any], int]], presets: Sequence[str] = ()
) -> dict[str, Any]:
    """Return such a bracket's entry for run.json or an event: architecture, recipe and repeat by slot; names."""
    return {
        "iteration": bracket.iteration,
        "bracket": bracket.number,
        "candidates": [
            {"architecture": architecture, "recipe": recipe, "repeat": repeat}
            for architecture, recipe, repeat in candidates
        ],
        "presets": list(presets),
    }
