"""How long a search takes with one worker and with several, on the same machine: at most 6 minutes on 2 idle cores.

    python benchmarks/scaling.py [--workers 1 2] [--rounds 2] [--out benchmarks/results/scaling.jsonl]
    python benchmarks/scaling.py --report benchmarks/results/scaling.jsonl

A search as a user starts it, on images that need no download: 12 small networks, 15 trials, 30 epochs of 1,000 images.
A round runs it once with each number of workers, the order turning from round to round, so that what else the machine
does meets both. On a CPU the workers divide the cores: one worker trains on all of them. Seconds are of the whole
process, its start included; a line each is appended to `--out`. With more cores, `--workers 1 2 4 8`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from resnet_search.files import append_line, read_lines
from resnet_search.runs.trials import open_run

SPACE = """
[axes]
n = [1, 2]
width = [4, 6, 8]
block = ["basic", "bottleneck"]
[hyperband]
max_epochs = 4
factor = 2
[data]
source = "shapes"
validation = 500
"""
TRAIN = 1_000
RESULTS = Path(__file__).parent / "results" / "scaling.jsonl"


def search(workers: int, seed: int) -> dict[str, Any]:
    """One search with so many workers; what it took."""
    with tempfile.TemporaryDirectory() as folder:
        space = Path(folder) / "scaling.toml"
        space.write_text(SPACE, encoding="utf-8")
        command = [sys.executable, "-m", "resnet_search", "run", "--space", str(space), "--train-examples", str(TRAIN)]
        command += ["--workers", str(workers), "--seed", str(seed), "--name", "search", "--quiet", "--no-export"]
        begin = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begin
        view = open_run("search", Path(folder) / "runs")
    trained = [trial for trial in view.trials.values() if not trial.reused]
    return {
        "workers": workers, "seed": seed, "processors": os.cpu_count(), "seconds": round(seconds, 2),
        "trials": len(view.trials), "epochs": sum(trial.trained_epochs for trial in trained),
        "setup_seconds": round(sum(trial.setup_seconds for trial in trained), 2),
        "train_seconds": round(sum(trial.train_seconds for trial in trained), 2),
    }  # fmt: skip


def measure(workers: list[int], rounds: int, out: Path) -> None:
    """Each number of workers in turn, a line each; rounds are numbered after those that are there."""
    first = max((line["round"] + 1 for line in read_lines(out)), default=0) if out.exists() else 0
    for number in range(first, first + rounds):
        for count in workers if number % 2 == 0 else reversed(workers):
            append_line(out, {"round": number, **search(count, seed=number + 1)})


def report(path: Path) -> None:
    """Medians, and the ratios of each round to its search with the fewest workers."""
    lines = read_lines(path)
    fewest = min(line["workers"] for line in lines)
    print("| workers | n | seconds, median (range) | times as fast as with the fewest, median (range) |")
    print("|---|---|---|---|")
    base = {line["round"]: line["seconds"] for line in lines if line["workers"] == fewest}
    for count in sorted({line["workers"] for line in lines}):
        of_count = [line for line in lines if line["workers"] == count]
        seconds = [line["seconds"] for line in of_count]
        ratios = [base[line["round"]] / line["seconds"] for line in of_count if line["round"] in base]
        print(
            f"| {count} | {len(seconds)} | {median(seconds):.0f} ({min(seconds):.0f} to {max(seconds):.0f}) "
            f"| {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    if arguments.report is None:
        measure(arguments.workers, arguments.rounds, arguments.out)
    report(arguments.report or arguments.out)


if __name__ == "__main__":
    main()
