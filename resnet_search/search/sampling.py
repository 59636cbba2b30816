"""Candidates of `sampler = "model"`: each is the network with the largest expected improvement, by earlier results.

A draw uses results of earlier places only, and waits until these are decided: the first rung of the previous bracket,
the first two rungs of the bracket before that, and so on, and the slots of its own first rung at least `LAG` earlier.
So the draws depend on the seed and on scores, not on the number of workers, on timing, or on interruptions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import Complexity
from resnet_search.runs.trials import COMPLETED, RunView, Trial
from resnet_search.search.candidates import Candidate, Candidates
from resnet_search.search.earlier import scores
from resnet_search.search.schedule import Draw, Schedule
from resnet_search.spaces.brackets import Bracket
from resnet_search.spaces.points import values_of
from resnet_search.spaces.schema import Axes

LAG = 8
_RANDOM = 5  # every fifth draw is random, so that a wrong model cannot mislead the whole search
_AT_FIRST = 4  # number of random draws before the model has anything to learn from
_LOOKED_AT = 600  # networks of a large space that are compared


class ModelSampler:
    """Chooses the networks of first draws; replacements of failed ones stay random.

    `cost`: of a network on the images of the run. `drawing`: the brackets that draw candidates, in the order of the
    plan.
    """

    def __init__(
        self,
        axes: Axes,
        cost: Callable[[Architecture], Complexity],
        draws: Candidates,
        drawing: Sequence[Bracket],
        view: RunView,
    ) -> None:
        self._axes, self._cost, self._draws, self._view = axes, cost, draws, view
        self._drawing = list(drawing)
        self._earlier = list(scores(view.content))
        self._chosen: dict[tuple[int, int, int], Architecture] = {}
        self._networks: dict[int, list[Architecture]] = {}
        self._values: dict[Architecture, dict[str, Any]] = {}

    def is_ready(self, draw: Draw, schedule: Schedule) -> bool:
        """Return whether all results that a draw uses are decided."""
        if draw.replacement:
            return True
        if schedule.drawn_until(draw.bracket) < draw.slot:
            return False  # Its network must differ from those before.
        return self._is_random(draw) or (
            schedule.decided_until(draw.bracket) > draw.slot - LAG
            and all(schedule.is_decided(bracket, rung) for bracket, rung in self._rungs_before(draw.bracket))
        )

    def choose(self, draw: Draw, planned: Candidate) -> Candidate:
        """Return the candidate of a draw; `planned` is the random one that it would have otherwise."""
        if draw.replacement:
            return planned
        place = (draw.bracket.iteration, draw.bracket.number, draw.slot)
        if place not in self._chosen:
            self._chosen[place] = self._choose(draw, planned.architecture)
        return Candidate(self._chosen[place], planned.recipe)

    def _choose(self, draw: Draw, planned: Architecture) -> Architecture:
        taken = {
            Architecture.from_dict(trial.architecture)
            for trial in self._view.trials.values()
            if _place(trial) == (draw.bracket.iteration, draw.bracket.number, 0)
            and trial.slot < draw.slot
            and trial.replacement == 0
        }
        networks = self._among(draw.bracket.iteration)
        first = networks.index(planned) if planned in networks else 0
        in_order = [*networks[first:], *networks[:first]]
        free = [network for network in in_order if network not in taken]
        if not free:
            return planned
        if self._is_random(draw):
            return free[0]
        return self._most_promising(draw, free) or free[0]

    def _most_promising(self, draw: Draw, free: Sequence[Architecture]) -> Architecture | None:
        """Return the free network with the largest expected improvement; None if nothing is known."""
        # Imported late, because commands that only show something must not load NumPy.
        from resnet_search.search.model import Observation, expected_improvement, features_of

        seen = self._visible(draw)
        before = [network for _, network, _, _ in self._earlier]
        drawn = [network for network, _ in seen]
        networks = list(dict.fromkeys((*self._among(draw.bracket.iteration), *before, *drawn)))
        rows = {network: row for row, network in enumerate(networks)}
        if not seen and not self._earlier:
            return None
        known = [Observation(rows[network], epochs, score, group) for group, network, epochs, score in self._earlier]
        known += [Observation(rows[network], trial.epochs, trial.score or 0.0) for network, trial in seen]
        longest = draw.bracket.rungs[-1].epochs
        features = features_of([self._values_of(network) for network in networks])
        promises = expected_improvement(features, known, longest)
        trained = {network for network, trial in seen if trial.epochs >= draw.rung.epochs}
        untrained = [network for network in free if network not in trained] or free
        # Rounded, so that the last bits of a sum do not decide; ties go to the earlier one.
        return max(untrained, key=lambda network: round(float(promises[rows[network]]), 9))

    def _values_of(self, network: Architecture) -> dict[str, Any]:
        """Return the values that describe a network: its costs, and its values on the axes."""
        if network not in self._values:
            cost = self._cost(network)
            size = {"macs": cost.macs, "params": cost.trainable, "layers": network.depth}
            axes = {axis: value for axis, value in values_of(self._axes, network).items() if axis not in {"n", "depth"}}
            self._values[network] = size | axes
        return self._values[network]

    def _among(self, iteration: int) -> list[Architecture]:
        if iteration not in self._networks:
            self._networks[iteration] = list(dict.fromkeys(self._draws.order(iteration)))[:_LOOKED_AT]
        return self._networks[iteration]

    def _is_random(self, draw: Draw) -> bool:
        first = draw.bracket == self._drawing[0] and draw.slot < _AT_FIRST and not self._earlier
        return first or draw.slot % _RANDOM == _RANDOM - 1

    def _rungs_before(self, bracket: Bracket) -> list[tuple[Bracket, int]]:
        """Return the rungs that a bracket's draws look at, the oldest bracket first."""
        place = self._drawing.index(bracket)
        return [
            (before, rung)
            for distance, before in zip(range(place, 0, -1), self._drawing[:place], strict=True)
            for rung in range(min(distance, len(before.rungs)))
        ]

    def _visible(self, draw: Draw) -> list[tuple[Architecture, Trial]]:
        """Return the completed trials that a draw looks at, in the order of their places."""
        ranks = {
            (bracket.iteration, bracket.number, rung): number
            for number, (bracket, rung) in enumerate(self._rungs_before(draw.bracket))
        }
        own = (draw.bracket.iteration, draw.bracket.number, 0)
        ranks[own] = len(ranks)
        trials = [
            trial
            for trial in self._view.trials.values()
            if trial.status == COMPLETED
            and _place(trial) in ranks
            and (_place(trial) != own or trial.slot <= draw.slot - LAG)
        ]
        trials.sort(key=lambda trial: (ranks[_place(trial)], trial.slot, trial.replacement))
        return [(Architecture.from_dict(trial.architecture), trial) for trial in trials]


def _place(trial: Trial) -> tuple[int, int, int]:
    return trial.iteration, trial.bracket, trial.rung
