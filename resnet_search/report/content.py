"""The content of a report, made from the view of a run, finished or not."""

from __future__ import annotations

from collections.abc import Iterator

from resnet_search.report import course, grid, imported, inputs, winner
from resnet_search.report import exported as exports
from resnet_search.report.after import followed, headline
from resnet_search.report.degradation import degradation
from resnet_search.report.document import Block, Code, Document, Paragraph, Section, Strong
from resnet_search.report.exported import Exported
from resnet_search.report.facts import Facts, facts_of
from resnet_search.report.kind import is_confirmation, is_grid, is_single, origin
from resnet_search.report.known import against_known
from resnet_search.report.learning import CURES, at_chance
from resnet_search.report.pareto import fronts
from resnet_search.report.tested import interval, ledger, seen_in_training
from resnet_search.report.units import accuracy_on, counted, duration, large, percent
from resnet_search.runs.trials import COMPLETED, RunView, Trial

__all__ = ["Exported", "report_of"]


def report_of(
    view: RunView,
    trial: Trial | None = None,
    exported: Exported | None = None,
    *,
    pictures: tuple[Section, ...] = (),
) -> Document:
    """Return the report of a run about one of its trials, by default the best so far.

    `exported`: the verification results of the trial's SavedModel, if there is one. `pictures`: sections of plots
    (`illustrated`), placed after those of the network.
    """
    chosen, facts = trial or view.leader, facts_of(view)
    network = () if chosen is None else _network(view, chosen, exported, facts)
    space = () if is_single(view) else (inputs.searched(view),)
    data = (ledger(facts), inputs.images(view, facts))
    repeat = imported.origin(view) if view.content.get("imported") else inputs.repeat(view)
    told = (*_course(view, chosen), course.budget(view), *space, *data, repeat)
    sections = (*network, *followed(facts), *pictures, *told)
    return Document(_title(view), _summary(view, chosen, facts), sections)


def _title(view: RunView) -> tuple[str | Code, ...]:
    if is_single(view):
        return ("Training of ", Code(_names(view)), ": ", Code(view.folder.name))
    return ("Comparison " if is_grid(view) else "Architecture search ", Code(view.folder.name))


def _names(view: RunView) -> str:
    """Return the name of a run's only network, even before its training has started."""
    return next((trial.name for trial in view.trials.values()), str(view.content["space"]["name"]))


def _network(view: RunView, trial: Trial, exported: Exported | None, facts: Facts) -> tuple[Section, ...]:
    together = () if exported is None else exports.ensemble(view, exported)
    files = () if exported is None else exports.files(exported)
    return (
        *together,
        winner.about(view, trial, exported),
        winner.limits_of_the_number(view, trial, facts),
        winner.use(view, trial, exported),
        *files,
    )


def _course(view: RunView, trial: Trial | None) -> tuple[Section, ...]:
    """Describe what was trained and how: without rungs for a grid, without a ranking for a single network."""
    way = () if trial is None else (winner.way(view, trial),)
    experiment = degradation(view)
    known = () if trial is None else against_known(view, trial)
    compared = (*fronts(view), *known, *(() if experiment is None else (experiment,)))
    if is_single(view):
        return way
    if is_grid(view):
        return (grid.networks(view), *compared, *way)
    return (course.best(view), *compared, *way, course.brackets(view))


def _summary(view: RunView, trial: Trial | None, facts: Facts) -> tuple[Block, ...]:
    blocks: list[Block] = imported.opening(view) if view.state == "finished" else [_unfinished(view)]
    if is_confirmation(view):
        blocks.append(
            Paragraph(
                f"This run is the confirmation of {view.content['of']['run']}: it trains the same candidates with "
                "several seeds. Its best trial is the luckiest seed; the means are in the report of the search."
            )
        )
    if trial is None:
        return (*blocks, *(grid.failures(view) or [Paragraph("No trial has completed yet.")]))
    if trial.epochs < view.max_epochs:
        blocks.append(
            Paragraph(
                Strong(
                    f"This network was trained for {trial.epochs} of {counted(view.max_epochs, 'epoch')}: "
                    "its training is not complete."
                )
            )
        )
    size = f"{trial.params:,} trainable parameters, {large(trial.macs)} multiply-adds an image."
    if facts.merged:
        return (*blocks, Paragraph((*_found(view, trial), f"{_worth(facts)}, {size}")))
    text = (
        *_found(view, trial),
        f": {accuracy_on(trial.score or 0.0, facts.validation, 'validation accuracy')}, {size}",
    )
    return (*blocks, *_chance(view, trial, facts), Paragraph(text), *_better(view, trial), *headline(facts))


def _chance(view: RunView, trial: Trial, facts: Facts) -> Iterator[Block]:
    """Say that no network, or this one, was shown to have learnt anything, and what to change."""
    learning = facts.learning
    if learning.nothing:
        yield Paragraph((Strong(learning.words), f" Differences between networks are chance. {CURES}"))
    elif at_chance(view, trial):
        yield Paragraph(Strong(f"This network is not significantly better than {learning.of_chance}."))


def _worth(facts: Facts) -> str:
    """Return the test accuracy of a network that was trained on the validation images too."""
    all_images = " on training and validation images together"
    if facts.tested is None:
        return f"{all_images}, not measured on the test images"
    top1 = facts.tested.measured.top1
    of = counted(facts.tested.measured.images, "test image")
    seen = seen_in_training(facts.duplicates)
    return f"{all_images}: {percent(top1.value)} test accuracy on {of}{seen} (95 % interval {interval(top1)})"


def _unfinished(view: RunView) -> Paragraph:
    done = sum(trial.status == COMPLETED for trial in view.trials.values())
    what = "training" if is_single(view) else "search"
    more = "" if is_single(view) else " A better network may still come."
    words = f"The {what} is not finished ({view.state}): {done} of {counted(view.planned_trials, 'trial')}."
    return Paragraph((Strong(words), f"{more} To continue: ", Code(f"resnet-search resume {view.folder.word}")))


def _found(view: RunView, trial: Trial) -> tuple[str | Code, ...]:
    """Name the network, and say out of how many it was chosen and in what time."""
    time = duration(view.seconds)
    if is_single(view):
        source = f", {origin(view)}" if origin(view) else ""
        return (Code(trial.name), f"{source}, trained for {counted(trial.epochs, 'epoch')} in {time}")
    candidates = len({other.candidate for other in view.trials.values() if view.is_ranked(other)})
    if is_grid(view):
        tried = f"Of {counted(candidates, 'network')}, each trained for all {counted(view.max_epochs, 'epoch')}, "
    else:
        feasible = inputs.feasible_words(view.content["feasible"])
        tried = f"Of {counted(candidates, 'candidate')} out of {feasible}, tried "
    return (f"{tried}in {time}, the {winner.role(view, trial)} is ", Code(trial.name), f", trial {trial.trial}")


def _better(view: RunView, trial: Trial) -> tuple[Block, ...]:
    """Name the best network if the report is about another one."""
    best = view.leader
    if best is None or (trial.candidate, trial.epochs) == (best.candidate, best.epochs):
        return ()
    text = ("This is not the best network of the search, which is ", Code(best.name), f", trial {best.trial}.")
    return (Paragraph(text),)
