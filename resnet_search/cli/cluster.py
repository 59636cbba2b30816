"""Options for a Ray cluster, and the values of --workers that name one."""

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
    """A cluster, for a command that trains with one worker."""

    name = "ray"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Cluster:
        del param, ctx
        return value if isinstance(value, Cluster) else Cluster.from_word(str(value))


class Part(ParamType):
    """A number of processors or GPUs; fractions are allowed."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if not _PART.fullmatch(str(value)):
            self.fail(f"got {str(value)!r}; allowed: a number such as 0.25", param, ctx)
        return float(value)


def cluster_options(function: Function) -> Function:
    """Add the options for a trial's share of a Ray cluster; `take_cluster` makes them part of --workers."""
    for option in (
        click.option("--storage", type=FolderPath(), metavar="DIR",
                     help="With --workers ray: shared folder, at the same path on every node; must contain --runs-dir. "
                     "Workers then read and write there.  [default: files travel through Ray]"),
        click.option("--gpus-per-trial", type=Part(), metavar="N",
                     help="With --workers ray: GPUs for each trial, 1 or a fraction.  [default: 1 if the cluster has "
                     "GPUs, else 0]"),
        click.option("--cpus-per-trial", type=Part(), metavar="N",
                     help="With --workers ray: processors for each trial.  [default: 1]"),
    ):  # fmt: skip
        function = option(function)
    return function


def on_cluster_option(function: Function) -> Function:
    """Add --workers for a command that trains one network."""
    return click.option("--workers", type=OfCluster(), metavar="ray[://ADDRESS]",
                        help="Train on a Ray cluster.  [default: on this machine]")(function)  # fmt: skip


def take_cluster(session: Session, options: dict[str, Any], runs_dir: Path) -> None:
    """Move the cluster options into --workers; refuse them without a cluster."""
    workers = options["workers"]
    given = {key: options.pop(key) for key in _OPTIONS}
    given = {key: value for key, value in given.items() if value is not None}
    if not isinstance(workers, Cluster):
        if given:
            option = next(iter(given)).replace("_", "-")
            raise UsageError(f"--{option} only applies with --workers ray or ray://HOST:PORT")
        return
    storage = given.pop("storage", None)
    if storage is not None and not runs_dir.resolve().is_relative_to(storage.resolve()):
        raise UsageError(
            f"--storage: got {str(storage)!r}, which does not contain --runs-dir {str(runs_dir)!r}",
            f"Keep the runs in it: --runs-dir {storage / 'runs'}",
        )
    values = {_OPTIONS[key]: value for key, value in given.items()}
    options["workers"] = replace(workers, **values, storage="" if storage is None else str(storage.resolve()))
    session.workers = again(workers)


def again(cluster: Cluster) -> str:
    """Return the option to repeat when a run on a cluster is continued: its folder does not supply the address."""
    return f" --workers {cluster.word}" if cluster.address else ""
