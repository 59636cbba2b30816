"""The schedule against an independent model of Hyperband, and against Keras Tuner's own oracle."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from resnet_search.networks.complexity import complexity
from resnet_search.search.candidates import Candidates
from resnet_search.search.schedule import Draw, Finished, Promote, Schedule, Wait
from resnet_search.spaces.brackets import Bracket, hyperband
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan

Place = tuple[int, int, int]  # iteration, bracket, rung


class World:
    """Scores and failures as functions of a candidate's draw and its rung, whatever the timing."""

    def __init__(self, seed: int, failing: float) -> None:
        self.seed, self.failing = seed, failing

    def score(self, place: Place, order: tuple[int, int]) -> float | None:
        chance = random.Random(f"{self.seed}{place}{order}")
        # A candidate whose draw has failed often is left alone, or a first rung might never fill.
        fails = chance.random() < self.failing and order[1] < 5
        return None if fails else round(chance.random(), 1)  # Few values, so that ties happen.


def expected(brackets: tuple[Bracket, ...], world: World) -> dict[Place, set[tuple[int, int]]]:
    """Which draws complete each rung, computed rung by rung with everything known."""
    found: dict[Place, set[tuple[int, int]]] = {}
    for bracket in brackets:
        place = (bracket.iteration, bracket.number, 0)
        ranked = []
        for slot in range(bracket.draws):
            replacement = next(r for r in range(100) if world.score(place, (slot, r)) is not None)
            ranked.append((slot, replacement))
        found[place] = set(ranked)
        for rung in bracket.rungs[1:]:
            below = place
            ranked.sort(key=lambda order: (-(world.score(below, order) or 0.0), order))
            place = (bracket.iteration, bracket.number, rung.index)
            ranked = [order for order in ranked if world.score(place, order) is not None][: rung.size]
            found[place] = set(ranked)
    return found


def simulate(
    brackets: tuple[Bracket, ...], world: World, workers: int, timing: random.Random
) -> tuple[dict[Place, set[tuple[int, int]]], int]:
    """Run the schedule with trials that end in any order."""
    schedule = Schedule(brackets)
    running: dict[str, tuple[Place, tuple[int, int]]] = {}
    orders: dict[str, tuple[int, int]] = {}
    completed: dict[Place, set[tuple[int, int]]] = defaultdict(set)
    created = 0
    while True:
        step = schedule.next() if len(running) < workers else Wait()
        if isinstance(step, Finished):
            assert not running
            return dict(completed), created
        if isinstance(step, Wait):
            assert running, "waits for nothing"
            trial = timing.choice(sorted(running))
            place, order = running.pop(trial)
            score = world.score(place, order)
            if score is None:
                schedule.failed(trial)
            else:
                schedule.completed(trial, score)
                completed[place].add(order)
            continue
        trial = f"{created:04d}"
        created += 1
        bracket = step.bracket
        if isinstance(step, Draw):
            schedule.drawn(trial, step)
            order = (step.slot, step.replacement)
        else:
            schedule.promoted(trial, step)
            order = orders[step.trial]
        orders[trial] = order
        running[trial] = ((bracket.iteration, bracket.number, step.rung.index), order)


@given(
    max_epochs=st.integers(1, 40),
    factor=st.integers(2, 4),
    iterations=st.integers(1, 2),
    candidates=st.none() | st.integers(1, 12),
    workers=st.integers(1, 6),
    failing=st.sampled_from([0.0, 0.2, 0.5]),
    seed=st.integers(0, 10**6),
)
def test_every_rung_is_the_one_that_the_rules_give(max_epochs, factor, iterations, candidates, workers, failing, seed):
    brackets = hyperband(max_epochs, factor, iterations, candidates)
    world = World(seed, failing)
    completed, _ = simulate(brackets, world, workers, random.Random(seed))
    assert completed == {place: orders for place, orders in expected(brackets, world).items() if orders}


def test_without_failures_every_rung_has_its_planned_size():
    brackets = hyperband(27, 3, 1)
    completed, created = simulate(brackets, World(0, 0.0), 3, random.Random(0))
    planned = {(b.iteration, b.number, r.index): r.size for b in brackets for r in b.rungs}
    assert {place: len(orders) for place, orders in completed.items()} == planned
    assert created == 70


