"""Report a run that trains every network in full, without brackets and promotions."""

from __future__ import annotations

from resnet_search.report import course
from resnet_search.report.document import Block, Code, Paragraph, Section, Table, Text
from resnet_search.report.kind import is_confirmation, network_count
from resnet_search.report.names import named, preset_of
from resnet_search.report.units import counted, large, percent
from resnet_search.runs.trials import FAILED, RunView, Trial

MOST_ROWS = 100


def networks(view: RunView) -> Section:
    """List all networks, the best first, and the failures."""
    ranked = view.ranking()
    told = (
        f"Every network is trained once, for all {counted(view.max_epochs, 'epoch')}, so all of these scores are "
        f"comparable. {len(ranked):,} of {network_count(view):,} are done."
    )
    blocks: list[Block] = [Paragraph(told)]
    if ranked:
        blocks.append(_table(view, ranked[:MOST_ROWS]))
    if len(ranked) > MOST_ROWS:
        blocks.append(Paragraph(f"{len(ranked) - MOST_ROWS:,} more are in `resnet-search trials`."))
    if ranked and not is_confirmation(view):
        blocks += course.indistinct(view, ranked)
    return Section("The networks, best first", (*blocks, *failures(view)))


def failures(view: RunView) -> list[Block]:
    """List the networks that could not be trained, each with its reason."""
    failed = [trial for trial in view.trials.values() if trial.status == FAILED]
    if not failed:
        return []
    rows = tuple((Code(trial.trial), Code(trial.name), Code(trial.reason)) for trial in failed[:MOST_ROWS])
    text = f"{counted(len(failed), 'network')} could not be trained:"
    return [Paragraph(text), Table(("Trial", "Network", "Reason"), rows)]


def _table(view: RunView, ranked: list[Trial]) -> Table:
    published = {trial.trial: _published(view, trial) for trial in ranked}
    rows = []
    for place, trial in enumerate(ranked, 1):
        row: list[Text] = [
            f"{place}",
            Code(trial.trial),
            named(trial),
            f"{trial.depth}",
            f"{trial.params:,}",
            large(trial.macs),
            percent(trial.score),
        ]
        rows.append((*row, *([published[trial.trial]] if any(published.values()) else [])))
    header = ["Place", "Trial", "Network", "Depth (layers)", "Parameters, trainable", "Multiply-adds of one image"]
    header.append("Validation accuracy")
    if any(published.values()):
        header.append("Published test accuracy")
    return Table(tuple(header), tuple(rows), right=frozenset({0, *range(3, len(header))}))


def _published(view: RunView, trial: Trial) -> str:
    """Return the published test accuracy of a network from the literature."""
    known = preset_of(trial) if view.content["data"]["source"] == "cifar10" else None
    if known is None or known.error is None or known.architecture.stem != "cifar":
        return ""
    return f"{100 - known.error:.2f} %"
