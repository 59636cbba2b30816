"""What gpu.py measures: one generator of rows a part, each run in a process of its own.

A part trains with the package's own workers and trainers, on the images that `write_images` wrote. Whatever it needs
from a library that may be missing is imported inside, and `LeftOut` says why it cannot be measured.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.presets import preset
from resnet_search.training.arrays import Arrays, channel_statistics, read_arrays, write_arrays
from resnet_search.training.job import STATE, Job
from resnet_search.workers import devices, local
from resnet_search.workers.contract import Done, EpochDone, Failed, Lost, Message, Stopped
from resnet_search.workers.devices import CONTEXT_BYTES, choose_workers, gpu_memory, nvidia_gpus
from resnet_search.workers.precision import FLOAT32

ENDED = Done | Failed | Lost | Stopped
IMAGES, SMALL_IMAGES = (45_000, 5_000, 32), (256, 64, 8)  # to train with, to validate with, height and width
ROUNDS = 5
SMI = ("name", "driver_version", "compute_cap", "memory.total", "memory.used", "mig.mode.current", "compute_mode")
CACHE = "JAX_COMPILATION_CACHE_DIR"
FRACTIONS = ("XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_CLIENT_MEM_FRACTION")
MPS = "nvidia-cuda-mps-control"
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


class LeftOut(Exception):  # noqa: N818 - no error
    """A part cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Visit:
    """What a part works with: a folder of its own beside the images, and its size."""

    scratch: Path
    small: bool

    @property
    def data(self) -> Path:
        """The images, which `write_images` wrote."""
        return self.scratch.parent / "arrays"

    @property
    def batch(self) -> int:
        """Images in a step."""
        return 64 if self.small else 128

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return (SMALL_IMAGES if self.small else IMAGES)[0] // self.batch

    def networks(self) -> list[Architecture]:
        """Small, usual, wide, grouped."""
        if self.small:
            return [shape("basic", 4), shape("resnext", 4)]
        return [shape("basic", 16), *(preset(name, "").architecture for name in ("resnet-20", "wrn-16-4")),
                shape("resnext", 16, n=2, cardinality=8)]  # fmt: skip

    def settings(self, workers: int = 1, precision: str = "auto") -> local.WorkerSettings:
        """What `--workers N --precision P` sets."""
        # Each part has a process of its own, and no time to try the GPU before it uses it.
        with mock.patch.object(devices, "gpu_fault", return_value=None):
            return choose_workers("auto", workers, None, precision=precision)[1]

    def precisions(self) -> list[str]:
        """Those to compare: what `auto` takes, and float32 where that is another one."""
        return ["auto"] if self.settings().precision == FLOAT32 else ["auto", FLOAT32]

    def job(self, trial: str, network: Architecture, epochs: int = 3, precision: str = FLOAT32, **recipe: Any) -> Job:
        """A trial from its first epoch, in a folder of its name."""
        recipe = {"batch_size": self.batch, **recipe}
        return Job(
            trial=trial, folder=str(self.scratch / trial), parent=None, architecture=network.to_dict(), recipe=recipe,
            seed=1, initial_epoch=0, epochs=epochs, horizon=9, data=str(self.data), precision=precision,
        )  # fmt: skip

    def forget_compiled(self, name: str) -> None:
        """Let later workers find only what others of this `name` have compiled; a small visit has no time for that."""
        if not self.small:
            os.environ[CACHE] = str(self.scratch / name / "compiled")

    @contextmanager
    def pool(self, settings: local.WorkerSettings, workers: int = 1) -> Iterator[local.LocalWorkers]:
        """Fresh worker processes, which end with the block."""
        pool = local.LocalWorkers(workers, settings, self.scratch / "worker.log")
        try:
            yield pool
        finally:
            pool.close()


def shape(block: str, width: int, *, n: int = 1, cardinality: int = 2) -> Architecture:
    """A network of three stages."""
    axes: dict[str, Any] = {"cardinality": cardinality} if block == "resnext" else {}
    return Architecture.from_axes(block=block, n=n, width=width, **axes)


