"""Spaces that several test modules of this wing use."""

from __future__ import annotations

import pytest

from resnet_search.spaces import SearchSpace, load_space, shipped_spaces


@pytest.fixture(scope="session")
def shipped() -> list[SearchSpace]:
    """Every space that ships."""
    return [load_space(name) for name in shipped_spaces()]
