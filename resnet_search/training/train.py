"""Train one trial in this process, from wherever its files say, with every epoch on disk. Knows nothing of the search.

Files in the trial's folder, in the order they are written at the end of an epoch:
  history.jsonl          one line an epoch (`job.Epoch`)
  checkpoint.weights.h5  after the last epoch: the weights that the score is of, in Keras's format
  state.h5               what training continues from; its epoch is the truth, later history lines are dropped
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from resnet_search.files import append_line, read_lines, replacing, write_text
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.model import build_model
from resnet_search.training.arrays import Arrays
from resnet_search.training.augmentation import StoredImages, on_device, plan_epoch
from resnet_search.training.checkpoint import STATE, BadCheckpointError, load_state, read_epoch, save_state
from resnet_search.training.job import HISTORY, WEIGHTS, Epoch, Job, TrialFailure
from resnet_search.training.optimizer import build_optimizer
from resnet_search.training.recipe import Recipe, recipe_from


def train(job: Job, arrays: Arrays, report: Callable[[Epoch], None]) -> list[Epoch]:
    """Train as far as `job.epochs`; `report` hears of each epoch once it is on disk. Returns the trial's history.

    `TrialFailure` if the loss is not finite or the state to continue from is damaged.
    """
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(job, arrays)
    start = trainer.restore()
    history = [line for line in _read_history(folder) if line.epoch <= start]
    if start > job.initial_epoch and len(history) != start - job.initial_epoch:
        # The state is ahead of a history that was damaged: this trial's epochs are trained again.
        start, history = trainer.restart(), []
    write_text(folder / HISTORY, "")
    for line in history:
        append_line(folder / HISTORY, line.to_dict())
    for epoch in range(start, job.epochs):
        line = trainer.run(epoch, last=epoch + 1 == job.epochs)
        append_line(folder / HISTORY, line.to_dict())
        trainer.save(epoch + 1)
        history.append(line)
        report(line)
    return history


def _read_history(folder: Path) -> list[Epoch]:
    return [Epoch(**line) for line in read_lines(folder / HISTORY)]


class Trainer:
    """One candidate's network, optimizer and compiled steps."""

    def __init__(self, job: Job, arrays: Arrays) -> None:
        keras.utils.clear_session()
        self.job, self.arrays = job, arrays
        self.recipe: Recipe = recipe_from(job.recipe)
        self.batch = min(self.recipe.batch_size, len(arrays.x_train))
        self.steps = len(arrays.x_train) // self.batch
        self.network = build_model(
            Architecture.from_dict(job.architecture),
            input_shape=arrays.image_shape,
            classes=len(arrays.classes),
            mean=arrays.mean,
            std=arrays.std,
            weight_decay=self.recipe.weight_decay,
            seed=job.seed,
        )
        self.normalisations = [
            layer for layer in self.network.layers if isinstance(layer, keras.layers.BatchNormalization)
        ]
        self.optimizer = build_optimizer(self.recipe, horizon=job.horizon, steps_per_epoch=self.steps)
        self.optimizer.build(self.network.trainable_variables)
        self.model = self._compile()
        self.in_training_mode = _InTrainingMode(self.network)
        self.state = {"network": self.network.variables, "optimizer": self.optimizer.variables}

    def _compile(self) -> Any:
        inputs = [keras.Input(shape, dtype="int32", name=name) for name, shape in _PLAN_INPUTS.items()]
        images = StoredImages(on_device(self.arrays), self.arrays.mean, name="images")
        model = keras.Model(inputs, self.network(images(inputs)))
        smoothing = self.recipe.label_smoothing
        model.compile(self.optimizer, _cross_entropy(smoothing, len(self.arrays.classes)), metrics=["accuracy"])
        # The cross-entropy as a metric too, since Keras adds the weight decay to what it calls loss.
        cross_entropy = keras.metrics.SparseCategoricalCrossentropy("cross_entropy", from_logits=True)
        self.network.compile(loss=_cross_entropy(0.0, len(self.arrays.classes)), metrics=[cross_entropy, "accuracy"])
        return model

    def restore(self) -> int:
        """Continue from 1. this trial's own state, 2. its parent's, 3. the beginning; returns the epoch reached."""
        own = Path(self.job.folder) / STATE
        try:
            if read_epoch(own) > self.job.initial_epoch:
                return load_state(own, self.state)
        except BadCheckpointError:
            own.unlink(missing_ok=True)
        return self.restart()

    def restart(self) -> int:
        """Continue from the parent's state or the beginning."""
        if self.job.parent is None:
            return 0
        try:
            epoch = load_state(Path(self.job.parent) / STATE, self.state)
        except BadCheckpointError as error:
            raise TrialFailure(f"the state of its earlier rung cannot be read: {error}") from error
        if epoch != self.job.initial_epoch:
            raise TrialFailure(f"its earlier rung ended at epoch {epoch}, not {self.job.initial_epoch}")
        return epoch

    def run(self, epoch: int, *, last: bool) -> Epoch:
        """Train epoch `epoch` (from 0) and validate."""
        begin = time.perf_counter()
        loss, accuracy = self._train(epoch)
        rate = self.recipe.learning_rate_at(epoch + 1, self.job.horizon)
        if not math.isfinite(loss):
            raise TrialFailure(f"the loss was {loss} in epoch {epoch + 1} (learning rate {rate:.3g})")
        trained = time.perf_counter()
        val_loss, val_accuracy = self._validate(epoch, keep=last)
        if not math.isfinite(val_loss):
            raise TrialFailure(f"the validation loss was {val_loss} after epoch {epoch + 1} (learning rate {rate:.3g})")
        return Epoch(
            epoch=epoch + 1,
            loss=round(loss, _DIGITS),
            accuracy=round(accuracy, _DIGITS),
            val_loss=round(val_loss, _DIGITS),
            val_accuracy=round(val_accuracy, _DIGITS),
            learning_rate=rate,
            train_seconds=round(trained - begin, 3),
            validation_seconds=round(time.perf_counter() - trained, 3),
        )

    def save(self, epoch: int) -> None:
        """Write the state as of the end of `epoch` (absolute)."""
        save_state(Path(self.job.folder) / STATE, epoch, self.state)

    def _train(self, epoch: int) -> tuple[float, float]:
        plan = plan_epoch(
            self.job.seed, epoch, len(self.arrays.x_train), padding=self.recipe.crop_padding, flip=self.recipe.flip
        )
        count = self.steps * self.batch
        shown = {"index": plan.index[:count], "shift": plan.shift[:count], "flip": plan.flip[:count]}
        labels = self.arrays.y_train[shown["index"]]
        fitted = self.model.fit(
            [shown[name] for name in _PLAN_INPUTS], labels, batch_size=self.batch, shuffle=False, verbose=0
        )
        return float(fitted.history["loss"][0]), float(fitted.history["accuracy"][0])

    def _validate(self, epoch: int, *, keep: bool) -> tuple[float, float]:
        """Loss and accuracy of the averaged weights, with batch-norm statistics of their own; then all is put back."""
        kept = [(variable, keras.ops.convert_to_numpy(variable)) for variable in self.network.variables]
        if hasattr(self.optimizer, "load_average"):
            self.optimizer.load_average(self.network.trainable_variables)
        if self.recipe.bn_batches:
            self._estimate_statistics(epoch)
        scores = self.network.evaluate(
            self.arrays.x_validation,
            self.arrays.y_validation,
            batch_size=_VALIDATION_BATCH,
            verbose=0,
            return_dict=True,
        )
        if keep:
            with replacing(Path(self.job.folder) / WEIGHTS) as partial:
                self.network.save_weights(partial)
        for variable, value in kept:
            variable.assign(value)
        return float(scores["cross_entropy"]), float(scores["accuracy"])

    def _estimate_statistics(self, epoch: int) -> None:
        """Batch-norm statistics of the present weights: the mean over batches of training images.

        Moving statistics start from zero here and are divided by what the batches together weigh, 1 - momentum^k,
        which leaves a mean over the k batches with nothing of the start in it.
        """
        images = min(self.recipe.bn_batches * self.batch, self.steps * self.batch)
        random = np.random.default_rng([self.job.seed, epoch, 1])
        # In random order: a data set may lie sorted by class, and a batch must look like one of training.
        chosen = random.choice(len(self.arrays.x_train), images, replace=False)
        statistics = [
            variable for layer in self.normalisations for variable in (layer.moving_mean, layer.moving_variance)
        ]
        for variable in statistics:
            variable.assign(np.zeros(variable.shape, "float32"))
        self.in_training_mode.predict(self.arrays.x_train[chosen], batch_size=self.batch, verbose=0)
        for layer in self.normalisations:
            weight = 1 - layer.momentum ** (images // self.batch)
            for variable in (layer.moving_mean, layer.moving_variance):
                variable.assign(variable / weight)


class _InTrainingMode(keras.Model):
    """Runs a network as in training, so that its batch normalisations see and record the statistics of each batch."""

    def __init__(self, network: Any) -> None:
        super().__init__(name="in_training_mode")
        self.network = network

    def call(self, images: Any) -> Any:
        return self.network(images, training=True)


# Inputs of the training model: one plan entry an image.
_PLAN_INPUTS: dict[str, tuple[int, ...]] = {"index": (), "shift": (2,), "flip": ()}
# Of metrics: what single precision has, without its tail.
_DIGITS = 6
# Large, since validation keeps no activations for gradients.
_VALIDATION_BATCH = 500


def _cross_entropy(smoothing: float, classes: int) -> Any:
    """Cross-entropy of logits with integer labels, `smoothing` spread evenly over all classes."""

    def loss(labels: Any, logits: Any) -> Any:
        targets = keras.ops.one_hot(keras.ops.reshape(keras.ops.cast(labels, "int32"), (-1,)), classes)
        targets = targets * (1 - smoothing) + smoothing / classes
        return keras.losses.categorical_crossentropy(targets, logits, from_logits=True)

    return loss
