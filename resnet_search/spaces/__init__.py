"""Search spaces: what may be built and at what cost, read from TOML."""

from __future__ import annotations

from resnet_search.spaces.feasible import Feasible
from resnet_search.spaces.load import known_spaces, load_space, parse_space, shipped_spaces
from resnet_search.spaces.schema import Axes, Data, Hyperband, Limits, Range
from resnet_search.spaces.space import SearchSpace

__all__ = [
    "Axes",
    "Data",
    "Feasible",
    "Hyperband",
    "Limits",
    "Range",
    "SearchSpace",
    "known_spaces",
    "load_space",
    "parse_space",
    "shipped_spaces",
]
