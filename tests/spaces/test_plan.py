"""What a plan counts, in spaces larger and smaller than it."""

from __future__ import annotations

import pytest

from resnet_search.errors import SpaceError
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import check_steps, make_plan

SPACE = """
[axes]
n = {n}
width = [8]
block = ["basic"]

[hyperband]
max_epochs = {epochs}
iterations = {iterations}

[data]
source = "shapes"
{recipe}
"""
VARIED = '[recipe]\nname = "search"\nlearning_rate = { min = 0.05, max = 0.2 }'


@pytest.mark.parametrize(
    ("n", "epochs", "iterations", "recipe", "candidates", "again"),
    [
        ([1], 27, 1, "", 1, True),
        ([1, 2], 3, 1, "", 2, True),
        (list(range(1, 21)), 3, 1, "", 5, False),
        (list(range(1, 21)), 3, 2, "", 10, True),
        ([1], 3, 1, VARIED, 5, False),
    ],
)
def test_candidates_are_no_more_than_there_are(
    n: list[int], epochs: int, iterations: int, recipe: str, candidates: int, again: bool
) -> None:
    plan = make_plan(parse_space(SPACE.format(n=n, epochs=epochs, iterations=iterations, recipe=recipe), "small"))
    assert (plan.candidates, plan.draws_again) == (candidates, again)
    assert plan.full_epochs == candidates * epochs


def test_a_grid_draws_nothing_again() -> None:
    text = 'method = "grid"\n' + SPACE.format(n=[1, 2], epochs=3, iterations=1, recipe="").replace("iterations = 1", "")
    plan = make_plan(parse_space(text, "small"))
    assert (plan.candidates, plan.draws_again, plan.full_epochs) == (2, False, 6)


@pytest.mark.parametrize(("images", "fits"), [(160, True), (80, True), (64, False), (1, False)])
def test_every_trial_takes_a_step(images, fits):
    """An epoch has 10, 5, 4 or 1 steps of 16 images, and the first rungs end after 0.11 and 0.33 epochs."""
    space = parse_space(SPACE.format(n=[1, 2, 3], epochs=9, iterations=1, recipe=""), "steps")
    short = space.with_settings(min_epochs=0.1)
    check_steps(space, make_plan(space), images, min(16, images))
    if fits:
        check_steps(short, make_plan(short), images, 16)
        return
    with pytest.raises(SpaceError, match=r"min_epochs: got 0\.1.* (0\.12|1)\b"):
        check_steps(short, make_plan(short), images, min(16, images))
