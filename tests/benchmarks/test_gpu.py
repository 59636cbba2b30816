"""The visit to a GPU: its arguments, its parts under their limits, and what is skipped the next time."""

from __future__ import annotations

import argparse
import json
import os
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from resnet_search.training.arrays import read_arrays
from resnet_search.training.job import Epoch
from resnet_search.workers.contract import Done, EpochDone, Failed, Lost

gpu, parts, cifar = (import_module(f"benchmarks.{name}") for name in ("gpu", "gpu_parts", "gpu_cifar"))

ROOT = Path(__file__).resolve().parents[2]
MACHINE = {"backend": "jax", "gpus": ["NVIDIA H200"], "small": False}
ROW = '{"step_ms": 1.5}'


def shell(script: str):
    """A command for any part."""
    return lambda name, scratch, *, small: ["sh", "-c", script, name, str(scratch)]


def line(part: str, state: str, **others):
    return {"part": part, "state": state, "machine": MACHINE, **others}


@pytest.fixture
def one_part(monkeypatch):
    """A single part, which asks for a variable."""
    monkeypatch.setattr(gpu, "PARTS", {"only": parts.Part(None, 60, {"FRACTION": "0.012"})})


@pytest.mark.parametrize(
    ("script", "limit", "state", "rows", "output"),
    [
        (f"echo '{ROW}' > $1/rows.jsonl", 60, "done", 1, []),
        ("""echo '{"left out": "no GPU"}' > $1/rows.jsonl""", 60, "left out", 1, []),
        (f"echo '{ROW}' > $1/rows.jsonl; echo no kernel image >&2; exit 1", 60, "failed", 1, ["no kernel image"]),
        (f"echo '{ROW}' > $1/rows.jsonl; exec tail -f /dev/null", 0.1, "timeout", 1, []),
        ("kill -SEGV $$", 60, "failed", 0, []),
    ],
)
def test_a_part_leaves_its_state_and_the_rows_until_then(
    tmp_path, monkeypatch, one_part, script, limit, state, rows, output
):
    monkeypatch.setattr(gpu, "command", shell(script))
    found = gpu.run_part("only", tmp_path, limit, small=True)
    assert found.keys() == {"part", "state", "seconds", "limit", "rows", "output"}
    assert (found["part"], found["state"], len(found["rows"])) == ("only", state, rows)
    assert found["output"] == output


def test_a_part_has_its_own_environment(tmp_path, monkeypatch, one_part):
    script = """echo '{"found": "'$FRACTION $XLA_PYTHON_CLIENT_PREALLOCATE'"}' > $1/rows.jsonl"""
    monkeypatch.setattr(gpu, "command", shell(script))
    assert gpu.run_part("only", tmp_path, 60, small=True)["rows"] == [{"found": "0.012 false"}]
    assert "FRACTION" not in os.environ


def test_what_failed_is_repeated_after_what_has_no_line():
    names = list(parts.PARTS)
    assert gpu.still_to_run([], MACHINE) == names
    lines = [line(names[0], "failed"), line(names[1], "done"), line(names[2], "left out"), line(names[3], "timeout")]
    assert gpu.still_to_run(lines, MACHINE) == [*names[4:], names[0], names[3]]
    assert gpu.still_to_run([*lines, line(names[0], "done")], MACHINE) == [*names[4:], names[3]]
    assert gpu.still_to_run(lines, {**MACHINE, "gpus": []}) == names


def test_a_visit_appends_a_line_for_each_part_once(tmp_path, monkeypatch, capsys):
    out = tmp_path / "gpu.jsonl"
    monkeypatch.setattr("resnet_search.workers.backend.keras_backend", lambda: "jax")
    monkeypatch.setattr("resnet_search.workers.devices.backend_gpus", lambda _: MACHINE["gpus"])
    monkeypatch.setattr(gpu, "write_images", lambda folder, *, small: None)
    monkeypatch.setattr(gpu, "command", shell(f"echo '{ROW}' > $1/rows.jsonl"))
    few = {name: parts.Part(None, limit) for name, limit in (("a", 50), ("long", 500), ("b", 50))}
    monkeypatch.setattr(gpu, "PARTS", few)
    gpu.main(["--out", str(out), "--minutes", "2"])
    gpu.main(["--out", str(out), "--minutes", "2"])
    lines = [json.loads(text) for text in out.read_text().splitlines()]
    assert [(found["part"], found["state"], found["machine"]) for found in lines] == [
        ("a", "done", MACHINE), ("b", "done", MACHINE),
    ]  # fmt: skip
    assert {"rows", "versions", "time", "seconds", "limit", "output"} <= lines[0].keys()
    gpu.main(["--out", str(out), "a"])
    assert len(out.read_text().splitlines()) == 3
    capsys.readouterr()
    gpu.main(["--report", str(out)])
    assert capsys.readouterr().out.count("step_ms: 1.5") == 3


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        gpu.main(["nonsense"])
    assert ended.value.code == 2
    assert "train" in capsys.readouterr().err


