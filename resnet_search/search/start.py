"""Start a run, and go on with one: data, plan and settings into a folder, then the search in it."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_search.errors import RunError, UsageError
from resnet_search.files import append_line
from resnet_search.runs.events import append_event, make_event
from resnet_search.runs.folder import DATA_FOLDER, RunFolder, check_name, create_run, default_name, name_taken
from resnet_search.runs.trials import RunView, read_run
from resnet_search.search.known import baselines_of, with_baselines
from resnet_search.search.pretrained import sources_of_run, sources_of_space
from resnet_search.search.resume import ResumeSettings, changed_workers, extension
from resnet_search.spaces.plan import brackets_from, make_plan
from resnet_search.spaces.schema import DATA_NAMES
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.arrays import Arrays, channel_statistics, whole, write_arrays
from resnet_search.training.datasets import fingerprint, load_data, split
from resnet_search.training.recipe import RECIPES
from resnet_search.training.weights import provide
from resnet_search.workers.devices import choose_workers, keras_backend
from resnet_search.workers.local import HANG_TIMEOUT, LocalWorkers, WorkerSettings
from resnet_search.workers.quiet import quiet_stderr

if TYPE_CHECKING:
    from resnet_search.search.budget import Budget
    from resnet_search.search.loop import Observer

# Every parallel worker holds its own TensorFlow: more than this on one machine is a typing error.
MAX_WORKERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """What a run is started with beside its space.

    `train_examples`: search on this many training images, None for all. `workers`: trials at once, None to choose: one
    on a GPU, else as many as the processors and the memory allow. `threads`: of each worker, None to divide the
    processors. `device`: auto, cpu or gpu. `hang_timeout`: a worker that finishes no step for so long, in seconds, is
    replaced. `baselines`: presets that are trained to the end first, to hold what is found against.
    """

    runs_dir: Path = Path("runs")
    name: str | None = None
    seed: int = 0
    data_dir: Path | None = None
    train_examples: int | None = None
    workers: int | None = None
    threads: int | None = None
    device: str = "auto"
    hang_timeout: float = HANG_TIMEOUT
    baselines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name is not None:
            check_name(self.name)
        _check("--seed", self.seed, 0, 2**31 - 1)
        if self.workers is not None:
            _check("--workers", self.workers, 1, MAX_WORKERS)
        if self.threads is not None:
            _check("--threads", self.threads, 1, 1024)
        if self.train_examples is not None:
            _check("--train-examples", self.train_examples, 1, 10**9)
        if self.device not in {"auto", "cpu", "gpu"}:
            raise UsageError(f"--device: got {self.device!r}; allowed: auto, cpu, gpu")
        if not 0 < self.hang_timeout < float("inf"):
            raise UsageError(f"--hang-timeout: got {self.hang_timeout!r}; allowed: seconds, above 0")


def _check(option: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"{option}: got {value!r}; allowed: integers from {low} to {high}")


def run_search(
    space: SearchSpace, settings: SearchSettings, observers: Sequence[Observer] = (), *, budget: Budget | None = None
) -> RunView:
    """Start a run and search to its end; what it found. Ctrl-C leaves a run that `resume` goes on with.

    So does a `budget`, in order: without an error, once what trains has come to the end of its trial or epoch. Nothing
    is written before the space, the data and the device are known to do. Raises `UserError`s.
    """
    # An error in the space comes before the time that the images take.
    sources = sources_of_space(space, make_plan(space))
    baselines = baselines_of(settings.baselines)
    name = settings.name or default_name(space.name, settings.runs_dir)
    if (settings.runs_dir / name).exists():
        raise name_taken(settings.runs_dir, name)
    space = with_absolute_source(space)
    provide(sources)
    with quiet_stderr():
        arrays, description = read_data(space, settings.data_dir, settings.seed, settings.train_examples)
        slots, workers = choose_workers(settings.device, settings.workers, settings.threads)
        workers = replace(workers, hang_timeout=settings.hang_timeout)
        backend = keras_backend()
    write_arrays(settings.runs_dir / DATA_FOLDER / description["arrays"], arrays)
    shape = tuple(description["image_shape"])
    plan = make_plan(space, shape, len(description["classes"]))
    brackets, known = with_baselines(plan.brackets, baselines, space.hyperband.max_epochs)
    content = {
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "space": space.to_dict(),
        "recipe": {**RECIPES[space.recipe["name"]].to_dict(), **space.fixed_recipe},
        "horizon": space.hyperband.max_epochs,
        "plan": [asdict(bracket) for bracket in brackets],
        "known": known,
        "feasible": plan.feasible.to_dict(),
        "data": description,
        "seed": settings.seed,
        "workers": {"slots": slots, **asdict(workers)},
        "backend": backend,
        "versions": versions(),
        "machine": {"host": socket.gethostname(), "processors": os.cpu_count(), "system": platform.platform()},
        "command": sys.argv,
    }
    folder = create_run(settings.runs_dir, name, content)
    return _drive(folder, "started", observers, budget, ResumeSettings())


def resume_run(
    folder: RunFolder,
    observers: Sequence[Observer] = (),
    *,
    settings: ResumeSettings | None = None,
    budget: Budget | None = None,
) -> RunView:
    """Go on with a run from its folder; returns at once what a finished one found, unless `settings` extend it."""
    return _drive(folder, "resumed", observers, budget, settings or ResumeSettings())


def read_data(
    space: SearchSpace, data_dir: Path | None, seed: int, train_examples: int | None
) -> tuple[Arrays, dict[str, Any]]:
    """Load the images of a space and split them; with them what run.json says of them.

    The test images are counted, and nothing else.
    """
    data = load_data(space.data.source, data_dir=data_dir, image_size=space.data.image_size)
    validation = space.data.validation
    if train_examples is not None:
        validation = _subset_validation(validation, len(data.x_train), train_examples)
    parts = split(data, validation=validation, seed=seed, train_examples=train_examples)
    x_train = data.x_train[parts.train_index]
    mean, std = channel_statistics(x_train)
    arrays = Arrays(
        x_train,
        data.y_train[parts.train_index],
        data.x_train[parts.validation_index],
        data.y_train[parts.validation_index],
        data.classes,
        mean,
        std,
    )
    digest = fingerprint(data)
    key = f"{digest[:16]}-{len(parts.train_index)}-{len(parts.validation_index)}-{seed}"
    return arrays, {
        "source": space.data.source,
        "location": data.location,
        "data_dir": None if data_dir is None else str(data_dir.resolve()),
        "fingerprint": digest,
        "arrays": key,
        "train": len(parts.train_index),
        "train_examples": train_examples,
        "validation": len(parts.validation_index),
        "test": len(data.x_test),
        "image_shape": list(arrays.image_shape),
        "classes": list(data.classes),
        "mean": list(mean),
        "std": list(std),
        "notes": list(data.notes),
    }


def _subset_validation(validation: float, images: int, train_examples: int) -> float:
    """A search on a part of the images validates on a part too: a quarter as many, but 1,000 if there are."""
    planned = round(validation * images) if isinstance(validation, float) else int(validation)
    return min(planned, max(1000, train_examples // 4))


def _drive(
    folder: RunFolder, event: str, observers: Sequence[Observer], budget: Budget | None, settings: ResumeSettings
) -> RunView:
    with folder.lock():
        view = read_run(folder, locked=False)
        if view.state == "finished" and not settings.extends:
            return view
        space = SearchSpace.from_dict(view.content["space"], where=str(folder.path / "run.json"))
        data = arrays_of(folder, view.content, space)
        with quiet_stderr():
            workers = changed_workers(view.content, settings)
        events = [make_event(event, process=os.getpid(), host=socket.gethostname(), workers=workers)]
        if settings.extends:
            events.append(make_event("extended", **extension(view, settings)))
        for line in events:
            append_line(folder.events, line)
            view.apply(line)
        content, space = view.content, SearchSpace.from_dict(view.content["space"])
        if event == "resumed":
            provide(sources_of_run(view, space))
        # Only now, since it imports the training backend.
        with quiet_stderr():
            from resnet_search.search.loop import SearchLoop
            from resnet_search.search.oracle import HyperbandOracle

            oracle = HyperbandOracle(space, view, brackets_from(content["plan"]), content["seed"])
        view.state = "running"
        for line in events:
            for observer in observers:
                observer(line, view)
        # A copy: the event holds the others.
        each = {key: value for key, value in workers.items() if key != "slots"}
        pool = LocalWorkers(workers["slots"], WorkerSettings(**each), folder.worker_log)
        try:
            SearchLoop(view, oracle, pool, data=str(data), observers=observers, budget=budget).run()
        except BaseException as error:
            pool.close()
            with suppress(OSError):  # The disk may be what is wrong.
                append_event(folder.events, "interrupted", reason=type(error).__name__)
            raise
        finally:
            pool.close()
    return read_run(folder)


def arrays_of(folder: RunFolder, content: dict[str, Any], space: SearchSpace) -> Path:
    """The arrays of a run; made anew from its source where they are gone, `RunError` if that gives others."""
    described = content["data"]
    path = folder.arrays(content)
    if whole(path):
        return path
    data_dir = described["data_dir"]
    with quiet_stderr():
        arrays, again = read_data(
            space,
            None if data_dir is None else Path(data_dir),
            content["seed"],
            described["train_examples"],
        )
    if again["fingerprint"] != described["fingerprint"]:
        raise RunError(
            f"{folder.name}: its images, {described['location'] or described['source']}, are not those it started with",
            "Bring the original images back, or start a new run.",
        )
    write_arrays(path, arrays)
    return path


def versions() -> dict[str, str]:
    """The versions of everything that a result depends on."""
    packages = ("resnet-search", "keras", "keras-tuner", "tensorflow", "numpy")
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def with_absolute_source(space: SearchSpace) -> SearchSpace:
    """A path means the same when the run is resumed from another folder."""
    source = absolute_source(space.data.source)
    return space if source == space.data.source else space.with_settings(source=source)


def absolute_source(source: str) -> str:
    """The source of images, a path of which does not depend on the folder that this process was started in."""
    if source in DATA_NAMES or source.startswith("tfds:"):
        return source
    try:
        path = Path(source).expanduser()
    except RuntimeError:  # The home of a user that does not exist: `load_data` says that nothing is there.
        path = Path(source)
    return str(path.absolute())
