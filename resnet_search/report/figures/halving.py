"""Plot the brackets: which trials were promoted from which rung, and where the epochs were spent."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from resnet_search.report.course import epochs_on_disk
from resnet_search.report.document import Figure, Paragraph, Section
from resnet_search.report.figures.plot import BLUE, GREEN, GREY, LEGEND, ORANGE, PATTERNS, RED, figure
from resnet_search.report.units import counted
from resnet_search.runs.trials import COMPLETED, FAILED, RunView, Trial
from resnet_search.training.length import in_epochs, in_total

WENT_ON, DROPPED, TO_THE_END, FAILS, OPEN = "promoted", "stopped", "trained in full", "failed", "still open"
_COLOUR = {WENT_ON: BLUE, TO_THE_END: GREEN, DROPPED: ORANGE, FAILS: RED, OPEN: GREY}
_Rung = tuple[str, int]
_Names = dict[tuple[int, int], str]
_Ended = list[tuple[Trial, str]]
_PER_BAR, _AROUND = 34, 150


def brackets(view: RunView) -> tuple[Section, ...]:
    """Return two plots over all iterations; nothing for a run without promotions."""
    ended, names = outcomes(view), _names(view)
    plan = _planned(view, names)
    if not ended or not any(rung for _, rung in plan):
        return ()
    known = {(one["iteration"], one["bracket"]) for one in view.content.get("known", ())}
    iterations = len({trial.iteration for trial, _ in ended if (trial.iteration, trial.bracket) not in known})
    together = f" The plots add up all {iterations} iterations." if iterations > 1 else ""
    told = (
        "A bracket trains its candidates rung by rung. At the end of a rung the best are promoted, the others are "
        f"stopped. A bracket with a higher number starts with more candidates and fewer epochs each.{together}"
    )
    figures = (_flow(plan, ended, names), _spent(view, plan, ended, names))
    return (Section("The brackets as a picture", (Paragraph(told), *figures)),)


def outcomes(view: RunView) -> _Ended:
    """Return the outcome of each trial of the search."""
    trials = [trial for trial in view.trials.values() if not view.is_baseline(trial)]
    # The bracket of an extension continues trials of another bracket, which ended there.
    promoted = {(trial.iteration, trial.bracket, trial.promoted_from) for trial in trials}
    sizes = {
        (bracket["iteration"], bracket["number"], rung["index"]): int(rung["size"])
        for bracket in view.content["plan"]
        for rung in bracket["rungs"]
    }
    filled = Counter((trial.iteration, trial.bracket, trial.rung) for trial in trials if trial.status != FAILED)
    # With async promotion, a trial may still become one of the best when others end.
    certain = view.content["space"]["hyperband"].get("promotion") != "async"

    def outcome(trial: Trial) -> str:
        above = (trial.iteration, trial.bracket, trial.rung + 1)
        if trial.status == FAILED:
            return FAILS
        if (trial.iteration, trial.bracket, trial.trial) in promoted:
            return WENT_ON
        if trial.status != COMPLETED:
            return OPEN
        if above not in sizes:
            return TO_THE_END if trial.epochs >= view.max_epochs else DROPPED
        full = certain and filled[above] >= sizes[above]
        return DROPPED if view.state == "finished" or full else OPEN

    return [(trial, outcome(trial)) for trial in trials]


def _names(view: RunView) -> _Names:
    """Return each bracket's name, the same in all iterations; known networks have none."""
    known = {(one["iteration"], one["bracket"]): one["presets"] for one in view.content.get("known", ())}
    names: _Names = {}
    for bracket in sorted(view.content["plan"], key=lambda one: (-one["number"], one["iteration"])):
        place = (bracket["iteration"], bracket["number"])
        if place not in known:
            names[place] = f"bracket {bracket['number']}"
    stages = {(one["iteration"], one["bracket"]): one.get("stage") for one in view.content.get("known", ())}
    extensions = [place for place, presets in known.items() if not presets and not stages[place]]
    names |= {place: _STAGES.get(stage, stage) for place, stage in stages.items() if stage}
    return names | {place: f"extension {number}" for number, place in enumerate(extensions, 1)}


_STAGES = {"pace": "winner (timing)"}


def _planned(view: RunView, names: _Names) -> dict[_Rung, float]:
    """Return the last epoch of each rung, by bracket name and rung, in the order of the names."""
    plan = {(bracket["iteration"], bracket["number"]): bracket["rungs"] for bracket in view.content["plan"]}
    return {
        (name, int(rung["index"])): in_epochs(rung["epochs"]) for place, name in names.items() for rung in plan[place]
    }


