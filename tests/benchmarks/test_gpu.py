"""The visit to a GPU: its arguments, its parts under their limits, and what is skipped the next time."""

from __future__ import annotations

import json
import os
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from resnet_search.files import read_lines

gpu, parts = import_module("benchmarks.gpu"), import_module("benchmarks.gpu_parts")

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
    ("script", "state", "rows", "output"),
    [
        (f"echo '{ROW}' > $1/rows.jsonl", "done", 1, []),
        ("""echo '{"left out": "no GPU"}' > $1/rows.jsonl""", "left out", 1, []),
        (f"echo '{ROW}' > $1/rows.jsonl; echo no kernel image >&2; exit 1", "failed", 1, ["no kernel image"]),
        ("kill -SEGV $$", "failed", 0, []),
    ],
)
def test_a_part_leaves_its_state_and_the_rows_until_then(tmp_path, monkeypatch, one_part, script, state, rows, output):
    monkeypatch.setattr(gpu, "command", shell(script))
    found = gpu.run_part("only", tmp_path, 60, small=True)
    assert found.keys() == {"part", "state", "seconds", "limit", "rows", "output"}
    assert (found["part"], found["state"], len(found["rows"])) == ("only", state, rows)
    assert found["output"] == output


def test_a_part_that_runs_out_of_time_leaves_its_rows(tmp_path, monkeypatch, one_part):
    def run(command, *, timeout, **_):
        (tmp_path / "rows.jsonl").write_text(f'{ROW}\n{{"step_ms": 2')
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(gpu.subprocess, "run", run)
    found = gpu.run_part("only", tmp_path, 30, small=False)
    assert (found["state"], found["limit"], found["rows"]) == ("timeout", 30, [{"step_ms": 1.5}])


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
    rows = read_lines(tmp_path / "rows.jsonl")
    assert rows == [{"small": True}, {"left out": "MPS is not installed"}]


def test_the_parts_fit_into_a_visit():
    """Ten minutes in all, and the page says so."""
    total = sum(part.limit for part in parts.PARTS.values())
    assert total < 10 * 60
    page = (ROOT / "benchmarks" / "README.md").read_text()
    assert f"limited to {total} seconds" in page
    assert all(f"`{name}`" in page for name in parts.PARTS)
