"""What Ray adds to a trial: the same trials on as many local workers and on a Ray of this machine, in turns.

    python benchmarks/ray_overhead.py [--trials 10] [--workers 2] [--epochs 20] [--out FILE]

Of a trial, from its submission to its end as the search hears of it, everything counts but the time of its epochs:
sending the job, reading images, compiling, writing and sending files. Each trial is of another network, so that none is
compiled before; the same on both sides. The medians over the trials, and of the differences in pairs, are printed as
JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from resnet_search.networks.architecture import Architecture
from resnet_search.training.arrays import Arrays, channel_statistics, write_arrays
from resnet_search.training.datasets.shapes import draw
from resnet_search.training.job import Job
from resnet_search.workers.cluster import Cluster
from resnet_search.workers.connect import choose_on_cluster
from resnet_search.workers.contract import Done, EpochDone, Message, Ready, Workers
from resnet_search.workers.local import LocalWorkers, WorkerSettings
from resnet_search.workers.on_ray import RayWorkers

IMAGES = 1000


def images(folder: Path) -> Path:
    """Drawn images, half of them held back."""
    drawn, labels = draw(2 * IMAGES, seed=0)
    write_arrays(
        folder,
        Arrays(
            drawn[:IMAGES], labels[:IMAGES], drawn[IMAGES:], labels[IMAGES:], tuple(map(str, range(10))),
            *channel_statistics(drawn[:IMAGES]),
        ),
    )  # fmt: skip
    return folder


def job_of(number: int, place: Path, data: Path, epochs: int) -> Job:
    """A trial of a network that no other trial of these has."""
    return Job(
        trial=f"{number:04d}", folder=str(place / f"trial_{number:04d}"), parent=None, recipe={"batch_size": 100},
        architecture=Architecture.from_axes(block="basic", n=1, width=4 + number).to_dict(), seed=number,
        initial_epoch=0, epochs=epochs, horizon=epochs, data=str(data),
    )  # fmt: skip


def heard(pool: Workers) -> Message:
    while True:
        message = pool.wait(10.0)
        if isinstance(message, Ready | EpochDone | Done):
            return message
        if message is not None:
            raise SystemExit(f"a trial has not ended well: {message}")


def seconds_beside_epochs(pool: Workers, jobs: list[Job]) -> list[float]:
    """Of each of some jobs at once: from its submission to its end as it is heard of, without its epochs."""
    begun = {}
    for slot, job in enumerate(jobs):
        begun[job.trial] = time.perf_counter()
        pool.submit(slot, job)
    found: dict[str, float] = {}
    while len(found) < len(jobs):
        message = heard(pool)
        if isinstance(message, Done):
            epochs = sum(line.train_seconds + line.validation_seconds for line in message.history)
            found[message.trial] = time.perf_counter() - begun[message.trial] - epochs
    return [found[job.trial] for job in jobs]


def main() -> None:
    """Train in turns and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    measured: dict[str, list[float]] = {"local": [], "ray": []}
    with tempfile.TemporaryDirectory(prefix="ray-overhead-") as folder:
        place = Path(folder)
        data = images(place / "arrays")
        _, settings = choose_on_cluster("cpu", Cluster(), 1, backend="tensorflow")
        local = WorkerSettings(threads=1, backend="tensorflow")
        pools: dict[str, Workers] = {
            "local": LocalWorkers(given.workers, local, place / "local.log"),
            "ray": RayWorkers(settings, place / "ray.log"),
        }
        try:
            # The first round starts processes and imports libraries; it does not count.
            for first in range(0, given.trials + given.workers, given.workers):
                for name, pool in pools.items():
                    numbers = range(first, first + given.workers)
                    jobs = [job_of(number, place / name, data, given.epochs) for number in numbers]
                    seconds = seconds_beside_epochs(pool, jobs)
                    measured[name] += seconds if first else []
        finally:
            for pool in pools.values():
                pool.close()
    added = [ray - local for ray, local in zip(measured["ray"], measured["local"], strict=True)]
    result: dict[str, Any] = {
        "trials": len(added), "workers": given.workers, "epochs": given.epochs,
        "seconds_added": {"median": statistics.median(added), "each": added},
        "seconds_beside_epochs": {name: statistics.median(values) for name, values in measured.items()},
        "versions": {name: version(name) for name in ("resnet-search", "ray", "keras", "tensorflow")},
        "python": platform.python_version(), "processors": os.cpu_count(),
    }  # fmt: skip
    text = json.dumps(result, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