def messages(pool: local.LocalWorkers, slots: set[int]) -> Iterator[Message]:
    """What the workers report until the jobs of all `slots` have ended; whoever iterates may submit more."""
    while slots:
        message = pool.wait(5.0)
        if message is not None:
            if isinstance(message, ENDED):
                slots.discard(message.slot)
            yield message


def trained(pool: local.LocalWorkers, job: Job) -> tuple[Done, list[float]]:
    """Train a job; its end, and when each epoch was reported, in seconds since its submission."""
    begin, reported = time.perf_counter(), []
    pool.submit(0, job)
    for message in messages(pool, {0}):
        if isinstance(message, EpochDone):
            reported.append(time.perf_counter() - begin)
        elif isinstance(message, Done):
            return message, reported
        elif isinstance(message, ENDED):
            raise RuntimeError(f"{type(message).__name__}: {message.reason}")  # noqa: TRY004 - no wrong type
    raise AssertionError


def only_jax(instead: str = "") -> None:
    """`LeftOut` on TensorFlow."""
    import keras

    if keras.backend.backend() != "jax":
        raise LeftOut(f"only on JAX{instead}")


def smi(query: str) -> list[str]:
    """The lines of `nvidia-smi --query-...`; none where that fails."""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", f"--query-{query}", "--format=csv,noheader,nounits"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.splitlines()
    return []


def device(visit: Visit) -> Iterator[dict[str, Any]]:
    """What there is, and what the product, the backend and the driver say of it."""
    import keras

    from resnet_search.runs.energy import Meter, used
    from resnet_search.runs.folder import RunFolder

    yield {
        "nvidia_gpus": nvidia_gpus(), "gpu_memory": gpu_memory(), "settings": asdict(visit.settings(2)),
        "nvidia_smi": [dict(zip(SMI, line.split(", "), strict=False)) for line in smi(f"gpu={','.join(SMI)}")],
        "driver": [path.read_text()[:500] for path in Path("/proc/driver/nvidia").glob("version")],
        "list_devices": keras.distribution.list_devices(),
    }  # fmt: skip
    (folder := RunFolder(visit.scratch / "meter")).path.mkdir()
    meter = Meter(folder)
    with visit.pool(visit.settings()) as pool:
        done, _ = trained(pool, visit.job("energy", visit.networks()[0]))
    meter.note()
    seconds = sum(line.train_seconds + line.validation_seconds for line in done.history)
    yield {"joules": used(folder), "epoch_seconds": seconds, "setup_seconds": done.setup_seconds}
    only_jax()
    # In a process each: a backend reads the variable once, and both together make JAX leave the GPU out.
    for name in FRACTIONS:
        without = {key: value for key, value in os.environ.items() if key not in FRACTIONS}
        environment = {**without, name: "0.1"}
        command = [sys.executable, "-W", "default", "-c", ASK_JAX]
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        yield {"fraction": name, "devices": said.stdout.splitlines(), "warnings": said.stderr[-1000:]}


ASK_JAX = """
import jax
for device in jax.devices():
    capability = getattr(device, "compute_capability", None)
    print(device.platform, device.device_kind, capability, (device.memory_stats() or {}).get("bytes_limit"), sep="; ")
"""


def train(visit: Visit) -> Iterator[dict[str, Any]]:
    """Seconds of everything that a trial does, and how much of it a second process finds compiled."""
    cache = Path(os.environ.setdefault(CACHE, str(visit.scratch / "compiled")))
    for precision, network, process in product(visit.precisions(), visit.networks(), ("first", "second")):
        settings, before = visit.settings(precision=precision), len(files(cache))
        job = visit.job(f"{network.name}-{precision}-{process}", network, 3, settings.precision)
        row = {"network": network.name, "precision": settings.precision, "process": process}
        try:
            with visit.pool(settings) as pool:
                done, reported = trained(pool, job)
        except RuntimeError as error:  # The other networks are measured all the same.
            yield {**row, "error": str(error)}
            continue
        first, usual, _ = done.history  # The last epoch also writes the scored weights.
        spent = usual.train_seconds + usual.validation_seconds
        yield {
            **row, "setup_seconds": round(done.setup_seconds, 3), "step_ms": 1e3 * usual.train_seconds / visit.steps,
            "validation_seconds": usual.validation_seconds, "saving_seconds": reported[1] - reported[0] - spent,
            "compile_seconds": round(first.train_seconds - usual.train_seconds, 3),
            "validation_compile_seconds": round(first.validation_seconds - usual.validation_seconds, 3),
            "cached_before": before, "cached": len(files(cache)),
            "cached_bytes": sum(path.stat().st_size for path in files(cache)),
        }  # fmt: skip