def test_a_trial_is_promoted_as_soon_as_it_is_certain():
    schedule = Schedule(hyperband(3, 3, 1))  # 3 trials to epoch 1, 1 to epoch 3; then 2 to epoch 3.
    for slot in range(3):
        step = schedule.next()
        assert isinstance(step, Draw)
        assert step.slot == slot
        schedule.drawn(f"{slot}", step)
    schedule.completed("0", 0.9)
    schedule.completed("1", 0.5)
    step = schedule.next()
    assert isinstance(step, Draw), "trial 2 may still beat trial 0, so the next bracket goes on"
    assert step.bracket.number == 0
    schedule.completed("2", 0.9)
    step = schedule.next()
    assert isinstance(step, Promote)
    assert step.trial == "0", "a tie goes to the earlier draw"


def test_a_slot_without_a_candidate_is_closed():
    schedule = Schedule(hyperband(1, 3, 1))
    step = schedule.next()
    assert isinstance(step, Draw)
    schedule.close(step)
    assert isinstance(schedule.next(), Finished)


def wall_time(space, seed, workers, cost):
    """How long a search takes on a virtual clock where an epoch takes as long as it has multiply-adds."""
    plan = make_plan(space)
    draws = Candidates(space, plan.feasible, plan.brackets, seed)
    schedule = Schedule(plan.brackets, (lambda draw: complexity(draws.planned(draw)).macs) if cost else lambda _: 0.0)
    now, created = 0, 0
    running: list[tuple[int, str]] = []
    of_trial: dict[str, tuple[Place, int]] = {}  # of the draw: its place and the multiply-adds of its network
    while not isinstance(step := schedule.next() if len(running) < workers else Wait(), Finished):
        if isinstance(step, Wait):
            now, trial = heapq.heappop(running)
            schedule.completed(trial, random.Random(f"{seed}{of_trial[trial][0]}").random())
            continue
        trial = f"{created:04d}"
        created += 1
        if isinstance(step, Draw):
            schedule.drawn(trial, step)
            place = (step.bracket.iteration, step.bracket.number, step.slot)
            of_trial[trial] = (place, complexity(draws.planned(step)).macs)
        else:
            schedule.promoted(trial, step)
            of_trial[trial] = of_trial[step.trial]
        epochs = step.rung.epochs - step.rung.initial_epoch
        heapq.heappush(running, (now + epochs * of_trial[trial][1], trial))
    return now


def test_the_costliest_draw_comes_first_and_searches_end_sooner():
    # The space of benchmarks/whole_search.py.
    text = """
    [axes]
    n = [1, 2, 3]
    width = [8, 16]
    block = ["basic", "bottleneck", "resnext"]
    cardinality = [2, 4]
    [hyperband]
    max_epochs = 9
    [data]
    source = "shapes"
    """
    space = parse_space(text, "whole")
    ratios = {}
    for workers in (2, 8):
        sooner, later = (sum(wall_time(space, seed, workers, cost) for seed in range(100)) for cost in (True, False))
        ratios[workers] = sooner / later
    assert ratios[2] < 0.97
    assert ratios[8] < 1


def test_a_step_that_waits_lets_the_next_one_start_and_comes_first_again():
    plan = hyperband(9, 3, 2)
    schedule, first = Schedule(plan), Draw(plan[0], 0, 0)
    assert schedule.next() == first
    assert schedule.next(first.__eq__) == Draw(plan[0], 1, 0)
    assert schedule.next(lambda step: step.bracket.number == 2) == Draw(plan[1], 0, 0)
    assert schedule.next(lambda _: True) == Wait()
    assert schedule.next() == first
    trials = 0
    while not isinstance(
        step := schedule.next(lambda step: isinstance(step, Draw) and step.slot == 0), Wait | Finished
    ):
        name = f"{trials:04d}"
        trials += 1
        schedule.drawn(name, step) if isinstance(step, Draw) else schedule.promoted(name, step)
        schedule.completed(name, trials / 1000)
    assert step == Wait(), "slots that wait are not done"
    assert schedule.next() == first


def test_a_promotion_that_waits_lets_a_draw_start():
    [bracket, *_] = plan = hyperband(9, 3, 1)
    schedule = Schedule(plan, asynchronous={(bracket.iteration, bracket.number)})
    for number in range(3):
        draw = schedule.next()
        assert isinstance(draw, Draw)
        schedule.drawn(str(number), draw)
        schedule.completed(str(number), number / 10)
    assert schedule.next() == Promote(bracket, bracket.rungs[1], "2", 0)
    assert schedule.next(lambda step: isinstance(step, Promote)) == Draw(bracket, 3, 0)


def test_so_many_that_wait_are_looked_at_and_no_more():
    """A small space with hundreds of iterations would make every step slow."""
    asked = []
    schedule = Schedule(hyperband(9, 3, 500))
    assert schedule.next(lambda step: asked.append(step) is None) == Wait()
    assert 0 < len(asked) <= 100
