"""A run as its events tell it."""

from __future__ import annotations

import json

import pytest

from resnet_search.errors import RunError
from resnet_search.files import append_line
from resnet_search.runs.events import append_event
from resnet_search.runs.folder import create_run
from resnet_search.runs.trials import open_run, read_run

CONTENT = {
    "created": "2026-01-01",
    "space": {"hyperband": {"max_epochs": 3}},
    "plan": [
        {"iteration": 0, "number": 1, "rungs": [
            {"size": 2, "initial_epoch": 0, "epochs": 1}, {"size": 1, "initial_epoch": 1, "epochs": 3},
        ]},
        {"iteration": 0, "number": 0, "rungs": []},
    ],
    "data": {"notes": []},
    "workers": {"slots": 1},
}  # fmt: skip


def created(trial: str, candidate: int, **values):
    return {
        "trial": trial, "candidate": candidate, "iteration": 0, "bracket": 1, "rung": 0, "slot": candidate,
        "replacement": 0, "promoted_from": None, "parent": None, "initial_epoch": 0, "epochs": 1, "name": "basic8-w4",
        "depth": 8, "architecture": {}, "recipe": {}, "params": 10, "macs": 100, "reused": False, **values,
    }  # fmt: skip


@pytest.fixture
def run(tmp_path):
    folder = create_run(tmp_path, "run", CONTENT)
    append_event(folder.events, "started", process=1, host="h")
    return folder


def complete(folder, trial: str, score: float) -> None:
    append_event(folder.events, "completed", trial=trial, score=score, setup_seconds=1.0, train_seconds=2.0)


def test_ties_go_to_the_earlier_draw_and_short_trials_never_win(run):
    for number, (score, epochs) in enumerate([(0.9, 1), (0.5, 3), (0.5, 3), (0.4, 3)]):
        append_event(run.events, "created", **created(f"{number:04d}", number, epochs=epochs))
        complete(run, f"{number:04d}", score)
    view = read_run(run)
    assert [trial.trial for trial in view.ranking()] == ["0001", "0002", "0003"]
    assert view.winner is not None
    assert view.winner.trial == "0001"
    assert view.state == "interrupted"
    assert (view.planned_trials, view.planned_epochs) == (3, 4)


def test_before_there_is_a_winner_the_longest_trained_leads(run):
    append_event(run.events, "created", **created("0000", 0))
    complete(run, "0000", 0.3)
    view = read_run(run)
    assert view.winner is None
    assert view.leader is not None
    assert view.leader.trial == "0000"


def test_a_learning_curve_goes_over_all_rungs(run):
    append_event(run.events, "created", **created("0000", 0))
    complete(run, "0000", 0.3)
    append_event(
        run.events, "created",
        **created("0001", 0, rung=1, promoted_from="0000", parent="0000", initial_epoch=1, epochs=3),
    )  # fmt: skip
    for trial, epochs in (("0000", [1]), ("0001", [2, 3])):
        run.trial(trial).mkdir()
        for epoch in epochs:
            append_line(run.trial(trial) / "history.jsonl", {"epoch": epoch, "val_accuracy": epoch / 10})
    view = read_run(run)
    assert [line["epoch"] for line in view.history(view.trials["0001"])] == [1, 2, 3]
    assert [trial.trial for trial in view.chain(view.trials["0001"])] == ["0000", "0001"]
    assert view.trials["0001"].status == "running"


@pytest.mark.parametrize("ref", ["0", "0000", "00000"])
def test_a_trial_is_found_with_or_without_zeros(run, ref):
    append_event(run.events, "created", **created("0000", 0))
    assert read_run(run).find(ref).trial == "0000"


@pytest.mark.parametrize("ref", ["1", "x", "", "../../x", "²", "-1"])
def test_an_unknown_trial_names_those_there_are(run, ref):
    append_event(run.events, "created", **created("0000", 0))
    with pytest.raises(RunError, match="0000 to 0000"):
        read_run(run).find(ref)


def test_states(run):
    assert read_run(run).state == "interrupted"
    with run.lock():
        assert read_run(run).state == "running"
    append_event(run.events, "finished")
    assert read_run(run).state == "finished"


@pytest.mark.parametrize(
    "line",
    [
        {"event": "completed", "time": 1, "trial": "9999"},
        {"event": "created", "time": 1, "trial": "0000"},
        {"event": "created", "time": 1, **created("../../x", 0)},
        {"event": "created", "time": "soon", **created("0000", 0)},
        {"event": "created", "time": float("1e300"), **created("0000", 0)},
        {"event": "created", "time": -1, **created("0000", 0)},
        {"event": "created", "time": 1, **created("0000", 0, name=7)},
        {"event": "created", "time": 1, **created("0000", 0, depth="8")},
        {"event": "created", "time": 1, **created("0000", 0, params=10**30)},
        {"event": "created", "time": 1, **created("0000", 0, epochs=-1)},
        {"event": "created", "time": 1, **created("0000", 0, architecture=[])},
        {"event": "created", "time": 1, **created("0000", 0, parent="0000")},
        {"event": "created", "time": 1, **created("0000", 0, promoted_from="0007")},
        {"event": "cleaned", "time": 1, "trials": ["0000"], "bytes": 1},
        {"event": "dropped", "time": 1, "trial": "../x"},
        {"event": ["created"], "time": 1},
        {"time": 1},
        ["no", "event"],
        7,
    ],
)
def test_events_that_nobody_wrote_are_damage_and_no_traceback(run, line):
    append_line(run.events, line)
    with pytest.raises(RunError, match=r"events\.jsonl"):
        read_run(run)


