"""Start or resume a run: write data, plan and settings to a folder, then search in it."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_search.errors import UsageError
from resnet_search.files import append_line
from resnet_search.networks.precision import has_wide_blocks
from resnet_search.runs.content import MAX_WORKERS
from resnet_search.runs.energy import Meter
from resnet_search.runs.events import append_event, make_event
from resnet_search.runs.folder import DATA_FOLDER, RunFolder, check_name, create_run, default_name, name_taken
from resnet_search.runs.planned import check_drivable
from resnet_search.runs.trials import RunView, read_run
from resnet_search.search.budget import Budget
from resnet_search.search.counted import counted_images
from resnet_search.search.earlier import recorded
from resnet_search.search.final import carry_out, workers_of
from resnet_search.search.images import arrays_of, read_data, with_absolute_source
from resnet_search.search.known import baselines_of, known_networks, with_known
from resnet_search.search.memory import largest_batch, largest_trial
from resnet_search.search.pretrained import sources_of_run, sources_of_space
from resnet_search.search.resume import ResumeSettings, changed_workers, extension, to_retry
from resnet_search.search.steering import answer_requests
from resnet_search.spaces.plan import brackets_from, check_steps, make_plan
from resnet_search.spaces.schema import TRACKERS
from resnet_search.spaces.space import SearchSpace
from resnet_search.trackers.beside import Beside
from resnet_search.trackers.choice import check_installed, tracked_by
from resnet_search.training.arrays import write_arrays
from resnet_search.training.recipe import RECIPES
from resnet_search.training.weights import provide
from resnet_search.workers.backend import check_backend, keras_backend
from resnet_search.workers.cluster import Cluster
from resnet_search.workers.contract import Workers
from resnet_search.workers.devices import choose_workers
from resnet_search.workers.local import HANG_TIMEOUT, LocalWorkers, WorkerSettings
from resnet_search.workers.precision import AUTO
from resnet_search.workers.quiet import quiet_stderr

if TYPE_CHECKING:
    from resnet_search.search.loop import Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """The settings of a new run, apart from its space.

    `train_examples`: search on this many training images, None for all. `workers`: trials at once, None for as many as
    processors or GPUs and their memory allow; or a `Cluster` to train on. `threads`: of each worker, None to divide the
    processors. `device`: auto, cpu or gpu. `precision`: auto, float32 or bfloat16. `deterministic`: the same bits in
    every process on a GPU too. `hang_timeout`: seconds without a finished step after which a worker is replaced.
    `baselines`: presets to compare with, trained to the end first. `reference`: in a space with limits, also train the
    published network that fits them, and rank it. `merged`: train on the validation images too, so
    that scores are on images that were trained on. `track`: trackers that receive every candidate, None for those of
    the space. `earlier`: folders of runs whose equal trials are taken over (`search.earlier`).
    """

    runs_dir: Path = Path("runs")
    name: str | None = None
    seed: int = 0
    data_dir: Path | None = None
    train_examples: int | None = None
    workers: int | Cluster | None = None
    threads: int | None = None
    device: str = "auto"
    precision: str = AUTO
    deterministic: bool = False
    hang_timeout: float = HANG_TIMEOUT
    baselines: tuple[str, ...] = ()
    reference: bool = True
    merged: bool = False
    track: tuple[str, ...] | None = None
    earlier: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.name is not None:
            check_name(self.name)
        _check("--seed", self.seed, 0, 2**31 - 1)
        if self.workers is not None and not isinstance(self.workers, Cluster):
            _check("--workers", self.workers, 1, MAX_WORKERS)
        if self.threads is not None:
            _check("--threads", self.threads, 1, 1024)
        if self.train_examples is not None:
            _check("--train-examples", self.train_examples, 1, 10**9)
        for name in self.track or ():
            if name not in TRACKERS:
                raise UsageError(f"--track: got {name!r}; allowed: {', '.join(TRACKERS)}")
        if self.device not in {"auto", "cpu", "gpu"}:
            raise UsageError(f"--device: got {self.device!r}; allowed: auto, cpu, gpu")
        if not 0 < self.hang_timeout < float("inf"):
            raise UsageError(f"--hang-timeout: got {self.hang_timeout!r}; allowed: a number of seconds above 0")


def _check(option: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"{option}: got {value!r}; allowed: integers from {low} to {high}")


def run_search(
    space: SearchSpace, settings: SearchSettings, observers: Sequence[Observer] = (), *, budget: Budget | None = None
) -> RunView:
    """Start a run, search to its end, and return the result. Ctrl-C leaves a run that `resume` continues.

    A `budget` also stops it early, but without an error: running trials finish their trial or epoch. Nothing is written
    before the space, the data and the device are checked. Raises `UserError`s.
    """
    # Errors in the space and the installation are raised before the images are read, which takes time.
    check_backend()
    track = space.track if settings.track is None else settings.track
    check_installed(track, "--track")
    earlier = [read_run(RunFolder(path)) for path in settings.earlier]
    baselines = baselines_of(settings.baselines)
    counted = counted_images(space.data, settings.data_dir, settings.train_examples)
    plan = make_plan(space, classes=counted.planned_classes)
    sources = sources_of_space(space, plan, (baseline.architecture for baseline in baselines))
    name = settings.name or default_name(space.name, settings.runs_dir)
    if (settings.runs_dir / name).exists():
        raise name_taken(settings.runs_dir, name)
    space = with_absolute_source(space)
    provide(sources)
    with quiet_stderr():
        arrays, description = read_data(
            space, settings.data_dir, settings.seed, settings.train_examples, merged=settings.merged
        )
        backend = keras_backend()
        plan = make_plan(space, tuple(description["image_shape"]), len(description["classes"]))
        train = int(description["train"])
        check_steps(space, plan, train, min(train, largest_batch(space, train)))
        networks = known_networks(
            space,
            settings.baselines,
            tuple(description["image_shape"]),
            len(description["classes"]),
            reference=settings.reference,
        )
        brackets, known = with_known(plan.brackets, networks, space.hyperband.max_epochs)
        content = {
            **contents_of(space),
            "plan": [asdict(bracket) for bracket in brackets],
            "known": known,
            "feasible": plan.feasible.to_dict(),
            "data": description,
            "seed": settings.seed,
            "backend": backend,
            "precision": settings.precision,
            "track": list(track),
        }
        trial_bytes = largest_trial(content, plan)
        trained = (*plan.feasible.architectures, *(one.preset.architecture for one in networks))
        slots, workers = choose_workers(
            settings.device, settings.workers, settings.threads, precision=settings.precision,
            wide=any(map(has_wide_blocks, trained)), trial_bytes=trial_bytes,
        )  # fmt: skip
    workers = replace(workers, hang_timeout=settings.hang_timeout, deterministic=settings.deterministic)
    content["workers"] = {"slots": slots, **asdict(workers)}
    if earlier:
        content["earlier"] = recorded(earlier, content)
    write_arrays(settings.runs_dir / DATA_FOLDER / description["arrays"], arrays)
    folder = create_run(settings.runs_dir, name, content)
    return start_in(folder, observers, budget)


def contents_of(space: SearchSpace) -> dict[str, Any]:
    """Return the entries of run.json about a space, the time and this machine."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "space": space.to_dict(),
        "recipe": {**RECIPES[space.recipe["name"]].to_dict(), **space.fixed_recipe},
        **_schedule(space),
        "versions": versions(),
        "machine": {"host": socket.gethostname(), "processors": os.cpu_count(), "system": platform.platform()},
        "command": sys.argv,
    }


