"""The driver's side of a cluster, and a worker's, without Ray: what is sent, what comes back, and what goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import deque
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from resnet_search.errors import TrainingError
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.imagenet import Source
from resnet_search.networks.precision import FLOAT32, WIDE
from resnet_search.networks.presets import preset
from resnet_search.training.arrays import Arrays, read_arrays, write_arrays
from resnet_search.training.job import HISTORY, STATE, WEIGHTS, Epoch, Job
from resnet_search.workers import host as host_module
from resnet_search.workers import on_ray, packing
from resnet_search.workers.contract import Done, EpochDone, Lost, Message, Ready, Stopped, Waiting
from resnet_search.workers.host import Host
from resnet_search.workers.local import WorkerSettings
from resnet_search.workers.on_ray import RayWorkers

SMALL = Architecture.from_axes(block="basic", n=1, width=2).to_dict()
LINE = Epoch(
    epoch=1, loss=1.0, accuracy=0.5, val_loss=1.0, val_accuracy=0.5, learning_rate=0.1, train_seconds=1.0,
    validation_seconds=1.0,
)  # fmt: skip


class RayError(Exception):
    pass


class RayActorError(RayError):
    actor_init_failed = False


class ActorUnavailableError(RayActorError):
    pass


class OutOfMemoryError(RayError):
    pass


class ObjectLostError(RayError):
    pass


class RayTaskError(RayError):
    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Actor:
    """Calls that are carried out when somebody waits for them; `faults` come in their place, `lost` after them."""

    def __init__(self, ray: FakeRay, made: Host) -> None:
        self._ray, self._made = ray, made

    def __getattr__(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(remote=lambda *words, **values: self._ray.call(self._made, name, words, values))


class FakeRay:
    exceptions = SimpleNamespace(
        RayError=RayError, RayActorError=RayActorError, ActorUnavailableError=ActorUnavailableError,
        RayTaskError=RayTaskError, ObjectLostError=ObjectLostError, OutOfMemoryError=OutOfMemoryError,
    )  # fmt: skip

    def __init__(self) -> None:
        self.rows = [{"Alive": True, "Resources": {"CPU": 2.0, "memory": 8e9}}]
        self.placed = True
        self.faults: deque[tuple[str, Exception]] = deque()
        self.lost: deque[tuple[str, Exception]] = deque()
        self.hosts: list[Host] = []
        self.killed = 0
        self.waited_in: set[threading.Thread] = set()

    def nodes(self) -> list[dict]:
        return self.rows

    def remote(self, **asked):
        self.asked = asked

        def kind(_):
            return SimpleNamespace(remote=self.make)

        return kind

    def make(self, *words) -> Actor:
        self.hosts.append(Host(*words))
        return Actor(self, self.hosts[-1])

    def call(self, made: Host, name: str, words: tuple, values: dict) -> SimpleNamespace:
        return Reference(made, name, words, values)

    def put(self, value):
        return [value]

    def get(self, reference):
        if isinstance(reference, list):
            return reference[0]
        if self.faults and self.faults[0][0] == reference.name:
            raise self.faults.popleft()[1]
        try:
            answer = getattr(reference.host, reference.name)(*reference.words, **reference.values)
        except RayError:
            raise
        except Exception as error:
            raise RayTaskError(error) from error
        if self.lost and self.lost[0][0] == reference.name:
            raise self.lost.popleft()[1]
        return answer

    def wait(self, calls, num_returns=1, timeout=None):
        self.waited_in.add(threading.current_thread())
        done = [call for call in calls if self.placed or call.name != "join"]
        for call in done:
            if call.name == "end":
                self.get(call)
        return done[:num_returns], []

    def kill(self, actor) -> None:
        self.killed += 1


class Reference(SimpleNamespace):
    def __init__(self, host, name, words, values) -> None:
        super().__init__(host=host, name=name, words=words, values=values)

    __hash__ = object.__hash__
    __eq__ = object.__eq__


class FakeLocal:
    """A local worker that says what it is told to, and does with the job's folder what a script says."""

    def __init__(self, slots: int, settings: WorkerSettings, log: Path) -> None:
        self.said: deque[Message] = deque([Ready(0, ("CPU",))])
        self.jobs: list[Job] = []
        self.log = log
        log.write_bytes(b"printed\n")

    def submit(self, slot: int, job: Job) -> None:
        self.jobs.append(job)

    def wait(self, seconds: float) -> Message | None:
        return self.said.popleft() if self.said else None

    def close(self) -> None:
        self.jobs.clear()


