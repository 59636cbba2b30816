"""Asynchronous promotion against a model that looks at everything again at each step, and in whole searches.

What holds whatever happens and in whatever order:
1. a trial goes on if and only if it is the best that waits and among the top of those that have completed in its rung,
   in the share that the plan's rungs have, or certain to be among the planned number;
2. a worker is idle only when nothing can be drawn and nobody is to go on;
3. every rung is as large as planned or larger, and none is larger than the bracket's draws;
4. planned draws, replacements and resumed searches are as in a synchronous one; nothing is trained twice.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_search.search.resume import ResumeSettings
from resnet_search.search.schedule import Draw, Finished, Promote, Schedule, Step, Wait
from resnet_search.spaces.brackets import Bracket, hyperband
from resnet_search.spaces.plan import brackets_from, make_plan

from .conftest import KnownWorkers, make_space
from .test_properties import PHASES, Read, Timing, World, check_nothing_in_vain, run, searches, space_of, timings

Place = tuple[int, int, int]  # iteration, bracket, rung
Order = tuple[int, int]  # slot and replacement of a draw


@dataclass
class Model:
    """What happened in each rung, in plain sets; knows nothing of heaps, counts and slots."""

    brackets: tuple[Bracket, ...]
    running: defaultdict[Place, set[Order]] = field(default_factory=lambda: defaultdict(set))
    scores: defaultdict[Place, dict[Order, float]] = field(default_factory=lambda: defaultdict(dict))
    failed: defaultdict[Place, set[Order]] = field(default_factory=lambda: defaultdict(set))

    def tried(self, place: Place) -> set[Order]:
        return self.running[place] | set(self.scores[place]) | self.failed[place]

    def ranked(self, place: Place) -> list[Order]:
        """Completed trials that have not failed above, best first."""
        above = (*place[:2], place[2] + 1)
        scores = self.scores[place]
        return sorted(scores.keys() - self.failed[above], key=lambda order: (-scores[order], order))

    def missing(self, bracket: Bracket, rung: int) -> int:
        """Planned places of a rung that no trial has."""
        place = (bracket.iteration, bracket.number, rung)
        return max(0, bracket.rungs[rung].size - len(self.running[place]) - len(self.scores[place]))

    def to_come(self, bracket: Bracket, rung: int) -> int:
        """How many more may complete a rung on the way to its planned size."""
        place = (bracket.iteration, bracket.number, rung)
        if rung == 0:
            return len(self.running[place]) + self.missing(bracket, 0)
        below = (bracket.iteration, bracket.number, rung - 1)
        waiting = len(self.scores[below].keys() - self.tried(place))
        supply = waiting + self.to_come(bracket, rung - 1)
        return len(self.running[place]) + min(self.missing(bracket, rung), supply)

    def next_in(self, bracket: Bracket, rung: int) -> Order | None:
        """Who goes on into a rung now."""
        below, place = (bracket.iteration, bracket.number, rung - 1), (bracket.iteration, bracket.number, rung)
        ranked = self.ranked(below)
        waiting = [order for order in ranked if order not in self.tried(place)]
        if not waiting:
            return None
        best = waiting[0]
        top = len(self.scores[below]) * bracket.rungs[rung].size // bracket.rungs[rung - 1].size
        certain = self.to_come(bracket, rung - 1) < self.missing(bracket, rung)
        return best if ranked.index(best) < top or certain else None

    def expected(self) -> tuple[str, Place, Order | None] | None:
        """The next step: of the first bracket that has one, a promotion into its highest rung, or else a draw."""
        for bracket in self.brackets:
            key = (bracket.iteration, bracket.number)
            for rung in reversed(range(1, len(bracket.rungs))):
                order = self.next_in(bracket, rung)
                if order is not None:
                    return "promote", (*key, rung), order
            if self.missing(bracket, 0):
                return "draw", (*key, 0), None
        return None


def play(brackets: tuple[Bracket, ...], world: World, workers: int, timing: random.Random) -> Model:
    """Run the schedule with trials that end in any order; each of its steps is the model's."""
    keys = {(bracket.iteration, bracket.number) for bracket in brackets}
    schedule, model = Schedule(brackets, asynchronous=keys), Model(brackets)
    running: dict[str, tuple[Place, Order]] = {}
    orders: dict[str, Order] = {}
    while True:
        step: Step = schedule.next() if len(running) < workers else Wait()
        if len(running) < workers:
            assert told(step, orders) == model.expected()
        if isinstance(step, Finished):
            assert not running
            return model
        if isinstance(step, Wait):
            assert running, "waits for nothing"
            trial = timing.choice(sorted(running))
            place, order = running.pop(trial)
            model.running[place].remove(order)
            chance = random.Random(f"{world.salt}{place}{order}")
            if chance.random() < world.failing and order[1] < 5:
                schedule.failed(trial)
                model.failed[place].add(order)
            else:
                # Few values, so that ties happen.
                model.scores[place][order] = round(chance.random(), 1)
                schedule.completed(trial, model.scores[place][order])
            continue
        trial = f"{len(orders):04d}"
        if isinstance(step, Draw):
            schedule.drawn(trial, step)
            orders[trial] = (step.slot, step.replacement)
        else:
            schedule.promoted(trial, step)
            orders[trial] = orders[step.trial]
        place = (step.bracket.iteration, step.bracket.number, step.rung.index)
        running[trial] = (place, orders[trial])
        model.running[place].add(orders[trial])


