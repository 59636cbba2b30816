"""The schedule step by step: by hand, and against a model that looks at everything again at each step."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import count, islice

import pytest
from hypothesis import strategies as st

from resnet_search.networks.complexity import complexity
from resnet_search.search import schedule as module
from resnet_search.search.candidates import Candidates
from resnet_search.search.schedule import Draw, Finished, Promote, Schedule, Step, Wait
from resnet_search.spaces.brackets import Bracket, hyperband
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan
from tests.properties import holds_for

from .conftest import make_space

NINE = hyperband(9, 3, 1)  # Rungs of 9, 3 and 1 trials; of 5 and 2; of 3.
FIRST = NINE[0]


def begun(asynchronous=(), brackets=(FIRST,), slots=range(9)):
    """A schedule whose first bracket trains a trial in each of these slots, named as it."""
    schedule = Schedule(brackets, asynchronous=asynchronous)
    for slot in slots:
        schedule.drawn(f"{slot}", Draw(FIRST, slot, 0))
    return schedule


def steps(schedule):
    """All that could start now, the most wanted first."""
    offered = []
    last = schedule.next(lambda step: offered.append(step) is None)
    assert last == Wait() or not offered
    return offered


def promoted(schedule):
    """Carry out the promotions that are due; a trial is named as the one below it, with an apostrophe."""
    names = []
    while isinstance(step := schedule.next(), Promote):
        schedule.promoted(f"{step.trial}'", step)
        names.append(step.trial)
    return names


def test_slots_are_drawn_in_their_order_bracket_after_bracket():
    schedule = Schedule(NINE)
    draws = [Draw(bracket, slot, 0) for bracket in NINE for slot in range(bracket.draws)]
    for number, draw in enumerate(draws):
        assert schedule.next() == draw
        schedule.drawn(f"{number}", draw)
    assert schedule.next() == Wait()


def test_the_costliest_slot_comes_first_and_of_equals_the_one_of_the_least_number():
    costs = [2, 5, 1, 5, 3, 0, 0, 0, 0]
    asked = []
    schedule = Schedule(hyperband(9, 3, 2), lambda draw: asked.append(draw) or costs[draw.slot])
    assert [step.slot for step in steps(schedule)[:5]] == [1, 3, 4, 0, 2]
    planned = [Draw(bracket, slot, 0) for bracket in NINE for slot in range(bracket.draws)]
    assert set(asked) == set(planned[: len(set(asked))]), "brackets that have not begun are not asked"


def test_a_failed_trial_is_replaced_in_its_slot_and_each_slot_counts_by_itself():
    schedule = begun()
    for trial in ("1", "4"):
        schedule.failed(trial)
    schedule.drawn("1b", Draw(FIRST, 1, 1))
    schedule.failed("1b")
    assert steps(schedule) == [Draw(FIRST, 1, 2), Draw(FIRST, 4, 1)]


def test_a_trial_is_promoted_as_soon_as_it_is_certain():
    schedule = begun(brackets=NINE)
    scores = [0.3, 0.9, 0.1, 0.4, 0.5, 0.6, 0.8, 0.2, 0.7]
    promotions = []
    for trial in range(9):
        schedule.completed(f"{trial}", scores[trial])
        promotions.append(promoted(schedule))
    # With 7 ended the best is among the best 3 whatever 2 others score, with 8 the second, with 9 the third.
    assert promotions == [[], [], [], [], [], [], ["1"], ["6"], ["8"]]
    assert schedule.next() == Draw(NINE[1], 0, 0)


def test_a_promotion_names_the_trial_its_rung_and_the_first_free_slot():
    schedule = begun()
    for trial in range(9):
        schedule.completed(f"{trial}", trial / 10)
    assert schedule.next() == Promote(FIRST, FIRST.rungs[1], "8", 0)
    assert promoted(schedule) == ["8", "7", "6"]
    schedule.failed("7'")
    assert schedule.next() == Promote(FIRST, FIRST.rungs[1], "5", 1)


def test_a_rung_takes_no_more_than_planned_and_the_next_best_where_one_failed():
    schedule = begun()
    for trial in range(9):
        schedule.completed(f"{trial}", trial / 10)
    assert promoted(schedule) == ["8", "7", "6"]
    assert schedule.next() == Wait()
    schedule.failed("8'")
    assert promoted(schedule) == ["5"]
    for trial, score in [("7'", 0.1), ("6'", 0.3), ("5'", 0.2)]:
        schedule.completed(trial, score)
    assert promoted(schedule) == ["6'"]
    schedule.failed("6''")
    assert promoted(schedule) == ["5'"]
    schedule.completed("5''", 0.0)
    assert schedule.next() == Finished()


def test_a_tie_goes_to_the_earlier_draw_also_of_those_that_were_promoted():
    schedule = begun()
    schedule.failed("0")
    schedule.drawn("0b", Draw(FIRST, 0, 1))
    for trial in ("8", "7", "6", "5", "0b", "4", "3", "2", "1"):
        schedule.completed(trial, 0.5)
    assert promoted(schedule) == ["0b", "1", "2"]
    for trial in ("2'", "1'", "0b'"):
        schedule.completed(trial, 0.5)
    assert promoted(schedule) == ["0b'"]


def test_all_may_fail_and_the_search_is_finished_when_nothing_can_be_promoted():
    schedule = begun()
    for trial in range(9):
        schedule.completed(f"{trial}", 0.5)
    tried = []
    while due := promoted(schedule):
        tried += due
        for name in due:
            schedule.failed(f"{name}'")
    assert tried == [f"{trial}" for trial in range(9)]
    assert schedule.next() == Finished()


def test_a_slot_without_a_candidate_is_closed():
    schedule = Schedule(NINE)
    for number in range(9):
        draw = schedule.next()
        assert draw == Draw(FIRST, number, 0)
        schedule.close(draw) if number < 7 else schedule.drawn(f"{number}", draw)
    assert schedule.next() == Draw(NINE[1], 0, 0)
    schedule.completed("7", 0.1)
    assert promoted(schedule) == ["7"], "the one that still runs is the only other that there will be"
    schedule.completed("8", 0.2)
    assert promoted(schedule) == ["8"]


def test_where_no_slot_has_a_candidate_the_search_is_finished():
    schedule = Schedule(hyperband(1, 3, 1))
    schedule.close(Draw(hyperband(1, 3, 1)[0], 0, 0))
    assert schedule.next() == Finished()


@pytest.mark.parametrize(
    "again", [lambda schedule: schedule.completed("0", 0.9), lambda schedule: schedule.failed("0")]
)
def test_a_trial_that_has_completed_does_not_end_again(again):
    schedule = begun()
    schedule.completed("0", 0.1)
    again(schedule)
    for trial in range(1, 6):
        schedule.completed(f"{trial}", trial / 10)
    assert schedule.next() == Wait(), "three still run, and all may be better"
    schedule.completed("6", 0.05)
    assert promoted(schedule) == ["5"]
    for trial, score in [("7", 0.01), ("8", 0.02)]:
        schedule.completed(trial, score)
    assert promoted(schedule) == ["4", "3"], "trial 0 has its first score, and its slot"


@pytest.mark.parametrize(
    "again", [lambda schedule: schedule.completed("0", 0.9), lambda schedule: schedule.failed("0")]
)
def test_a_trial_that_has_failed_does_not_end_again(again):
    schedule = begun()
    schedule.failed("0")
    again(schedule)
    assert steps(schedule) == [Draw(FIRST, 0, 1)]
    schedule.drawn("0b", Draw(FIRST, 0, 1))
    for trial in range(1, 7):
        schedule.completed(f"{trial}", trial / 10)
    assert schedule.next() == Wait(), "three still run, and all may be better"
    again(schedule)
    assert schedule.next() == Wait(), "its slot has another trial"


def test_of_two_trials_in_a_slot_one_may_fail():
    """As in a repaired run."""
    schedule = begun()
    schedule.drawn("again", Draw(FIRST, 3, 0))
    schedule.failed("3")
    assert schedule.next() == Wait()
    schedule.failed("again")
    assert schedule.next() == Draw(FIRST, 3, 2)


def test_a_trial_of_a_slot_that_the_rung_has_not_leaves_none_behind():
    """As in a repaired run."""
    schedule = begun()
    schedule.drawn("9", Draw(FIRST, 9, 0))
    schedule.failed("9")
    assert schedule.next() == Wait()


def test_a_trial_goes_on_as_soon_as_it_is_in_the_top_of_those_so_far():
    schedule = begun(asynchronous={(0, 2)})
    promotions = []
    for trial, score in enumerate([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]):
        schedule.completed(f"{trial}", score)
        promotions.append(promoted(schedule))
    # Each that is better than all before it: a third of three is one, and of six two.
    assert promotions == [[], [], ["2"], ["3"], ["4"], ["5"]]


def test_the_share_that_goes_on_grows_with_those_that_have_completed():
    schedule = begun(asynchronous={(0, 2)})
    promotions = []
    for trial, score in enumerate([0.9, 0.1, 0.2, 0.8, 0.3, 0.4, 0.5, 0.6]):
        schedule.completed(f"{trial}", score)
        promotions.append(promoted(schedule))
    assert promotions == [[], [], ["0"], [], [], ["3"], [], []], "of 8 two, and nobody is certain"
    schedule.completed("8", 0.0)
    assert promoted(schedule) == ["7"]


def test_one_that_failed_above_leaves_its_place_in_the_top():
    schedule = begun(asynchronous={(0, 2)})
    for trial, score in enumerate([0.9, 0.1, 0.2]):
        schedule.completed(f"{trial}", score)
    assert promoted(schedule) == ["0"]
    schedule.failed("0'")
    assert promoted(schedule) == ["2"]
    schedule.completed("2'", 0.5)
    assert schedule.next() == Wait()


def test_only_brackets_that_are_asynchronous_promote_early():
    schedule = begun(asynchronous={(0, 1), (1, 2)})
    for trial in range(5):
        schedule.completed(f"{trial}", trial / 10)
    assert schedule.next() == Wait()


def test_the_highest_rung_comes_first_and_a_draw_last():
    schedule = begun(asynchronous={(0, 2)}, slots=range(6))
    for trial in range(3):
        schedule.completed(f"{trial}", (1 + trial) / 10)
        assert len(promoted(schedule)) == (trial == 2)
    for trial in (3, 4):
        schedule.completed(f"{trial}", (1 + trial) / 10)
        assert promoted(schedule) == [f"{trial}"]
    for trial, score in [("2'", 0.3), ("3'", 0.5), ("4'", 0.4)]:
        schedule.completed(trial, score)
    schedule.completed("5", 0.9)
    _, middle, top = FIRST.rungs
    assert steps(schedule) == [
        Promote(FIRST, top, "3'", 0), Promote(FIRST, middle, "5", 3), *(Draw(FIRST, slot, 0) for slot in (6, 7, 8)),
    ]  # fmt: skip


def test_with_more_in_a_rung_than_planned_nothing_is_finished_while_one_of_them_runs():
    schedule = begun(asynchronous={(0, 2)})
    for trial in range(9):
        schedule.completed(f"{trial}", trial / 10)
        promoted(schedule)
    for trial in range(2, 9):
        assert schedule.next() == Wait()
        schedule.completed(f"{trial}'", 0.9 - trial / 10)
        for name in promoted(schedule):
            schedule.completed(f"{name}'", 0.5)
    assert schedule.next() == Finished()


def test_the_worst_case_is_what_the_plan_says():
    """Scores that rise from trial to trial: in every rung, each is the best so far when it ends."""
    space = make_space(max_epochs=27).with_settings(promotion="async")
    plan = make_plan(space)
    keys = {(bracket.iteration, bracket.number) for bracket in plan.brackets}
    schedule = Schedule(plan.brackets, asynchronous=keys)
    trials = epochs = 0
    while not isinstance(step := schedule.next(), Finished):
        assert isinstance(step, Draw | Promote)
        trial = f"{trials:04d}"
        trials, epochs = trials + 1, epochs + step.rung.epochs - step.rung.initial_epoch
        if isinstance(step, Draw):
            schedule.drawn(trial, step)
        else:
            schedule.promoted(trial, step)
        schedule.completed(trial, trials / 1000)
    assert plan.trials < trials <= plan.most_trials
    assert plan.epochs < epochs <= plan.most_epochs
    synchronous = make_plan(make_space(max_epochs=27))
    assert (synchronous.most_trials, synchronous.most_epochs) == (plan.trials, plan.epochs)


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
    schedule = begun(asynchronous={(0, 2)}, slots=range(3))
    for trial in range(3):
        schedule.completed(f"{trial}", trial / 10)
    assert schedule.next() == Promote(FIRST, FIRST.rungs[1], "2", 0)
    assert schedule.next(lambda step: isinstance(step, Promote)) == Draw(FIRST, 3, 0)


def test_each_step_is_asked_about_once_whatever_has_happened_before():
    schedule = begun()
    assert schedule.next() == Wait()
    for trial in range(3):
        schedule.completed(f"{trial}", 0.5)
    for trial in (4, 7):
        schedule.failed(f"{trial}")
    assert steps(schedule) == [Draw(FIRST, 4, 1), Draw(FIRST, 7, 1)]


def test_so_many_that_wait_are_looked_at_and_no_more():
    """A small space with hundreds of iterations would make every step slow."""
    schedule = Schedule(hyperband(9, 3, 500))
    offered = steps(schedule)
    assert len(offered) == module._LOOKED_AT
    assert offered == steps(schedule), "and the same again"
    assert schedule.next() == offered[0]


Place = tuple[int, int, int]  # iteration, bracket, rung
Order = tuple[int, int]  # slot and replacement of a draw
Act = tuple[Place, Order, int]  # what starts: the rung, the draw it goes back to, and the slot of the rung


@dataclass(frozen=True)
class World:
    """Scores and failures as functions of a candidate's draw and its rung, whatever the timing."""

    seed: int
    failing: float

    def score(self, place: Place, order: Order) -> float | None:
        chance = random.Random(f"{self.seed}{place}{order}")
        # A candidate whose draw has failed often is left alone, or a first rung might never fill.
        fails = chance.random() < self.failing and order[1] < 5
        return None if fails else round(chance.random(), 1)  # Few values, so that ties happen.

    def cost(self, draw: Draw) -> float:
        return (self.seed + draw.bracket.number) * (draw.slot + 7) % 11 % 4


