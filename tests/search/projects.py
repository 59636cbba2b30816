"""Projects that Keras Tuner makes: its own tuners and files, with a score by arithmetic instead of training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np

TUNERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "hyperband": (keras_tuner.Hyperband, {"max_epochs": 9}),
    "random": (keras_tuner.RandomSearch, {"max_trials": 6}),
    "grid": (keras_tuner.GridSearch, {"max_trials": 6}),
}
FAILS = 3  # The trial of this number does.


def build(hp: Any) -> None:
    """Every kind of hyperparameter; names and values that are the space's own."""
    block = hp.Choice("block", ["basic", "bottleneck", "resnext"])
    hp.Int("n", 1, 3)
    hp.Choice("width", [4, 8, 16])
    with hp.conditional_scope("block", ["resnext"]):
        if block == "resnext":
            hp.Choice("cardinality", [2, 4])
    hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    hp.Fixed("batch_size", 64)


def score(values: dict[str, Any], epochs: int) -> float:
    """More is better, of everything."""
    return round(0.1 + 0.05 * values["n"] + 0.01 * values["width"] / 4 + 0.02 * epochs, 6)


def make_project(
    folder: Path,
    tuner: str = "hyperband",
    build: Callable[[Any], None] = build,
    metrics: Callable[[dict[str, Any], int], Any] = lambda values, epochs: {"val_accuracy": score(values, epochs)},
    fails: int = FAILS,
) -> Path:
    """A finished project; its trials score as `metrics` says of values and epochs."""
    kind, settings = TUNERS[tuner]

    class Fast(kind):  # type: ignore[misc, valid-type]
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            del args, kwargs
            build(trial.hyperparameters)
            if int(trial.trial_id) == fails:
                raise RuntimeError("the device has\nno memory left")
            values = trial.hyperparameters.values
            return metrics(values, values.get("tuner/epochs", 5))

    hyperparameters = keras_tuner.HyperParameters()
    build(hyperparameters)
    made = Fast(
        build, objective=keras_tuner.Objective(next(iter(metrics({"n": 1, "width": 4}, 1))), "max"), seed=1,
        directory=folder, project_name=tuner, hyperparameters=hyperparameters, max_consecutive_failed_trials=99,
        **settings,
    )  # fmt: skip
    made.search(verbose=0)
    return folder / tuner


def make_images(path: Path) -> Path:
    """A small set of images of three classes."""
    rng = np.random.default_rng(0)
    parts = {}
    for part, count in (("train", 60), ("test", 12)):
        parts[f"x_{part}"] = rng.integers(0, 256, (count, 16, 16, 3), np.uint8)
        parts[f"y_{part}"] = np.arange(count) % 3
    np.savez(path, **parts)
    return path