def test_an_id_is_given_once_and_a_candidate_stays_itself(run):
    append_event(run.events, "created", **created("0000", 0))
    before = run.events.read_bytes()
    for line in (created("0000", 0), created("0001", 1, parent="0000"), created("0001", 1, promoted_from="0000")):
        run.events.write_bytes(before)
        append_event(run.events, "created", **line)
        with pytest.raises(RunError, match="line 3"):
            read_run(run)


def test_a_score_is_a_number(run):
    append_event(run.events, "created", **created("0000", 0))
    run.events.write_text(
        run.events.read_text() + '{"event": "completed", "time": 1, "trial": "0000", "score": NaN, "setup_seconds": 1, '
        '"train_seconds": 1}\n'
    )
    with pytest.raises(RunError, match="line 3"):
        read_run(run)


def test_a_trial_that_is_trained_from_the_beginning_continues_nobody(run):
    append_event(run.events, "created", **created("0000", 0))
    complete(run, "0000", 0.3)
    reused = created("0001", 0, bracket=0, parent="0000", initial_epoch=1, epochs=1, reused=True)
    append_event(run.events, "created", **reused)
    append_event(run.events, "retrained", trial="0001")
    view = read_run(run)
    trial = view.trials["0001"]
    assert (trial.parent, trial.initial_epoch, trial.reused) == (None, 0, False)
    assert trial.trained_epochs == 1
    assert view.chain(trial) == [trial]
    assert view.holder(trial) is trial


def test_a_run_is_opened_again_for_a_trial(run):
    append_event(run.events, "created", **created("0000", 0, epochs=3))
    complete(run, "0000", 0.3)
    append_event(run.events, "finished")
    append_event(run.events, "cleaned", trials=["0000"], bytes=1)
    assert read_run(run).trials["0000"].cleaned
    append_event(run.events, "reopened", trial="0000", reason="gone")
    view = read_run(run)
    assert view.state == "interrupted"
    assert view.trials["0000"].status == "running"
    assert view.winner is None
    complete(run, "0000", 0.3)
    assert read_run(run).winner == read_run(run).trials["0000"]


def test_commands_that_put_a_run_in_order_take_no_time_of_it(run):
    append_event(run.events, "finished")
    seconds = read_run(run).seconds
    lines = [{"event": "repaired", "time": 2e9, "done": []}, {"event": "dropped", "time": 2e9, "trial": "0000"}]
    for line in lines:
        append_line(run.events, line)
    view = read_run(run)
    assert (view.seconds, view.state, view.dropped) == (seconds, "finished", ["0000"])


def test_a_torn_line_in_the_middle_is_damage(run):
    run.events.write_bytes(b'{"event": "sta\n' + run.events.read_bytes())
    with pytest.raises(RunError, match="damaged"):
        read_run(run)


def test_run_json_without_what_every_run_has(run):
    (run.path / "run.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(RunError, match=r"run\.json"):
        open_run(run.path)


def test_a_clock_that_is_set_back_takes_no_time_back(run):
    seconds = read_run(run).seconds
    begun = read_run(run).sessions[-1][0]
    append_line(run.events, {"event": "started", "time": begun + 10, "process": 1, "host": "h"})
    append_line(run.events, {"event": "interrupted", "time": begun + 25, "reason": "x"})
    append_line(run.events, {"event": "interrupted", "time": begun - 9999, "reason": "x"})
    assert read_run(run).seconds == pytest.approx(seconds + 15)


@pytest.mark.parametrize(
    "line",
    [
        {"event": "started", "workers": "x"},
        {"event": "started", "workers": {"slots": 0}},
        {"event": "resumed", "workers": {"slots": 257}},  # So many processes would be started.
        {"event": "resumed", "workers": {"slots": 2, "cluster": {"address": "a b:1"}}},
        {"event": "resumed", "workers": {"slots": 2, "cluster": {"order": "a:1"}}},
        {"event": "resumed", "workers": {"slots": 2, "cluster": "a:1"}},
        {"event": "extended", "plan": [], "hyperband": {}, "horizon": 3, "known": None},
        {"event": "extended", "plan": CONTENT["plan"], "hyperband": {"max_epochs": 2**70}, "horizon": 3, "known": None},
        {"event": "created", **created("0001", 1, bracket=7)},
    ],
)
def test_what_cannot_be_driven_is_damage(run, line):
    append_event(run.events, "created", **created("0000", 0))
    append_line(run.events, {"time": 1.8e9, **line})
    with pytest.raises(RunError, match="line 3") as caught:
        read_run(run)
    assert "doctor run --repair" in caught.value.cure


@pytest.mark.parametrize("slots", [0, 257, -1, "2", None])
def test_a_number_of_workers_that_cannot_be(tmp_path, slots):
    run = create_run(tmp_path, "odd", {**CONTENT, "workers": {"slots": slots}})
    append_event(run.events, "started", process=1, host="h")
    with pytest.raises(RunError, match=r"run\.json: is damaged"):
        read_run(run)


def test_what_follows_a_search_names_its_candidates(tmp_path):
    of = {"run": "odd", "kind": "confirm", "trials": [], "seeds": 3}
    run = create_run(tmp_path, "odd", {**CONTENT, "of": of, "known": []})
    append_event(run.events, "started", process=1, host="h")
    with pytest.raises(RunError, match="names no candidates"):
        read_run(run)
