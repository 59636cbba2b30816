"""Start a run, and go on with one: data, plan and settings into a folder, then the search in it."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_search.errors import RunError, UsageError
from resnet_search.runs.events import append_event
from resnet_search.runs.folder import RunFolder, check_name, create_run, default_name, name_taken
from resnet_search.runs.trials import RunView, read_run
from resnet_search.spaces.plan import brackets_from, make_plan
from resnet_search.spaces.schema import DATA_NAMES
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.arrays import Arrays, channel_statistics, write_arrays
from resnet_search.training.datasets import fingerprint, load_data, split
from resnet_search.training.recipe import RECIPES
from resnet_search.workers.devices import choose_workers, keras_backend
from resnet_search.workers.local import LocalWorkers, WorkerSettings
from resnet_search.workers.quiet import quiet_stderr

if TYPE_CHECKING:
    from resnet_search.search.loop import Observer

# Every parallel worker holds its own TensorFlow: more than this on one machine is a typing error.
MAX_WORKERS = 256
# Beside the runs, shared by those of the same images.
DATA_FOLDER = ".data"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """What a run is started with beside its space.

    `train_examples`: search on this many training images, None for all. `workers`: trials at once, None to choose: one
    on a GPU, else as many as the processors and the memory allow. `threads`: of each worker, None to divide the
    processors. `device`: auto, cpu or gpu.
    """

    runs_dir: Path = Path("runs")
    name: str | None = None
    seed: int = 0
    data_dir: Path | None = None
    train_examples: int | None = None
    workers: int | None = None
    threads: int | None = None
    device: str = "auto"

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


def _check(option: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"{option}: got {value!r}; allowed: integers from {low} to {high}")


def run_search(space: SearchSpace, settings: SearchSettings, observers: Sequence[Observer] = ()) -> RunView:
    """Start a run and search to its end; what it found. Ctrl-C leaves a run that `resume` goes on with.

    Nothing is written before the space, the data and the device are known to do. Raises `UserError`s.
    """
    make_plan(space)  # An error in the space comes before the time that the images take.
    name = settings.name or default_name(space.name, settings.runs_dir)
    if (settings.runs_dir / name).exists():
        raise name_taken(settings.runs_dir, name)
    space = _with_absolute_source(space)
    with quiet_stderr():
        arrays, description = read_data(space, settings.data_dir, settings.seed, settings.train_examples)
        slots, workers = choose_workers(settings.device, settings.workers, settings.threads)
    write_arrays(settings.runs_dir / DATA_FOLDER / description["arrays"], arrays)
    shape = tuple(description["image_shape"])
    plan = make_plan(space, shape, len(description["classes"]))
    content = {
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "space": space.to_dict(),
        "recipe": {**RECIPES[space.recipe["name"]].to_dict(), **space.fixed_recipe},
        "horizon": space.hyperband.max_epochs,
        "plan": plan.to_list(),
        "feasible": {"architectures": len(plan.feasible.architectures), "excluded": plan.feasible.excluded},
        "data": description,
        "seed": settings.seed,
        "workers": {"slots": slots, **asdict(workers)},
        "backend": keras_backend(),
        "versions": versions(),
        "machine": {"host": socket.gethostname(), "processors": os.cpu_count(), "system": platform.platform()},
        "command": sys.argv,
    }
    folder = create_run(settings.runs_dir, name, content)
    return _drive(folder, "started", observers)


def resume_run(folder: RunFolder, observers: Sequence[Observer] = ()) -> RunView:
    """Go on with a run from its folder alone; returns at once what a finished one found."""
    return _drive(folder, "resumed", observers)


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


def _drive(folder: RunFolder, event: str, observers: Sequence[Observer]) -> RunView:
    with folder.lock():
        view = read_run(folder, locked=False)
        if view.state == "finished":
            return view
        content = view.content
        space = SearchSpace.from_dict(content["space"], where=str(folder.path / "run.json"))
        data = arrays_of(folder, content, space)
        # Only now, since it imports the training backend.
        with quiet_stderr():
            from resnet_search.search.loop import SearchLoop
            from resnet_search.search.oracle import HyperbandOracle

            oracle = HyperbandOracle(space, view, brackets_from(content["plan"]), content["seed"])
        line = append_event(folder.events, event, process=os.getpid(), host=socket.gethostname())
        view.apply(line)
        view.state = "running"
        for observer in observers:
            observer(line, view)
        settings = dict(content["workers"])
        workers = LocalWorkers(settings.pop("slots"), WorkerSettings(**settings), folder.worker_log)
        try:
            SearchLoop(view, oracle, workers, data=str(data), observers=observers).run()
        except BaseException as error:
            workers.close()
            with suppress(OSError):  # The disk may be what is wrong.
                append_event(folder.events, "interrupted", reason=type(error).__name__)
            raise
        finally:
            workers.close()
    return read_run(folder)


def arrays_of(folder: RunFolder, content: dict[str, Any], space: SearchSpace) -> Path:
    """The arrays of a run; made anew from its source where they are gone, `RunError` if that gives others."""
    described = content["data"]
    path = folder.path.parent / DATA_FOLDER / str(described["arrays"])
    if (path / "meta.json").is_file():
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


def _with_absolute_source(space: SearchSpace) -> SearchSpace:
    """A path means the same when the run is resumed from another folder."""
    source = space.data.source
    if source in DATA_NAMES or source.startswith("tfds:"):
        return space
    try:
        path = Path(source).expanduser()
    except RuntimeError:  # The home of a user that does not exist: `load_data` says that nothing is there.
        path = Path(source)
    return space.with_settings(source=str(path.absolute()))
