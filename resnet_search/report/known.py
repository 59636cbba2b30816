"""Compare the best network of a search with the known networks that were trained along with it."""

from __future__ import annotations

from resnet_search.report.document import Block, Code, Paragraph, Section, Table, Text
from resnet_search.report.significance import LEVEL
from resnet_search.report.ties import p_of, reach_of
from resnet_search.report.units import accuracy, counted, large
from resnet_search.runs.trials import COMPLETED, RunView, Trial

_TOLD = (
    "Known networks, trained in this run on the same images and with the recipe of the space. "
    "The comparison favours the network that was found, because it is the best of many; each known network had one "
    "chance. In parentheses: the 95 % confidence interval of the difference, which accounts only for the choice of the "
    "validation images. Tied: not significantly different on these images, at 5 %, without a correction for several "
    "comparisons."
)
_HEADER = ("Network", "Known as", "Parameters, trainable", "Multiply-adds of one image", "Epochs",
           "Validation accuracy", "Found minus known")  # fmt: skip
NOTHING_GAINED = ", which needs no search, is at least as accurate as all other networks, so the search gained nothing."


def known_names(view: RunView) -> dict[int, str]:
    """Return the names of the known networks of a run, by candidate."""
    places = {(one["iteration"], one["bracket"]): one["presets"] for one in view.content.get("known", ())}
    return {one.candidate: str(places[one.iteration, one.bracket][one.slot]) for one in view.baselines}


def against_known(view: RunView, trial: Trial) -> tuple[Section, ...]:
    """Return a table of a trial and the known networks, by accuracy; nothing if there are no known networks."""
    if not any(known["presets"] for known in view.content.get("known", ())):
        return ()
    names, images = known_names(view), int(view.content["data"]["validation"])
    rows: list[tuple[Text, ...]] = []
    others = [known for known in longest_of_known(view) if known.candidate != trial.candidate]
    for one in sorted([trial, *others], key=lambda one: -(one.score or 0.0)):
        known: Text = Code(names[one.candidate]) if one.candidate in names else "found here"
        cost = (f"{one.params:,}", large(one.macs), f"{one.epochs}", accuracy(one.score or 0.0, images))
        rows.append((Code(one.name), known, *cost, "" if one is trial else difference(view, trial, one)))
    blocks: list[Block] = [Paragraph(_TOLD), Table(_HEADER, tuple(rows), right=frozenset(range(2, len(_HEADER))))]
    if trial.candidate in names:
        blocks.insert(0, Paragraph((Code(names[trial.candidate]), NOTHING_GAINED)))
    for known_trial in view.baselines:
        if known_trial.status != COMPLETED:
            what = f" could not be trained: {known_trial.reason}." if known_trial.reason else " is not trained yet."
            blocks.append(Paragraph((Code(names[known_trial.candidate]), what)))
    return (Section("Found against known", tuple(blocks)),)


def longest_of_known(view: RunView) -> list[Trial]:
    """Return the longest completed trial of each known network, in the order they were given."""
    completed = (
        [one for one in view.of_candidate(candidate) if one.status == COMPLETED] for candidate in known_names(view)
    )
    return [max(trials, key=lambda one: one.epochs) for trials in completed if trials]


def difference(view: RunView, found: Trial, known: Trial) -> str:
    """Return the difference of two candidates' accuracies with its 95 % interval, and whether it is a tie.

    They are compared on the same images after the most epochs that both were trained for.
    """
    by_epochs = [
        {one.epochs: one for one in view.of_candidate(trial.candidate) if one.status == COMPLETED}
        for trial in (found, known)
    ]
    shared = by_epochs[0].keys() & by_epochs[1].keys()
    if not shared:
        return "not comparable: no number of epochs in common"
    epochs = max(shared)
    one, other = (trials[epochs] for trials in by_epochs)
    p, _ = p_of((view, view), (one, other))
    ahead, reach = (one.score or 0.0) - (other.score or 0.0), reach_of(view, one, other)
    interval = f" ({100 * (ahead - reach):+.2f} to {100 * (ahead + reach):+.2f})"
    after = "" if epochs == found.epochs else f" after {counted(epochs, 'epoch')}"
    return f"{100 * ahead:+.2f} points{interval}{after}{', tied' if p > LEVEL else ''}"
