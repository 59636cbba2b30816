"""Options about a Ray cluster, and the word of --workers that names one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from resnet_search.cli.options import FolderPath, Function, ParamType
from resnet_search.cli.session import Session
from resnet_search.errors import UsageError
from resnet_search.workers.cluster import Cluster

_PART = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?", re.ASCII)
_OPTIONS = {"cpus_per_trial": "cpus", "gpus_per_trial": "gpus", "storage": "storage"}


class OfCluster(ParamType):
    """A cluster, for what is not divided over several workers."""

    name = "ray"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Cluster:
        del param, ctx
        return value if isinstance(value, Cluster) else Cluster.from_word(str(value))


class Part(ParamType):
    """A number of processors or GPUs, which need not be whole."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if not _PART.fullmatch(str(value)):
            self.fail(f"got {str(value)!r}; allowed: a number such as 0.25", param, ctx)
        return float(value)


def cluster_options(function: Function) -> Function:
    """What a trial takes of a Ray cluster; `take_cluster` makes them part of --workers."""
    for option in (
        click.option("--storage", type=FolderPath(), metavar="DIR",
                     help="With --workers ray: a folder that every node sees under this path, and that --runs-dir lies "
                     "in. Workers then read and write there.  [default: files travel through Ray]"),
        click.option("--gpus-per-trial", type=Part(), metavar="N",
                     help="With --workers ray: 1, or the part of a GPU that each trial takes.  [default: 1 where the "
                     "cluster has GPUs, else 0]"),
        click.option("--cpus-per-trial", type=Part(), metavar="N",
                     help="With --workers ray: processors that each trial takes.  [default: 1]"),
    ):  # fmt: skip
        function = option(function)
    return function


def on_cluster_option(function: Function) -> Function:
    """--workers of a command that trains one network."""
    return click.option("--workers", type=OfCluster(), metavar="ray[://ADDRESS]",
                        help="Train on a Ray cluster.  [default: on this machine]")(function)  # fmt: skip


def take_cluster(session: Session, options: dict[str, Any], runs_dir: Path) -> None:
    """Make what the options say of a cluster part of --workers; it is refused without a cluster."""
    workers = options["workers"]
    given = {key: options.pop(key) for key in _OPTIONS}
    given = {key: value for key, value in given.items() if value is not None}
    if not isinstance(workers, Cluster):
        if given:
            option = next(iter(given)).replace("_", "-")
            raise UsageError(f"--{option}: is of a cluster; allowed: beside --workers ray or ray://HOST:PORT")
        return
    storage = given.pop("storage", None)
    if storage is not None and not runs_dir.resolve().is_relative_to(storage.resolve()):
        raise UsageError(
            f"--storage: got {str(storage)!r}, in which --runs-dir {str(runs_dir)!r} does not lie",
            f"Put the runs there too: --runs-dir {storage / 'runs'}",
        )
    values = {_OPTIONS[key]: value for key, value in given.items()}
    options["workers"] = replace(workers, **values, storage="" if storage is None else str(storage.resolve()))
    session.workers = again(workers)


def again(cluster: Cluster) -> str:
    """What has to be said to go on with a run on a cluster, since no address is taken from the run's folder."""
    return f" --workers {cluster.word}" if cluster.address else ""
