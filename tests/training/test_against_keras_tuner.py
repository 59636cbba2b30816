"""What Keras Tuner's Hyperband forgets when it promotes a trial, shown on trials that train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from resnet_search.training.train import Trainer, train
from tests.faults.table import fault

pytestmark = pytest.mark.interface


class _Steps(keras.callbacks.Callback):
    """The optimizer's steps and the weights that a trial begins with."""

    def __init__(self, seen: list[tuple[int, float]]) -> None:
        super().__init__()
        self.seen = seen

    def on_train_begin(self, logs: Any = None) -> None:
        first = float(np.sum(keras.ops.convert_to_numpy(self.model.trainable_variables[0])))
        self.seen.append((int(self.model.optimizer.iterations), first))

    def __deepcopy__(self, memo: Any) -> _Steps:
        return _Steps(self.seen)


def build(hp: Any) -> Any:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 1, 40)), keras.layers.Dense(1)])
    # Slow enough that the loss falls in every epoch, whatever the weights, which no seed decides.
    model.compile(keras.optimizers.SGD(0.001, momentum=0.9), "mse", run_eagerly=True)
    return model


def search(folder: Path, seen: list[tuple[int, float]]) -> keras_tuner.Hyperband:
    tuner = keras_tuner.Hyperband(
        build, objective="val_loss", max_epochs=3, factor=3, directory=folder, project_name="p", seed=1
    )
    data = np.random.default_rng(0).normal(size=(32, 4)), np.ones(32)
    tuner.search(*data, validation_data=data, batch_size=8, callbacks=[_Steps(seen)], verbose=0)
    return tuner


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    seen: list[tuple[int, float]] = []
    return search(tmp_path_factory.mktemp("tuner"), seen), seen


@fault(
    "training",
    "A trial is promoted",
    keras_tuner="its optimizer is reset: no momentum, step 0, the learning rate of the first step",
    here="continues with weights, batch-norm statistics, optimizer and step as they were",
)
def test_promotion_keeps_the_optimizer(theirs, make_job, arrays, reference):
    tuner, seen = theirs
    trials = list(tuner.oracle.trials.values())
    [promoted] = [n for n, trial in enumerate(trials) if "tuner/trial_id" in trial.hyperparameters.values]
    assert seen[promoted][0] == 0, "after an epoch of 4 steps"

    trainer = Trainer(make_job(parent=str(reference.at(1)), initial_epoch=1), arrays)
    trainer.restore([])
    assert int(trainer.optimizer.iterations) == trainer.steps > 0
    assert any(np.any(keras.ops.convert_to_numpy(variable)) for variable in trainer.optimizer.momentums)


def drawn(tuner: keras_tuner.Hyperband) -> list[int]:
    """Which of them are promoted depends on their scores."""
    values = [trial.hyperparameters.values for trial in tuner.oracle.trials.values()]
    return [each["units"] for each in values if "tuner/trial_id" not in each]


@fault(
    "training",
    "A search is repeated with its seed",
    keras_tuner="draws the same values, but other weights and another order of the images",
    here="the same weights, images and scores, to the last bit on one machine's processor",
)
def test_the_seed_reaches_the_weights(theirs, make_job, arrays, reference, tmp_path):
    seen: list[tuple[int, float]] = []
    again = search(tmp_path / "again", seen)
    assert drawn(again) == drawn(theirs[0])
    assert seen != theirs[1]

    [line] = train(make_job(epochs=1), arrays, lambda _: None)
    first = reference.history[0]
    assert (line.loss, line.val_loss, line.val_accuracy) == (first.loss, first.val_loss, first.val_accuracy)


@fault(
    "training",
    "A promoted trial says which epoch was its best",
    keras_tuner="counts within the rung: the last epoch of a rung from 1 to 3 is 1",
    here="epochs are absolute everywhere",
)
def test_epochs_are_absolute(theirs, make_job, arrays, reference, kept):
    tuner, _ = theirs
    promoted = [t for t in tuner.oracle.trials.values() if t.hyperparameters.values["tuner/initial_epoch"] == 1]
    assert [trial.best_step for trial in promoted] == [1], "its loss falls, so its best is the last of epochs 1 and 2"

    history = train(make_job(parent=str(reference.at(1)), initial_epoch=1), arrays, lambda _: None)
    assert [line.epoch for line in history] == [2]