@pytest.fixture
def ray(monkeypatch, tmp_path) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setattr(on_ray, "connect", lambda _: fake)
    monkeypatch.setattr(on_ray, "_HEAR_SECONDS", 0.0)
    monkeypatch.setattr(host_module, "LocalWorkers", FakeLocal)
    monkeypatch.setattr(host_module, "fetch", lambda reference: reference[0])
    monkeypatch.setattr(host_module.tempfile, "gettempdir", lambda: str(tmp_path / "node"))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    (tmp_path / "node").mkdir()
    return fake


@pytest.fixture
def pool(ray, tmp_path):
    (tmp_path / "run").mkdir()
    workers = RayWorkers(settings(), tmp_path / "run" / "worker.log")
    yield workers
    workers.close()


def settings(**cluster) -> WorkerSettings:
    values = {"address": "", "cpus": 1.0, "gpus": 0.0, "storage": "", "needs": {"CPU": 1.0, "memory": 2e9}}
    return WorkerSettings(threads=1, backend="tensorflow", cluster=values | cluster)


@pytest.fixture
def job(tmp_path) -> Job:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (8, 4, 4, 3), dtype=np.uint8)
    labels = np.arange(8) % 2
    write_arrays(tmp_path / "arrays", Arrays(images, labels, images, labels, ("a", "b"), (0.0,) * 3, (1.0,) * 3))
    return Job(
        trial="0000", folder=str(tmp_path / "run" / "trial_0000"), parent=None, architecture=SMALL, recipe={}, seed=0,
        initial_epoch=0, epochs=2, horizon=2, data=str(tmp_path / "arrays"),
    )  # fmt: skip


def hear(pool: RayWorkers, kind: type[Message]) -> Message:
    for _ in range(20):
        message = pool.wait(0.0)
        if isinstance(message, kind):
            return message
    raise AssertionError(f"no {kind.__name__}")


def finish_epoch(worker: FakeLocal, number: int, *, weights: bool = False) -> None:
    """What training leaves at the end of an epoch, and what it says."""
    folder = Path(worker.jobs[-1].folder)
    with (folder / HISTORY).open("a") as history:
        history.write(json.dumps(replace(LINE, epoch=number).to_dict()) + "\n")
    if weights:
        (folder / WEIGHTS).write_bytes(b"weights")
    (folder / STATE).write_bytes(f"state {number}".encode())
    worker.said.append(EpochDone(0, "0000", replace(LINE, epoch=number)))


def worker_of(ray: FakeRay) -> FakeLocal:
    return ray.hosts[-1]._workers


def test_an_epoch_is_on_the_drivers_disk_when_it_is_told(pool, ray, job):
    pool.submit(0, job)
    assert hear(pool, Ready).slot == 0
    there = Path(worker_of(ray).jobs[0].folder)
    assert there != Path(job.folder), "the trial's folder there is one of the node"
    assert read_arrays(Path(worker_of(ray).jobs[0].data)).classes == ("a", "b")
    finish_epoch(worker_of(ray), 1)
    assert hear(pool, EpochDone).epoch.epoch == 1
    assert (Path(job.folder) / STATE).read_bytes() == b"state 1"
    assert not (Path(job.folder) / WEIGHTS).exists()
    finish_epoch(worker_of(ray), 2, weights=True)
    worker_of(ray).said.append(Done(0, "0000", (LINE,), 1.0))
    hear(pool, Done)
    assert (Path(job.folder) / WEIGHTS).read_bytes() == b"weights"
    assert len((Path(job.folder) / HISTORY).read_text().splitlines()) == 2
    assert pool._log.read_bytes() == b"printed\n"


def test_an_epoch_that_is_ahead_of_its_message_has_its_line(pool, ray, job):
    """A short epoch may end while the one before it is told: its state must not come without its line."""
    pool.submit(0, job)
    hear(pool, Ready)
    finish_epoch(worker_of(ray), 1)
    finish_epoch(worker_of(ray), 2)
    worker_of(ray).said.pop()
    assert hear(pool, EpochDone).epoch.epoch == 1
    assert (Path(job.folder) / STATE).read_bytes() == b"state 2"
    assert len((Path(job.folder) / HISTORY).read_text().splitlines()) == 2


