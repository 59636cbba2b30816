"""`export` and `trials --pareto`, without exporting anything."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnet_search.cli import export
from resnet_search.export import latency
from resnet_search.export.choice import Limits
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.latency import Latency, keep_latency
from resnet_search.runs.trials import RunView, read_run

from .conftest import Asked, Outcome, make_run, refused


@pytest.fixture
def run(asked: Asked, tmp_path: Path) -> RunFolder:
    return make_run(tmp_path / "runs")


def test_a_new_export_of_the_same_network_keeps_its_formats(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    view = read_run(run)
    assert view.leader is not None
    folder = run.path / "export"
    folder.mkdir()
    for name in ("model.keras", "model.onnx"):
        (folder / name).touch()
    monkeypatch.setattr(export, "find_spec", lambda package: None if package == "tf2onnx" else package)
    for trial, formats in ((view.leader.trial, ["keras"]), ("9999", [])):
        (folder / "export.json").write_text(json.dumps({"trial": trial}))
        assert export.held_formats(view) == formats


def test_formats_are_repeated_or_have_commas_between(
    run: RunFolder, asked: Asked, command: Callable[..., Outcome]
) -> None:
    outcome = command("export", run.name, "--format", "keras,onnx", "--format", "litert-int8")
    assert outcome.status == 0, outcome.err
    assert asked.exports == [{"run": run.name, "formats": ["keras", "onnx", "litert-int8"]}]
    lines = outcome.out.splitlines()
    row = next(line for line in lines if line.startswith("litert-int8")).split()
    assert row[:6] == ["litert-int8", "model_int8.tflite", "123", "kB", "2.4e-07", "96.30"]
    assert any(line.split()[-4:] == ["<b>H200", "0.5", "1", "2,000"] for line in lines)
    assert lines[-1].endswith(" a \\x1b[31mnote")
    assert max(map(len, lines)) <= 200


def test_a_format_that_is_none(run: RunFolder, command: Callable[..., Outcome]) -> None:
    outcome = command("export", run.name, "--format", "saved_model,onxx")
    refused(outcome, 2, "'onxx'", "saved_model, keras, onnx, litert, litert-int8", "nearest: onnx")


def test_an_ensemble_is_shown_beside_the_best(run: RunFolder, asked: Asked, command: Callable[..., Outcome]) -> None:
    out = command("export", run.name, "--ensemble", 2).out
    assert asked.exports == [{"run": run.name, "ensemble": 2}]
    best, second = read_run(run).ranking()[:2]
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert all(fact in lines["Accuracy"] for fact in ("75.00 %", best.trial, second.trial))
    assert all(fact in lines["The"] for fact in (f"{100 * best.score:.2f} %", best.trial))
    assert all(fact in lines["Cost"] for fact in ("30.0 k", "5.00 M", "11.4 k", "1.75 M"))


def test_limits_go_together(run: RunFolder, asked: Asked, command: Callable[..., Outcome]) -> None:
    words = ["--max-params", 20_000, "--max-macs", 10**6, "--max-latency", "2.5"]
    assert command("export", run.name, *words).status == 0
    limits = Limits(max_params=20_000, max_macs=10**6, max_latency=2.5)
    assert asked.exports == [{"run": run.name, "limits": limits}]


def test_replacing_another_network_is_asked_for(run: RunFolder, asked: Asked, command: Callable[..., Outcome]) -> None:
    assert command("export", run.name, "--trial", "0", "--replace").status == 0
    assert asked.exports == [{"run": run.name, "trial": "0000", "replace": True}]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--trial", "1", "--ensemble", "2"], ["--trial", "--ensemble"]),
        (["--trial", "1", "--max-params", "9"], ["--trial", "--max-params"]),
        (["--ensemble", "2", "--max-latency", "9"], ["--ensemble", "--max-latency"]),
        (["--ensemble", "1"], ["--ensemble", "2", "1,000"]),
        (["--max-latency", "0"], ["--max-latency", "0.001", "1,000,000"]),
        (["--max-latency", "nan"], ["--max-latency", "'nan'"]),
        (["--max-latency", "fast"], ["--max-latency", "'fast'"]),
        (["--format", ""], ["--format", "saved_model"]),
    ],
)
def test_what_cannot_be_asked(
    words: list[str], names: list[str], run: RunFolder, asked: Asked, command: Callable[..., Outcome]
) -> None:
    refused(command("export", run.name, *words), 2, *names)
    assert asked.exports == []


def timed(p50: float) -> list[Latency]:
    return [Latency(device="cpu", batch=1, p50=p50, p99=p50, throughput=1.0, calls=10, threads=2)]


def test_pareto_lists_the_fronts(run: RunFolder, command: Callable[..., Outcome]) -> None:
    view = read_run(run)
    worst = view.ranking()[-1]
    keep_latency(run, worst.trial, timed(1.25))
    listed = json.loads(command("trials", run.name, "--pareto", "--json").out)["trials"]
    best = view.ranking()[0]
    assert listed[0]["trial"] == best.trial
    assert {"parameters", "MACs"} <= set(listed[0]["front"])
    assert listed[0]["latency_ms"] is None
    only = next(trial for trial in listed if trial["trial"] == worst.trial)
    assert "latency" in only["front"]
    assert only["latency_ms"] == 1.25
    shown = command("trials", run.name, "--pareto").out.splitlines()
    assert shown[0].split()[:4] == ["trial", "architecture", "score", "params"]
    assert [line.split()[0] for line in shown[1 : len(listed) + 1]] == [trial["trial"] for trial in listed]
    table = list(csv.DictReader(io.StringIO(command("trials", run.name, "--pareto", "--csv").out)))
    assert [json.loads(row["front"]) for row in table] == [trial["front"] for trial in listed]
    assert len(json.loads(command("trials", run.name, "--pareto", "--top", 1, "--json").out)["trials"]) == 1


def test_measuring_is_asked_for(
    run: RunFolder, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(view: RunView, trials: Any, progress: Any, form: str) -> None:
        for number, trial in enumerate(trials, 1):
            keep_latency(view.folder, trial.trial, timed(float(number)), form)

    monkeypatch.setattr(latency, "measure", measure)
    listed = json.loads(command("trials", run.name, "--pareto", "--measure", "--json").out)["trials"]
    assert (listed[0]["latency_ms"], listed[0]["latency_format"]) == (1.0, "saved_model")
    keep_latency(run, listed[0]["trial"], timed(0.125), "litert-int8")
    listed = json.loads(command("trials", run.name, "--pareto", "--format", "litert-int8", "--json").out)["trials"]
    assert (listed[0]["latency_ms"], listed[0]["latency_format"]) == (0.125, "litert-int8")
    assert "litert-int8" in command("trials", run.name, "--pareto", "--format", "litert-int8").out
    refused(command("trials", run.name, "--format", "onnx"), 2, "--format", "--pareto")
    refused(command("trials", run.name, "--measure"), 2, "--measure", "--pareto")
