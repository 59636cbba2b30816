"""Where networks of a run are exported to, and which network an export holds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from resnet_search.runs.checkup import Checkup
from resnet_search.runs.doctor import OK, PROBLEM, WARNING
from resnet_search.runs.exports import MANIFEST, exports_in, is_current, network_from, network_in, network_of, place_of
from resnet_search.runs.trials import RunView, read_run
from tests.cli.conftest import make_run


@pytest.fixture
def view(tmp_path: Path) -> RunView:
    return read_run(make_run(tmp_path, "night"))


def put(view: RunView, name: str, **manifest: Any) -> None:
    (view.folder.path / name).mkdir()
    (view.folder.path / name / MANIFEST).write_text(json.dumps(manifest))


def test_each_network_has_a_folder_of_its_own(view: RunView) -> None:
    best, second, third = view.ranking()[:3]
    names = [place_of(view, members).name for members in ([best], [second], [third], [best, second])]
    assert names == ["export", f"export-trial-{second.trial}", f"export-trial-{third.trial}", "export-ensemble-2"]
    assert place_of(view, [second]).parent == view.folder.path


def test_an_export_says_which_network_it_holds(view: RunView) -> None:
    best, second = view.ranking()[:2]
    members = [best.trial, second.trial]
    manifest = {"run": "night", "trial": best.trial, "members": members, "name": best.name, "score": best.score}
    assert network_from(manifest) == network_of(view, [best, second])
    put(view, "export", trial="0003")  # as the first version wrote it
    assert network_in(view.folder.path / "export").members == ("0003",)
    for damaged in ({}, [], {"trial": 3}, {"trial": "1", "members": []}, {"trial": "1", "score": "high"}, None):
        with pytest.raises(ValueError, match="which network"):
            network_from(damaged)


def test_exports_are_listed_and_checked(view: RunView) -> None:
    best, second = view.ranking()[:2]

    def checks() -> list[tuple[str, bool]]:
        found = [check for check in Checkup(view.folder).checks() if check.name == "Exports"]
        return [(check.status, second.trial in check.text) for check in found]

    assert (exports_in(view.folder), checks(), is_current(view)) == ([], [], False)
    put(view, f"export-trial-{second.trial}", trial=second.trial)
    assert checks() == [(OK, True)]
    put(view, "export", trial=second.trial)
    assert [path.name for path in exports_in(view.folder)] == ["export", f"export-trial-{second.trial}"]
    assert (checks(), is_current(view)) == ([(WARNING, True)], False)
    (view.folder.path / "export" / MANIFEST).write_text(json.dumps({"trial": best.trial}))
    assert (checks(), is_current(view)) == ([(OK, True)], True)
    (view.folder.path / "export" / MANIFEST).unlink()
    os.mkfifo(view.folder.path / "export" / MANIFEST)  # not waited for
    assert (checks(), is_current(view)) == ([(OK, True)], False)
    put(view, "export-ensemble-2", trial=7)
    assert checks()[0][0] == PROBLEM
