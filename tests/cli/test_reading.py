"""The commands that only read: spaces, plan, list, trials, show."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resnet_search.cli import trials as trials_command
from resnet_search.cli.screen import show
from resnet_search.cli.searching import conclude
from resnet_search.cli.session import Session
from resnet_search.cli.tables import trials_table
from resnet_search.errors import RunError, SpaceError
from resnet_search.files import append_line, read_lines, write_lines
from resnet_search.report.units import percent
from resnet_search.runs.events import append_event
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import open_run, read_run
from resnet_search.spaces import feasible, load
from resnet_search.spaces import plan as planning
from resnet_search.spaces.load import shipped_spaces

from .conftest import Outcome, make_folder, make_run, refused


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A finished run under ./runs of the current folder."""
    monkeypatch.chdir(tmp_path)
    return make_run(tmp_path / "runs")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)


def lines_of(outcome: Outcome) -> dict[str, str]:
    """The lines of a screen by the word that each begins with, the last of a word."""
    return {line.split()[0]: line for line in outcome.out.splitlines() if line}


def rows(text: str, count: int) -> list[list[str]]:
    return [line.split() for line in text.splitlines()[1 : count + 1]]


def test_spaces_lists_what_ships(command: Callable[..., Outcome]) -> None:
    outcome = command("spaces")
    spaces = {space["name"]: space for space in json.loads(command("spaces", "--json").out)["spaces"]}
    assert sorted(spaces) == shipped_spaces()
    for name, space in spaces.items():
        assert name in outcome.out
        assert space["path"] in outcome.out
        assert 0 < space["feasible"] <= space["total"]
        assert space["params"][0] < space["params"][1]


def test_the_table_of_spaces_comes_last(command: Callable[..., Outcome]) -> None:
    """Above the paragraphs, it scrolled away."""
    last = command("spaces").out.splitlines()[-len(shipped_spaces()) - 1 :]
    assert last[0].split()[:2] == ["space", "feasible"]
    assert [line.split()[0] for line in last[1:]] == shipped_spaces()


def test_spaces_lists_those_of_the_current_folder_wrong_ones_too(
    tmp_path: Path, command: Callable[..., Outcome]
) -> None:
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "mine.toml").write_text('[axes]\nn = [1]\nwidth = [8]\nblock = ["basik"]\n')
    outcome = command("spaces")
    assert outcome.status == 0
    assert '[axes] block: got "basik"' in outcome.out
    spaces = {space["name"]: space for space in json.loads(command("spaces", "--json").out)["spaces"]}
    assert len(spaces["mine"]["mistakes"]) == 1


def test_plan_shows_brackets_and_cost(command: Callable[..., Outcome]) -> None:
    outcome = command("plan", "--space", "cifar_small")
    assert rows(outcome.out.split("\n\n", 1)[1], 4) == [
        ["3", "0", "27", "0", "1", "27"],
        ["3", "1", "9", "1", "3", "18"],
        ["3", "2", "3", "3", "9", "18"],
        ["3", "3", "1", "9", "27", "18"],
    ]
    for fact in ("49 candidates", "70 trials", "375 epochs", "45,000 training images", "1,323 epochs"):
        assert fact in outcome.out
    plan = json.loads(command("plan", "--space", "cifar_small", "--json").out)
    assert (plan["trials"], plan["epochs"], plan["full_epochs"], plan["images"]) == (70, 375, 1323, 45_000)
    assert sum(plan["excluded"].values()) + plan["feasible"] == plan["total"]


SINGLE = """
[axes]
n = [1]
width = [8]
block = ["basic"]
[hyperband]
max_epochs = 27
[data]
source = "shapes"
"""


def test_plan_of_a_space_smaller_than_it(tmp_path: Path, command: Callable[..., Outcome]) -> None:
    (tmp_path / "single.toml").write_text(SINGLE)
    lines = lines_of(command("plan", "--space", "single.toml"))
    for fact in ("at most 1 candidate", "10 trials", "108 epochs"):
        assert fact in lines["Search"]
    assert "at most" in lines["Time"]
    assert "at most" not in command("plan", "--space", "quickstart").out


