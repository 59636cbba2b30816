"""The budget of a command, which stops a search before its plan is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one command may spend on a run; each `resume` has its own budget. None: no limit.

    `seconds` count from the creation of this object. `trials`: trials that train, new or resumed; trials whose result
    is reused do not count.
    """

    seconds: float | None = None
    trials: int | None = None
    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "started", self.clock())

    @property
    def time_is_up(self) -> bool:
        """Whether running trials must stop at the end of their epoch, too."""
        return self.seconds is not None and self.clock() - self.started >= self.seconds

    @property
    def seconds_left(self) -> float | None:
        """Return the seconds that are left; None without a limit."""
        return None if self.seconds is None else max(0.0, self.seconds - (self.clock() - self.started))

    def spent(self, trials: int) -> str:
        """Return why no trial may start after `trials` have started; empty if one may."""
        if self.time_is_up:
            return "the time budget is spent"
        if self.trials is not None and trials >= self.trials:
            return "1 trial is done, as asked for" if trials == 1 else f"{trials:,} trials are done, as asked for"
        return ""