def test_the_history_is_written_before_the_state(pool, ray, job, monkeypatch):
    """A driver that is killed between them has a state with all its lines."""
    written = []
    kept = on_ray.write_bytes
    monkeypatch.setattr(on_ray, "write_bytes", lambda path, content: (written.append(path.name), kept(path, content)))
    pool.submit(0, job)
    hear(pool, Ready)
    finish_epoch(worker_of(ray), 1, weights=True)
    hear(pool, EpochDone)
    assert written == [HISTORY, WEIGHTS, STATE]


def test_a_lost_node_costs_what_was_not_told(pool, ray, job):
    pool.submit(0, job)
    hear(pool, Ready)
    finish_epoch(worker_of(ray), 1)
    hear(pool, EpochDone)
    finish_epoch(worker_of(ray), 2)
    ray.faults.append(("hear", RayActorError("The actor died because its node has died. Node Id: 5")))
    lost = hear(pool, Lost)
    assert (lost.trial, lost.slot, lost.blameless) == ("0000", 0, True)
    pool.submit(0, job)
    hear(pool, Ready)
    assert len(ray.hosts) == 2
    folder = Path(worker_of(ray).jobs[-1].folder)
    assert (folder / STATE).read_bytes() == b"state 1", "the other node goes on from the last epoch that was told"
    assert len((folder / HISTORY).read_text().splitlines()) == 1


def test_a_worker_that_ends_while_it_trains_may_end_of_its_trial(pool, ray, job):
    pool.submit(0, job)
    hear(pool, Ready)
    ray.faults.append(("hear", RayActorError("its worker process has died")))
    assert not hear(pool, Lost).blameless


def test_a_worker_that_ray_kills_for_its_memory_is_replaced(pool, ray, job):
    """As one of this machine that the system kills: it may be the trial that takes so much."""
    pool.submit(0, job)
    hear(pool, Ready)
    ray.faults.append(("hear", OutOfMemoryError("Task was killed due to the node running low on memory.")))
    lost = hear(pool, Lost)
    assert (lost.trial, lost.blameless) == ("0000", False)
    assert " memory " in lost.reason
    pool.submit(0, job)
    hear(pool, Ready)
    assert len(ray.hosts) == 2


def test_another_error_of_ray_ends_the_search_in_words(pool, ray, job):
    pool.submit(0, job)
    hear(pool, Ready)
    ray.faults.append(("hear", RayError("What it was.\nThe disk of a node is full.")))
    with pytest.raises(TrainingError, match="RayError: The disk of a node is full") as caught:
        hear(pool, Lost)
    assert "resume" in caught.value.cure


def test_an_object_store_that_is_full_stops_the_search(pool, ray, job, monkeypatch):
    def full(_):
        raise RayError("Failed to put object.\nThe local object store is full")

    monkeypatch.setattr(ray, "put", full)
    pool.submit(0, job)
    assert "The local object store is full" in hear(pool, Stopped).reason


def test_no_wait_is_in_the_thread_that_signals_interrupt(pool, ray, job):
    """Ray makes a SystemError of what their handlers raise there."""
    pool.submit(0, job)
    hear(pool, Ready)
    pool.close()
    assert ray.waited_in
    assert threading.main_thread() not in ray.waited_in


@pytest.mark.parametrize(
    "error", [ActorUnavailableError("for a moment"), ObjectLostError("gone")], ids=["broken", "lost"]
)
def test_a_broken_connection_loses_nothing(pool, ray, job, error):
    pool.submit(0, job)
    hear(pool, Ready)
    finish_epoch(worker_of(ray), 1)
    ray.hosts[-1].hear(1, 0.0)  # An answer that never arrives.
    ray.faults.append(("hear", error))
    assert hear(pool, EpochDone).epoch.epoch == 1
    assert (Path(job.folder) / STATE).read_bytes() == b"state 1"
    assert len(ray.hosts) == 1


