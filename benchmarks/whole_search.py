r"""A whole search against plain Keras Tuner: the same space, images, seed, brackets and epochs, in turn on one machine.

    python benchmarks/whole_search.py CIFAR10 --out times.jsonl --rounds 3 [--blocks basic bottleneck] \
        [--grouped keras ours] [--precision auto bfloat16]
    python benchmarks/whole_search.py --report times.jsonl

CIFAR10: what `--data` of `resnet-search run` takes. 4,000 images to train with and 1,000 to validate, batch 128,
Hyperband 9/3: 23 trials, 75 epochs; n 1, 2, 3 and width 8, 16. A round runs each side once, the order turning from
round to round; every finished side is a line in `--out`. The peer is plain_keras_tuner.py, with one process on all
cores, with Keras's grouped convolution or ours, or once with each; ours runs as a user would start it, once with each
`--precision`. Seconds are of the whole process, its start included; processor seconds are of all its processes. With
resnext the peer takes most of an hour a round on 2 cores; --limit ends it before. Without resnext the space has 12
architectures, and the peer ends when they are used up, before its plan is.

Each side draws and promotes its own networks, and those differ in size: Keras Tuner draws every value of an axis as
often, ours every architecture, half of which are resnext. So there are three ratios: of the whole search, for an epoch,
and for a multiply-add that was trained (`macs`: of a forward pass, times the epochs, over all trials).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from resnet_search.files import append_line, read_lines
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.runs.trials import open_run
from resnet_search.search.images import read_data
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.space import SearchSpace

SPACE = """
[axes]
n = [1, 2, 3]
width = [8, 16]
block = {blocks}
{cardinality}
[hyperband]
max_epochs = 9
factor = 3
[recipe]
optimizer = "sgd"
batch_size = 128
crop_padding = 4
[data]
source = "{source}"
validation = 1_000
"""
TRAIN = 4_000


def space_text(blocks: list[str], source: str) -> str:
    """The space file of our side."""
    cardinality = "cardinality = [2, 4]" if "resnext" in blocks else ""
    return SPACE.format(blocks=json.dumps(blocks), cardinality=cardinality, source=source)


def ours(folder: Path, space: Path, seed: int, precision: str) -> dict[str, Any]:
    """One search by this project; what it took."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "resnet_search", "run", "--space", str(space), "--train-examples", str(TRAIN)]
    command += ["--seed", str(seed), "--name", "search", "--quiet", "--no-export", "--precision", precision]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begin
    view = open_run("search", folder / "runs")
    trained = [trial for trial in view.trials.values() if not trial.reused]
    epochs = sum(trial.trained_epochs for trial in trained)
    return {
        "seconds": seconds, "trials": len(view.trials), "epochs": epochs, "best": view.ranking()[0].score,
        "macs": sum(trial.macs * trial.trained_epochs for trial in trained),
        "setup_seconds": sum(trial.setup_seconds for trial in trained),
        "train_seconds": sum(trial.train_seconds for trial in trained),
    }  # fmt: skip


