"""A run as its events tell it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks.content import SPACE, WORKERS, make_content
from resnet_search.errors import RunError
from resnet_search.files import append_line, write_lines
from resnet_search.runs.content import MAX_WORKERS
from resnet_search.runs.events import append_event
from resnet_search.runs.folder import RunFolder, create_run
from resnet_search.runs.trial import LARGE
from resnet_search.runs.trials import RunView, open_run, read_run
from resnet_search.workers.cluster import MOST_SLOTS

ARCHITECTURE = {"block": "basic", "blocks": [1, 1, 1], "width": 4}
CONTENT = make_content(
    plan=[
        {"iteration": 0, "number": 1, "rungs": [
            {"size": 2, "initial_epoch": 0, "epochs": 1}, {"size": 1, "initial_epoch": 1, "epochs": 3},
        ]},
        {"iteration": 0, "number": 0, "rungs": [{"size": 0, "initial_epoch": 0, "epochs": 3}]},
    ],
)  # fmt: skip


def created(trial: str, candidate: int, **values):
    return {
        "trial": trial, "candidate": candidate, "iteration": 0, "bracket": 1, "rung": 0, "slot": candidate,
        "replacement": 0, "promoted_from": None, "parent": None, "initial_epoch": 0, "epochs": 1, "name": "basic8-w4",
        "depth": 8, "architecture": ARCHITECTURE, "recipe": {}, "params": 10, "macs": 100, "reused": False, **values,
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


THREE = {
    **CONTENT,
    "plan": [
        {"iteration": iteration, "number": number, "rungs": [{"size": 2, "initial_epoch": 0, "epochs": 1}]}
        for iteration in (0, 1) for number in (2, 1, 0)
    ],
}  # fmt: skip


def view_of_trials(*trials: dict, content: dict = THREE, path: Path = Path("run"), statuses: dict | None = None):
    """A run of these trials in this order, each completed with a score of 0.5 unless `statuses` says another event."""
    view = RunView(RunFolder(path), content)
    view.apply({"event": "started", "time": 1})
    for trial in trials:
        view.apply({"event": "created", "time": 1, **trial})
    for trial in trials:
        status = {"event": "completed", "score": 0.5, **(statuses or {}).get(trial["trial"], {})}
        if status["event"]:
            view.apply(
                {"time": 1, "trial": trial["trial"], "setup_seconds": 0, "train_seconds": 0, "reason": "", **status}
            )
    return view


def ids(trials) -> list[str]:
    return [trial.trial for trial in trials]


def test_a_tie_is_decided_by_the_plan_and_not_by_time():
    """Iteration, then bracket from the most to the fewest candidates, then slot, then replacement."""
    places = [(0, 2, 0, 0), (0, 2, 0, 1), (0, 2, 2, 0), (0, 2, 10, 0), (0, 1, 0, 0), (0, 0, 0, 0), (1, 2, 0, 0)]
    trials = [
        created(f"{candidate:04d}", candidate, iteration=i, bracket=b, slot=s, replacement=r, epochs=3)
        for candidate, (i, b, s, r) in enumerate(places)
    ]
    for order in (trials, trials[::-1], trials[3:] + trials[:3]):
        view = view_of_trials(*order)
        assert ids(view.ranking()) == ids(view.trials[trial["trial"]] for trial in trials)
        assert view.winner is view.leader is view.trials["0000"]


def promoted(trial: str, lower: str, candidate: int, **values):
    """A trial that trains a candidate from the first epoch to the third."""
    values = {"rung": 1, "promoted_from": lower, "parent": lower, "initial_epoch": 1, "epochs": 3, **values}
    return created(trial, candidate, **values)


def test_a_promotion_is_no_draw():
    """Candidate 1 was promoted first, into the first slot; candidate 0 is the earlier draw."""
    view = view_of_trials(
        created("0000", 0), created("0001", 1), promoted("0002", "0001", 1, slot=0), promoted("0003", "0000", 0, slot=1)
    )
    assert ids(view.ranking()) == ["0003", "0002"]


def test_a_candidate_that_is_drawn_twice_ranks_once_at_its_first_place():
    view = view_of_trials(
        created("0000", 7, bracket=0, slot=0, epochs=3),
        created("0001", 5, bracket=1, slot=0, epochs=3),
        created("0002", 7, bracket=1, slot=1, epochs=3),
        created("0003", 6, bracket=1, slot=2, epochs=3),
    )
    assert ids(view.of_candidate(7)) == ["0000", "0002"]
    assert view.of_candidate(8) == []
    assert ids(view.ranking()) == ["0001", "0000", "0003"]


@pytest.mark.parametrize("scores", [(0.4, 0.6), (0.6, 0.4)])
def test_of_a_candidate_the_best_trial_counts(scores):
    trials = [created(f"000{number}", number // 2, slot=number, epochs=3) for number in range(3)]
    statuses = {f"000{number}": {"score": score} for number, score in enumerate((*scores, 0.5))}
    view = view_of_trials(*trials, statuses=statuses)
    assert [trial.score for trial in view.ranking()] == [0.6, 0.5]


def test_before_there_is_a_winner_the_best_of_the_longest_trained_leads():
    trials = [created(f"000{number}", number, epochs=epochs) for number, epochs in enumerate((1, 2, 2))]
    statuses = {"0000": {"score": 0.9}, "0001": {"score": 0.3}, "0002": {"score": 0.4}}
    view = view_of_trials(*trials, statuses=statuses)
    assert view.winner is None
    assert view.leader is view.trials["0002"]
    assert view_of_trials().leader is None


def test_a_trial_without_a_score_ranks_behind_every_score():
    trials = [created(f"000{number}", number, epochs=3) for number in range(3)]
    view = view_of_trials(*trials, statuses={"0000": {"event": None}, "0001": {"score": 0.0}, "0002": {"score": 0.1}})
    assert ids(sorted(view.trials.values(), key=view.rank)) == ["0002", "0001", "0000"]
    assert ids(view.ranking()) == ["0002", "0001"]
    assert (view.completed, len(view.trials)) == (2, 3)


def test_baselines_are_not_ranked_and_known_candidates_are():
    known = [
        {"iteration": 0, "bracket": 2, "presets": ["resnet20"], "candidates": []},
        {"iteration": 0, "bracket": 1, "presets": [], "candidates": [{}]},
    ]
    trials = [
        created("0000", 0, bracket=2, epochs=3),
        created("0001", 1, bracket=1, epochs=3),
        created("0002", 2, iteration=1, bracket=2, epochs=3),
        created("0003", 3, bracket=2, epochs=3),
    ]
    view = view_of_trials(*trials, content={**THREE, "known": known}, statuses={"0001": {"score": 0.1}})
    assert ids(view.baselines) == ["0000", "0003"]
    assert ids(view.ranking()) == ["0002", "0001"]
    assert view.leader is view.trials["0002"]


@pytest.mark.parametrize(
    ("promotion", "trials", "epochs"),
    # Rungs of 2 trials of an epoch and one of two more; of an asynchronous search, 3 that did not fail and 2.
    [("sync", 3, 4), ("async", 5, 7)],
)
def test_a_rung_of_an_asynchronous_search_may_be_larger_than_planned(promotion, trials, epochs):
    content = {**CONTENT, "space": {**SPACE, "hyperband": {"max_epochs": 3, "promotion": promotion}}}
    drawn = [created(f"000{number}", number) for number in range(4)]
    view = view_of_trials(
        *drawn, promoted("0004", "0001", 1), promoted("0005", "0002", 2),
        content=content, statuses={"0000": {"event": "failed"}, "0003": {"event": None}},
    )  # fmt: skip
    assert (view.planned_trials, view.planned_epochs) == (trials, epochs)


def test_epochs_are_saved_where_an_earlier_trial_of_the_candidate_has_trained_them():
    trials = [
        created("0000", 0, bracket=2),
        promoted("0001", "0000", 0, bracket=2),
        # The same candidate drawn again: its first epoch is reused, then the other two.
        created("0002", 0, bracket=1, parent="0000", initial_epoch=1, reused=True),
        promoted("0003", "0002", 0, bracket=1, parent="0001", initial_epoch=3, reused=True),
        # And where it begins with three epochs, all of them.
        created("0004", 0, bracket=0, parent="0001", initial_epoch=3, epochs=3, reused=True),
        # One epoch of another is reused and two are trained.
        created("0005", 1, bracket=1),
        created("0006", 1, bracket=0, parent="0005", initial_epoch=1, epochs=3),
    ]
    saved = {"0002": 1, "0003": 2, "0004": 3, "0006": 1}
    assert view_of_trials(*trials).saved_epochs == sum(saved.values())
    for trial, epochs in saved.items():
        for event in (None, "failed"):
            assert view_of_trials(*trials, statuses={trial: {"event": event}}).saved_epochs == 7 - epochs


def test_an_extension_plans_no_epochs_that_its_candidates_have_trained():
    """Of 10 epochs more, `list` once counted 30 of 10: the reused ones of the first rung were subtracted."""
    extension = {"iteration": 1, "number": 1, "rungs": [
        {"size": 1, "initial_epoch": 3, "epochs": 3}, {"size": 1, "initial_epoch": 3, "epochs": 9},
    ]}  # fmt: skip
    view = view_of_trials(
        created("0000", 0, bracket=1, epochs=1),
        created("0001", 1, bracket=1, epochs=1),
        promoted("0002", "0000", 0, bracket=1, parent="0000"),
        created("0003", 0, iteration=1, parent="0002", initial_epoch=3, epochs=3, reused=True),
        promoted("0004", "0003", 0, iteration=1, parent="0003", initial_epoch=3, epochs=9),
        content={**CONTENT, "plan": [*CONTENT["plan"], extension]},
    )
    trained = sum(trial.trained_epochs for trial in view.trials.values())
    assert trained == view.planned_epochs - view.saved_epochs == 1 + 1 + 2 + 6


def test_the_files_of_a_reused_trial_are_those_of_its_parent():
    view = view_of_trials(
        created("0000", 0), promoted("0001", "0000", 0),
        created("0002", 0, bracket=0, parent="0001", initial_epoch=3, epochs=3, reused=True),
    )  # fmt: skip
    assert [view.holder(trial).trial for trial in view.trials.values()] == ["0000", "0001", "0001"]
    assert ids(view.chain(view.trials["0002"])) == ["0000", "0001", "0002"]


def test_a_learning_curve_ends_with_its_trial_and_is_in_the_order_of_epochs(tmp_path):
    """A trial that reuses the first epoch of another does not have the later ones."""
    view = view_of_trials(
        created("0000", 0, epochs=3),
        created("0001", 0, bracket=0, parent="0000", initial_epoch=2, epochs=2, reused=True),
        path=tmp_path,
    )
    history = view.folder.trial("0000")
    history.mkdir()
    write_lines(history / "history.jsonl", [{"epoch": epoch} for epoch in (2, 1, 3)])
    assert [line["epoch"] for line in view.history(view.trials["0000"])] == [1, 2, 3]
    assert [line["epoch"] for line in view.history(view.trials["0001"])] == [1, 2]
    (history / "history.jsonl").write_text('{"loss": 1}\n')
    with pytest.raises(RunError, match=r"history\.jsonl: is damaged") as raised:
        view.history(view.trials["0000"])
    assert "doctor" in raised.value.cure


def test_a_search_that_is_extended_has_a_new_plan():
    bracket = {"iteration": 1, "number": 0, "rungs": [{"size": 4, "initial_epoch": 0, "epochs": 9}]}
    known = [{"iteration": 0, "bracket": number, "presets": ["resnet20"], "candidates": []} for number in (0, 1)]
    view = view_of_trials(created("0000", 0), content={**CONTENT, "known": known[:1]})
    event = {"event": "extended", "time": 2, "plan": [*CONTENT["plan"], bracket], "horizon": 9}
    with pytest.raises(ValueError, match="not planned"):
        view.apply({"event": "created", "time": 2, **created("0001", 1, iteration=1, bracket=0)})
    view.apply({**event, "hyperband": {"max_epochs": 9}, "known": None})
    view.apply({"event": "created", "time": 2, **created("0001", 1, iteration=1, bracket=0)})
    assert (view.max_epochs, view.content["horizon"], view.planned_trials) == (9, 9, 7)
    assert view.content["known"] == known[:1]
    view.apply({**event, "hyperband": {}, "known": known[1]})
    assert (view.max_epochs, view.content["known"]) == (9, known)
    assert CONTENT["space"]["hyperband"] == {"max_epochs": 3}, "what was read stays as it is"
    with pytest.raises(ValueError, match="not planned"):
        view.apply({**event, "plan": CONTENT["plan"], "hyperband": {}, "known": None})


def test_a_run_is_what_its_last_session_left():
    view = RunView(RunFolder(Path("run")), CONTENT)
    assert (view.started, view.seconds, view.state, view.stopped) == (0.0, 0.0, "interrupted", "")
    seen = []
    for event in (
        {"event": "started", "time": 10},
        {"event": "stopped", "time": 15, "reason": "its time is up"},
        {"event": "resumed", "time": 100, "workers": {**WORKERS, "slots": 7}},
        {"event": "finished", "time": 120},
        {"event": "resumed", "time": 1000},
        {"event": "interrupted", "time": 1001, "reason": "Ctrl-C"},
    ):
        view.apply(event)
        seen.append((view.state, view.stopped, view.seconds, view.content["workers"]["slots"]))
    assert seen == [
        ("interrupted", "", 0.0, 1), ("stopped", "its time is up", 5.0, 1), ("interrupted", "its time is up", 5.0, 7),
        ("finished", "", 25.0, 7), ("interrupted", "", 25.0, 7), ("interrupted", "", 26.0, 7),
    ]  # fmt: skip
    assert view.started == 10.0


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


@pytest.mark.parametrize("ref", ["0", "0000", "0" * len(str(LARGE))])
def test_a_trial_is_found_with_or_without_zeros(run, ref):
    append_event(run.events, "created", **created("0000", 0))
    assert read_run(run).find(ref).trial == "0000"


@pytest.mark.parametrize("ref", ["1", "x", "", "../../x", "²", "-1"])
def test_an_unknown_trial_names_those_there_are(run, ref):
    append_event(run.events, "created", **created("0000", 0))
    with pytest.raises(RunError, match="0000 to 0000"):
        read_run(run).find(ref)


def test_without_trials_none_is_named():
    with pytest.raises(RunError, match="none yet"):
        view_of_trials().find("0000")


def test_states(run):
    assert read_run(run).state == "interrupted"
    assert read_run(run, locked=True).state == "running"
    with run.lock():
        assert read_run(run).state == "running"
        assert read_run(run, locked=False).state == "interrupted"
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
        {"event": "complated", "time": 1, "trial": "0000"},
        ["no", "event"],
        7,
    ],
)
def test_events_that_nobody_wrote_are_damage_and_no_traceback(run, line):
    with run.events.open("a") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(RunError, match=r"events\.jsonl"):
        read_run(run)


def test_a_trial_completes_once(run):
    append_event(run.events, "created", **created("0000", 0))
    for _ in range(2):
        append_event(run.events, "completed", trial="0000", score=0.5, setup_seconds=1.0, train_seconds=1.0)
    with pytest.raises(RunError, match="line 4"):
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
    append_event(run.events, "created", **created("0000", 0))
    append_event(run.events, "finished")
    seconds = read_run(run).seconds
    lines = [
        {"event": "repaired", "time": 2e9, "done": []},
        {"event": "dropped", "time": 2e9, "trial": "0000"},
        {"event": "cleaned", "time": 2e9, "trials": [], "bytes": 1},
    ]
    for line in lines:
        append_line(run.events, line)
    view = read_run(run)
    assert (view.seconds, view.state, view.dropped) == (seconds, "finished", ["0000"])
    append_line(run.events, {"event": "reopened", "time": 2e9, "trial": "0000", "reason": "gone"})
    view = read_run(run)
    assert (view.seconds, view.state) == (seconds, "interrupted")


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
        {"event": "started", "workers": {**WORKERS, "slots": 0}},
        {"event": "resumed", "workers": {**WORKERS, "slots": 257}},  # So many processes would be started.
        {"event": "resumed", "workers": {**WORKERS, "slots": 2, "cluster": {"address": "a b:1"}}},
        {"event": "resumed", "workers": {**WORKERS, "slots": 2, "cluster": {"order": "a:1"}}},
        {"event": "resumed", "workers": {**WORKERS, "slots": 2, "cluster": "a:1"}},
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
    run = create_run(tmp_path, "odd", {**CONTENT, "workers": {**WORKERS, "slots": slots}})
    append_event(run.events, "started", process=1, host="h")
    with pytest.raises(RunError, match=r"run\.json: is damaged"):
        read_run(run)


@pytest.mark.parametrize(
    ("cluster", "most"), [(None, MAX_WORKERS), ({}, MAX_WORKERS), ({"address": "a:1"}, MOST_SLOTS)]
)
def test_a_cluster_may_have_more_workers_than_a_machine(cluster, most):
    view = RunView(RunFolder(Path("run")), CONTENT)
    view.apply({"event": "started", "time": 1, "workers": {**WORKERS, "slots": most, "cluster": cluster}})
    with pytest.raises(ValueError):
        view.apply({"event": "started", "time": 1, "workers": {**WORKERS, "slots": most + 1, "cluster": cluster}})
    assert MAX_WORKERS == 256


@pytest.mark.parametrize(("epochs", "damaged"), [(0, False), (LARGE, False), (LARGE + 1, True), (-1, True)])
def test_numbers_of_epochs(epochs, damaged):
    view = RunView(
        RunFolder(Path("run")), {**CONTENT, "plan": [], "space": {**SPACE, "hyperband": {"max_epochs": epochs}}}
    )
    with pytest.raises(TypeError) if damaged else nullcontext():
        view.check()


@pytest.mark.parametrize("rung", [(LARGE + 1, 1), (2**40, 2**40), (1, -1)])
def test_a_plan_of_more_trials_or_epochs_than_there_can_be_is_damage(rung):
    size, epochs = rung
    plan = [{"iteration": 0, "number": 0, "rungs": [{"size": size, "initial_epoch": 0, "epochs": epochs}]}]
    with pytest.raises(ValueError):
        RunView(RunFolder(Path("run")), {**CONTENT, "plan": plan}).check()


@pytest.mark.parametrize(
    "known", [[{"candidates": []}, {"candidates": [{}]}], [{"candidates": [{}]}, {"candidates": []}]]
)
def test_one_bracket_of_named_candidates_is_enough_to_follow_a_search(known):
    RunView(RunFolder(Path("run")), {**CONTENT, "of": {"run": "odd"}, "known": known}).check()


@pytest.mark.parametrize(
    "changed",
    [
        {"space": {**CONTENT["space"], "text": 0}},
        {"space": {**CONTENT["space"], "limits": 1e308}},
        {"space": {**CONTENT["space"], "axes": 0}},
        {"feasible": {"a": 1}},
        {"feasible": {"architectures": 1, "excluded": 0}},
        {"command": None},
        {"of": {"run": "odd", "trials": "x"}, "known": [{"candidates": [1]}]},
        {"of": {"run": "odd", "trials": [[]]}, "known": [{"candidates": [1]}]},
        {"versions": [1]},
        {"data": {**CONTENT["data"], "left_out": 5}},
        {"data": {**CONTENT["data"], "duplicates": {"train": "x"}}},
        {"data": {**CONTENT["data"], "validation": 0}},
    ],
)
def test_what_reports_take_from_run_json_has_its_kind(changed):
    with pytest.raises(ValueError, match=r"is .+"):
        RunView(RunFolder(Path("run")), {**CONTENT, **changed}).check()


def test_what_follows_a_search_names_its_candidates(tmp_path):
    of = {"run": "odd", "kind": "confirm", "trials": ["0000"], "seeds": 3}
    run = create_run(tmp_path, "odd", {**CONTENT, "of": of, "known": []})
    append_event(run.events, "started", process=1, host="h")
    with pytest.raises(RunError, match="names no candidates"):
        read_run(run)
