"""A node of a Ray cluster as a worker there describes it, and what it must have for a search to train on it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from resnet_search.errors import TrainingError
from resnet_search.networks.precision import WIDE
from resnet_search.workers.connect import GUIDE, MODE
from resnet_search.workers.precision import BFLOAT16

_SECURE = frozenset({"token", "k8s"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What a worker says of itself as it joins. `bfloat16`: whether the processor has instructions for it."""

    name: str
    versions: dict[str, str]
    authentication: str
    sees_storage: bool
    bfloat16: bool


def worker_versions(backend: str) -> dict[str, str]:
    """The versions that driver and workers must have in common for the same result; Python's without its patch."""
    major, minor, _ = platform.python_version_tuple()
    found = {"python": f"{major}.{minor}"}
    for package in ("resnet-search", "keras", backend, "ray"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def check_node(node: Node, versions: dict[str, str], run: Path, precision: str) -> None:
    """`TrainingError` if a worker that joins would train otherwise than the others, or for anyone.

    `versions`: of this machine. `run`: the folder that a node with shared storage sees. `precision`: of the search.
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
    if os.environ.get(MODE, "token") in _SECURE and node.authentication not in _SECURE:
        raise TrainingError(
            f"node {node.name} of the cluster was started without token authentication: anyone reaching its ports can "
            "run programs there",
            f"Start the cluster with {MODE}=token on every node; {GUIDE}. On a network of your own alone you may do "
            f"without: {MODE}=disabled.",
        )
    if not node.sees_storage:
        raise TrainingError(
            f"--storage: node {node.name} of the cluster does not see {run}",
            "Mount it under the same path on every node, or leave --storage out.",
        )
    if precision == WIDE and not node.bfloat16:
        raise TrainingError(
            f"--precision: got {BFLOAT16!r}, but the processor of node {node.name} of the cluster has no instructions "
            "for it",
            "Start with --precision float32, or without that node; a run keeps the precision that it started with.",
        )
