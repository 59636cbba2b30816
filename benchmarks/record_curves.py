"""The table that search_quality.py searches in: the learning curve of each architecture of a small space.

    python benchmarks/record_curves.py train CIFAR10 --runs-dir runs [--seed 0] [--workers 2]
    python benchmarks/record_curves.py read runs/curves [--out benchmarks/results/curves.json]

CIFAR10: what `--data` of `resnet-search run` takes. `train` is a `resnet-search run` with method "grid": this project's
own training, each of the 48 architectures for 9 epochs of the schedule that a search of 9 epochs has. A promotion goes
on exactly, so the curve's first epochs are those of a shorter trial. About an hour on 2 cores; `resnet-search resume`
goes on with one that was interrupted. `read` writes the table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from resnet_search.runs.trials import open_run

SPACE = """
method = "grid"
[axes]
n = [1, 2, 3]
width = [4, 6, 8, 12]
block = ["basic", "bottleneck", "resnext"]
cardinality = [2, 4]
[hyperband]
max_epochs = 9
[data]
source = "cifar10"
validation = 1_000
"""
TRAIN = 3_000
TABLE = Path(__file__).parent / "results" / "curves.json"


def train(arguments: argparse.Namespace) -> None:
    """Train every architecture, in a run called curves."""
    with tempfile.TemporaryDirectory() as folder:
        space = Path(folder) / "curves.toml"
        space.write_text(SPACE, encoding="utf-8")
        command = [sys.executable, "-m", "resnet_search", "run", "--space", str(space), "--data", arguments.source]
        command += ["--train-examples", str(TRAIN), "--seed", str(arguments.seed), "--workers", str(arguments.workers)]
        command += ["--runs-dir", str(arguments.runs_dir), "--name", "curves", "--no-export"]
        subprocess.run(command, check=True)


def table_of(run: Path) -> dict[str, Any]:
    """What a finished run of `train` says: accuracies, losses and seconds of each epoch, and what they hold for."""
    view = open_run(run)
    content = view.content
    rows = []
    for trial in view.trials.values():
        lines = view.history(trial)
        if [line["epoch"] for line in lines] != list(range(1, view.max_epochs + 1)):
            raise SystemExit(f"{run}: trial {trial.trial} has no curve of {view.max_epochs} epochs; resume the run.")
        rows.append(
            {
                "name": trial.name,
                "params": trial.params,
                "macs": trial.macs,
                "val_accuracy": [line["val_accuracy"] for line in lines],
                "val_loss": [line["val_loss"] for line in lines],
                "seconds": [round(line["train_seconds"] + line["validation_seconds"], 3) for line in lines],
            }
        )
    kept = {key: content["versions"][key] for key in ("python", "resnet-search", "keras", "tensorflow")}
    return {
        "space": content["space"]["text"],
        "seed": content["seed"],
        "images": {key: content["data"][key] for key in ("train", "validation")},
        "recipe": content["recipe"],
        "workers": {key: content["workers"][key] for key in ("slots", "threads", "precision")},
        "versions": kept,
        "architectures": rows,
    }


def write(table: dict[str, Any], path: Path) -> None:
    """As JSON with an architecture a line."""
    rows = ",\n  ".join(json.dumps(row) for row in table["architectures"])
    head = json.dumps({key: value for key, value in table.items() if key != "architectures"}, indent=1)
    path.write_text(f'{head.removesuffix("}").rstrip()},\n "architectures": [\n  {rows}\n ]\n}}\n', encoding="utf-8")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    trainer = commands.add_parser("train")
    trainer.add_argument("source")
    trainer.add_argument("--runs-dir", type=Path, default=Path("runs"))
    trainer.add_argument("--seed", type=int, default=0)
    trainer.add_argument("--workers", type=int, default=2)
    reader = commands.add_parser("read")
    reader.add_argument("run", type=Path)
    reader.add_argument("--out", type=Path, default=TABLE)
    arguments = parser.parse_args()
    if arguments.command == "train":
        train(arguments)
    else:
        write(table_of(arguments.run), arguments.out)


if __name__ == "__main__":
    main()
