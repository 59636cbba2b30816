"""What is measured on a GPU: rows from fake workers, and from what they leave behind."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

from resnet_search.training.arrays import read_arrays
from resnet_search.training.job import Epoch
from resnet_search.workers.contract import Done, EpochDone, Failed, Lost

parts = import_module("benchmarks.gpu_parts")


class Pool:
    """Workers that answer with a script of messages."""

    def __init__(self, *script):
        self.script, self.submitted = list(script), []

    def submit(self, slot, job):
        self.submitted.append((slot, job.trial))

    def wait(self, seconds):
        return self.script.pop(0)

    def close(self):
        pass


def epoch(number: int) -> Epoch:
    return Epoch(
        epoch=number, loss=1.0, accuracy=0.5, val_loss=1.0, val_accuracy=0.5, learning_rate=0.1,
        train_seconds=4.0 if number == 1 else 1.0, validation_seconds=0.5,
    )  # fmt: skip


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small visit whose settings need no backend."""
    monkeypatch.setattr(parts, "choose_workers", lambda *_, **__: (1, parts.local.WorkerSettings(threads=1)))
    parts.write_images(tmp_path / "arrays", small=True)
    (tmp_path / "part").mkdir()
    return parts.Visit(tmp_path / "part", small=True)


def test_images_have_the_size_that_steps_are_counted_by(small):
    arrays = read_arrays(small.data)
    assert len(arrays.x_train) // small.batch == small.steps == 4
    assert arrays.x_train.dtype == np.uint8


def test_rows_of_training_tell_compiling_from_computing_and_survive_a_failure(small, monkeypatch):
    done = Done(0, "t", tuple(epoch(number) for number in (1, 2, 3)), 2.0)
    reported = [EpochDone(0, "t", line) for line in done.history]
    scripts = iter([[*reported, done], [Failed(0, "t", "no kernel image", "")], [*reported, done], [*reported, done]])
    monkeypatch.setattr(parts.local, "LocalWorkers", lambda *_: Pool(*next(scripts)))
    monkeypatch.setenv(parts.CACHE, str(small.scratch / "compiled"))
    rows = list(parts.train(small))
    assert [row["process"] for row in rows] == ["first", "second"] * 2
    assert rows[0].keys() == {
        "network", "precision", "process", "setup_seconds", "step_ms", "validation_seconds", "saving_seconds",
        "compile_seconds", "validation_compile_seconds", "cached_before", "cached", "cached_bytes",
    }  # fmt: skip
    assert rows[0]["step_ms"] == 250
    assert rows[0]["compile_seconds"] == 3
    assert rows[1]["error"] == "Failed: no kernel image"
    assert "error" not in rows[2]


def test_a_killed_worker_is_the_one_that_reported(small, monkeypatch):
    killed = []
    children = [SimpleNamespace(kill=lambda slot=slot: killed.append(slot)) for slot in range(2)]
    monkeypatch.setattr(parts.psutil, "Process", lambda: SimpleNamespace(children=lambda: children))
    monkeypatch.setattr(parts.shutil, "which", lambda _: None)
    done = [Done(slot, "t", (), 0.0) for slot in range(2)]
    pool = Pool(EpochDone(1, "t", epoch(1)), Lost(1, "t", -9, "was killed"), None, done[0], done[1])
    monkeypatch.setattr(parts.local, "LocalWorkers", lambda *_: pool)
    rows = parts.kill(small)
    row = next(rows)
    assert killed == [1]
    assert row["killed"] == 1
    assert [slot for slot, _ in pool.submitted] == [0, 1, 1]
    assert [what for _, what in row["events"]] == ["EpochDone", "was killed", "resubmitted", "Done", "Done"]
    with pytest.raises(parts.LeftOut):
        next(rows)


def test_an_outcome_says_where_an_error_came_through():
    def work():
        raise MemoryError("RESOURCE_EXHAUSTED: 4 GiB")

    assert parts.outcome(lambda: None) == {"error": None}
    found = parts.outcome(work, lambda error: isinstance(error, MemoryError))
    assert found == {"error": "MemoryError", "text": "RESOURCE_EXHAUSTED: 4 GiB", "through": [], "recognised": True}


def test_a_state_has_one_digest_whatever_else_is_in_the_file(tmp_path):
    import h5py

    digests = []
    for number, (value, note) in enumerate([(1.0, "a"), (1.0, "b"), (2.0, "a")]):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            file.attrs["note"] = note
            file.create_group("network").create_dataset("00000", data=np.full(3, value))
        digests.append(parts.digest(path))
    assert digests[0] == digests[1] != digests[2]


def test_the_poisoned_worker_is_python():
    for words in (parts.WRITE_NOWHERE, parts.SAY_SO):
        compile(parts.POISONED.format(poison=words), "poisoned", "exec")