@pytest.mark.parametrize("error", [ActorUnavailableError("for a moment"), ObjectLostError("gone")], ids=["off", "lost"])
def test_a_job_whose_answer_is_lost_is_begun_once(pool, ray, job, error):
    """Begun twice, it would lose its folder under the hands of its worker, and be told as done twice."""
    ray.lost.append(("submit", error))
    pool.submit(0, job)
    hear(pool, Ready)
    worker = worker_of(ray)
    finish_epoch(worker, 1)
    hear(pool, EpochDone)
    assert not ray.lost
    assert len(worker.jobs) == 1
    assert (Path(worker.jobs[0].folder) / STATE).read_bytes() == b"state 1"
    worker.said.append(Done(0, "0000", (LINE,), 1.0))
    hear(pool, Done)
    # The same trial again is another job.
    pool.submit(0, job)
    finish_epoch(worker, 1)
    hear(pool, EpochDone)
    assert len(worker.jobs) == 2


def test_a_job_that_never_arrived_is_sent_again(pool, ray, job):
    ray.faults.append(("submit", ActorUnavailableError("for a moment")))
    pool.submit(0, job)
    hear(pool, Ready)
    assert len(worker_of(ray).jobs) == 1


def test_a_node_is_killed_while_the_answer_of_a_submission_is_lost(pool, ray, job):
    """The trial goes on elsewhere, from what came back before; the job there is begun once too."""
    pool.submit(0, job)
    hear(pool, Ready)
    finish_epoch(worker_of(ray), 1)
    hear(pool, EpochDone)
    worker_of(ray).said.append(Done(0, "0000", (LINE,), 1.0))
    hear(pool, Done)
    ray.lost.append(("submit", ActorUnavailableError("for a moment")))
    ray.faults.append(("hear", RayActorError("its node has died")))
    pool.submit(0, job)
    assert hear(pool, Lost).blameless
    assert len(ray.hosts[0]._workers.jobs) == 2
    ray.lost.append(("submit", ActorUnavailableError("for a moment")))
    pool.submit(0, job)
    hear(pool, Ready)
    [again] = worker_of(ray).jobs
    assert (Path(again.folder) / STATE).read_bytes() == b"state 1"


def test_an_answer_that_is_lost_with_its_node_is_the_nodes_loss(pool, ray, job):
    pool.submit(0, job)
    hear(pool, Ready)
    ray.faults.extend([("hear", ObjectLostError("gone")), ("hear", RayActorError("its node has died"))])
    lost = hear(pool, Lost)
    assert lost.blameless
    assert lost.trial == job.trial


def test_a_promotion_takes_its_parents_state_along(pool, ray, job, tmp_path):
    parent = tmp_path / "run" / "trial_0009"
    parent.mkdir()
    (parent / STATE).write_bytes(b"parent")
    pool.submit(0, replace(job, parent=str(parent), initial_epoch=1))
    hear(pool, Ready)
    sent = worker_of(ray).jobs[0]
    assert (Path(sent.parent) / STATE).read_bytes() == b"parent"
    (Path(sent.folder)).rmdir()


def test_a_node_with_other_versions_is_refused(pool, ray, job, monkeypatch):
    monkeypatch.setattr(host_module, "worker_versions", lambda _: on_ray.worker_versions("tensorflow") | {"keras": "2"})
    pool.submit(0, job)
    with pytest.raises(TrainingError, match=r" keras 2 .* 3") as caught:
        hear(pool, Ready)
    assert "same versions" in caught.value.cure


def test_a_node_without_instructions_for_bfloat16_is_refused(ray, job, tmp_path, monkeypatch):
    """Otherwise it would train, many times slower, and nobody would know."""
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(host_module, "processor_has_bfloat16", lambda: False)
    for precision in (FLOAT32, WIDE):
        workers = RayWorkers(replace(settings(), precision=precision), tmp_path / "run" / "worker.log")
        workers.submit(0, job)
        if precision == FLOAT32:
            hear(workers, Ready)
        else:
            with pytest.raises(TrainingError, match="--precision: got 'bfloat16'") as caught:
                hear(workers, Ready)
            assert "--precision float32" in caught.value.cure
        workers.close()


def test_what_a_node_words_itself_is_told_as_it_is(ray, job, tmp_path, monkeypatch):
    """Not as a trial that cannot be written, which no room on a disk mends."""
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(host_module, "gpu_memory", lambda: 2**31)
    wanted = settings(gpus=0.25, needs={"CPU": 1.0, "GPU": 0.25, "memory": 2e9})
    workers = RayWorkers(replace(wanted, device="gpu"), tmp_path / "run" / "worker.log")
    workers.submit(0, job)
    with pytest.raises(TrainingError, match=r"--gpus-per-trial: got 0\.25.* 2 GiB "):
        hear(workers, Ready)
    workers.close()


