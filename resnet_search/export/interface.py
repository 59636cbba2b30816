"""The names that every format has for what goes in and what comes out."""

from __future__ import annotations

from typing import Final

INPUT: Final = "images"  # uint8 (batch, height, width, channels), 0 to 255
OUTPUT: Final = "probabilities"  # float32 (batch, classes)
