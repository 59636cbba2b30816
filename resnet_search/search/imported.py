"""Import a Keras Tuner project as a finished run, which can be read, compared and confirmed.

Its weights are not imported. They belong to a model of the project's own `build`, which may differ from the network
with the same axes here, and Keras Tuner keeps those of the best epoch without the state to continue training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from resnet_search.errors import RunError, UsageError
from resnet_search.files import (
    make_folder,
    replacing_folder,
    write_bytes,
    write_json,
    write_lines,
    write_text,
)
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import Complexity, complexity
from resnet_search.reading import read_bytes
from resnet_search.runs.events import Event
from resnet_search.runs.folder import (
    DATA_FOLDER,
    EVENTS,
    FORMAT,
    RUN_JSON,
    RunFolder,
    check_name,
    default_name,
    name_taken,
)
from resnet_search.runs.trials import RunView, read_run
from resnet_search.search.images import absolute_source, read_data
from resnet_search.search.mapping import Told, map_names, space_of
from resnet_search.search.placing import Placed, place_trials, plan_of
from resnet_search.search.project import MOST_BYTES, Project, ProjectTrial, read_project
from resnet_search.search.start import contents_of
from resnet_search.spaces.plan import make_plan
from resnet_search.spaces.points import values_of
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.arrays import write_arrays
from resnet_search.training.job import FAILURE
from resnet_search.workers.local import WorkerSettings
from resnet_search.workers.quiet import quiet_stderr

THEIRS = "keras_tuner"  # folder in the run's with copies of the project's files


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSettings:
    """How to read a project. `told`: the meaning of its hyperparameters here.

    `epochs`: epochs of each trial if the tuner does not record them; `score`: the metric to rank trials by, an
    accuracy. The fields from `source` on describe the images, as for a search.
    """

    told: Told = field(default_factory=Told)
    epochs: int | None = None
    score: str = "val_accuracy"
    recipe: str = "search"
    source: str = "cifar10"
    validation: float | None = None
    image_size: int | None = None
    data_dir: Path | None = None
    train_examples: int | None = None
    seed: int = 0
    runs_dir: Path = Path("runs")
    name: str | None = None


def import_project(path: Path, settings: ImportSettings) -> RunView:
    """Make a finished run from a project's folder, which is not changed. Raises `UserError`s before it writes."""
    project = read_project(path)
    mapped = map_names(project, settings.told)
    epochs = _epochs(project, settings.epochs)
    name = settings.name or default_name(_word(project.path.resolve().name), settings.runs_dir)
    if (settings.runs_dir / check_name(name)).exists():
        raise name_taken(settings.runs_dir, name)
    # The run must not depend on the working directory.
    data: dict[str, Any] = {"source": absolute_source(settings.source)}
    data |= {"validation": settings.validation, "image_size": settings.image_size}
    space = space_of(project, mapped, name, recipe=settings.recipe, epochs=epochs, data=data)
    for trial in project.trials:
        _check_score(trial, settings.score)
    placed, skipped = place_trials(project, mapped, space, epochs)
    if not placed:
        reason = next(iter(skipped))
        raise RunError(
            f"{project.path}: none of its {len(project.trials)} trials has a network here: {reason}",
            "See --map and --set: resnet-search import --help",
        )
    with quiet_stderr():
        arrays, images = read_data(space, settings.data_dir, settings.seed, settings.train_examples)
    shape, classes = tuple(images["image_shape"]), len(images["classes"])
    content = {
        **contents_of(space),
        # Unknown hardware, so that time estimates ignore this run.
        "machine": {"host": "not recorded", "processors": "not recorded", "system": "by Keras Tuner"},
        "versions": {"resnet-search": contents_of(space)["versions"]["resnet-search"]},
        "plan": plan_of(placed),
        "known": [],
        "feasible": make_plan(space, shape, classes).feasible.to_dict(),
        "data": images,
        "seed": settings.seed,
        "workers": {"slots": 1, **asdict(WorkerSettings(1, device="auto"))},
        "backend": "tensorflow",
        "imported": {
            "project": str(project.path.resolve()),
            "tuner": project.tuner,
            "score": settings.score,
            "mapped": {name: target.key for name, target in mapped.by_name.items()},
            "fixed": dict(settings.told.fixed),
            "ignored": list(settings.told.ignored),
            "skipped": skipped,
        },
    }
    write_arrays(settings.runs_dir / DATA_FOLDER / images["arrays"], arrays)

    def cost(architecture: Architecture) -> Complexity:
        return complexity(architecture, shape, classes)

    final = settings.runs_dir / name
    with replacing_folder(final) as partial:
        write_json(partial / RUN_JSON, {"format": FORMAT, "name": name, **content})
        write_text(partial / f"{name}.toml", space.text)
        write_lines(partial / EVENTS, _events(placed, settings.score, cost))
        _copy(project, placed, partial)
    return read_run(RunFolder(final))


