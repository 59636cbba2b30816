"""Whole searches of random spaces, with random failures, losses, kills and timings, against a model of Hyperband.

The model knows nothing of running trials: it takes the draws of a bracket, drops those that fail, sorts, keeps the
best, and goes on to the next rung.

What holds whatever happens and in whatever order:
1. every rung is as large as planned, as long as the space has candidates for it;
2. a rung holds the best of the rung below that can be trained that far, and no other was tried than those before them;
3. a planned draw is a function of (seed, iteration, bracket, slot) alone;
4. nothing is drawn twice in an iteration before the space is exhausted, and nothing twice in a bracket ever;
5. no trial trains what its candidate is known to fail at.
Where nothing fails the table of a search is the same for every number of workers and every order in which trials end;
where some do, it is too, as long as the space is large enough that no two replacements want the same architecture.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from hypothesis import strategies as st

from resnet_search.errors import TrainingError
from resnet_search.networks.architecture import Architecture
from resnet_search.runs.trials import RunView, Trial
from resnet_search.search.candidates import Candidate, Candidates
from resnet_search.search.losses import LOSSES_OF_A_TRIAL
from resnet_search.search.oracle import HyperbandOracle
from resnet_search.search.schedule import Draw
from resnet_search.spaces.brackets import Bracket
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import brackets_from
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.job import Job
from tests.properties import holds_for

from .conftest import KnownWorkers, Search, accuracy, new_search

Order = tuple[int, int]  # slot and replacement of a draw


@dataclass(frozen=True)
class World:
    """What becomes of a candidate: a function of its seed, whatever the timing."""

    failing: float
    salt: int

    def breaks(self, seed: int) -> int | None:
        """The epoch that it cannot be trained through."""
        chance = random.Random(f"{seed};{self.salt}")
        return chance.randint(1, 9) if chance.random() < self.failing else None

    def trains(self, seed: int, epochs: int) -> bool:
        broken = self.breaks(seed)
        return broken is None or broken > epochs


@dataclass(frozen=True)
class Timing:
    """In which order trials end, which workers are lost, and how many drivers."""

    workers: int
    seed: int
    losing: float = 0.0
    kills: int = 0


def space_of(
    sizes: int, widths: int, max_epochs: int, factor: int, iterations: int, *, varied: bool, min_epochs: float = 1
) -> SearchSpace:
    return parse_space(
        f"""
        [axes]
        n = {list(range(1, sizes + 1))}
        width = {list(range(2, widths + 2))}
        block = ["basic"]
        [hyperband]
        max_epochs = {max_epochs}
        min_epochs = {min_epochs}
        factor = {factor}
        iterations = {iterations}
        {"recipe.learning_rate = { min = 0.01, max = 0.4 }" if varied else ""}
        [data]
        source = "shapes"
        """.replace("recipe.", "[recipe]\n"),
        "random",
    )


def run(space: SearchSpace, seed: int, world: World, timing: Timing) -> RunView:
    """Search to the end, driver after driver."""
    chance = random.Random(timing.seed)

    lost: Counter[str] = Counter()

    def outcome(job: Job, _: int) -> str:
        if lost[job.trial] < LOSSES_OF_A_TRIAL - 1 and chance.random() < timing.losing:
            lost[job.trial] += 1
            return "lost"
        broken = world.breaks(job.seed)
        return "failed" if broken is not None and job.initial_epoch < broken <= job.epochs else "done"

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(HyperbandOracle, "project"),
    ):
        search = new_search(Path(folder), space, seed)
        return _drive(search, timing, outcome, chance)


def _drive(search: Search, timing: Timing, outcome, chance: random.Random) -> RunView:
    for driver in range(1000):
        stop_after = chance.randint(0, 100) if driver < timing.kills else None
        try:
            return search.drive(KnownWorkers(timing.workers, outcome, chance.choice, stop_after=stop_after))
        except (KeyboardInterrupt, TrainingError):  # Killed, or ten failures in a row.
            continue
    raise AssertionError("it does not come to an end")


class Read:
    """A finished run, by bracket and rung."""

    def __init__(self, view: RunView) -> None:
        self.view = view
        self.seeds = {trial.trial: _candidate(trial).seed(view.content["seed"]) for trial in view.trials.values()}
        self.trials: dict[tuple[int, int, int], list[Trial]] = defaultdict(list)
        for trial in view.trials.values():
            self.trials[trial.iteration, trial.bracket, trial.rung].append(trial)

    def order(self, trial: Trial) -> Order:
        """The draw that a trial goes back to."""
        while trial.promoted_from is not None:
            trial = self.view.trials[trial.promoted_from]
        return trial.slot, trial.replacement

    def table(self) -> set[tuple[object, ...]]:
        return {
            (t.iteration, t.bracket, t.rung, self.order(t), _candidate(t).key, t.epochs, t.status, t.score)
            for t in self.view.trials.values()
        }


def _candidate(trial: Trial) -> Candidate:
    return Candidate(Architecture.from_dict(trial.architecture), tuple(sorted(trial.recipe.items())))


def check_rungs(read: Read, bracket: Bracket, world: World, architectures: int, *, varied: bool) -> None:
    """The rungs of a bracket are what the model makes of its draws."""
    place = (bracket.iteration, bracket.number)
    draws = {(t.slot, t.replacement): t for t in read.trials[*place, 0]}
    assert len(draws) == len(read.trials[*place, 0]), "a draw happens once"
    if not varied:
        assert len({t.name for t in draws.values()}) == len(draws), "nothing is drawn twice in a bracket"
    survivors = []
    for slot in range(bracket.draws):
        chain = [draws[order] for order in sorted(draws) if order[0] == slot]
        assert [t.replacement for t in chain] == list(range(len(chain))), "one replacement after another"
        first = bracket.rungs[0].epochs
        trained = [t for t in chain if world.trains(read.seeds[t.trial], first)]
        assert trained == chain[-1:] or (not trained and len(draws) == architectures), "replaced until one trains"
        survivors += [((t.slot, t.replacement), read.seeds[t.trial]) for t in trained]
    for rung in bracket.rungs:
        if rung.index:
            before = rung.initial_epoch
            survivors.sort(key=lambda one: (-score_of(one[1], before), one[0]))
            kept: list[tuple[Order, int]] = []
            tried = []
            for one in survivors:
                if len(kept) < rung.size:
                    tried.append(one)
                    kept += [one] if world.trains(one[1], rung.epochs) else []
            assert {read.order(t) for t in read.trials[*place, rung.index]} == {order for order, _ in tried}
            survivors = kept
        completed = {read.order(t): t for t in read.trials[*place, rung.index] if t.status == "completed"}
        assert set(completed) == {order for order, _ in survivors}
        assert {order: t.score for order, t in completed.items()} == {
            order: score_of(seed, rung.epochs) for order, seed in survivors
        }


def score_of(seed: int, epoch: int) -> float:
    return accuracy(mock.Mock(seed=seed), epoch)


def check_planned(read: Read, space: SearchSpace, brackets: tuple[Bracket, ...]) -> None:
    """What each slot draws first follows from the seed and its place."""
    draws = Candidates(space, space.feasible(), brackets, read.view.content["seed"])
    for bracket in brackets:
        first = [t for t in read.trials[bracket.iteration, bracket.number, 0] if t.replacement == 0]
        assert {t.slot: _candidate(t) for t in first} == {
            slot: draws.draw(Draw(bracket, slot, 0), set(), set()) for slot in range(bracket.draws)
        }


def check_draws(read: Read, brackets: tuple[Bracket, ...], architectures: int) -> None:
    """Nothing comes twice in an iteration while the space has others."""
    for iteration in {bracket.iteration for bracket in brackets}:
        planned = sum(bracket.draws for bracket in brackets if bracket.iteration == iteration)
        drawn = [t for t in read.view.trials.values() if t.rung == 0 and t.iteration == iteration]
        first = [t.name for t in drawn if t.replacement == 0]
        assert len(set(first)) == min(planned, architectures)
        seen: set[str] = set()
        for trial in drawn:
            if trial.replacement and trial.name in seen | set(first):
                assert len(seen | set(first)) == architectures, "another one was left"
            seen.add(trial.name)


def check_nothing_in_vain(read: Read) -> None:
    """A trial that fails at what its candidate had failed at before says so, and was not trained."""
    failed: dict[int, list[int]] = defaultdict(list)
    for event_trial in sorted(
        (t for t in read.view.trials.values() if t.status == "failed"), key=lambda t: (t.ended or 0.0, t.trial)
    ):
        if event_trial.reason.startswith("as in trial"):
            assert min(failed[event_trial.candidate]) <= event_trial.epochs
        failed[event_trial.candidate].append(event_trial.epochs)


searches = st.fixed_dictionaries(
    {
        "sizes": st.integers(1, 6),
        "widths": st.integers(1, 8),
        "max_epochs": st.integers(1, 28),
        "factor": st.integers(2, 4),
        "iterations": st.integers(1, 2),
        "varied": st.sampled_from([False, False, True]),
        "min_epochs": st.sampled_from([1, 1, 0.2]),
    }
)
timings = st.builds(
    Timing,
    workers=st.integers(1, 6),
    seed=st.integers(0, 10**6),
    losing=st.sampled_from([0.0, 0.2]),
    kills=st.integers(0, 4),
)


@holds_for(
    60,
    slow=460,
    shrink=False,
    search=searches,
    failing=st.sampled_from([0.0, 0.1, 0.3, 0.6]),
    timing=timings,
    seed=st.integers(0, 10**6),
)
def test_the_plan_is_kept_whatever_happens(search, failing, timing, seed):
    space = space_of(**search)
    world = World(failing, seed)
    view = run(space, seed, world, timing)
    brackets = brackets_from(view.content["plan"])
    read = Read(view)
    architectures = len(space.feasible().architectures)
    assert view.state == "finished"
    assert not [t for t in view.trials.values() if t.status == "running"]
    assert set(read.trials) <= {(b.iteration, b.number, r.index) for b in brackets for r in b.rungs}
    check_planned(read, space, brackets)
    for bracket in brackets:
        check_rungs(read, bracket, world, architectures, varied=search["varied"])
    if not search["varied"]:
        check_draws(read, brackets, architectures)
    check_nothing_in_vain(read)


@holds_for(30, shrink=False, search=searches, timing=timings, seed=st.integers(0, 10**6))
def test_where_nothing_fails_every_timing_gives_the_same_table_and_winner(search, timing, seed):
    space = space_of(**search)
    one, many = (run(space, seed, World(0.0, 0), when) for when in (Timing(1, 0), timing))
    assert Read(one).table() == Read(many).table()
    assert one.winner is not None
    assert many.winner is not None
    assert [t.name for t in one.ranking()] == [t.name for t in many.ranking()]


@holds_for(10, shrink=False, timing=timings, seed=st.integers(0, 10**6), failing=st.sampled_from([0.1, 0.3]))
def test_in_a_large_space_failures_change_nothing_about_that(timing, seed, failing):
    # 9 epochs draw 17 of 400 architectures: there is room for 22 replacements of each draw.
    space = space_of(20, 20, max_epochs=9, factor=3, iterations=1, varied=False)
    one, many = (run(space, seed, World(failing, seed), when) for when in (Timing(1, 0), timing))
    assert Read(one).table() == Read(many).table()
