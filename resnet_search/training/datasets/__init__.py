"""Data sets: from a name or a path to images in memory, and the validation split."""

from __future__ import annotations

from resnet_search.training.datasets.count import ImageCount, count_images
from resnet_search.training.datasets.duplicates import find_duplicates
from resnet_search.training.datasets.image_data import ImageData, fingerprint
from resnet_search.training.datasets.reading import RULE
from resnet_search.training.datasets.source import (
    SourceReport,
    check_source,
    check_value_range,
    describe_source,
    load_data,
)
from resnet_search.training.datasets.split import Split, split

__all__ = [
    "RULE",
    "ImageCount",
    "ImageData",
    "SourceReport",
    "Split",
    "check_source",
    "check_value_range",
    "count_images",
    "describe_source",
    "find_duplicates",
    "fingerprint",
    "load_data",
    "split",
]
