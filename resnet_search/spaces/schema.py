"""What a space file may hold: one frozen dataclass a table, one field a key, each with its range, unit and meaning.

The dataclasses are the schema. `check.py` reads it to validate a file, a test reads it to see that `docs/spaces.md`
names every key; [recipe] has the same in `training.recipe.recipe_fields`.
"""

from __future__ import annotations

import math
import random
import re
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from resnet_search.networks.architecture import BLOCKS, SHORTCUTS, applies
from resnet_search.networks.dialect import ACTIVATIONS, ATTENTIONS, STEMS
from resnet_search.networks.presets import PRESETS
from resnet_search.spaces.key import Key, Kind
from resnet_search.training.datasets.values import is_range
from resnet_search.training.length import HUNDREDTHS

DATA_NAMES = ("cifar10", "shapes")
TRACKERS = ("tensorboard", "mlflow", "wandb")
MAX_EPOCHS = 10_000
MAX_TEXT = 1_000  # characters of a description or a path; a terminal shows no more with sense


def is_text(value: Any) -> bool:
    """A string that a terminal can show: printable and of a sensible length."""
    return isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()


def is_source(value: Any) -> bool:
    """`cifar10`, `shapes`, `tfds:NAME` or a path; a bare word is a name, so that a typo is no missing folder."""
    if not is_text(value):
        return False
    if value.startswith("tfds:"):
        return len(value) > len("tfds:")
    return value in DATA_NAMES or any(mark in value for mark in "/\\.")


def is_share(value: Any) -> bool:
    """A number of images, or a fraction of the training images strictly between 0 and 1."""
    if isinstance(value, float):
        return 0 < value < 1
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10**7


def is_length(value: Any) -> bool:
    """A number of epochs: an integer, or a part of one epoch."""
    if isinstance(value, float):
        return 1 / HUNDREDTHS <= value < 1
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_EPOCHS


def band(text: Any) -> tuple[int, int] | None:
    """Return the bounds that "70k +- 5 %" stands for, `(66_500, 73_500)`; None for anything else."""
    found = _BAND.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= MAX_TEXT else None
    if found is None:
        return None
    middle = float(found["number"]) * _FACTORS[found["factor"].lower()]
    share = float(found["share"]) / 100
    low, high = math.ceil(round(middle * (1 - share), 3)), math.floor(round(middle * (1 + share), 3))
    return (low, high) if 1 <= low <= high <= MAX_PARAMS and share < 1 else None


MAX_PARAMS = 10**10
_FACTORS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}
_BAND = re.compile(
    r"(?P<number>\d{1,12}(\.\d{1,9})?) ?(?P<factor>[kKmMgG]?) ?(\+-|\+/-|±) ?(?P<share>\d{1,3}(\.\d{1,9})?) ?%",
    re.ASCII,
)


def _key(kind: Kind, doc: str, *, default: Any = MISSING, **rest: Any) -> Any:
    return field(default=default, metadata={"key": Key(kind, doc, **rest)})


