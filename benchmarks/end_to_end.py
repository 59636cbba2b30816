r"""What a given time buys, from the images to a trained network: a search here, peers, and no search at all.

    python benchmarks/end_to_end.py run CIFAR10 --out times.jsonl --seconds 3600
    python benchmarks/end_to_end.py run CIFAR10 --out small.jsonl --seconds 600 --images 10000 --seeds 0 1 2 \
        --sides search none
    python benchmarks/end_to_end.py report times.jsonl

CIFAR10 stands for a value of `resnet-search run --data`. Each side is a process of its own with all processors, has the
same seconds in all, and may use at most 300,000 parameters; the test images are read once, at its end. A side that is
in --out is not run again, so the command can be repeated until all are there. Run it while nothing else runs.

- search: `resnet-search run --space cifar_small` with `--time-budget`, and with the options in --options.
- none: ResNet-20, which needs no search, trained with the same recipe for all the time, and on nearly all images.
- keras-tuner: `keras_tuner.Hyperband` as its documentation has it, on the networks of `cifar_small`, with Adam, images
  cropped and mirrored at random; the search ends after a third of the time, and `fit` trains its best for the rest,
  with early stopping.
- optuna: the same around `optuna`'s TPE sampler and Hyperband pruner.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import mean
from typing import Any, Final

import numpy as np

from resnet_search.files import append_line, read_lines

SIDES: Final = ("search", "none", "keras-tuner", "optuna")
SPACE: Final = "cifar_small"
LONGEST: Final = 10_000  # epochs; the time ends a training before
NONE: Final = """[axes]
models = ["resnet-20"]
[hyperband]
max_epochs = 1
[recipe]
name = "search"
[data]
source = "cifar10"
validation = {validation}
"""
SEARCH_SHARE: Final = 1 / 3
EXPORT_SECONDS: Final = 20.0  # kept back by peers, to evaluate
BATCH: Final = 128


def run(arguments: argparse.Namespace) -> None:
    """Run each side with each seed that is not in the file yet."""
    for seed in arguments.seeds:
        for side in arguments.sides:
            key = {
                "side": side, "seconds": arguments.seconds, "images": arguments.images, "seed": seed,
                "data": Path(arguments.data).name, "options": arguments.options if side == "search" else "",
            }  # fmt: skip
            if any(key.items() <= line.items() for line in read_lines(arguments.out)):
                continue
            with tempfile.TemporaryDirectory() as folder:
                begin = time.perf_counter()
                if side in {"search", "none"}:
                    result = ours(side, arguments, seed, Path(folder))
                else:
                    result = peer(side, arguments, seed, Path(folder))
                spent = time.perf_counter() - begin
            line = {
                **key, **result, "spent": round(spent, 1),
                "processors": os.cpu_count(), "machine": platform.processor(), "load": os.getloadavg()[1],
            }  # fmt: skip
            append_line(arguments.out, line)
            print(json.dumps(line), flush=True)


def ours(side: str, arguments: argparse.Namespace, seed: int, folder: Path) -> dict[str, Any]:
    """Search, or train ResNet-20 alone, with this project's command; evaluate its SavedModel on the test images."""
    space = SPACE
    options = ["--final-epochs", str(LONGEST), *shlex.split(arguments.options)] if side == "search" else []
    if side == "none":
        space = str(folder / "resnet-20.toml")
        # As many validation images as classes: nothing is chosen by them.
        Path(space).write_text(NONE.format(validation=100), encoding="utf-8")
        options = ["--final-epochs", str(LONGEST)]
    if arguments.images:
        options += ["--train-examples", str(arguments.images)]
    command = [
        sys.executable, "-m", "resnet_search", "run", "--space", space, "--data", arguments.data, "--seed", str(seed),
        "--time-budget", f"{arguments.seconds}s", "--runs-dir", str(folder / "runs"), "--name", "run", *options,
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=sys.stderr)
    import tensorflow as tf

    from resnet_search.runs.trials import open_run

    view = open_run("run", folder / "runs")
    model = tf.saved_model.load(str(view.folder.path / "export" / "saved_model"))
    x, y = test_images(arguments.data)
    answers = [model.serve(tf.constant(x[at : at + 500]))["probabilities"].numpy() for at in range(0, len(x), 500)]
    accuracy = float((np.concatenate(answers).argmax(axis=1) == y).mean())
    winner = view.winner or view.leader
    if winner is None:
        raise SystemExit(f"{side}: no trial was completed in {arguments.seconds} s")
    return {"test_accuracy": accuracy, "network": winner.name, "params": winner.params, "epochs": winner.epochs}


