"""The names of the input and the output, the same in every format."""

from __future__ import annotations

from typing import Final

INPUT: Final = "images"  # uint8 (batch, height, width, channels), 0 to 255
OUTPUT: Final = "probabilities"  # float32 (batch, classes)
# A second signature of the SavedModel, for networks whose images were not bytes: float32 values as they were read.
VALUES: Final = "values"
