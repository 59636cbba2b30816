"""Choose the trials to export, and find their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from resnet_search.errors import ExportError, RunError
from resnet_search.export.formats import Format
from resnet_search.runs.checkpoints import gone
from resnet_search.runs.trials import COMPLETED, RunView, Trial
from resnet_search.training.job import WEIGHTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Upper limits on cost: trainable parameters, multiply-adds of one image, milliseconds for one image."""

    max_params: int | None = None
    max_macs: int | None = None
    max_latency: float | None = None


def chosen_trial(view: RunView, trial: Trial | None) -> Trial:
    """Return the trial to export: by default the winner, or else the best trial with the most epochs so far."""
    chosen = trial or view.leader
    if chosen is None:
        raise RunError(
            f"RUN: got {view.folder.name!r}, where no trial has completed yet",
            f"Continue it: resnet-search resume {view.folder.word}",
        )
    if chosen.status != COMPLETED:
        reason = f" ({chosen.reason})" if chosen.reason else ""
        raise ExportError(
            f"TRIAL: got {chosen.trial!r}, which is {chosen.status}{reason}; allowed: a completed trial",
            f"resnet-search trials {view.folder.word} --status {COMPLETED} lists them.",
        )
    return chosen


def best_trials(view: RunView, count: int) -> list[Trial]:
    """Return the best candidates trained in full, for an ensemble; `ExportError` if there are not enough."""
    ranked = view.ranking()
    if not 2 <= count <= len(ranked):  # noqa: PLR2004 - an ensemble of one is none
        name = view.folder.name
        allowed = f"2 to {len(ranked)}" if len(ranked) > 1 else "nothing yet"
        raise ExportError(
            f"--ensemble: got {count}; allowed: {allowed}, as {name} has {len(ranked)} candidates trained in full",
            f"resnet-search trials {view.folder.word} lists them.",
        )
    return ranked[:count]


def trial_within(
    view: RunView, limits: Limits, latency_of: Callable[[Trial], float], formats: Sequence[Format]
) -> Trial:
    """Return the best candidate trained in full within the limits; `ExportError` names the smallest if there is none.

    Candidates whose weights were removed are left out. `latency_of` measures milliseconds for one image in the slowest
    of `formats`; it is called in the order of accuracy, for candidates within the other limits, until one fits.
    """
    candidates = [trial for trial in view.ranking() if has_weights(view, trial)]
    if not candidates:
        name = view.folder.name
        raise ExportError(
            f"RUN: got {name!r}, which has no candidate trained in full with weights",
            f"Export another trial with --trial: resnet-search trials {view.folder.word} lists them.",
        )
    costs: tuple[tuple[str, int | None, Callable[[Trial], int]], ...] = (
        ("--max-params", limits.max_params, lambda trial: trial.params),
        ("--max-macs", limits.max_macs, lambda trial: trial.macs),
    )
    for option, limit, cost in costs:
        if limit is not None:
            smallest = min(candidates, key=cost)
            candidates = [trial for trial in candidates if cost(trial) <= limit]
            if not candidates:
                what = f"{cost(smallest):,} or more, the cost of the smallest network"
                raise _too_small(view, f"{option}: got {limit:,}", what, smallest)
    if limits.max_latency is None:
        return candidates[0]
    found: dict[str, float] = {}
    for trial in candidates:
        found[trial.trial] = latency_of(trial)
        if found[trial.trial] <= limits.max_latency:
            return trial
    fastest = min(candidates, key=lambda trial: found[trial.trial])
    form = " and ".join(f"as {made.name} in {made.runtime}" for made in formats)
    what = f"{found[fastest.trial]:.3g} ms or more, the time of the fastest network {form}"
    raise _too_small(view, f"--max-latency: got {limits.max_latency:g} ms", what, fastest)


def _too_small(view: RunView, given: str, allowed: str, trial: Trial) -> ExportError:
    return ExportError(
        f"{given}; allowed: {allowed}, trial {trial.trial} ({trial.name})",
        f"resnet-search trials {view.folder.word} --pareto lists the choices.",
    )


def weights_of(view: RunView, trial: Trial) -> Path:
    """Return the file of a trial's scored weights: its own, or that of the trial whose result it reuses."""
    holder = view.holder(trial)
    if holder.epochs != trial.epochs:
        raise ExportError(
            f"TRIAL: got {trial.trial!r}, which reused the score of trial {holder.trial} and has no weights of its own",
            f"Export that trial, which was trained for {holder.epochs} epochs instead of {trial.epochs}: "
            f"--trial {holder.trial}",
        )
    path = _weights(view, trial)
    if not path.is_file():
        why, cure = gone(view, holder)
        raise ExportError(f"{path}: {why}, so trial {trial.trial} cannot be exported", cure)
    return path.absolute()  # Not resolved: it must be no link.


def has_weights(view: RunView, trial: Trial) -> bool:
    """Return whether a trial's weights exist."""
    return view.holder(trial).epochs == trial.epochs and _weights(view, trial).is_file()


def _weights(view: RunView, trial: Trial) -> Path:
    return view.folder.trial(view.holder(trial).trial) / WEIGHTS