def test_images(source: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the test images and their classes."""
    from resnet_search.training.datasets import load_data

    data = load_data(source)
    return data.x_test, data.y_test


def peer(side: str, arguments: argparse.Namespace, seed: int, folder: Path) -> dict[str, Any]:
    """Run a peer in a process of its own."""
    command = [
        sys.executable, __file__, "peer", side, arguments.data, "--seconds", str(arguments.seconds),
        "--images", str(arguments.images or 0), "--seed", str(seed), "--folder", str(folder),
    ]  # fmt: skip
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


class Peer:
    """A peer's images, network and clock."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        import keras
        import tensorflow as tf

        from resnet_search.search.hypermodel import ResNetHyperModel
        from resnet_search.spaces.load import load_space
        from resnet_search.training.datasets import load_data

        self.begin = time.perf_counter()
        self.search_until = self.begin + SEARCH_SHARE * arguments.seconds
        self.until = self.begin + arguments.seconds - EXPORT_SECONDS
        self.arguments = arguments
        keras.utils.set_random_seed(arguments.seed)
        data = load_data(arguments.data)
        order = np.random.default_rng(arguments.seed).permutation(len(data.x_train))
        held = order[:5_000]
        used = order[5_000:][: arguments.images or None]

        def augmented(image: Any, label: Any) -> tuple[Any, Any]:
            image = tf.image.random_crop(tf.pad(image, [[4, 4], [4, 4], [0, 0]]), (32, 32, 3))
            return tf.image.random_flip_left_right(image), label

        training = tf.data.Dataset.from_tensor_slices((data.x_train[used], data.y_train[used])).shuffle(len(used))
        self.training = training.map(augmented, tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)
        self.validation = tf.data.Dataset.from_tensor_slices((data.x_train[held], data.y_train[held])).batch(500)
        self.hypermodel = ResNetHyperModel(load_space(SPACE))

    def build(self, hp: Any) -> Any:
        """A network of the space, compiled as in Keras Tuner's guide."""
        import keras

        model = self.hypermodel.build(hp)
        rate = hp.Choice("lr", [1e-2, 1e-3, 1e-4])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        return model

    def finish(self, model: Any) -> dict[str, Any]:
        """Train the best network for the rest of the time, and evaluate it."""
        import keras

        epochs = 0

        class Clock(keras.callbacks.Callback):  # type: ignore[misc]
            def on_epoch_end(callback, epoch: int, logs: Any = None) -> None:  # noqa: N805
                del logs
                nonlocal epochs
                epochs = epoch + 1
                took = (time.perf_counter() - started) / epochs
                if time.perf_counter() + took > self.until:
                    callback.model.stop_training = True

        started = time.perf_counter()
        stopping = keras.callbacks.EarlyStopping("val_accuracy", patience=20, restore_best_weights=True)
        data = {"validation_data": self.validation, "epochs": LONGEST, "verbose": 0}
        model.fit(self.training, callbacks=[stopping, Clock()], **data)
        x, y = test_images(self.arguments.data)
        accuracy = float((model.predict(x, batch_size=500, verbose=0).argmax(axis=1) == y).mean())
        weights = sum(int(np.prod(one.shape)) for one in model.trainable_variables)
        return {"test_accuracy": accuracy, "params": weights, "epochs": epochs}


class OutOfTime(BaseException):
    """The time of the search is over."""


def _stops_search(peer: Peer) -> Any:
    import keras

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            del batch, logs
            if time.perf_counter() > peer.search_until:
                raise OutOfTime

    return Clock()


def keras_tuner_side(peer: Peer) -> dict[str, Any]:
    """`keras_tuner.Hyperband`, then `fit`."""
    import keras_tuner

    tuner = keras_tuner.Hyperband(
        peer.build, objective="val_accuracy", max_epochs=10, factor=3, hyperband_iterations=LONGEST,
        directory=peer.arguments.folder, project_name="peer", seed=peer.arguments.seed,
        max_consecutive_failed_trials=LONGEST,
    )  # fmt: skip
    with suppress(OutOfTime):
        tuner.search(peer.training, validation_data=peer.validation, callbacks=[_stops_search(peer)], verbose=0)
    (hp,) = tuner.get_best_hyperparameters(1)
    return {**peer.finish(peer.build(hp)), "network": str({k: v for k, v in hp.values.items() if "/" not in k})}


def optuna_side(peer: Peer) -> dict[str, Any]:
    """`optuna.samplers.TPESampler` and `optuna.pruners.HyperbandPruner`, then `fit`."""
    import keras
    import keras_tuner
    import optuna

    def values(trial: Any) -> keras_tuner.HyperParameters:
        hp = keras_tuner.HyperParameters()
        hp.values = {
            "block": trial.suggest_categorical("block", ["basic", "bottleneck", "resnext"]),
            "n": trial.suggest_int("n", 1, 6),
            "width": trial.suggest_categorical("width", list(peer.hypermodel.space.axes.width)),
            "shortcut": trial.suggest_categorical("shortcut", ["identity", "projection"]),
            "lr": trial.suggest_categorical("lr", [1e-2, 1e-3, 1e-4]),
        }
        if hp.values["block"] == "resnext":
            hp.values["cardinality"] = trial.suggest_categorical("cardinality", [2, 4, 8])
        return hp

    def objective(trial: Any) -> float:
        try:
            model = peer.build(values(trial))
        except keras_tuner.errors.FailedTrialError as error:
            raise optuna.TrialPruned from error

        class Report(keras.callbacks.Callback):  # type: ignore[misc]
            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                trial.report(logs["val_accuracy"], epoch + 1)
                if trial.should_prune():
                    raise optuna.TrialPruned

        calls = [Report(), _stops_search(peer)]
        fitted = model.fit(peer.training, validation_data=peer.validation, epochs=10, callbacks=calls, verbose=0)
        return float(max(fitted.history["val_accuracy"]))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=peer.arguments.seed),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=10),
    )  # fmt: skip
    with suppress(OutOfTime):
        study.optimize(objective)
    reported = [trial for trial in study.trials if trial.intermediate_values]
    best = max(reported, key=lambda trial: max(trial.intermediate_values.values()))
    hp = values(optuna.trial.FixedTrial(best.params))
    return {**peer.finish(peer.build(hp)), "network": str(dict(best.params))}