def told(step: Step, orders: dict[str, Order]) -> tuple[str, Place, Order | None] | None:
    if isinstance(step, Promote):
        return "promote", (step.bracket.iteration, step.bracket.number, step.rung.index), orders[step.trial]
    if isinstance(step, Draw):
        return "draw", (step.bracket.iteration, step.bracket.number, 0), None
    return None


@settings(phases=PHASES, deadline=None)
@given(
    max_epochs=st.integers(1, 30),
    factor=st.integers(2, 4),
    iterations=st.integers(1, 2),
    candidates=st.none() | st.integers(1, 12),
    workers=st.integers(1, 12),
    failing=st.sampled_from([0.0, 0.2, 0.5]),
    seed=st.integers(0, 10**6),
)
def test_every_step_is_the_one_that_the_rules_give(max_epochs, factor, iterations, candidates, workers, failing, seed):
    brackets = hyperband(max_epochs, factor, iterations, candidates)
    model = play(brackets, World(failing, seed), workers, random.Random(seed))
    for bracket in brackets:
        for rung in bracket.rungs:
            place = (bracket.iteration, bracket.number, rung.index)
            below = (*place[:2], rung.index - 1)
            # Where failures have left too few, all that could be tried were.
            everybody = rung.index > 0 and set(model.scores[below]) <= model.tried(place)
            assert len(model.scores[place]) >= rung.size or everybody
            assert len(model.scores[place]) <= bracket.draws
            if rung.index and not failing:
                best = set(model.ranked(below)[: rung.size])
                assert best <= set(model.scores[place]), "whoever is among the best in the end went on"


def test_a_trial_goes_on_as_soon_as_it_is_in_the_top_of_those_so_far():
    (bracket, *_) = hyperband(9, 3, 1)  # 9 trials to epoch 1, 3 to epoch 3, 1 to epoch 9.
    schedule = Schedule((bracket,), asynchronous={(0, 2)})
    for slot in range(9):
        schedule.drawn(f"{slot}", Draw(bracket, slot, 0))
    steps = []
    for trial, score in enumerate([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]):
        schedule.completed(f"{trial}", score)
        step = schedule.next()
        if isinstance(step, Promote):
            steps.append((trial, step.trial, step.slot))
            schedule.promoted(f"up{step.trial}", step)
    # Each that is better than all before it: a third of three is one, and of six two.
    assert steps == [(2, "2", 0), (3, "3", 1), (4, "4", 2), (5, "5", 3)]


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


def asynchronous(search):
    return space_of(**search).with_settings(promotion="async")