def test_what_a_node_words_later_names_it(pool, ray, job):
    pool.submit(0, job)
    hear(pool, Ready)
    ray.faults.append(("hear", RayTaskError(TrainingError("too little of it", "Add some."))))
    with pytest.raises(TrainingError, match=r"on node .+: too little of it") as caught:
        hear(pool, Lost)
    assert caught.value.cure == "Add some."


def test_any_other_error_of_a_node_is_no_matter_of_room(pool, ray, job):
    ray.faults.append(("join", RayTaskError(RuntimeError("no such library"))))
    pool.submit(0, job)
    with pytest.raises(TrainingError, match=r"node .*: no such library"):
        hear(pool, Ready)


def test_a_node_without_authentication_is_refused(pool, ray, job, monkeypatch):
    pool.submit(0, job)
    kept = host_module.Host.join
    monkeypatch.setattr(host_module.Host, "join", lambda self: replace(kept(self), authentication="disabled"))
    with pytest.raises(TrainingError, match="without token authentication"):
        hear(pool, Ready)


def test_workers_that_never_join_end_the_search(pool, ray, job):
    ray.faults.extend([("join", RayActorError("its worker process has died"))] * on_ray._NEVER_JOINED)
    for _ in range(on_ray._NEVER_JOINED - 1):
        pool.submit(0, job)
        assert hear(pool, Lost).blameless
    pool.submit(0, job)
    with pytest.raises(TrainingError, match=f"{on_ray._NEVER_JOINED} workers"):
        hear(pool, Lost)


def test_nodes_that_die_while_workers_join_do_not_end_the_search(pool, ray, job):
    """One node may take many workers with it, before any of them has joined."""
    ray.faults.extend([("join", RayActorError("its node has died"))] * 2 * on_ray._NEVER_JOINED)
    for _ in range(2 * on_ray._NEVER_JOINED):
        pool.submit(0, job)
        assert hear(pool, Lost).blameless
    pool.submit(0, job)
    hear(pool, Ready)


def test_an_idle_worker_takes_the_trial_that_waits_for_its_place(pool, ray, job):
    """A cluster of two nodes loses one: the trial of that one goes on when the other has ended its own."""
    pool.submit(0, job)
    hear(pool, Ready)
    ray.placed = False
    pool.submit(1, replace(job, trial="0001", folder=f"{job.folder}-1"))
    ray.hosts[0]._workers.said.append(Done(0, "0000", (LINE,), 1.0))
    assert hear(pool, Done).slot == 0
    pool.wait(0.0)
    ray.hosts[0]._workers.said.append(Done(0, "0001", (LINE,), 1.0))
    assert hear(pool, Done).slot == 1
    assert ray.killed == 1


def test_a_trial_without_a_place_is_said_to_wait(pool, ray, job, monkeypatch):
    ray.placed = False
    ray.rows = []
    monkeypatch.setattr(on_ray, "_WAITING_SECONDS", 0.0)
    assert pool.slots == 1, "one is submitted, so that a cluster that grows by demand grows"
    pool.submit(0, job)
    waiting = hear(pool, Waiting)
    assert waiting.trial == "0000"
    for fact in ("1 CPU", "2.0 GB"):
        assert fact in waiting.reason
    ray.placed = True
    hear(pool, Ready)


@pytest.mark.parametrize(
    ("nodes", "slots"),
    [
        ([{"CPU": 4.0, "memory": 8e9}], 4),
        ([{"CPU": 4.0, "memory": 5e9}], 2),
        ([{"CPU": 1.5, "memory": 8e9}, {"CPU": 1.5, "memory": 8e9}], 2),  # A trial does not span two nodes.
        ([{"memory": 8e9}], 1),
    ],
)
def test_as_many_slots_as_the_nodes_have_room_for(pool, ray, nodes, slots):
    ray.rows = [{"Alive": True, "Resources": one} for one in nodes] + [{"Alive": False, "Resources": {"CPU": 64.0}}]
    assert pool.slots == slots


def test_quarters_of_a_gpu():
    node = {"CPU": 16.0, "GPU": 2.0, "memory": 100e9}
    assert on_ray.admitted([node], {"CPU": 1.0, "GPU": 0.25, "memory": 3e9}) == 8
    assert on_ray.admitted([node], {"CPU": 1.0, "GPU": 0.3, "memory": 3e9}) == 6


