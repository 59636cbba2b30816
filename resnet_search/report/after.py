"""Report what followed a search: its confirmation, its final network, and the reads of the test images."""

from __future__ import annotations

from collections.abc import Iterator

from resnet_search.report.confirmed import confirmed
from resnet_search.report.document import Block, Code, Paragraph, Section, Strong, Table
from resnet_search.report.facts import CONFIRMED, WINNER, Duplicates, Facts, Full
from resnet_search.report.learning import measured_at_chance
from resnet_search.report.tested import also_trained_on, interval, on_test_images, seen_in_training
from resnet_search.report.units import counted, percent


def headline(facts: Facts) -> Iterator[Block]:
    """Yield what the runs that followed a search found, for the start of its report."""
    again, full = facts.confirmed, facts.full
    if again is not None and again.found.best is not None:
        best = again.found.best
        state = "" if again.found.finished else " so far"
        seeds = counted(best.accuracy.values, "seed")
        old = f" {again.outdated}" if again.outdated else ""
        text = f"Confirmed{state}: the best mean over {seeds} is {percent(best.accuracy.mean)} validation accuracy, of "
        yield Paragraph((text, Code(best.name), f", trial {best.trial}.{old}"))
    if full is not None and full.tested is not None:
        top1 = full.tested.measured.top1
        of = counted(full.tested.measured.images, "test image")
        old = f" {full.outdated}" if full.outdated else ""
        yield Paragraph(
            (
                "Trained in full: ",
                Code(full.source.name),
                f", trial {full.source.trial}, {chosen_as(full)}, has ",
                Strong(f"{percent(top1.value)} test accuracy"),
                f" on {of}{seen_in_training(facts.duplicates)} (95 % interval {interval(top1)}).{old}",
            )
        )


def chosen_as(full: Full) -> str:
    """Say what the network trained in full is among the candidates of its search."""
    if full.role == CONFIRMED:
        return "the best of the confirmation"
    return "the best of the search" if full.role == WINNER else "which is not the best candidate"


def followed(facts: Facts) -> Iterator[Section]:
    """Yield the sections on the test images, on the confirmation and on the final network, where they exist."""
    if facts.tested is not None:
        yield from on_test_images(facts.tested.measured, facts.duplicates)
    if facts.confirmed is not None:
        section = confirmed(facts.confirmed.found, learnt=not facts.learning.nothing)
        old = (Paragraph(Strong(facts.confirmed.outdated)),) if facts.confirmed.outdated else ()
        yield Section(section.title, (*old, *section.blocks))
    if facts.full is not None:
        yield _full(facts.full, facts.duplicates)


def _full(full: Full, duplicates: Duplicates) -> Section:
    """Describe the network that was trained on all images, with its test accuracy."""
    final = full.run
    how = f"trained from scratch on training and validation images together, for {counted(final.max_epochs, 'epoch')}"
    told = Paragraph(
        (
            f"Trial {full.source.trial} of the search, ",
            Code(full.source.name),
            f", {chosen_as(full)}: {how} with recipe ",
            Code(str(final.content["recipe"]["name"])),
            ". Its report: ",
            Code("final/export"),
            ".",
        )
    )
    old = (Paragraph(Strong(full.outdated)),) if full.outdated else ()
    if final.leader is None or full.tested is None:
        done = "Its training is not finished yet." if final.state != "finished" else "It was not measured."
        return Section("Trained in full", (*old, told, Paragraph(done)))
    measured = full.tested.measured
    rows = [("Top-1 accuracy on the test images", percent(measured.top1.value), interval(measured.top1))]
    if measured.top5 is not None:
        rows.append(("Top-5 accuracy", percent(measured.top5.value), interval(measured.top5)))
    error = measured.calibration.error
    rows.append(("Expected calibration error", percent(error.value), interval(error)))
    header = (Code(final.leader.name), "Value", "95 % interval")
    table = Table(header, tuple(rows), right=frozenset({1, 2}))
    seen = map(Paragraph, filter(None, (also_trained_on(duplicates), measured_at_chance(measured))))
    return Section("Trained in full", (*old, told, table, *seen))