@dataclass
class Model:
    """What happened in each rung, in plain sets; knows nothing of heaps, counts and queues."""

    brackets: tuple[Bracket, ...]
    world: World
    asynchronous: Collection[tuple[int, int]]
    running: defaultdict[Place, set[Order]] = field(default_factory=lambda: defaultdict(set))
    scores: defaultdict[Place, dict[Order, float]] = field(default_factory=lambda: defaultdict(dict))
    failed: defaultdict[Place, set[Order]] = field(default_factory=lambda: defaultdict(set))
    slots: dict[tuple[Place, Order], int] = field(default_factory=dict)

    def tried(self, place: Place) -> set[Order]:
        return self.running[place] | set(self.scores[place]) | self.failed[place]

    def taken(self, place: Place) -> set[int]:
        """Slots that have a trial which runs or has completed."""
        return {self.slots[place, order] for order in (*self.running[place], *self.scores[place])}

    def ranked(self, place: Place) -> list[Order]:
        """Completed trials that have not failed above, best first."""
        above = (*place[:2], place[2] + 1)
        scores = self.scores[place]
        return sorted(scores.keys() - self.failed[above], key=lambda order: (-scores[order], order))

    def missing(self, bracket: Bracket, rung: int) -> int:
        """Planned places of a rung that no trial has."""
        place = place_of(bracket, rung)
        return max(0, bracket.rungs[rung].size - len(self.running[place]) - len(self.scores[place]))

    def to_come(self, bracket: Bracket, rung: int) -> int:
        """How many more may complete a rung on the way to its planned size."""
        running = len(self.running[place_of(bracket, rung)])
        if rung == 0:
            return running + self.missing(bracket, 0)
        waiting = len(self.scores[place_of(bracket, rung - 1)].keys() - self.tried(place_of(bracket, rung)))
        return running + min(self.missing(bracket, rung), waiting + self.to_come(bracket, rung - 1))

    def next_in(self, bracket: Bracket, rung: int) -> Order | None:
        """Who goes on into a rung now."""
        below, place = place_of(bracket, rung - 1), place_of(bracket, rung)
        ranked = self.ranked(below)
        waiting = [order for order in ranked if order not in self.tried(place)]
        if not waiting:
            return None
        best = waiting[0]
        if self.to_come(bracket, rung - 1) < self.missing(bracket, rung):
            return best
        top = len(self.scores[below]) * bracket.rungs[rung].size // bracket.rungs[rung - 1].size
        early = (bracket.iteration, bracket.number) in self.asynchronous
        return best if early and ranked.index(best) < top else None

    def steps(self) -> Iterator[Act]:
        """All that may start: in each bracket promotions, the highest rung first, then draws, the costliest first."""
        for bracket in self.brackets:
            for rung in reversed(range(1, len(bracket.rungs))):
                order, place = self.next_in(bracket, rung), place_of(bracket, rung)
                if order is not None:
                    yield place, order, next(slot for slot in count() if slot not in self.taken(place))
            place = place_of(bracket, 0)
            free = set(range(bracket.draws)) - self.taken(place)
            for slot in sorted(free, key=lambda slot: (-self.world.cost(Draw(bracket, slot, 0)), slot)):
                yield place, (slot, sum(failed == slot for failed, _ in self.failed[place])), slot