def _axis(kind: Kind, doc: str, **rest: Any) -> Any:
    return _key(kind, doc, default=(), many=True, **rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """[axes]: the values every architecture is put together from; () where an axis is not given.

    Either `models` alone has values, or `block`, `width` and exactly one of `n`, `depth` and `blocks` have.
    """

    block: tuple[str, ...] = _axis("str", "residual block, or plain without shortcuts", choices=BLOCKS)
    n: tuple[int, ...] = _axis("int", "blocks in each of the three stages", high=100, unit="blocks")
    depth: tuple[int, ...] = _axis(
        "int", "layers with weights, instead of n: 6n+2, or 9n+2 for blocks of three layers",
        low=8, high=1_000, unit="layers",
    )  # fmt: skip
    blocks: tuple[tuple[int, ...], ...] = _axis(
        "int", "blocks in each stage, instead of n: [3, 4, 6, 3]", high=100, unit="blocks", stages=True
    )
    width: tuple[int, ...] = _axis(
        "int", "channels of the stem and of the first stage's blocks; doubles each stage", high=1_024, unit="channels"
    )
    shortcut: tuple[str, ...] = _axis(
        "str", "identity with zero channels (A), projection (B), all_projection (C), avgpool (D)",
        choices=SHORTCUTS,
    )  # fmt: skip
    cardinality: tuple[int, ...] = _axis(
        "int", "groups of a resnext block's 3x3 convolution", high=1_024, unit="groups"
    )
    base_width: tuple[int, ...] = _axis(
        "int", "channels of one group in the first stage; without it a resnext block's inner width is 2*width",
        high=1_024, unit="channels",
    )  # fmt: skip
    attention: tuple[str, ...] = _axis("str", "se: squeeze-and-excitation on the branch", choices=ATTENTIONS)
    attention_ratio: tuple[int, ...] = _axis("int", "channels over those between squeeze and excitation", high=256)
    stem: tuple[str, ...] = _axis(
        "str", "cifar: conv3; imagenet: conv7/2 and max-pool/2; deep: three conv3 instead of conv7",
        choices=STEMS,
    )  # fmt: skip
    multiples: tuple[tuple[float, ...], ...] = _axis(
        "float", "of width in each stage", low=0.0625, high=64, stages=True
    )
    activation: tuple[str, ...] = _axis("str", "behind each norm", choices=ACTIVATIONS)
    dropout: tuple[float, ...] = _axis("float", "rate between the convolutions of a wide block", low=0, high=0.9)
    stochastic_depth: tuple[float, ...] = _axis(
        "float", "probability at which the last block is dropped, falling to 0 at the first",
        low=0, high=0.9,
    )  # fmt: skip
    zero_gamma: tuple[bool, ...] = _axis("bool", "last batch norm of each branch starts at 0")
    models: tuple[str, ...] = _axis(
        "str", "whole networks, instead of all other axes", choices=tuple(PRESETS),
        words='names that `resnet-search models` lists, as "resnet-20"',
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """[limits]: what an architecture may cost; a limit itself is allowed."""

    max_params: int | None = _key("int", "trainable parameters", default=None, high=MAX_PARAMS, unit="parameters")
    min_params: int | None = _key(
        "int", "at least so many trainable parameters", default=None, high=MAX_PARAMS, unit="parameters"
    )
    params: str | None = _key(
        "str", "both at once, to compare networks of one size", default=None, test=lambda text: band(text) is not None,
        words='a number and a tolerance, as "70k +- 5 %"', unit="parameters",
    )  # fmt: skip
    max_macs: int | None = _key(
        "int", "multiply-adds of one image's forward pass", default=None, high=10**14, unit="multiply-adds"
    )

    def exceeded(self, params: int, macs: int) -> str:
        """The limit that a network of this cost is outside of, in words; empty if it is inside."""
        if self.max_params is not None and params > self.max_params:
            return f"more than {self.max_params:,} parameters"
        if self.min_params is not None and params < self.min_params:
            return f"fewer than {self.min_params:,} parameters"
        if self.max_macs is not None and macs > self.max_macs:
            return f"more than {self.max_macs:,} multiply-adds"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperband:
    """[hyperband]: Li et al. 2018; 27 and 3 make brackets of 27, 12, 6 and 4 first trials."""

    max_epochs: int = _key("int", "epochs of the longest trials", default=27, high=MAX_EPOCHS, unit="epochs")
    min_epochs: float = _key(
        "int", "epochs of the shortest trials, the minimum resource of Li et al.; at most max_epochs", default=1,
        test=is_length, words=f"integers from 1 to {MAX_EPOCHS:,}, or a fraction of an epoch, at least 0.01",
        unit="epochs",
    )  # fmt: skip
    final_epochs: int | None = _key(
        "int", "epochs to which the best candidate is trained at the end of the search; without it, max_epochs",
        default=None, high=MAX_EPOCHS, unit="epochs",
    )  # fmt: skip
    factor: int = _key("int", "one in `factor` of a rung's trials is promoted", default=3, low=2, high=100)
    iterations: int = _key("int", "times that all brackets are gone through", default=1, high=1_000)
    promotion: str = _key(
        "str", "when a trial is promoted: once it is sure to be among a rung's best, or as soon as it is so far",
        default="sync",
        choices=("sync", "async"),
    )  # fmt: skip
    sampler: str = _key(
        "str", "how candidates are drawn: at random, or by a model of the results so far", default="random",
        choices=("random", "model"),
    )  # fmt: skip
    promote_by: str = _key(
        "str", "what the best of a rung have: the lowest validation loss, or the highest accuracy; the winner has the "
        "highest accuracy either way", default="loss", choices=("loss", "accuracy"),
    )  # fmt: skip

    @property
    def has_final(self) -> bool:
        """Whether a final training follows the search."""
        return self.final_epochs is not None and self.final_epochs > self.max_epochs

    @property
    def ticks(self) -> int:
        """Steps per epoch where steps must be integers: 100 if rungs may end inside an epoch, otherwise 1."""
        return HUNDREDTHS if self.min_epochs < 1 else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """[data]: the images, and the part of train that scores the trials."""

    source: str = _key(
        "str", "where the images come from", default="cifar10", choices=DATA_NAMES, test=is_source,
        words='"cifar10", "shapes", "tfds:NAME", or a path, known by a "/" or a "." in it (./photos, images.npz)',
    )  # fmt: skip
    # 5,000 of CIFAR-10's 50,000 images: He et al. 2015, section 4.2, choose on a 45k/5k split.
    validation: int | float = _key(
        "int", "the part of the training images held back to score trials", default=0.1, unit="images or fraction",
        test=is_share, words="a number of images from 1, or a fraction above 0 and below 1",
    )  # fmt: skip
    image_size: int = _key(
        "int", "height and width that all images are stretched to, from any source", default=32, low=8, high=512,
        unit="pixels",
    )  # fmt: skip
    value_range: tuple[float, float] | None = _key(
        "float", "the values that are black and white, if the images' numbers do not show it", default=None,
        test=is_range, words="two numbers, the lower first: [0, 16]",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Range:
    """A recipe value drawn for each trial: uniform from `min` to `max`, or in its logarithm."""

    min: float
    max: float
    log: bool = False

    def draw(self, rng: random.Random) -> float:
        """One value; a whole number, both ends included, where both ends are whole numbers."""
        if isinstance(self.min, int) and isinstance(self.max, int):
            if not self.log:
                return rng.randint(self.min, self.max)
            # Half a step beyond each end, so that after rounding the ends are as likely as their neighbours.
            drawn = round(math.exp(rng.uniform(math.log(self.min - 0.5), math.log(self.max + 0.5))))
            return min(max(drawn, self.min), self.max)
        if self.log:
            drawn_log = math.exp(rng.uniform(math.log(self.min), math.log(self.max)))
            return min(max(drawn_log, self.min), self.max)
        return rng.uniform(self.min, self.max)


TABLES: dict[str, type[Axes | Limits | Hyperband | Data]] = {
    "axes": Axes,
    "limits": Limits,
    "hyperband": Hyperband,
    "data": Data,
}
KEYS: dict[str, dict[str, Key]] = {
    table: {item.name: item.metadata["key"] for item in fields(cls)} for table, cls in TABLES.items()
}
DESCRIPTION = Key("str", "one line on what is searched", test=is_text, words="one line of text")
METHOD = Key(
    "str", "hyperband, or grid: every architecture once, for max_epochs", choices=("hyperband", "grid")
)  # fmt: skip

TRACK = Key("str", "trackers that follow every candidate while it trains", choices=TRACKERS, many=True)

SIZES = ("n", "depth", "blocks")  # the numbers of blocks, in one of three ways


def has_axis(axis: str, block: str, attention: str = "se") -> bool:
    """Whether an axis means something for a block with this attention; if not, it makes no more networks of it."""
    if attention != "none" and not applies("attention", block=block):
        attention = "none"
    return applies(axis, block=block, attention=attention)


# Axes that only some blocks have: with none of these blocks in the space, such a key would do nothing.
BLOCKS_WITH: dict[str, tuple[str, ...]] = {
    axis: having
    for axis in KEYS["axes"]
    if len(having := tuple(block for block in BLOCKS if has_axis(axis, block))) < len(BLOCKS)
}
