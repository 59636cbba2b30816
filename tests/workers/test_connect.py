"""What stands between a search and a cluster: words, addresses, tokens, and what Ray says of them."""

from __future__ import annotations

import os
import signal
import socket
from types import SimpleNamespace

import pytest

from resnet_search.errors import TrainingError, UsageError
from resnet_search.workers import connect
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
    with pytest.raises(TrainingError, match="Ray is not installed") as caught:
        connect.connect(Cluster())
    assert caught.value.cure == "Install it: pip install 'resnet-search[ray]'"


def test_where_nothing_answers(monkeypatch):
    monkeypatch.setattr(connect, "find_spec", lambda _: True)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(TrainingError, match=f"--workers: got 'ray://{address}', where nothing answers"):
        connect.connect(Cluster(address=address))


class AuthenticationError(Exception):
    pass


@pytest.mark.parametrize(
    ("address", "error", "message", "cure"),
    [
        ("a:1", AuthenticationError("no token"), "asks for its token", "ray get-auth-token"),
        ("a:1", ConnectionError("Failed"), "refuses this machine's token, or no head", "not the one of Ray Client"),
        ("auto", ConnectionError("Could not find any"), "no node of a Ray cluster runs on this", "ray start"),
        ("a:1", RuntimeError("Version mismatch: Ray: 2.59"), "has other versions", "same Python and Ray"),
        ("a:1", RuntimeError("not started on this machine"), "cannot be used", "--num-cpus=0"),
        ("", RuntimeError("timed out"), "Ray on this machine cannot be used: timed out", "logs"),
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
    with pytest.raises(TrainingError, match="no node of the cluster has one"):
        chosen("gpu")
    nodes[:] = [WITH_GPU]
    assert chosen()[0] == 2
    slots, settings = chosen(cluster=Cluster(gpus=0.25))
    assert (slots, settings.precision, settings.cluster["gpus"]) == (6, "mixed_bfloat16", 0.25)  # By memory, not 8.
    assert chosen("cpu")[1].device == "cpu"
    with pytest.raises(UsageError, match=r"--gpus-per-trial: got 0\.5 beside --device cpu"):
        chosen("cpu", Cluster(gpus=0.5))
    assert all(needs["GPU"] for needs in asked)


def test_without_nodes_one_trial_is_to_wait(nodes):
    nodes.clear()
    assert chosen()[0] == 1


def test_a_ray_of_this_machine_alone_leaves_the_environment_as_it_was(monkeypatch):
    seen = {}
    ray = SimpleNamespace(is_initialized=lambda: False, init=lambda **_: seen.update(os.environ))
    monkeypatch.setitem(__import__("sys").modules, "ray", ray)
    monkeypatch.setattr(connect, "find_spec", lambda _: True)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_ADDRESS", "")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.delenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", raising=False)
    before = dict(os.environ)
    connect.connect(Cluster())
    assert seen["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert seen["RAY_USAGE_STATS_ENABLED"] == "1"
    assert dict(os.environ) == before


def test_authentication_is_on_unless_it_was_set_otherwise(monkeypatch):
    ray = SimpleNamespace(is_initialized=lambda: True)
    monkeypatch.setitem(__import__("sys").modules, "ray", ray)
    monkeypatch.setattr(connect, "find_spec", lambda _: True)
    monkeypatch.setenv("RAY_ADDRESS", "")
    monkeypatch.setenv("RAY_AUTH_MODE", "x")
    monkeypatch.delenv("RAY_AUTH_MODE")
    assert connect.connect(Cluster()) is ray
    assert os.environ["RAY_AUTH_MODE"] == "token"
    monkeypatch.setenv("RAY_AUTH_MODE", "k8s")
    connect.connect(Cluster())
    assert os.environ["RAY_AUTH_MODE"] == "k8s"
