"""The way to a Ray cluster: its token, what it admits, and what each error means to who started the search."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from resnet_search.errors import TrainingError, UsageError
from resnet_search.workers.cluster import AUTO, MOST_SLOTS, Cluster
from resnet_search.workers.local import WorkerSettings
from resnet_search.workers.precision import AUTO as AUTO_PRECISION

if TYPE_CHECKING:
    from resnet_search.workers.host import Node

INSTALL: Final = "pip install 'resnet-search[ray]'"
_GUIDE: Final = "docs/how-to/ray.md"
_MODE: Final = "RAY_AUTH_MODE"
_SECURE: Final = frozenset({"token", "k8s"})
_ANSWER_SECONDS = 10.0
# A busy machine is slow to start Ray's processes, which give up after 30 s.
_START_MILLISECONDS = "120000"
# What a worker with TensorFlow takes of a machine's memory beside its GPU, in bytes.
_BESIDE_A_GPU = 3_000_000_000

Needs = dict[str, float]


def connect(cluster: Cluster) -> Any:
    """The `ray` module, connected to the cluster; `TrainingError` says what is in the way.

    Authentication by token is set, not left to Ray's default. A Ray of this machine alone listens on the loopback
    interface, without a dashboard.
    """
    if find_spec("ray") is None:
        raise TrainingError(f"--workers: got {cluster.word!r}, but Ray is not installed", f"Install it: {INSTALL}")
    os.environ.setdefault(_MODE, "token")
    address = cluster.address or os.environ.get("RAY_ADDRESS", "")
    if address and address != AUTO:
        _answers(address)
    with nullcontext() if address else _alone():
        import ray

        if ray.is_initialized():
            return ray
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        with _own_signals():
            try:
                if address:
                    ray.init(address=address, **quiet)
                else:
                    ray.init(include_dashboard=False, **quiet)
            except Exception as error:
                raise _refused(address, error) from error
    return ray


@contextmanager
def _alone() -> Iterator[None]:
    """Environment of a Ray that nobody else is to reach; put back, as a cluster started from here needs another."""
    ours = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_agent_register_timeout_ms": _START_MILLISECONDS,
        # Ray's name for it is of the systems where it is the default: all its servers listen on the loopback interface.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    ours = {name: value for name, value in ours.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def _answers(address: str) -> None:
    """`TrainingError` if nothing listens there: Ray itself would ask for half a minute, and not say so."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise TrainingError(
            f"--workers: got 'ray://{address}', where nothing answers: {error}",
            "Give the address that ray start --head names, HOST:6379 as a rule, and see that the head runs.",
        ) from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what this process does on SIGTERM, which `ray.init` takes for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _refused(address: str, error: Exception) -> TrainingError:
    said = str(error).strip().splitlines() or [type(error).__name__]
    where = f"the Ray cluster at {address}" if address else "Ray on this machine"
    if type(error).__name__ == "AuthenticationError":
        return TrainingError(
            f"{where} asks for its token, and this machine has none",
            "Put the file that ray get-auth-token --generate made on the head, ~/.ray/auth_token, here under the same "
            f"name, or set RAY_AUTH_TOKEN. {_GUIDE}",
        )
    if isinstance(error, ConnectionError) and address == AUTO:
        return TrainingError(
            "--workers: got 'ray://auto', but no node of a Ray cluster runs on this machine",
            "Start one, ray start --address=HOST:6379, or give --workers ray for a Ray of this machine alone.",
        )
    if isinstance(error, ConnectionError):
        return TrainingError(
            f"{where} refuses this machine's token, or no head of a Ray cluster listens there",
            "Compare ray get-auth-token here and on the head; the port is that of ray start --head, 6379 as a rule, "
            f"not the one of Ray Client. {_GUIDE}",
        )
    if "ersion mismatch" in str(error):
        return TrainingError(
            f"{where} has other versions: {' '.join(line.strip() for line in said)}",
            "Install the same Python and Ray on every machine.",
        )
    cure = "Look into the logs, /tmp/ray/session_latest/logs"
    if address:
        cure = f"This machine must be a node of it: ray start --address={address} --num-cpus=0, without work of its own"
    return TrainingError(f"{where} cannot be used: {said[0][:300]}", f"{cure}. {_GUIDE}")


