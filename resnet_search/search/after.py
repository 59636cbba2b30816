"""The runs that follow a search, inside its folder: its best candidates retrained, and its winner trained in full.

`confirm` trains the best candidates from scratch with several seeds each, on the search's own split; `final` trains one
on training and validation images together. Both are grids with given networks, so they work like any run: they resume,
show their trials, and export.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_search.errors import RunError, UsageError
from resnet_search.networks.precision import WIDE
from resnet_search.runs.after import CONFIRM, FINAL, making_way
from resnet_search.runs.events import Event
from resnet_search.runs.folder import RunFolder, create_run, name_taken
from resnet_search.runs.trials import RunView, Trial
from resnet_search.search.images import arrays_of, read_again
from resnet_search.search.known import known_candidates
from resnet_search.search.memory import largest_trial
from resnet_search.search.pretrained import sources_of_known
from resnet_search.search.resume import ResumeSettings
from resnet_search.search.start import contents_of, resume_run, start_in
from resnet_search.spaces.brackets import Bracket, Rung
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.arrays import write_arrays
from resnet_search.training.recipe import RECIPES
from resnet_search.training.weights import provide
from resnet_search.workers.backend import keras_backend
from resnet_search.workers.cluster import Cluster
from resnet_search.workers.devices import choose_workers
from resnet_search.workers.local import HANG_TIMEOUT
from resnet_search.workers.precision import BFLOAT16, processor_has_bfloat16
from resnet_search.workers.quiet import quiet_stderr

if TYPE_CHECKING:
    from resnet_search.search.budget import Budget
    from resnet_search.search.loop import Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainSettings:
    """How networks of a run are retrained; None: as before.

    `recipe`: name of another recipe, whose values replace those of the run's trials. `epochs`: length of its schedule;
    None: the full budget, or with another recipe, the recipe's own length.
    """

    recipe: str | None = None
    epochs: int | None = None
    workers: int | Cluster | None = None
    threads: int | None = None
    device: str | None = None
    hang_timeout: float | None = None


def confirm_run(
    view: RunView,
    top: int,
    seeds: int,
    settings: AgainSettings,
    observers: Sequence[Observer] = (),
    *,
    discard: bool = False,
    budget: Budget | None = None,
) -> RunView:
    """Train the best `top` candidates of a run from scratch with `seeds` seeds each.

    The seed determines the weights, the order of the images and the augmentation; the split is the search's.
    `discard`: remove an earlier confirmation once this one has started.
    """
    chosen = best_of(view, top)
    check_free(view, CONFIRM, discard=discard)
    content = _content(view, chosen, seeds, settings, CONFIRM)
    arrays_of(view.folder, view.content, SearchSpace.from_dict(view.content["space"]))
    return _start(view, CONFIRM, content, observers, budget, discard=discard)


def final_run(
    view: RunView,
    trial: Trial,
    settings: AgainSettings,
    observers: Sequence[Observer] = (),
    *,
    all_images: bool = False,
    discard: bool = False,
    budget: Budget | None = None,
) -> RunView:
    """Train the candidate of a trial from scratch on the run's training and validation images together.

    `all_images`: use every training image of the source, even if the run searched on a part. `discard`: remove an
    earlier final run once this one has started.
    """
    check_free(view, FINAL, discard=discard)
    content = _content(view, [trial], 1, settings, FINAL)
    space = SearchSpace.from_dict(view.content["space"])
    examples = None if all_images else view.content["data"]["train_examples"]
    arrays, content["data"] = read_again(view.folder, view.content, space, examples, merged=True)
    write_arrays(view.folder.arrays({"data": content["data"]}), arrays)
    return _start(view, FINAL, content, observers, budget, discard=discard)


def go_on(
    folder: RunFolder,
    settings: AgainSettings,
    observers: Sequence[Observer] = (),
    *,
    budget: Budget | None = None,
) -> RunView:
    """Resume a run that `confirm_run` or `final_run` started."""
    changed = ResumeSettings(
        workers=settings.workers,
        threads=settings.threads,
        device=settings.device,
        hang_timeout=settings.hang_timeout,
    )
    return resume_run(folder, observers, settings=changed, budget=budget)


def _start(
    view: RunView,
    kind: str,
    content: dict[str, Any],
    observers: Sequence[Observer],
    budget: Budget | None,
    *,
    discard: bool,
) -> RunView:
    provide(sources_of_known(content))
    with making_way(check_free(view, kind, discard=discard)) as remove_earlier:

        def started(event: Event, view: RunView) -> None:
            del event, view
            remove_earlier()

        return start_in(create_run(view.folder.path, kind, content), [started, *observers], budget)


def check_free(view: RunView, kind: str, *, discard: bool) -> Path:
    """Return the path of such a run; `RunError` if one exists and is running or not to be discarded."""
    folder = RunFolder(view.folder.path / kind)
    if folder.is_locked():
        raise folder.in_use()
    if folder.path.exists() and not discard:
        raise name_taken(view.folder.path, kind)
    return folder.path


def best_of(view: RunView, top: int) -> list[Trial]:
    """Return the `top` best candidates of the full budget; `UserError` if there are fewer."""
    ranking = view.ranking()
    if not ranking:
        raise RunError(
            f"RUN: got {view.folder.name!r}, where no trial has trained for all {view.max_epochs} epochs yet",
            f"Continue it: resnet-search resume {view.folder.word}",
        )
    if top > len(ranking):
        raise UsageError(
            f"--top: got {top}; allowed: 1 to {len(ranking)}, the number of candidates of {view.folder.name} trained "
            f"for all {view.max_epochs} epochs"
        )
    return ranking[:top]


def _content(view: RunView, chosen: Sequence[Trial], seeds: int, settings: AgainSettings, kind: str) -> dict[str, Any]:
    """Return the content of its run.json: the search's, except for what is trained and how."""
    source = view.content
    if settings.recipe is None:
        epochs = settings.epochs or view.max_epochs
        fixed = SearchSpace.from_dict(source["space"]).fixed_recipe
    else:
        epochs = settings.epochs or RECIPES[settings.recipe].epochs or view.max_epochs
        fixed = {"name": settings.recipe}
    # Varied values come from each trial.
    recipes = [trial.recipe if settings.recipe is None else {} for trial in chosen]
    what = "trained again" if kind == CONFIRM else "trained in full"
    space = SearchSpace.from_dict(
        {
            **source["space"],
            "description": f"The best of {view.folder.name}, {what}",
            "method": "grid",
            "hyperband": {"max_epochs": epochs},
            "recipe": fixed,
        }
    )
    networks = len(chosen) * seeds
    bracket = Bracket(0, 0, 0, (Rung(0, networks, 0, epochs),))
    # All candidates with the first seed come first, so that a run stopped early has a score of each.
    candidates = [
        (trial.architecture, recipe, repeat)
        for repeat in range(1, seeds + 1)
        for trial, recipe in zip(chosen, recipes, strict=True)
    ]
    content = {
        **contents_of(space),
        # A search may be older than today's recipes.
        **({"recipe": source["recipe"]} if settings.recipe is None else {}),
        "plan": [asdict(bracket)],
        "known": [known_candidates(bracket, candidates)],
        "feasible": {**source["feasible"], "architectures": networks, "interval": [networks, networks], "exact": True},
        "data": source["data"],
        "seed": source["seed"],
        "precision": source.get("precision", "auto"),
        # `completed` shows later whether the search has been extended since.
        "of": {
            "run": view.folder.name,
            "kind": kind,
            "trials": [trial.trial for trial in chosen],
            "seeds": seeds,
            "completed": view.completed,
        },
    }
    device = settings.device or str(source["workers"]["device"])
    # In the precision of the search, which a test of the speed may have chosen, where the machine has it.
    wide = source["workers"].get("precision") == WIDE and device == "cpu" and processor_has_bfloat16()
    with quiet_stderr():
        slots, workers = choose_workers(
            device,
            settings.workers or (1 if kind == FINAL else None),
            settings.threads,
            precision=BFLOAT16 if wide else content["precision"],
            trial_bytes=largest_trial(content),
        )
        content["backend"] = keras_backend()
    # Old runs lack it.
    patience = settings.hang_timeout or source["workers"].get("hang_timeout", HANG_TIMEOUT)
    deterministic = source["workers"].get("deterministic", False)
    workers = replace(workers, hang_timeout=patience, deterministic=deterministic)
    content["workers"] = {"slots": slots, **asdict(workers)}
    return content
