"""What every tracker keeps to: all of a run, nothing twice, however often and from wherever it is told."""

from __future__ import annotations

import json
import shutil

import pytest

from resnet_search.files import read_lines, write_json, write_text
from resnet_search.runs.trials import FAILED, RUNNING, read_run
from resnet_search.trackers import mirror as mirrors
from resnet_search.trackers.contract import RUNNING as UNDECIDED
from resnet_search.trackers.mirror import Mirror
from tests.report.hostile import NAMES as HOSTILE

from .conftest import tell, told

pytestmark = pytest.mark.interface


def expected(folder):
    """By candidate its name, the validation accuracy of each epoch, and what has become of it."""
    view = read_run(folder, locked=False)
    found = {}
    for trial in view.trials.values():
        points = found.setdefault(trial.candidate, [trial.name, {}, ""])[1]
        path = folder.trial(trial.trial) / "history.jsonl"
        for line in path.read_text().splitlines() if path.exists() else ():
            if line.endswith("}"):
                points[json.loads(line)["epoch"]] = json.loads(line)["val_accuracy"]
        states = {RUNNING: "running", FAILED: "failed"}
        found[trial.candidate][2] = states.get(trial.status, "ended" if view.state == "finished" else "")
    return found


def check(folder, tracker):
    had = told(folder, tracker)
    wanted = expected(folder)
    assert had.keys() == wanted.keys()
    for candidate, (name, points, state) in wanted.items():
        assert had[candidate].name == name
        assert had[candidate].points == [(epoch, pytest.approx(value)) for epoch, value in sorted(points.items())]
        assert had[candidate].state == state or not state


def test_a_finished_run_is_told_whole_and_once(finished, tracker):
    tell(finished, tracker)
    check(finished, tracker)
    tell(finished, tracker)
    check(finished, tracker)


def test_a_run_that_grows_is_told_as_one_that_has_ended(growing, tracker):
    tell(growing.finished, tracker)
    mirror = Mirror(growing.folder, tracker)
    while growing.at < len(growing.lines):
        growing.grow(5)
        mirror.step()
    mirror.close()
    check(growing.folder, tracker)
    assert told(growing.folder, tracker) == told(growing.finished, tracker)


def test_what_is_told_by_processes_that_are_killed_is_there_once(growing, tracker):
    while growing.at < len(growing.lines):
        growing.grow(7)
        mirror = Mirror(growing.folder, tracker)
        mirror.step()
        del mirror  # Not closed.
    check(growing.folder, tracker)


def test_what_does_not_apply_is_not_among_the_params(finished, tracker):
    tell(finished, tracker)
    view = read_run(finished, locked=False)
    seen = set()
    for candidate, had in told(finished, tracker).items():
        block = view.of_candidate(candidate)[0].architecture["block"]
        assert had.params["block"] == block
        assert ("cardinality" in had.params) is (block == "resnext")
        seen.add(block)
    assert len(seen) > 1


def test_a_run_that_trains_has_candidates_that_are_not_decided(growing, tracker):
    growing.grow(4)
    tell(growing.folder, tracker)
    states = [had.state for had in told(growing.folder, tracker).values()]
    assert "running" in states


def test_hostile_names_are_text(finished, tracker):
    events = read_lines(finished.events)
    names = [*HOSTILE, "new\nline", "bell\x07", "a/b\\c:d", "${x}", "../../up", "'; DROP TABLE runs; --"]
    for at, event in enumerate(events):
        if event["event"] == "created":
            event["name"] = names[at % len(names)]
        elif event["event"] == "failed":
            event["reason"] = names[at % len(names)]
    write_text(finished.events, "".join(json.dumps(event) + "\n" for event in events))
    content = finished.read()
    content["space"]["description"] = "".join(HOSTILE[:4])
    content["machine"]["host"] = HOSTILE[0]
    write_json(finished.path / "run.json", content)
    before = {path for path in finished.path.parent.rglob("*") if finished.path not in path.parents}
    tell(finished, tracker)
    had = told(finished, tracker)
    assert {one.name for one in had.values()} >= {"a/b\\c:d", HOSTILE[0]} or len(had) < len(names)
    assert all(one.name.isprintable() for one in had.values())
    assert {path for path in finished.path.parent.rglob("*") if finished.path not in path.parents} == before


def test_a_damaged_history_leaves_its_candidate_out_and_no_other(finished, tracker):
    view = read_run(finished, locked=False)
    damaged = next(trial for trial in view.trials.values() if trial.promoted_from is None and trial.score)
    (finished.trial(damaged.trial) / "history.jsonl").write_text("{]\n{}\n")
    tell(finished, tracker)
    had = told(finished, tracker)
    assert had.keys() == {trial.candidate for trial in view.trials.values()}
    assert sum(not one.points for one in had.values()) <= 1 + sum(t.status == FAILED for t in view.trials.values())


def test_a_repaired_log_is_read_anew(growing, tracker):
    growing.grow(12)
    mirror = Mirror(growing.folder, tracker)
    mirror.step()
    shutil.copy(growing.folder.events, growing.folder.path / "copy")
    (growing.folder.path / "copy").replace(growing.folder.events)
    growing.grow(10**6)
    mirror.step()
    mirror.close()
    check(growing.folder, tracker)


def test_a_write_that_fails_is_made_up_for(growing, tracker, monkeypatch):
    growing.grow(20)
    mirror = Mirror(growing.folder, tracker)
    open_tracker, calls = mirrors.open_tracker, []

    class Failing:
        def __init__(self, inner):
            self.inner = inner
            self.stored, self.close = inner.stored, inner.close

        def write(self, record, before):
            calls.append(record)
            if len(calls) == 3:
                raise OSError(28, "No space left on device")
            self.inner.write(record, before)

    monkeypatch.setattr(mirrors, "open_tracker", lambda *rest: Failing(open_tracker(*rest)))
    with pytest.raises(OSError, match="No space left"):
        mirror.step()
    growing.grow(10**6)
    mirror.step()
    mirror.close()
    check(growing.folder, tracker)


def test_undecided_is_what_no_full_rung_has_left_behind(growing):
    growing.grow(10**6)
    mirror = Mirror(growing.folder, "optuna")
    follower = mirror._follower
    follower.poll()
    assert UNDECIDED not in {follower.record(candidate).state for candidate in follower.candidates}
