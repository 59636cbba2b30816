"""What the parts of a recipe are worth: the same network on the same images, with and without each.

    python benchmarks/recipes.py run CIFAR10 --out recipes.jsonl --recipes before search --seeds 0 1
    python benchmarks/recipes.py run CIFAR10 --out recipes.jsonl --images 300 --epochs 27 --batches 16 32 64 128
    python benchmarks/recipes.py report recipes.jsonl

CIFAR10: what `--data` of `resnet-search run` takes. `run` trains on the first --images of a fixed order of the training
images, scores the test images (or the first --test of them) after the last epoch, and appends a line; what the file has
already is not trained again. `report` compares everything with the recipe `before`, the default of version 0.1.

Results and the machine they are from: docs/results.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from resnet_search.files import append_line, read_lines
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.presets import PRESETS, preset

BEFORE = {"optimizer": "sgd", "batch_size": 128, "crop_padding": 4}
RECIPES: dict[str, dict[str, Any]] = {
    "before": BEFORE,
    "search": {},
    "sgd": {"optimizer": "sgd"},
    "padding-4": {"crop_padding": 4},
    "batch-128": {"batch_size": 128},
    "no-smoothing": {"label_smoothing": 0.0},
    "no-average": {"average_fraction": 0.0},
    "no-statistics": {"bn_batches": 0},
}
# Not presets: a small network to screen with, and others that a recipe must not lose on.
NETWORKS = {
    "basic8-w16": {"block": "basic", "n": 1, "width": 16},
    "bottleneck29-w16": {"block": "bottleneck", "n": 3, "width": 16},
    "resnext20-w16-c8": {"block": "resnext", "n": 2, "width": 16, "cardinality": 8},
}
SAME = ("data", "model", "images", "epochs", "precision")


def batch_recipes(batches: list[int]) -> dict[str, dict[str, Any]]:
    """Return the default recipe with other batches, and rates in proportion to their root."""
    return {
        f"batch {batch}": {"batch_size": batch, "learning_rate": round(0.1 * math.sqrt(batch / 128), 6)}
        for batch in batches
    }


def run(arguments: argparse.Namespace) -> None:
    """Train every recipe with every seed that the file has no line of."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from resnet_search.training.arrays import Arrays, channel_statistics
    from resnet_search.training.datasets import load_data
    from resnet_search.training.job import Job
    from resnet_search.training.recipe import recipe_from
    from resnet_search.training.train import Trainer

    data = load_data(arguments.data)
    chosen = np.random.default_rng(0).permutation(len(data.x_train))[: arguments.images]
    x, y = data.x_train[chosen], data.y_train[chosen]
    x_test, y_test = data.x_test[: arguments.test], data.y_test[: arguments.test]
    arrays = Arrays(x, y, x_test, y_test, data.classes, *channel_statistics(x))
    named = arguments.model in PRESETS
    axes = NETWORKS.get(arguments.model, {})
    architecture = preset(arguments.model).architecture if named else Architecture.from_axes(**axes)
    recipes = {name: RECIPES[name] for name in arguments.recipes} | batch_recipes(arguments.batches)
    place = {
        "data": Path(arguments.data).stem, "model": arguments.model, "images": len(x), "epochs": arguments.epochs,
        "precision": arguments.precision,
    }  # fmt: skip
    for seed in arguments.seeds:
        for name, values in recipes.items():
            key = {**place, "recipe": name, "seed": seed}
            if any(key.items() <= line.items() for line in read_lines(arguments.out)):
                continue
            recipe = recipe_from(values)
            with tempfile.TemporaryDirectory() as folder:
                job = Job(
                    trial="0", folder=folder, parent=None, architecture=architecture.to_dict(), seed=seed,
                    initial_epoch=0, recipe=recipe.to_dict(), epochs=arguments.epochs, horizon=arguments.epochs,
                    data="", precision=arguments.precision,
                )  # fmt: skip
                trainer = Trainer(job, arrays)
                lines = [trainer.run(epoch, epoch + 1) for epoch in range(arguments.epochs)]
            line = {
                **key, "values": values, "test": len(x_test), "accuracy": lines[-1].val_accuracy,
                "loss": lines[-1].val_loss, "train_accuracy": lines[-1].accuracy,
                "seconds": round(sum(each.train_seconds for each in lines), 1),
                "threads": len(os.sched_getaffinity(0)), "load": round(os.getloadavg()[0], 1),
            }  # fmt: skip
            append_line(arguments.out, line)
            print(json.dumps(line), flush=True)


def report(path: Path) -> None:
    """Print a table for each set and network: mean, difference to `before` and its 95 % interval."""
    tables: dict[tuple[Any, ...], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for line in read_lines(path):
        tables[tuple(line[key] for key in SAME)][line["recipe"]].append(line)
    for key, rows in tables.items():
        print(f"\n{', '.join(f'{name} {value}' for name, value in zip(SAME, key, strict=True))}\n")
        print("| recipe | seeds | test accuracy | difference in points (95 %) | seconds of training |")
        print("|---|---|---|---|---|")
        reference = next((rows[name] for name in ("before", *rows) if name in rows), [])
        for name, lines in rows.items():
            mean, error = _mean(lines)
            base, other = _mean(reference)
            reach = 1.96 * math.hypot(error, other)
            told = (
                ""
                if lines is reference
                else f"{mean - base:+.2f} ({mean - base - reach:+.2f} to {mean - base + reach:+.2f})"
            )
            print(f"| {name} | {len(lines)} | {mean:.2f} % | {told} | {np.median([x['seconds'] for x in lines]):.0f} |")


def _mean(lines: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the mean accuracy in percent and its standard error by the number of test images."""
    mean = float(np.mean([line["accuracy"] for line in lines]))
    return 100 * mean, 100 * math.sqrt(mean * (1 - mean) / sum(line["test"] for line in lines))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run")
    runner.add_argument("data")
    runner.add_argument("--out", type=Path, required=True)
    runner.add_argument("--model", default="resnet-20", help=f"a preset, or one of {', '.join(NETWORKS)}")
    runner.add_argument("--images", type=int, default=50_000)
    runner.add_argument("--epochs", type=int, default=15)
    runner.add_argument("--test", type=int, default=10_000)
    runner.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    runner.add_argument("--recipes", nargs="*", default=[], choices=list(RECIPES), metavar="NAME")
    runner.add_argument("--batches", type=int, nargs="*", default=[])
    runner.add_argument("--precision", default="float32", choices=("float32", "wide_bfloat16", "mixed_bfloat16"))
    commands.add_parser("report").add_argument("file", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments)
    else:
        report(arguments.file)


if __name__ == "__main__":
    main()
