"""The search space as a Keras Tuner hypermodel, for this project's oracle and for any tuner of Keras Tuner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import keras
import keras_tuner

from resnet_search.errors import ArchitectureError
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.networks.imagenet import normalisation, sources_of
from resnet_search.networks.presets import preset
from resnet_search.runs.trials import RunView
from resnet_search.spaces.points import Points, architecture_of, values_of
from resnet_search.spaces.schema import BLOCKS_WITH, KEYS, Axes, Range, has_axis
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.recipe import recipe_from
from resnet_search.training.weights import provide


class ResNetHyperModel(keras_tuner.HyperModel):
    """Builds and compiles the networks of a space; takes raw images (batch, height, width, channels), 0 to 255.

    The labels are class numbers, the outputs logits. An infeasible draw raises a `FailedTrialError` with its reason, so
    a tuner continues; Keras Tuner stops after three in a row unless `max_consecutive_failed_trials` is larger. The
    defaults of the hyperparameters form a feasible architecture. `mean` and `std`: grey levels for each channel, None
    for those of CIFAR-10. The learning rate is constant, the recipe's highest, since a tuner does not say at which step
    of a schedule a trial is.
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
        """Return the hypermodel of a run: its space, for images like its own."""
        data = view.content["data"]
        return cls(
            SearchSpace.from_dict(view.content["space"]),
            input_shape=tuple(data["image_shape"]),
            classes=len(data["classes"]),
            mean=data["mean"],
            std=data["std"],
        )

    def declare_hyperparameters(self, hp: Any) -> None:
        """Declare every hyperparameter, even conditional ones: Keras Tuner asks for them before it builds a model."""
        default = architecture_values(self.space, self._feasible.architectures[0])
        for fixed in (*(scope.fixed for scope in Points(self.space.axes).scopes), default):
            hp.values |= {axis: value for axis, value in fixed.items() if axis in ("block", "attention")}
            self.declare(hp)

    def declare(self, hp: Any) -> dict[str, Any]:
        """Declare the hyperparameters that are active for the values of `hp`, and return their values.

        There is one for each axis, with its name; a list of stages, which Keras Tuner does not support, is written as
        "3x4x6x3".
        """
        axes = self.space.axes
        default = architecture_values(self.space, self._feasible.architectures[0])
        values: dict[str, Any] = {}
        for axis in KEYS["axes"]:
            choices = [_scalar(value) for value in getattr(axes, axis)]
            # Only in active scopes: for every inactive scope it sees, a tuner builds a model from values of its own,
            # which may be infeasible. `declare_hyperparameters` shows it all hyperparameters.
            if choices and ("block" not in values or has_axis(axis, values["block"], values.get("attention", "none"))):
                with _scope(hp, axis, axes):
                    values[axis] = _choose(hp, axis, choices, default.get(axis, choices[0]))
        for key, value in sorted(self.space.recipe.items()):
            if isinstance(value, Range):
                kind = hp.Int if isinstance(value.min, int) and isinstance(value.max, int) else hp.Float
                values[key] = kind(key, value.min, value.max, sampling="log" if value.log else "linear")
            elif key not in self.space.fixed_recipe:
                values[key] = _choose(hp, key, list(value), value[0])
        return values

    def architecture(self, hp: Any) -> Architecture:
        """Return the architecture of the values in `hp`; `FailedTrialError` if it is not feasible."""
        if "preset" in hp.values:  # A baseline of a run.
            return preset(hp.values["preset"]).architecture
        values = self.declare(hp)
        axes = {
            axis: next(choice for choice in getattr(self.space.axes, axis) if _scalar(choice) == value)
            for axis, value in values.items()
            if axis in KEYS["axes"]
        }
        try:
            architecture = architecture_of(axes)
        except ArchitectureError as error:
            raise keras_tuner.errors.FailedTrialError(error.message) from error
        cost = complexity(architecture, self.input_shape, self.classes)
        exceeded = self.space.limits.exceeded(cost.trainable, cost.macs)
        if exceeded:
            raise keras_tuner.errors.FailedTrialError(
                f"{architecture.name} is outside the limits of {self.space.name}: {exceeded}"
            )
        return architecture

    def build(self, hp: Any) -> Any:
        """Build and compile the network of `hp`, with the initial weights of its recipe."""
        from resnet_search.networks.model import build_model
        from resnet_search.networks.pretrained import freeze, load_imagenet
        from resnet_search.training.optimizer import constant_rate_optimizer

        architecture = self.architecture(hp)
        drawn = {key: hp.values[key] for key in self.space.recipe if key in hp.values}
        recipe = recipe_from({**self.space.fixed_recipe, **drawn})
        pretrained = recipe.init == "imagenet"
        expected = dict(zip(("mean", "std"), normalisation(architecture, recipe.init, (), ()), strict=True))
        model = build_model(
            architecture,
            input_shape=self.input_shape,
            classes=self.classes,
            weight_decay=recipe.penalty,
            **(expected if pretrained else self._normalisation),
        )
        if pretrained:
            provide(sources_of([architecture]))
            load_imagenet(model, architecture)
            freeze(model, recipe.frozen_stages)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(constant_rate_optimizer(recipe), loss, metrics=["accuracy"])
        return model


def architecture_values(space: SearchSpace, architecture: Architecture) -> dict[str, Any]:
    """Return an architecture of a space as values of the hyperparameters that `declare` makes."""
    return {axis: _scalar(value) for axis, value in values_of(space.axes, architecture).items()}


def _scalar(value: Any) -> Any:
    """Convert a value of an axis to a type that Keras Tuner supports."""
    return "x".join(f"{number:g}" for number in value) if isinstance(value, tuple) else value


def _choose(hp: Any, name: str, choices: list[Any], default: Any) -> Any:
    if not isinstance(default, bool):
        return hp.Choice(name, choices, default=default)
    # A Choice would turn booleans into integers.
    return hp.Boolean(name, default=default) if len(choices) > 1 else hp.Fixed(name, value=default)


@contextmanager
def _scope(hp: Any, axis: str, axes: Axes) -> Iterator[None]:
    """Enter the conditions under which an axis applies."""
    having = [block for block in axes.block if has_axis(axis, block)]
    with ExitStack() as conditions:
        if axis in BLOCKS_WITH:
            conditions.enter_context(hp.conditional_scope("block", having))
        if axis == "attention_ratio":
            conditions.enter_context(hp.conditional_scope("attention", ["se"]))
        yield
