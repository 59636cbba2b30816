"""Property tests on a third of their examples, and under the mark `slow` on all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis.strategies import SearchStrategy


def tried(examples: int, *, slow: int | None = None, shrink: bool = True, **strategies: SearchStrategy[Any]) -> Any:
    """Make a test of a property, which gets values of `strategies`; `slow`: examples there, if not `examples`.

    `shrink`: false where that takes long, and an example says enough as it was found.
    """
    phases = tuple(Phase) if shrink else (Phase.explicit, Phase.generate)

    def decorate(holds: Callable[..., None]) -> Callable[[int], None]:
        @pytest.mark.parametrize(
            "examples",
            [
                pytest.param(-(-examples // 3), id="some"),
                pytest.param(slow or examples, id="all", marks=pytest.mark.slow),
            ],
        )
        def test(examples: int) -> None:
            settings(max_examples=examples, phases=phases)(given(**strategies)(holds))()

        test.__doc__ = holds.__doc__
        return test

    return decorate