def _epochs(project: Project, given: int | None) -> int:
    """Return the full budget; `UsageError` if --epochs is missing, or contradicts the project."""
    if project.max_epochs is not None:
        if given not in {None, project.max_epochs}:
            raise UsageError(f"--epochs: got {given}; allowed: {project.max_epochs}, the project's own value")
        return project.max_epochs
    if given is None:
        raise UsageError(
            f"--epochs: missing; {project.tuner}, the tuner of {project.path}, does not record them",
            "Give the value of epochs=... in your tuner.search().",
        )
    return given


def _check_score(trial: ProjectTrial, metric: str) -> None:
    if not trial.completed:
        return
    if metric not in trial.metrics:
        names = ", ".join(sorted(trial.metrics)) or "none"
        raise UsageError(f"--score: got {metric!r}, which trial {trial.trial} does not have; allowed: {names}")
    if not 0 <= trial.metrics[metric] <= 1:
        raise UsageError(
            f"--score: got {metric!r}, which is {trial.metrics[metric]:g} in trial {trial.trial}; "
            "allowed: an accuracy between 0 and 1"
        )


def _events(placed: list[Placed], score: str, cost: Callable[[Architecture], Complexity]) -> Iterator[Event]:
    """Yield the events of such a run, in the order in which its trials were started."""
    began = min(one.theirs.ended if one.theirs.began is None else one.theirs.began for one in placed)
    yield {"event": "started", "time": round(began, 3), "process": 0, "host": "Keras Tuner"}
    for one in placed:
        # A trial without a recorded start takes no time: the search may have paused before it.
        first = one.theirs.ended if one.theirs.began is None else min(one.theirs.began, one.theirs.ended)
        counted = cost(one.architecture)
        yield {
            "event": "created", "time": round(first, 3), "trial": one.number, "candidate": one.candidate,
            "iteration": 0, "bracket": one.bracket, "rung": one.rung, "slot": one.slot, "replacement": 0,
            "promoted_from": one.parent, "parent": one.parent, "initial_epoch": one.initial_epoch,
            "epochs": one.epochs, "reused": False, "name": one.architecture.name, "depth": one.architecture.depth,
            "architecture": one.architecture.to_dict(), "recipe": one.recipe, "params": counted.trainable,
            "macs": counted.macs, "repeat": one.repeat,
        }  # fmt: skip
        end: Event = {"time": round(one.theirs.ended, 3), "trial": one.number}
        if one.theirs.completed:
            seconds = {"setup_seconds": 0.0, "train_seconds": round(one.theirs.ended - first, 3)}
            yield {"event": "completed", **end, "score": one.theirs.metrics[score], **seconds}
        else:
            yield {"event": "failed", **end, "reason": one.theirs.reason}
    ended = max(one.theirs.ended for one in placed)
    yield {"event": "finished", "time": round(ended, 3)}
    done = [one.number for one in placed if one.theirs.completed]
    # The run has no weights, so readers must not look for them.
    yield {"event": "cleaned", "time": round(ended, 3), "trials": done, "bytes": 0}


def _copy(project: Project, placed: Iterable[Placed], folder: Path) -> None:
    """Copy the project's own files, which are small: they still hold what is ignored here."""
    theirs = folder / THEIRS
    make_folder(theirs)
    for name in ("oracle.json", "tuner0.json"):
        if (project.path / name).is_file():
            write_bytes(theirs / name, read_bytes(project.path / name, MOST_BYTES), durable=False)
    for trial in project.trials:
        make_folder(theirs / trial.path.parent.name)
        write_bytes(
            theirs / trial.path.parent.name / trial.path.name, read_bytes(trial.path, MOST_BYTES), durable=False
        )
    for one in placed:
        if one.theirs.message and not one.theirs.completed:
            make_folder(folder / f"trial_{one.number}")
            write_text(folder / f"trial_{one.number}" / FAILURE, one.theirs.message.rstrip() + "\n", durable=False)


def _word(name: str) -> str:
    """Turn a folder's name into the start of a run's name."""
    word = "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "-" for char in name).strip("-_")
    return word or "project"


def best_axes(view: RunView, top: int) -> list[dict[str, Any]]:
    """Return the axes of the best architectures, each once, as `--baseline` takes them."""
    axes = SearchSpace.from_dict(view.content["space"]).axes
    found: dict[str, Mapping[str, Any]] = {}
    for trial in view.ranking():
        architecture = Architecture.from_dict(trial.architecture)
        found.setdefault(architecture.name, values_of(axes, architecture))
    return [dict(values) for values in list(found.values())[:top]]
