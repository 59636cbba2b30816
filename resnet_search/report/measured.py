"""Measurements on labelled images as plain values, each number with its 95 % interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bin:
    """A bin of the reliability diagram: the images whose confidence is above `low` and at most `high`.

    `confidence`: their mean. `accuracy`: the share that is right.
    """

    low: float
    high: float
    images: int
    confidence: float
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well confidences match the shares of right answers.

    `error`: the expected calibration error. `chance`: the error that 95 % of perfectly calibrated networks with these
    confidences stay below on this number of images. `bins`: the bins with images, from low to high confidence.
    """

    error: Estimate
    chance: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The measurements of a network on labelled images.

    `top5`: None if there are at most five classes. `per_class`: the share of right answers for each class, None for a
    class without images. `confusion[i][j]`: the number of images of class i that were classified as class j.
    """

    images: int
    classes: tuple[str, ...]
    top1: Estimate
    top5: Estimate | None
    per_class: tuple[Estimate | None, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration: Calibration

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Invert `to_dict`, also after JSON; `KeyError` or `TypeError` for anything else."""
        calibration = values["calibration"]
        bins = tuple(Bin(**{**part, "accuracy": Estimate(**part["accuracy"])}) for part in calibration["bins"])
        return cls(
            images=values["images"],
            classes=tuple(values["classes"]),
            top1=Estimate(**values["top1"]),
            top5=_estimate(values["top5"]),
            per_class=tuple(map(_estimate, values["per_class"])),
            confusion=tuple(map(tuple, values["confusion"])),
            calibration=Calibration(Estimate(**calibration["error"]), calibration["chance"], bins),
        )


def _estimate(values: dict[str, float] | None) -> Estimate | None:
    return None if values is None else Estimate(**values)