LARGE = """
[axes]
n = [1, 2, 3, 4, 5, 6, 7, 8]
width = [4, 6, 8, 12, 16, 20, 24, 32]
block = ["resnext", "preact_resnext"]
cardinality = [2, 3, 4, 8]
attention = ["none", "se"]
attention_ratio = [2, 4, 8, 16]
shortcut = ["identity", "projection", "avgpool"]
[limits]
max_params = 100_000
"""
TOTAL = 7_680


def test_plan_estimates_a_large_space_and_counts_it_when_asked(
    tmp_path: Path, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feasible, "CAP", 5_000)
    monkeypatch.setattr(feasible, "SAMPLE", 2_000)
    (tmp_path / "large.toml").write_text(LARGE)
    estimate = json.loads(command("plan", "--space", "large.toml", "--json").out)
    outcome = command("plan", "--space", "large.toml", "--json", "--count")
    counted = json.loads(outcome.out)
    assert f"{TOTAL:,}" in outcome.err
    low, high = estimate["interval"]
    assert low < estimate["feasible"] < high
    assert low <= counted["feasible"] <= high
    assert (estimate["exact"], counted["exact"]) == (False, True)
    assert counted["interval"] == [counted["feasible"]] * 2
    assert estimate["total"] == counted["total"] == sum(counted["excluded"].values()) + counted["feasible"] == TOTAL
    for reason, number in counted["excluded"].items():
        assert estimate["excluded"][reason] == pytest.approx(number, rel=0.1)
    line = lines_of(command("plan", "--space", "large.toml"))["Feasible"]
    assert re.search(rf"about [\d,]+0 of {TOTAL:,} ", line)
    assert all(fact in line for fact in ("95 %", f"{low:,} to {high:,}", "--count"))
    assert f"{counted['feasible']:,} of {TOTAL:,}" in command("plan", "--space", "large.toml", "--count").out
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "large.toml").rename(tmp_path / "search_spaces" / "large.toml")
    monkeypatch.setattr(load, "_shipped_folder", lambda: tmp_path / "nowhere")
    assert re.search(r"\nlarge +~[\d.]+ k of 7.68 k ", command("spaces").out)


def test_plan_of_a_listed_space_is_exact_whether_it_counts_or_not(command: Callable[..., Outcome]) -> None:
    outcome = command("plan", "--space", "quickstart", "--count")
    assert (outcome.out, outcome.err) == (command("plan", "--space", "quickstart").out, "")


def test_plan_explains_the_rules_that_exclude(command: Callable[..., Outcome]) -> None:
    lines = [line for line in command("plan", "--space", "cifar_small").out.splitlines() if line[:9] == "Excluded "]
    assert [re.findall(r"\d[\d,]*\b", line) for line in lines] == [["309", "300,000"], ["24", "8", "20", "1", "10"]]
    assert '"cardinality does not divide"' in lines[1]
    plan = json.loads(command("plan", "--space", "cifar_small", "--json").out)
    assert plan["explained"].keys() == {"cardinality does not divide"}


def test_plan_of_a_grid_lists_its_networks(tmp_path: Path, command: Callable[..., Outcome]) -> None:
    text = command("plan", "--space", "degradation").out
    assert rows(text.split("\n\n", 1)[1], 8)[0] == ["basic20-w16-identity", "resnet-20", "20", "270", "k", "40.6", "M"]
    assert "bracket" not in text
    assert "In full" not in text
    assert all(fact in text for fact in ("grid", "8 networks", "1,312 epochs"))
    plan = json.loads(command("plan", "--space", "degradation", "--json").out)
    assert (plan["method"], plan["trials"], plan["epochs"], plan["full_epochs"]) == ("grid", 8, 1312, 1312)
    (tmp_path / "many.toml").write_text(
        f'method = "grid"\n[axes]\nn = [1]\nwidth = {[*range(1, 101)]}\nblock = "basic"'
    )
    assert "\nand 60 more\n" in command("plan", "--space", "many.toml").out


