"""Which trials an export is of, and where their weights are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from resnet_search.errors import ExportError, RunError
from resnet_search.runs.checkpoints import gone
from resnet_search.runs.trials import COMPLETED, RunView, Trial
from resnet_search.training.job import WEIGHTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a network may cost: trainable parameters, multiply-adds of one image, milliseconds for one image."""

    max_params: int | None = None
    max_macs: int | None = None
    max_latency: float | None = None


def chosen_trial(view: RunView, trial: Trial | None) -> Trial:
    """The trial, by default the winner, or before there is one the best of those trained furthest."""
    chosen = trial or view.leader
    if chosen is None:
        raise RunError(
            f"RUN: got {view.folder.name!r}, where no trial has completed yet",
            f"Go on with it: resnet-search resume {view.folder.word}",
        )
    if chosen.status != COMPLETED:
        reason = f" ({chosen.reason})" if chosen.reason else ""
        raise ExportError(
            f"TRIAL: got {chosen.trial!r}, which is {chosen.status}{reason}; allowed: a completed trial",
            f"resnet-search trials {view.folder.word} --status {COMPLETED} lists them.",
        )
    return chosen


def best_trials(view: RunView, count: int) -> list[Trial]:
    """The best candidates trained in full, for an ensemble; `ExportError` if there are fewer."""
    ranked = view.ranking()
    if not 2 <= count <= len(ranked):  # noqa: PLR2004 - an ensemble of one is none
        name = view.folder.name
        allowed = f"2 to {len(ranked)}" if len(ranked) > 1 else "nothing yet"
        raise ExportError(
            f"--ensemble: got {count}; allowed: {allowed}, as {name} has {len(ranked)} candidates trained in full",
            f"resnet-search trials {view.folder.word} lists them.",
        )
    return ranked[:count]


def trial_within(view: RunView, limits: Limits, latency_of: Callable[[Trial], float]) -> Trial:
    """The best candidate trained in full that costs no more than the limits; `ExportError` names the smallest.

    Candidates whose weights were cleaned away are left out. `latency_of` measures one, in milliseconds for one image:
    in the order of accuracy, of those within the other limits, until one fits.
    """
    candidates = [trial for trial in view.ranking() if has_weights(view, trial)]
    if not candidates:
        name = view.folder.name
        raise ExportError(
            f"RUN: got {name!r}, where no candidate that was trained in full has its weights",
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
                raise _too_small(view, option, f"{limit:,}", f"{cost(smallest):,}", smallest)
    if limits.max_latency is None:
        return candidates[0]
    found: dict[str, float] = {}
    for trial in candidates:
        found[trial.trial] = latency_of(trial)
        if found[trial.trial] <= limits.max_latency:
            return trial
    fastest = min(candidates, key=lambda trial: found[trial.trial])
    took = f"{found[fastest.trial]:.3g} ms"
    raise _too_small(view, "--max-latency", f"{limits.max_latency:g} ms", took, fastest)


def _too_small(view: RunView, option: str, limit: str, smallest: str, trial: Trial) -> ExportError:
    return ExportError(
        f"{option}: got {limit}; allowed: {smallest} or more, as the smallest there is, trial {trial.trial} "
        f"({trial.name}), has that",
        f"resnet-search trials {view.folder.word} --pareto shows what there is to choose from.",
    )


def weights_of(view: RunView, trial: Trial) -> Path:
    """The file of the weights that a trial's score is of: its own, or that of the trial it reuses."""
    holder = view.holder(trial)
    if holder.epochs != trial.epochs:
        raise ExportError(
            f"TRIAL: got {trial.trial!r}, which was not trained itself: its score is from the way of trial "
            f"{holder.trial}, whose weights are those after {holder.epochs} epochs, not {trial.epochs}",
            f"Export that one: --trial {holder.trial}",
        )
    path = _weights(view, trial)
    if not path.is_file():
        why, cure = gone(view, holder)
        raise ExportError(f"{path}: {why}, so trial {trial.trial} cannot be exported", cure)
    return path.resolve()


def has_weights(view: RunView, trial: Trial) -> bool:
    """Whether a trial's weights are there."""
    return view.holder(trial).epochs == trial.epochs and _weights(view, trial).is_file()


def _weights(view: RunView, trial: Trial) -> Path:
    return view.folder.trial(view.holder(trial).trial) / WEIGHTS
