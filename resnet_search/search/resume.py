"""What a resumed run may do otherwise than before: other workers, and a longer plan.

What makes a run what it is, its space, its data and its seed, cannot be changed; `cli.changes` refuses that.
"""

from __future__ import annotations

import math
import os
import shlex
from dataclasses import asdict, dataclass, replace
from typing import Any

from resnet_search.errors import RunError, TrainingError
from resnet_search.networks.precision import FLOAT32
from resnet_search.runs.trials import RunView
from resnet_search.search.known import known_candidates
from resnet_search.search.memory import largest_trial
from resnet_search.spaces.brackets import Bracket, Rung
from resnet_search.spaces.plan import brackets_from, make_plan
from resnet_search.spaces.space import SearchSpace
from resnet_search.workers.cluster import AUTO, Cluster
from resnet_search.workers.devices import choose_workers
from resnet_search.workers.precision import BFLOAT16


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeSettings:
    """What is to be different from now on; None: as it was.

    `workers`, `threads`, `device` and `hang_timeout` as in `SearchSettings`. `add_iterations`: so many more times all
    brackets are gone through, with fresh draws. `add_epochs`: the best in `factor` of a finished search train so much
    longer, and the ranking is of those.
    """

    workers: int | Cluster | None = None
    threads: int | None = None
    device: str | None = None
    hang_timeout: float | None = None
    add_iterations: int = 0
    add_epochs: int = 0

    @property
    def extends(self) -> bool:
        return bool(self.add_iterations or self.add_epochs)


def changed_workers(content: dict[str, Any], settings: ResumeSettings) -> dict[str, Any]:
    """The workers of a run as they are from now on: what run.json says, with what is given in its place.

    `RunError` if they were on a cluster elsewhere that nobody has named here: who connects to a Ray cluster runs what
    its machines send, and a run's folder may come from anyone. `TrainingError` if they cannot compute in the precision
    that they had, in which all scores of the run so far are.
    """
    before = dict(content["workers"])
    cluster = Cluster.from_dict(before["cluster"]) if before.get("cluster") else None
    if settings.workers is None and cluster is not None and not _is_known(cluster):
        raise RunError(
            f"--workers: missing; the run trained on {cluster.word}, and the word of a file is no reason to connect",
            f"Name it: --workers {cluster.word}. Or another one, or --workers 2 for this machine.",
        )
    if settings.hang_timeout is not None:
        before["hang_timeout"] = settings.hang_timeout
    if settings.workers is None and settings.device is None and cluster is not None:
        return {**before, "threads": settings.threads or int(before["threads"])}
    workers, threads = _asked(before, cluster, settings)
    had = str(before.get("precision", FLOAT32))
    # Of this machine as it is now: a GPU that it has lost is an error, and a part of one depends on how large it is.
    slots, chosen = choose_workers(
        settings.device or str(before["device"]),
        workers,
        threads,
        precision=FLOAT32 if had == FLOAT32 else BFLOAT16,
        backend=content.get("backend", "tensorflow"),
        trial_bytes=largest_trial(content) if isinstance(workers, Cluster) else 0,
    )
    if chosen.precision != had:
        raise TrainingError(
            f"--device: got {chosen.device!r}, it would compute in {chosen.precision}; the run's scores are of {had}",
            "Go on where that can be had, or start anew there; --precision float32 can be had anywhere.",
        )
    return {**before, "slots": slots, **{k: v for k, v in asdict(chosen).items() if k not in _OF_THE_RUN}}


def _asked(
    before: dict[str, Any], cluster: Cluster | None, settings: ResumeSettings
) -> tuple[int | Cluster, int | None]:
    """Workers and threads: as they are given, and for the rest as they were."""
    # What a run stores of GPUs is what was chosen for its device.
    workers = settings.workers or (cluster and replace(cluster, gpus=None)) or int(before["slots"])
    threads: int | None = settings.threads or int(before["threads"])
    if not isinstance(workers, Cluster):
        return workers, threads
    was = cluster or Cluster()
    if workers.cpus not in {None, was.cpus}:
        threads = settings.threads  # None: as many as a trial has processors now.
    keeps_gpus = workers.gpus is None and settings.device in {None, before["device"]}
    merged = replace(
        workers,
        cpus=was.cpus if workers.cpus is None else workers.cpus,
        gpus=was.gpus if keeps_gpus else workers.gpus,
        storage=workers.storage or (was.storage if workers.address == was.address else ""),
    )
    return merged, threads


