"""`compare`: its tables, its warnings, and what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnet_search.runs.folder import RunFolder
from resnet_search.spaces.load import load_space

from .conftest import Outcome, make_run, refused

Command = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def changed(run: RunFolder, **data: Any) -> None:
    content = json.loads((run.path / "run.json").read_text())
    content["data"].update(data)
    (run.path / "run.json").write_text(json.dumps(content))


def lines_of(text: str, *starts: str) -> list[str]:
    """The lines that begin with one of these words."""
    return [line for line in text.splitlines() if line.startswith(starts)]


def test_tables(place: Path, command: Command) -> None:
    make_run(place, "a")
    make_run(place, "b", versions={"python": "3.12.1"})
    out = command("compare", "a", "b").out
    [verdict] = lines_of(out, "Difference ")
    assert "a and b" in verdict
    [ranks] = lines_of(out, "Ranks ")
    assert "a and b" in ranks
    assert " 1.00 " in ranks
    assert out.splitlines()[-2:] == ["setting          a       b", "versions.python  3.11.7  3.12.1"]
    [pair] = json.loads(command("compare", "a", "b", "--json").out)["pairs"]
    assert (pair["unlike"], pair["larger"]) == (None, False)


def test_scores_of_other_images_get_no_verdict(place: Path, command: Command) -> None:
    make_run(place, "a")
    changed(make_run(place, "data"), fingerprint="1" * 64)
    changed(make_run(place, "split"), validation=400)
    for other, unlike in (("data", "images"), ("split", "split")):
        out = command("compare", "a", other).out
        assert out.startswith("NOT COMPARABLE")
        [verdict] = lines_of(out, "Difference ", "No verdict ")
        assert verdict.startswith(f"No verdict a and {other} ")
        [pair] = json.loads(command("compare", "a", other, "--json").out)["pairs"]
        assert pair["unlike"] == unlike


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
    out = command("compare", "whole", "begun", "short").out
    verdicts = lines_of(out, "Difference ", "No verdict ")
    epochs = [re.findall(r"(\w+) after (\d+ epochs?)", line) for line in verdicts]
    assert epochs == [
        [("whole", "9 epochs"), ("begun", "1 epoch")],
        [("whole", "9 epochs"), ("short", "3 epochs")],
        [("begun", "1 epoch"), ("short", "3 epochs")],
    ]
    assert all(line.startswith("No verdict ") for line in verdicts)
    # What does compare is below.
    assert out.index(verdicts[-1]) < out.index("after 5 epochs")
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
    verdicts = lines_of(command("compare", "a", "b", "data").out, "Difference ", "No verdict ")
    starts = ["Difference a and b ", "No verdict a and data ", "No verdict b and data "]
    assert [line.startswith(start) for line, start in zip(verdicts, starts, strict=True)] == [True] * 3


def test_several(place: Path, command: Command) -> None:
    for name in ("a", "b", "c"):
        make_run(place, name)
    make_run(place, "begun", stop_after=0)
    found = json.loads(command("compare", "a", "b", "c", "begun", "--json").out)
    assert [run["run"] for run in found["runs"]] == ["a", "b", "c", "begun"]
    assert [pair["runs"] for pair in found["pairs"]][:3] == [["a", "b"], ["a", "c"], ["a", "begun"]]
    [verdict] = lines_of(command("compare", "a", "begun").out, "Difference ", "No verdict ")
    assert verdict.startswith("No verdict a and begun ")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], ["RUN", "0"]),
        (["a"], ["RUN", "1"]),
        (["a", "a"], ["RUN", "a"]),
        (["a", "runs/a"], ["RUN", "runs/a"]),
        (["a", "latest"], ["RUN", "latest"]),
        (["a", "nothing"], ["RUN", "'nothing'"]),
    ],
)
def test_what_is_refused(words: list[str], names: list[str], place: Path, command: Command) -> None:
    make_run(place, "a")
    outcome = command("compare", *words)
    refused(outcome, 1 if "nothing" in words else 2, *names)
    assert outcome.out == ""
