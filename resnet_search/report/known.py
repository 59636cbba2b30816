"""Compare the best network of a search with the known networks that were trained along with it."""

from __future__ import annotations

from resnet_search.report.document import Block, Code, Paragraph, Section, Table, Text
from resnet_search.report.significance import LEVEL
from resnet_search.report.ties import p_of, reach_of
from resnet_search.report.units import accuracy, large
from resnet_search.runs.trials import COMPLETED, RunView, Trial

_TOLD = (
    "Known networks, trained in this run to the last epoch, on the same images and with the recipe of the space. "
    "The comparison favours the network that was found, because it is the best of many; each known network had one "
    "chance. In parentheses: the 95 % interval of the difference, for the choice of the images. Tied: not "
    "significantly different on these images, at 5 %, without a correction for several comparisons."
)
_HEADER = ("Network", "Known as", "Parameters, trainable", "Multiply-adds of one image", "Validation accuracy",
           "Found minus known")  # fmt: skip


def against_known(view: RunView, trial: Trial) -> tuple[Section, ...]:
    """Return a table of a trial and the known networks, by accuracy; nothing if there are no known networks."""
    if not any(known["presets"] for known in view.content.get("known", ())):
        return ()
    images = int(view.content["data"]["validation"])
    done = [known for known in view.baselines if known.status == COMPLETED]
    rows: list[tuple[Text, ...]] = []
    shown = [trial, *(one for one in done if one is not trial)]
    for one in sorted(shown, key=lambda one: -(one.score or 0.0)):
        ahead = "" if one is trial else difference(view, trial, one)
        cost = (f"{one.params:,}", large(one.macs), accuracy(one.score or 0.0, images))
        rows.append(
            (Code(one.name), Code(known_as(view, one)) if view.is_baseline(one) else "found here", *cost, ahead)
        )
    blocks: list[Block] = [Paragraph(_TOLD), Table(_HEADER, tuple(rows), right=frozenset(range(2, len(_HEADER))))]
    if view.is_baseline(trial):
        blocks.insert(0, Paragraph((Code(known_as(view, trial)), NOTHING_GAINED)))
    for known in view.baselines:
        if known.status != COMPLETED:
            what = f" could not be trained: {known.reason}." if known.reason else " is not trained yet."
            blocks.append(Paragraph((Code(known_as(view, known)), what)))
    return (Section("Found against known", tuple(blocks)),)


def known_as(view: RunView, trial: Trial) -> str:
    """Return the name under which the network of a baseline's trial is known."""
    places = {(one["iteration"], one["bracket"]): one["presets"] for one in view.content["known"]}
    return str(places[trial.iteration, trial.bracket][trial.slot])


NOTHING_GAINED = (
    ", which needs no search, is at least as accurate as every network that was found: the search gained nothing."
)


def difference(view: RunView, found: Trial, known: Trial) -> str:
    """Return the difference of two trials' accuracies on the same images with its 95 % interval, and if it is a tie."""
    p, _ = p_of((view, view), (found, known))
    ahead = (found.score or 0.0) - (known.score or 0.0)
    reach = reach_of(view, found, known)
    interval = f" ({100 * (ahead - reach):+.2f} to {100 * (ahead + reach):+.2f})"
    return f"{100 * ahead:+.2f} points{interval}{', tied' if p > LEVEL else ''}"
