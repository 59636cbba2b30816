"""Training recipes: optimizer, learning rate, regularisation, augmentation.

The learning rate depends only on the absolute epoch (`Recipe.learning_rate_at`), not on the start of a trial: a trial
promoted from epoch 3 to epoch 9 uses the same rates as a trial that trains to epoch 9 in one go.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, Literal

from resnet_search.errors import UsageError
from resnet_search.networks.imagenet import INITS, STAGES

AUTO: Final = "auto"
Kind = Literal["float", "int", "bool", "choice", "milestones"]


@dataclass(frozen=True, slots=True)
class RecipeField:
    """The allowed values of a recipe entry, including `minimum` and `maximum`."""

    kind: Kind
    doc: str
    unit: str = ""
    minimum: float = 0.0
    maximum: float = math.inf
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """Return the allowed values in words, for messages and documentation."""
        if self.kind == "choice":
            return ", ".join(self.choices)
        if self.kind == "bool":
            return "true or false"
        if self.kind == "milestones":
            return "pairs [fraction of the horizon, factor], the fractions rising between 0 and 1"
        number = "integers" if self.kind == "int" else "numbers"
        return "".join(f"{word}, " for word in self.choices) + f"{number} from {self.minimum:g} to {self.maximum:g}"

    def accepts(self, value: Any) -> bool:
        """Return whether a value from TOML or Python is allowed. A boolean is not a number."""
        if self.kind == "choice" or isinstance(value, str):
            return isinstance(value, str) and value in self.choices
        if self.kind == "bool":
            return isinstance(value, bool)
        if self.kind == "milestones":
            return _are_milestones(value)
        if isinstance(value, bool) or not isinstance(value, int if self.kind == "int" else int | float):
            return False
        return self.minimum <= value <= self.maximum  # False for NaN.


def _are_milestones(value: Any) -> bool:
    if not isinstance(value, list | tuple):
        return False
    before = 0.0
    for pair in value:
        if not isinstance(pair, list | tuple) or len(pair) != 2:  # noqa: PLR2004 - a pair
            return False
        at, factor = pair
        if any(isinstance(x, bool) or not isinstance(x, int | float) or not math.isfinite(x) for x in pair):
            return False
        if not before < at < 1 or factor <= 0:
            return False
        before = at
    return True


def _value(default: Any, kind: Kind, doc: str, **limits: Any) -> Any:
    return field(default=default, metadata={"field": RecipeField(kind, doc, **limits)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training recipe. The defaults are the `search` recipe, for short rungs whose scores must rank well.

    Weight decay is defined as in the paper: the coefficient of the gradient term, as in SGD with L2 regularisation
    (Keras `l2(weight_decay / 2)` on every kernel; biases and batch normalisation are not decayed). Muon shrinks
    the kernels of convolutions instead, in proportion, so that the value that suits SGD suits it too.
    """

    name: str = "search"
    optimizer: str = _value(
        "muon", "choice", "muon: SGD that orthogonalises the steps of convolution kernels; sgd, with momentum; adam",
        choices=("muon", "sgd", "adam"),
    )  # fmt: skip
    learning_rate: float = _value(
        0.1, "float", "highest rate, reached after the warm-up", minimum=1e-6, maximum=10.0, unit="per step"
    )
    momentum: float = _value(0.9, "float", "momentum of SGD and Muon", maximum=0.999)
    nesterov: bool = _value(True, "bool", "Nesterov momentum")
    weight_decay: float = _value(5e-4, "float", "coefficient of the gradient term, kernels only", maximum=0.1)
    batch_size: int | str = _value(
        AUTO, "int", "images per step; auto: 16 to 128, by the number of training images, with a rate to match",
        minimum=1, maximum=8192, unit="images", choices=(AUTO,),
    )  # fmt: skip
    schedule: str = _value(
        "linear", "choice", "learning-rate schedule after the warm-up", choices=("constant", "linear", "cosine", "step")
    )
    milestones: tuple[tuple[float, float], ...] = _value(
        (), "milestones", "for the step schedule: [fraction of the horizon, factor on learning_rate]"
    )
    final_factor: float = _value(0.01, "float", "last rate divided by the highest (linear, cosine)", maximum=1.0)
    warmup_epochs: float = _value(
        0.3, "float", "linear rise from zero, at most a tenth of all epochs", maximum=100.0, unit="epochs"
    )
    init: str = _value(
        "he_normal", "choice", "first weights: random as in He et al. 2015, or ImageNet weights from "
        "keras.applications with a new head", choices=INITS,
    )  # fmt: skip
    frozen_stages: int = _value(
        0, "int", "first stages that keep the weights and batch statistics of imagenet; 1 or more: the stem, too",
        maximum=STAGES, unit="stages",
    )  # fmt: skip
    epochs: int = _value(
        0, "int", "original length of the schedule; other lengths scale it; 0: any", maximum=10_000, unit="epochs"
    )
    label_smoothing: float = _value(0.1, "float", "probability spread over all classes", maximum=0.9)
    crop_padding: int = _value(2, "int", "padding before the random crop; 0: none", maximum=64, unit="pixels")
    flip: bool = _value(True, "bool", "random horizontal flip")
    average_fraction: float = _value(
        0.2, "float", "the scored weights are averaged over about this last part of training; 0: the last weights",
        maximum=0.9,
    )  # fmt: skip
    average_epochs: float = _value(2.0, "float", "longest average", maximum=100.0, unit="epochs")
    bn_batches: int = _value(
        8, "int", "training batches to re-estimate batch-norm statistics before validation; 0: moving statistics",
        maximum=1000,
    )  # fmt: skip

    def __post_init__(self) -> None:
        for key, allowed in recipe_fields().items():
            value = getattr(self, key)
            if not allowed.accepts(value):
                raise UsageError(f"recipe {key}: got {value!r}; allowed: {allowed.allowed}")
        object.__setattr__(self, "milestones", tuple((float(at), float(factor)) for at, factor in self.milestones))
        if (self.schedule == "step") != bool(self.milestones):
            raise UsageError(
                f"recipe milestones: got {self.milestones!r} with schedule {self.schedule!r}; "
                "allowed: milestones with the step schedule, and only with it"
            )
        if self.frozen_stages and self.init != "imagenet":
            raise UsageError(
                f"recipe frozen_stages: got {self.frozen_stages} with init {self.init!r}; allowed: 0, or init "
                "'imagenet', because random weights must be trained"
            )

    def for_images(self, images: int) -> Recipe:
        """Return the recipe with the batch size and the rate for so many training images, as `for_images` does."""
        return recipe_from(for_images(self.to_dict(), images))

    def batch_for(self, images: int) -> int:
        """Return the images of a step: the batch size, or all `images` if there are fewer."""
        return min(int(self.for_images(images).batch_size), images)

    @property
    def penalty(self) -> float:
        """The coefficient of the L2 term in the gradient."""
        return 0.0 if self.optimizer == "muon" else self.weight_decay

    def learning_rate_at(self, epoch: float, horizon: float, constant_until: float = 0) -> float:
        """Return the rate of a step at `epoch` (absolute, fractional) in a schedule that is `horizon` epochs long.

        `constant_until`: a linear or cosine schedule starts to fall only at this epoch, so that the horizon can be
        chosen while a network trains ("trapezoidal" or "warm-up, stable, decay": Haegele et al. 2024).
        """
        # A warm-up longer than a tenth of a short horizon would leave nothing to anneal.
        warmup = min(self.warmup_epochs, horizon / 10)
        if epoch < warmup:
            return self.learning_rate * epoch / warmup
        return self.learning_rate * self._factor(min(epoch, horizon), max(warmup, constant_until), horizon)

    def _factor(self, epoch: float, start: float, horizon: float) -> float:
        if self.schedule == "step":
            return next((factor for at, factor in reversed(self.milestones) if epoch >= at * horizon), 1.0)
        done = max(0.0, epoch - start) / (horizon - start) if horizon > start else 0.0
        if self.schedule == "linear":
            return 1 - (1 - self.final_factor) * done
        if self.schedule == "cosine":
            return self.final_factor + (1 - self.final_factor) * (1 + math.cos(math.pi * done)) / 2
        return 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict, from which `recipe_from` makes an equal recipe."""
        return {**asdict(self), "milestones": [list(pair) for pair in self.milestones]}


# Batches of `auto`, in images, and the steps of an epoch that they leave.
_SMALLEST, LARGEST, _STEPS = 16, 128, 48


def recipe_fields() -> dict[str, RecipeField]:
    """Return every recipe entry that a space file may set, in the order of the documentation."""
    return _FIELDS


_FIELDS: dict[str, RecipeField] = {
    item.name: item.metadata["field"] for item in fields(Recipe) if "field" in item.metadata
}


def for_images(values: dict[str, Any], images: int) -> dict[str, Any]:
    """Return the values of a recipe with the batch size and rate for so many training images, if its batch is `auto`.

    The batch is the largest power of two that still makes 48 steps an epoch, between 16 and 128 images. The rate of the
    recipe is for 128 images; smaller batches get a rate in proportion to their square root.
    """
    if values.get("batch_size") != AUTO:
        return values
    batch = min(LARGEST, max(_SMALLEST, 2 ** int(math.log2(max(1, images // _STEPS)))))
    return {**values, "batch_size": batch, "learning_rate": values["learning_rate"] * math.sqrt(batch / LARGEST)}


def recipe_from(values: dict[str, Any]) -> Recipe:
    """Return recipe `values["name"]` (default `search`) with the other values put in; `UsageError` names a bad one."""
    name = values.get("name", "search")
    if name not in RECIPES:
        raise UsageError(f"recipe name: got {name!r}; allowed: {', '.join(RECIPES)}")
    changes = {key: value for key, value in values.items() if key != "name"}
    for key in changes:
        if key not in _FIELDS:
            raise UsageError(f"recipe: got the unknown value {key!r}; allowed: {', '.join(_FIELDS)}")
    return replace(RECIPES[name], **changes)


_PLAIN: dict[str, Any] = {
    "optimizer": "sgd",
    "label_smoothing": 0.0,
    "average_fraction": 0.0,
    "bn_batches": 0,
    "schedule": "step",
    "warmup_epochs": 0.0,
    "batch_size": 128,
    "crop_padding": 4,
}

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(),
        # He et al. 2015, section 4.2: rate divided by 10 at 32k and 48k of 64k iterations of 128 images, which are
        # 164 epochs of 50,000.
        Recipe(
            name="he", nesterov=False, weight_decay=1e-4, epochs=164, milestones=((0.5, 0.1), (0.75, 0.01)), **_PLAIN
        ),
        # Zagoruyko and Komodakis 2016, section 3: times 0.2 at epochs 60, 120 and 160 of 200.
        Recipe(name="wrn", epochs=200, milestones=((0.3, 0.2), (0.6, 0.04), (0.8, 0.008)), **_PLAIN),
        # Xie et al. 2017, section 4.4: divided by 10 at epochs 150 and 225 of 300.
        Recipe(name="resnext", epochs=300, milestones=((0.5, 0.1), (0.75, 0.01)), **_PLAIN),
        # The Keras example cifar10_resnet: Adam, steps after epochs 80, 120, 160 and 180 of 200, batches of 32,
        # shifts of a tenth of the width. Its l2(1e-4) is a gradient term of 2e-4.
        Recipe(
            name="adam",
            learning_rate=1e-3,
            weight_decay=2e-4,
            epochs=200,
            milestones=((0.4, 0.1), (0.6, 1e-2), (0.8, 1e-3), (0.9, 0.5e-3)),
            **{**_PLAIN, "optimizer": "adam", "batch_size": 32, "crop_padding": 3},
        ),
        # For init "imagenet": Nesterov's momentum and a cosine to zero as in Kornblith et al. 2019, "Do better ImageNet
        # models transfer better?", whose grid of rates has 0.003 in its middle; BiT (Kolesnikov et al. 2020) settles on
        # the same rate. Not measured here.
        Recipe(
            name="finetune",
            optimizer="sgd",
            learning_rate=0.003,
            weight_decay=1e-4,
            batch_size=32,
            crop_padding=4,
            schedule="cosine",
            final_factor=0.0,
            epochs=30,
        ),
    )
}
