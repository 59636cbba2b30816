"""resnet-search train"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from resnet_search.cli.budget import hang_option, time_budget_option
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
from resnet_search.cli.session import Session
from resnet_search.errors import UsageError
from resnet_search.networks.imagenet import INITS, SOURCES, STAGES, source_of
from resnet_search.networks.presets import ADAPTED, PRESETS, Preset, preset
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.recipe import RECIPES

EPOCHS: Final = 30  # of a recipe without a length of its own
# Sources whose images have a size of their own, and no more to show at another.
_SMALL_SOURCES: Final = frozenset({"cifar10", "shapes"})
_SMALL, _FEW_PIXELS = 32, 64
# "an initial learning rate of 0.1 is slightly too large to start converging", and about 400 steps at less mend that:
# He et al. 2015, section 4.2.
_WARM_UP_DEPTH = 110


def _complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del ctx, param
    return [CompletionItem(name) for name in PRESETS if name.startswith(incomplete.lower())]


def _preset(ctx: click.Context, param: click.Parameter, value: str | None) -> Preset | None:
    del ctx, param
    return None if value is None else preset(value)


_LENGTHS = ", ".join(f"{name} {recipe.epochs or EPOCHS}" for name, recipe in RECIPES.items())


@click.command("train")
@click.argument("run", required=False, metavar="[RUN]", shell_complete=complete_run)
@click.option("--trial", metavar="ID", help="With RUN: the trial whose network is trained.  [default: the best, by "
              "its confirmation if there is one]")  # fmt: skip
@click.option("--all-images", is_flag=True, help="With RUN: train on all training images of the source, where the "
              "search had a part of them.")  # fmt: skip
@click.option("--discard", is_flag=True, help="With RUN: remove what was trained so before, and begin anew.")
@click.option(
    "--model",
    metavar="NAME",
    callback=_preset,
    shell_complete=_complete_model,
    help="In place of RUN: a name that resnet-search models lists.",
)
@click.option("--test", is_flag=True, help="With --model: train on the held back images too, and read the test images "
              "once at the end.")  # fmt: skip
@click.option(
    "--recipe",
    type=OneOf(RECIPES),
    metavar="NAME",
    help=f"How: {', '.join(RECIPES)}.  [default: with RUN its own; he; finetune with --init imagenet]",
)
@click.option(
    "--epochs",
    type=SpaceKey("hyperband", "max_epochs"),
    metavar="N",
    help=f"Epochs; the recipe's schedule is as long.  [default: with RUN those of its full budget; the recipe's own: "
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
    help="Images in a step.  [default: the recipe's]",
)
@click.option(
    "--init",
    type=OneOf(INITS),
    default=INITS[0],
    show_default=True,
    metavar="|".join(INITS),
    help=f"First weights: drawn, or those of ImageNet with a new head, which {', '.join(SOURCES)} have.",
)
@click.option(
    "--frozen-stages",
    type=Whole(0, STAGES),
    default=0,
    show_default=True,
    metavar="N",
    help=f"Of {STAGES} stages, those that keep the weights and batch statistics of ImageNet.",
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
@click.option(
    "--image-size",
    type=SpaceKey("data", "image_size"),
    metavar="N",
    help="Height and width that images are brought to.  [default: 32 for cifar10 and shapes, else what the "
    "network was made for]",
)
@click.option(
    "--validation",
    type=SpaceKey("data", "validation"),
    default="0.1",
    show_default=True,
    metavar="N",
    help="Training images held back to validate on: a number, or a fraction.",
)
@click.option(
    "--train-examples", type=Whole(1, 10**9), metavar="N", help="Train on N of the training images.  [default: all]"
)
@seed_option
@name_option("the model's")
@click.option("--threads", type=Whole(1, 1024), metavar="N", help="Processor threads.  [default: all]")
@device_option
@runs_dir_option
@hang_option("10m")
@time_budget_option("the epoch under way is finished")
@quiet_options
@click.pass_context
def command(
    context: click.Context, /, *, run: str | None, trial: str | None, all_images: bool, discard: bool,
    model: Preset | None, recipe: str | None, epochs: int | None, quiet: bool, no_export: bool, **options: Any,
) -> None:  # fmt: skip
    """Train one network in full, and export it: the best of a search, or one that has a name.

    With RUN its best candidate trains from scratch on training and validation images together, in the folder final of
    the run; the exported network is then measured on the test images, once. The same command goes on with it.

    With --model the end is a run of one trial: resume goes on with it after Ctrl-C, kill -9 or a reboot. It holds
    images back to validate on, unless --test is given.
    """
    _one_of(context, run, model)
    session: Session = context.obj
    if run is not None:
        from resnet_search.cli.final import train_winner

        again = {key: options[key] for key in ("threads", "device", "hang_timeout", "time_budget")}
        again |= {"recipe": recipe, "epochs": epochs, "workers": 1}
        train_winner(
            session, run, runs_dir=options["runs_dir"], trial=trial, all_images=all_images, discard=discard,
            quiet=quiet, export=not no_export, options=again,
        )  # fmt: skip
    elif model is not None:
        _train_preset(session, model, recipe, epochs, quiet=quiet, export=not no_export, **options)


_OF_RUN = ("trial", "all_images", "discard")
_OF_MODEL = ("test", "init", "frozen_stages", "learning_rate", "batch_size", "source", "data_dir", "image_size",
             "validation", "train_examples", "seed", "name")  # fmt: skip


def _one_of(context: click.Context, run: str | None, model: Preset | None) -> None:
    """Either RUN or --model, and beside it only options that mean something with it."""
    if (run is None) == (model is None):
        what = "missing" if run is None else f"got {run!r} and --model"
        raise UsageError(
            f"RUN or --model: {what}; allowed: a run whose best is trained, or one of {len(PRESETS)} names, such as "
            "resnet-20",
            "resnet-search list shows the runs, resnet-search models the names.",
        )
    strange = _OF_MODEL if model is None else _OF_RUN
    for option in context.command.params:
        given = context.get_parameter_source(str(option.name))
        if option.name in strange and given is click.core.ParameterSource.COMMANDLINE:
            other = "RUN, which has its own images, seed and settings" if model is None else "--model"
            raise UsageError(f"{option.opts[0]}: got it beside {other}; allowed: only with {_other(model)}")


def _other(model: Preset | None) -> str:
    return "--model" if model is None else "RUN"


def _train_preset(
    session: Session, model: Preset, recipe: str | None, epochs: int | None, *, init: str, frozen_stages: int,
    learning_rate: float | None, batch_size: int | None, source: str, image_size: int | None, validation: float,
    test: bool, quiet: bool, export: bool, **options: Any,
) -> None:  # fmt: skip
    from resnet_search.cli.searching import begin
    from resnet_search.runs.speed import training_images

    _check_init(model, init, frozen_stages)
    name = recipe or ("finetune" if init == "imagenet" else "he")
    size = image_size or (_SMALL if source in _SMALL_SOURCES else model.input_shape[0])
    given = {"learning_rate": learning_rate, "batch_size": batch_size}
    changed: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if init == "imagenet":
        changed |= {"init": init, "frozen_stages": frozen_stages}
    if name == "he" and model.architecture.depth >= _WARM_UP_DEPTH:
        changed["warmup_epochs"] = 1.0
    data = {"source": source, "validation": validation, "image_size": size}
    space = space_of(model, {"name": name, **changed}, epochs or RECIPES[name].epochs or EPOCHS, data)

    images = training_images(space.data, options["train_examples"])

    def told() -> Iterable[str]:
        yield from _told(model, space, images, options)

    begin(session, space, told, {**options, "workers": 1, "merged": test}, quiet=quiet, export=export)


def _check_init(model: Preset, init: str, frozen_stages: int) -> None:
    """The rules of a recipe and of its networks, in the words of the options."""
    if init == "imagenet" and source_of(model.architecture) is None:
        raise UsageError(
            f"--init: got 'imagenet' with --model {model.name}; allowed: he_normal, or one of the networks that have "
            f"such weights, {', '.join(SOURCES)}"
        )
    if frozen_stages and init != "imagenet":
        raise UsageError(f"--frozen-stages: got {frozen_stages} with --init {init}; allowed: 0, or --init imagenet")


def space_of(model: Preset, recipe: dict[str, Any], epochs: int, data: dict[str, Any]) -> SearchSpace:
    """The space that holds one network alone, as a file would."""
    from resnet_search.spaces.load import parse_space

    tables: dict[str, dict[str, Any]] = {
        "axes": {"models": [model.name]},
        "hyperband": {"max_epochs": epochs},
        "recipe": recipe,
        "data": data,
    }
    lines = [f'description = "{model.name}, trained in full"', 'method = "grid"']
    for table, values in tables.items():
        # A string, number or list of JSON is one of TOML.
        lines += [
            "",
            f"[{table}]",
            *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()),
        ]
    return parse_space("\n".join(lines) + "\n", model.name)


def _told(model: Preset, space: SearchSpace, images: int | None, options: dict[str, Any]) -> Iterable[str]:
    """What will be trained, how, on what, and for how long."""
    from resnet_search.cli.memory import memory_lines, too_large
    from resnet_search.cli.plan_tables import time_lines
    from resnet_search.cli.text import count
    from resnet_search.networks.complexity import complexity
    from resnet_search.report.units import counted
    from resnet_search.runs.speed import machine_speed
    from resnet_search.spaces.plan import make_plan
    from resnet_search.training.recipe import recipe_from

    size = space.data.image_size
    classes = 10 if space.data.source in _SMALL_SOURCES else model.classes
    cost = complexity(model.architecture, (size, size, 3), classes)
    recipe = recipe_from(space.fixed_recipe)
    yield f"Model      {model.name}: {model.architecture.depth} layers, {count(cost.trainable)} parameters"
    yield f"Source     {model.source}"
    warm_up = f", warm-up epochs: {recipe.warmup_epochs:g}" if recipe.warmup_epochs else ""
    yield (
        f"Recipe     {recipe.name}, {counted(space.hyperband.max_epochs, 'epoch')}: {recipe.optimizer}, learning rate "
        f"{recipe.learning_rate:g}, batches of {recipe.batch_size}{warm_up}"
    )
    if recipe.init == "imagenet":
        yield f"Start      weights of ImageNet, {recipe.frozen_stages} of {STAGES} stages frozen"
    yield f"Images     {space.data.source}, {size} x {size} pixels"
    plan = make_plan(space)
    yield from time_lines(plan, machine_speed(options["runs_dir"], plan.mean_macs, options["device"]), images)
    yield from memory_lines(too_large(space, plan, (), 1, options["device"]))
    if model.architecture.stem != "cifar" and size < _FEW_PIXELS:
        sibling = model.name + ADAPTED
        other = f", or train --model {sibling}" if recipe.init != "imagenet" and sibling in PRESETS else ""
        yield (
            f"Note       {model.name} halves its images five times: of {size} x {size} pixels its last stage sees "
            f"{max(1, size // 32)} x {max(1, size // 32)}. Larger: --image-size{other}"
        )
