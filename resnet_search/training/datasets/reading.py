"""How images are read from any source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Of reading and dividing images. 1, of runs that record none: every image is divided by itself, whole numbers up to 255
# are bytes and all of more than 8 bits have 16.
RULE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How images are read.

    `image_size`: pixels a side; None keeps the images' own size. `value_range`: the values that are black and white,
    where they are not certain. `rule`: the number of the rules to read by, for runs of earlier versions.
    """

    image_size: int | None = 32
    value_range: tuple[float, float] | None = None
    rule: int = RULE

    @property
    def certain(self) -> bool:
        """Whether a range of values that is not certain is an error; the first rules had no such error."""
        return self.rule > 1
