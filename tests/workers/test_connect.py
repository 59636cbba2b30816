"""What stands between a search and a cluster: words, addresses, tokens, and what Ray says of them."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from types import SimpleNamespace

import pytest

from resnet_search.errors import TrainingError, UsageError
from resnet_search.workers import connect, precision
from resnet_search.workers.cluster import Cluster

NODE = {"CPU": 8.0, "memory": 20e9}
WITH_GPU = NODE | {"GPU": 2.0}


@pytest.mark.parametrize(
    ("word", "address"),
    [("ray", ""), ("ray://auto", "auto"), ("ray://10.0.0.5:6379", "10.0.0.5:6379"), ("ray://[::1]:80", "[::1]:80")],
)
def test_the_words_that_name_a_cluster(word, address):
    cluster = Cluster.from_word(word)
    assert cluster.address == address
    assert cluster.word == word


@pytest.mark.parametrize("word", ["ray://", "ray:", "rays", "ray://a", "ray://a:b", "ray://http://a:1", "ray://a:1;ls"])
def test_other_words_are_refused(word):
    with pytest.raises(UsageError, match="--workers: got "):
        Cluster.from_word(word)


@pytest.mark.parametrize("values", [{"gpus": 1.5}, {"gpus": -0.1}, {"cpus": 0.0}, {"cpus": float("nan")}])
def test_what_a_trial_cannot_take(values):
    with pytest.raises(UsageError, match="-per-trial: got "):
        Cluster(**values)


def test_without_ray_its_install_command_is_named(monkeypatch):
    monkeypatch.setattr(connect, "find_spec", lambda _: None)
    with pytest.raises(TrainingError, match="Ray") as caught:
        connect.connect(Cluster())
    assert "pip install 'resnet-search[ray]'" in caught.value.cure


def test_where_nothing_answers(monkeypatch):
    monkeypatch.setattr(connect, "find_spec", lambda _: True)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(TrainingError, match=f"--workers: got 'ray://{address}'"):
        connect.connect(Cluster(address=address))


def test_a_name_that_no_host_can_have(monkeypatch):
    monkeypatch.setattr(connect, "find_spec", lambda _: True)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(TrainingError, match=r"--workers: got 'ray://a\.\.b:1'"):
        connect.connect(Cluster(address="a..b:1"))


class AuthenticationError(Exception):
    pass


@pytest.mark.parametrize(
    ("address", "error", "message", "cure"),
    [
        ("a:1", AuthenticationError("no token"), "a:1", "ray get-auth-token"),
        ("a:1", ConnectionError("Failed"), "token", "Ray Client"),
        ("auto", ConnectionError("Could not find any"), "no node", "ray start"),
        ("a:1", RuntimeError("Version mismatch: Ray: 2.59"), "Ray: 2.59", "Python"),
        ("a:1", RuntimeError("not started on this machine"), "a:1", "--num-cpus=0"),
        ("", RuntimeError("timed out"), "timed out", "logs"),
    ],
)
def test_every_refusal_has_a_cure(address, error, message, cure):
    refused = connect._refused(address, error)
    assert message in refused.message
    assert cure in refused.cure


def test_signals_stay_those_of_the_command():
    before = signal.getsignal(signal.SIGTERM)
    with connect._own_signals():
        signal.signal(signal.SIGTERM, lambda *_: None)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def nodes(monkeypatch):
    rows = [NODE]
    ray = SimpleNamespace(nodes=lambda: [{"Alive": True, "Resources": row} for row in rows])
    monkeypatch.setattr(connect, "connect", lambda _: ray)
    return rows


def chosen(device="auto", cluster=None, **values):
    slots, settings = connect.choose_on_cluster(device, cluster or Cluster(), None, backend="tensorflow", **values)
    return slots, settings


def test_trials_ask_for_the_memory_that_the_largest_is_predicted_to_take(nodes):
    slots, settings = chosen(trial_bytes=8_500_000_000)
    assert settings.cluster["needs"] == {"CPU": 1.0, "memory": 10e9}
    assert slots == 2
    slots, settings = chosen(trial_bytes=10**12)
    assert settings.cluster["needs"]["memory"] == 20e9, "no more than a node has: it is tried"
    assert slots == 1


def test_processors_of_a_trial_are_its_threads(nodes):
    slots, settings = chosen(cluster=Cluster(cpus=4.0))
    assert (slots, settings.threads, settings.device) == (2, 4, "cpu")


def test_gpus_where_there_are_some(nodes, monkeypatch):
    asked = []
    gpu = SimpleNamespace(device="gpu", precision="mixed_bfloat16")

    def ask(_, needs, backend, precision):
        assert precision == "auto"
        asked.append(needs)
        return connect.WorkerSettings(threads=1, device="gpu", precision=gpu.precision)

    monkeypatch.setattr(connect, "_ask_a_gpu", ask)
    assert chosen()[1].device == "cpu"
    with pytest.raises(TrainingError, match="--device: got 'gpu'"):
        chosen("gpu")
    nodes[:] = [WITH_GPU]
    assert chosen()[0] == 2
    slots, settings = chosen(cluster=Cluster(gpus=0.25))
    assert (slots, settings.precision, settings.cluster["gpus"]) == (6, "mixed_bfloat16", 0.25)  # By memory, not 8.
    assert chosen("cpu")[1].device == "cpu"
    with pytest.raises(UsageError, match=r"--gpus-per-trial: got 0\.5 .*--device cpu"):
        chosen("cpu", Cluster(gpus=0.5))
    assert all(needs["GPU"] for needs in asked)


def test_memory_is_that_of_nodes_with_a_gpu(nodes, monkeypatch):
    """A head with much of it and no GPU is no place for a trial that takes one."""
    asked = []
    monkeypatch.setattr(connect, "_ask_a_gpu", lambda _, needs, *__: asked.append(needs) or connect.WorkerSettings(1))
    nodes[:] = [NODE, {"CPU": 8.0, "memory": 2e9, "GPU": 1.0}]
    assert chosen()[0] == 1
    assert asked == [{"CPU": 1.0, "memory": 2e9, "GPU": 1.0}]


class RayError(Exception):
    pass


class GetTimeoutError(RayError, TimeoutError):
    pass


class RayTaskError(RayError):
    def __init__(self, cause: Exception) -> None:
        super().__init__(f"ray::ask() (pid=5)\nTraceback (most recent call last):\n{cause}")
        self.cause = cause


@pytest.fixture
def asked(nodes, monkeypatch):
    """What becomes of the question to a GPU: set `answer`. `cancelled` says that it was withdrawn."""
    nodes[:] = [WITH_GPU]
    ray = connect.connect(Cluster())
    seen = SimpleNamespace(answer=None, cancelled=0, threads=[])

    def get(reference, timeout):
        assert 0 < timeout < 1000
        seen.threads.append(threading.current_thread())
        if isinstance(seen.answer, Exception):
            raise seen.answer
        return seen.answer

    def cancel(reference, *, force):
        seen.cancelled += 1

    ray.get, ray.cancel = get, cancel
    ray.exceptions = SimpleNamespace(RayError=RayError, GetTimeoutError=GetTimeoutError)
    ray.remote = lambda **_: lambda _: SimpleNamespace(remote=object)
    return seen


def test_a_gpu_answers(asked):
    asked.answer = connect.WorkerSettings(1, device="gpu", precision="mixed_bfloat16")
    assert chosen("gpu")[1].precision == "mixed_bfloat16"
    assert threading.main_thread() not in asked.threads, "Ray makes a SystemError of what a signal raises"


@pytest.mark.parametrize(
    ("answer", "facts"),
    [
        (GetTimeoutError("Get timed out"), ("--device: ", "240 s")),
        (
            RayTaskError(TrainingError("--precision: got 'bfloat16', which this GPU has not")),
            ("", "node", "--precision: got 'bfloat16', which this GPU has not"),
        ),
        (
            RayTaskError(RuntimeError("no CUDA")),
            ("--device: got 'gpu'", "node", ": no CUDA"),
        ),
        (RayError("The worker died"), ("--device: got 'gpu'", "node", ": The worker died")),
    ],
    ids=["taken", "refused", "failed", "died"],
)
def test_a_gpu_that_does_not(asked, answer, facts):
    asked.answer = answer
    with pytest.raises(TrainingError) as caught:
        chosen("gpu")
    assert caught.value.message.startswith(facts[0])
    assert [fact for fact in facts if fact not in caught.value.message] == []
    assert asked.cancelled == 1


def test_a_gpu_beside_which_there_is_too_little_is_not_asked(asked):
    with pytest.raises(TrainingError) as caught:
        chosen("gpu", Cluster(cpus=32.0))
    for fact in ("32 CPU", "3.0 GB", "1 GPU"):
        assert fact in caught.value.message
    assert not asked.threads


@pytest.mark.parametrize(("address", "asks_here"), [("10.0.0.5:6379", False), ("auto", False), ("", True)])
def test_bfloat16_is_a_matter_of_the_nodes(nodes, monkeypatch, address, asks_here):
    """A head without work of its own may have an old processor."""
    monkeypatch.setenv("RAY_ADDRESS", "")
    monkeypatch.setattr(precision, "processor_has_bfloat16", lambda: False)
    cluster = Cluster(address=address)
    if asks_here:
        with pytest.raises(TrainingError, match="--precision: got 'bfloat16'"):
            chosen(cluster=cluster, precision="bfloat16")
    else:
        assert chosen(cluster=cluster, precision="bfloat16")[1].precision == "wide_bfloat16"
    assert chosen(cluster=cluster)[1].precision == "float32"


def test_without_nodes_one_trial_is_to_wait(nodes):
    nodes.clear()
    assert chosen()[0] == 1


@pytest.fixture
def started(monkeypatch):
    """What `ray.init` is called with, and the environment then."""
    calls = []

    def init(**values):
        calls.append((values, dict(os.environ)))

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False, init=init))
    monkeypatch.setattr(connect, "find_spec", lambda _: True)
    monkeypatch.setattr(connect, "_answers", lambda _: None)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_ADDRESS", "")
    return calls


@pytest.mark.parametrize(
    ("word", "named", "address"),
    [
        ("ray", "", "local"),  # Not what /tmp/ray/ray_current_cluster names, which is of any `ray start`.
        ("ray", "local", "local"),
        ("ray", "auto", "auto"),
        ("ray", "10.0.0.5:6379", "10.0.0.5:6379"),
        ("ray://auto", "", "auto"),
        ("ray://auto", "10.0.0.5:6379", "10.0.0.5:6379"),
        ("ray://auto", "local", "local"),
        ("ray://10.0.0.6:6379", "10.0.0.5:6379", "10.0.0.6:6379"),
        ("ray://10.0.0.6:6379", "http://a:8265", "10.0.0.6:6379"),
    ],
)
def test_what_is_connected_to(started, monkeypatch, word, named, address):
    monkeypatch.setenv("RAY_ADDRESS", named)
    connect.connect(Cluster.from_word(word))
    [(values, environment)] = started
    assert values["address"] == address
    alone = address == "local"
    assert ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" in environment) == alone
    assert (values.get("include_dashboard") is False) == alone


@pytest.mark.parametrize("named", ["http://127.0.0.1:8265", "ray://head:10001", "head", "head:port", " local"])
@pytest.mark.parametrize("word", ["ray", "ray://auto"])
def test_an_address_in_the_environment_that_is_none(started, monkeypatch, word, named):
    monkeypatch.setenv("RAY_ADDRESS", named)
    with pytest.raises(TrainingError) as caught:
        connect.connect(Cluster.from_word(word))
    assert caught.value.message.startswith(f"RAY_ADDRESS: got {named!r}; allowed: ")
    assert caught.value.cure
    assert not started


def test_a_ray_of_this_machine_alone_leaves_the_environment_as_it_was(started, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.delenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", raising=False)
    before = dict(os.environ)
    connect.connect(Cluster())
    [(_, seen)] = started
    assert seen["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert seen["RAY_USAGE_STATS_ENABLED"] == "1"
    assert dict(os.environ) == before


def test_authentication_is_on_unless_it_was_set_otherwise(monkeypatch):
    ray = SimpleNamespace(is_initialized=lambda: True)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(connect, "find_spec", lambda _: True)
    monkeypatch.setenv("RAY_ADDRESS", "")
    monkeypatch.setenv("RAY_AUTH_MODE", "x")
    monkeypatch.delenv("RAY_AUTH_MODE")
    assert connect.connect(Cluster()) is ray
    assert os.environ["RAY_AUTH_MODE"] == "token"
    monkeypatch.setenv("RAY_AUTH_MODE", "k8s")
    connect.connect(Cluster())
    assert os.environ["RAY_AUTH_MODE"] == "k8s"