@settings(phases=PHASES, max_examples=30, deadline=None)
@given(search=searches, failing=st.sampled_from([0.0, 0.1, 0.3]), timing=timings, seed=st.integers(0, 10**6))
def test_the_plan_is_kept_or_exceeded_whatever_happens(search, failing, timing, seed):
    space, world = asynchronous(search), World(failing, seed)
    view = run(space, seed, world, timing)
    read = Read(view)
    assert view.state == "finished"
    assert not [trial for trial in view.trials.values() if trial.status == "running"]
    check_nothing_in_vain(read)
    few = len(space.feasible().architectures)
    for bracket in brackets_from(view.content["plan"]):
        for rung in bracket.rungs:
            trials = read.trials[bracket.iteration, bracket.number, rung.index]
            done = sum(trial.status == "completed" for trial in trials)
            assert done <= bracket.draws
            if not failing or (few >= 4 * bracket.draws and failing < 0.2 and rung.index == 0):
                assert done >= rung.size
    assert view.planned_trials >= view.completed
    if not failing:
        assert view.planned_trials == view.completed
        assert view.planned_epochs <= make_plan(space).most_epochs


@settings(phases=PHASES, max_examples=20, deadline=None)
@given(search=searches, failing=st.sampled_from([0.0, 0.2]), timing=timings, seed=st.integers(0, 5))
def test_planned_draws_are_those_of_a_synchronous_search(search, failing, timing, seed):
    views = [
        run(space_of(**search), seed, World(0.0, 0), Timing(1, 0)),
        run(asynchronous(search), seed, World(failing, seed), timing),
    ]
    planned = [
        {
            (trial.iteration, trial.bracket, trial.slot): (trial.name, tuple(sorted(trial.recipe.items())))
            for trial in view.trials.values()
            if trial.rung == 0 and trial.replacement == 0
        }
        for view in views
    ]
    assert planned[0] == planned[1]


def in_order(view):
    return [(t.trial, t.name, t.rung, t.slot, t.promoted_from, t.parent, t.score) for t in view.trials.values()]


@pytest.mark.parametrize("stop_after", [0, 1, 2, 7, 20, 45, 70])
def test_where_the_order_is_the_same_a_killed_search_ends_the_same_to_the_last_trial(make_search, stop_after):
    space = make_space().with_settings(promotion="async")
    whole = make_search(space, number=1).drive(KnownWorkers(1))
    search = make_search(space, number=2)
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(1, stop_after=stop_after))
    assert in_order(search.drive(KnownWorkers(1))) == in_order(whole)


def test_the_same_order_of_ends_gives_the_same_search(make_search):
    space = make_space(max_epochs=27).with_settings(promotion="async")
    views = [make_search(space, number=n).drive(KnownWorkers(8, choose=random.Random(5).choice)) for n in range(2)]
    assert in_order(views[0]) == in_order(views[1])
    rungs = Counter((t.bracket, t.rung) for t in views[0].trials.values())
    planned = {(b.number, r.index): r.size for b in make_plan(space).brackets for r in b.rungs}
    assert all(rungs[place] >= size for place, size in planned.items())
    assert rungs.total() > sum(planned.values()), "else this has shown nothing"
    assert views[0].planned_trials == rungs.total()


def test_an_extension_knows_its_scores_and_waits_for_nobody(make_search):
    search = make_search(make_space().with_settings(promotion="async"))
    first = search.drive(KnownWorkers(4))
    view = search.drive(KnownWorkers(4), settings=ResumeSettings(add_epochs=6))
    kept = -(-len(first.ranking()) // 3)
    longer = [trial for trial in view.trials.values() if trial.epochs == 15]
    assert {trial.candidate for trial in longer} == {trial.candidate for trial in first.ranking()[:kept]}


def test_iterations_that_are_added_are_asynchronous_too(make_search):
    space = make_space().with_settings(promotion="async")
    search = make_search(space, number=1)
    search.drive(KnownWorkers(1))
    view = search.drive(KnownWorkers(1), settings=ResumeSettings(add_iterations=1))
    whole = make_search(space.with_settings(iterations=2), number=2).drive(KnownWorkers(1))
    assert in_order(view) == in_order(whole)
