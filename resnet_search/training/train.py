"""Train one trial in this process, from the state of its files, with every epoch on disk. Independent of the search.

Files in the trial's folder, in the order they are written at the end of an epoch:
  history.jsonl          one line per epoch (`job.Epoch`)
  answers.bits, checkpoint.weights.h5   after the last epoch: the scored weights, and which images they get right
  state.h5               the state to continue from; history lines after its epoch are dropped
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from resnet_search.files import append_line, check_room, make_folder, read_lines, remove, replacing, write_lines
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.imagenet import normalisation
from resnet_search.networks.model import build_model
from resnet_search.networks.pretrained import freeze, load_imagenet
from resnet_search.training.arrays import Arrays
from resnet_search.training.augmentation import StoredImages, on_device, plan_epoch, plan_inputs
from resnet_search.training.checkpoint import BadCheckpointError, load_state, read_epoch, save_state
from resnet_search.training.job import ANSWERS, HISTORY, STATE, WEIGHTS, Epoch, Job, TrialFailure
from resnet_search.training.kept import KEPT
from resnet_search.training.length import HUNDREDTHS, validations
from resnet_search.training.optimizer import build_optimizer, lasting_variables
from resnet_search.training.recipe import recipe_from
from resnet_search.training.steps import (
    Alive,
    Answers,
    InTrainingMode,
    batches,
    cross_entropy,
    run_together,
    steps_per_execution,
    validation_batch,
)


def train(
    job: Job, arrays: Arrays, report: Callable[[Epoch], None], alive: Callable[[], None] = lambda: None
) -> list[Epoch]:
    """Train up to `job.epochs` and return the trial's history; `report` receives each epoch once it is on disk.

    `alive` is called after each step, possibly in another thread.

    If the parent's state is gone, the candidate is trained from its first epoch, on a processor with the same result.
    `TrialFailure` if the loss is not finite.
    """
    folder = Path(job.folder)
    make_folder(folder)
    history = _read_history(folder)
    trainer, start = _trainer_at_start(job, arrays, alive, [line.epoch for line in history])
    history = [line for line in history if line.epoch <= start]
    # At once, because the state is useless without the history lines before it.
    write_lines(folder / HISTORY, [line.to_dict() for line in history])
    # A trial that cannot continue its parent's state is validated where it would have started, too.
    again = validations(start, job.initial_epoch) if start < job.initial_epoch else []
    for end in [*again, *validations(max(start, job.initial_epoch), job.epochs)]:
        line = trainer.run(start, end)
        append_line(folder / HISTORY, line.to_dict())
        trainer.save(end)
        history.append(line)
        start = end
        report(line)
    if not (folder / WEIGHTS).is_file():
        trainer.keep_weights()
    if job.epochs < job.horizon:
        KEPT.keep(job, arrays, trainer, trainer.size)
    return history


def _trainer_at_start(
    job: Job, arrays: Arrays, alive: Callable[[], None], known: Collection[float]
) -> tuple[Trainer, float]:
    """Return a trainer, kept or new, in the state that the job starts from, and the epoch of that state."""
    on_device(arrays)  # Restores images that a failed step on JAX has taken; kept trainers share them.
    kept: Trainer | None = KEPT.take(job, arrays)
    if kept is not None:
        kept.serve(job, alive)
        start = kept.restore(known)
        if start > 0:
            return kept, start
        del kept  # Its initial weights are gone.
    trainer = Trainer(job, arrays, alive)
    return trainer, trainer.restore(known)


def _read_history(folder: Path) -> list[Epoch]:
    """Read a history; a damaged one counts as empty, and its epochs are trained again."""
    try:
        return [Epoch(**line) for line in read_lines(folder / HISTORY)]
    except (TypeError, ValueError):
        return []


class Trainer:
    """One candidate's network, optimizer and compiled steps."""

    def __init__(self, job: Job, arrays: Arrays, alive: Callable[[], None] = lambda: None) -> None:
        # Earlier networks hold reference cycles. Keras's clear_session would make kept networks compile again.
        gc.collect()
        self.serve(job, alive)
        self.arrays = arrays
        self.recipe = recipe_from(job.recipe).for_images(len(arrays.x_train))
        self.architecture = Architecture.from_dict(job.architecture)
        self.batch = self.recipe.batch_for(len(arrays.x_train))
        self.steps = len(arrays.x_train) // self.batch
        self.part = self.batch // job.parts
        mean, std = normalisation(self.architecture, self.recipe.init, arrays.mean, arrays.std)
        self.network = build_model(
            self.architecture,
            input_shape=arrays.image_shape,
            classes=len(arrays.classes),
            mean=mean,
            std=std,
            weight_decay=self.recipe.penalty,
            seed=job.seed,
            precision=job.precision,
        )
        freeze(self.network, self.recipe.frozen_stages)
        # A frozen batch norm keeps the statistics that belong to its weights.
        self.normalisations = [
            layer
            for layer in self.network.layers
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]
        self.optimizer = build_optimizer(
            self.recipe,
            horizon=job.horizon,
            steps_per_epoch=self.steps,
            parts=job.parts,
            constant_until=job.constant_until,
        )
        self.optimizer.build(self.network.trainable_variables)
        self.answers = Answers(len(arrays.x_validation))
        self.together = steps_per_execution()
        self.model = self._compile()
        self.in_training_mode = InTrainingMode(self.network)
        self.state = {"network": self.network.variables, "optimizer": lasting_variables(self.optimizer)}

    def serve(self, job: Job, alive: Callable[[], None]) -> None:
        """Take a job; all jobs of a trainer are for the same candidate."""
        self.job, self.callbacks = job, [Alive(alive)]

    @property
    def size(self) -> int:
        """Return the bytes of all variables."""
        size: int = sum(4 * math.prod(variable.shape) for group in self.state.values() for variable in group)
        return size

    def _compile(self) -> Any:
        stored = on_device(self.arrays)
        self.gathered = self.arrays.x_train if stored is None else None
        inputs = plan_inputs(None if stored is not None else self.arrays.image_shape)
        images = StoredImages(stored, self.arrays.mean, name="images")
        model = keras.Model(inputs, self.network(images(inputs)))
        # Metric objects: for names, Keras creates variables in the first step and traces it a second time.
        accuracy = keras.metrics.SparseCategoricalAccuracy
        model.compile(
            self.optimizer,
            cross_entropy(self.recipe.label_smoothing, len(self.arrays.classes)),
            metrics=[accuracy("accuracy")],
        )
        run_together(model, self.together)
        # The cross-entropy is a metric too, because Keras adds the weight decay to its loss.
        unpenalised = keras.metrics.SparseCategoricalCrossentropy("cross_entropy", from_logits=True)
        metrics = [unpenalised, accuracy("accuracy"), self.answers]
        self.network.compile(loss=cross_entropy(0.0, len(self.arrays.classes)), metrics=metrics)
        return model

    def restore(self, known: Collection[float]) -> float:
        """Continue from 1. this trial's own state, 2. its parent's, 3. the start; return the epoch reached.

        known: the epochs in the trial's history. A state without all of its scores is useless: this trial's epochs are
        then trained again.
        """
        own = Path(self.job.folder) / STATE
        first = self.job.initial_epoch
        try:
            reached = read_epoch(own)
            if reached > first and set(validations(first, reached)) <= set(known):
                return self._load(own)
        except BadCheckpointError:
            remove(own)
        if self.job.parent is not None:
            parent = Path(self.job.parent) / STATE
            with suppress(BadCheckpointError):
                if read_epoch(parent) == first:
                    return self._load(parent)
        return self._begin()

    def _load(self, path: Path) -> float:
        """Load a state, which counts whole batches, and return its epoch."""
        epoch = load_state(path, self.state)
        updates = self.state["optimizer"][0]
        updates.assign(updates * self.job.parts)
        return epoch

    def _begin(self) -> float:
        """Set the first weights: those drawn when the network was built, or ImageNet weights instead."""
        if self.recipe.init == "imagenet":
            try:
                load_imagenet(self.network, self.architecture)
            except (OSError, ValueError) as error:
                raise TrialFailure(f"the ImageNet weights cannot be read: {error}") from error
        return 0

    def run(self, start: float, end: float) -> Epoch:
        """Train from epoch `start` to `end`, which is in the same epoch or at its end, and validate."""
        begin = time.perf_counter()
        loss, accuracy = self._train(start, end)
        rate = self.recipe.learning_rate_at(end, self.job.horizon, self.job.constant_until)
        if not math.isfinite(loss):
            raise TrialFailure(f"the loss was {loss} in epoch {math.ceil(end)} (learning rate {rate:.3g})")
        trained = time.perf_counter()
        val_loss, val_accuracy = self._validate(end, keep=end == self.job.epochs)
        if not math.isfinite(val_loss):
            raise TrialFailure(f"the validation loss was {val_loss} after epoch {end:g} (learning rate {rate:.3g})")
        return Epoch(
            epoch=end,
            loss=round(loss, _DIGITS),
            accuracy=round(accuracy, _DIGITS),
            val_loss=round(val_loss, _DIGITS),
            val_accuracy=round(val_accuracy, _DIGITS),
            learning_rate=rate,
            train_seconds=round(trained - begin, 3),
            validation_seconds=round(time.perf_counter() - trained, 3),
        )

    def save(self, epoch: float) -> None:
        """Write the state at the end of `epoch` (absolute)."""
        updates, *others = self.state["optimizer"]
        steps = keras.ops.convert_to_numpy(updates) // self.job.parts
        save_state(Path(self.job.folder) / STATE, epoch, {**self.state, "optimizer": [steps, *others]})

    def keep_weights(self) -> None:
        """Write the scored weights, from the state after the last epoch."""
        self._validate(self.job.epochs, keep=True)

    def _train(self, start: float, end: float) -> tuple[float, float]:
        epoch = math.ceil(end) - 1
        plan = plan_epoch(
            self.job.seed, epoch, len(self.arrays.x_train), padding=self.recipe.crop_padding, flip=self.recipe.flip
        )
        part = slice(*(self.batch * round((at - epoch) * self.steps) for at in (start, end)))
        inputs = tuple(values[part] for values in (plan.index, plan.shift, plan.flip))
        labels = self.arrays.y_train[inputs[0]]
        shown = batches(inputs, labels, size=self.part, together=self.together, images=self.gathered)
        self.model.fit(**shown, shuffle=False, verbose=0, callbacks=self.callbacks)
        scores = self.model.get_metrics_result()
        return float(scores["loss"]), float(scores["accuracy"])

    def _validate(self, epoch: float, *, keep: bool) -> tuple[float, float]:
        """Return loss and accuracy of the averaged weights with their own batch-norm statistics; then restore all."""
        kept = [(variable, keras.ops.copy(variable)) for variable in self.network.variables]
        if hasattr(self.optimizer, "load_average"):
            self.optimizer.load_average(self.network.trainable_variables)
        if self.recipe.bn_batches and self.normalisations:
            self._estimate_statistics(epoch)
        size = validation_batch(self.arrays.x_validation.shape, part=self.part, parts=self.job.parts)
        scores = self.network.evaluate(
            **batches(self.arrays.x_validation, self.arrays.y_validation, size=size),
            verbose=0,
            callbacks=self.callbacks,
            return_dict=True,
        )
        if keep:
            self.answers.write(Path(self.job.folder) / ANSWERS)
            path = Path(self.job.folder) / WEIGHTS
            check_room(path, sum(_BYTES_PER_VARIABLE + 4 * math.prod(v.shape) for v in self.network.variables))
            with replacing(path) as partial:
                self.network.save_weights(partial)
        for variable, value in kept:
            variable.assign(value)
        return float(scores["cross_entropy"]), float(scores["accuracy"])

    def _estimate_statistics(self, epoch: float) -> None:
        """Estimate batch-norm statistics of the current weights: the mean over batches of training images.

        Moving statistics start from zero here and are divided by the total weight of the k batches, 1 - momentum^k,
        which gives a mean over the batches without the initial value.
        """
        images = min(self.recipe.bn_batches * self.batch, self.steps * self.batch)
        whole, hundredths = divmod(round(epoch * HUNDREDTHS), HUNDREDTHS)
        numbers = (whole, hundredths, 2) if hundredths else (whole - 1, 1)
        random = np.random.default_rng([self.job.seed, *numbers])
        # In random order, because a data set may be sorted by class, and batches must resemble training batches.
        chosen = random.choice(len(self.arrays.x_train), images, replace=False)
        statistics = [
            variable for layer in self.normalisations for variable in (layer.moving_mean, layer.moving_variance)
        ]
        for variable in statistics:
            variable.assign(np.zeros(variable.shape, "float32"))
        shown = batches(self.arrays.x_train[chosen], size=self.part)
        self.in_training_mode.predict(**shown, verbose=0, callbacks=self.callbacks)
        for layer in self.normalisations:
            weight = 1 - layer.momentum ** (images // self.part)
            for variable in (layer.moving_mean, layer.moving_variance):
                variable.assign(variable / weight)


# Most bytes that Keras's file needs in addition to the values (measured: 1.9 kB).
_BYTES_PER_VARIABLE = 4096
# Digits of metrics: the precision of float32.
_DIGITS = 6
