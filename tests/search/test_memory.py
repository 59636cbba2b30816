"""What a worker of a search needs on a GPU."""

from __future__ import annotations

from resnet_search.networks.architecture import Architecture
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
    data = {"image_shape": [32, 32, 3], "classes": list(range(10)), "train": 10}
    content = {"space": space.to_dict(), "recipe": {"batch_size": "auto"}, "data": data, "known": []}
    assert largest_trial(content, plan) == largest_trial(content) == 30_720 + round(max(needs) * (1 + HIGHEST))


def test_known_candidates_count_each_with_its_own_batch():
    space = parse_space(SPACE, "two")
    data = {"image_shape": [32, 32, 3], "classes": list(range(10)), "train": 10}
    large = Architecture.from_axes(block="basic", n=3, width=64)
    known = [{"candidates": [{"architecture": large.to_dict(), "recipe": {"batch_size": 16}}]}]
    content = {"space": space.to_dict(), "recipe": {"batch_size": "auto"}, "data": data, "known": known}
    content["of"] = {"run": "x"}
    expected = round(training_memory(large, batch=16) * (1 + HIGHEST))
    assert largest_trial(content) == 30_720 + expected
    assert largest_trial({**content, "of": None}) > largest_trial({**content, "of": None, "known": []})