def choose_on_cluster(
    device: str, cluster: Cluster, threads: int | None, *, backend: str, precision: str = AUTO_PRECISION,
    trial_bytes: int = 0,
) -> tuple[int, WorkerSettings]:  # fmt: skip
    """How many trials the cluster takes at once now, and the settings of each worker.

    `trial_bytes`: of the largest trial, which every worker has to be ready for. How a GPU computes is asked of one.
    """
    ray = connect(cluster)
    nodes = alive(ray)
    gpus = _gpus_of_a_trial(device, cluster, nodes)
    cpus = 1.0 if cluster.cpus is None else cluster.cpus
    # No more than there is, or nothing would ever start.
    room = max((node.get("memory", 0.0) for node in nodes), default=0.0)
    from resnet_search.workers.devices import FRAMEWORK_BYTES, choose_settings

    memory = _BESIDE_A_GPU if gpus else FRAMEWORK_BYTES + trial_bytes
    needs: Needs = {"CPU": cpus, "memory": float(int(min(memory, room)) if room else memory)}
    threads = threads or max(1, int(cpus))
    if gpus:
        needs["GPU"] = gpus
        settings = replace(_ask_a_gpu(ray, needs, backend, precision), threads=threads)
    else:
        settings = choose_settings("cpu", threads, backend=backend, precision=precision)
    chosen = asdict(replace(cluster, cpus=cpus, gpus=gpus)) | {"needs": needs}
    return min(MOST_SLOTS, max(1, admitted(nodes, needs))), replace(settings, cluster=chosen)


def _gpus_of_a_trial(device: str, cluster: Cluster, nodes: list[Needs]) -> float:
    there = any(node.get("GPU", 0) > 0 for node in nodes)
    if device == "cpu" and cluster.gpus:
        raise UsageError(f"--gpus-per-trial: got {cluster.gpus} beside --device cpu")
    if device == "gpu" and cluster.gpus == 0:
        raise UsageError("--device: got 'gpu' beside --gpus-per-trial 0")
    if device == "gpu" and not there:
        raise TrainingError("--device: got 'gpu', but no node of the cluster has one", "Use --device cpu, or auto.")
    if cluster.gpus is not None:
        return cluster.gpus
    return 1.0 if device != "cpu" and there else 0.0


def _ask_a_gpu(ray: Any, needs: Needs, backend: str, precision: str) -> WorkerSettings:
    """How trials compute on a GPU of the cluster: all alike, so that one goes on anywhere to the same result."""

    def ask() -> WorkerSettings:
        from resnet_search.workers.devices import choose_settings

        os.environ["KERAS_BACKEND"] = backend
        return choose_settings("gpu", 1, backend=backend, precision=precision)

    asked = ray.remote(**options(needs), max_retries=2)(ask).remote()
    try:
        settings: WorkerSettings = ray.get(asked)
    except ray.exceptions.RayError as error:
        raise TrainingError(f"--device: got 'gpu', which a node of the cluster cannot use: {error}") from error
    return settings


def check_node(node: Node, versions: dict[str, str], run: Path) -> None:
    """`TrainingError` if a worker that joins would train otherwise than the others, or for anyone.

    `versions`: of this machine. `run`: the folder that a node with shared storage sees.
    """
    differences = [
        f"{name} {node.versions.get(name, 'not installed')} where this machine has {version}"
        for name, version in versions.items()
        if node.versions.get(name) != version
    ]
    if differences:
        raise TrainingError(
            f"node {node.name} of the cluster has {', '.join(differences)}",
            "Install the same versions on every node, or the results would differ.",
        )
    if os.environ.get(_MODE, "token") in _SECURE and node.authentication not in _SECURE:
        raise TrainingError(
            f"node {node.name} of the cluster was started without token authentication: whoever reaches its ports can "
            "run programs there",
            f"Start the cluster with {_MODE}=token on every node; {_GUIDE}. On a network of your own alone you may do "
            f"without: {_MODE}=disabled.",
        )
    if not node.sees_storage:
        raise TrainingError(
            f"--storage: node {node.name} of the cluster does not see {run}",
            "Mount it under the same path on every node, or leave --storage out.",
        )


def options(needs: Needs) -> dict[str, Any]:
    """What Ray is asked for."""
    asked = {"num_cpus": needs["CPU"], "num_gpus": needs.get("GPU", 0.0), "memory": needs["memory"]}
    return {name: value for name, value in asked.items() if value or name != "memory"}


def alive(ray: Any) -> list[Needs]:
    """The resources of each node that is up."""
    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def admitted(nodes: list[Needs], needs: Needs) -> int:
    """How many trials that each take `needs` the nodes have room for."""
    # 1e-9: four quarters of a GPU are one.
    fitting = [min(int(node.get(name, 0.0) / need + 1e-9) for name, need in needs.items() if need) for node in nodes]
    return sum(fitting)
