"""What a run must say of its plan to be driven."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from resnet_search.errors import RunError
from resnet_search.files import read_lines, write_lines
from resnet_search.runs.planned import check_drivable
from resnet_search.runs.trials import read_run
from resnet_search.spaces.brackets import grid, hyperband
from resnet_search.spaces.plan import brackets_from
from tests.cli.conftest import make_run


def check(folder: Any, content: dict[str, Any], **changed: Any) -> None:
    (folder.path / "run.json").write_text(json.dumps({**content, **changed}))
    check_drivable(read_run(folder, locked=False))


def test_every_plan_of_ours_can_be_driven(tmp_path: Path) -> None:
    from dataclasses import asdict

    folder = make_run(tmp_path, "run", stop_after=0)
    content = folder.read()
    folder.events.write_text("")
    plans = [hyperband(epochs, factor, 2) for epochs in (1, 2, 9, 10, 81, 100) for factor in (2, 3, 4, 10)]
    for plan in (*plans, hyperband(9, 3, 3, candidates=2), grid(7, 5)):
        check(folder, content, plan=[asdict(bracket) for bracket in plan])
        assert brackets_from(folder.read()["plan"]) == plan


def _twice(plan: list[Any]) -> None:
    plan.append(deepcopy(plan[0]))


def _same_index(plan: list[Any]) -> None:
    plan[0]["rungs"][1]["index"] = 0


def _growing(plan: list[Any]) -> None:
    plan[0]["rungs"][1]["size"] = 10_000


def _gap(plan: list[Any]) -> None:
    plan[0]["rungs"][1]["initial_epoch"] += 1


def _empty(plan: list[Any]) -> None:
    plan[-1]["rungs"] = []


def _offset(plan: list[Any]) -> None:
    plan[0]["offset"] = [1]


def _backwards(plan: list[Any]) -> None:
    plan[0]["rungs"][0]["initial_epoch"] = 2


@pytest.mark.parametrize("damage", [_twice, _same_index, _growing, _gap, _empty, _offset, _backwards])
def test_a_plan_that_would_never_end_is_damage(tmp_path: Path, damage: Any) -> None:
    folder = make_run(tmp_path, "run", stop_after=0)
    content = folder.read()
    plan = deepcopy(content["plan"])
    damage(plan)
    with pytest.raises(RunError, match="is damaged"):
        check(folder, content, plan=plan)


@pytest.mark.parametrize("changed", [{"seed": []}, {"seed": -1}, {"horizon": [1]}, {"horizon": 0}, {"seed": True}])
def test_what_is_no_number_is_damage(tmp_path: Path, changed: dict[str, Any]) -> None:
    folder = make_run(tmp_path, "run", stop_after=0)
    with pytest.raises(RunError, match="is damaged"):
        check(folder, folder.read(), **changed)


@pytest.mark.parametrize("values", [{"rung": 7}, {"slot": 2**31}])
def test_a_trial_without_a_place_in_the_plan_is_damage(tmp_path: Path, values: dict[str, int]) -> None:
    folder = make_run(tmp_path, "run")
    lines = read_lines(folder.events)
    place = next(number for number, line in enumerate(lines) if line["event"] == "created")
    lines[place] |= values
    write_lines(folder.events, lines)
    with pytest.raises(RunError, match="trial 0000: slot ") as caught:
        check_drivable(read_run(folder, locked=False))
    assert "doctor" in caught.value.cure
