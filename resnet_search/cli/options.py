"""Options that several commands share, what their values may be, and how a shell completes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from resnet_search.errors import UsageError
from resnet_search.workers.cluster import SCHEME, Cluster

if TYPE_CHECKING:
    from resnet_search.spaces.space import SearchSpace

    ParamType = click.ParamType[Any]
else:  # Not generic at run time in older versions of click.
    ParamType = click.ParamType

Function = TypeVar("Function", bound=Callable[..., Any])

RUNS_DIR = Path("runs")
DEVICES = ("auto", "cpu", "gpu")
MAX_SEED = 2**31 - 1


class Whole(ParamType):
    """An integer from `low` to `high`."""

    name = "integer"

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        # int() alone takes 1_000, digits of other scripts, and spaces around.
        text = str(value)
        digits = text.removeprefix("-")
        short = digits.isascii() and digits.isdigit() and len(digits) <= len(str(self.high))
        if not short or not self.low <= int(text) <= self.high:
            self.fail(f"got {text!r}; allowed: integers from {self.low:,} to {self.high:,}", param, ctx)
        return int(text)


class WorkerCount(ParamType):
    """A number of workers, or a cluster for them; None for "auto", unless that is not allowed."""

    name = "integer, auto or ray"

    def __init__(self, *, auto: bool = True) -> None:
        self.auto = auto

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | Cluster | None:
        if isinstance(value, Cluster):
            return value
        if str(value).startswith(SCHEME):
            return Cluster.from_word(str(value))
        return None if self.auto and value == "auto" else Whole(1, 256).convert(value, param, ctx)


class OneOf(ParamType):
    """One of some words; for a typo the message names the nearest."""

    name = "word"

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in self.words:
            near = did_you_mean(str(value), self.words)
            self.fail(f"got {str(value)!r}; allowed: {', '.join(self.words)}{near}", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del ctx, param
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class FolderPath(ParamType):
    """A folder, which need not exist; nothing else may have its name or stand in its path."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        try:
            # The path itself, or the first of its parents that exists.
            existing = next((place for place in (path, *path.parents) if place.exists()), Path())
            usable = bool(str(value)) and existing.is_dir()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self.fail(f"got {str(value)!r}: {reason}; allowed: a folder", param, ctx)
        if not usable:
            self.fail(f"got {str(value)!r}; allowed: a folder, or a path where one can be made", param, ctx)
        return path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del ctx, param
        return [CompletionItem(incomplete, type="dir")]


class SpaceKey(ParamType):
    """A value of a space file, given on the command line: the same is allowed."""

    name = "value"

    def __init__(self, table: str, key: str) -> None:
        self.table, self.key = table, key

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from resnet_search.spaces.schema import KEYS
        from resnet_search.spaces.wording import escape
        from resnet_search.training.recipe import recipe_fields

        key = recipe_fields()[self.key] if self.table == "recipe" else KEYS[self.table][self.key]
        parsed = value if key.kind == "str" else _number(value)
        if not key.accepts(parsed):
            near = did_you_mean(str(value), key.choices)
            self.fail(f"got '{escape(str(value))}'; allowed: {key.allowed}{near}", param, ctx)
        return parsed


def _number(value: Any) -> Any:
    """What TOML would make of it: an integer, a float, or the text."""
    for kind in (int, float):
        try:
            number = kind(value)
        except (TypeError, ValueError):
            continue
        # Text such as nan is a name here, and 1_0 is one in TOML alone.
        if math.isfinite(number) and "_" not in str(value):
            return number
    return value


def did_you_mean(value: str, words: Iterable[str]) -> str:
    """The end of a message about a mistyped word."""
    from resnet_search.spaces.wording import nearest

    near = nearest(value, words)
    return f"; nearest: {near}" if near else ""


