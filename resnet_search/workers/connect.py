"""The way to a Ray cluster: its token, what it admits, and what each error means to who started the search."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, contextmanager, nullcontext
from dataclasses import asdict, replace
from importlib.util import find_spec
from typing import Any, Final

from resnet_search.errors import TrainingError, UsageError, UserError
from resnet_search.workers.cluster import AUTO, LOCAL, MOST_SLOTS, Cluster
from resnet_search.workers.local import WorkerSettings
from resnet_search.workers.precision import AUTO as AUTO_PRECISION
from resnet_search.workers.precision import on_processor

INSTALL: Final = "pip install 'resnet-search[ray]'"
GUIDE: Final = "docs/how-to/ray.md"
MODE: Final = "RAY_AUTH_MODE"
_ADDRESS: Final = "RAY_ADDRESS"
_ANSWER_SECONDS = 10.0
_GPU_SECONDS = 240.0  # until a GPU has said how it computes; one that hangs is given up before, by `probe`
# A busy machine is slow to start Ray's processes, which give up after 30 s.
_START_MILLISECONDS = "120000"

Needs = dict[str, float]


def connect(cluster: Cluster) -> Any:
    """The `ray` module, connected to the cluster; `TrainingError` says what is in the way.

    Authentication by token is set, not left to Ray's default. A Ray of this machine alone listens on the loopback
    interface, without a dashboard.
    """
    if find_spec("ray") is None:
        raise TrainingError(f"--workers: got {cluster.word!r}, but Ray is not installed", f"Install it: {INSTALL}")
    os.environ.setdefault(MODE, "token")
    address = _address(cluster)
    if address and address != AUTO:
        _answers(address)
    # Ray puts the current directory of the connecting process on the path of every worker.
    with nullcontext() if address else _alone(), chdir(sys.prefix):
        import ray

        if ray.is_initialized():
            return ray
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        with _own_signals():
            try:
                if address:
                    ray.init(address=address, **quiet)
                else:
                    # Otherwise it joins the cluster that was last started on this machine.
                    ray.init(address=LOCAL, include_dashboard=False, **quiet)
            except Exception as error:
                raise _refused(address, error) from error
    return ray


def _address(cluster: Cluster) -> str:
    """Return the address to connect to, by default that in RAY_ADDRESS; empty for this machine alone.

    As Ray has it, RAY_ADDRESS also says which cluster is meant by `auto`, and may be `local`.
    """
    named = os.environ.get(_ADDRESS, "")
    if cluster.address not in {"", AUTO} or not named:
        return cluster.address
    if named == LOCAL:
        return ""
    try:
        return Cluster(address=named).address
    except UsageError as error:
        raise TrainingError(
            f"{_ADDRESS}: got {named!r}; allowed: {LOCAL}, {AUTO} or HOST:PORT, as ray start --head names it",
            f"Set it so, or unset it and say which cluster: --workers ray://HOST:6379. {GUIDE}",
        ) from error


@contextmanager
def _alone() -> Iterator[None]:
    """Environment of a private Ray cluster; restored afterwards, as a cluster started from here needs another."""
    ours = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_agent_register_timeout_ms": _START_MILLISECONDS,
        # Named after the systems where it is Ray's default: all servers listen on the loopback interface.
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
    # A name that cannot be one of a host is a ValueError, a port beyond 65535 an OverflowError.
    except (OSError, ValueError, OverflowError) as error:
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
            f"name, or set RAY_AUTH_TOKEN. {GUIDE}",
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
            f"not the one of Ray Client. {GUIDE}",
        )
    if "ersion mismatch" in str(error):
        return TrainingError(
            f"{where} has other versions: {' '.join(line.strip() for line in said)}",
            "Install the same Python and Ray on every machine.",
        )
    cure = "Look into the logs, /tmp/ray/session_latest/logs"
    if address:
        cure = f"This machine must be a node of it: ray start --address={address} --num-cpus=0, without work of its own"
    return TrainingError(f"{where} cannot be used: {said[0][:300]}", f"{cure}. {GUIDE}")


def choose_on_cluster(
    device: str, cluster: Cluster, threads: int | None, *, backend: str, precision: str = AUTO_PRECISION,
    wide: bool = False, trial_bytes: int = 0,
) -> tuple[int, WorkerSettings]:  # fmt: skip
    """How many trials the cluster takes at once now, and the settings of each worker.

    `trial_bytes`: of the largest trial, which every worker has to be ready for. How a GPU computes is asked of one.
    """
    ray = connect(cluster)
    nodes = alive(ray)
    gpus = _gpus_of_a_trial(device, cluster, nodes)
    cpus = 1.0 if cluster.cpus is None else cluster.cpus
    # No more than there is, or nothing would ever start.
    room = max((node.get("memory", 0.0) for node in nodes if node.get("GPU", 0.0) >= gpus), default=0.0)
    from resnet_search.workers.devices import BESIDE_A_GPU, FRAMEWORK_BYTES

    memory = BESIDE_A_GPU if gpus else FRAMEWORK_BYTES + trial_bytes
    needs: Needs = {"CPU": cpus, "memory": float(int(min(memory, room)) if room else memory)}
    threads = threads or max(1, int(cpus))
    if gpus:
        needs["GPU"] = gpus
        settings = replace(_ask_a_gpu(ray, needs, backend, precision), threads=threads)
    else:
        chosen = on_processor(precision, backend, wide=wide, elsewhere=bool(_address(cluster)))
        settings = WorkerSettings(threads=threads, precision=chosen, device="cpu", backend=backend)
    taken = asdict(replace(cluster, cpus=cpus, gpus=gpus)) | {"needs": needs}
    return min(MOST_SLOTS, max(1, admitted(nodes, needs))), replace(settings, cluster=taken)


def _gpus_of_a_trial(device: str, cluster: Cluster, nodes: list[Needs]) -> float:
    there = any(node.get("GPU", 0) > 0 for node in nodes)
    if device == "cpu" and cluster.gpus:
        raise UsageError(f"--gpus-per-trial: got {cluster.gpus} with --device cpu")
    if device == "gpu" and cluster.gpus == 0:
        raise UsageError("--device: got 'gpu' with --gpus-per-trial 0")
    if device == "gpu" and not there:
        raise TrainingError("--device: got 'gpu', but no node of the cluster has one", "Use --device cpu, or auto.")
    if cluster.gpus is not None:
        return cluster.gpus
    return 1.0 if device != "cpu" and there else 0.0


def _ask_a_gpu(ray: Any, needs: Needs, backend: str, precision: str) -> WorkerSettings:
    """How trials compute on a GPU of the cluster: alike on all, so that any GPU gives the same result."""
    if not admitted(alive(ray), needs):
        raise TrainingError(
            f"no node of the cluster has what a trial takes: {worded(needs)}",
            "Ask for less, --cpus-per-trial and --gpus-per-trial, or start a node that has it.",
        )

    def ask() -> WorkerSettings:
        from resnet_search.workers.devices import choose_settings

        os.environ["KERAS_BACKEND"] = backend
        return choose_settings("gpu", 1, backend=backend, precision=precision)

    asked = ray.remote(**options(needs), max_retries=2)(ask).remote()
    # In another thread: in one that waits in Ray, what the handler of a signal raises becomes a SystemError.
    with ThreadPoolExecutor(1) as waiter:
        try:
            settings: WorkerSettings = waiter.submit(ray.get, asked, timeout=_GPU_SECONDS).result()
        except ray.exceptions.GetTimeoutError as error:
            raise TrainingError(
                f"--device: no GPU of the cluster was free within {_GPU_SECONDS:.0f} s",
                "See who has them, ray status, and wait for that to end; or train on processors: --device cpu",
            ) from error
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, UserError):
                raise TrainingError(f"on a node of the cluster: {cause.message}", cause.cure) from error
            raise TrainingError(
                f"--device: got 'gpu', which a node of the cluster cannot use: {last_line(str(error))}",
                "See the logs on the nodes, /tmp/ray/session_latest/logs, or train on processors: --device cpu",
            ) from error
        finally:
            ray.cancel(asked, force=True)  # In any state: the thread waits no longer.
    return settings


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


def worded(needs: Needs) -> str:
    """What a trial takes, for a message."""
    return ", ".join(
        f"{need / 1e9:.1f} GB of memory" if name == "memory" else f"{need:g} {name}"
        for name, need in needs.items()
        if need
    )


def last_line(text: str) -> str:
    """Of an error with a traceback, what it says."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message")[:300]
