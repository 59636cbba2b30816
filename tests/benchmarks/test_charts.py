"""The charts are those of the results, and the same each time."""

from __future__ import annotations

import json
import sys
from importlib import import_module

import pytest

pytest.importorskip("matplotlib", reason="the extra bench is not installed")

charts = import_module("benchmarks.charts")


def draw(monkeypatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["charts.py", *map(str, words)])
    charts.main()


@pytest.fixture
def results(tmp_path):
    """A file of each benchmark, as it writes them."""
    folder = tmp_path / "results"
    folder.mkdir()
    columns = {"mean": [None, 0.2, 0.1, 0.1], "low": [None, 0.1, 0.0, 0.0], "high": [None, 0.3, 0.2, 0.2]}
    searches = {"seeds": 5, "iterations": 2, "one_pass": 2, "methods": dict.fromkeys(charts.STYLES, columns)}
    (folder / "search_quality.json").write_text(json.dumps(searches))
    measured = [
        {"step": step, "trials": trials, "median_ms": 2.0, "median_ms_without_fsync": 1.0}
        for step in ("create", "tell")
        for trials in (100, 1000)
    ]
    (folder / "driver.json").write_text(json.dumps({"measured": [*measured, {"reader": "list", "trials": 1000}]}))
    lines = [
        {"workers": workers, "seconds": 60.0 / workers, "processors": 2, "trials": 15}
        for workers in (1, 2)
        for _ in range(2)
    ]
    simulated = [
        {"promotion": "sync", "planned": planned, "workers": workers, "utilisation": 0.9}
        for planned in (140, 1055)
        for workers in (1, 256)
    ]
    (folder / "simulation_utilisation.jsonl").write_text("".join(json.dumps(line) + "\n" for line in simulated))
    rules = [
        {"promotion": rule, "iterations": iterations, "workers": 256, "trials": 211.0, "seeds": 3,
         "times_hours": [1.0, 2.0], "regret": [0.5, 0.01]}
        for rule in ("sync", "async")
        for iterations in (1, 5)
    ]  # fmt: skip
    (folder / "simulation_promotion.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rules))
    (folder / "scaling.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_the_same_results_give_the_same_files(results, tmp_path, monkeypatch):
    for folder in ("first", "again"):
        draw(monkeypatch, "--results", results, "--out", tmp_path / folder)
    for name in charts.CHARTS:
        text = (tmp_path / "first" / f"{name}.svg").read_text()
        assert text == (tmp_path / "again" / f"{name}.svg").read_text()
        assert "<text" in text, "text is text"


def test_what_has_not_been_measured_is_not_drawn(results, monkeypatch):
    """Before a search has anything to hand over, its line has not begun."""
    charts.plt.switch_backend("svg")
    figure = charts.regret(results / "search_quality.json")
    for line in figure.axes[0].get_lines()[: len(charts.STYLES)]:
        assert list(line.get_xdata()) == [2, 3, 4]
        assert list(line.get_ydata()) == [20, 10, 10], "points, not fractions"
    charts.plt.close(figure)


def test_without_results_there_is_no_chart_and_it_says_so(tmp_path, monkeypatch, capsys):
    draw(monkeypatch, "--results", tmp_path, "--out", tmp_path / "out")
    assert capsys.readouterr().out.count("left out") == len(charts.CHARTS)
    assert not list((tmp_path / "out").iterdir())