def _flow(plan: dict[_Rung, float], ended: _Ended, names: _Names) -> Figure:
    """Plot the trials as a flow from rung to rung."""
    flows = Counter((names[trial.iteration, trial.bracket], trial.rung, outcome) for trial, outcome in ended)
    totals = Counter((names[trial.iteration, trial.bracket], trial.rung) for trial, _ in ended)
    rungs = [key for key in plan if totals[key]]
    ends = [end for end in _COLOUR if end != WENT_ON and any(flows[(*key, end)] for key in rungs)]
    nodes: list[_Rung | str] = [*rungs, *ends]
    place = {key: at for at, key in enumerate(nodes)}
    links = [
        (place[key], place[(key[0], key[1] + 1) if outcome == WENT_ON else outcome], flows[(*key, outcome)], outcome)
        for key in rungs
        for outcome in _COLOUR
        if flows[(*key, outcome)]
    ]
    final = Counter(outcome for _, outcome in ended)
    sankey = {
        "type": "sankey",
        "arrangement": "snap",
        "node": {
            "label": [
                *(_node(bracket, rung, plan[bracket, rung], totals[bracket, rung]) for bracket, rung in rungs),
                *(f"{end}: {final[end]:,}" for end in ends),
            ],
            "color": [*([BLUE] * len(rungs)), *(_COLOUR[end] for end in ends)],
            "pad": 14,
            "thickness": 14,
            "hovertemplate": "%{label}<extra></extra>",
        },
        "link": {
            "source": [link[0] for link in links],
            "target": [link[1] for link in links],
            "value": [link[2] for link in links],
            "customdata": [link[3] for link in links],
            "color": [_faint(_COLOUR[link[3]]) for link in links],
            "hovertemplate": "%{value:,} %{customdata}<extra></extra>",
        },
    }
    alternative = "The flow of trials from rung to rung. " + " ".join(
        f"{bracket.capitalize()}, up to epoch {plan[bracket, rung]}: "
        + ", ".join(
            f"{flows[bracket, rung, outcome]:,} {outcome}" for outcome in _COLOUR if flows[bracket, rung, outcome]
        )
        + "."
        for bracket, rung in rungs
    )
    height = max(320, 60 * len(rungs))
    return figure("halving", "Promoted and stopped trials", [sankey], {"margin": {"l": 8, "r": 8, "t": 8, "b": 8}},
                  alternative, height=min(height, 900))  # fmt: skip


def _node(bracket: str, rung: int, epochs: float, trials: int) -> str:
    """Label a rung; short after the first one, because labels are close together on a phone."""
    return f"{bracket}, epoch {epochs}: {trials:,}" if rung == 0 else f"epoch {epochs}: {trials:,}"


def _spent(view: RunView, plan: dict[_Rung, float], ended: _Ended, names: _Names) -> Figure:
    """Plot the epochs by rung and by outcome of their trials."""
    epochs: defaultdict[tuple[str, int, str], float] = defaultdict(float)
    for trial, outcome in ended:
        trained = trial.trained_epochs if trial.status == COMPLETED else epochs_on_disk(view, trial)
        epochs[names[trial.iteration, trial.bracket], trial.rung, outcome] += trained
    rungs = [key for key in plan if any(epochs[(*key, outcome)] for outcome in _COLOUR)]
    rows = [f"{bracket}, to epoch {plan[bracket, rung]}" for bracket, rung in rungs]
    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": outcome,
            "y": rows,
            "x": [in_epochs(epochs[(*key, outcome)]) for key in rungs],
            "marker": {"color": colour, "pattern": {"shape": shape}},
            "hovertemplate": f"%{{y}}<br>%{{x:,}} epochs in trials that {_verb(outcome)}<extra></extra>",
        }
        for (outcome, colour), shape in zip(_COLOUR.items(), PATTERNS, strict=False)
        if any(epochs[(*key, outcome)] for key in rungs)
    ]
    by_outcome: defaultdict[str, float] = defaultdict(float)
    for (_, _, outcome), number in epochs.items():
        by_outcome[outcome] += number
    shares = ", ".join(
        f"{in_epochs(number):,} in trials that {_verb(outcome)}"
        for outcome, number in sorted(by_outcome.items(), key=lambda item: -item[1])
        if number
    )
    alternative = f"Of {counted(in_total(epochs.values()), 'epoch')} of training: {shares}."
    layout = {
        "barmode": "stack",
        "xaxis": {"title": {"text": "epochs of training"}, "automargin": True},
        "yaxis": {"autorange": "reversed", "automargin": True, "type": "category"},
        "legend": LEGEND,
    }
    height = _AROUND + _PER_BAR * len(rungs)
    return figure("budget", "Where the epochs went", traces, layout, alternative, height=height)


def _verb(outcome: str) -> str:
    return {OPEN: f"are {OPEN}", FAILS: FAILS}.get(outcome, f"were {outcome}")


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.4)"