def files(folder: Path) -> list[Path]:
    """Return all files under a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def scan(visit: Visit) -> Iterator[dict[str, Any]]:
    """A step of the trainer, one of the same steps in a hand-written `lax.scan`, and the share of its speed."""
    only_jax()
    from resnet_search.training.train import Trainer

    arrays, precision = read_arrays(visit.data), visit.settings().precision
    for network in visit.networks():
        trainer = Trainer(visit.job(network.name, network, precision=precision), arrays)
        ours = [seconds(lambda epoch=epoch, trainer=trainer: trainer._train(epoch, epoch + 1)) for epoch in range(3)]  # noqa: SLF001
        whole = scanned(trainer, arrays)
        theirs = [seconds(whole) for _ in range(3)]
        yield {
            "network": network.name, "precision": precision, "step_ms": 1e3 * min(ours[1:]) / trainer.steps,
            "scan_step_ms": 1e3 * min(theirs[1:]) / trainer.steps, "share": min(theirs[1:]) / min(ours[1:]),
            "first_seconds": [round(ours[0], 3), round(theirs[0], 3)],
        }  # fmt: skip


def scanned(trainer: Any, arrays: Arrays) -> Callable[[], Any]:
    """An epoch of a trainer's network and optimizer as one compiled loop without Keras's `fit`."""
    import jax

    from resnet_search.training.augmentation import plan_epoch
    from resnet_search.training.steps import cross_entropy

    loss = cross_entropy(trainer.recipe.label_smoothing, len(arrays.classes))

    def step(state: Any, batch: Any) -> Any:
        trainable, other, slots = state
        *inputs, labels = batch

        def objective(trainable: Any) -> Any:
            logits, changed, penalties = trainer.model.stateless_call(
                trainable, other, inputs, training=True, return_losses=True
            )
            return loss(labels, logits).mean() + sum(penalties), changed

        (value, other), gradients = jax.value_and_grad(objective, has_aux=True)(trainable)
        trainable, slots = trainer.optimizer.stateless_apply(slots, gradients, trainable)
        return (trainable, other, slots), value

    plan = plan_epoch(1, 0, len(arrays.x_train), padding=trainer.recipe.crop_padding, flip=trainer.recipe.flip)
    count = trainer.steps * trainer.batch
    batches = [
        array[:count].reshape(trainer.steps, trainer.batch, *array.shape[1:])
        for array in (plan.index, plan.shift, plan.flip, arrays.y_train[plan.index].astype("int32"))
    ]
    groups = (trainer.model.trainable_variables, trainer.model.non_trainable_variables, trainer.optimizer.variables)
    state = tuple([variable.value for variable in group] for group in groups)
    whole = jax.jit(lambda state: jax.lax.scan(step, state, tuple(batches)))
    return lambda: jax.block_until_ready(whole(state))


def seconds(work: Callable[[], Any]) -> float:
    """By the clock."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def bits(visit: Visit) -> Iterator[dict[str, Any]]:
    """Whether two processes that share nothing compiled, and one that resumes another's trial, train the same bits."""
    network, settings = visit.networks()[0], visit.settings()

    def ends(name: str, cache: str, *epochs: int) -> tuple[str, float]:
        """The state after training up to each of `epochs` in a process of its own; seconds of the last epoch."""
        visit.forget_compiled(cache)
        for last in epochs:
            with visit.pool(settings) as pool:
                done, _ = trained(pool, visit.job(name, network, last, settings.precision))
        return digest(visit.scratch / name / STATE), done.history[-1].train_seconds

    flags = os.environ.get("XLA_FLAGS", "")
    for kind, added in (("usual", ""), ("deterministic", DETERMINISTIC)):
        os.environ["XLA_FLAGS"] = f"{flags} {added}".strip()
        one, taken = ends(f"{kind}-one", f"{kind}-one", 2)
        other, _ = ends(f"{kind}-other", f"{kind}-other", 2)
        yield {"operations": kind, "same_in_another_process": one == other, "epoch_seconds": taken}
        if kind == "usual":
            resumed, _ = ends("resumed", f"{kind}-one", 1, 2)
            yield {"operations": kind, "same_when_resumed": one == resumed}


