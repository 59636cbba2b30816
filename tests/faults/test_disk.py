"""A disk that is full, read-only or closed at any write: the search ends with the file's name, and resumes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf

from resnet_search.errors import RunError
from resnet_search.files import check_room
from resnet_search.runs.folder import create_run
from resnet_search.training import checkpoint

from .conftest import Search, check_result
from .table import fault
from .test_damage import theirs
from .test_kills import kills, one_of_each


def points(steps: list[str]) -> list[tuple[int, str]]:
    return [(at, moment) for at, moment in kills(steps) if moment != "after"]


def fail_and_resume(search: Search, whole: Search, step: str, **failure: Any) -> None:
    answer = search.drive(**failure)
    if answer["status"] == 0:
        assert step in {"_remove state.h5", "_write lock"}, "what is superseded can stay, and a name in a free lock"
    else:
        said = answer["said"]
        assert answer["status"] == 1
        assert said.split()[0] in {"OSError", "PermissionError", "TrainingError", "RunError"}, said
        assert os.strerror(failure["error"]) in said
        name = step.split()[1]
        # What cannot be removed stays; a run that cannot be made is named by the option for where runs are made.
        assert name in said or step.startswith("_remove") or (name.startswith("run") and "--runs-dir" in said), said
    search.finish()
    check_result(search, whole)
    shutil.rmtree(search.runs_dir)


@fault(
    "disk",
    "No space is left at any one write (`ENOSPC`)",
    here="the search ends and names the file; what was there before is whole; `resume` continues to the same trials, "
    "and no candidate is blamed",
)
def test_a_disk_that_fails_once(make_search: Any, whole: Any) -> None:
    steps = make_search("steps").steps()
    for at, moment in one_of_each(steps, points(steps)):
        fail_and_resume(make_search(f"{at}-{moment}"), whole(), steps[at - 1], at=at, moment=moment, error=errno.ENOSPC)


@fault(
    "disk",
    "The folder becomes read-only and stays so (`EROFS`)",
    here="the search ends and names the file; `resume` continues once the folder is writable",
)
def test_a_disk_that_fails_from_then_on(make_search: Any, whole: Any) -> None:
    steps = make_search("steps").steps()
    for at, moment in one_of_each(steps, kills(steps))[::3]:
        if moment == "before":
            search = make_search(f"{at}-{moment}")
            fail_and_resume(search, whole(), steps[at - 1], at=at, moment=moment, error=errno.EROFS, lasting=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES], ids=errno.errorcode.get)
def test_a_disk_that_fails_at_every_write(number: int, make_search: Any, whole: Any) -> None:
    steps = make_search("steps").steps()
    for at, moment in points(steps):
        fail_and_resume(make_search(f"{at}-{moment}"), whole(), steps[at - 1], at=at, moment=moment, error=number)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of 300 kB, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path, *, leave: int) -> None:
    """Leave so many bytes of a disk."""
    free = shutil.disk_usage(place).free
    (place / "filling").write_bytes(bytes(max(0, free - leave)))


@fault(
    "disk",
    "The disk becomes full",
    keras_tuner="files are written in place: `JSONDecodeError` for what was cut off, and the project cannot be opened",
    here="the search ends with a sentence; once there is room again, `resume` continues, and no candidate is blamed",
)
def test_a_run_on_a_disk_that_is_full(small_disk: Path, drivers: Any, whole: Any) -> None:
    tuner = theirs(small_disk)
    tuner.stop = "0002"
    with pytest.raises(KeyboardInterrupt):
        tuner.search()
    fill(small_disk, leave=0)
    tuner.stop = ""
    with pytest.raises(tf.errors.ResourceExhaustedError, match="No space left on device"):
        tuner.search()
    (small_disk / "filling").unlink()
    with pytest.raises(json.JSONDecodeError):
        theirs(small_disk)
    shutil.rmtree(small_disk / "p")

    search = Search(drivers, small_disk / "runs")
    for leave in range(4096, 120_000, 8192):
        (small_disk / "filling").unlink(missing_ok=True)
        fill(small_disk, leave=leave)
        answer = search.drive()
        if answer["status"] == 0:
            break
        assert "No space left on device" in answer["said"] or answer["said"] == "", answer
    else:
        pytest.fail("it never had room enough")
    assert leave > 30_000, "it was full at least once"
    view = search.view()
    assert view.state == "finished"
    assert {trial.reason for trial in view.trials.values()} <= {"", "the loss was nan"}


@fault(
    "disk",
    "A checkpoint is written to a full disk",
    keras_tuner="the checkpoint is cut off; HDF5 may end the process (seen with 1.14)",
    here="an error that names the file; the last checkpoint is whole",
)
def test_a_checkpoint_on_a_disk_that_is_full(small_disk: Path) -> None:
    path = small_disk / "state.h5"
    small = {"network": [np.zeros(100)]}
    checkpoint.save_state(path, 1, small)
    with pytest.raises(OSError, match="No space left on device") as raised:
        checkpoint.save_state(path, 2, {"network": [np.zeros(100_000)]})
    assert raised.value.filename == str(path)
    assert checkpoint.read_epoch(path) == 1
    assert [entry.name for entry in small_disk.iterdir()] == ["state.h5"]
    # For weights, which Keras writes itself: whether there is room is known before it begins.
    with pytest.raises(OSError, match="No space left on device"):
        check_room(small_disk / "checkpoint.weights.h5", 400_000)
    check_room(small_disk / "checkpoint.weights.h5", 1000)
    assert [entry.name for entry in small_disk.iterdir()] == ["state.h5"]
    # What HDF5 does on its own.
    program = (
        "import h5py, numpy\n"
        f"with h5py.File({str(small_disk / 'own.h5')!r}, 'w') as file:\n"
        "    for number in range(100): file[str(number)] = numpy.random.rand(2000)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode != 0
    with pytest.raises(OSError, match=r"truncated|[Uu]nable to"), h5py.File(small_disk / "own.h5"):
        pass


def test_a_folder_that_may_not_be_written(small_disk: Path) -> None:
    """Root may write anywhere, but not on a disk that is mounted read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(RunError, match="Read-only file system"):
        create_run(small_disk / "runs", "run", {})
