"""What the doctor finds in a run's folder, each finding with its cure."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from resnet_search.files import append_line
from resnet_search.runs.checkup import Checkup, h5_problem
from resnet_search.runs.doctor import OK, PROBLEM, WARNING, Check
from resnet_search.runs.events import append_event
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.salvage import salvage
from resnet_search.training import arrays
from resnet_search.training.arrays import Arrays, write_arrays
from tests.faults.table import fault

from .conftest import Writer, created


@pytest.fixture
def well(finished: Writer) -> RunFolder:
    """A run as its search leaves it."""
    content = json.loads((finished.folder.path / "run.json").read_text())
    content["plan"][0] |= {"iteration": 0, "number": 1}
    (finished.folder.path / "run.json").write_text(json.dumps(content))
    (finished.folder.trial("0001") / "state.h5").unlink()
    return finished.folder


def findings(folder: RunFolder) -> list[Check]:
    """All but those that are well; the images of these runs are not there."""
    return [check for check in Checkup(folder).checks() if check.status != OK and check.name != "Data"]


def test_a_run_that_is_well(well: RunFolder) -> None:
    checks = {check.name: check for check in Checkup(well).checks()}
    assert findings(well) == []
    assert checks["Trials"].text.startswith("3 of 3 ")
    assert checks["events.jsonl"].text == "8 events"
    for fact in ("finished", "3 of 3 trials"):
        assert fact in checks["State"].text
    assert checks["Data"].status == WARNING
    assert " from shapes" in checks["Data"].cure


@pytest.mark.parametrize(("twice", "status"), [(0, OK), (3, WARNING)])
def test_equal_images_are_counted(well: RunFolder, twice: int, status: str) -> None:
    content = json.loads((well.path / "run.json").read_text())
    found = {"train": 200, "groups": 20, "several_classes": 0, "test_in_train": twice}
    content["data"] |= {"duplicates": found, "left_out": {"train": {"suffix": 7}, "test": {}}}
    (well.path / "run.json").write_text(json.dumps(content))
    [check] = [check for check in Checkup(well).checks() if check.name == "Images"]
    assert check.status == status
    for fact in ("200 ", f"{twice} ", "7 ", "suffix"):
        assert fact in check.text


def test_damaged_images_are_found(well: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.loads((well.path / "run.json").read_text())
    images, labels = np.full((4, 8, 8, 3), 200, np.uint8), np.array([0, 1, 0, 1])
    path = well.arrays(content)
    write_arrays(path, Arrays(images, labels, images, labels, ("a", "b"), (0.0,) * 3, (1.0,) * 3))
    monkeypatch.setattr(arrays, "_checked", set())
    assert {check.name: check.status for check in Checkup(well).checks()}["Data"] == OK
    file = path / "x_train.npy"
    file.write_bytes(file.read_bytes()[:-100] + bytes(100))
    monkeypatch.setattr(arrays, "_checked", set())
    assert {check.name: check.status for check in Checkup(well).checks()}["Data"] == WARNING


Harm = Callable[[RunFolder], object]


def _write(name: str, text: str) -> Harm:
    return lambda folder: (folder.path / name).write_text(text)


def _unlink(name: str) -> Harm:
    return lambda folder: (folder.path / name).unlink()


def _append(line: object) -> Harm:
    return lambda folder: append_line(folder.events, line)


def _epoch(name: str, epoch: int) -> Harm:
    def harm(folder: RunFolder) -> None:
        with h5py.File(folder.path / name, "r+") as file:
            file.attrs["epoch"] = epoch

    return harm


@pytest.mark.parametrize(
    ("harm", "name", "status", "words"),
    [
        (_write("run.json", "{"), "run.json", PROBLEM, ""),
        (_append({"time": 1}), "events.jsonl", PROBLEM, "line 9"),
        (_append(created("0003", 0)), "events.jsonl", PROBLEM, "line 9"),
        (_unlink("trial_0002/checkpoint.weights.h5"), "Trial 0002", PROBLEM, "best"),
        (_write("trial_0002/checkpoint.weights.h5", "x"), "Trial 0002", PROBLEM, "best"),
        (_unlink("trial_0000/checkpoint.weights.h5"), "Trial 0000", WARNING, "checkpoint.weights.h5"),
        (_write("trial_0000/checkpoint.weights.h5", "x"), "Trial 0000", PROBLEM, "damaged"),
        (_unlink("trial_0000/state.h5"), "Trial 0000", WARNING, "epoch 1"),
        (_write("trial_0000/state.h5", "x"), "Trial 0000", PROBLEM, "damaged"),
        (_epoch("trial_0000/state.h5", 2), "Trial 0000", PROBLEM, "epoch 2, not 1"),
        (_write("trial_0001/state.h5", "x"), "Trial 0001", WARNING, "superseded"),
        (_unlink("trial_0002/history.jsonl"), "Trial 0002", WARNING, "history.jsonl"),
        (_write("trial_0002/history.jsonl", "x\n{}\n"), "Trial 0002", PROBLEM, "history.jsonl"),
        (_write("trial_0002/history.jsonl", '{"epoch": 3}\n'), "Trial 0002", WARNING, "history.jsonl"),
        (_write(".partial-7-oracle.json", ""), "Leftovers", WARNING, "oracle.json"),
        (lambda folder: (folder.path / "trial_0009").mkdir(), "Set aside", WARNING, "trial_0009"),
        (_write("events.jsonl.damaged-1", ""), "Set aside", WARNING, "damaged-1"),
    ],
)
def test_what_is_wrong_is_named_with_its_cure(harm: Harm, name: str, status: str, words: str, well: RunFolder) -> None:
    harm(well)
    found = findings(well)
    assert [(check.name, check.status) for check in found] == [(name, status)]
    assert words in found[0].text
    # What costs no score has none.
    assert bool(found[0].cure) or status == WARNING


def test_a_trial_that_runs(writer: Writer) -> None:
    writer.create("0000", 0)
    writer.complete("0000", 0.3)
    writer.create("0001", 0, rung=1, parent="0000", promoted_from="0000", initial_epoch=1, epochs=3)
    assert findings(writer.folder) == []
    own = writer.folder.trial("0001") / "state.h5"
    own.parent.mkdir()
    own.write_text("x")
    (only,) = findings(writer.folder)
    assert (only.name, only.status) == ("Trial 0001", WARNING)
    assert "trained again" in only.text
    shutil.rmtree(writer.folder.trial("0000"))
    texts = [check.text for check in findings(writer.folder) if check.name == "Trial 0001"]
    assert any("state.h5 of trial 0000" in text and "epoch 1" in text for text in texts)


def test_a_run_that_is_driven(well: RunFolder) -> None:
    (well.path / ".partial-7-oracle.json").touch()
    with well.lock():
        (lock,) = findings(well)
    assert lock.name == "Lock"
    assert "resnet-search stop run" in lock.cure


def test_a_torn_last_line_and_a_driver_that_died_are_no_problem(well: RunFolder) -> None:
    with well.events.open("ab") as file:
        file.write(b'{"event"')
    (well.path / "lock").write_text("process 7 on elsewhere")
    checks = {check.name: check for check in Checkup(well).checks()}
    assert (checks["events.jsonl"].status, checks["Lock"].status) == (OK, OK)
    assert "torn" in checks["events.jsonl"].text
    assert "process 7 on elsewhere" in checks["Lock"].text


def test_a_run_without_events(well: RunFolder) -> None:
    well.events.unlink()
    assert [(check.name, check.status) for check in findings(well)] == [
        ("events.jsonl", PROBLEM),
        ("Set aside", WARNING),
    ]
    for folder in well.trial_folders().values():
        shutil.rmtree(folder)
    assert findings(well) == [], "killed before its first event"


def test_nothing_is_changed(well: RunFolder) -> None:
    (well.path / "trial_0000" / "state.h5").write_text("x")
    before = {path: path.read_bytes() for path in well.path.rglob("*") if path.is_file()}
    findings(well)
    assert {path: path.read_bytes() for path in well.path.rglob("*") if path.is_file()} == before


def test_a_file_that_no_run_has_is_no_reason_to_go_on_for_ever(well: RunFolder) -> None:
    append_line(well.events, {"event": "created", "time": 1, **created("900000000", 0)})
    assert "comes after 3" in salvage(well, well.read()).wrong[0]


def test_hdf5_files(tmp_path: Path) -> None:
    path = tmp_path / "state.h5"
    assert h5_problem(path) == "is gone"
    with h5py.File(path, "w") as file:
        file.attrs["epoch"] = 3
        for number in range(50):
            file[f"network/{number}"] = list(range(100))
    assert h5_problem(path) == h5_problem(path, 3) == ""
    assert "epoch 3, not 4" in h5_problem(path, 4)
    content = path.read_bytes()
    for size in (0, 1, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        assert h5_problem(path).startswith("is damaged"), size


def test_a_number_of_epochs_that_cannot_be_is_counted_in_no_time(writer: Writer) -> None:
    writer.create("0000", 0, epochs=2**62)
    append_event(writer.folder.events, "completed", trial="0000", score=0.3, setup_seconds=0, train_seconds=0)
    assert any("history.jsonl" in check.text for check in findings(writer.folder))


@fault(
    "files",
    "A byte inside an event is changed, so that the line is still JSON",
    here="`doctor RUN` names the line; `--repair` drops it and what follows from it",
)
@pytest.mark.parametrize(
    ("before", "after"),
    [('"basic"', '"bashc"'), ('"width": 4', '"width": 0'), ('"score": 0.3', '"score": 9.3'),
     ('"epochs": 1', '"epochs": "')],
)  # fmt: skip
def test_a_changed_byte_is_in_the_line_that_has_it(well: RunFolder, before: str, after: str) -> None:
    lines = well.events.read_text().splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines, 1) if before in line)
    lines[number - 1] = lines[number - 1].replace(before, after, 1)
    well.events.write_text("".join(lines))
    found = salvage(well, well.read())
    assert found.wrong[0].startswith(f"line {number} ")
    assert not any(b"bashc" in line for line in found.kept)
    assert findings(well)[0].name == "events.jsonl"