def peer(folder: Path, images: Path, seed: int, grouped: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One search by plain Keras Tuner, ended after `--limit` seconds; what it took."""
    script = Path(__file__).with_name("plain_keras_tuner.py")
    begin = time.perf_counter()
    command = [sys.executable, str(script), str(images), str(folder / "peer"), "--grouped", grouped]
    command += ["--seed", str(seed), "--blocks", *arguments.blocks]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    whole = True
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, timeout=arguments.limit)
        out = done.stdout
    except subprocess.TimeoutExpired as expired:
        out, whole = expired.stdout or b"", False
    lines = [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]
    # The process's own clock starts after its imports.
    seconds = time.perf_counter() - begin
    # A line a trial, with the values of its hyperparameters, and one at the end.
    trials = [line for line in lines if "trial" in line]
    trained = [line["epochs"] for line in trials]
    found = {"seconds": seconds, "macs": sum(_epochs(values) * _macs(values) for values in trained)}
    if whole:
        return {**lines[-1], **found}
    # What the trial that was cut off has trained is not known: `until` is where the last whole one ended.
    return {
        **found, "until": max((line["end"] for line in trials), default=0.0), "trials": len(trials),
        "epochs": sum(map(_epochs, trained)), "best": max((line["score"] for line in trials), default=0.0),
        "stopped": True,
    }  # fmt: skip


def _epochs(values: dict[str, Any]) -> int:
    epochs: int = values["tuner/epochs"] - values["tuner/initial_epoch"]
    return epochs


def _macs(values: dict[str, Any]) -> int:
    """Multiply-adds of the forward pass of the peer's network, which is the one of that name here."""
    axes = {key: values[key] for key in ("n", "width", "block", "cardinality") if key in values}
    if axes["block"] != "resnext":
        axes.pop("cardinality", None)
    return complexity(Architecture.from_axes(**axes), (32, 32, 3), 10).macs


def measure(arguments: argparse.Namespace) -> None:
    """Run both sides in turn, each in a fresh folder."""
    for number in range(arguments.rounds):
        seed = number + 1
        # Ours in each precision, and the peer with each grouped convolution.
        sides = [*((None, precision) for precision in arguments.precision), *((one, None) for one in arguments.grouped)]
        for grouped, precision in sides if number % 2 == 0 else reversed(sides):
            folder = Path(tempfile.mkdtemp(prefix="whole-search-"))
            try:
                text = space_text(arguments.blocks, str(Path(arguments.source).resolve()))
                (folder / "space.toml").write_text(text, encoding="utf-8")
                images = write_images(folder / "images.npz", parse_space(text, "whole"), seed) if grouped else None
                before = _processor_seconds()
                if images is None:
                    found = ours(folder, folder / "space.toml", seed, precision)
                else:
                    found = peer(folder, images, seed, grouped, arguments)
                found["processor_seconds"] = _processor_seconds() - before
            finally:
                shutil.rmtree(folder)
            kind = {"side": "peer" if grouped else "ours", "blocks": arguments.blocks, "grouped": grouped}
            kind["precision"] = precision
            append_line(arguments.out, {**kind, "round": number, **found})


def _processor_seconds() -> float:
    """Of every process that was started here and has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_images(path: Path, space: SearchSpace, seed: int) -> Path:
    """The very images that our side trains and validates with."""
    arrays, _ = read_data(space, None, seed, TRAIN)
    np.savez(
        path, x_train=arrays.x_train, y_train=arrays.y_train,
        x_validation=arrays.x_validation, y_validation=arrays.y_validation,
    )  # fmt: skip
    return path


def report(path: Path) -> None:
    """Medians of both sides and the ratios of the rounds."""
    lines = read_lines(path)
    for blocks in sorted({tuple(line["blocks"]) for line in lines}):
        here = [line for line in lines if tuple(line["blocks"]) == blocks]
        print(", ".join(blocks))
        for precision in sorted({line.get("precision") or "auto" for line in here if line["side"] == "ours"}):
            ours_of = {
                x["round"]: x for x in here if x["side"] == "ours" and (x.get("precision") or "auto") == precision
            }
            print(f"  resnet-search, --precision {precision}: {_medians(list(ours_of.values()))}")
            for grouped in ("keras", "ours"):
                peer_of = {x["round"]: x for x in here if x["grouped"] == grouped}
                if set(ours_of) & set(peer_of):
                    _compare(ours_of, peer_of, grouped)


def _compare(ours_of: dict[int, dict[str, Any]], peer_of: dict[int, dict[str, Any]], grouped: str) -> None:
    """Both sides of the rounds that have both."""
    print(f"    Keras Tuner, grouped convolution: {grouped}: {_medians(list(peer_of.values()))}")
    pairs = [(peer_of[r], ours_of[r]) for r in sorted(set(ours_of) & set(peer_of))]
    for unit in ("seconds", "processor_seconds"):
        for of, count in (("the whole search", None), ("an epoch", "epochs"), ("a multiply-add", "macs")):
            ratios = [
                _taken(theirs, unit, count) / mine[unit] * (mine[count] / theirs[count] if count else 1)
                for theirs, mine in pairs
                if count is None or (count in mine and count in theirs)  # The first rounds have no macs.
            ]
            if ratios:
                print(
                    f"      ratio of {unit} for {of}: median {median(ratios):.2f}, "
                    f"{min(ratios):.2f} to {max(ratios):.2f} (n = {len(ratios)} rounds)"
                )


def _taken(theirs: dict[str, Any], unit: str, count: str | None) -> float:
    """What the peer took for all it did, or for what it counts: if it was stopped, up to its last whole trial."""
    taken: float = theirs[unit]
    return taken if count is None or "until" not in theirs else taken * theirs["until"] / theirs["seconds"]


def _medians(found: list[dict[str, Any]]) -> str:
    """Of one side's searches."""
    seconds, used, trials, epochs, best = (
        median(x[key] for x in found) for key in ("seconds", "processor_seconds", "trials", "epochs", "best")
    )
    text = (
        f"{seconds:.0f} s, {used:.0f} s of processors, {trials:g} trials, {epochs:g} epochs, best {best:.3f} (medians)"
    )
    return text + (", stopped at the limit" if any(x.get("stopped") for x in found) else "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?")
    parser.add_argument("--out", type=Path, default=Path("whole_search.jsonl"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--blocks", nargs="+", default=["basic", "bottleneck", "resnext"])
    parser.add_argument("--grouped", nargs="+", choices=("keras", "ours"), default=["keras"])
    parser.add_argument("--precision", nargs="+", choices=("auto", "float32", "bfloat16"), default=["auto"])
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="end the peer after so long")
    parser.add_argument("--report", type=Path)
    ARGUMENTS = parser.parse_args()
    if ARGUMENTS.report:
        report(ARGUMENTS.report)
    elif ARGUMENTS.source:
        measure(ARGUMENTS)
    else:
        parser.error("say where CIFAR-10 is")