def test_a_grid_that_is_too_large_says_so(
    tmp_path: Path, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "CAP", 99)
    (tmp_path / "large.toml").write_text(
        f'method = "grid"\n[axes]\nn = [1]\nwidth = {[*range(1, 101)]}\nblock = "basic"'
    )
    outcome = command("plan", "--space", "large.toml")
    refused(outcome, 1, "100", "99", "grid")
    assert outcome.error is SpaceError


@pytest.mark.parametrize("name", shipped_spaces())
def test_plan_fits_a_terminal(
    name: str, tmp_path: Path, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    make_folder(tmp_path / "images", cat=9, dog=9)  # of the space `folder`
    assert max(map(len, command("plan", "--space", name).out.splitlines()[1:])) <= 80


def test_plan_takes_the_options_of_run(command: Callable[..., Outcome]) -> None:
    words = ["--max-epochs", 4, "--factor", 2, "--iterations", 2, "--train-examples", 500, "--max-params", 20_000]
    plan = json.loads(command("plan", "--space", "quickstart", *words, "--data", "tfds:absent", "--json").out)
    assert {bracket["iteration"] for bracket in plan["brackets"]} == {0, 1}
    assert max(rung["epochs"] for bracket in plan["brackets"] for rung in bracket["rungs"]) == 4
    assert plan["images"] == 500
    assert "more than 20,000 parameters" in plan["excluded"]
    assert "iteration" in command("plan", "--space", "quickstart", *words).out


def test_plan_without_a_number_of_images(command: Callable[..., Outcome]) -> None:
    words = ["plan", "--space", "quickstart", "--data", "tfds:absent"]
    lines = lines_of(command(*words))
    assert "10,000 training images" in lines["Time"]
    assert "10 classes" in lines["Images"]
    assert "tfds:absent" in lines["Download"]
    plan = json.loads(command(*words, "--json").out)
    assert [plan[key] for key in ("seconds", "images", "validation", "classes")] == [None] * 4


def test_plan_counts_a_folder_of_images(tmp_path: Path, command: Callable[..., Outcome]) -> None:
    make_folder(tmp_path / "photos", ant=60, bee=50, cat=54, dog=200)
    words = ["plan", "--space", "quickstart", "--data", "photos/", "--validation", "0.1"]
    outcome = command(*words)
    lines = lines_of(outcome)
    assert re.findall(r"\d+", lines["Images"]) == ["4", "328", "36", "40"]
    assert "328 training images" in lines["Time"]
    plan = json.loads(command(*words, "--json").out)
    assert (plan["images"], plan["validation"], plan["classes"]) == (328, 36, 4)
    fewer = json.loads(command(*words, "--train-examples", 100, "--json").out)
    assert (fewer["images"], fewer["validation"]) == (100, 36)
    assert fewer["seconds"] < plan["seconds"]
    # The last layer of every network is smaller than that of ten classes.
    macs = json.loads(command("plan", "--space", "quickstart", "--json").out)["mean_macs"]
    assert plan["mean_macs"] < macs
    outcome = command(*words, "--train-examples", 1000)
    refused(outcome, 1, "train_examples", "1000", "4", "328", "36")
    assert outcome.out == ""


def test_a_limit_is_held_against_networks_of_as_many_classes_as_there_are(
    tmp_path: Path, command: Callable[..., Outcome]
) -> None:
    make_folder(tmp_path / "photos", ant=60, bee=50)
    (tmp_path / "single.toml").write_text(SINGLE)
    of_ten = json.loads(command("plan", "--space", "single.toml", "--baseline", "resnet-20", "--json").out)
    words = ["plan", "--space", "single.toml", "--data", "photos/", "--json"]
    of_two = json.loads(command(*words, "--baseline", "resnet-20").out)
    # Eight classes fewer, of 64 channels and a bias each.
    assert of_ten["baselines"][0]["params"] - of_two["baselines"][0]["params"] == 8 * 65
    limit = ["--max-macs", int(of_two["mean_macs"])]
    assert json.loads(command(*words, *limit).out)["feasible"] == 1
    assert command("plan", "--space", "single.toml", *limit).error is SpaceError


def test_plan_goes_by_the_speed_of_earlier_runs(run: RunFolder, command: Callable[..., Outcome]) -> None:
    def speed(*words: str) -> str:
        return lines_of(command("plan", "--space", "quickstart", *words))["Speed"]

    assert run.name in speed()
    assert run.name not in speed("--runs-dir", "elsewhere")
    assert run.name not in speed("--device", "gpu")


def test_list(run: RunFolder, tmp_path: Path, command: Callable[..., Outcome]) -> None:
    make_run(tmp_path / "runs", "stopped", stop_after=9)
    held = make_run(tmp_path / "runs", "held", stop_after=9)
    with held.lock():
        outcome = command("list")
        listed = {entry["run"]: entry for entry in json.loads(command("list", "--json").out)["runs"]}
    states = {name: entry["state"] for name, entry in listed.items()}
    assert states == {run.name: "finished", "stopped": "interrupted", "held": "running"}
    assert "23/23" in outcome.out
    assert listed["stopped"]["trials"] < listed["stopped"]["planned_trials"] == 23
    winner = read_run(run).winner
    assert winner is not None
    assert listed[run.name]["best"] == winner.trial
    assert winner.name in outcome.out


def test_list_says_what_follows_a_search_while_it_trains(run: RunFolder, command: Callable[..., Outcome]) -> None:
    of = {"run": run.name, "kind": "confirm", "trials": ["0000"], "seeds": 1}
    known = [{"iteration": 0, "bracket": 9, "candidates": [{"architecture": {}, "recipe": {}}], "presets": []}]
    confirm = make_run(run.path, "confirm", stop_after=9, of=of, known=known)
    final = make_run(run.path, "final", stop_after=0, of={**of, "kind": "final"}, known=known)

    def listed() -> tuple[str, dict[str, Any]]:
        [one] = json.loads(command("list", "--json").out)["runs"]
        return command("list").out.splitlines()[1], one

    line, one = listed()
    assert (one["state"], one["following"]) == ("finished", [])
    assert " finished " in line
    done = read_run(confirm).completed
    assert 0 < done < 23
    with confirm.lock():
        line, one = listed()
        assert f" confirming {done}/23 " in line
        assert (one["state"], one["trials"]) == ("finished", read_run(run).completed)
        assert one["following"] == [{"kind": "confirm", "trials": done, "planned_trials": 23}]
        with final.lock():
            line, one = listed()
            assert f" confirming {done}/23, training " in line
            assert [following["kind"] for following in one["following"]] == ["confirm", "final"]
            (confirm.path / "run.json").write_text("{")
            assert " training " in listed()[0], "what cannot be read is for doctor to say"
            assert "damaged" not in command("list").out


def test_epochs_that_are_not_trained_again_are_not_missing(run: RunFolder, command: Callable[..., Outcome]) -> None:
    planned = json.loads(command("list", "--json").out)["runs"][0]["planned_epochs"]
    lines = read_lines(run.events)
    drawn = [line for line in lines if line["event"] == "created" and line["rung"] == 0]
    done = {line["trial"] for line in lines if line["event"] == "completed"}
    again = next(line for line in drawn if line["trial"] in done)
    again["reused"] = True
    write_lines(run.events, lines)
    listed = json.loads(command("list", "--json").out)["runs"][0]
    assert listed["epochs"] == listed["planned_epochs"] == planned - again["epochs"]


def test_a_trial_that_is_reused_is_marked_however_narrow_the_terminal_is(
    run: RunFolder, command: Callable[..., Outcome], terminal: Callable[[int], None]
) -> None:
    lines = read_lines(run.events)
    next(line for line in lines if line.get("trial") == "0003")["reused"] = True
    write_lines(run.events, lines)
    for columns in (80, 200):
        terminal(columns)
        told = command("trials", run.name, "--all").out.splitlines()
        assert [row.split()[0] for row in told if "reused" in row] == ["0003"]


def test_brackets_that_there_are_not_are_refused_with_those_there_are(
    run: RunFolder, command: Callable[..., Outcome]
) -> None:
    for words in ((), ("--json",), ("--csv",)):
        outcome = command("trials", run.name, "--bracket", "7", *words)
        refused(outcome, 2, "--bracket", "7", "0, 1, 2")
        assert outcome.out == ""
    assert command("trials", run.name, "--bracket", "1").status == 0


def test_the_epochs_of_a_trial_that_is_not_done_are_counted_everywhere(
    tmp_path: Path, command: Callable[..., Outcome], capfd: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "open", "begun", stop_after=12)
    view = open_run("begun", tmp_path / "open")
    done = sum(trial.trained_epochs for trial in view.trials.values() if trial.status == "completed")
    (trial,) = (trial for trial in view.trials.values() if trial.status == "running")
    folder.trial(trial.trial).mkdir()
    append_line(folder.trial(trial.trial) / "history.jsonl", {"epoch": trial.initial_epoch + 1, "val_accuracy": 0.5})
    append_event(folder.events, "stopped", reason="the time budget is spent")
    view = open_run("begun", tmp_path / "open")
    (listed,) = json.loads(command("list", "--runs-dir", tmp_path / "open", "--json").out)["runs"]
    assert listed["epochs"] == done + 1
    conclude(Session(), view, quiet=False, export=False)
    assert f" {done + 1} epochs" in capfd.readouterr().out


def test_list_of_nothing(command: Callable[..., Outcome]) -> None:
    assert "resnet-search run --space quickstart" in command("list").out
    assert json.loads(command("list", "--json").out)["runs"] == []


def test_the_folder_of_runs_comes_from_the_environment(
    tmp_path: Path, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "mine")
    monkeypatch.setenv("RESNET_SEARCH_RUNS_DIR", str(tmp_path / "mine"))
    assert "trial-run" in command("list").out


@pytest.mark.parametrize("halving", [True, False])
def test_trials_with_long_names_fit_the_terminal(
    halving: bool, run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "preact_resnext164-w16-b18x18x18-c4-d64-avgpool-se-r8-sebias-m1x2.5x4-sd0.2"
    trials = [replace(trial, name=name) for trial in read_run(run).ranking()]
    show([trials_table(trials, elsewhere="--json has everything", halving=halving)])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(f"{percent(trials[0].score)}" in line and trials[0].trial in line for line in lines) == 1


def test_trials_of_the_full_budget_come_first(run: RunFolder, command: Callable[..., Outcome]) -> None:
    listed = json.loads(command("trials", run.name, "--json").out)["trials"]
    ranked = [trial.trial for trial in read_run(run).ranking()]
    assert [trial["trial"] for trial in listed[: len(ranked)]] == ranked
    assert listed[-1]["status"] == "failed"
    assert list(listed[0]) == list(trials_command.FIELDS)


def test_trials_json_is_exact(run: RunFolder, command: Callable[..., Outcome]) -> None:
    by_id = read_run(run).trials
    for listed in json.loads(command("trials", "latest", "--json").out)["trials"]:
        trial = by_id[listed["trial"]]
        assert listed.pop("seed") == trial.repeat == 0
        assert all(listed[name] == getattr(trial, name) for name in trials_command.FIELDS if name != "seed")


def test_trials_csv_says_the_same_as_json(run: RunFolder, command: Callable[..., Outcome]) -> None:
    table = list(csv.DictReader(io.StringIO(command("trials", run.name, "--csv").out)))
    listed = json.loads(command("trials", run.name, "--json").out)["trials"]
    assert len(table) == len(listed)
    for row, trial in zip(table, listed, strict=True):
        assert json.loads(row["architecture"]) == trial["architecture"]
        assert row["score"] == ("" if trial["score"] is None else str(trial["score"]))
        assert row["reused"] == "false"


@pytest.mark.parametrize("column", trials_command._SORT)
def test_trials_sort_by_any_column(column: str, run: RunFolder, command: Callable[..., Outcome]) -> None:
    there = json.loads(command("trials", run.name, "--json", "--sort", column).out)["trials"]
    back = json.loads(command("trials", run.name, "--json", "--sort", column, "--reverse").out)["trials"]
    name = {"architecture": "name", "time": "train_seconds"}.get(column, column)
    values = [trial[name] for trial in there if trial[name] is not None]
    assert values == sorted(values, reverse=column == "score")
    if column == "trial":
        assert back == there[::-1]


def test_trials_are_chosen(run: RunFolder, command: Callable[..., Outcome]) -> None:
    assert len(json.loads(command("trials", run.name, "--json", "--top", 5).out)["trials"]) == 5
    failed = json.loads(command("trials", run.name, "--json", "--status", "failed").out)["trials"]
    assert {trial["status"] for trial in failed} == {"failed"}
    first = json.loads(command("trials", run.name, "--json", "--bracket", 2).out)["trials"]
    assert {trial["bracket"] for trial in first} == {2}
    assert len(command("trials", run.name, "--bracket", 0, "--status", "running").out.splitlines()) == 1


def test_the_table_of_trials(run: RunFolder, command: Callable[..., Outcome]) -> None:
    outcome = command("trials", run.name, "--top", 1)
    header, row = (line.split() for line in outcome.out.splitlines())
    assert header == [
        "trial", "candidate", "architecture", "depth", "params", "MACs", "bracket", "rung", "epochs", "status",
        "score", "curve", "time",
    ]  # fmt: skip
    winner = read_run(run).winner
    assert winner is not None
    assert row[0] == winner.trial
    assert f"{100 * winner.score:.2f}" in row


@pytest.mark.parametrize(
    ("columns", "left_out"),
    [
        (80, ["candidate", "time"]),
        (119, ["candidate"]),
        (120, ["candidate", "time"]),
        (160, []),
    ],
)
def test_a_narrow_terminal_keeps_bracket_status_and_curve(
    columns: int, left_out: list[str], run: RunFolder, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {"name": "bottleneck20-w12-identity", "train_seconds": 761.0}
    lines = read_lines(run.events)
    write_lines(run.events, [{**line, **changed} for line in lines])
    monkeypatch.setenv("COLUMNS", str(columns))
    out = command("trials", run.name, "--top", 3).out
    lines = [line for line in out.splitlines() if line.startswith("Not shown")]
    assert [re.findall("candidate|bracket|status|time", line) for line in lines] == [left_out] * bool(left_out)
    assert ("curve" in out.splitlines()[0]) == (columns >= 120)
    assert max(map(len, out.splitlines())) <= columns


def test_the_seed_of_each_trial_of_a_confirmation(
    run: RunFolder, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "seed" not in command("trials", run.name).out
    assert "Seed" not in command("show", run.name, "0").out
    lines = read_lines(run.events)
    for line in lines:
        if line["event"] == "created":
            line["repeat"] = 1 + int(line["trial"]) % 3
    write_lines(run.events, lines)
    listed = json.loads(command("trials", run.name, "--json", "--sort", "trial").out)["trials"]
    assert [one["seed"] for one in listed[:4]] == [1, 2, 3, 1]
    monkeypatch.setenv("COLUMNS", "80")
    out = command("trials", run.name, "--sort", "trial").out
    assert out.split()[:3] == ["trial", "architecture", "seed"]
    assert [line.split()[2] for line in re.findall(r"^00.*", out, re.MULTILINE)[:4]] == ["1", "2", "3", "1"]
    assert re.search(r"^Seed +2$", command("show", run.name, "1").out, re.MULTILINE)


def test_a_table_of_many_trials_is_cut_and_says_so(
    run: RunFolder, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = len(read_run(run).trials)
    assert len(command("trials", run.name).out.splitlines()) == 1 + trials, "not one of few"
    monkeypatch.setattr(trials_command, "ROWS", 10)
    lines = command("trials", run.name).out.splitlines()
    assert len(lines) == 1 + 10 + 1
    assert lines[-1].startswith(f"and {trials - 10} more")
    assert all(option in lines[-1] for option in ("--all", "--json", "--csv"))
    assert len(command("trials", run.name, "--all").out.splitlines()) == 1 + trials
    assert len(command("trials", run.name, "--top", 12).out.splitlines()) == 1 + 12
    assert len(json.loads(command("trials", run.name, "--json").out)["trials"]) == trials
    assert len(command("trials", run.name, "--csv").out.splitlines()) == 1 + trials
    refused(command("trials", run.name, "--all", "--top", 2), 2, "--all", "--top")


def test_ids_of_five_digits_come_behind_those_of_four(run: RunFolder, command: Callable[..., Outcome]) -> None:
    created = next(e for e in read_lines(run.events) if e["event"] == "created")
    append_line(run.events, {**created, "trial": "10000"})
    listed = json.loads(command("trials", run.name, "--json", "--sort", "trial").out)["trials"]
    assert [trial["trial"] for trial in listed][-2:] == [f"{len(listed) - 2:04d}", "10000"]


def test_a_run_is_a_name_a_path_or_latest(run: RunFolder, command: Callable[..., Outcome]) -> None:
    outcomes = {command("trials", ref, "--json").out for ref in (run.name, f"runs/{run.name}", run.path, "latest")}
    assert len(outcomes) == 1


def test_show(run: RunFolder, command: Callable[..., Outcome]) -> None:
    view = read_run(run)
    promoted = next(trial for trial in view.trials.values() if trial.rung == 2)
    outcome = command("show", run.name, promoted.trial)
    for link in view.chain(promoted):
        assert f"\n{link.trial} " in outcome.out
    for fact in (promoted.name, f"{promoted.params:,}", f"{promoted.macs:,}", f" {promoted.parent}\n", "1.5 s", "█"):
        assert fact in outcome.out
    shown = json.loads(command("show", run.name, promoted.trial, "--json").out)
    assert shown["chain"] == [link.trial for link in view.chain(promoted)]
    assert [line["epoch"] for line in shown["history"]] == list(range(1, promoted.epochs + 1))


def test_show_says_why_a_trial_failed(run: RunFolder, command: Callable[..., Outcome]) -> None:
    failed = next(trial for trial in read_run(run).trials.values() if trial.status == "failed")
    out = command("show", run.name, failed.trial.lstrip("0")).out
    assert "Failed with" in out
    assert "failure.txt" not in out
    folder = run.trial(failed.trial)
    folder.mkdir()
    (folder / "failure.txt").write_text("Traceback ...\n")
    out = command("show", run.name, failed.trial.lstrip("0")).out
    path = folder.relative_to(Path.cwd()) / "failure.txt"
    assert re.search(rf"^Details +{re.escape(str(path))}$", out, re.MULTILINE)


def test_batches_in_parts_are_told(run: RunFolder, command: Callable[..., Outcome]) -> None:
    append_line(run.events, {"event": "divided", "time": read_run(run).started + 1e6, "trial": "0000", "parts": 4})
    assert " 4 parts" in command("show", run.name, "0").out
    assert json.loads(command("show", run.name, "0", "--json").out)["parts"] == 4


def test_show_with_a_damaged_history(run: RunFolder, command: Callable[..., Outcome]) -> None:
    (run.trial("0000") / "history.jsonl").write_text("{\n")
    outcome = command("show", run.name, "0")
    refused(outcome, 1, "history.jsonl")
    assert outcome.error is RunError


def test_text_of_a_run_is_not_obeyed(tmp_path: Path, command: Callable[..., Outcome]) -> None:
    evil = "[red]\x1b[2J\r\x07\u202e"
    run = make_run(tmp_path / "runs", stop_after=1)
    append_line(run.events, {"event": "failed", "time": 1.0, "trial": "0001", "reason": evil})
    lines = read_lines(run.events)
    write_lines(run.events, [{**line, "name": evil} if line["event"] == "created" else line for line in lines])
    for words in (["trials", "latest"], ["show", "latest", "1"], ["show", "latest", "0"], ["list"]):
        outcome = command(*words)
        assert outcome.status == 0, outcome.err
        assert "[red]\\x1b[2J" in outcome.out or words == ["list"]
        assert all(char.isprintable() or char == "\n" for char in outcome.out)
