"""The oracle on its own: what it asks for, what it keeps for Keras Tuner, and that a run's events restore it."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from collections import Counter
from dataclasses import asdict
from itertools import count

import pytest

from resnet_search.files import write_json
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.networks.presets import preset
from resnet_search.runs.events import append_event, read_events
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import read_run, view_of
from resnet_search.search.hypermodel import architecture_values
from resnet_search.search.known import known_networks, with_known
from resnet_search.search.oracle import HyperbandOracle, _candidate
from resnet_search.search.repair import restored_oracle
from resnet_search.search.resume import ResumeSettings
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import brackets_from
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.job import Epoch

from .conftest import KnownWorkers, Search, make_space, new_search
from .test_loop import FOUR

pytestmark = pytest.mark.interface

SPACES = {
    "three times": make_space(3).with_settings(iterations=3),
    "small": parse_space(FOUR, "four").with_settings(iterations=2),
    "recipe": make_space(extra="[recipe]\nnesterov = [true, false]\nlearning_rate = { min = 0.1, max = 0.2 }"),
    "asynchronous": make_space().with_settings(promotion="async"),
    "fractions": make_space().with_settings(min_epochs=0.3),
    "model": make_space(3).with_settings(sampler="model", iterations=2),
}


def fails(job, _) -> str:
    return "failed" if job.trial in {"0001", "0010", "0032"} else "done"


def beside_known(search: Search, *names: str) -> Search:
    """The search, beside known networks."""
    content = search.folder.read()
    brackets, known = with_known(
        brackets_from(content["plan"]), known_networks(search.space, names, (32, 32, 3), 10), 9
    )
    content |= {"plan": [asdict(bracket) for bracket in brackets], "known": known}
    write_json(search.folder.path / "run.json", content)
    return search


@pytest.fixture(scope="module", params=[*SPACES, "known", "longer"])
def finished(request, tmp_path_factory) -> Search:
    """A finished search by one worker, with failures, and with trials whose score is that of an earlier one."""
    search = new_search(tmp_path_factory.mktemp("run"), SPACES.get(request.param))
    if request.param == "known":
        beside_known(search, "resnet-20", "plain-20")
    search.drive(KnownWorkers(1, fails))
    if request.param == "longer":
        search.drive(KnownWorkers(1, fails), settings=ResumeSettings(add_epochs=6))
    return search


def oracle_of(view) -> HyperbandOracle:
    """An oracle that has heard of no trial yet."""
    content = view.content
    return HyperbandOracle(SearchSpace.from_dict(content["space"]), view, brackets_from(content["plan"]), 0)


def created(oracle: HyperbandOracle) -> dict:
    """What it says of the next trial."""
    assert oracle.create_trial("slot0").status == "RUNNING"
    return oracle.created


def start(oracle: HyperbandOracle, view, slot: int = 0):
    """Its next trial, which the run knows of from now on; None if there is none."""
    if oracle.create_trial(f"slot{slot}").status != "RUNNING":
        return None
    view.apply(append_event(view.folder.events, "created", **oracle.created))
    return view.trials[oracle.created["trial"]]


@pytest.fixture
def begun(make_search):
    """Make a view of a run that has just been started, and its oracle."""
    numbers = count()

    def make(space: SearchSpace | None = None, *known: str, **data):
        search = make_search(space, number=next(numbers))
        beside_known(search, *known)
        content = search.folder.read()
        content["data"] |= data
        write_json(search.folder.path / "run.json", content)
        append_event(search.folder.events, "started", process=1, host="h")
        view = read_run(search.folder, locked=False)
        return view, oracle_of(view)

    return make


def epochs(*scores: float, first: int = 1) -> list[Epoch]:
    """A learning curve with such validation accuracies; its losses are what is missing to 1."""
    return [
        Epoch(
            epoch=number, loss=1 - score, accuracy=score / 2, val_loss=1.5 - score, val_accuracy=score,
            learning_rate=0.1, train_seconds=0.0, validation_seconds=0.0,
        )
        for number, score in enumerate(scores, first)
    ]  # fmt: skip


def test_from_any_event_on_a_restored_oracle_asks_for_the_trial_that_came_next(finished):
    """One worker: what comes next follows from what has ended."""
    events = read_events(finished.folder.events)
    content = finished.folder.read()
    for number, event in enumerate(events):
        if event["event"] == "created":
            view = view_of(finished.folder, content, events[:number], locked=False)
            oracle = oracle_of(view)
            oracle.restore(events[:number])
            assert not oracle.finished
            assert created(oracle) == {key: event[key] for key in event if key not in {"event", "time"}}


def test_a_restored_oracle_keeps_of_each_trial_what_the_one_before_wrote(finished):
    oracle = restored_oracle(read_run(finished.folder, locked=False))
    assert oracle.finished
    assert oracle.create_trial("slot0").status == "STOPPED"
    assert oracle.get_state() == json.loads((finished.folder.path / "oracle.json").read_text())
    for name, trial in oracle.trials.items():
        assert trial.get_state() == json.loads((finished.folder.trial(name) / "trial.json").read_text())


def test_a_trial_that_still_ran_is_kept_for_keras_tuner(finished, tmp_path):
    folder = RunFolder(shutil.copytree(finished.folder.path, tmp_path / "copy"))
    events = read_events(folder.events)
    last = next(number for number, event in enumerate(events, 1) if event["event"] == "created")
    kept = folder.trial(events[last - 1]["trial"]) / "trial.json"
    kept.unlink()
    oracle = oracle_of(view_of(folder, folder.read(), events[:last], locked=False))
    oracle.restore(events[:last])
    oracle.project(folder)
    assert json.loads(kept.read_text())["status"] == "RUNNING"


def test_a_candidate_does_not_depend_on_the_order_of_its_recipe():
    architecture = Architecture.from_axes(block="basic", n=1, width=4).to_dict()
    one, other = (_candidate(architecture, values, 0) for values in ({"b": 1, "a": 2}, {"a": 2, "b": 1}))
    assert one == other


def test_a_failed_trial_that_is_tried_again_runs(begun):
    view, oracle = begun()
    trial = start(oracle, view).trial
    for event, more in (("failed", {"reason": "nan"}), ("retried", {})):
        append_event(view.folder.events, event, trial=trial, **more)
    again = restored_oracle(read_run(view.folder, locked=False))
    assert again.trials[trial].status == "RUNNING"
    append_event(view.folder.events, "failed", trial=trial, reason="nan again")
    again = restored_oracle(read_run(view.folder, locked=False))
    assert (again.trials[trial].status, again.trials[trial].message) == ("FAILED", "nan again")


def test_failed_trials_keep_their_reason(finished):
    view = read_run(finished.folder, locked=False)
    failed = {name: trial.reason for name, trial in view.trials.items() if trial.status == "failed"}
    assert failed
    oracle = restored_oracle(view)
    assert {name: trial.message for name, trial in oracle.trials.items() if trial.status == "FAILED"} == failed


def test_a_trial_starts_where_its_candidate_was_trained_to(finished):
    view = read_run(finished.folder, locked=False)
    for trial in view.trials.values():
        if trial.parent is None:
            assert (trial.initial_epoch, trial.reused) == (0, False)
        else:
            parent = view.trials[trial.parent]
            assert parent.candidate == trial.candidate
            assert trial.initial_epoch == min(parent.epochs, trial.epochs)
            assert trial.reused == (parent.epochs >= trial.epochs)


def test_a_trial_says_where_in_the_plan_it_is(finished):
    view = read_run(finished.folder, locked=False)
    oracle = restored_oracle(view)
    rungs = {
        (bracket["iteration"], bracket["number"], rung["index"]): rung
        for bracket in view.content["plan"]
        for rung in bracket["rungs"]
    }
    for name, trial in view.trials.items():
        rung = rungs[trial.iteration, trial.bracket, trial.rung]
        values = oracle.trials[name].hyperparameters.values
        # Keras Tuner's epochs are integers: hundredths where rungs end inside an epoch.
        assert trial.epochs == values["tuner/epochs"] / view.ticks == rung["epochs"]
        assert values["tuner/initial_epoch"] / view.ticks == rung["initial_epoch"]
        assert type(values["tuner/epochs"]) is int
        assert (values["tuner/bracket"], values["tuner/round"]) == (trial.bracket, trial.rung)
        assert values.get("tuner/trial_id") == trial.promoted_from
        assert (trial.promoted_from is None) == (trial.rung == 0)
        if trial.promoted_from is not None:
            below = view.trials[trial.promoted_from]
            assert (below.bracket, below.rung, below.candidate) == (trial.bracket, trial.rung - 1, trial.candidate)
            assert trial.replacement == 0
        assert values.items() >= trial.recipe.items()


def test_a_draw_that_replaces_another_counts_those_that_failed_in_its_slot(begun):
    view, oracle = begun()
    first = start(oracle, view)
    for number in (1, 2):
        oracle.fail(view.trials[oracle.created["trial"]].trial, "nan")
        again = start(oracle, view)
        assert (again.slot, again.replacement, again.rung) == (first.slot, number, 0)
    assert len({trial.candidate for trial in view.trials.values()}) == 3


@pytest.mark.parametrize(
    ("sizes", "widths"), [("[1, 2]", "[4, 6]"), ("[1, 2, 3]", "[4, 6, 8, 10, 12, 14, 16]")], ids=["few", "some"]
)
def test_a_replacement_is_a_network_that_was_not_drawn_while_there_are_any(begun, sizes, widths):
    view, oracle = begun(parse_space(FOUR.replace("[1, 2]", sizes).replace("[4, 6]", widths), "failing"))
    while (trial := start(oracle, view)) is not None:
        oracle.fail(trial.trial, "nan")
    architectures = len(SearchSpace.from_dict(view.content["space"]).feasible().architectures)
    trials = [trial for trial in view.trials.values() if trial.iteration == 0]
    for bracket in {trial.bracket for trial in trials}:
        drawn = [trial.name for trial in trials if trial.bracket == bracket]
        assert len(set(drawn)) == len(drawn) == architectures, "all fail, so all are tried, each once"
    planned = {trial.name for trial in trials if trial.replacement == 0}
    seen: set[str] = set()
    for trial in trials:
        if trial.replacement and trial.name in seen | planned:
            assert len(seen | planned) == architectures, "another one was left"
        seen.add(trial.name)


def test_the_size_of_a_network_is_that_on_the_images_of_the_run(begun):
    _, oracle = begun(image_shape=[16, 16, 1], classes=["a", "b", "c"], mean=[128.0], std=[64.0])
    said = created(oracle)
    architecture = Architecture.from_dict(said["architecture"])
    cost = complexity(architecture, (16, 16, 1), 3)
    assert (said["params"], said["macs"], said["depth"]) == (cost.trainable, cost.macs, architecture.depth)
    assert oracle.build_config == {"input_shape": [None, 16, 16, 1]}


def test_values_are_those_of_the_architecture_and_the_recipe(begun):
    space = SPACES["recipe"]
    view, oracle = begun(space)
    trial = start(oracle, view)
    expected = architecture_values(space, Architecture.from_dict(trial.architecture)) | trial.recipe
    assert trial.recipe.keys() == {"nesterov", "learning_rate"}
    values = oracle.trials[trial.trial].hyperparameters.values
    assert {name: value for name, value in values.items() if not name.startswith("tuner/")} == expected


def test_the_score_is_that_of_the_last_epoch_and_every_metric_is_kept(begun):
    view, oracle = begun()
    trial = start(oracle, view).trial
    assert oracle.complete(trial, epochs(0.5, 0.9, 0.7)) == 0.7
    kept = oracle.trials[trial]
    assert (kept.score, kept.best_step, kept.status) == (0.7, 3, "COMPLETED")
    best = {name: kept.metrics.get_best_value(name) for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    assert best == pytest.approx({"loss": 0.1, "accuracy": 0.45, "val_loss": 0.6, "val_accuracy": 0.9})
    assert [point.step for point in kept.metrics.get_history("val_loss")] == [1, 2, 3]


def test_candidates_in_training_are_waited_for(begun):
    """Two networks and nine slots: the third trial would train one of them beside itself."""
    space = parse_space('[axes]\nn = [1, 2]\nwidth = 4\nblock = "basic"\n[hyperband]\nmax_epochs = 9', "two")
    view, oracle = begun(space)
    first, second = start(oracle, view), start(oracle, view, 1)
    assert first.candidate != second.candidate
    assert start(oracle, view, 2) is None
    assert oracle.create_trial("slot2").status == "IDLE"
    assert not oracle.finished
    view.apply(append_event(view.folder.events, "completed", trial=first.trial, score=oracle.complete(
        first.trial, epochs(*[0.5] * first.epochs)), setup_seconds=0.0, train_seconds=0.0))  # fmt: skip
    assert start(oracle, view) is not None


def test_a_promotion_waits_for_a_trial_that_trains_its_candidate_that_far(begun):
    """Where all of a bracket have ended, nothing but such a trial holds the promotion back."""
    space = parse_space('[axes]\nn = 1\nwidth = 4\nblock = "basic"\n[hyperband]\nmax_epochs = 3', "alone")
    view, oracle = begun(space)
    trial = start(oracle, view)
    assert start(oracle, view, 1) is None
    score = oracle.complete(trial.trial, epochs(*[0.5] * trial.epochs))
    done = {"trial": trial.trial, "score": score, "setup_seconds": 0.0, "train_seconds": 0.0}
    view.apply(append_event(view.folder.events, "completed", **done))
    assert start(oracle, view, 1).candidate == trial.candidate


def test_named_networks_keep_their_names(begun):
    _, oracle = begun(parse_space('[axes]\nmodels = ["plain-20"]\n[hyperband]\nmax_epochs = 3', "named"))
    assert created(oracle)["name"] == "plain-20"
    _, oracle = begun()
    said = created(oracle)
    assert said["name"] == Architecture.from_dict(said["architecture"]).name


@pytest.mark.parametrize("names", [("plain-20", "resnet-56"), ("resnet-56", "plain-20")])
def test_known_networks_start_in_the_order_in_which_they_are_given(begun, names):
    view, oracle = begun(None, *names)
    started = [start(oracle, view, slot) for slot in (0, 1)]
    assert [Architecture.from_dict(t.architecture) for t in started] == [preset(n).architecture for n in names]
    for trial, name in zip(started, names, strict=True):
        values = oracle.trials[trial.trial].hyperparameters.values
        assert values["preset"] == name
        assert values.keys() > {"block", "n", "width"}, "or Keras Tuner would draw them"


def test_known_networks_of_older_runs_are_trained_once(begun):
    """What names them says nothing of a repeat."""
    view, _ = begun(None, "plain-20")
    for known in view.content["known"]:
        for candidate in known["candidates"]:
            del candidate["repeat"]
    assert created(oracle_of(view))["repeat"] == 0


def test_known_networks_that_fail_are_not_replaced(begun):
    view, oracle = begun(None, "plain-20")
    known = start(oracle, view)
    oracle.fail(known.trial, "nan")
    assert start(oracle, view).bracket != known.bracket


def test_a_grid_starts_in_its_order_and_a_search_with_its_costliest_network(begun):
    costs = {}
    for method in ("grid", "hyperband"):
        view, oracle = begun(SearchSpace.from_dict(make_space().to_dict() | {"method": method}))
        trials = [start(oracle, view, slot) for slot in range(5)]
        costs[method] = [trial.macs for trial in trials]
        assert [trial.slot for trial in trials] == list(range(5)) or method == "hyperband"
    assert costs["hyperband"] == sorted(costs["hyperband"], reverse=True)
    assert costs["grid"] != sorted(costs["grid"], reverse=True)


def test_an_asynchronous_search_promotes_before_a_rung_is_full(make_search):
    order = {}
    for number, promotion in enumerate(("sync", "async")):
        search = make_search(make_space().with_settings(promotion=promotion), number=number)
        view = search.drive(KnownWorkers(1))
        order[promotion] = [trial.rung for trial in view.trials.values()]
    assert order["async"].index(1) == 3 < order["sync"].index(1)


def test_the_best_that_train_longer_are_the_best_in_an_asynchronous_search_too(make_search):
    search = make_search(SPACES["asynchronous"])
    ranking = search.drive(KnownWorkers(1)).ranking()
    view = search.drive(KnownWorkers(1), settings=ResumeSettings(add_epochs=6))
    kept = -(-len(ranking) // 3)
    longer = Counter(trial.candidate for trial in view.trials.values() if trial.epochs == 15)
    assert longer == {trial.candidate: 1 for trial in ranking[:kept]}


@pytest.mark.parametrize("harm", ["gone", "damaged", "another score"])
def test_without_its_learning_curve_a_trial_has_the_score_of_its_event(finished, tmp_path, harm):
    shutil.copytree(finished.folder.path, tmp_path / "run")
    folder = type(finished.folder)(tmp_path / "run")
    view = read_run(folder, locked=False)
    for path in folder.path.glob("trial_*/history.jsonl"):
        if harm == "gone":
            path.unlink()
        elif harm == "damaged":
            path.write_text("garbage\n" if path.stat().st_ino % 2 else '{"epoch": 1}\n')
        else:
            path.write_text(path.read_text().replace('"val_accuracy": 0', '"val_accuracy": 1'))
    oracle = restored_oracle(view)
    assert oracle.finished
    for name, trial in view.trials.items():
        if trial.score is not None:
            kept = oracle.trials[name]
            assert (kept.status, kept.score, kept.best_step / view.ticks) == ("COMPLETED", trial.score, trial.epochs)


def test_a_trial_that_is_reopened_runs_again(finished, tmp_path):
    shutil.copytree(finished.folder.path, tmp_path / "run")
    folder = type(finished.folder)(tmp_path / "run")
    winner = read_run(folder, locked=False).winner
    append_event(folder.events, "reopened", trial=winner.trial, reason="gone")
    oracle = restored_oracle(read_run(folder, locked=False))
    assert oracle.trials[winner.trial].status == "RUNNING"
    assert not oracle.finished
    append_event(
        folder.events, "completed", trial=winner.trial, score=winner.score, val_loss=winner.val_loss, setup_seconds=0.0,
        train_seconds=0.0,
    )  # fmt: skip
    oracle = restored_oracle(read_run(folder, locked=False))
    assert oracle.trials[winner.trial].status == "COMPLETED"
    assert oracle.end_order.count(winner.trial) == 1
    assert oracle.finished


def test_the_number_of_a_trial_that_a_repair_dropped_is_not_given_again(begun):
    view, oracle = begun()
    start(oracle, view)
    start(oracle, view, 1)
    events = [event for event in read_events(view.folder.events) if event.get("trial") != "0001"]
    events.append({"event": "dropped", "time": events[-1]["time"], "trial": "0001"})
    again = view_of(view.folder, view.content, events, locked=False)
    oracle = oracle_of(again)
    oracle.restore(events)
    assert created(oracle)["trial"] == "0002"


def test_keras_tuner_forgets_an_oracle_that_was_restored(begun):
    view, oracle = begun()
    oracle.fail(start(oracle, view).trial, "nan")
    append_event(view.folder.events, "failed", trial="0000", reason="nan")
    oracle = weakref.ref(restored_oracle(read_run(view.folder, locked=False)))
    gc.collect()
    assert oracle() is None