def _schedule(space: SearchSpace) -> dict[str, Any]:
    """Return the length of the learning-rate schedule, which is constant in a search with a final training."""
    if not space.hyperband.has_final:
        return {"horizon": space.hyperband.max_epochs}
    return {"horizon": space.hyperband.final_epochs, "constant_until": space.hyperband.final_epochs}


def start_in(folder: RunFolder, observers: Sequence[Observer], budget: Budget | None) -> RunView:
    """Search in a new folder."""
    return _drive(folder, "started", observers, budget, ResumeSettings())


def resume_run(
    folder: RunFolder,
    observers: Sequence[Observer] = (),
    *,
    settings: ResumeSettings | None = None,
    budget: Budget | None = None,
) -> RunView:
    """Resume a run from its folder; a finished one is returned at once, unless `settings` extend it."""
    return _drive(folder, "resumed", observers, budget, settings or ResumeSettings())


def _drive(
    folder: RunFolder, event: str, observers: Sequence[Observer], budget: Budget | None, settings: ResumeSettings
) -> RunView:
    with folder.lock():
        view = read_run(folder, locked=False)
        if view.sessions:
            answer_requests(view)
        failed = to_retry(view) if settings.retry_failed else []
        if view.state == "finished" and not settings.extends and not failed:
            return view
        budget = budget or Budget()
        check_drivable(view)
        check_backend(view.content.get("backend", "tensorflow"))
        space = SearchSpace.from_dict(view.content["space"], where=str(folder.path / "run.json"))
        data = arrays_of(folder, view.content, space)
        with quiet_stderr():
            workers = changed_workers(view.content, settings) if event == "resumed" else view.content["workers"]
        events = [make_event(event, process=os.getpid(), host=socket.gethostname(), workers=workers)]
        if settings.extends:
            events.append(make_event("extended", **extension(view, settings)))
        events += [make_event("retried", trial=trial) for trial in failed]
        for line in events:
            append_line(folder.events, line)
            view.apply(line)
        if event == "resumed":
            provide(sources_of_run(view, SearchSpace.from_dict(view.content["space"])))
        view.state = "running"
        for line in events:
            for observer in observers:
                observer(line, view)
        with Beside(folder, tracked_by(view.content), observers) as trackers:
            # The counters belong to this machine, but a remote cluster trains elsewhere.
            elsewhere = bool(workers.get("cluster") and workers["cluster"]["address"])
            meter = Meter(folder, {} if elsewhere else None, gpus=workers["device"] != "cpu")
            heard = [*observers, meter, trackers]
            pool = Pool(folder.worker_log)
            try:
                search = partial(_search, view, pool, str(data), heard, budget=budget)
                carry_out(view, budget, heard, lambda started: search(started=started))
            except BaseException as error:
                with suppress(OSError):  # The disk may be the cause.
                    append_event(folder.events, "interrupted", reason=type(error).__name__)
                raise
            finally:
                pool.close()
            trackers.settle(view)
    return read_run(folder)


