"""`train --model`: train a named network in full."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from resnet_search.cli.session import Session
from resnet_search.errors import UsageError
from resnet_search.networks.imagenet import SOURCES, STAGES, source_of
from resnet_search.networks.presets import ADAPTED, PRESETS, Preset
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.recipe import RECIPES

if TYPE_CHECKING:
    from resnet_search.search.counted import Counted
    from resnet_search.spaces.plan import Plan

EPOCHS: Final = 30  # for recipes without a length of their own
# Sources with images of a fixed size, which a larger one does not improve.
_SMALL_SOURCES: Final = frozenset({"cifar10", "shapes"})
_SMALL, _FEW_PIXELS = 32, 64
# "an initial learning rate of 0.1 is slightly too large to start converging", so about 400 steps use a lower one:
# He et al. 2015, section 4.2.
_WARM_UP_DEPTH = 110


def train_named(
    session: Session, model: Preset, recipe: str | None, epochs: int | None, *, init: str, frozen_stages: int,
    learning_rate: float | None, batch_size: int | None, source: str, image_size: int | None, validation: float,
    value_range: tuple[float, float] | None, test: bool, quiet: bool, export: bool, **options: Any,
) -> None:  # fmt: skip
    """Train a named network in full, as a run of one trial."""
    from resnet_search.cli.searching import begin
    from resnet_search.search.counted import counted_images
    from resnet_search.spaces.plan import make_plan

    _check_init(model, init, frozen_stages)
    name = recipe or ("finetune" if init == "imagenet" else "he")
    size = image_size or (_SMALL if source in _SMALL_SOURCES else model.input_shape[0])
    given = {"learning_rate": learning_rate, "batch_size": batch_size}
    changed: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if init == "imagenet":
        changed |= {"init": init, "frozen_stages": frozen_stages}
    if name == "he" and model.architecture.depth >= _WARM_UP_DEPTH:
        changed["warmup_epochs"] = 1.0
    data: dict[str, Any] = {"source": source, "validation": validation, "image_size": size}
    if value_range is not None:
        data["value_range"] = list(value_range)
    space = space_of(model, {"name": name, **changed}, epochs or RECIPES[name].epochs or EPOCHS, data)

    images = counted_images(space.data, options["data_dir"], options["train_examples"])
    plan = make_plan(space, classes=images.classes or model.classes)
    options |= {"workers": options["workers"] or 1, "merged": test}
    if test and images.train is not None:
        images = replace(images, train=images.train + (images.validation or 0))

    def told() -> Iterable[str]:
        yield from _told(model, space, plan, images, options)

    begin(session, space, plan, told, options, quiet=quiet, export=export)


def _check_init(model: Preset, init: str, frozen_stages: int) -> None:
    """Check the rules of a recipe and its networks, with messages that name the options."""
    if init == "imagenet" and source_of(model.architecture) is None:
        raise UsageError(
            f"--init: got 'imagenet' with --model {model.name}; allowed: he_normal, or a network with ImageNet "
            f"weights: {', '.join(SOURCES)}"
        )
    if frozen_stages and init != "imagenet":
        raise UsageError(f"--frozen-stages: got {frozen_stages} with --init {init}; allowed: 0, or --init imagenet")


def space_of(model: Preset, recipe: dict[str, Any], epochs: int, data: dict[str, Any]) -> SearchSpace:
    """Return a space with only this network, as a file would describe it."""
    from resnet_search.spaces.load import parse_space

    tables: dict[str, dict[str, Any]] = {
        "axes": {"models": [model.name]},
        "hyperband": {"max_epochs": epochs},
        "recipe": recipe,
        "data": data,
    }
    lines = [f'description = "{model.name}, trained in full"', 'method = "grid"']
    for table, values in tables.items():
        # Strings, numbers and lists are written alike in JSON and TOML.
        lines += [
            "",
            f"[{table}]",
            *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()),
        ]
    return parse_space("\n".join(lines) + "\n", model.name)


def _told(model: Preset, space: SearchSpace, plan: Plan, images: Counted, options: dict[str, Any]) -> Iterable[str]:
    """Describe the network, the recipe, the data and the estimated time."""
    from resnet_search.cli.gpu import gpu_lines
    from resnet_search.cli.memory import memory_lines, too_large
    from resnet_search.cli.precision import precision_lines
    from resnet_search.cli.text import count
    from resnet_search.cli.timing import time_of
    from resnet_search.report.units import counted
    from resnet_search.training.recipe import recipe_from

    size = space.data.image_size
    [cost] = plan.feasible.costs
    recipe = recipe_from(space.fixed_recipe)
    recipe = recipe if images.train is None else recipe.for_images(images.train)
    yield f"Model      {model.name}: {model.architecture.depth} layers, {count(cost.trainable)} parameters"
    yield f"Source     {model.source}"
    warm_up = f", warm-up epochs: {recipe.warmup_epochs:g}" if recipe.warmup_epochs else ""
    yield (
        f"Recipe     {recipe.name}, {counted(space.hyperband.max_epochs, 'epoch')}: {recipe.optimizer}, learning rate "
        f"{recipe.learning_rate:g}, batches of {recipe.batch_size}{warm_up}"
    )
    if recipe.init == "imagenet":
        yield f"Start      ImageNet weights, {recipe.frozen_stages} of {STAGES} stages frozen"
    yield f"Data       {space.data.source}, {size} x {size} pixels"
    time = time_of(space, plan, images, (), options)
    yield from time.lines()
    yield from gpu_lines(time, options["workers"], options["device"])
    yield from memory_lines(too_large(space, plan, images, (), options))
    yield from precision_lines(plan, options["precision"], options["workers"], options["device"])
    if model.architecture.stem != "cifar" and size < _FEW_PIXELS:
        sibling = model.name + ADAPTED
        other = f", or train --model {sibling}" if recipe.init != "imagenet" and sibling in PRESETS else ""
        yield (
            f"Note       {model.name} halves its images five times: its last stage sees only "
            f"{max(1, size // 32)} x {max(1, size // 32)} of {size} x {size} pixels. Use a larger --image-size{other}"
        )
