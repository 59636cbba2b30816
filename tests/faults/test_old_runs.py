"""Runs of earlier versions, as they were written: they open, and go on.

`tests/golden/run_format_1` is what the first version left, killed in its fifth trial: one trial failed, one lost its
worker once. Its checkpoints are left out. A change that this test cannot follow is a new format.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from resnet_search.errors import RunError
from resnet_search.runs.folder import FORMAT, RunFolder
from resnet_search.runs.trials import read_run

from .conftest import Search
from .table import fault


@pytest.fixture
def old(golden: Path, make_search: Any) -> Search:
    search: Search = make_search("old", name="run_format_1")
    shutil.copytree(golden / "run_format_1", search.folder.path)
    return search


def test_a_run_of_format_1_opens(golden: Path) -> None:
    view = read_run(RunFolder(golden / "run_format_1"))
    statuses = [trial.status for trial in view.trials.values()]
    assert statuses == ["completed", "failed", "completed", "completed", "running"]
    assert view.trials["0003"].losses == 1
    assert [line["epoch"] for line in view.history(view.trials["0004"])] == [1, 2, 3]
    assert (view.state, view.planned_trials, view.max_epochs) == ("interrupted", 6, 3)


@fault(
    "files",
    "A run is continued with a newer version of the program",
    here="a run of every earlier format opens and continues, or the error says how to migrate it; run.json of a newer "
    "format names the update",
)
def test_a_run_of_format_1_goes_on(old: Search) -> None:
    before = {trial.trial: trial.score for trial in old.view().trials.values() if trial.score is not None}
    assert len(before) == 3
    view = old.finish()
    assert view.state == "finished"
    assert {trial: view.trials[trial].score for trial in before} == before
    # Its checkpoints are not there.
    assert view.trials["0004"].parent is None


@pytest.mark.parametrize(
    ("content", "cure"),
    [
        ({"format": FORMAT + 1}, "pip install --upgrade resnet-search"),
        ({"format": 0, "versions": {"resnet-search": "0.0.9"}}, "that wrote it, 0.0.9"),
        ({"format": 0, "versions": 3}, "that wrote it."),
        ({}, "that wrote it."),
    ],
)
def test_another_format_says_what_to_do(content: dict[str, Any], cure: str, old: Search) -> None:
    path = old.folder.path / "run.json"
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=f"got format .*; allowed: {FORMAT}") as raised:
        old.view()
    assert cure in raised.value.cure
    assert json.loads(path.read_text()) == content
