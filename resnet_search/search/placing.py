"""Place the trials of a Keras Tuner project in brackets and rungs, each with its network and recipe here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from resnet_search.errors import ArchitectureError, UsageError
from resnet_search.networks.architecture import Architecture
from resnet_search.search.candidates import Candidate, Numbered
from resnet_search.search.mapping import Mapped
from resnet_search.search.project import Project, ProjectTrial
from resnet_search.spaces.space import SearchSpace


@dataclass(frozen=True, slots=True)
class Placed:
    """A trial with its number here, its place, and its candidate."""

    number: str
    theirs: ProjectTrial
    bracket: int
    rung: int
    slot: int
    candidate: int
    repeat: int
    architecture: Architecture
    recipe: dict[str, Any]
    parent: str | None
    initial_epoch: int
    epochs: int


def place_trials(
    project: Project, mapped: Mapped, space: SearchSpace, epochs: int
) -> tuple[list[Placed], dict[str, int]]:
    """Return the trials in brackets and rungs, and the number of skipped trials by reason.

    The epochs of its first rung identify a bracket: the number in the project is wrong with parallel workers.
    """
    skipped: dict[str, int] = {}
    roots: dict[str, ProjectTrial] = {}
    candidates: dict[str, tuple[int, Candidate]] = {}
    numbered, repeats = Numbered(), dict[Candidate, int]()
    found: dict[str, Placed] = {}
    slots: dict[tuple[int, int], int] = {}
    for trial in project.trials:
        roots[trial.trial] = trial if trial.parent is None else roots[trial.parent]
    starts = sorted({root.epochs or epochs for root in roots.values()}, reverse=True)
    ends = {
        start: sorted({one.epochs or epochs for one in project.trials if (roots[one.trial].epochs or epochs) == start})
        for start in starts
    }
    for trial in project.trials:
        root = roots[trial.trial]
        if root.trial not in candidates:
            try:
                architecture = mapped.architecture(root.values)
                recipe = tuple(sorted(mapped.drawn_recipe(root.values, space).items()))
            except (ArchitectureError, UsageError) as error:
                reason = error.rule if isinstance(error, ArchitectureError) else error.message
                skipped[reason] = skipped.get(reason, 0) + 1
                continue
            # Trials that only differ in ignored hyperparameters are repeats here.
            plain = Candidate(architecture, recipe)
            repeat = repeats[plain] = repeats.get(plain, -1) + 1
            candidate = Candidate(architecture, recipe, repeat)
            candidates[root.trial] = numbered.number(candidate), candidate
        if trial.parent is not None and trial.parent not in found:
            continue
        start, end = root.epochs or epochs, trial.epochs or epochs
        bracket, rung = starts.index(start), ends[start].index(end)
        number, candidate = candidates[root.trial]
        slots[bracket, rung] = slot = slots.get((bracket, rung), -1) + 1
        parent = None if trial.parent is None else found[trial.parent].number
        found[trial.trial] = Placed(
            f"{len(found):04d}", trial, bracket, rung, slot, number, candidate.repeat, candidate.architecture,
            dict(candidate.recipe), parent, trial.initial_epoch, end,
        )  # fmt: skip
    return list(found.values()), skipped


def plan_of(placed: Iterable[Placed]) -> list[dict[str, Any]]:
    """Return what was trained as a plan; rungs count completed trials, since failures were not replaced."""
    rungs: dict[int, dict[int, dict[str, Any]]] = {}
    for one in placed:
        rung = rungs.setdefault(one.bracket, {}).setdefault(
            one.rung, {"index": one.rung, "size": 0, "initial_epoch": one.initial_epoch, "epochs": one.epochs}
        )
        rung["size"] += one.theirs.completed
    offset, plan = 0, []
    for number in sorted(rungs, reverse=True):
        kept = [rungs[number][index] for index in sorted(rungs[number])]
        plan.append({"iteration": 0, "number": number, "offset": offset, "rungs": kept})
        offset += kept[0]["size"]
    return plan
