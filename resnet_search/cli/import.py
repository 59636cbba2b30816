"""resnet-search import"""  # noqa: N999 - each command's module has its name

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.options import (
    AnyPath,
    OneOf,
    SpaceKey,
    Whole,
    data_dir_option,
    name_option,
    runs_dir_option,
    seed_option,
)
from resnet_search.cli.session import Session, run_words
from resnet_search.cli.text import safe
from resnet_search.errors import UsageError
from resnet_search.report.units import counted, percent
from resnet_search.training.recipe import RECIPES

if TYPE_CHECKING:
    from resnet_search.runs.trials import RunView

TOP = 3


@click.command("import", short_help="Import a Keras Tuner project as a run.")
@click.argument("project", metavar="PROJECT", type=AnyPath())
@click.option("--map", "mapped", multiple=True, metavar="NAME=KEY",
              help="The KEY here for the hyperparameter NAME: --map filters=width; with renamed values: "
              "--map se=attention:true=se,false=none. Repeatable.  [default: KEY of the same name]")  # fmt: skip
@click.option("--set", "fixed", multiple=True, metavar="KEY=VALUE",
              help="A value that the project does not vary: --set block=basic. Repeatable.")  # fmt: skip
@click.option("--ignore", "ignored", multiple=True, metavar="NAME",
              help="A hyperparameter to ignore: it is not part of a network or recipe here. Repeatable.")  # fmt: skip
@click.option("--epochs", type=SpaceKey("hyperband", "max_epochs"), metavar="N",
              help="Epochs of each trial.  [required, except for Hyperband, which records them]")  # fmt: skip
@click.option("--score", default="val_accuracy", show_default=True, metavar="METRIC",
              help="The accuracy to rank trials by, from 0 to 1.")  # fmt: skip
@click.option("--recipe", type=OneOf(RECIPES), default="search", show_default=True, metavar="NAME",
              help="Recipe to train the networks with from now on.")  # fmt: skip
@click.option("--data", "source", type=SpaceKey("data", "source"), default="cifar10", show_default=True,
              metavar="SOURCE", help="The project's images: cifar10, shapes, tfds:NAME, or a path (archive, .npz, "
              "folder).")  # fmt: skip
@data_dir_option
@click.option("--validation", type=SpaceKey("data", "validation"), metavar="N",
              help="Training images that trials were scored on: a number or a fraction.  [default: 0.1]")  # fmt: skip
@click.option("--image-size", type=SpaceKey("data", "image_size"), metavar="N",
              help="Height and width that images are resized to.  [default: 32]")  # fmt: skip
@click.option("--train-examples", type=Whole(1, 10**9), metavar="N",
              help="Number of training images that trials were trained on.  [default: all]")  # fmt: skip
@seed_option
@name_option("the project's")
@runs_dir_option
@click.pass_obj
def command(session: Session, /, *, project: Path, runs_dir: Path, **options: Any) -> None:
    """Import a Keras Tuner project as a run. PROJECT is its folder, directory/project_name.

    The run is finished; you can list, show, report, compare and confirm it like any other. NAME.toml in its folder is
    a search space with the same choices. Weights are not imported, and the project is not changed.

    Supports Hyperband, RandomSearch, BayesianOptimization and GridSearch, if the hyperparameters describe networks of
    this family.
    """
    told = {"targets": dict(map(_target, options.pop("mapped"))), "ignored": options.pop("ignored")}
    told["fixed"] = dict(_pair("--set", text) for text in options.pop("fixed"))
    _check_keys({target for target, _ in told["targets"].values()} | told["fixed"].keys())

    # Only now, since they import numpy.
    from resnet_search.search.imported import ImportSettings, import_project
    from resnet_search.search.mapping import Target, Told

    told["targets"] = {name: Target(key, values) for name, (key, values) in told["targets"].items()}
    view = import_project(project, ImportSettings(told=Told(**told), runs_dir=runs_dir, **options))
    _tell(session, view)


def _pair(option: str, text: str) -> tuple[str, str]:
    # Split from the right: a hyperparameter of Keras Tuner may contain "=", a key has only letters.
    name, equals, value = text.partition("=") if option == "--set" else text.rpartition("=")
    if not (equals and name and value):
        raise UsageError(f"{option}: got {text!r}; allowed: {'KEY=VALUE' if option == '--set' else 'NAME=KEY'}")
    return name, value


def _target(text: str) -> tuple[str, tuple[str, dict[str, str]]]:
    """Parse NAME=KEY or NAME=KEY:VALUE=VALUE,...; in the latter, NAME contains neither "=" nor ":"."""
    head, colon, values = text.partition(":")
    name, key = _pair("--map", head)
    if colon and not values:
        raise UsageError(f"--map: got {text!r}; allowed: NAME=KEY or NAME=KEY:VALUE=VALUE,...")
    return name, (key, dict(_pair("--map", value) for value in values.split(",")) if colon else {})


def _check_keys(keys: set[str]) -> None:
    from resnet_search.cli.options import did_you_mean
    from resnet_search.search.mapping import RECIPE
    from resnet_search.spaces.spelled import AXES

    for key in sorted(keys - {*AXES, *RECIPE}):
        near = did_you_mean(key, (*AXES, *RECIPE))
        raise UsageError(f"KEY: got {key!r}; allowed: {', '.join((*AXES, *RECIPE))}{near}")


def _tell(session: Session, view: RunView) -> None:
    from resnet_search.cli.grid import Hanging
    from resnet_search.cli.screen import show
    from resnet_search.search.imported import best_axes
    from resnet_search.spaces.spelled import spelled

    imported = view.content["imported"]
    trials = list(view.trials.values())
    failed = len(trials) - view.completed
    lines = [
        f"Imported   {counted(len(trials), 'trial')} of {imported['tuner']}, {failed} failed: {safe(view.folder.path)}",
    ]
    for reason, number in imported["skipped"].items():
        lines.append(f"Left out   {counted(number, 'trial')} without a network here: {safe(reason)}")
    best = view.leader
    if best is not None and best.score is not None:
        epochs = counted(best.epochs, "epoch")
        lines.append(
            f"Best       trial {best.trial}, {best.name}: {imported['score']} {percent(best.score)} after {epochs}"
        )
    words, space = (
        run_words(view.folder.path, session.runs_dir),
        shlex.quote(str(view.folder.path / f"{view.folder.name}.toml")),
    )
    baselines = " ".join(f"--baseline {shlex.quote(axes)}" for axes in map(spelled, best_axes(view, TOP)))
    show([*map(Hanging, lines), ""])
    click.echo("Next:")
    click.echo(f"  resnet-search report {words}")
    if best is not None and best.epochs == view.max_epochs:
        click.echo(f"  resnet-search confirm {words}")
    # In one line, to be copied.
    click.echo(safe(f"  resnet-search run --space {space} {baselines}".rstrip()))
