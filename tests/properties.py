"""Property tests on a third of their examples, and under the mark `slow` on all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy


def holds_for(
    examples: int,
    *,
    slow: int | None = None,
    shrink: bool = True,
    without: Sequence[HealthCheck] = (),
    **strategies: SearchStrategy[Any],
) -> Callable[[Callable[..., None]], Callable[[int], None]]:
    """Make a test of a property, which gets values of `strategies`; `slow`: examples there, if not `examples`.

    `shrink`: false where that takes long, and an example says enough as it was found. `without`: health checks.
    """
    phases = tuple(Phase) if shrink else (Phase.explicit, Phase.generate)

    def decorate(holds: Callable[..., None]) -> Callable[[int], None]:
        @pytest.mark.parametrize(
            "count",
            [
                pytest.param(-(-examples // 3), id="some"),
                pytest.param(slow or examples, id="all", marks=pytest.mark.slow),
            ],
        )
        def test(count: int) -> None:
            settings(max_examples=count, phases=phases, suppress_health_check=without)(given(**strategies)(holds))()

        return test

    return decorate
