"""What the numbers in images mean: one rule from values to bytes for training, for `predict` and for exports.

Bytes are certain. Other numbers are certain only if they use the upper half of a usual range: fractions of 0 to 1,
whole numbers of 0 to 255, and whole numbers of 9 to 16 bits. For everything else the user states the range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from resnet_search.errors import DataError

if TYPE_CHECKING:  # A plan imports this package, and does not wait for NumPy.
    import numpy as np
    from numpy.typing import NDArray

OPTION: Final = "--value-range"
BRIGHTEST: Final = 255
_BYTE, _DEEPEST = 8, 16  # bits
_HALF_LEVEL = 0.5 / BRIGHTEST  # of 1; what is less than half a grey level outside a range is a rounding error
_NOT_WHOLE = 1e-3
_OTHER_SCALE = 4  # times as bright
_FRACTIONS, _WHOLE = "fractions of 0 to 1", "whole numbers of 0 to"

Of = Literal["arrays", "files", "deep"]


@dataclass(frozen=True, slots=True)
class Values:
    """The values of black and white, and the arrays that they apply to.

    `of`: "arrays" of numbers; all image "files", because the range was stated; or only "deep" files, of more
    than 8 bits, by the range of the set.
    """

    low: float
    high: float
    of: Of

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def of_files(self) -> Values | None:
        """What numbers in files mean to a network that was trained on images of these values; None: as without.

        The range of arrays holds for files only if it has more than 8 bits: files of 8 bits have a range of their own.
        """
        if self.of != "arrays":
            return self
        return replace(self, of="deep") if self.high > BRIGHTEST else None

    @property
    def shift(self) -> int:
        """The number of lower bits that are left out, if the range is that of 9 to 16 bits; else 0."""
        return shift_of(self.low, self.high)

    def outside(self, low: float, high: float) -> bool:
        """Return whether values from `low` to `high` leave the range by more than a rounding error."""
        slack = _HALF_LEVEL * (self.high - self.low)
        return low < self.low - slack or high > self.high + slack

    def to_bytes(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the bytes of pixels of any shape: the upper 8 of more bits, else the nearest of 256 equal steps."""
        import numpy as np

        if pixels.dtype in (np.uint8, np.uint16):  # Looked up: arithmetic would take eight bytes for each.
            table = self.to_bytes(np.arange(np.iinfo(pixels.dtype).max + 1))
            looked_up: NDArray[np.uint8] = table[pixels]
            return looked_up
        if self.shift:
            levels: NDArray[np.int64] = np.floor(pixels).clip(self.low, self.high).astype(np.int64)
            return (levels >> self.shift).astype(np.uint8)
        scaled = pixels if pixels.dtype == np.float32 else pixels.astype(np.float64)
        scaled = scaled if self.low == 0 else scaled - self.low
        return np.rint(scaled * (BRIGHTEST / (self.high - self.low))).clip(0, BRIGHTEST).astype(np.uint8)


def shift_of(low: float, high: float) -> int:
    """Return by how many bits values of a range are shifted to be bytes; 0 for ranges that are not of 9 to 16 bits."""
    bits = int(high).bit_length()
    return bits - _BYTE if low == 0 and _BYTE < bits <= _DEEPEST and high == 2**bits - 1 else 0


@dataclass(frozen=True, slots=True)
class Extent:
    """The values of a part of a data set: the smallest, the largest, and whether all are whole numbers."""

    low: float
    high: float
    whole: bool

    @classmethod
    def of(cls, pixels: NDArray[Any]) -> Extent:
        """The extent of an array that is not empty; NaN and infinity make it infinite."""
        import numpy as np

        low, high = float(pixels.min()), float(pixels.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            return cls(-math.inf, math.inf, whole=False)
        return cls(low, high, pixels.dtype.kind in "ui" or bool((np.abs(pixels - np.rint(pixels)) < _NOT_WHOLE).all()))

    def __or__(self, other: Extent) -> Extent:
        return Extent(min(self.low, other.low), max(self.high, other.high), self.whole and other.whole)

    @property
    def _fractions(self) -> bool:
        return not Values(0, 1, "arrays").outside(self.low, self.high)

    @property
    def range(self) -> tuple[float, float] | None:
        """Return the only usual range whose upper half the values use; None if several or no ranges fit."""
        if self._fractions and not self.whole:
            return (0, 1) if self.high > 0.5 else None  # noqa: PLR2004
        if not self.whole or round(self.low) < 0 or round(self.high) >= 2**_DEEPEST:
            return None
        bits = max(_BYTE, round(self.high).bit_length())
        return (0, 2**bits - 1) if self.high >= 2 ** (bits - 1) else None

    def fits(self, found: tuple[float, float]) -> bool:
        """Return whether these values can be of a range that other values of the set have."""
        return self.range == found or (found == (0, 1) and self._fractions and self.high > 0.5)  # noqa: PLR2004


def range_of(extents: Mapping[str, Extent], where: str) -> tuple[float, float]:
    """Return the range of a data set's values, `extents` by the names of its parts.

    `DataError` if it is not certain, or if the parts have different scales.
    """
    whole = None
    for extent in extents.values():
        whole = extent if whole is None else whole | extent
    found = {name: extent.range for name, extent in extents.items()}
    ranges = {one for one in found.values() if one is not None}
    common = whole.range if whole is not None and whole.range in ranges else next(iter(ranges), None)
    if common is not None and all(extent.fits(common) for extent in extents.values()):
        return common
    values = "; ".join(f"{name}: {_told(extent, found[name])}" for name, extent in extents.items())
    what = "have different scales" if len(ranges) > 1 else "have a range that is not certain"
    raise DataError(f"{where}: the values of the images {what}: {values}", _cure(whole))


def _told(extent: Extent, found: tuple[float, float] | None) -> str:
    kind = "" if extent.whole else " in fractions"
    meaning = "" if found is None else f", which means {_FRACTIONS if found[1] == 1 else f'{_WHOLE} {found[1]}'}"
    return f"{extent.low:g} to {extent.high:g}{kind}{meaning}"


def _cure(whole: Extent | None) -> str:
    known = whole is not None and math.isfinite(whole.high) and whole.low < whole.high
    example = f"{whole.low:g},{whole.high:g}" if known and whole is not None else "0,255"
    return (
        f"Bring train and test to one scale, and state which values are black and white: {OPTION} LOW,HIGH, such as "
        f"{OPTION} {example}, or value_range under [data] of the space."
    )


def check_within(extents: Mapping[str, Extent], values: Values, where: str) -> None:
    """Raise DataError if values of a part leave the stated range by more than a rounding error."""
    for name, extent in extents.items():
        if values.outside(extent.low, extent.high):
            raise DataError(
                f"{where}: the values of {name} go from {extent.low:g} to {extent.high:g}, outside "
                f"{OPTION} {values.low:g},{values.high:g}",
                f"State a range that holds all values: {OPTION} LOW,HIGH.",
            )


def check_scales(train: int, test: int, where: str) -> None:
    """Raise DataError if the brightest bytes of train and test are so far apart that their scales must differ."""
    if min(train, test) * _OTHER_SCALE <= max(train, test) and max(train, test) > BRIGHTEST // 2:
        raise DataError(
            f"{where}: the brightest value is {train} in train and {test} in test, which suggests different scales",
            f"Bring both to one scale. If they are, say so: {OPTION} 0,{BRIGHTEST}.",
        )


def is_range(value: Any) -> bool:
    """Return whether a value is a range: two finite numbers, the lower first."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 2  # noqa: PLR2004
        and all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in value)
        and value[0] < value[1]
    )