def _is_known(cluster: Cluster) -> bool:
    return cluster.address in {"", AUTO, os.environ.get("RAY_ADDRESS", "")}


# Settings of workers that no choice of a device touches.
_OF_THE_RUN = ("hang_timeout", "backend")


def extension(view: RunView, settings: ResumeSettings) -> dict[str, Any]:
    """The fields of the event that extends a run; `RunError` if it cannot be extended so.

    New iterations come first, on the epochs that the run had; what trains longer is chosen when they are done, and
    so in a command of its own.
    """
    if view.content.get("imported"):
        raise RunError(
            f"RUN: got {view.folder.name!r}, which was imported from Keras Tuner, without weights to go on from",
            f"Search the same choices here: resnet-search run --space "
            f"{shlex.quote(str(view.folder.path / view.folder.name))}.toml",
        )
    if view.content["space"].get("method") == "grid" and settings.add_iterations:
        raise RunError(
            f"--add-iterations: got {settings.add_iterations}, but {view.folder.name} trains every network once",
            "Nothing is left to draw. --add-epochs trains the best ones longer.",
        )
    if settings.add_iterations and settings.add_epochs:
        raise RunError(
            "--add-epochs: got it beside --add-iterations; allowed: one of them at a time",
            "Add the iterations first; what is best after them is then trained longer.",
        )
    space = SearchSpace.from_dict(view.content["space"])
    brackets = brackets_from(view.content["plan"])
    following = max((bracket.iteration for bracket in brackets), default=-1) + 1
    if settings.add_iterations:
        return _more_iterations(view, space, brackets, following, settings.add_iterations)
    return _more_epochs(view, space, brackets, following, settings.add_epochs)


def _more_iterations(
    view: RunView, space: SearchSpace, brackets: tuple[Bracket, ...], following: int, number: int
) -> dict[str, Any]:
    data = view.content["data"]
    before = space.hyperband.iterations
    space.with_settings(iterations=before + number)  # Says so if that is more than is allowed.
    once = make_plan(space.with_settings(iterations=number), tuple(data["image_shape"]), len(data["classes"])).brackets
    added = tuple(replace(bracket, iteration=bracket.iteration + following) for bracket in once)
    return {
        "plan": [asdict(bracket) for bracket in (*brackets, *added)],
        "hyperband": {"iterations": before + number},
        "horizon": view.content["horizon"],
        "known": None,
    }


def _more_epochs(
    view: RunView, space: SearchSpace, brackets: tuple[Bracket, ...], following: int, number: int
) -> dict[str, Any]:
    ranking = view.ranking()
    if view.state != "finished" or not ranking:
        raise RunError(
            f"--add-epochs: got {number}, but {view.folder.name} is {view.state}; allowed: once it is finished",
            f"Finish it first: resnet-search resume {view.folder.word}",
        )
    before = view.max_epochs
    longer = space.with_settings(max_epochs=before + number)  # Says so if that is more than is allowed.
    kept = math.ceil(len(ranking) / space.hyperband.factor)
    bracket = Bracket(
        following,
        1,
        0,
        # Nothing is trained in the first rung: its scores are known.
        (Rung(0, len(ranking), before, before), Rung(1, kept, before, longer.hyperband.max_epochs)),
    )
    return {
        "plan": [asdict(one) for one in (*brackets, bracket)],
        "hyperband": {"max_epochs": longer.hyperband.max_epochs},
        "horizon": longer.hyperband.max_epochs,
        "known": known_candidates(bracket, [(trial.architecture, trial.recipe, trial.repeat) for trial in ranking]),
    }
