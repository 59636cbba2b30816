"""resnet-search train"""

from __future__ import annotations

from typing import Any

import click

from resnet_search.cli.budget import hang_option, time_budget_option
from resnet_search.cli.cluster import cluster_options, on_cluster_option, take_cluster
from resnet_search.cli.models import complete_model
from resnet_search.cli.named import EPOCHS, train_named
from resnet_search.cli.options import (
    OneOf,
    SpaceKey,
    Whole,
    complete_run,
    data_dir_option,
    device_option,
    name_option,
    quiet_options,
    runs_dir_option,
    seed_option,
)
from resnet_search.cli.precision import deterministic_option, precision_option
from resnet_search.cli.session import Session
from resnet_search.cli.value_range import value_range_option
from resnet_search.errors import UsageError
from resnet_search.networks.imagenet import INITS, SOURCES, STAGES
from resnet_search.networks.presets import PRESETS, Preset, preset
from resnet_search.training.recipe import RECIPES


def _preset(ctx: click.Context, param: click.Parameter, value: str | None) -> Preset | None:
    del ctx, param
    return None if value is None else preset(value, "--model")


_LENGTHS = ", ".join(f"{name} {recipe.epochs or EPOCHS}" for name, recipe in RECIPES.items())


@click.command("train", short_help="Train the best network of a search in full, or a named network.")
@click.argument("run", required=False, metavar="[RUN]", shell_complete=complete_run)
@click.option("--trial", metavar="ID", help="With RUN: the trial whose network to train.  [default: the best, by "
              "its confirmation if there is one]")  # fmt: skip
@click.option("--all-images", is_flag=True, help="With RUN: train on all training images of the source, if the "
              "search used only some.")  # fmt: skip
@click.option("--discard", is_flag=True, help="With RUN: remove an earlier final training and start from scratch.")
@click.option(
    "--model",
    metavar="NAME",
    callback=_preset,
    shell_complete=complete_model,
    help="Instead of RUN: the name of a network (resnet-search models lists them).",
)
@click.option("--test", is_flag=True, help="With --model: train on the validation images too, and read the test images "
              "once at the end.")  # fmt: skip
@click.option(
    "--recipe",
    type=OneOf(RECIPES),
    metavar="NAME",
    help=f"Recipe: {', '.join(RECIPES)}.  [default: with RUN the run's, else he, with --init imagenet finetune]",
)
@click.option(
    "--epochs",
    type=SpaceKey("hyperband", "max_epochs"),
    metavar="N",
    help=f"Epochs; the recipe's schedule spans them all.  [default: with RUN its full budget, else the recipe's: "
    f"{_LENGTHS}]",
)
@click.option(
    "--learning-rate",
    type=SpaceKey("recipe", "learning_rate"),
    metavar="RATE",
    help="Highest learning rate.  [default: the recipe's]",
)
@click.option(
    "--batch-size",
    type=SpaceKey("recipe", "batch_size"),
    metavar="N",
    help="Images in a training step.  [default: the recipe's]",
)
@click.option(
    "--init",
    type=OneOf(INITS),
    default=INITS[0],
    show_default=True,
    metavar="|".join(INITS),
    help=f"Initial weights: random, or ImageNet weights with a new head, available for {', '.join(SOURCES)}.",
)
@click.option(
    "--frozen-stages",
    type=Whole(0, STAGES),
    default=0,
    show_default=True,
    metavar="N",
    help=f"How many of the {STAGES} stages keep their ImageNet weights and batch statistics, from the first on.",
)
@click.option(
    "--data",
    "source",
    type=SpaceKey("data", "source"),
    default="cifar10",
    show_default=True,
    metavar="SOURCE",
    help="Images: cifar10, shapes, tfds:NAME, or a path (archive, .npz, folder).",
)
@data_dir_option
@value_range_option
@click.option(
    "--image-size",
    type=SpaceKey("data", "image_size"),
    metavar="N",
    help="Height and width that images are resized to.  [default: 32 for cifar10 and shapes, else the network's own]",
)
@click.option(
    "--validation",
    type=SpaceKey("data", "validation"),
    default="0.1",
    show_default=True,
    metavar="N",
    help="Training images held back to validate on: a number or a fraction.",
)
@click.option(
    "--train-examples", type=Whole(1, 10**9), metavar="N", help="Train on N of the training images.  [default: all]"
)
@seed_option
@name_option("the model's")
@click.option("--threads", type=Whole(1, 1024), metavar="N", help="Processor threads.  [default: all]")
@device_option
@precision_option
@deterministic_option
@runs_dir_option
@on_cluster_option
@cluster_options
@hang_option("10m")
@time_budget_option("the current epoch is finished")
@quiet_options
@click.pass_context
def command(
    context: click.Context, /, *, run: str | None, trial: str | None, all_images: bool, discard: bool,
    model: Preset | None, recipe: str | None, epochs: int | None, quiet: bool, no_export: bool, **options: Any,
) -> None:  # fmt: skip
    """Train one network in full and export it: the best of a search, or a named one.

    With RUN, the run's best candidate trains from scratch on training and validation images together, in the run's
    folder `final`; then the exported network is measured once on the test images. Repeat the command to continue
    after an interruption.

    With --model, the result is a run of one trial; continue it with `resume` after Ctrl-C, kill -9 or a reboot. Some
    images are held back to validate on, unless you give --test.
    """
    _one_of(context, run, model)
    session: Session = context.obj
    take_cluster(session, options, options["runs_dir"])
    if run is not None:
        from resnet_search.cli.final import train_winner

        again = {key: options[key] for key in ("threads", "device", "hang_timeout", "time_budget", "workers")}
        again |= {"recipe": recipe, "epochs": epochs}
        train_winner(
            session, run, runs_dir=options["runs_dir"], trial=trial, all_images=all_images, discard=discard,
            quiet=quiet, export=not no_export, options=again,
        )  # fmt: skip
    elif model is not None:
        train_named(session, model, recipe, epochs, quiet=quiet, export=not no_export, **options)


_OF_RUN = ("trial", "all_images", "discard")
_OF_MODEL = ("test", "init", "frozen_stages", "learning_rate", "batch_size", "source", "data_dir", "image_size",
             "value_range", "validation", "train_examples", "seed", "name", "precision", "deterministic")  # fmt: skip


def _one_of(context: click.Context, run: str | None, model: Preset | None) -> None:
    """Require either RUN or --model, and only options that apply to it."""
    if (run is None) == (model is None):
        what = "missing" if run is None else f"got {run!r} and --model"
        raise UsageError(
            f"RUN or --model: {what}; allowed: a run whose best network to train, or one of {len(PRESETS)} names such "
            "as resnet-20",
            "resnet-search list shows the runs, resnet-search models the names.",
        )
    strange = _OF_MODEL if model is None else _OF_RUN
    for option in context.command.params:
        given = context.get_parameter_source(str(option.name))
        if option.name in strange and given is click.core.ParameterSource.COMMANDLINE:
            other = "RUN, which has its own images, seed and settings" if model is None else "--model"
            raise UsageError(f"{option.opts[0]}: cannot be combined with {other}; allowed: only with {_other(model)}")


def _other(model: Preset | None) -> str:
    return "--model" if model is None else "RUN"
