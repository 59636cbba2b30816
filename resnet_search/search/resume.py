"""What may change when a run is resumed: its workers and the length of its plan.

Settings that define the run, its space, data and seed, cannot be changed; `cli.changes` refuses that.
"""

from __future__ import annotations

import math
import os
import shlex
from dataclasses import asdict, dataclass, replace
from typing import Any

from resnet_search.errors import RunError, TrainingError
from resnet_search.networks.precision import FLOAT32
from resnet_search.runs.trial import FAILED, SKIPPED
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
    """What changes from now on; None: as before.

    `workers`, `threads`, `device` and `hang_timeout` as in `SearchSettings`. `add_iterations`: repeat all brackets so
    many more times, with new draws. `add_epochs`: train the best of a finished search, one in `factor`, for so many
    more epochs and rank those. `retry_failed`: train failed trials again.
    """

    workers: int | Cluster | None = None
    threads: int | None = None
    device: str | None = None
    hang_timeout: float | None = None
    add_iterations: int = 0
    add_epochs: int = 0
    retry_failed: bool = False

    @property
    def extends(self) -> bool:
        return bool(self.add_iterations or self.add_epochs)


def changed_workers(content: dict[str, Any], settings: ResumeSettings) -> dict[str, Any]:
    """Return the workers of a run from now on: those of run.json, with the given settings replaced.

    `RunError` if they were on a remote cluster that the user did not name: connecting to a Ray cluster runs code from
    its machines, and a run's folder may come from anyone. `TrainingError` if they cannot compute in the precision of
    the run's scores so far.
    """
    before = dict(content["workers"])
    cluster = Cluster.from_dict(before["cluster"]) if before.get("cluster") else None
    if settings.workers is None and cluster is not None and not _is_known(cluster):
        raise RunError(
            f"--workers is required: this run was trained on {cluster.word}, and its folder may come from anyone",
            f"Repeat --workers {cluster.word} to connect to it again, name another cluster, or use this machine with "
            "--workers 2.",
        )
    if settings.hang_timeout is not None:
        before["hang_timeout"] = settings.hang_timeout
    if settings.workers is None and settings.device is None and cluster is not None:
        return {**before, "threads": settings.threads or int(before["threads"])}
    workers, threads = _asked(before, cluster, settings)
    had = str(before.get("precision", FLOAT32))
    # Chosen again for this machine: a GPU may be gone, and the share of a GPU depends on its memory.
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
            f"--device: got {chosen.device!r}, which computes in {chosen.precision}; the run's scores are in {had}",
            "Resume on a device that supports that precision, or start a new run; --precision float32 works anywhere.",
        )
    return {**before, "slots": slots, **{k: v for k, v in asdict(chosen).items() if k not in _OF_THE_RUN}}


def _asked(
    before: dict[str, Any], cluster: Cluster | None, settings: ResumeSettings
) -> tuple[int | Cluster, int | None]:
    """Return workers and threads as given, or else as before."""
    # A run stores the GPUs that were chosen for its device.
    workers = settings.workers or (cluster and replace(cluster, gpus=None)) or int(before["slots"])
    threads: int | None = settings.threads or int(before["threads"])
    if not isinstance(workers, Cluster):
        return workers, threads
    was = cluster or Cluster()
    if workers.cpus not in {None, was.cpus}:
        threads = settings.threads  # None: one for each processor of a trial
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


# Settings of workers that do not depend on the device.
_OF_THE_RUN = ("hang_timeout", "backend", "deterministic")


def to_retry(view: RunView) -> list[str]:
    """Return the failed trials that can be tried again: not those that were skipped, and none of an ended search."""
    return [
        trial.trial
        for trial in view.trials.values()
        if trial.status == FAILED and trial.reason != SKIPPED and (trial.iteration, trial.bracket) not in view.closed
    ]


def extension(view: RunView, settings: ResumeSettings) -> dict[str, Any]:
    """Return the fields of the event that extends a run; `RunError` if it cannot be extended so.

    New iterations train for the epochs that the run had; which candidates train longer is decided after them, in
    another command.
    """
    if view.content.get("imported"):
        raise RunError(
            f"RUN: got {view.folder.name!r}, which was imported from Keras Tuner and has no weights to continue from",
            f"Search the same choices here: resnet-search run --space "
            f"{shlex.quote(str(view.folder.path / view.folder.name))}.toml",
        )
    if view.content["space"].get("method") == "grid" and settings.add_iterations:
        raise RunError(
            f"--add-iterations: got {settings.add_iterations}, but the grid {view.folder.name} has no draws left",
            "Use --add-epochs to train the best ones longer.",
        )
    if view.content.get("stage") and settings.add_iterations:
        raise RunError(
            f"--add-iterations: got {settings.add_iterations}, but the search of {view.folder.name} ended when its "
            "final training started",
            "Start a new run with a larger --iterations.",
        )
    if settings.add_iterations and settings.add_epochs:
        raise RunError(
            "--add-epochs and --add-iterations cannot be combined",
            "Add the iterations first; then train the best candidates longer.",
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
    space.with_settings(iterations=before + number)  # Raises if that is too many.
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
            f"--add-epochs: got {number}, but {view.folder.name} is {view.state}; allowed: a finished run",
            f"Finish it first: resnet-search resume {view.folder.word}",
        )
    before = view.max_epochs
    final = None if space.hyperband.final_epochs is None else before + number
    longer = space.with_settings(max_epochs=before + number, final_epochs=final)  # Raises if that is too many.
    kept = math.ceil(len(ranking) / space.hyperband.factor)
    bracket = Bracket(
        following,
        1,
        0,
        # The scores of the first rung are known; it trains nothing.
        (Rung(0, len(ranking), before, before), Rung(1, kept, before, longer.hyperband.max_epochs)),
    )
    return {
        "plan": [asdict(one) for one in (*brackets, bracket)],
        "hyperband": {"max_epochs": before + number, **({} if final is None else {"final_epochs": final})},
        "horizon": longer.hyperband.max_epochs,
        "known": known_candidates(bracket, [(trial.architecture, trial.recipe, trial.repeat) for trial in ranking]),
    }
