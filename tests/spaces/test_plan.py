"""What a plan counts, in spaces larger and smaller than it."""

from __future__ import annotations

import pytest

from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan

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
