"""One rung in counts and queues: slots that are taken, closed and given back; trials that wait and go further."""

from __future__ import annotations

import pytest

from resnet_search.search.rungs import Entry, RungState, Slots

COSTS = [3.0, 1.0, 2.0, 1.0]  # The order of the slots is 1, 3, 2, 0.


def slots(*taken):
    four = Slots(4, COSTS.__getitem__)
    for slot in taken:
        four.take(slot)
    return four


def entry(number, score=None, *, order=None):
    """A trial of slot `number`, named as trials are."""
    return Entry(f"{number:04d}", number, order or (number, 0), score=score)


def rung(*scores):
    """A rung in which trials completed with these scores, one after another."""
    state = RungState(Slots(len(scores), float))
    entries = [entry(number) for number in range(len(scores))]
    for one, score in zip(entries, scores, strict=True):
        state.complete(one, score)
    return state, entries


def in_order(free):
    return [free.first(), *free.others()]


def test_free_slots_come_by_key_and_then_by_number():
    assert slots().others() == [3, 2, 0], "whether the first was asked for or not"
    assert in_order(slots()) == [1, 3, 2, 0]
    assert in_order(Slots(3, lambda _: 0.0)) == [0, 1, 2]
    assert len(slots()) == 4


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("leave", [Slots.take, Slots.close])
def test_a_slot_that_is_taken_or_closed_is_free_no_more(leave, asked):
    free = slots()
    for slot, left in [(3, [1, 2, 0]), (1, [2, 0]), (2, [0])]:
        if asked:
            free.first()
        leave(free, slot)
        assert (in_order(free), len(free)) == (left, len(left))
    leave(free, 0)
    assert not free


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("back", [1, 3, 0])
def test_a_slot_that_is_given_back_has_its_old_place(back, asked):
    free = slots()
    if asked:
        free.first()
    free.take(back)
    if asked and len(free):
        free.first()
    free.give_back(back)
    assert (in_order(free), len(free)) == ([1, 3, 2, 0], 4)
    free.take(back)
    assert in_order(free) == [slot for slot in [1, 3, 2, 0] if slot != back]


def test_the_only_slot_can_be_taken_and_given_back_again_and_again():
    free = Slots(1, float)
    for _ in range(3):
        assert (free.first(), free.others()) == (0, [])
        free.take(0)
        assert not free
        free.give_back(0)
    assert len(free) == 1


def test_a_slot_with_two_trials_is_free_when_both_have_failed():
    """As in a repaired run."""
    free = slots(1, 1)
    free.give_back(1)
    assert in_order(free) == [3, 2, 0]
    free.give_back(1)
    assert in_order(free) == [1, 3, 2, 0]


@pytest.mark.parametrize("slot", [4, 9])
def test_a_slot_beyond_the_rung_is_never_free(slot):
    """As in a repaired run."""
    free = slots(slot)
    assert len(free) == 4
    free.give_back(slot)
    assert (in_order(free), len(free)) == ([1, 3, 2, 0], 4)


def test_what_slots_cost_is_asked_when_one_is_needed_and_of_free_ones_alone():
    asked = []
    free = Slots(4, lambda slot: asked.append(slot) or COSTS[slot])
    free.take(2)
    free.close(3)
    free.take(0)
    free.give_back(0)
    assert not asked
    assert in_order(free) == [1, 0]
    assert sorted(asked) == [0, 1]


def test_a_trial_begins_running_without_a_score_and_not_taken():
    begun = Entry("0000", 2, (2, 1))
    assert (begun.running, begun.score, begun.taken, begun.below) == (True, None, False, None)


def test_an_empty_rung_has_no_trials():
    state = RungState(Slots(3, float))
    assert (state.running, state.waiting, state.completed) == (0, 0, 0)


def test_higher_scores_rank_first_and_ties_go_to_the_earlier_draw():
    entries = [
        entry(0, 0.0), entry(1, 0.5), entry(2, 0.9), entry(3, 0.5), entry(4, 0.5, order=(1, 1)), entry(5, -0.5),
    ]  # fmt: skip
    ranked = sorted(entries, key=lambda one: one.rank)
    assert [one.trial for one in ranked] == ["0002", "0001", "0004", "0003", "0000", "0005"]


def test_the_best_waits_first():
    state, entries = rung(0.2, 0.9, 0.5, 0.9)
    assert (state.waiting, state.completed) == (4, 4)
    for number, left in [(1, 3), (3, 2), (2, 1)]:
        assert state.best() is entries[number]
        state.take(entries[number])
        assert (state.waiting, state.completed) == (left, 4)
    assert state.best() is entries[0]


def test_one_that_completes_later_may_be_the_best():
    state, _ = rung(0.2, 0.5)
    state.complete(later := entry(2), 0.7)
    assert state.best() is later
    assert later.score == 0.7


def test_any_that_waits_may_be_taken():
    """As by the events of a run that had another rule."""
    state, entries = rung(0.9, 0.5, 0.2)
    state.take(entries[1])
    assert (state.best(), state.ahead(), state.waiting) == (entries[0], 0, 2)
    state.take(entries[0])
    assert (state.best(), state.ahead(), state.waiting) == (entries[2], 2, 1)


def test_one_that_is_taken_twice_counts_once():
    state, entries = rung(0.9, 0.5, 0.2)
    state.take(entries[0])
    state.take(entries[0])
    assert (state.waiting, state.ahead(), state.best()) == (2, 1, entries[1])


def test_one_that_is_taken_before_it_has_completed_never_waits():
    """As one of a restored run that was reopened after it had gone further."""
    state, entries = rung(0.5, 0.2)
    state.take(reopened := entry(2))
    assert (state.waiting, state.ahead()) == (2, 0)
    state.complete(reopened, 0.9)
    assert (state.waiting, state.completed) == (2, 3)
    assert (state.best(), state.ahead()) == (entries[0], 1)
    state.take(reopened)
    assert (state.waiting, state.ahead()) == (2, 1)


def test_ahead_are_those_that_are_better_and_went_further():
    state, entries = rung(0.4, 0.3, 0.2)
    assert state.ahead() == 0
    for number in range(2):
        state.take(entries[number])
        assert state.ahead() == number + 1
    state.complete(entry(3), 0.9)
    assert state.ahead() == 0
    state.complete(equal := entry(4, order=(0, 1)), 0.4)
    state.take(state.best())
    assert state.best() is equal
    assert state.ahead() == 2, "the one before it in a tie is ahead, too"


@pytest.mark.parametrize("failed", [0, 1, 2])
def test_those_that_failed_above_are_not_ahead(failed):
    state, entries = rung(0.4, 0.3, 0.2, 0.1)
    for taken in entries[:3]:
        state.take(taken)
    assert state.ahead() == 3
    for _ in range(2):
        state.failed_above(entries[failed])
        assert state.ahead() == 2, "each counts once"
    assert (state.waiting, state.completed) == (1, 4)


def test_one_that_failed_above_without_a_score_leaves_the_others_ahead():
    state, entries = rung(0.4, 0.3)
    state.take(entries[0])
    state.take(reopened := entry(2))
    state.failed_above(reopened)
    assert state.ahead() == 1


def test_two_trials_of_one_draw_wait_in_the_order_of_their_names_and_neither_is_ahead_of_the_other():
    """As in a repaired run."""
    state, (first,) = rung(0.5)
    state.complete(again := entry(1, order=first.order), 0.5)
    assert state.best() is first
    state.take(first)
    assert (state.best(), state.ahead(), state.waiting) == (again, 0, 1)