def test_a_part_writes_rows_until_it_is_left_out(tmp_path, monkeypatch):
    def work(visit):
        yield {"small": visit.small}
        raise parts.LeftOut("MPS is not installed")

    monkeypatch.setattr(gpu, "PARTS", {"only": parts.Part(work, 60)})
    gpu.main(["only", "--inside", str(tmp_path), "--small"])
    rows = [json.loads(text) for text in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert rows == [{"small": True}, {"left out": "MPS is not installed"}]


def test_the_parts_fit_into_a_visit():
    """Ten minutes in all, and the page says so."""
    total = sum(part.limit for part in parts.PARTS.values())
    assert total < 10 * 60
    page = (ROOT / "benchmarks" / "README.md").read_text()
    assert f"limited to {total} seconds" in page
    assert all(f"`{name}`" in page for name in parts.PARTS)


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


def arguments(tmp_path, **others) -> argparse.Namespace:
    given = {"source": "shapes", "folder": tmp_path, "minutes": 1.0, "space": "cifar_small", "workers": None}
    return argparse.Namespace(**{**given, **others})


def test_steps_with_a_line_are_skipped(tmp_path, monkeypatch):
    asked = []

    def step(name):
        def work(arguments, source):
            asked.append((name, source))
            if len(asked) == 2:
                raise KeyboardInterrupt
            return {"network": name}

        return work

    monkeypatch.setattr(cifar, "STEPS", {name: step(name) for name in ("search", "best", "resnet-20")})
    with pytest.raises(KeyboardInterrupt):
        cifar.measure_all(arguments(tmp_path))
    cifar.measure_all(arguments(tmp_path))
    assert [name for name, _ in asked] == ["search", "best", "best", "resnet-20"]
    lines = [json.loads(text) for text in (tmp_path / cifar.LINES).read_text().splitlines()]
    assert [found["step"] for found in lines] == ["search", "best", "resnet-20"]
    assert all({"seconds", "command", "versions"} <= found.keys() for found in lines)


def test_jpeg_files_become_arrays(tmp_path, monkeypatch):
    import io

    from PIL import Image

    monkeypatch.setattr(cifar, "TEST", 2)
    files = []
    for shade in (10, 120, 240, 60, 200):
        file = io.BytesIO()
        Image.new("RGB", (32, 32), (shade,) * 3).save(file, "JPEG")
        files.append(file.getvalue())
    size = 20  # bytes that every file starts with
    packed = tmp_path / "packed.npz"
    bodies = [file[size:] for file in files]
    np.savez(
        packed, header=np.frombuffer(files[0][:size], np.uint8), body=np.frombuffer(b"".join(bodies), np.uint8),
        lengths=np.array([len(body) for body in bodies], np.uint16), labels=np.arange(5, dtype=np.uint8),
    )  # fmt: skip
    with np.load(cifar.unpacked(packed, tmp_path)) as found:
        assert found["x_train"].shape == (3, 32, 32, 3)
        assert found["x_test"].mean(axis=(1, 2, 3)) == pytest.approx([60, 200], abs=2)
        assert found["y_test"].tolist() == [3, 4]


def test_other_sources_are_taken_as_they_are(tmp_path):
    plain = tmp_path / "plain.npz"
    np.savez(plain, x_train=np.zeros(1))
    assert cifar.unpacked(plain, tmp_path / "out") == str(plain)
    assert cifar.unpacked(tmp_path / "cifar-10-batches-py", tmp_path / "out") == str(tmp_path / "cifar-10-batches-py")


def test_the_report_shows_accuracies_with_their_bars(tmp_path, capsys):
    rows = [
        {"step": "search", "best": None, "best_epochs": None, "best_score": None, "trials": 0, "planned_trials": 70,
         "epochs": 0, "seconds": 300},
        {"step": "best", "network": "basic14-w16", "epochs": 60, "seconds": 80, "accuracy": 0.9, "low": 0.894,
         "high": 0.9057},
    ]  # fmt: skip
    (tmp_path / cifar.LINES).write_text("".join(json.dumps(row) + "\n" for row in rows))
    cifar.main(["--report", str(tmp_path)])
    assert "0.9000 (0.8940 to 0.9057)" in capsys.readouterr().out


def test_a_missing_source_is_an_error_of_usage():
    with pytest.raises(SystemExit) as ended:
        cifar.main([])
    assert ended.value.code == 2
