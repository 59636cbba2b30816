"""Whatever is wrong with a command line, a space file or the data: one readable message, and nothing left behind."""

from __future__ import annotations

import gzip
import json
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resnet_search.errors import NameTakenError, RunError
from resnet_search.runs.folder import EVENTS, RUN_JSON
from resnet_search.workers import devices

from .conftest import Outcome, make_run, refused

SPACE = """
[axes]
n = [1]
width = [8]
block = ["basic"]

[hyperband]
max_epochs = 3

[data]
source = "shapes"
validation = 0.2
"""

# What is replaced in SPACE, by what, and names that the message must have; tests/spaces tries all that can be wrong.
SPACE_FILES = {
    "empty": (SPACE, "", ["[axes] block", "[axes] width", "[axes] n"]),
    "not toml": ("n = [1]", "n = [1", ["TOML", "line 4"]),
    "unknown key": ("width = [8]", "widht = [8]", ["[axes] widht", 'nearest: "width"']),
    "n is zero": ("n = [1]", "n = [0]", ["[axes] n", "1 to 100"]),
    "cardinality never divides": ('["basic"]', '["resnext"]\ncardinality = [3]', ["cardinality does not divide"]),
    "nothing feasible": ("[hyperband]", "[limits]\nmax_params = 10\n[hyperband]", ["parameters"]),
    "more validation than images": ("validation = 0.2", "validation = 4000", ["validation", "4000"]),
    "control characters": ('"basic"', '"\\u001b[31mbasic"', ["[axes] block", "\\x1b"]),
}  # fmt: skip

# Words after `plan --space good.toml` or another command, the exit status, and words that the message must have.
COMMAND_LINES = [
    (["frobnicate"], 2, "run, plan, spaces"),
    (["trails"], 2, "nearest: trials"),
    (["--versoin"], 2, "--version"),
    (["plan"], 2, "--space"),
    (["plan", "--space"], 2, "--space"),
    (["plan", "--space", ""], 2, "--space"),
    (["plan", "--space", "quikstart"], 1, "quickstart"),
    (["plan", "--space", "./absent.toml"], 1, "absent.toml"),
    (["plan", "--space", "."], 1, "quickstart"),
    (["plan", "--space", "./"], 1, "folder"),
    (["plan", "--space", "nul\0"], 1, "nul"),
    (["plan", "--space", "good.toml", "--max-epochs", "0"], 2, "--max-epochs"),
    (["plan", "--space", "good.toml", "--max-epochs", "three"], 2, "'three'"),
    (["plan", "--space", "good.toml", "--max-epochs", "1e3"], 2, "--max-epochs"),
    (["plan", "--space", "good.toml", "--max-epochs", "9" * 5000], 2, "--max-epochs"),
    (["plan", "--space", "good.toml", "--max-epoch"], 2, "--max-epoch"),
    (["plan", "--space", "good.toml", "--factor", "1"], 2, "--factor"),
    (["plan", "--space", "good.toml", "--iterations", "-1"], 2, "--iterations"),
    (["plan", "--space", "good.toml", "--max-params", "10"], 1, "parameters"),
    (["plan", "--space", "good.toml", "--max-macs", "few"], 2, "--max-macs"),
    (["plan", "--space", "good.toml", "--data", "cifar"], 2, "nearest: cifar10"),
    (["plan", "--space", "good.toml", "--data", ""], 2, "--data"),
    (["plan", "--space", "good.toml", "--data", "./\x1b[31mred"], 2, "\\x1b"),
    (["plan", "--space", "good.toml", "--validation", "nan"], 2, "--validation"),
    (["plan", "--space", "good.toml", "--validation", "1.5"], 2, "--validation"),
    (["plan", "--space", "good.toml", "--train-examples", "0"], 2, "--train-examples"),
    (["plan", "--space", "good.toml", "--train-examples", "3"], 1, "train_examples"),
    (["plan", "--space", "good.toml", "--train-examples", "100000"], 1, "3200"),
    (["plan", "--space", "cifar_small", "--data", "shapes"], 1, "4000"),
    (["plan", "--space", "good.toml", "--seed", "-1"], 2, "--seed"),
    (["plan", "--space", "good.toml", "--seed", "1_0"], 2, "--seed"),
    (["plan", "--space", "good.toml", "--seed", "٣"], 2, "--seed"),
    (["plan", "--space", "good.toml", "--seed", str(2**31)], 2, "--seed"),
    (["plan", "--space", "good.toml", "--name", "../up"], 2, "--name"),
    (["plan", "--space", "good.toml", "--name", "latest"], 2, "--name"),
    (["plan", "--space", "good.toml", "--workers", "0"], 2, "--workers"),
    (["plan", "--space", "good.toml", "--threads", "many"], 2, "--threads"),
    (["plan", "--space", "good.toml", "--device", "gqu"], 2, "nearest: gpu"),
    (["plan", "--space", "good.toml", "--device", "tpu0"], 2, "auto, cpu, gpu"),
    (["plan", "--space", "good.toml", "--runs-dir", "good.toml"], 2, "--runs-dir"),
    (["plan", "--space", "good.toml", "--data-dir", "good.toml"], 2, "--data-dir"),
    (["plan", "--space", "good.toml", "surplus"], 2, "surplus"),
    (["run", "--space", "good.toml", "--jsn"], 2, "--jsn"),
    (["run", "--space", "good.toml", "--name", "a run"], 2, "--name"),
    (["run", "--space", "good.toml", "--runs-dir", "good.toml/runs"], 2, "--runs-dir"),
    (["run", "--space", "good.toml", "--device", "gpu"], 1, "--device"),
    (["run", "--space", "good.toml", "--train-examples", "5"], 1, "5"),
    (["run", "--space", "good.toml", "--train-examples", "999999"], 1, "999999"),
    (["run", "--space", "good.toml", "--validation", "3999"], 1, "validation"),
    (["run", "--space", "good.toml", "--validation", "5"], 1, "validation"),
    (["resume"], 2, "RUN"),
    (["resume", "absent"], 1, "absent"),
    (["resume", "latest"], 1, "runs"),
    (["trials", "latest", "--sort", "scor"], 2, "nearest: score"),
    (["trials", "latest", "--top", "0"], 2, "--top"),
    (["trials", "latest", "--bracket", "x"], 2, "--bracket"),
    (["trials", "latest", "--status", "done"], 2, "running, completed, failed"),
    (["trials", "latest", "--json", "--csv"], 2, "--csv"),
    (["trials", "good.toml"], 1, "good.toml"),
    (["trials", "nul\0"], 1, "RUN"),
    (["show", "latest"], 2, "TRIAL"),
    (["export", "absent"], 1, "absent"),
    (["export", "absent", "--out", "good.toml"], 2, "--out"),
    (["list", "--runs-dir", ""], 2, "--runs-dir"),
    (["doctor", "now"], 1, "'now'"),
]  # fmt: skip

