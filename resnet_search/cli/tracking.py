"""Trackers on the command line: --track, the message about a failed tracker, and commands to view the results."""

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
    """Comma-separated names of trackers."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(OneOf(TRACKERS).convert(word.strip(), param, ctx) for word in str(value).split(","))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return OneOf(TRACKERS).shell_complete(ctx, param, incomplete)


def flat(ctx: click.Context, param: click.Parameter, value: Iterable[tuple[str, ...]]) -> tuple[str, ...] | None:
    """Return the names of a repeatable option, each once; None if it was not given."""
    del ctx, param
    return tuple(dict.fromkeys(name for names in value for name in names)) or None


track_option = click.option(
    "--track", type=Names(), multiple=True, callback=flat, metavar="NAMES",
    help=f"Send every candidate and epoch to these trackers (comma-separated): {', '.join(TRACKERS)}.  "
    "[default: the space's]",
)  # fmt: skip


def untold(event: Event) -> str:
    """Return the message about a tracker that fails."""
    return f"{event['tracker']}: {event['reason']}; the search continues and retries later (trackers.log)"


def looks(view: RunView) -> Iterable[str]:
    """Return the commands that show the results in a run's trackers."""
    from resnet_search.trackers.choice import look_words, tracked_by

    return [look_words(view.folder, name) for name in tracked_by(view.content)]
