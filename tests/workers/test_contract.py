"""What a search may rely on, whatever its workers are: processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec

import psutil
import pytest

from resnet_search.files import read_lines
from resnet_search.training.checkpoint import read_epoch
from resnet_search.training.job import HISTORY, STATE, WEIGHTS, Epoch
from resnet_search.workers.cluster import Cluster
from resnet_search.workers.contract import Done, EpochDone, Failed, Lost, Ready, Stopped, Workers
from resnet_search.workers.local import LocalWorkers, WorkerSettings
from tests.workers.jobs import PATIENCE, children, hear, job

HANG = 30.0  # seconds; three times as long for a first step, which compiles
ON_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
KINDS = ["local", pytest.param("ray", marks=[pytest.mark.slow, ON_RAY])]


@pytest.fixture(scope="module")
def ray_of_this_machine(tmp_path_factory) -> Iterator[WorkerSettings]:
    """A Ray of its own, with authentication, as `--workers ray` starts it."""
    from resnet_search.workers.connect import choose_on_cluster

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.delenv("RAY_ADDRESS", raising=False)
        for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
            patch.delenv(name, raising=False)
        cluster = Cluster(cpus=1.0)
        _, settings = choose_on_cluster("cpu", cluster, 1, backend="tensorflow")
        assert (home / ".ray" / "auth_token").is_file()
        yield settings
        import ray

        ray.shutdown()


@pytest.fixture
def workers(request, kind, tmp_path) -> Iterator[Workers]:
    """One worker."""
    log = tmp_path / "worker.log"
    if kind == "local":
        pool: Workers = LocalWorkers(1, WorkerSettings(threads=1, hang_timeout=HANG), log)
    else:
        from resnet_search.workers.on_ray import RayWorkers

        settings = request.getfixturevalue("ray_of_this_machine")
        pool = RayWorkers(replace(settings, hang_timeout=HANG), log)
    yield pool
    pool.close()
    _, alive = psutil.wait_procs(children(), timeout=PATIENCE)
    assert not alive, "nobody is left behind"


def untimed(line: Epoch) -> Epoch:
    return replace(line, train_seconds=0.0, validation_seconds=0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_life_of_a_worker(workers, tmp_path, data):
    """One job after another, as a process takes seconds to start: trained, failed, lost, and in a new process promoted.

    One candidate throughout, trained for two epochs in one go and in two trials of two processes: the same to the last
    digit.
    """
    workers.submit(0, job(tmp_path, data, "0000"))
    assert any("CPU" in device for device in hear(workers, Ready).devices)
    assert hear(workers, EpochDone).epoch.epoch == 1
    folder = tmp_path / "trial_0000"
    assert read_epoch(folder / STATE) == 1, "a reported epoch is on disk"
    first = hear(workers, Done)
    assert first.trial == "0000"
    assert [line.epoch for line in first.history] == [1]
    assert first.setup_seconds > 0
    assert [line["epoch"] for line in read_lines(folder / HISTORY)] == [1]
    assert (folder / WEIGHTS).is_file()

    workers.submit(0, job(tmp_path, data, "0001", recipe={"momentum": 2}))
    assert "recipe momentum: got 2" in hear(workers, Failed).reason

    workers.submit(0, job(tmp_path, data, "0002", data=str(tmp_path / "absent")))
    assert "No such file" in hear(workers, Stopped).reason

    workers.submit(0, job(tmp_path, data, "0003", epochs=1000, horizon=1000))
    hear(workers, EpochDone)
    [child] = children()
    child.send_signal(signal.SIGKILL)
    lost = hear(workers, Lost)
    assert (lost.trial, lost.exit_code, lost.blameless) == ("0003", -signal.SIGKILL, False)
    assert "SIGKILL" in lost.reason

    workers.submit(0, job(tmp_path, data, "0006", epochs=1000, horizon=1000))
    hear(workers, EpochDone)
    workers.cancel(0)  # Its next job starts in a new process, and nothing more is heard of it.

    workers.submit(0, job(tmp_path, data, "0004", parent=str(folder), initial_epoch=1, epochs=2))
    promoted = hear(workers, Done)
    assert promoted.trial == "0004"
    workers.submit(0, job(tmp_path, data, "0005", epochs=2))
    whole = hear(workers, Done)
    assert untimed(whole.history[0]) == untimed(first.history[0]), "a seed draws the same in every process"
    assert [line.epoch for line in promoted.history] == [2]
    assert untimed(promoted.history[0]) == untimed(whole.history[1])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("number", "reason"),
    [(signal.SIGSEGV, "crashed (SIGSEGV)"), (signal.SIGSTOP, "made no progress for")],
    ids=["segfault", "hang"],
)
def test_a_process_that_ends_or_hangs_loses_its_trial_at_most_an_epoch(workers, tmp_path, data, number, reason):
    workers.submit(0, job(tmp_path, data, "0000", epochs=300, horizon=300))
    hear(workers, EpochDone)
    [child] = children()
    child.send_signal(number)
    last = 0
    for _ in range(PATIENCE):
        message = workers.wait(1.0)
        last = message.epoch.epoch if isinstance(message, EpochDone) else last
        if isinstance(message, Lost):
            break
    assert isinstance(message, Lost)
    assert reason in message.reason
    assert not message.blameless
    workers.submit(0, job(tmp_path, data, "0000", epochs=300, horizon=300))
    assert last + 1 <= hear(workers, EpochDone).epoch.epoch <= last + 2