# A path, what makes it, and words that the message must have.
DATA_PATHS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "absent": ("./photos", lambda _: None, "photos"),
    "empty folder": ("./photos", lambda path: path.mkdir(), "train"),
    "folder without classes": ("./photos", lambda path: (path / "train").mkdir(parents=True), "train"),
    "classes without images": ("./photos", lambda path: (path / "train" / "cat").mkdir(parents=True), ""),
    "text": ("./notes.txt", lambda path: path.write_text("hello"), ".txt"),
    "empty npz": ("./a.npz", lambda path: path.write_bytes(b""), "a.npz"),
    "text as npz": ("./a.npz", lambda path: path.write_text("hello"), "a.npz"),
    "npz of other names": ("./a.npz", lambda path: np.savez(path, x=np.zeros(3)), "x_train"),
    "npz of objects": ("./a.npz", lambda path: np.savez(path, x_train=np.array([{}], dtype=object)), "a.npz"),
    "cut archive": ("./cifar-10-python.tar.gz", lambda path: path.write_bytes(gzip.compress(b"x")[:9]), "cifar"),
    "empty archive": ("./cifar-10-binary.tar.gz", lambda path: tarfile.open(path, "w:gz").close(), "cifar"),
    "archive without batches": ("./a.tar", lambda path: tarfile.open(path, "w").close(), "a.tar"),
    "unknown home": ("~nobody-of-that-name/photos", lambda _: None, "~nobody-of-that-name"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with a space that is right, on a machine without a GPU."""
    (tmp_path / "good.toml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "backend_gpus", lambda _: [])
    monkeypatch.setattr(devices, "nvidia_gpus", list)
    return tmp_path


def check(outcome: Outcome, folder: Path, status: int, *names: str) -> None:
    refused(outcome, status, *names)
    # Nothing that a terminal would obey, and no more than fits on a screen.
    assert re.search(r"[^\x20-\x7e\n…٣]", outcome.err) is None
    assert len(outcome.err) < 2500
    left = [path for path in folder.rglob("*") if path.name.startswith(".partial") or path.name in {RUN_JSON, EVENTS}]
    assert left == []


@pytest.mark.parametrize("case", SPACE_FILES)
def test_wrong_space_files(case: str, folder: Path, command: Callable[..., Outcome]) -> None:
    old, new, names = SPACE_FILES[case]
    assert old in SPACE
    (folder / "wrong.toml").write_text(SPACE.replace(old, new))
    for name in ("plan", "run"):
        check(command(name, "--space", "wrong.toml"), folder, 1, *names)


def test_a_file_that_is_no_text(folder: Path, command: Callable[..., Outcome]) -> None:
    (folder / "wrong.toml").write_bytes(b"\xff\xfe\x00")
    check(command("run", "--space", "wrong.toml"), folder, 1, "wrong.toml")


@pytest.mark.parametrize(("words", "status", "name"), COMMAND_LINES, ids=[" ".join(c[0])[:60] for c in COMMAND_LINES])
def test_wrong_command_lines(
    words: list[str], status: int, name: str, folder: Path, command: Callable[..., Outcome]
) -> None:
    check(command(*words), folder, status, name)


@pytest.mark.parametrize("case", DATA_PATHS)
def test_wrong_data(case: str, folder: Path, command: Callable[..., Outcome]) -> None:
    source, make, words = DATA_PATHS[case]
    make(folder / source)
    outcome = command("run", "--space", "good.toml", "--data", source)
    check(outcome, folder, 1, words)
    # It is known without reading the images, so it comes alone, and a plan says the same.
    assert outcome.out == ""
    planned = command("plan", "--space", "good.toml", "--data", source)
    assert (planned.status, planned.err) == (1, outcome.err)


def test_all_mistakes_of_a_space_are_told_at_once(folder: Path, command: Callable[..., Outcome]) -> None:
    wrong = SPACE.replace("n = [1]", "n = [0]").replace('"basic"', '"basik"').replace("max_epochs", "max_epoch")
    (folder / "wrong.toml").write_text(wrong)
    outcome = command("plan", "--space", "wrong.toml")
    refused(outcome, 1, "[axes] n", "[axes] block", "[hyperband] max_epoch")
    assert outcome.err.count("  - ") == 3


def test_a_name_that_is_taken(folder: Path, command: Callable[..., Outcome]) -> None:
    make_run(folder / "runs", "taken", stop_after=2)
    before = (folder / "runs" / "taken" / EVENTS).read_bytes()
    outcome = command("run", "--space", "good.toml", "--name", "taken")
    refused(outcome, 1, "resnet-search resume taken")
    assert (outcome.error, outcome.out) == (NameTakenError, "")
    assert (folder / "runs" / "taken" / EVENTS).read_bytes() == before
    assert [path.name for path in (folder / "runs").iterdir()] == ["taken"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(folder: Path, command: Callable[..., Outcome]) -> None:
    (folder / "closed").mkdir(mode=0o500)
    check(command("run", "--space", "good.toml", "--runs-dir", "closed/runs"), folder, 1, "closed")


# A file of a run, and what stands in it.
DAMAGES = [
    (RUN_JSON, "{"),
    (RUN_JSON, "[]"),
    (RUN_JSON, '{"format": 99}'),
    (RUN_JSON, '{"format": 1}'),
    (RUN_JSON, '{"format": 1, "space": 3, "plan": [], "data": {}}'),
    (EVENTS, '{"event": "finished", "time": 1}\n'),
    (EVENTS, "[1, 2]\n"),
    (EVENTS, '{"event": "started"}\n'),
    (EVENTS, '{"event": "started", "time": 1}\n{"event": "created", "time": 2, "trial": 7}\n'),
    (EVENTS, '{"event": "started", "time": 1}\n{"event": "completed", "time": 2, "trial": "0000"}\n'),
    (EVENTS, "not json\n"),
]


def test_damaged_runs_are_named_left_alone_and_hide_no_others(folder: Path, command: Callable[..., Outcome]) -> None:
    for number, (file, text) in enumerate(DAMAGES):
        path = make_run(folder / "runs", f"damaged-{number}", stop_after=2).path / file
        path.write_text(text)
        for words in (["trials", path.parent], ["show", path.parent, "0"], ["resume", path.parent]):
            outcome = command(*words)
            refused(outcome, 1, file)
            assert outcome.error is RunError
        assert path.read_text() == text
    make_run(folder / "runs", "sound", stop_after=2)
    runs = {entry["run"]: entry for entry in json.loads(command("list", "--json").out)["runs"]}
    assert runs["sound"]["state"] == "interrupted"
    for number, (file, _) in enumerate(DAMAGES):
        assert runs[f"damaged-{number}"]["state"] == "damaged"
        assert file in runs[f"damaged-{number}"]["reason"]


def test_trials_that_are_not_there(folder: Path, command: Callable[..., Outcome]) -> None:
    make_run(folder / "runs", "short", stop_after=2)
    for ref in ("99", "x", "-1", "²"):
        refused(command("show", "short", "--", ref), 1, "TRIAL", "0000", "0002")
