"""Compare the best network of a search with the known networks that were trained along with it."""

from __future__ import annotations

from resnet_search.report.document import Block, Code, Paragraph, Section, Table, Text
from resnet_search.report.significance import LEVEL
from resnet_search.report.ties import p_of
from resnet_search.report.units import accuracy, large
from resnet_search.runs.trials import COMPLETED, RunView, Trial

_TOLD = (
    "Known networks, trained in this run to the last epoch, on the same images and with the recipe of the space. "
    "The comparison favours the network that was found, because it is the best of many; each known network had one "
    "chance. Tied: not significantly different on these images, at 5 %, without a correction for several comparisons."
)
_HEADER = ("Network", "Known as", "Parameters, trainable", "Multiply-adds of one image", "Validation accuracy",
           "Found minus known")  # fmt: skip


def against_known(view: RunView, trial: Trial) -> tuple[Section, ...]:
    """Return a table of a trial and the known networks, by accuracy; nothing if there are no known networks."""
    names = [name for known in view.content.get("known", ()) for name in known["presets"]]
    if not names:
        return ()
    images = int(view.content["data"]["validation"])
    done = [known for known in view.baselines if known.status == COMPLETED]
    rows: list[tuple[Text, ...]] = []
    for one in sorted([trial, *done], key=lambda one: -(one.score or 0.0)):
        found = one is trial
        ahead = "" if found else _difference(view, trial, one)
        cost = (f"{one.params:,}", large(one.macs), accuracy(one.score or 0.0, images))
        rows.append((Code(one.name), "found here" if found else Code(names[one.slot]), *cost, ahead))
    blocks: list[Block] = [Paragraph(_TOLD), Table(_HEADER, tuple(rows), right=frozenset(range(2, len(_HEADER))))]
    for known in view.baselines:
        if known.status != COMPLETED:
            what = f" could not be trained: {known.reason}." if known.reason else " is not trained yet."
            blocks.append(Paragraph((Code(names[known.slot]), what)))
    return (Section("Found against known", tuple(blocks)),)


def _difference(view: RunView, found: Trial, known: Trial) -> str:
    p, _ = p_of((view, view), (found, known))
    ahead = ((found.score or 0.0) - (known.score or 0.0)) * 100
    return f"{ahead:+.2f} points{', tied' if p > LEVEL else ''}"