def complete_space(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of spaces that begin so, or else files."""
    del ctx, param
    from resnet_search.spaces.load import known_spaces

    names = [CompletionItem(name) for name in sorted(known_spaces()) if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of runs that begin so."""
    del param
    from resnet_search.runs.folder import list_runs

    names = ["latest", *(run.name for run in reversed(list_runs(ctx.params.get("runs_dir") or RUNS_DIR)))]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _check_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    del ctx, param
    from resnet_search.runs.folder import check_name

    return None if value is None else check_name(value)


def _check_space(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value or ctx.resilient_parsing:
        return value
    del param
    from resnet_search.spaces.load import known_spaces

    what = "missing" if value is None else "got ''"
    raise UsageError(f"--space: {what}; allowed: {', '.join(known_spaces())}, or the path of a TOML file")


def _tell_session(ctx: click.Context, param: click.Parameter, value: Path) -> Path:
    """So that every command that a message names can be typed as it is."""
    del param
    if ctx.obj is not None:
        ctx.obj.runs_dir = value
    return value


def runs_dir_option(function: Function) -> Function:
    """--runs-dir."""
    return click.option(
        "--runs-dir",
        type=FolderPath(),
        default=RUNS_DIR,
        show_default=True,
        envvar="RESNET_SEARCH_RUNS_DIR",
        show_envvar=True,
        # First, so that RUN is completed from it.
        is_eager=True,
        callback=_tell_session,
        metavar="DIR",
        help="Folder that holds the runs.",
    )(function)


def run_argument(function: Function) -> Function:
    """RUN, and --runs-dir that it is looked up in."""
    return runs_dir_option(click.argument("run", metavar="RUN", shell_complete=complete_run)(function))


def json_option(function: Function) -> Function:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, exact and complete, in place of tables.")(
        function
    )


def quiet_options(function: Function) -> Function:
    """--quiet and --no-export of the commands that search."""
    quiet = click.option("--quiet", "-q", is_flag=True, help="Print nothing but the paths of the results.")
    export = click.option("--no-export", is_flag=True, help="Leave out the SavedModel and the report at the end.")
    return export(quiet(function))


data_dir_option = click.option(
    "--data-dir", type=FolderPath(), metavar="DIR",
    help="Where cifar10 and tfds:NAME are looked for first, and downloaded to.",
)  # fmt: skip
seed_option = click.option(
    "--seed", type=Whole(0, MAX_SEED), default=0, show_default=True, metavar="N",
    help="Of everything that is drawn: candidates, weights, data order.",
)  # fmt: skip
device_option = click.option(
    "--device", type=OneOf(DEVICES), default="auto", show_default=True, metavar="|".join(DEVICES),
    help="What trials train on; auto takes a GPU if there is one.",
)  # fmt: skip


def name_option(first: str) -> Callable[[Function], Function]:
    """--name; by default it begins with `first`."""
    words = f"Name of the run.  [default: {first}, with the time]"
    return click.option("--name", metavar="NAME", callback=_check_name, help=words)


_SEARCH_OPTIONS = (
    click.option(
        "--space", "ref", metavar="SPACE", callback=_check_space, shell_complete=complete_space,
        help="Search space: a path, a name in ./search_spaces, or one that ships (resnet-search spaces).  [required]",
    ),
    click.option("--max-epochs", type=SpaceKey("hyperband", "max_epochs"), metavar="N",
                 help="Epochs of the longest trials.  [default: the space's]"),
    click.option("--factor", type=SpaceKey("hyperband", "factor"), metavar="N",
                 help="Of a rung's trials, one in N goes on.  [default: the space's]"),
    click.option("--iterations", type=SpaceKey("hyperband", "iterations"), metavar="N",
                 help="Times that all brackets are gone through.  [default: the space's]"),
    click.option("--promotion", type=SpaceKey("hyperband", "promotion"), metavar="sync|async",
                 help="When a trial goes on: once it is certain to be among its rung's best, or is so far: for more "
                 "workers than trials to start.  [default: the space's]"),
    click.option("--max-params", type=SpaceKey("limits", "max_params"), metavar="N",
                 help="Largest number of trainable parameters.  [default: the space's]"),
    click.option("--max-macs", type=SpaceKey("limits", "max_macs"), metavar="N",
                 help="Largest number of multiply-adds for one image.  [default: the space's]"),
    click.option("--data", "source", type=SpaceKey("data", "source"), metavar="SOURCE",
                 help="Images: cifar10, shapes, tfds:NAME, or a path (archive, .npz, folder).  [default: the space's]"),
    data_dir_option,
    click.option("--validation", type=SpaceKey("data", "validation"), metavar="N",
                 help="Training images held back to score trials: a number, or a fraction.  [default: the space's]"),
    click.option("--train-examples", type=Whole(1, 10**9), metavar="N",
                 help="Search on N of the training images, and validate on fewer: N/4, at least 1,000, but never more "
                 "than --validation says.  [default: all]"),
    seed_option,
    name_option("the space's"),
    click.option("--workers", type=WorkerCount(), metavar="N|auto|ray[://ADDRESS]",
                 help="Trials that train at the same time, each in a process of its own; on a GPU each has its share "
                 "of the memory. With ray, as many as a Ray cluster has room for: docs/how-to/ray.md.  "
                 "[default: auto, as many as the processors, or the GPUs, and their memory allow]"),
    click.option("--threads", type=Whole(1, 1024), metavar="N",
                 help="Processor threads of each worker.  [default: the processors divided by --workers]"),
    device_option,
    runs_dir_option,
)  # fmt: skip


def search_options(function: Function) -> Function:
    """Everything that a search is started with; `plan` takes the same as `run`."""
    for option in reversed(_SEARCH_OPTIONS):
        function = option(function)
    return function


def space_from(options: dict[str, Any]) -> SearchSpace:
    """The space that the options name, with the settings among them; takes out what it uses."""
    from resnet_search.spaces.load import load_space

    settings = ("max_epochs", "factor", "iterations", "promotion", "max_params", "max_macs", "source", "validation")
    given = {key: options.pop(key) for key in settings}
    space = load_space(options.pop("ref"))
    return space.with_settings(**given) if any(value is not None for value in given.values()) else space
