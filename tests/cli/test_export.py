"""`export` and `trials --pareto`, without exporting anything."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resnet_search.export import latency, saved_model
from resnet_search.export.choice import Limits
from resnet_search.report.exported import Ensemble
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.latency import Latency, keep_latency
from resnet_search.runs.trials import RunView, read_run
from tests.report.test_exported import EXPORTED

from .conftest import Outcome, make_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return make_run(tmp_path / "runs")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `export_run` was asked for, in place of doing it."""
    calls: list[dict[str, Any]] = []

    def export_run(view: RunView, trial: Any, out: Any, **options: Any) -> Any:
        calls.append({name: value for name, value in options.items() if value is not None})
        ranked = view.ranking()
        together = Ensemble(
            members=tuple(one.trial for one in ranked[:2]), params=30_000, macs=5_000_000, alone=()
        ) if "ensemble" in options else None  # fmt: skip
        exported = SimpleNamespace(files=EXPORTED.files, ensemble=together, machine=EXPORTED.machine)
        return SimpleNamespace(
            folder=Path("export"), difference=2.4e-7, accuracy=0.81, notes=("litert-int8: short",), exported=exported
        )

    monkeypatch.setattr(saved_model, "export_run", export_run)
    return calls


def test_formats_are_repeated_or_have_commas_between(
    run: RunFolder, asked: list[dict[str, Any]], command: Callable[..., Outcome]
) -> None:
    outcome = command("export", run.name, "--format", "keras,onnx", "--format", "litert-int8")
    assert outcome.status == 0, outcome.err
    assert asked == [{"formats": ["keras", "onnx", "litert-int8"]}]
    lines = outcome.out.splitlines()
    row = next(line for line in lines if line.startswith("litert-int8")).split()
    assert row[:6] == ["litert-int8", "model_int8.tflite", "123", "kB", "2.4e-07", "96.30"]
    assert any(line.split()[-4:] == ["<b>H200", "0.5", "1", "2,000"] for line in lines)
    assert "Note        litert-int8: short" in lines
    assert max(map(len, lines)) <= 200


def test_a_format_that_is_none(run: RunFolder, command: Callable[..., Outcome]) -> None:
    outcome = command("export", run.name, "--format", "saved_model,onxx")
    assert outcome.status == 2
    assert "got 'onxx'; allowed: saved_model, keras, onnx, litert, litert-int8; nearest: onnx" in outcome.err


def test_an_ensemble_is_shown_beside_the_best(
    run: RunFolder, asked: list[dict[str, Any]], command: Callable[..., Outcome]
) -> None:
    out = command("export", run.name, "--ensemble", 2).out
    assert asked == [{"ensemble": 2}]
    best, second = read_run(run).ranking()[:2]
    assert f"Accuracy    0.8100 on the validation images, averaged over {best.trial}, {second.trial}" in out
    assert f"The best    {best.score:.4f} by itself, trial {best.trial}" in out
    assert "Cost        30.0 k parameters, 5.00 M MACs; the best" in out


def test_limits_go_together(run: RunFolder, asked: list[dict[str, Any]], command: Callable[..., Outcome]) -> None:
    words = ["--max-params", 20_000, "--max-macs", 10**6, "--max-latency", "2.5"]
    assert command("export", run.name, *words).status == 0
    assert asked == [{"limits": Limits(max_params=20_000, max_macs=10**6, max_latency=2.5)}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trial", "1", "--ensemble", "2"], "--trial: got it with --ensemble; allowed: one of them"),
        (["--trial", "1", "--max-params", "9"], "--trial: got it with --max-params; allowed: one of them"),
        (["--ensemble", "2", "--max-latency", "9"], "--ensemble: got it with --max-latency; allowed: one of them"),
        (["--ensemble", "1"], "got '1'; allowed: integers from 2 to 1,000"),
        (["--max-latency", "0"], "got '0'; allowed: milliseconds from 0.001 to 1,000,000"),
        (["--max-latency", "nan"], "got 'nan'; allowed: milliseconds"),
        (["--max-latency", "fast"], "got 'fast'; allowed: milliseconds"),
        (["--format", ""], "got ''; allowed: saved_model"),
    ],
)
def test_what_cannot_be_asked(
    words: list[str], said: str, run: RunFolder, asked: list[dict[str, Any]], command: Callable[..., Outcome]
) -> None:
    outcome = command("export", run.name, *words)
    assert outcome.status == 2
    assert said in outcome.err
    assert asked == []


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
    def measure(view: RunView, trials: Any, progress: Any) -> None:
        for number, trial in enumerate(trials, 1):
            keep_latency(view.folder, trial.trial, timed(float(number)))

    monkeypatch.setattr(latency, "measure", measure)
    listed = json.loads(command("trials", run.name, "--pareto", "--measure", "--json").out)["trials"]
    assert listed[0]["latency_ms"] == 1.0
    outcome = command("trials", run.name, "--measure")
    assert outcome.status == 2
    assert "--measure: got it without --pareto" in outcome.err
