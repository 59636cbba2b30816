"""Compare cheap, early scores of networks with their accuracy after full training.

    python benchmarks/proxies.py train CIFAR10 --out proxies.jsonl --work proxies --first 0 --every 2
    python benchmarks/proxies.py train CIFAR10 --out subset.jsonl --work subset --images 5000 --epochs 9 --constant 0
    python benchmarks/proxies.py report proxies.jsonl subset.jsonl

CIFAR10 stands for a value of `resnet-search run --data`. `train` trains networks of `cifar_small`, from the smallest to
the limit, with the recipe of a search: at a constant learning rate for --constant epochs, scored after parts of an
epoch and after each epoch, and then at a falling rate to the end. The test images are used only after the last epoch.
An interrupted command continues where it stopped. --first and --every divide the networks among processes. `report`
compares every score with the test accuracies of the first file: Spearman's rank correlation, and the share of the best
third that the score would have kept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from resnet_search.files import append_line, read_lines
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.presets import preset
from resnet_search.spaces.load import load_space

SPACE = "cifar_small"
VALIDATION = 5_000
MARKS = (0.03, 0.1, 0.33)  # epochs after which a network is scored, besides whole ones


def networks(count: int) -> list[Architecture]:
    """Return ResNet-20 and random networks, one of each quantile of the parameters; always the same."""
    feasible = load_space(SPACE).feasible()
    by_size = [pair[1] for pair in sorted(zip(feasible.costs, feasible.architectures, strict=True), key=_trainable)]
    known = preset("resnet-20").architecture
    chance = random.Random(0)
    parts = np.array_split(np.arange(len(by_size)), count - 1)
    return [known, *(by_size[chance.choice([int(at) for at in part if by_size[at] != known])] for part in parts)]


def _trainable(pair: tuple[Any, Architecture]) -> int:
    return int(pair[0].trainable)


def train(arguments: argparse.Namespace) -> None:
    """Train every network that is not in the file yet."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from resnet_search.networks.complexity import complexity
    from resnet_search.training.arrays import Arrays, channel_statistics
    from resnet_search.training.datasets import load_data
    from resnet_search.training.train import Trainer
    from resnet_search.training.train import train as train_job

    data = load_data(arguments.data)
    order = np.random.default_rng(0).permutation(len(data.x_train))
    held, used = order[:VALIDATION], order[VALIDATION:][: arguments.images]
    x = data.x_train[used]
    arrays = Arrays(
        x, data.y_train[used], data.x_train[held], data.y_train[held], data.classes, *channel_statistics(x)
    )  # fmt: skip
    for architecture in networks(arguments.networks)[arguments.first :: arguments.every]:
        key = {"name": architecture.name, "images": len(x), "epochs": arguments.epochs, "seed": arguments.seed}
        if any(key.items() <= line.items() for line in read_lines(arguments.out)):
            continue
        job = _job(architecture, arguments)
        marks = [mark for mark in (*MARKS, *range(1, arguments.epochs + 1)) if mark <= arguments.epochs]
        lines: list[Any] = []
        for mark in marks:
            lines = train_job(replace(job, epochs=mark), arrays, lambda _: None)
        last = Trainer(job, replace(arrays, x_validation=data.x_test, y_validation=data.y_test))
        last.restore([line.epoch for line in lines])
        _, accuracy = last._validate(arguments.epochs, keep=False)  # noqa: SLF001 - with the averaged weights
        cost = complexity(architecture)
        line = {
            **key, "params": cost.trainable, "macs": cost.macs, "precision": arguments.precision,
            "constant": arguments.constant, "marks": [one.epoch for one in lines],
            "val_accuracy": [one.val_accuracy for one in lines], "val_loss": [one.val_loss for one in lines],
            "seconds": [round(float(sum(one.train_seconds for one in lines[: at + 1])), 1) for at in range(len(lines))],
            "test_accuracy": accuracy,
        }  # fmt: skip
        append_line(arguments.out, line)
        print(json.dumps(line), flush=True)


def _job(architecture: Architecture, arguments: argparse.Namespace) -> Any:
    from resnet_search.training.job import Job

    folder = arguments.work / f"{architecture.name}-{arguments.seed}"
    return Job(
        trial="0", folder=str(folder), parent=None, architecture=architecture.to_dict(), seed=arguments.seed,
        initial_epoch=0, recipe=load_space(SPACE).fixed_recipe, epochs=arguments.epochs, horizon=arguments.epochs,
        data="", precision=arguments.precision, constant_until=arguments.constant,
    )  # fmt: skip


def report(files: list[Path]) -> None:
    """Print a table: each score of each file against the test accuracies of the first one."""
    from scipy.stats import spearmanr

    final = {line["name"]: line for line in read_lines(files[0])}
    names = sorted(final)
    truth = [final[name]["test_accuracy"] for name in names]
    best = set(sorted(names, key=lambda name: -final[name]["test_accuracy"])[: max(1, len(names) // 3)])

    def row(what: str, seconds: float, scores: dict[str, float]) -> None:
        shared = [name for name in names if name in scores]
        rho = spearmanr([scores[name] for name in shared], [truth[names.index(name)] for name in shared]).statistic
        kept = len(best & set(sorted(shared, key=lambda name: -scores[name])[: len(best)])) / len(best)
        print(f"| {what} | {len(shared)} | {seconds:.0f} | {rho:.2f} | {100 * kept:.0f} % |")

    print("| score | networks | median seconds | Spearman | kept of the best third |\n|---|---|---|---|---|")
    for key in ("params", "macs"):
        row(key, 0, {name: line[key] for name, line in final.items()})
    for path in files:
        lines = read_lines(path)
        marks = lines[0]["marks"]
        for at, mark in enumerate(marks):
            if path == files[0] and mark == marks[-1]:
                continue
            seconds = float(np.median([line["seconds"][at] for line in lines]))
            for key, sign in (("val_accuracy", 1), ("val_loss", -1)):
                what = f"{key} after {mark:g} epochs of {lines[0]['images']:,} images"
                row(what, seconds, {line["name"]: sign * line[key][at] for line in lines})


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    trainer = commands.add_parser("train")
    trainer.add_argument("data")
    trainer.add_argument("--out", type=Path, required=True)
    trainer.add_argument("--work", type=Path, required=True, help="folder for checkpoints, to continue from")
    trainer.add_argument("--networks", type=int, default=16)
    trainer.add_argument("--first", type=int, default=0)
    trainer.add_argument("--every", type=int, default=1)
    trainer.add_argument("--images", type=int, default=45_000)
    trainer.add_argument("--epochs", type=int, default=15)
    trainer.add_argument("--constant", type=int, default=3, help="epochs at a constant rate")
    trainer.add_argument("--seed", type=int, default=0)
    trainer.add_argument("--precision", default="float32", choices=("float32", "wide_bfloat16", "mixed_bfloat16"))
    commands.add_parser("report").add_argument("files", type=Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "train":
        train(arguments)
    else:
        report(arguments.files)


if __name__ == "__main__":
    main()
