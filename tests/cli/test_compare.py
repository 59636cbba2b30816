"""`compare`: its tables, its warnings, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnet_search.runs.folder import RunFolder
from resnet_search.spaces.load import load_space

from .conftest import Outcome, make_run

Command = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def changed(run: RunFolder, **data: Any) -> None:
    content = json.loads((run.path / "run.json").read_text())
    content["data"].update(data)
    (run.path / "run.json").write_text(json.dumps(content))


def test_tables(place: Path, command: Command) -> None:
    make_run(place, "a")
    make_run(place, "b", versions={"python": "3.12.1"})
    out = command("compare", "a", "b").out
    assert "NOT COMPARABLE" not in out
    assert "\nDifference a and b are equal, within the standard error of a difference, " in out
    assert "Trained by all of them: 1" in out
    assert "Ranks      a and b: correlation 1.00 (Spearman) over " in out
    assert out.splitlines()[-2:] == ["setting          a       b", "versions.python  3.11.7  3.12.1"]


def test_it_says_first_that_scores_are_of_other_images(place: Path, command: Command) -> None:
    make_run(place, "a")
    changed(make_run(place, "data"), fingerprint="1" * 64)
    changed(make_run(place, "split"), validation=400)
    out = command("compare", "a", "data").out
    assert out.startswith("NOT COMPARABLE: these runs are of different images.")
    assert "Difference" not in out
    assert "\nNo verdict a and data are of different images\n" in out
    out = command("compare", "a", "split").out
    assert out.startswith("NOT COMPARABLE score by score: these runs are of the same images, but trained or validated")
    assert "Difference" not in out
    assert "\nNo verdict a and split were trained or validated on different parts of their images\n" in out


def test_of_a_fingerprint_twelve_digits_are_told(
    place: Path, command: Command, terminal: Callable[[int], None]
) -> None:
    make_run(place, "a")
    changed(make_run(place, "data"), fingerprint="1" * 64)
    terminal(80)
    [line] = [line.split() for line in command("compare", "a", "data").out.splitlines() if "fingerprint" in line]
    assert line == ["data.fingerprint", "0" * 12, "1" * 12]
    [told] = json.loads(command("compare", "a", "data", "--json").out)["differences"]
    assert told["values"] == ["0" * 64, "1" * 64]


def test_scores_of_other_epochs_get_no_verdict(place: Path, command: Command, terminal: Callable[[int], None]) -> None:
    make_run(place, "whole")
    make_run(place, "begun", stop_after=5)
    make_run(place, "short", space=load_space("quickstart").with_settings(max_epochs=3))
    out = " ".join(command("compare", "whole", "begun", "short").out.split())
    below = "such scores do not compare; below is their best so far at equal epochs"
    assert f"No verdict whole after 9 epochs and begun after 1 epoch so far: {below}" in out
    assert f"No verdict whole after 9 epochs and short after 3 epochs: {below}" in out
    assert "Difference" not in out
    assert out.index("at equal epochs No verdict") < out.index("Best so far at equal epochs: after 5 epochs")
    pairs = json.loads(command("compare", "whole", "begun", "short", "--json").out)["pairs"]
    assert [(pair["unlike"], pair["larger"]) for pair in pairs] == [
        ("so far", None),
        ("epochs", None),
        ("so far", None),
    ]
    terminal(80)
    assert "interrupted" in command("compare", "whole", "begun").out


def test_two_of_three_that_compare_get_their_verdict(place: Path, command: Command) -> None:
    make_run(place, "a")
    make_run(place, "b")
    changed(make_run(place, "data"), fingerprint="1" * 64)
    out = command("compare", "a", "b", "data").out
    assert "Difference a and b are equal" in out
    assert "No verdict a and data are of different images\nNo verdict b and data are of different images\n" in out


def test_several(place: Path, command: Command) -> None:
    for name in ("a", "b", "c"):
        make_run(place, name)
    make_run(place, "begun", stop_after=0)
    found = json.loads(command("compare", "a", "b", "c", "begun", "--json").out)
    assert [run["run"] for run in found["runs"]] == ["a", "b", "c", "begun"]
    assert [pair["runs"] for pair in found["pairs"]][:3] == [["a", "b"], ["a", "c"], ["a", "begun"]]
    assert "a and begun cannot be compared before both have a result" in command("compare", "a", "begun").out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "RUN: got 0; allowed: two or more"),
        (["a"], "RUN: got 1; allowed: two or more"),
        (["a", "a"], "not all different"),
        (["a", "runs/a"], "not all different"),
        (["a", "latest"], "not all different"),
        (["a", "nothing"], "RUN: got 'nothing'"),
    ],
)
def test_what_is_refused(words: list[str], told: str, place: Path, command: Command) -> None:
    make_run(place, "a")
    outcome = command("compare", *words)
    assert outcome.status in {1, 2}
    assert told in outcome.err
    assert outcome.out == ""
