"""What a worker of a search needs on a GPU."""

from __future__ import annotations

from resnet_search.networks.memory import HIGHEST, training_memory
from resnet_search.search.memory import largest_trial
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan

SPACE = """
description = "two networks"
[axes]
block = ["basic"]
n = [1]
width = [4, 16]
[hyperband]
max_epochs = 3
[recipe]
batch_size = [32, 128]
[data]
source = "shapes"
image_size = 32
"""


def test_the_largest_network_in_the_largest_step_beside_the_images():
    space = parse_space(SPACE, "two")
    plan = make_plan(space)
    needs = [training_memory(one, batch=128) for one in plan.feasible.architectures]
    assert len(set(needs)) == 2
    assert largest_trial(space, plan, 1000) == 1000 + round(max(needs) * (1 + HIGHEST))