def test_what_cannot_be_read_or_written_ends_the_search(pool, ray, job, tmp_path):
    pool.submit(0, replace(job, data=str(tmp_path / "absent")))
    assert "No such file" in hear(pool, Stopped).reason
    pool.submit(0, job)
    ray.faults.append(("submit", RayTaskError(OSError(28, "No space left on device"))))
    assert "No space left" in hear(pool, Stopped).reason


def test_with_a_shared_storage_nothing_is_copied(ray, tmp_path, job):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    workers = RayWorkers(settings(storage=str(tmp_path)), tmp_path / "run" / "worker.log")
    workers.submit(0, job)
    hear(workers, Ready)
    assert worker_of(ray).jobs == [job]
    assert not ray.hosts[-1]._files()
    workers.close()


def test_a_shared_storage_is_named_from_its_root(ray, tmp_path, job, monkeypatch):
    """`--runs-dir` is `runs` unless it is given, and workers have the working directory of their node."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    workers = RayWorkers(settings(storage=str(tmp_path)), Path("run/worker.log"))
    workers.submit(0, replace(job, folder="run/trial_0000", parent="run/trial_0009", data="arrays"))
    hear(workers, Ready)
    run = tmp_path / "run"
    assert ray.hosts[-1]._storage == str(run)
    [sent] = worker_of(ray).jobs
    assert sent == replace(job, folder=str(run / "trial_0000"), parent=str(run / "trial_0009"))
    workers.close()


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "sent"])
def test_imagenet_weights_are_brought_to_a_node_that_lacks_them(ray, tmp_path, job, monkeypatch, shared):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    content = b"weights"
    source = Source("keras-resnet-50", "ResNet50", hashlib.md5(content, usedforsecurity=False).hexdigest(), 1)
    monkeypatch.setattr(packing, "weights_of", lambda _: (source,))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "drivers"))
    source.path.parent.mkdir(parents=True)
    source.path.write_bytes(content)
    workers = RayWorkers(settings(storage=str(tmp_path) if shared else ""), tmp_path / "run" / "worker.log")
    workers.submit(0, job)
    kept = Host.submit

    def elsewhere(*words):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nodes"))
        kept(*words)

    monkeypatch.setattr(Host, "submit", elsewhere)
    hear(workers, Ready)
    assert source.path == tmp_path / "nodes" / "models" / source.file
    assert source.path.read_bytes() == content
    workers.close()


@pytest.mark.parametrize("where", ["folder", "parent"])
def test_a_trial_that_goes_on_takes_no_weights_of_imagenet_along(ray, tmp_path, job, where):
    """Nor are they asked for here, where they may be gone by now."""
    folder = tmp_path / "run" / "trial_0001"
    folder.mkdir(parents=True)
    (folder / STATE).write_bytes(b"state")
    imagenet = replace(job, recipe={"init": "imagenet"}, architecture=preset("keras-resnet-50").architecture.to_dict())
    assert packing.weights_of(imagenet)
    _, files = packing.Packer(ray, shared=True).pack(replace(imagenet, **{where: str(folder)}))
    assert not files.weights


def test_a_node_that_does_not_see_the_storage_is_refused(ray, tmp_path, job):
    (tmp_path / "run").mkdir()
    workers = RayWorkers(settings(storage=str(tmp_path)), tmp_path / "run" / "worker.log")
    workers.submit(0, job)
    with pytest.raises(TrainingError, match="does not see"):
        hear(workers, Ready)


def test_nothing_stays_on_a_node(pool, ray, job, tmp_path):
    pool.submit(0, job)
    hear(pool, Ready)
    assert list((tmp_path / "node").iterdir())
    pool.close()
    assert not list((tmp_path / "node").iterdir())
    assert ray.killed == 1


def test_what_a_killed_search_left_on_a_node_goes(tmp_path):
    left, young, used = (tmp_path / f"resnet-search-ray-{digit * 32}" for digit in "0af")
    others = tmp_path / "resnet-search-ray-of-mine"
    (left / "999999999-b").mkdir(parents=True)
    (used / f"{os.getpid()}-a").mkdir(parents=True)
    young.mkdir()
    others.mkdir()
    for folder in (left, used, others):
        os.utime(folder, (0, 0))
    host_module._sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([used, young, others])