def _search(
    view: RunView, pool: Pool, data: str, observers: Sequence[Observer], *, budget: Budget, started: int
) -> int:
    """Carry out the plan of a run, or of a stage; return the number of trials started."""
    # Imported late, since it imports the training backend.
    with quiet_stderr():
        from resnet_search.search.loop import SearchLoop
        from resnet_search.search.oracle import HyperbandOracle

        space = SearchSpace.from_dict(view.content["space"])
        oracle = HyperbandOracle(space, view, brackets_from(view.content["plan"]), view.content["seed"])
    workers = pool.of(workers_of(view.content.get("stage"), view.content["workers"]))
    loop = SearchLoop(view, oracle, workers, data=data, observers=observers, budget=budget, started=started)
    loop.run()
    return loop.started


class Pool:
    """The workers of a command; they restart only for a stage that needs other settings."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._settings: dict[str, Any] = {}
        self._workers: Workers | None = None

    def of(self, settings: dict[str, Any]) -> Workers:
        """Return workers with these settings of run.json."""
        if self._workers is None or settings != self._settings:
            self.close()
            each = {key: value for key, value in settings.items() if key != "slots"}
            self._workers = start_workers(settings["slots"], WorkerSettings(**each), self._log)
            self._settings = settings
        return self._workers

    def close(self) -> None:
        """Stop the workers."""
        if self._workers is not None:
            self._workers.close()
        self._workers = None


def start_workers(slots: int, settings: WorkerSettings, log: Path) -> Workers:
    """Start processes on this machine, or actors on a cluster."""
    if settings.cluster is None:
        return LocalWorkers(slots, settings, log)
    from resnet_search.workers.on_ray import RayWorkers

    return RayWorkers(settings, log)


def versions() -> dict[str, str]:
    """Return the versions of everything that a result depends on."""
    jax = ("jax",) if os.environ.get("KERAS_BACKEND") == "jax" else ()
    packages = ("resnet-search", "keras", "keras-tuner", "tensorflow", *jax, "numpy")
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