def digest(state: Path) -> str:
    """Of the values in a state file, whatever else HDF5 writes."""
    import h5py

    found = hashlib.sha256()
    with h5py.File(state, "r") as file:
        file.visititems(lambda _, item: found.update(item[()].tobytes()) if isinstance(item, h5py.Dataset) else None)
    return found.hexdigest()


def memory(visit: Visit) -> Iterator[dict[str, Any]]:
    """What happens where memory runs out, what is left of the images, and whether parts and the next trial train."""
    from resnet_search.training.augmentation import on_device
    from resnet_search.training.memory import out_of_memory, train_in_parts
    from resnet_search.training.train import train as train_whole

    arrays, precision = read_arrays(visit.data), visit.settings().precision
    network = visit.networks()[0 if visit.small else 1]
    large = visit.job("large", network, 1, precision, batch_size=128 if visit.small else 4096)
    yield {"fraction": os.environ.get(FRACTIONS[0]), "large": network.name, "batch": large.recipe["batch_size"],
           **outcome(lambda: train_whole(large, arrays, lambda _: None), out_of_memory)}  # fmt: skip
    yield {"readable_images": outcome(lambda: np.asarray(on_device(arrays)))["error"] is None}
    parts: list[int] = []
    again = Job(**{**large.to_dict(), "folder": str(visit.scratch / "parts")})
    in_parts = outcome(lambda: train_in_parts(again, arrays, lambda _: None, lambda: None, parts.append))
    yield {"parts": parts, **in_parts}
    following = visit.job("next", small := visit.networks()[0], 1, precision)
    yield {"next_trial": small.name, **outcome(lambda: train_whole(following, arrays, lambda _: None))}