def place_of(bracket: Bracket, rung: int) -> Place:
    return bracket.iteration, bracket.number, rung


def play(
    brackets: tuple[Bracket, ...],
    world: World,
    workers: int,
    timing: random.Random,
    asynchronous: Collection[tuple[int, int]] = (),
    waiting: float = 0.0,
) -> Model:
    """Run the schedule with trials that end in any order; each of its steps is the model's.

    `waiting`: the share of the steps that wait for a trial elsewhere, each time that something could start.
    """
    schedule, model = Schedule(brackets, world.cost, asynchronous), Model(brackets, world, asynchronous)
    running: dict[str, tuple[Place, Order]] = {}
    orders: dict[str, Order] = {}
    while True:
        step: Step = Wait()
        if len(running) < workers:
            salt = timing.random()

            def waits(act: Act, salt: float = salt) -> bool:
                return bool(running) and hash((salt, act)) % 100 < 100 * waiting

            step = schedule.next(lambda step, waits=waits: waits(act_of(step, orders)))
            next_act = next((act for act in islice(model.steps(), module._LOOKED_AT) if not waits(act)), None)
            if next_act is None:
                assert step == (Wait() if running else Finished())
            else:
                assert act_of(step, orders) == next_act
        if isinstance(step, Finished):
            return model
        if isinstance(step, Wait):
            trial = timing.choice(sorted(running))
            place, order = running.pop(trial)
            model.running[place].remove(order)
            score = world.score(place, order)
            if score is None:
                schedule.failed(trial)
                model.failed[place].add(order)
            else:
                schedule.completed(trial, score)
                model.scores[place][order] = score
            continue
        trial = f"{len(orders):04d}"
        place, order, slot = act_of(step, orders)
        schedule.drawn(trial, step) if isinstance(step, Draw) else schedule.promoted(trial, step)
        orders[trial], running[trial] = order, (place, order)
        model.running[place].add(order)
        model.slots[place, order] = slot


