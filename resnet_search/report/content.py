"""What a report says of a run, from its view alone: for a finished run, and for one that is not."""

from __future__ import annotations

from resnet_search.report import course, inputs, winner
from resnet_search.report.document import Block, Code, Document, Paragraph, Strong
from resnet_search.report.units import accuracy, counted, duration, large
from resnet_search.report.winner import Exported
from resnet_search.runs.trials import COMPLETED, RunView, Trial

__all__ = ["Exported", "report_of"]


def report_of(view: RunView, trial: Trial | None = None, exported: Exported | None = None) -> Document:
    """The report of a run, about one of its trials, by default its best so far.

    `exported`: what the verification of the trial's SavedModel found, if there is one.
    """
    chosen = trial or view.leader
    sections = [course.best(view), course.brackets(view), course.budget(view)]
    if chosen is not None:
        sections = [
            winner.about(view, chosen, exported),
            winner.limits_of_the_number(view, chosen),
            winner.use(view, exported),
            sections[0],
            winner.way(view, chosen),
            *sections[1:],
        ]
    sections += [inputs.searched(view), inputs.images(view), inputs.repeat(view)]
    title = ("Architecture search ", Code(view.folder.name))
    return Document(title, _summary(view, chosen), tuple(sections))


def _summary(view: RunView, trial: Trial | None) -> tuple[Block, ...]:
    done = sum(other.status == COMPLETED for other in view.trials.values())
    blocks: list[Block] = []
    if view.state != "finished":
        blocks.append(
            Paragraph(
                (
                    Strong(f"The search is not finished ({view.state}): {done} of {view.planned_trials} trials."),
                    " A better network may still come. To go on: ",
                    Code(f"resnet-search resume {view.folder.name}"),
                )
            )
        )
    if trial is None:
        return (*blocks, Paragraph("No trial has completed yet."))
    if trial.epochs < view.max_epochs:
        blocks.append(
            Paragraph(
                Strong(
                    f"This network was trained for {trial.epochs} of {counted(view.max_epochs, 'epoch')}: "
                    "it is not trained to the end."
                )
            )
        )
    images = int(view.content["data"]["validation"])
    candidates = len({other.candidate for other in view.trials.values()})
    feasible = view.content["feasible"]["architectures"]
    blocks.append(
        Paragraph(
            (
                f"Of {counted(candidates, 'candidate')} out of {counted(feasible, 'feasible architecture')}, tried in ",
                f"{duration(view.seconds)}, the {winner.role(view, trial)} is ",
                Code(trial.name),
                f", trial {trial.trial}: {accuracy(trial.score or 0.0, images)} validation accuracy on ",
                f"{counted(images, 'image')} (± one standard error), {trial.params:,} trainable parameters, ",
                f"{large(trial.macs)} multiply-adds an image.",
            )
        )
    )
    return (*blocks, *_better(view, trial))


def _better(view: RunView, trial: Trial) -> tuple[Block, ...]:
    """That the report is not about the best, where it is not."""
    best = view.leader
    if best is None or (trial.candidate, trial.epochs) == (best.candidate, best.epochs):
        return ()
    text = ("The best of the search is another one: ", Code(best.name), f", trial {best.trial}.")
    return (Paragraph(text),)
