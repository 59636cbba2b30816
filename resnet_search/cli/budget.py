"""Options that limit how long a search runs, and times on the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.options import Function, ParamType, Whole

if TYPE_CHECKING:
    from resnet_search.search.budget import Budget

_TIME = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,7})s)?", re.ASCII)
_SECONDS = (86_400, 3600, 60, 1)
_ALLOWED = "a time such as 2h, 30m, 1h30m or 90s"


class Duration(ParamType):
    """A time in days, hours, minutes and seconds, in this order; converted to seconds."""

    name = "time"

    def __init__(self, low: str, high: str) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        seconds = seconds_of(str(value))
        if seconds is None or not (seconds_of(self.low) or 0) <= seconds <= (seconds_of(self.high) or 0):
            self.fail(f"got {str(value)!r}; allowed: {_ALLOWED}, from {self.low} to {self.high}", param, ctx)
        return float(seconds)


def seconds_of(text: str) -> int | None:
    """Return the seconds of a time such as 1h30m; None if `text` is not a time."""
    found = _TIME.fullmatch(text)
    if not text or found is None:
        return None
    return sum(int(number) * unit for number, unit in zip(found.groups(default="0"), _SECONDS, strict=True))


def time_budget_option(then: str, verb: str = "resume") -> Callable[[Function], Function]:
    """Make --time-budget; `then` says what happens when it is spent, `verb` is the command that continues."""
    return click.option(
        "--time-budget", type=Duration("1s", "365d"), metavar="TIME",
        help=f"Stop cleanly after this time, such as 2h, 30m, 1h30m or 90s: {then}, and resnet-search {verb} "
        "continues.  [default: none]",
    )  # fmt: skip


def budget_options(function: Function) -> Function:
    """Add --time-budget and --max-trials of `run` and `resume`; `take_budget` turns them into a budget."""
    trials = click.option("--max-trials", type=Whole(1, 10**6), metavar="N",
                          help="Stop cleanly after training N trials.  [default: the whole plan]")  # fmt: skip
    return time_budget_option("running trials finish their epoch, the best so far is exported")(trials(function))


def hang_option(default: str | None) -> Callable[[Function], Function]:
    """Make --hang-timeout with this default; None: the run's."""
    shown = default or "the run's"
    return click.option(
        "--hang-timeout", type=Duration("30s", "7d"), default=default, metavar="TIME",
        help="Replace a worker that finishes no step in this time; before the end of a trial's first epoch, in three "
        f"times as long.  [default: {shown}]",
    )  # fmt: skip


def take_budget(options: dict[str, Any]) -> Budget:
    """Remove the budget options from `options` and return what the command may spend from now on."""
    from resnet_search.search.budget import Budget

    return Budget(seconds=options.pop("time_budget", None), trials=options.pop("max_trials", None))
