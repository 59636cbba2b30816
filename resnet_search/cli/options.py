"""Options that several commands share, their types, and their shell completion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from resnet_search.cli.numbers import integer, number
from resnet_search.cli.value_range import value_range_option
from resnet_search.errors import UsageError
from resnet_search.files import expand_home
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
    """An integer from `low` to `high`, such as 50000, 50_000, 50k or 1.5M."""

    name = "integer"

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        whole = integer(str(value))
        if whole is None or not self.low <= whole <= self.high:
            self.fail(f"got {str(value)!r}; allowed: integers from {self.low:,} to {self.high:,}", param, ctx)
        return whole


class WorkerCount(ParamType):
    """A number of workers or a cluster; None for "auto", if that is allowed."""

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
    """One of several words; the error for a typo names the nearest."""

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


class AnyPath(ParamType):
    """A path of anything."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        del param, ctx
        return expand_home(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del ctx, param
        return [CompletionItem(incomplete, type="file")]


class FolderPath(ParamType):
    """A folder, which need not exist; no part of its path may be a file."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = expand_home(value)
        try:
            # The path itself, or the first of its parents that exists.
            existing = next((place for place in (path, *path.parents) if place.exists()), Path())
            usable = bool(str(value)) and existing.is_dir()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self.fail(f"got {str(value)!r}: {reason}; allowed: a folder", param, ctx)
        if not usable:
            self.fail(f"got {str(value)!r}; allowed: a folder, or a path where one can be created", param, ctx)
        return path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del ctx, param
        return [CompletionItem(incomplete, type="dir")]


class SpaceKey(ParamType):
    """A value of a space file given on the command line, with the same rules."""

    name = "value"

    def __init__(self, table: str, key: str) -> None:
        self.table, self.key = table, key

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from resnet_search.spaces.schema import KEYS
        from resnet_search.spaces.wording import escape
        from resnet_search.training.recipe import recipe_fields

        key = recipe_fields()[self.key] if self.table == "recipe" else KEYS[self.table][self.key]
        parsed = value if key.kind == "str" else number(value)
        if not key.accepts(parsed):
            near = did_you_mean(str(value), key.choices)
            self.fail(f"got '{escape(str(value))}'; allowed: {key.allowed}{near}", param, ctx)
        return parsed


def did_you_mean(value: str, words: Iterable[str]) -> str:
    """Return the end of a message about a mistyped word."""
    from resnet_search.spaces.wording import nearest

    return f"; nearest: {near}" if (near := nearest(value, words)) else ""


def complete_space(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of spaces, or else files."""
    del ctx, param
    from resnet_search.spaces.load import known_spaces

    names = [CompletionItem(name) for name in sorted(known_spaces()) if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of runs."""
    del param
    from resnet_search.runs.folder import list_runs

    names = ["latest", *(run.name for run in reversed(list_runs(ctx.params.get("runs_dir") or RUNS_DIR)))]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_trial(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the ids of trials of the run that is named before."""
    del param
    from resnet_search.errors import UserError
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import read_run

    try:
        view = read_run(find_run(ctx.params["run"], ctx.params.get("runs_dir") or RUNS_DIR))
    except (UserError, KeyError):
        return []
    return [
        CompletionItem(trial.trial, help=trial.name)
        for trial in view.trials.values()
        if trial.trial.startswith(incomplete)
    ]


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
    """Record --runs-dir in the session, so that commands in messages can be copied."""
    del param
    if ctx.obj is not None:
        ctx.obj.runs_dir = value
    return value


def runs_dir_option(function: Function) -> Function:
    """--runs-dir."""
    # Eager, so that RUN is completed from it.
    return click.option(
        "--runs-dir", type=FolderPath(), default=RUNS_DIR, show_default=True, envvar="RESNET_SEARCH_RUNS_DIR",
        show_envvar=True, is_eager=True, callback=_tell_session, metavar="DIR", help="Folder of the runs.",
    )(function)  # fmt: skip


def run_argument(function: Function) -> Function:
    """Add RUN, and --runs-dir, the folder to look it up in."""
    return runs_dir_option(click.argument("run", metavar="RUN", shell_complete=complete_run)(function))


def trial_argument(function: Function) -> Function:
    """Add TRIAL, after RUN."""
    return click.argument("trial", metavar="TRIAL", shell_complete=complete_trial)(function)


def json_option(function: Function) -> Function:
    """--json."""
    option = click.option("--json", "as_json", is_flag=True, help="Print exact and complete JSON instead of tables.")
    return option(function)


def quiet_options(function: Function) -> Function:
    """Add --quiet and --no-export of the commands that search."""
    quiet = click.option("--quiet", "-q", is_flag=True, help="Print only the paths of the results.")
    export = click.option("--no-export", is_flag=True, help="Do not write the SavedModel and the report at the end.")
    return export(quiet(function))


data_dir_option = click.option(
    "--data-dir", type=FolderPath(), metavar="DIR",
    help="Folder to look for cifar10 and tfds:NAME in, and to download them to.",
)  # fmt: skip
seed_option = click.option(
    "--seed", type=Whole(0, MAX_SEED), default=0, show_default=True, metavar="N",
    help="Random seed for candidates, weights and data order.",
)  # fmt: skip
device_option = click.option(
    "--device", type=OneOf(DEVICES), default="auto", show_default=True, metavar="|".join(DEVICES),
    help="Device to train on; auto uses a GPU if there is one.",
)  # fmt: skip


def name_option(first: str) -> Callable[[Function], Function]:
    """Make --name; the default starts with `first`."""
    words = f"Name of the run.  [default: {first} and the time]"
    return click.option("--name", metavar="NAME", callback=_check_name, help=words)


_SEARCH_OPTIONS = (
    click.option(
        "--space", "ref", metavar="SPACE", callback=_check_space, shell_complete=complete_space,
        help="Search space: a path, a name in ./search_spaces, or a built-in one (resnet-search spaces).  [required]",
    ),
    click.option("--max-epochs", type=SpaceKey("hyperband", "max_epochs"), metavar="N",
                 help="Epochs of the longest trials.  [default: the space's]"),
    click.option("--min-epochs", type=SpaceKey("hyperband", "min_epochs"), metavar="N",
                 help="Epochs of the shortest trials; can be less than one, such as 0.1.  [default: the space's]"),
    click.option("--final-epochs", type=SpaceKey("hyperband", "final_epochs"), metavar="N",
                 help="After the search, train the best candidates longer, and the winner to epoch N (epochs of the "
                 "search included) or for as long as --time-budget allows.  [default: the space's]"),
    click.option("--factor", type=SpaceKey("hyperband", "factor"), metavar="N",
                 help="Keep one in N trials at each rung.  [default: the space's]"),
    click.option("--iterations", type=SpaceKey("hyperband", "iterations"), metavar="N",
                 help="Number of passes over all brackets.  [default: the space's]"),
    click.option("--promotion", type=SpaceKey("hyperband", "promotion"), metavar="sync|async",
                 help="sync: promote a trial once it is certain to be among the best of its rung. async: promote the "
                 "best so far; use it when there are more workers than trials.  [default: the space's]"),
    click.option("--sampler", type=SpaceKey("hyperband", "sampler"), metavar="random|model",
                 help="random: draw candidates at random. model: prefer candidates that a model of the results so far "
                 "expects to be better.  [default: the space's]"),
    click.option("--promote-by", type=SpaceKey("hyperband", "promote_by"), metavar="loss|accuracy",
                 help="Promote the trials with the lowest validation loss or the highest accuracy; the winner has the "
                 "highest accuracy either way.  [default: the space's]"),
    click.option("--max-params", type=SpaceKey("limits", "max_params"), metavar="N",
                 help="Largest number of trainable parameters, such as 300k.  [default: the space's]"),
    click.option("--min-params", type=SpaceKey("limits", "min_params"), metavar="N",
                 help="Smallest number of trainable parameters.  [default: the space's]"),
    click.option("--params", type=SpaceKey("limits", "params"), metavar="'N +- P %'",
                 help="Both limits of the trainable parameters, to compare networks of one size: '70k +- 5 %'."),
    click.option("--max-macs", type=SpaceKey("limits", "max_macs"), metavar="N",
                 help="Largest number of multiply-adds for one image, such as 40M.  [default: the space's]"),
    click.option("--data", "source", type=SpaceKey("data", "source"), metavar="SOURCE",
                 help="Images: cifar10, shapes, tfds:NAME, or a path (archive, .npz, folder).  [default: the space's]"),
    data_dir_option,
    value_range_option,
    click.option("--validation", type=SpaceKey("data", "validation"), metavar="N",
                 help="Training images held back to score trials: a number or a fraction.  [default: the space's]"),
    click.option("--train-examples", type=Whole(1, 10**9), metavar="N",
                 help="Train on N of the training images and validate on N/4, but on at least 1,000 and at most as "
                 "many as --validation allows.  [default: all]"),
    seed_option,
    name_option("the space's"),
    click.option("--workers", type=WorkerCount(), metavar="N|auto|ray[://ADDRESS]",
                 help="Trials that train at the same time, each in its own process; on a GPU each gets a share of the "
                 "memory. With ray, as many as the Ray cluster has room for: docs/how-to/ray.md.  "
                 "[default: auto, as many as processors or GPUs and their memory allow]"),
    click.option("--threads", type=Whole(1, 1024), metavar="N",
                 help="Processor threads of each worker.  [default: the processors divided by --workers]"),
    device_option,
    runs_dir_option,
)  # fmt: skip


def search_options(function: Function) -> Function:
    """Add the options that define a search; `plan` takes the same as `run`."""
    for option in reversed(_SEARCH_OPTIONS):
        function = option(function)
    return function


def space_from(options: dict[str, Any]) -> SearchSpace:
    """Remove the options of the space from `options` and return the space with these settings."""
    from resnet_search.spaces.load import load_space

    names = (
        "max_epochs",
        "min_epochs",
        "final_epochs",
        "factor",
        "iterations",
        "promotion",
        "promote_by",
        "sampler",
        "max_params",
        "min_params",
        "params",
        "max_macs",
    )
    given = {key: options.pop(key) for key in (*names, "source", "validation", "value_range")}
    space = load_space(options.pop("ref"))
    return space.with_settings(**given) if any(value is not None for value in given.values()) else space
