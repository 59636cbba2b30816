"""Settings given to `resume`: those that define the run must not change; the others can."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from resnet_search.cli.options import (
    DEVICES,
    MAX_SEED,
    FolderPath,
    Function,
    OneOf,
    SpaceKey,
    Whole,
    WorkerCount,
    complete_space,
)
from resnet_search.cli.value_range import ValueRange
from resnet_search.errors import UsageError
from resnet_search.workers.precision import AUTO, PRECISIONS

# Settings of a space: the option, and the table and key that it sets.
_OF_SPACE = {
    "max_epochs": ("--max-epochs", "hyperband", "max_epochs"),
    "min_epochs": ("--min-epochs", "hyperband", "min_epochs"),
    "final_epochs": ("--final-epochs", "hyperband", "final_epochs"),
    "factor": ("--factor", "hyperband", "factor"),
    "iterations": ("--iterations", "hyperband", "iterations"),
    "promotion": ("--promotion", "hyperband", "promotion"),
    "promote_by": ("--promote-by", "hyperband", "promote_by"),
    "sampler": ("--sampler", "hyperband", "sampler"),
    "max_params": ("--max-params", "limits", "max_params"),
    "min_params": ("--min-params", "limits", "min_params"),
    "max_macs": ("--max-macs", "limits", "max_macs"),
    "source": ("--data", "data", "source"),
    "validation": ("--validation", "data", "validation"),
    "value_range": ("--value-range", "data", "value_range"),
}
# Values for runs older than the setting.
_BEFORE = {"min_epochs": 1, "promotion": "sync", "promote_by": "accuracy", "sampler": "random"}
_CURES = {
    "max_epochs": "To train the best candidates longer, use --add-epochs.",
    "iterations": "To repeat the brackets, use --add-iterations.",
}


def fixed_options(function: Function) -> Function:
    """Add the options of `run` that define the run; hidden, for those who repeat the first command with `resume`."""
    options = [
        click.option("--space", "ref", shell_complete=complete_space, hidden=True),
        click.option("--seed", type=Whole(0, MAX_SEED), hidden=True),
        click.option("--train-examples", type=Whole(1, 10**9), hidden=True),
        click.option("--data-dir", type=FolderPath(), hidden=True),
        click.option("--params", type=SpaceKey("limits", "params"), hidden=True),
        click.option("--precision", type=OneOf(PRECISIONS), hidden=True),
        click.option("--deterministic", is_flag=True, default=None, hidden=True),
        *(
            click.option(option, name, type=ValueRange() if key == "value_range" else SpaceKey(table, key), hidden=True)
            for name, (option, table, key) in _OF_SPACE.items()
        ),
    ]
    for option in options:
        function = option(function)
    return function


def changing_options(function: Function) -> Function:
    """Add the options that can change when a run is resumed."""
    for option in (
        click.option("--device", type=OneOf(DEVICES), metavar="|".join(DEVICES),
                     help="Device to train on from now on.  [default: as before]"),
        click.option("--threads", type=Whole(1, 1024), metavar="N",
                     help="Processor threads of each worker from now on.  [default: as before]"),
        click.option("--workers", type=WorkerCount(auto=False), metavar="N|ray[://ADDRESS]",
                     help="Trials that train at the same time from now on.  [default: as before]"),
        click.option("--add-epochs", type=Whole(0, 10**6), default=0, metavar="N",
                     help="Extend a finished run: train the best, one in --factor, for N more epochs and rank those.  "
                     "[default: 0]"),
        click.option("--add-iterations", type=Whole(0, 1000), default=0, metavar="N",
                     help="Repeat all brackets N more times, with new candidates.  [default: 0]"),
    ):  # fmt: skip
        function = option(function)
    return function


def refuse_changes(name: str, content: dict[str, Any], given: dict[str, Any]) -> None:
    """Raise a `UsageError` that lists every setting in `given` that differs from the run's; None: not given."""
    differences = list(_differences(content, {key: value for key, value in given.items() if value is not None}))
    if differences:
        cures = [cure for key, cure in _CURES.items() if given.get(key) is not None]
        raise UsageError(
            "\n".join([f"RUN: {name} was started with other settings:", *(f"  {one}" for one in differences)]),
            " ".join(["Leave them out, or start a new run.", *cures]),
        )


def _differences(content: dict[str, Any], given: dict[str, Any]) -> Iterable[str]:
    space, data = content["space"], content["data"]
    for key, option, was in (
        ("seed", "--seed", content["seed"]),
        ("train_examples", "--train-examples", data["train_examples"]),
        ("data_dir", "--data-dir", data["data_dir"]),
        ("precision", "--precision", content.get("precision", AUTO)),
        ("deterministic", "--deterministic", content["workers"].get("deterministic", False)),
    ):
        value = str(given[key].resolve()) if key in given and key == "data_dir" else given.get(key)
        if key in given and value != was:
            yield _told(option, value, was)
    if "params" in given:
        from resnet_search.spaces.schema import band

        given["min_params"], given["max_params"] = band(given["params"]) or (None, None)
    settings = {key: value for key, value in given.items() if key in _OF_SPACE}
    for key, value in settings.items():
        option, table, name = _OF_SPACE[key]
        was = space[table].get(name, _BEFORE.get(key))
        if _absolute(key, value) != (tuple(was) if isinstance(was, list) else was):
            yield _told(option, value, was)
    if "ref" in given:
        yield from _other_space(space, given["ref"])


def _other_space(space: dict[str, Any], ref: str) -> Iterable[str]:
    """Yield the differences to the space that `ref` names, without the settings that have options."""
    from resnet_search.search.images import with_absolute_source
    from resnet_search.spaces.load import load_space

    other = with_absolute_source(load_space(ref)).to_dict()
    options = {(table, key) for _, table, key in _OF_SPACE.values()}
    for table in ("axes", "limits", "hyperband", "recipe", "data"):
        for key in sorted(space[table].keys() | other[table].keys()):
            was, now = space[table].get(key), other[table].get(key)
            # Settings that have options are compared above.
            if was != now and (table, key) not in options:
                yield _told(f"--space {ref}: [{table}] {key}", now, was)
    if other["name"] != space["name"]:
        yield _told("--space", other["name"], space["name"])


def _absolute(key: str, value: Any) -> Any:
    if key != "source":
        return value
    from resnet_search.search.images import absolute_source

    return absolute_source(value)


def _told(what: str, now: Any, was: Any) -> str:
    return f"{what}: got {now!r}; this run has {was!r}"
