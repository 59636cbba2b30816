"""The search space as a Keras Tuner hypermodel: for this project's own oracle, and for any tuner of Keras Tuner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import keras
import keras_tuner

from resnet_search.errors import ArchitectureError
from resnet_search.networks.architecture import Architecture, applies
from resnet_search.runs.trials import RunView
from resnet_search.spaces.schema import Range
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.recipe import recipe_from


class ResNetHyperModel(keras_tuner.HyperModel):
    """Builds and compiles the networks of a space; takes raw images (batch, height, width, channels), 0 to 255.

    The labels are class numbers, the outputs logits. An infeasible draw is a `FailedTrialError` with its reason, so a
    tuner goes on; Keras Tuner stops after three in a row unless `max_consecutive_failed_trials` is larger. The
    defaults of the hyperparameters are a feasible architecture. `mean` and `std` are grey levels a channel, None for
    those of CIFAR-10; the learning rate is the recipe's highest, constant, since a tuner does not say where in a
    schedule a trial stands.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        input_shape: tuple[int, int, int] = (32, 32, 3),
        classes: int = 10,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__(name="resnet")
        self.space, self.input_shape, self.classes = space, input_shape, classes
        self._normalisation: dict[str, Any] = {} if mean is None or std is None else {"mean": mean, "std": std}
        self._feasible = space.feasible(input_shape, classes)

    @classmethod
    def of_run(cls, view: RunView) -> Self:
        """The hypermodel of a run: its space, on images like its own."""
        data = view.content["data"]
        return cls(
            SearchSpace.from_dict(view.content["space"]),
            input_shape=tuple(data["image_shape"]),
            classes=len(data["classes"]),
            mean=data["mean"],
            std=data["std"],
        )

    def declare_hyperparameters(self, hp: Any) -> None:
        """Every hyperparameter, the conditional ones too: Keras Tuner asks for them before it builds a model."""
        for block in (*self.space.axes.block, self._feasible.architectures[0].block):
            hp.values["block"] = block
            self.declare(hp)

    def declare(self, hp: Any) -> dict[str, Any]:
        """Declare the hyperparameters that are active for the values of `hp`; these values."""
        axes = self.space.axes
        default = architecture_values(self.space, self._feasible.architectures[0])
        values = {"block": hp.Choice("block", list(axes.block), default=default["block"])}
        for axis in ("n", "depth", "width"):
            choices = getattr(axes, axis)
            if choices:
                values[axis] = hp.Choice(axis, list(choices), default=default[axis])
        for axis in ("shortcut", "cardinality", "base_width"):
            choices = getattr(axes, axis)
            having = [block for block in axes.block if applies(axis, block=block)]
            # Only where it is active: a tuner builds a model for every scope it sees inactive, with values that it
            # puts together itself and that may be infeasible. `declare_hyperparameters` shows it all of them.
            if choices and values["block"] in having:
                with hp.conditional_scope("block", having):
                    values[axis] = hp.Choice(axis, list(choices), default=default.get(axis, choices[0]))
        for key, value in sorted(self.space.recipe.items()):
            if isinstance(value, Range):
                kind = hp.Int if isinstance(value.min, int) and isinstance(value.max, int) else hp.Float
                values[key] = kind(key, value.min, value.max, sampling="log" if value.log else "linear")
            elif key not in self.space.fixed_recipe:
                values[key] = hp.Choice(key, list(value))
        return values

    def architecture(self, hp: Any) -> Architecture:
        """The architecture that `hp` means; `FailedTrialError` if it is not feasible."""
        values = self.declare(hp)
        axes = {axis: value for axis, value in values.items() if axis not in self.space.recipe}
        try:
            architecture = Architecture.from_axes(**axes)
        except ArchitectureError as error:
            raise keras_tuner.errors.FailedTrialError(error.message) from error
        if architecture not in self._feasible.architectures:
            raise keras_tuner.errors.FailedTrialError(
                f"{architecture.name} is outside the limits of {self.space.name}: {self.space.limits}"
            )
        return architecture

    def build(self, hp: Any) -> Any:
        """The compiled network of `hp`."""
        from resnet_search.networks.model import build_model

        architecture = self.architecture(hp)
        drawn = {key: hp.values[key] for key in self.space.recipe if key in hp.values}
        recipe = recipe_from({**self.space.fixed_recipe, **drawn})
        model = build_model(
            architecture,
            input_shape=self.input_shape,
            classes=self.classes,
            weight_decay=recipe.weight_decay,
            **self._normalisation,
        )
        optimizer: Any = (
            keras.optimizers.SGD(recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov)
            if recipe.optimizer == "sgd"
            else keras.optimizers.Adam(recipe.learning_rate)
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"])
        return model


def architecture_values(space: SearchSpace, architecture: Architecture) -> dict[str, Any]:
    """An architecture of a space as values of the hyperparameters that `declare` makes for it."""
    values: dict[str, Any] = {"block": architecture.block}
    if space.axes.depth:
        values["depth"] = architecture.depth
    else:
        values["n"] = architecture.blocks[0]
    values["width"] = architecture.width
    for axis in ("shortcut", "cardinality", "base_width"):
        if getattr(space.axes, axis) and applies(axis, block=architecture.block):
            values[axis] = getattr(architecture, axis)
    return values