def report(paths: list[Path]) -> None:
    """Print a table of all lines."""
    lines = [line for path in paths for line in read_lines(path)]
    print("| seconds | data | images | side | seeds | test accuracy | networks |\n|---|---|---|---|---|---|---|")

    def kind(line: dict[str, Any]) -> tuple[Any, ...]:
        return line["seconds"], line["data"], line["images"] or 50_000, SIDES.index(line["side"]), line["options"]

    for seconds, data, images, side, options in sorted(set(map(kind, lines))):
        alike = [line for line in lines if kind(line) == (seconds, data, images, side, options)]
        scores = ", ".join(f"{100 * line['test_accuracy']:.2f}" for line in alike)
        average = 100 * mean(line["test_accuracy"] for line in alike)
        networks = ", ".join(f"{line['network']} ({line['epochs']} epochs)" for line in alike)
        name = f"{SIDES[side]} {options}".rstrip()
        print(f"| {seconds} | {data} | {images:,} | {name} | {len(alike)} | {average:.2f} % ({scores}) | {networks} |")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run")
    runner.add_argument("data")
    runner.add_argument("--out", type=Path, required=True)
    runner.add_argument("--seconds", type=int, required=True)
    runner.add_argument("--images", type=int, help="training images; all by default")
    runner.add_argument("--seeds", type=int, nargs="+", default=[0])
    runner.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    runner.add_argument("--options", default="", help="options of `resnet-search run` for the side search")
    one = commands.add_parser("peer")
    one.add_argument("side", choices=SIDES[2:])
    one.add_argument("data")
    one.add_argument("--seconds", type=int, required=True)
    one.add_argument("--images", type=int, default=0)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--folder", required=True)
    commands.add_parser("report").add_argument("files", type=Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments)
    elif arguments.command == "peer":
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        side = keras_tuner_side if arguments.side == "keras-tuner" else optuna_side
        print(json.dumps(side(Peer(arguments))))
    else:
        report(arguments.files)


if __name__ == "__main__":
    main()