def outcome(work: Callable[[], Any], recognised: Callable[[BaseException], str] | None = None) -> dict[str, Any]:
    """Return the kind of error, None for none, its text, and the functions of this package that it came through."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - that is what is measured
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f"{Path(frame.filename).stem}.{frame.name}" for frame in frames if "resnet_search" in frame.filename]
        found = {"error": type(error).__name__, "text": str(error)[:2000], "through": ours}
        return found | ({} if recognised is None else {"recognised": bool(recognised(error))})
    return {"error": None}


def workers(visit: Visit) -> Iterator[dict[str, Any]]:
    """Images a second with several workers on one GPU, each with nothing compiled, and under NVIDIA's MPS."""
    counts = (2, 1) if visit.small else (8, 4, 1)
    images = len(read_arrays(visit.data).x_train)
    for count in (*counts, counts[0]):
        with ExitStack() as stack:
            served = count == counts[0] and (visit.scratch / f"{count}").exists()
            if served:
                stack.enter_context(mps(visit))
            name = f"{count}{'-mps' if served else ''}"
            visit.forget_compiled(name)
            settings = visit.settings(count)
            # One worker would take too long for as many; its rate needs fewer.
            trials = count if visit.small else min(16, 4 * count)
            jobs = [
                visit.job(f"{name}/{number}", shape("basic", 4 + 2 * (number % 8), n=1 + number // 8), 2,
                          settings.precision) for number in range(trials)
            ]  # fmt: skip
            taken, used, ended = several(visit, settings, count, jobs)
        yield {
            "workers": count, "mps": served, "trials": trials, "ended": ended, "seconds": taken,
            "images_per_second": 2 * images * ended.count("Done") / taken,
            "share": settings.gpu_share, "megabytes_by_process": used, "context_allowed": CONTEXT_BYTES >> 20,
        }  # fmt: skip


def several(
    visit: Visit, settings: local.WorkerSettings, count: int, jobs: list[Job]
) -> tuple[float, dict[str, int], list[str]]:
    """Train jobs on `count` workers; seconds, the most memory of each process on the GPU, and how they ended."""
    used: dict[str, int] = {}
    ended: list[str] = []
    with visit.pool(settings, count) as pool:
        begin, waiting, busy = time.perf_counter(), iter(jobs), set(range(count))
        for slot in range(count):
            pool.submit(slot, next(waiting))
        for message in messages(pool, busy):
            for line in smi("compute-apps=pid,used_memory") if settings.device == "gpu" else []:
                process, _, megabytes = line.partition(", ")
                if megabytes.isdigit():
                    used[process] = max(used.get(process, 0), int(megabytes))
            if isinstance(message, ENDED):
                ended.append(type(message).__name__)
                job = next(waiting, None)
                if job is not None:
                    pool.submit(message.slot, job)
                    busy.add(message.slot)
        return time.perf_counter() - begin, used, ended


@contextmanager
def mps(visit: Visit) -> Iterator[None]:
    """Run NVIDIA's MPS for the processes of the block; `LeftOut` where it does not start."""
    control = shutil.which(MPS)
    if control is None:
        raise LeftOut("MPS is not installed")
    (folder := visit.scratch / "mps").mkdir()
    with mock.patch.dict(os.environ, {f"CUDA_MPS_{kind}_DIRECTORY": str(folder) for kind in ("PIPE", "LOG")}):
        started = subprocess.run([control, "-d"], capture_output=True, text=True, check=False)
        try:
            if started.returncode:
                raise LeftOut(f"MPS does not start: {(started.stderr or started.stdout).strip()[-300:]}")
            yield
        finally:
            end_mps(visit.scratch)


def end_mps(scratch: Path) -> None:
    """End the MPS of a part, which may have been killed at its limit."""
    if (scratch / "mps").is_dir():
        environment = {**os.environ, "CUDA_MPS_PIPE_DIRECTORY": str(scratch / "mps")}
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run([MPS], input=b"quit\n", env=environment, capture_output=True, check=False, timeout=20)


def grouped(visit: Visit) -> Iterator[dict[str, Any]]:
    """Milliseconds forward and back of a grouped convolution in its forms; `dense` has zeros between the groups."""
    only_jax(": grouped_convolution.py measures it on TensorFlow")
    import jax
    import keras

    from resnet_search.networks.layers import GroupedConv2D

    batch, sizes = (
        (8, [(8, 16, 4)]) if visit.small else (128, [(32, 64, 8), (32, 128, 32), (16, 256, 32), (8, 512, 32)])
    )
    random = np.random.default_rng(0)
    for side, channels, groups in sizes:
        for dtype in ("bfloat16", "float32"):
            images = jax.numpy.asarray(random.normal(size=(batch, side, side, channels)), dtype)
            row: dict[str, Any] = {"side": side, "channels": channels, "groups": groups, "dtype": dtype}
            for form in ("native", "split", "dense"):
                options: dict[str, Any] = {"padding": "same", "use_bias": False, "dtype": dtype}
                layer = (
                    keras.layers.Conv2D(channels, 3, **options) if form == "dense"
                    else GroupedConv2D(channels, 3, groups=groups, form=form, **options)
                )  # fmt: skip
                layer.build(images.shape)

                def loss(kernel: Any, images: Any, layer: Any = layer) -> Any:
                    return (layer.stateless_call([kernel], [], images)[0].astype("float32") ** 2).sum()

                back = jax.jit(jax.grad(loss, (0, 1)))
                kernel = layer.kernel.value
                jax.block_until_ready(back(kernel, images))
                times = [
                    seconds(lambda: jax.block_until_ready([back(kernel, images) for _ in range(10)]))  # noqa: B023
                    for _ in range(ROUNDS)
                ]
                row[f"{form}_ms"] = 1e3 * statistics.median(times) / 10
            yield row


# A worker that breaks the CUDA context of its process before it trains the trial `poison`.
POISONED = """
from resnet_search.training import memory
trains = memory.train_in_parts
def train_in_parts(job, *others):
    if job.trial == "poison":
        {poison}
    return trains(job, *others)
memory.train_in_parts = train_in_parts
from resnet_search.workers import child
child.main()
"""
WRITE_NOWHERE = """
        import contextlib, cupy
        code = 'extern "C" __global__ void poison(int* p) { *p = 1; }'
        with contextlib.suppress(Exception):
            cupy.RawKernel(code, "poison")((1,), (1,), (cupy.uint64(8),))
            cupy.cuda.Device().synchronize()
"""
SAY_SO = "raise RuntimeError('INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS (simulated)')"


def poison(visit: Visit) -> Iterator[dict[str, Any]]:
    """A write to nowhere on the GPU: what the trial reports, and whether the next one trains. Simulated elsewhere."""
    from importlib.util import find_spec

    settings = visit.settings()
    if settings.device == "gpu" and find_spec("cupy") is None:
        raise LeftOut("CuPy is not installed")
    code = POISONED.format(poison=WRITE_NOWHERE if settings.device == "gpu" else SAY_SO)
    with mock.patch.object(local, "CHILD", [sys.executable, "-c", code]), visit.pool(settings) as pool:
        for trial in ("before", "poison", "after", "last"):
            pool.submit(0, visit.job(trial, visit.networks()[0], 1, settings.precision))
            [end] = [message for message in messages(pool, {0}) if isinstance(message, ENDED)]
            processes = [child.pid for child in psutil.Process().children()]
            yield {"trial": trial, "simulated": settings.device != "gpu", "ended": type(end).__name__,
                   "reason": getattr(end, "reason", ""), "processes": processes}  # fmt: skip


def kill(visit: Visit) -> Iterator[dict[str, Any]]:
    """Kill one of two workers on a GPU, alone and under MPS: does its neighbour train, and does its trial resume?"""
    for served in (False, True):
        with ExitStack() as stack:
            if served:
                stack.enter_context(mps(visit))
            settings = visit.settings(2)
            jobs = [visit.job(f"{slot}-{served}", visit.networks()[0], 4, settings.precision) for slot in range(2)]
            pool = stack.enter_context(visit.pool(settings, 2))
            children = psutil.Process().children()
            for slot, job in enumerate(jobs):
                pool.submit(slot, job)
            events: list[tuple[int, str]] = []
            busy, victim = {0, 1}, None
            for message in messages(pool, busy):
                events.append((message.slot, getattr(message, "reason", "") or type(message).__name__))
                if isinstance(message, EpochDone) and victim is None:
                    victim = message.slot
                    children[victim].kill()
                elif isinstance(message, Lost) and sum(reason == "resubmitted" for _, reason in events) < 2:
                    events.append((message.slot, "resubmitted"))
                    pool.submit(message.slot, jobs[message.slot])
                    busy.add(message.slot)
            yield {"mps": served, "killed": victim, "events": events}


@dataclass(frozen=True)
class Part:
    """`limit`: seconds on a GPU. `environment`: of its process."""

    work: Callable[[Visit], Iterator[dict[str, Any]]]
    limit: float
    environment: dict[str, str] = field(default_factory=dict)


SHARES = [{FRACTIONS[0]: share} for share in ("0.012", "0.004")]
PARTS = {
    "device": Part(device, 40),
    "train": Part(train, 110),
    "scan": Part(scan, 70),
    "workers": Part(workers, 110),
    "memory": Part(memory, 40, SHARES[0]),
    "less-memory": Part(memory, 35, SHARES[1]),
    "bits": Part(bits, 55),
    "grouped": Part(grouped, 40),
    "poison": Part(poison, 25),
    "kill": Part(kill, 30),
}


def write_images(folder: Path, *, small: bool) -> None:
    """Noise of CIFAR-10's size: nothing here depends on what is learned."""
    train_count, count, side = SMALL_IMAGES if small else IMAGES
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (train_count + count, side, side, 3), dtype=np.uint8)
    labels = random.integers(0, 10, len(images))
    halves = images[:train_count], labels[:train_count], images[train_count:], labels[train_count:]
    write_arrays(folder, Arrays(*halves, tuple("0123456789"), *channel_statistics(images[:train_count])))