def act_of(step: Draw | Promote, orders: dict[str, Order]) -> Act:
    order = (step.slot, step.replacement) if isinstance(step, Draw) else orders[step.trial]
    return place_of(step.bracket, step.rung.index), order, step.slot


def expected(brackets: tuple[Bracket, ...], world: World) -> dict[Place, set[Order]]:
    """Which draws complete each rung of synchronous brackets, computed rung by rung with everything known."""
    completed: dict[Place, set[Order]] = {}
    for bracket in brackets:
        place = place_of(bracket, 0)
        ranked = []
        for slot in range(bracket.draws):
            replacement = next(r for r in count() if world.score(place, (slot, r)) is not None)
            ranked.append((slot, replacement))
        completed[place] = set(ranked)
        for rung in bracket.rungs[1:]:
            below = place
            ranked.sort(key=lambda order: (-(world.score(below, order) or 0.0), order))
            place = place_of(bracket, rung.index)
            ranked = [order for order in ranked if world.score(place, order) is not None][: rung.size]
            completed[place] = set(ranked)
    return completed


plans = st.builds(
    hyperband,
    max_epochs=st.integers(1, 30),
    factor=st.integers(2, 4),
    iterations=st.integers(1, 2),
    candidates=st.none() | st.integers(1, 12),
)
shares = st.sampled_from([0.0, 0.3])
worlds = st.builds(World, seed=st.integers(0, 10**6), failing=st.sampled_from([0.0, 0.2, 0.5]))


