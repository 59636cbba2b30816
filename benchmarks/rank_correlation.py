"""Do short rungs rank? Rank correlation of one- and three-epoch scores with full-budget accuracy.

    python benchmarks/rank_correlation.py run --side ours --data CIFAR10 --out ours.jsonl
    python benchmarks/rank_correlation.py run --side keras-tuner --data CIFAR10 --out keras_tuner.jsonl
    python benchmarks/rank_correlation.py run --side ours --space quickstart --out quickstart.jsonl
    python benchmarks/rank_correlation.py report ours.jsonl keras_tuner.jsonl quickstart.jsonl

`run` trains 20 random architectures of a space with 3 seeds on one thread and appends a line for each; it continues
where it stopped. Without --space: a small space, 9 epochs of 3,000 images of --data, validated on 1,500. With --space:
the images, epochs and recipe of that space. Both sides train the same networks on the same
images with the same augmentation. `ours`: this project's default recipe. `keras-tuner`: what a `build(hp)` has when
nothing else is said: Adam at 1e-3, batch normalisation with Keras's momentum of 0.99 and its moving statistics, and
Keras Tuner's score of a trial, the best epoch so far.

Results and the machine they are from: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

from resnet_search.files import append_line, read_lines
from resnet_search.networks.architecture import Architecture
from resnet_search.spaces.load import load_space, parse_space
from resnet_search.spaces.space import SearchSpace

SPACE = """
[axes]
n = [1, 2]
width = [2, 3, 4, 6, 8, 12]
block = ["basic", "bottleneck", "resnext"]
cardinality = [2, 4]
[limits]
max_macs = 8_000_000
"""
# What Keras gives who asks for nothing.
KERAS_DEFAULTS = {
    "optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant", "warmup_epochs": 0.0, "weight_decay": 0.0,
    "label_smoothing": 0.0, "average_fraction": 0.0, "bn_batches": 0,
}  # fmt: skip
KERAS_BN_MOMENTUM = 0.99
SCORES = ("val_accuracy", "val_loss")


def candidates(space: SearchSpace, count: int) -> list[Architecture]:
    """Return the same random architectures every time."""
    return random.Random(0).sample(list(space.feasible().architectures), count)


def run(arguments: argparse.Namespace) -> None:
    """Train every candidate with every seed that the file has no line of."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from resnet_search.training.arrays import Arrays, channel_statistics
    from resnet_search.training.datasets import load_data, split

    space = load_space(arguments.space) if arguments.space else parse_space(SPACE, "rank")
    if arguments.space:
        data = load_data(space.data.source, image_size=space.data.image_size)
        parts = split(data, validation=space.data.validation, seed=0)
        arguments.epochs = space.hyperband.max_epochs
    else:
        data = load_data(arguments.data)
        parts = split(data, validation=arguments.validation, seed=0, train_examples=arguments.images)
    recipe = {**space.fixed_recipe, **json.loads(arguments.recipe)}
    x = data.x_train[parts.train_index]
    arrays = Arrays(
        x, data.y_train[parts.train_index], data.x_train[parts.validation_index], data.y_train[parts.validation_index],
        data.classes, *channel_statistics(x),
    )  # fmt: skip
    done = {(line["name"], line["seed"]) for line in read_lines(arguments.out)}
    for seed in range(arguments.seeds):
        for architecture in candidates(space, arguments.candidates):
            if (architecture.name, seed) in done:
                continue
            scores = curve(architecture, seed, arrays, recipe, arguments)
            append_line(arguments.out, {"name": architecture.name, "seed": seed, **scores})
            print(seed, architecture.name, scores["val_accuracy"], flush=True)


def curve(
    architecture: Architecture, seed: int, arrays: Any, recipe: dict[str, Any], arguments: argparse.Namespace
) -> dict[str, list[float]]:
    """Return validation accuracy and loss after each epoch."""
    from resnet_search.training.job import Job
    from resnet_search.training.train import Trainer

    peer = arguments.side == "keras-tuner"
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            trial="0", folder=folder, parent=None, architecture=architecture.to_dict(), seed=seed, initial_epoch=0,
            recipe=KERAS_DEFAULTS if peer else recipe, epochs=arguments.epochs,
            horizon=arguments.epochs, data="",
        )  # fmt: skip
        trainer = Trainer(job, arrays)
        if peer:
            for layer in trainer.normalisations:
                layer.momentum = KERAS_BN_MOMENTUM
        lines = [trainer.run(epoch, epoch + 1) for epoch in range(arguments.epochs)]
        return {key: [getattr(line, key) for line in lines] for key in SCORES}


def report(files: list[Path]) -> None:
    """Print rank correlations: each seed's early scores against the mean accuracy at the end over seeds."""
    import numpy as np
    from scipy.stats import spearmanr

    print("| side | candidates x seeds | epochs | mean accuracy | by accuracy: median over seeds (range) | by loss |")
    print("|---|---|---|---|---|---|")
    for path in files:
        lines = read_lines(path)
        names = sorted({line["name"] for line in lines})
        seeds = [
            seed
            for seed in sorted({line["seed"] for line in lines})
            if {line["name"] for line in lines if line["seed"] == seed} == set(names)
        ]
        table = {(line["name"], line["seed"]): line for line in lines}
        accuracy, loss = (np.array([[table[name, seed][key] for name in names] for seed in seeds]) for key in SCORES)
        if "keras" in path.stem:
            accuracy = np.maximum.accumulate(accuracy, axis=2)
        final = accuracy[:, :, -1].mean(axis=0)
        for epochs in (1, 3, accuracy.shape[2]):
            ranks = []
            for scores in (accuracy, -loss):
                each = [spearmanr(one[:, epochs - 1], final).statistic for one in scores]
                ranks.append(f"{np.median(each):.2f} ({min(each):.2f} to {max(each):.2f})")
            print(
                f"| {path.stem} | {len(names)} x {len(seeds)} | {epochs} | {accuracy[:, :, epochs - 1].mean():.3f} "
                f"| {' | '.join(ranks)} |"
            )
        print(f"{path.stem}: accuracy at the end, lowest and highest candidate: {final.min():.3f} {final.max():.3f}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run")
    runner.add_argument("--side", choices=("ours", "keras-tuner"), required=True)
    runner.add_argument("--space", help="a space's name or file; its images, epochs and recipe are used")
    runner.add_argument("--data", default="cifar10")
    runner.add_argument("--out", type=Path, required=True)
    runner.add_argument("--images", type=int, default=3000)
    runner.add_argument("--validation", type=int, default=1500)
    runner.add_argument("--epochs", type=int, default=9)
    runner.add_argument("--candidates", type=int, default=20)
    runner.add_argument("--seeds", type=int, default=3)
    runner.add_argument("--recipe", default="{}", help="JSON: values of the recipe to try others than the default")
    commands.add_parser("report").add_argument("files", type=Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments)
    else:
        report(arguments.files)


if __name__ == "__main__":
    main()
