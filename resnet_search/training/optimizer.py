"""Optimizers of a recipe, which keep averaged weights next to the trained ones.

The average is exponential, with a window that grows with the number of steps up to a limit: after t steps it covers
about the last `fraction` of the steps (Shamir and Zhang 2013, polynomial-decay averaging). So it means the same after
one epoch as after thirty, and depends only on the step.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from resnet_search.training.recipe import Recipe
from resnet_search.training.sgd import SGD, Muon


class TableSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of each step, from a table that `Recipe.learning_rate_at` fills.

    Keras calls it once for each of the `parts` of a batch.
    """

    def __init__(
        self, recipe: Recipe, horizon: int, steps_per_epoch: int, parts: int = 1, constant_until: float = 0
    ) -> None:
        self.parts = parts
        steps = horizon * steps_per_epoch
        # At the middle of a step, so that the first step of a warm-up does not have a rate of zero.
        self.rates = np.array(
            [recipe.learning_rate_at((step + 0.5) / steps_per_epoch, horizon, constant_until) for step in range(steps)],
            "float32",
        )

    def __call__(self, step: Any) -> Any:
        last = len(self.rates) - 1
        step = ops.minimum(ops.cast(step, "int32") // self.parts, last)
        return ops.take(ops.convert_to_tensor(self.rates), step, axis=0)

    def get_config(self) -> dict[str, Any]:
        return {"rates": self.rates.tolist(), "parts": self.parts}


class _Averaging:
    """A mixin for Keras optimizers: Keras's moving average with a growing window, swapped in only on request."""

    window_fraction: float
    window_limit: float
    iterations: Any
    _iterations: Any
    _model_variables_moving_average: list[Any]
    gradient_accumulation_steps: int | None
    _average_momentum: Any = 0.0

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Take a step; the weight of the average is computed once for all variables."""
        self._average_momentum = self._momentum_now()
        super().apply(grads, trainable_variables)  # type: ignore[misc]

    def _momentum_now(self) -> Any:
        """Return 1 - 1/window, with a window of at least one step."""
        step = ops.cast(self.iterations, "float32") + 1.0
        momentum = 1.0 - 1.0 / ops.maximum(1.0, ops.minimum(step * self.window_fraction, self.window_limit))
        parts = self.gradient_accumulation_steps
        # Keras averages after every part of a batch; the weights change after the last one.
        return ops.where((self._iterations + 1) % parts == 0, momentum, 1.0) if parts else momentum

    @property
    def ema_momentum(self) -> Any:
        """Return the share of the average that Keras keeps at a step."""
        return self._average_momentum

    @ema_momentum.setter
    def ema_momentum(self, value: float) -> None:
        """Ignore the constant that Keras's constructor sets."""

    def finalize_variable_values(self, var_list: Any) -> None:
        """Do nothing; Keras would replace the weights by the average after every fit and continue training from it."""

    def load_average(self, variables: Any) -> None:
        """Assign copies of the averaged weights to `variables`; copies, because JAX donates a model's buffers."""
        for variable, average in zip(variables, self._model_variables_moving_average, strict=True):
            variable.assign(ops.copy(average))


class _AveragingSGD(_Averaging, SGD):
    pass


class _AveragingMuon(_Averaging, Muon):
    pass


class _AveragingAdam(_Averaging, keras.optimizers.Adam):
    pass


def build_optimizer(
    recipe: Recipe, *, horizon: int, steps_per_epoch: int, parts: int = 1, constant_until: float = 0
) -> Any:
    """Return the recipe's optimizer with its schedule of `horizon` epochs; with `load_average` if the recipe averages.

    `parts`: the number of parts of a batch over which gradients are averaged before a step. `constant_until`: see
    `Recipe.learning_rate_at`.
    """
    averages = recipe.average_fraction > 0
    schedule = TableSchedule(recipe, horizon, steps_per_epoch, parts, constant_until)
    options = _options(recipe) | {"learning_rate": schedule}
    if parts > 1:
        options["gradient_accumulation_steps"] = parts
    if averages:
        options["use_ema"] = True
    optimizer = (_AVERAGING if averages else _PLAIN)[recipe.optimizer](**options)
    if averages:
        optimizer.window_fraction = recipe.average_fraction
        optimizer.window_limit = max(1.0, recipe.average_epochs * steps_per_epoch)
    return optimizer


def constant_rate_optimizer(recipe: Recipe) -> Any:
    """Return the recipe's optimizer at its highest rate, without an average."""
    return _PLAIN[recipe.optimizer](**_options(recipe), learning_rate=recipe.learning_rate)


def _options(recipe: Recipe) -> dict[str, Any]:
    if recipe.optimizer == "adam":
        return {"name": recipe.optimizer}
    options = {"name": recipe.optimizer, "momentum": recipe.momentum, "nesterov": recipe.nesterov}
    return {**options, "decay": _DECAY * recipe.weight_decay} if recipe.optimizer == "muon" else options


# Muon's decay over the weight decay that suits SGD (docs/decisions.md).
_DECAY = 40.0
_PLAIN: dict[str, Any] = {"muon": Muon, "sgd": SGD, "adam": keras.optimizers.Adam}
_AVERAGING: dict[str, Any] = {"muon": _AveragingMuon, "sgd": _AveragingSGD, "adam": _AveragingAdam}


def lasting_variables(optimizer: Any) -> list[Any]:
    """Return the variables of an optimizer that outlive a step, its update count first; gradient sums are left out."""
    return [variable for variable in optimizer.variables if "gradient_accumulator" not in variable.name]
