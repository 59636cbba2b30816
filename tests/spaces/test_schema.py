"""The schema is the one description of a space file: the dataclasses, the checks and the page agree with it."""

from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path

import pytest

from resnet_search.errors import SpaceError
from resnet_search.spaces import Range, SearchSpace, parse_space
from resnet_search.spaces.schema import KEYS, TRACKERS
from resnet_search.training.recipe import RECIPES, recipe_fields

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "spaces.md").read_text(encoding="utf-8")
ALL_KEYS = [
    *((table, name, key.allowed, key.unit) for table, keys in KEYS.items() for name, key in keys.items()),
    *(("recipe", name, field.allowed, field.unit) for name, field in recipe_fields().items()),
]


@pytest.mark.parametrize(("table", "name", "allowed", "unit"), ALL_KEYS)
def test_the_page_names_every_key_with_its_range_and_unit(table, name, allowed, unit):
    section = PAGE.split(f"\n## [{table}]")[1].split("\n## ")[0]
    assert f"| `{name}` | {allowed} | {unit} |" in section


def test_the_page_names_every_recipe():
    assert all(f"`{name}`" in PAGE for name in RECIPES)


def test_the_files_in_the_page_are_spaces():
    (text,) = [part.split("```")[0] for part in PAGE.split("```toml\n")[1:]]
    assert "axes" in tomllib.loads(text)
    assert parse_space(text, "page.toml").feasible().total == 6


def test_the_table_of_shipped_spaces_in_the_page_is_true(shipped):
    for space in shipped:
        found = space.feasible()
        assert f"| `{space.name}` | {len(found.architectures)} of {found.total} |" in PAGE


@pytest.mark.parametrize(
    ("drawn", "whole"),
    [(Range(0.1, 0.4), False), (Range(0.1, 10.0, log=True), False), (Range(1, 5), True), (Range(1, 9, log=True), True)],
)
def test_a_draw_stays_inside_its_range_and_reaches_all_of_it(drawn, whole):
    rng = random.Random(0)
    values = [drawn.draw(rng) for _ in range(2_000)]
    assert all(drawn.min <= value <= drawn.max for value in values)
    assert all(isinstance(value, int) == whole for value in values)
    if whole:
        assert set(values) == set(range(int(drawn.min), int(drawn.max) + 1))


def test_a_logarithmic_draw_is_as_likely_in_each_decade():
    rng = random.Random(0)
    values = [Range(1e-3, 10.0, log=True).draw(rng) for _ in range(4_000)]
    assert [
        sum(low <= value < 10 * low for value in values) / 1_000 for low in (1e-3, 1e-2, 0.1, 1.0)
    ] == pytest.approx([1] * 4, abs=0.15)


def test_numbers_of_a_ranged_float_are_floats_even_if_written_as_integers():
    space = parse_space(
        "[axes]\nn = 1\nwidth = 8\nblock = 'basic'\n[recipe]\nlearning_rate = { min = 1, max = 2 }", "x.toml"
    )
    assert space.recipe["learning_rate"] == Range(1.0, 2.0)
    assert isinstance(space.draw_recipe(random.Random(0))["learning_rate"], float)
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space


@pytest.mark.parametrize("given", ['"mlflow"', '["mlflow"]'])
def test_a_space_says_who_is_told(given):
    text = f"track = {given}\n[axes]\nn = 1\nwidth = 8\nblock = 'basic'\n"
    space = parse_space(text, "x.toml")
    assert space.track == ("mlflow",)
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    assert all(f'"{name}"' in PAGE for name in TRACKERS)
    with pytest.raises(SpaceError, match=r'track: got "comet"; allowed: .*"mlflow"'):
        parse_space(text.replace("mlflow", "comet"), "x.toml")
    with pytest.raises(SpaceError, match="track"):
        parse_space(f"[axes]\nn = 1\nwidth = 8\nblock = 'basic'\ntrack = {given}\n", "x.toml")
