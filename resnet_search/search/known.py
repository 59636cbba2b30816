"""Brackets with given candidates: known architectures to compare with, and the best candidates to train longer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from resnet_search.errors import UsageError
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import Complexity, complexity
from resnet_search.networks.presets import Preset, preset
from resnet_search.spaces.brackets import Bracket, Rung
from resnet_search.spaces.schema import Limits
from resnet_search.spaces.space import SearchSpace
from resnet_search.spaces.spelled import architecture_spelled


def baselines_of(names: Iterable[str], option: str = "--baseline") -> tuple[Preset, ...]:
    """Return presets for names, and for networks spelled by their axes, each under the given text.

    `UserError` for an unknown one, or for two that are the same network.
    """
    found: dict[Architecture, Preset] = {}
    for name in names:
        by_axes = "=" in name
        named = Preset(name, architecture_spelled(name, option), "by its axes") if by_axes else preset(name, option)
        if named.architecture in found:
            other = found[named.architecture].name
            raise UsageError(f"{option}: got {name!r}, which is the same network as {other!r}", "Name it once.")
        found[named.architecture] = named
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Known:
    """A known network that is trained along with a search. `ranked`: whether it fits the limits, so that it can win."""

    preset: Preset
    cost: Complexity
    ranked: bool


def known_networks(
    space: SearchSpace, names: Iterable[str], shape: tuple[int, int, int], classes: int, *, reference: bool = True
) -> tuple[Known, ...]:
    """Return the known networks of a search: those given, and with `reference` the published one inside its limits.

    So the result of a search with limits is never worse, on its validation images, than the network that needs no
    search.
    """
    baselines = baselines_of(names)
    published = _published(space, shape, classes) if reference else None
    if published is not None and published.architecture not in {one.architecture for one in baselines}:
        baselines = (*baselines, published)
    costs = [complexity(one.architecture, shape, classes) for one in baselines]
    limited = space.limits != Limits()
    return tuple(
        Known(one, cost, limited and not space.limits.exceeded(cost.trainable, cost.macs))
        for one, cost in zip(baselines, costs, strict=True)
    )


def _published(space: SearchSpace, shape: tuple[int, int, int], classes: int) -> Preset | None:
    """Return the largest published ResNet inside the limits of a space; None without limits, or if none fits.

    Grids, spaces of named networks and spaces that start from ImageNet weights get none: they define what is compared.
    """
    init = space.recipe.get("init", "he_normal")
    if space.limits == Limits() or space.method == "grid" or space.axes.models or init != "he_normal":
        return None
    names = _OF_CIFAR if "cifar" in (space.axes.stem or ("cifar",)) else _OF_IMAGENET
    for name in reversed(names):
        found = preset(name)
        cost = complexity(found.architecture, shape, classes)
        if not space.limits.exceeded(cost.trainable, cost.macs):
            return found
    return None


# He et al. 2015, tables 6 and 1, from small to large.
_OF_CIFAR = ("resnet-20", "resnet-32", "resnet-44", "resnet-56", "resnet-110")
_OF_IMAGENET = ("resnet-18", "resnet-34", "resnet-50", "resnet-101", "resnet-152")


def with_known(
    brackets: tuple[Bracket, ...], networks: Sequence[Known], max_epochs: int
) -> tuple[tuple[Bracket, ...], list[dict[str, Any]]]:
    """Put a bracket that trains known networks to the end before a plan; return it with its entry for run.json.

    It is numbered after the others of the first iteration, and has one rung.
    """
    if not networks:
        return brackets, []
    following = max((bracket.number for bracket in brackets if bracket.iteration == 0), default=-1) + 1
    bracket = Bracket(0, following, 0, (Rung(0, len(networks), 0, max_epochs),))
    # The recipe of the space; values that vary are replaced by those of the recipe it starts from.
    known = known_candidates(
        bracket,
        ((one.preset.architecture.to_dict(), {}, 0) for one in networks),
        [one.preset.name for one in networks],
    )
    known["ranked"] = [slot for slot, one in enumerate(networks) if one.ranked]
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
