"""Does memory grow over a long search? Resident memory of the driver and of its workers over 300 trials on a CPU.

    python benchmarks/long_run.py [--trials 300] [--workers 2]        # about 20 minutes on 2 idle cores

A real search of networks that train in no time: 8 layers of width 2 to 8 on 200 images, brackets of 3 and 1 epochs, so
that what is done for each trial (networks built, compiled, stored, promoted) is all there is. The driver runs as a user
would start it; the resident set of it and of each worker process is read every quarter of a second, and belongs to the
trials that had ended by then. Prints the peaks of each 50 trials and the ratio of the last 50 to the first. Memory is
no timing: what else runs on the machine changes nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from resnet_search.files import whole_lines

SPACE = """
[axes]
n = [1]
width = [2, 4, 6, 8]
block = ["basic", "plain", "preact_basic"]

[hyperband]
max_epochs = 3
factor = 3
iterations = {iterations}

[recipe]
learning_rate = {{ min = 0.02, max = 0.4 }}

[data]
source = "shapes"
validation = 200
"""
PER_ITERATION = 6  # trials: rungs of 3 and 1 in one bracket, 2 in the other
WINDOW = 50  # trials
EVERY = 0.25  # seconds between two samples
MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """Resident bytes at one moment, after `ended` trials: of the driver, of its largest worker, of all together."""

    ended: int
    driver: int
    worker: int
    together: int


def sample(driver: psutil.Process, events: Path) -> Sample | None:
    """The memory of a driver and its workers now; None once it has ended."""
    try:
        own = driver.memory_info().rss
        workers = [resident(child) for child in driver.children(recursive=True)]
    except psutil.NoSuchProcess:
        return None
    ended = sum(line.startswith((b'{"event": "completed"', b'{"event": "failed"')) for line in whole_lines(events))
    return Sample(ended, own, max(workers, default=0), own + sum(workers))


def resident(process: psutil.Process) -> int:
    """Resident bytes; none of a process that is gone."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def measure(trials: int, workers: int) -> list[Sample]:
    """Run a search of so many trials and watch it."""
    with tempfile.TemporaryDirectory(prefix="long-run-") as name:
        folder = Path(name)
        (folder / "tiny.toml").write_text(SPACE.format(iterations=-(-trials // PER_ITERATION)), encoding="utf-8")
        command = [sys.executable, "-m", "resnet_search", "run", "--space", "tiny.toml", "--name", "long"]
        command += ["--train-examples", "200", "--workers", str(workers), "--device", "cpu", "--quiet", "--no-export"]
        with subprocess.Popen(command, cwd=folder) as started:
            driver, samples = psutil.Process(started.pid), []
            while started.poll() is None:
                found = sample(driver, folder / "runs" / "long" / "events.jsonl")
                if found is not None:
                    samples.append(found)
                time.sleep(EVERY)
        if started.returncode != 0:
            raise SystemExit(started.returncode)
    return samples


def report(samples: list[Sample]) -> None:
    """Peaks of each window of trials, and the last against the first."""
    windows: dict[int, list[Sample]] = {}
    most = max(one.ended for one in samples)
    for one in samples:
        windows.setdefault(min(one.ended, most - 1) // WINDOW, []).append(one)
    peaks = {
        number: tuple(max(getattr(one, kind) for one in found) for kind in ("driver", "worker", "together"))
        for number, found in sorted(windows.items())
    }
    print("| trials | driver, MiB | largest worker, MiB | all together, MiB |\n|---|---|---|---|")
    for number, found in peaks.items():
        last = min((number + 1) * WINDOW, most)
        print(f"| {number * WINDOW + 1} to {last} | {' | '.join(f'{size / MIB:,.0f}' for size in found)} |")
    first, final = peaks[min(peaks)], peaks[max(peaks)]
    print(f"| last / first | {' | '.join(f'{b / a:.3f}' for a, b in zip(first, final, strict=True))} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    ARGUMENTS = parser.parse_args()
    report(measure(ARGUMENTS.trials, ARGUMENTS.workers))
