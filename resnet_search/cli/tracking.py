"""Trackers on the command line: --track, what is said of one that fails, and how what they keep is looked at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from resnet_search.cli.options import OneOf, ParamType
from resnet_search.spaces.schema import TRACKERS

if TYPE_CHECKING:
    from resnet_search.runs.events import Event
    from resnet_search.runs.trials import RunView


class Names(ParamType):
    """Trackers by name, with commas between them."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(OneOf(TRACKERS).convert(word.strip(), param, ctx) for word in str(value).split(","))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return OneOf(TRACKERS).shell_complete(ctx, param, incomplete)


def flat(ctx: click.Context, param: click.Parameter, value: Iterable[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The names of an option that was given any number of times, each once; None if it was not."""
    del ctx, param
    return tuple(dict.fromkeys(name for names in value for name in names)) or None


track_option = click.option(
    "--track", type=Names(), multiple=True, callback=flat, metavar="NAMES",
    help=f"Tell every candidate and epoch to {', '.join(TRACKERS)}, with commas between them.  [default: the space's]",
)  # fmt: skip


def untold(event: Event) -> str:
    """What is said of a tracker that fails."""
    return f"{event['tracker']}: {event['reason']}; the search goes on, and tells it again later (trackers.log)"


def looks(view: RunView) -> Iterable[str]:
    """The commands that show what the trackers of a run keep."""
    from resnet_search.trackers.choice import look_words, tracked_by

    return [look_words(view.folder, name) for name in tracked_by(view.content)]
