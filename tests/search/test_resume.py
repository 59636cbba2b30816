"""Runs that are extended, and settings that change on the way."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from resnet_search.errors import RunError, SpaceError, TrainingError
from resnet_search.runs.trials import read_run
from resnet_search.search import resume
from resnet_search.search.resume import ResumeSettings, changed_workers, extension
from resnet_search.spaces.plan import brackets_from
from resnet_search.workers import devices, precision
from resnet_search.workers.cluster import Cluster
from resnet_search.workers.local import WorkerSettings

from .conftest import KnownWorkers, make_space
from .test_loop import planned, rungs, table


@pytest.mark.parametrize("stop_after", [None, 10])
@pytest.mark.parametrize("small", [False, True])
def test_more_iterations_give_the_run_that_had_them_from_the_start(make_search, whole, stop_after, small):
    space = make_space(extra="[limits]\nmax_params = 6000" if small else "")
    reference = whole(space.with_settings(iterations=3))
    search = make_search(space)
    if stop_after is None:
        assert search.drive(KnownWorkers(2)).state == "finished"
    else:
        with pytest.raises(KeyboardInterrupt):
            search.drive(KnownWorkers(2, stop_after=stop_after))
    search.drive(KnownWorkers(2), settings=ResumeSettings(add_iterations=1))
    view = search.drive(KnownWorkers(1), settings=ResumeSettings(add_iterations=1))
    assert view.state == "finished"
    assert view.content["plan"] == reference.content["plan"]
    assert view.content["space"]["hyperband"]["iterations"] == 3
    assert rungs(view) == planned(view)
    assert table(view) == table(reference)


def test_a_plan_may_have_so_many_iterations(whole):
    view = whole(make_space().with_settings(iterations=2))
    with pytest.raises(SpaceError, match="1001"):
        extension(view, ResumeSettings(add_iterations=999))
    assert extension(view, ResumeSettings(add_iterations=998))["hyperband"] == {"iterations": 1000}


def test_the_run_json_stays_what_the_run_was_started_with(make_search):
    search = make_search()
    before = (search.folder.path / "run.json").read_bytes()
    search.drive(KnownWorkers(2))
    search.drive(KnownWorkers(2), settings=ResumeSettings(add_iterations=1))
    assert (search.folder.path / "run.json").read_bytes() == before


def test_more_epochs_train_the_best_on(make_search):
    search = make_search()
    before = search.drive(KnownWorkers(2)).ranking()
    workers = KnownWorkers(2)
    view = search.drive(workers, settings=ResumeSettings(add_epochs=6))
    assert view.state == "finished"
    assert view.max_epochs == 15
    # 1 + 2 + 3 candidates were trained for 9 epochs: one in three of them goes on.
    kept = -(-len(before) // 3)
    assert {t.name for t in view.ranking()} == {t.name for t in before[:kept]}
    assert [(job.initial_epoch, job.epochs, job.horizon) for job in workers.submitted] == [(9, 15, 15)] * kept
    assert all(view.trials[t.parent].epochs == 9 for t in view.ranking())
    assert rungs(view) == planned(view)


def test_after_more_epochs_come_more_iterations_of_the_new_length(make_search):
    search = make_search()
    search.drive(KnownWorkers(2))
    search.drive(KnownWorkers(2), settings=ResumeSettings(add_epochs=18))
    view = search.drive(KnownWorkers(2), settings=ResumeSettings(add_iterations=1))
    assert rungs(view) == planned(view)
    assert {t.epochs for t in view.trials.values() if t.iteration == 2} == {1, 3, 9, 27}


def test_a_promoted_one_that_fails_is_replaced_by_the_next_best(make_search):
    search = make_search()
    before = search.drive(KnownWorkers(2)).ranking()
    seen = []

    def outcome(job, _):
        seen.append(job.trial)
        return "failed" if len(seen) == 1 else "done"

    view = search.drive(KnownWorkers(1, outcome), settings=ResumeSettings(add_epochs=6))
    assert rungs(view) == planned(view)
    assert [t.name for t in view.ranking()] == [t.name for t in before[1 : 1 + len(view.ranking())]]


def test_an_extension_that_is_killed_goes_on(make_search):
    search = make_search()
    search.drive(KnownWorkers(2))
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(1, stop_after=3), settings=ResumeSettings(add_epochs=6))
    view = search.drive(KnownWorkers(1))
    assert rungs(view) == planned(view)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ResumeSettings(add_epochs=6, add_iterations=1), "cannot be combined"),
        (ResumeSettings(add_epochs=6), "run0 is interrupted; allowed: a finished run"),
    ],
)
def test_what_cannot_be_added(make_search, settings, message):
    search = make_search()
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(1, stop_after=5))
    with pytest.raises(RunError, match=message):
        search.drive(KnownWorkers(1), settings=settings)


def test_more_epochs_than_a_space_may_have(make_search):
    search = make_search()
    search.drive(KnownWorkers(1))
    with pytest.raises(SpaceError, match="max_epochs"):
        search.drive(KnownWorkers(1), settings=ResumeSettings(add_epochs=10**7))
    assert read_run(search.folder, locked=False).state == "finished"


@pytest.mark.parametrize(
    ("settings", "extends"),
    [({}, False), ({"workers": 2, "threads": 1}, False), ({"add_iterations": 1}, True), ({"add_epochs": 1}, True)],
)
def test_what_extends_a_run(settings, extends):
    assert ResumeSettings(**settings).extends is extends


def test_more_iterations_follow_those_that_there_are(whole):
    before = whole(make_space().with_settings(iterations=2))
    longer = extension(before, ResumeSettings(add_iterations=1))
    once = brackets_from(whole().content["plan"])
    added = (replace(bracket, iteration=2) for bracket in once)
    assert brackets_from(longer["plan"]) == (*brackets_from(before.content["plan"]), *added)
    assert (longer["hyperband"], longer["horizon"], longer["known"]) == ({"iterations": 3}, 9, None)


def test_to_a_plan_without_brackets_the_first_iteration_is_added(whole):
    empty = replace(whole(), content={**whole().content, "plan": []})
    longer = extension(empty, ResumeSettings(add_iterations=1))
    assert {bracket["iteration"] for bracket in longer["plan"]} == {0}


def test_more_epochs_are_a_bracket_of_the_best(whole):
    before = whole()
    longer = extension(before, ResumeSettings(add_epochs=6))
    assert (longer["hyperband"], longer["horizon"]) == ({"max_epochs": 15}, 15)
    ranking = before.ranking()
    assert longer["plan"][-1] == {
        "iteration": 1,
        "number": 1,
        "offset": 0,
        "rungs": (
            {"index": 0, "size": len(ranking), "initial_epoch": 9, "epochs": 9},
            {"index": 1, "size": -(-len(ranking) // 3), "initial_epoch": 9, "epochs": 15},
        ),
    }
    known = longer["known"]
    assert (known["iteration"], known["bracket"], known["presets"]) == (1, 1, [])
    assert [each["architecture"] for each in known["candidates"]] == [trial.architecture for trial in ranking]


def test_a_search_without_a_ranking_has_nothing_to_train_longer(whole):
    nothing = replace(whole(), trials={})
    with pytest.raises(RunError, match="--add-epochs"):
        extension(nothing, ResumeSettings(add_epochs=6))


@pytest.mark.parametrize("settings", [ResumeSettings(add_iterations=1), ResumeSettings(add_epochs=6)])
def test_an_imported_run_cannot_be_extended(whole, settings):
    imported = replace(whole(), content={**whole().content, "imported": {"tuner": "Hyperband"}})
    with pytest.raises(RunError, match="imported from Keras Tuner"):
        extension(imported, settings)


def test_a_grid_has_no_more_networks_and_may_train_its_best_longer(whole):
    space = {**whole().content["space"], "method": "grid"}
    grid = replace(whole(), content={**whole().content, "space": space})
    with pytest.raises(RunError, match="--add-iterations"):
        extension(grid, ResumeSettings(add_iterations=1))
    assert extension(grid, ResumeSettings(add_epochs=6))["horizon"] == 15


def test_a_run_keeps_how_long_it_waits_for_a_worker_and_its_backend():
    kept = {"hang_timeout": 77.0, "backend": "jax"}
    before = {"workers": {"slots": 2, **asdict(WorkerSettings(threads=3)), **kept}}
    after = changed_workers(before, ResumeSettings(workers=3))
    assert (after["slots"], after["hang_timeout"], after["backend"]) == (3, 77.0, "jax")
    assert changed_workers(before, ResumeSettings(hang_timeout=5.0))["hang_timeout"] == 5.0
    assert before["workers"]["hang_timeout"] == 77.0


def test_workers_change(monkeypatch):
    before = {"workers": {"slots": 2, **asdict(WorkerSettings(threads=3))}}

    def changed(**settings):
        after = changed_workers(before, ResumeSettings(**settings))
        return {key: value for key, value in after.items() if before["workers"][key] != value}

    assert changed() == {}
    assert changed(hang_timeout=60.0) == {"hang_timeout": 60.0}
    before["workers"]["deterministic"] = True
    assert changed(threads=1) == {"threads": 1}, "a run stays deterministic"
    assert changed(threads=1) == {"threads": 1}
    assert changed(device="cpu", workers=5, threads=7) == {"slots": 5, "threads": 7}
    assert before["workers"]["slots"] == 2
    # Threads are the run's: with more of them the last digits are others.
    assert changed(workers=7) == {"slots": 7}


def test_what_a_machine_has_lost_is_an_error(monkeypatch):
    gpus = ["NVIDIA H200"] * 8
    monkeypatch.setattr(devices, "backend_gpus", lambda _: gpus)
    monkeypatch.setattr(devices, "gpu_fault", lambda _: None)
    monkeypatch.setattr(devices, "_has_bfloat16", lambda _: True)
    monkeypatch.setattr(devices, "gpu_memory", lambda: 2**37)
    _, settings = devices.choose_workers("gpu", 8, 2, backend="tensorflow")
    before = {"workers": {"slots": 8, **asdict(settings)}}
    assert not ResumeSettings().retry_failed
    assert changed_workers(before, ResumeSettings()) == before["workers"]
    gpus = gpus[:2]
    after = changed_workers(before, ResumeSettings())
    assert (after["gpus"], after["slots"], after["threads"]) == (2, 8, 2)
    assert 0 < after["gpu_share"] < 1 / 4
    gpus = []
    monkeypatch.setattr(devices, "nvidia_gpus", list)
    monkeypatch.setattr(precision, "processor_has_bfloat16", lambda: False)
    with pytest.raises(TrainingError, match="--device: got 'gpu'"):
        changed_workers(before, ResumeSettings())
    with pytest.raises(TrainingError, match="--precision: got 'bfloat16'"):
        changed_workers(before, ResumeSettings(device="cpu"))
    monkeypatch.setattr(precision, "processor_has_bfloat16", lambda: True)
    with pytest.raises(TrainingError, match=r"wide_bfloat16.*mixed_bfloat16"):
        changed_workers(before, ResumeSettings(device="cpu"))
    monkeypatch.setattr(precision, "processor_has_bfloat16", lambda: False)
    before = {"workers": {"slots": 1, **asdict(WorkerSettings(threads=2, precision="wide_bfloat16"))}}
    with pytest.raises(TrainingError, match="--precision: got 'bfloat16'"):
        changed_workers(before, ResumeSettings())


def test_a_run_keeps_its_precision_on_a_gpu_too(monkeypatch):
    monkeypatch.setattr(devices, "backend_gpus", lambda _: ["NVIDIA H200"])
    monkeypatch.setattr(devices, "gpu_fault", lambda _: None)
    monkeypatch.setattr(devices, "_has_bfloat16", lambda _: True)
    monkeypatch.setattr(devices, "gpu_memory", lambda: 2**37)
    for had in ("float32", "wide_bfloat16"):
        before = {"workers": {"slots": 1, **asdict(WorkerSettings(threads=2, precision=had))}}
        if had == "float32":
            after = changed_workers(before, ResumeSettings(device="gpu"))
            assert (after["device"], after["precision"]) == ("gpu", "float32")
        else:
            with pytest.raises(TrainingError, match=r"--device: got 'gpu'.* mixed_bfloat16"):
                changed_workers(before, ResumeSettings(device="gpu"))


@pytest.mark.parametrize(
    ("settings", "device", "cluster", "threads"),
    [
        (
            {"workers": Cluster(address="far:6379")},
            "gpu", Cluster(address="far:6379", cpus=4.0, gpus=0.25, storage="/s"), 3,
        ),
        ({"workers": Cluster(address="other:1")}, "gpu", Cluster(address="other:1", cpus=4.0, gpus=0.25), 3),
        (
            {"workers": Cluster(address="far:6379", gpus=1.0, cpus=2.0, storage="/t")},
            "gpu", Cluster(address="far:6379", cpus=2.0, gpus=1.0, storage="/t"), None,
        ),
        (
            {"workers": Cluster(address="far:6379", cpus=4.0), "threads": 5},
            "gpu", Cluster(address="far:6379", cpus=4.0, gpus=0.25, storage="/s"), 5,
        ),
        ({"device": "cpu"}, "cpu", Cluster(address="far:6379", cpus=4.0, storage="/s"), 3),
        ({"workers": 2, "device": "cpu"}, "cpu", 2, 3),
    ],
    ids=["again", "elsewhere", "given", "threads", "device", "here"],
)  # fmt: skip
def test_what_a_trial_takes_of_a_cluster_stays(monkeypatch, settings, device, cluster, threads):
    """Who names the cluster again, as he has to, need not say again what each trial takes."""
    asked = []

    def choose(*given, **of_the_run):
        asked.append(given)
        in_bytes = 1 if isinstance(given[1], Cluster) else 0
        assert of_the_run == {"precision": "float32", "backend": "jax", "trial_bytes": in_bytes}
        return 2, WorkerSettings(threads=9)

    monkeypatch.setattr(resume, "choose_workers", choose)
    monkeypatch.setattr(resume, "largest_trial", lambda _: 1)
    monkeypatch.setenv("RAY_ADDRESS", "far:6379")
    was = {**Cluster(address="far:6379", cpus=4.0, gpus=0.25, storage="/s").to_dict(), "needs": {"CPU": 4.0}}
    workers = {"slots": 2, **asdict(WorkerSettings(threads=3, device="gpu", cluster=was))}
    changed_workers({"workers": workers, "backend": "jax"}, ResumeSettings(**settings))
    assert asked == [(device, cluster, threads)]


def test_a_run_of_this_machine_goes_on_on_a_cluster(monkeypatch):
    asked = []

    def choose(*given, **_):
        asked.append(given)
        return 2, WorkerSettings(threads=9)

    monkeypatch.setattr(resume, "choose_workers", choose)
    monkeypatch.setattr(resume, "largest_trial", lambda _: 1)
    content = {"workers": {"slots": 2, **asdict(WorkerSettings(threads=3))}}
    for cluster, threads in ((Cluster(address="far:1", cpus=2.0), None), (Cluster(address="far:1"), 3)):
        changed_workers(content, ResumeSettings(workers=cluster))
        assert asked.pop() == ("cpu", cluster, threads)


def test_a_cluster_that_a_file_names_is_named_again(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    cluster = Cluster(address="far:6379", cpus=1.0)
    workers = {"slots": 2, **asdict(WorkerSettings(threads=1, cluster={**cluster.to_dict(), "needs": {"CPU": 1.0}}))}
    for settings in (ResumeSettings(), ResumeSettings(threads=2), ResumeSettings(device="cpu")):
        with pytest.raises(RunError, match="trained on ray://far:6379") as caught:
            changed_workers({"workers": workers}, settings)
        assert "--workers ray://far:6379" in caught.value.cure
    assert changed_workers({"workers": workers}, ResumeSettings(workers=3, device="cpu"))["slots"] == 3
    monkeypatch.setenv("RAY_ADDRESS", "far:6379")
    assert changed_workers({"workers": workers}, ResumeSettings()) == workers
    assert changed_workers({"workers": workers}, ResumeSettings(threads=2)) == {**workers, "threads": 2}
    monkeypatch.delenv("RAY_ADDRESS")
    for of_this_machine in ("auto", ""):
        workers["cluster"]["address"] = of_this_machine
        assert changed_workers({"workers": workers}, ResumeSettings()) == workers
