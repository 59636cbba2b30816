"""The results of a confirmation: the best candidates of a search, each trained from scratch with several seeds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from resnet_search.report.document import Block, Bullets, Code, Paragraph, Section, Table, Text
from resnet_search.report.units import counted, percent, spread
from resnet_search.runs.trials import COMPLETED, FAILED, RunView, Trial

if TYPE_CHECKING:
    from resnet_search.report.statistics import OverSeeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A confirmed candidate. `trial`: its trial in the search. `scores`: by seed, from 1. `behind` and `p` compare it
    with the best, as in `statistics.Comparison`; they are None for the best itself.
    """

    trial: str
    name: str
    search_score: float
    scores: dict[int, float]
    accuracy: OverSeeds
    overestimate: OverSeeds
    behind: float | None = None
    p: float | None = None
    tied: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """All candidates that have a score, the best mean first.

    `alike`: trained with the recipe and the epochs of the search, so that the overestimate is due to selection alone.
    """

    candidates: tuple[Confirmed, ...]
    failures: tuple[tuple[str, str], ...]
    networks: int
    done: int
    seeds: int
    epochs: int
    recipe: str
    images: int
    alike: bool
    finished: bool

    @property
    def best(self) -> Confirmed | None:
        """The candidate with the best mean."""
        return self.candidates[0] if self.candidates else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def confirmation(view: RunView, again: RunView) -> Confirmation:
    """Return the results so far of `again`, the confirmation of `view`."""
    # Imported here because it imports numpy.
    from resnet_search.report.statistics import compare_with_best, over_seeds, overestimate

    of = again.content["of"]
    sources = [view.trials[trial] for trial in of["trials"]]
    scores: dict[str, dict[int, float]] = {}
    for trial in again.trials.values():
        if trial.status == COMPLETED and trial.score is not None:
            scores.setdefault(_source(sources, trial).trial, {})[trial.repeat] = trial.score
    # Each candidate draws its own order of images from its seed, so scores of a seed are not paired.
    compared = {one.name: one for one in compare_with_best(scores, paired=False)} if scores else {}
    candidates = [
        Confirmed(
            trial=source.trial,
            name=source.name,
            search_score=source.score or 0.0,
            scores=dict(sorted(scores[source.trial].items())),
            accuracy=over_seeds(list(scores[source.trial].values())),
            overestimate=overestimate(source.score or 0.0, list(scores[source.trial].values())),
            **_against(compared.get(source.trial)),
        )
        for source in sources
        if source.trial in scores
    ]
    failed = [trial for trial in again.trials.values() if trial.status == FAILED]
    return Confirmation(
        candidates=tuple(sorted(candidates, key=lambda one: (one.behind is not None, -one.accuracy.mean))),
        failures=tuple((f"{trial.name}, seed {trial.repeat}", trial.reason) for trial in failed),
        networks=len(sources) * int(of["seeds"]),
        done=sum(map(len, scores.values())),
        seeds=int(of["seeds"]),
        epochs=again.max_epochs,
        recipe=str(again.content["recipe"]["name"]),
        images=int(again.content["data"]["validation"]),
        alike=again.content["recipe"] == view.content["recipe"] and again.max_epochs == view.max_epochs,
        finished=again.state == "finished",
    )


def _source(sources: list[Trial], trial: Trial) -> Trial:
    """Return the trial of the search that a trial repeats: slots run through the candidates, seed after seed."""
    return sources[trial.slot % len(sources)]


def _against(comparison: Any) -> dict[str, Any]:
    if comparison is None:
        return {}
    return {"behind": comparison.behind, "p": comparison.p, "tied": comparison.tied}


def confirmed(found: Confirmation, *, learnt: bool = True) -> Section:
    """Make the section of a report. `learnt`: whether the search is better than chance."""
    what = (
        f"The best {counted(len(found.candidates), 'candidate')} of the search, trained from scratch with "
        f"{counted(found.seeds, 'seed')} each, for {counted(found.epochs, 'epoch')} with recipe "
    )
    done = f"{found.done} of {counted(found.networks, 'network')} done"
    how = (
        f", on the same split: {done}. The intervals are 95 % intervals of the mean over seeds (Student's t on the "
        "logit scale), from 3 seeds on."
    )
    told = (what, Code(found.recipe), how)
    blocks: list[Block] = [Paragraph(told)]
    if found.candidates:
        rows = tuple(map(_row, found.candidates))
        blocks += [
            Table(_HEADER, rows, right=frozenset(range(2, len(_HEADER)))),
            Bullets(tuple(remarks(found, learnt=learnt))),
        ]
    if found.failures:
        lost = tuple((Code(what), Code(reason)) for what, reason in found.failures)
        blocks += [Paragraph("Could not be trained:"), Table(("Network", "Reason"), lost)]
    return Section("Confirmed", tuple(blocks))


_HEADER = ("Trial", "Architecture", "Seeds", "Mean", "Standard deviation", "95 % interval", "In the search",
           "Overestimated by", "Against the best")  # fmt: skip


def _row(one: Confirmed) -> tuple[Text, ...]:
    return (Code(one.trial), Code(one.name), *cells(one))


def cells(one: Confirmed) -> tuple[str, ...]:
    """Return seeds, mean, deviation, interval, search score, overestimate, and the comparison with the best."""
    over = one.accuracy
    return (
        f"{over.values}",
        percent(over.mean),
        percent(over.deviation),
        _interval(over),
        percent(one.search_score),
        f"{one.overestimate.mean * 100:+.2f}",
        verdict(one),
    )


def _interval(over: OverSeeds) -> str:
    if over.low is None or over.high is None:
        return f"none: {counted(over.values, 'seed')}"
    return spread(over.low, over.high)


def verdict(one: Confirmed) -> str:
    """Return how a candidate compares with the best."""
    if one.behind is None:
        return "best"
    if one.p is None:
        return f"-{one.behind * 100:.2f}, one seed"
    return f"-{one.behind * 100:.2f}, {'tied' if one.tied else 'worse'}"


def remarks(found: Confirmation, *, learnt: bool = True) -> list[str]:
    """Return what follows from the numbers, and what does not; of networks at chance, no order and no choice."""
    best = found.best
    if best is None:
        return []
    said = [_ties(found, best), _search(found)] if learnt else []
    said.append("The same validation images chose these candidates, so the means are still slightly optimistic.")
    return said


def _ties(found: Confirmation, best: Confirmed) -> str:
    others = found.candidates[1:]
    if not others:
        return f"{best.name} is the only candidate, so there is no comparison."
    if any(one.p is None for one in others):
        return "With a single seed, candidates cannot be compared. Train more seeds with --seeds."
    tied = [one.name for one in others if one.tied]
    test = "Welch's t test with Holm's correction for the number of pairs"
    if not tied:
        return f"{best.name} is significantly better than every other candidate ({test}, 5 %)."
    return (
        f"With this many seeds, {best.name} is tied with {', '.join(tied)} ({test}, 5 %). Take the smallest of the "
        "tied networks, or train more seeds."
    )


def _search(found: Confirmation) -> str:
    means = [one.overestimate.mean for one in found.candidates]
    mean = sum(means) / len(means) * 100
    if not found.alike:
        return (
            f"The scores of the search differ from these by {mean:+.2f} percentage points on average. The recipe or "
            "the number of epochs differs from the search, so the difference is not due to selection alone."
        )
    how = "over" if mean >= 0 else "under"
    return (
        f"The search {how}estimated these candidates by {abs(mean):.2f} percentage points on average: its scores come "
        "from one seed and are the best of several."
    )
