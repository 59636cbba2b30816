"""A search on all of CIFAR-10 for some minutes, its best network trained in full, and ResNet-20 by the same recipe.

    python -m benchmarks.gpu_cifar CIFAR10 --folder DIR --minutes 5          # on an H200 estimated at 10 minutes
    python -m benchmarks.gpu_cifar CIFAR10 --folder DIR --space quickstart --train-examples 300 --max-epochs 1 \
        --minutes 2 --recipe search --epochs 1                               # on a processor, to try the script
    python -m benchmarks.gpu_cifar --report DIR

CIFAR10: what `--data` of `resnet-search run` takes, or an .npz with all images as JPEG: `body` holds them one after the
other without their common `header`, `lengths` their bytes, `labels` the classes, the last 10,000 are the test images.
Accuracies on images that were compressed so are comparable with each other, not with published ones.

Needs no installation, network or TensorFlow. Each step appends a JSON line to DIR/gpu_cifar.jsonl: `search`, `best`,
`resnet-20`. Repeat the command to resume: a step that has its line is skipped, one that was interrupted continues. The
last two train on all training images, those for validation too, and read the test images once. The 95 % interval
(Wilson) covers the choice of the test images, not another seed.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resnet_search.cli.named import space_of
from resnet_search.files import append_line, read_lines, replacing
from resnet_search.networks.presets import preset
from resnet_search.runs.after import FINAL, following, note_read
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView, read_run
from resnet_search.search.after import AgainSettings, final_run, go_on
from resnet_search.search.budget import Budget
from resnet_search.search.images import load_again
from resnet_search.search.start import SearchSettings, resume_run, run_search, versions
from resnet_search.spaces.load import load_space
from resnet_search.spaces.space import SearchSpace

LINES, RESNET, TEST = "gpu_cifar.jsonl", "resnet-20", 10_000


def unpacked(source: Path, folder: Path) -> str:
    """Return what `--data` takes: CIFAR-10 as JPEG is decoded into `folder` first, once."""
    images = folder / "cifar10.npz"
    if source.suffix != ".npz" or images.exists():
        return str(images if images.exists() else source)
    with np.load(source) as pack:
        if "body" not in pack.files:
            return str(source)
        header, body, lengths, labels = (pack[name] for name in ("header", "body", "lengths", "labels"))
    from PIL import Image

    start, whole = header.tobytes(), body.tobytes()
    ends = np.cumsum(lengths.astype(np.int64))
    files = (start + whole[end - length : end] for end, length in zip(ends, lengths.astype(np.int64), strict=True))
    decoded = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files])
    with replacing(images) as partial, partial.open("wb") as file:
        np.savez(file, x_train=decoded[:-TEST], y_train=labels[:-TEST], x_test=decoded[-TEST:], y_test=labels[-TEST:])
    return str(images)


def search(arguments: argparse.Namespace, source: str) -> dict[str, Any]:
    """Search, or continue to, for the minutes of one command, and return what came out."""
    budget = Budget(seconds=60 * arguments.minutes)
    folder = RunFolder(arguments.folder / "runs" / "search")
    if folder.path.exists():
        view = resume_run(folder, budget=budget)
    else:
        space = load_space(arguments.space).with_settings(source=source, max_epochs=arguments.max_epochs)
        view = run_search(space, settings(arguments, "search", workers=arguments.workers), budget=budget)
    trained = [trial for trial in view.trials.values() if not trial.reused and trial.status == "completed"]
    epochs = sum(trial.trained_epochs for trial in trained)
    best = view.leader
    return {
        "state": view.state, "trials": len(trained), "planned_trials": view.planned_trials, "epochs": epochs,
        "images_per_second": epochs * view.content["data"]["train"] / view.seconds,
        "setup_seconds": sum(trial.setup_seconds for trial in trained), "workers": view.content["workers"],
        "best": best and best.name, "best_epochs": best and best.epochs, "best_score": best and best.score,
        "failed": sum(trial.status == "failed" for trial in view.trials.values()),
    }  # fmt: skip


def train_best(arguments: argparse.Namespace, source: str) -> dict[str, Any]:
    """Train the best network of the search from scratch on all training images; its accuracy on the test images."""
    del source
    view = read_run(RunFolder(arguments.folder / "runs" / "search"))
    if view.leader is None:
        raise SystemExit("the search has no completed trial yet: repeat the command with more --minutes")
    again = AgainSettings(recipe=arguments.recipe, epochs=arguments.epochs, workers=1)
    if following(view.folder, FINAL) is None:
        return on_test_images(final_run(view, view.leader, again))
    return on_test_images(go_on(RunFolder(view.folder.path / FINAL), again))


def train_resnet(arguments: argparse.Namespace, source: str) -> dict[str, Any]:
    """Train ResNet-20 on the same images with the same recipe; its accuracy on the test images."""
    folder = RunFolder(arguments.folder / "runs" / RESNET)
    if folder.path.exists():
        return on_test_images(resume_run(folder))
    model, data = preset(RESNET, "--model"), load_space(arguments.space).data
    described = {"source": source, "validation": data.validation, "image_size": data.image_size}
    space = space_of(model, {"name": arguments.recipe}, arguments.epochs, described)
    return on_test_images(run_search(space, settings(arguments, RESNET, workers=1, merged=True)))


def settings(arguments: argparse.Namespace, name: str, **others: Any) -> SearchSettings:
    """Return what all runs share, and `others`."""
    return SearchSettings(
        runs_dir=arguments.folder / "runs", name=name, seed=arguments.seed, train_examples=arguments.train_examples,
        **others,
    )  # fmt: skip


def on_test_images(view: RunView) -> dict[str, Any]:
    """Read the test images once, with the trained network of a run of one trial."""
    import keras

    from resnet_search.export.build import load_network
    from resnet_search.export.evaluate import measure
    from resnet_search.export.make import member_of
    from resnet_search.training.arrays import read_arrays

    (trial,) = view.ranking()
    arrays = read_arrays(view.folder.arrays(view.content))
    network = load_network(member_of(view, trial, arrays), arrays.image_shape, len(arrays.classes))
    note_read(view, command=sys.argv, network=trial.name, images=view.content["data"]["test"])
    images = load_again(view.content["data"], SearchSpace.from_dict(view.content["space"]))
    logits = network.predict(images.x_test, batch_size=500, verbose=0)
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits)).astype("float32")
    top1 = measure(probabilities, images.y_test, images.classes).top1
    return {
        "network": trial.name, "params": trial.params, "macs": trial.macs, "epochs": trial.epochs,
        "images": len(arrays.x_train), "train_seconds": trial.train_seconds, "setup_seconds": trial.setup_seconds,
        "test_images": len(images.x_test), "accuracy": top1.value, "low": top1.low, "high": top1.high,
    }  # fmt: skip


STEPS: dict[str, Callable[[argparse.Namespace, str], dict[str, Any]]] = {
    "search": search,
    "best": train_best,
    RESNET: train_resnet,
}


def measure_all(arguments: argparse.Namespace) -> None:
    """Do the steps that have no line yet."""
    # This process reads test images on the GPU that workers of the next step train on.
    for name, value in (("XLA_PYTHON_CLIENT_PREALLOCATE", "false"), ("TF_FORCE_GPU_ALLOW_GROWTH", "true")):
        os.environ.setdefault(name, value)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    lines = arguments.folder / LINES
    done = {line["step"] for line in read_lines(lines)} if lines.exists() else set()
    source = unpacked(Path(arguments.source), arguments.folder)
    for name, work in STEPS.items():
        if name not in done:
            begin = time.perf_counter()
            found = work(arguments, source)
            command = {key: str(value) for key, value in vars(arguments).items() if value is not None}
            line = {"step": name, "seconds": round(time.perf_counter() - begin, 1), **found, "command": command}
            append_line(lines, {**line, "versions": versions()})


def report(path: Path) -> str:
    """Return the steps as a table, the accuracies with their bars."""
    rows = ["| step | network | epochs | seconds | accuracy (95 % interval) |", "|---|---|---|---|---|"]
    for line in read_lines(path):
        if line["step"] == "search":
            what = f"{line['best']}, best of {line['trials']} of {line['planned_trials']} trials"
            score = "none" if line["best"] is None else f"{line['best_score']:.4f}"
            accuracy = f"{score}, validation after {line['best_epochs']} epochs"
        else:
            what, accuracy = line["network"], f"{line['accuracy']:.4f} ({line['low']:.4f} to {line['high']:.4f}), test"
        rows.append(f"| {line['step']} | {what} | {line['epochs']} | {line['seconds']:.0f} | {accuracy} |")
    return "\n".join(rows)


def main(words: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", metavar="CIFAR10")
    parser.add_argument("--folder", type=Path, default=Path("gpu_cifar"))
    parser.add_argument("--minutes", type=float, default=5.0, help="for the search, in this command")
    parser.add_argument("--space", default="cifar_small")
    parser.add_argument("--max-epochs", type=int, help="of a trial of the search")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--train-examples", type=int)
    parser.add_argument("--recipe", default="search", help="of the trainings in full")
    parser.add_argument("--epochs", type=int, default=60, help="of the trainings in full")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args(words)
    if arguments.report is None:
        if arguments.source is None:
            parser.error("CIFAR10 is missing: a source of --data, or an .npz of JPEG files")
        measure_all(arguments)
    print(report((arguments.report or arguments.folder) / LINES))


if __name__ == "__main__":
    main()