@holds_for(100, plan=plans, world=worlds, workers=st.integers(1, 6), timing=st.integers(0, 10**6), waiting=shares)
def test_every_rung_is_the_one_that_the_rules_give(plan, world, workers, timing, waiting):
    model = play(plan, world, workers, random.Random(timing), waiting=waiting)
    completed = {place: set(scores) for place, scores in model.scores.items() if scores}
    assert completed == {place: orders for place, orders in expected(plan, world).items() if orders}


@holds_for(100, plan=plans, world=worlds, workers=st.integers(1, 12), timing=st.integers(0, 10**6), waiting=shares)
def test_every_step_is_the_one_that_the_rules_of_asynchronous_promotion_give(plan, world, workers, timing, waiting):
    some = {(b.iteration, b.number) for b in plan if world.seed % 4 or b.number % 2}
    model = play(plan, world, workers, random.Random(timing), some, waiting)
    for bracket in plan:
        for rung in bracket.rungs:
            place, below = place_of(bracket, rung.index), place_of(bracket, rung.index - 1)
            # Where failures have left too few, all that could be tried were.
            everybody = rung.index > 0 and set(model.scores[below]) <= model.tried(place)
            assert len(model.scores[place]) >= rung.size or everybody
            assert len(model.scores[place]) <= bracket.draws
            if rung.index and not world.failing:
                best = set(model.ranked(below)[: rung.size])
                assert best <= set(model.scores[place]), "whoever is among the best in the end went on"


def test_without_failures_every_rung_has_its_planned_size():
    brackets = hyperband(27, 3, 1)
    model = play(brackets, World(0, 0.0), 3, random.Random(0))
    planned = {place_of(b, r.index): r.size for b in brackets for r in b.rungs}
    assert {place: len(scores) for place, scores in model.scores.items() if scores} == planned
    assert len(model.slots) == 70


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
        sooner, later = (sum(wall_time(space, seed, workers, cost) for seed in range(50)) for cost in (True, False))
        ratios[workers] = sooner / later
    assert ratios[2] < 0.97
    assert ratios[8] < 1
