"""`~` is the user's home in every path, also where no shell replaces it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resnet_search.errors import RunError
from resnet_search.export.predict import find_export
from resnet_search.files import expand_home
from resnet_search.runs.folder import find_run
from resnet_search.search.images import absolute_source
from resnet_search.spaces.load import load_space
from resnet_search.training.datasets import describe_source
from tests.export import colours

from .conftest import Outcome, make_run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


def test_runs_and_exports_are_found(home: Path) -> None:
    run = make_run(home / "runs", "night")
    colours.describe(run.path / "export")
    assert find_run("~/runs/night", Path("runs")).path == run.path
    assert find_export("~/runs/night", Path("runs")) == find_export(str(run.path / "export"), Path("runs"))


def test_spaces_and_images_are_found(home: Path) -> None:
    axes = 'axes = { block = ["basic"], n = [1], width = [4] }\n'
    text = f'{axes}hyperband = {{ max_epochs = 1 }}\ndata = {{ source = "~/a.npz" }}\n'
    (home / "mine.toml").write_text(text)
    np.savez(home / "a.npz", x=np.zeros(1))
    assert load_space("~/mine.toml").name == "mine"
    assert describe_source("~/a.npz").location == str(home / "a.npz")
    assert absolute_source("~/a.npz") == str(home / "a.npz")


@pytest.mark.parametrize("words", [["--runs-dir", "~/runs"], ["--runs-dir=~/runs"]])
def test_options_take_it(words: list[str], home: Path, command: Callable[..., Outcome]) -> None:
    make_run(home / "runs", "night")
    outcome = command("list", *words)
    assert outcome.status == 0
    assert "night" in outcome.out
    assert list(Path.cwd().iterdir()) == []


def test_the_home_of_an_unknown_user_is_a_name(home: Path) -> None:
    assert expand_home("~nobody-has-this-name/x") == Path("~nobody-has-this-name/x")
    assert expand_home("a/~") == Path("a", "~")
    with pytest.raises(RunError, match="~nobody-has-this-name"):
        find_run(os.path.join("~nobody-has-this-name", "run"), home)  # noqa: PTH118
