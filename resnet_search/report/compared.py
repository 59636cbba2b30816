"""Compare runs: their settings, results, costs and test accuracies.

Everything is JSON-able; `cli/schemas/compare.json` describes each value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from resnet_search.errors import RunError
from resnet_search.report.anytime import at, best_so_far
from resnet_search.report.facts import confirmed_of, known_test
from resnet_search.report.learning import learning
from resnet_search.report.ledger import ledger_of
from resnet_search.report.significance import LEVEL
from resnet_search.report.ties import p_of
from resnet_search.report.units import standard_error
from resnet_search.runs.after import FINAL, following
from resnet_search.runs.folder import RUN_JSON
from resnet_search.runs.trial import DAMAGE
from resnet_search.runs.trials import COMPLETED, RunView, Trial
from resnet_search.training.length import in_epochs

POINTS = 40  # points of a curve of the best score so far
FEWEST = 4  # fewest candidates for a rank correlation
# Settings that do not affect the result: descriptions, locations, and values that follow from other settings.
_TOLD_ELSEWHERE = {
    "space.text", "space.description", "data.location", "data.data_dir", "data.arrays", "data.notes", "data.mean",
    "data.std", "data.rule",
}  # fmt: skip
_FACTS = ("data.duplicates.", "data.left_out.")  # what reading the images has found
_SETTINGS = ("space", "recipe", "data", "seed", "known", "backend", "workers", "versions", "machine")
# Scores on different images cannot be compared; on another split of the same images they differ by chance, too.
_DATA = ("data.fingerprint", "data.image_shape", "data.classes")
_SPLIT = ("seed", "data.train", "data.validation", "data.merged", "data.grouped")


def compare(views: Sequence[RunView]) -> dict[str, Any]:
    """Compare two or more runs; `RunError` if a run.json is damaged."""
    settings = [_settings(view) for view in views]
    runs = [_checked(view) for view in views]
    curves = [best_so_far(view) for view in views]
    shared = min((curve[-1][0] if curve else 0 for curve in curves), default=0)
    longest = max((curve[-1][0] if curve else 0 for curve in curves), default=0)
    scores = [_scores(view) for view in views]
    return {
        "runs": runs,
        "comparable": {
            "data": _same(settings, _DATA),
            "split": _same(settings, _DATA + _SPLIT),
        },
        "differences": _differences(settings),
        "pairs": [
            _pair(
                [views[place] for place in places],
                [runs[place] for place in places],
                [scores[place] for place in places],
                _unlike([settings[place] for place in places], [runs[place]["best"] for place in places]),
            )
            for places in combinations(range(len(views)), 2)
        ],
        "equal_epochs": {
            "epochs": shared,
            "scores": [at(curve, shared) for curve in curves],
            "curve_epochs": [round(longest * point / POINTS) for point in range(1, POINTS + 1)] if longest else [],
            "curves": [_sampled(curve, longest) for curve in curves],
        },
        "common": _common(scores),
    }


def _settings(view: RunView) -> dict[str, Any]:
    """Return every value of run.json that decides what a run does, by its name there."""
    content = view.content
    flat = dict(_flat({name: content[name] for name in _SETTINGS if name in content}))
    flat["plan.trials"], flat["plan.epochs"] = view.planned_trials, in_epochs(view.planned_epochs - view.saved_epochs)
    # Recipe values that a space states are in the recipe too, together with the defaults.
    spelled = {
        name for name, value in flat.items() if name.startswith("recipe.") and flat.get(f"space.{name}") == value
    }
    told = _TOLD_ELSEWHERE | {f"space.{name}" for name in spelled}
    return {name: value for name, value in flat.items() if name not in told and not name.startswith(_FACTS)}


def _flat(values: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _same(settings: Sequence[dict[str, Any]], names: Iterable[str]) -> bool:
    # Older runs lack settings that they did not have: a missing value counts as off.
    return all(len({_key(values.get(name) or None) for values in settings}) == 1 for name in names)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _differences(settings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for values in settings for name in values)
    tables = (*_SETTINGS, "plan")
    return [
        {"setting": name, "values": [values.get(name) for values in settings]}
        for name in sorted(names, key=lambda name: tables.index(name.partition(".")[0]))
        if len({_key(values.get(name)) for values in settings}) > 1
    ]


def _checked(view: RunView) -> dict[str, Any]:
    try:
        return _run(view)
    except DAMAGE as error:
        path = view.folder.path / RUN_JSON
        raise RunError(f"{path} is damaged: {error!r:.200}", "Restore the file from a copy.") from error


def _run(view: RunView) -> dict[str, Any]:
    spent, images = ledger_of(view), int(view.content["data"]["validation"])
    return {
        "run": view.folder.name,
        "path": str(view.folder.path),
        "state": view.state,
        "best": None if view.leader is None else _best(view, view.leader, images),
        "learnt": not learning(view).nothing,
        "spent": {
            "epochs": spent.epochs,
            "trials": view.completed,
            "worker_seconds": spent.seconds,
            "seconds": view.seconds,
            "joules": spent.joules,
            "energy_measured": bool(spent.measured),
        },
        "confirmed": _confirmed(view),
        "tested": _tested(view),
    }


def _best(view: RunView, trial: Trial, images: int) -> dict[str, Any]:
    score = trial.score or 0.0
    return {
        "trial": trial.trial,
        "name": trial.name,
        "score": score,
        "standard_error": standard_error(score, images) if images > 0 and 0 < score < 1 else None,
        "images": images,
        "epochs": trial.epochs,
        "full_budget": trial.epochs == view.max_epochs,
        "params": trial.params,
        "macs": trial.macs,
    }


def _confirmed(view: RunView) -> dict[str, Any] | None:
    """Return the candidate with the best mean in a confirmation."""
    again = confirmed_of(view)
    if again is None or again.found.best is None:
        return None
    best = again.found.best
    accuracy = best.accuracy
    return {
        "trial": best.trial,
        "name": best.name,
        "seeds": accuracy.values,
        "mean": accuracy.mean,
        "low": accuracy.low,
        "high": accuracy.high,
        "finished": again.found.finished,
        "outdated": again.outdated,
    }


def _tested(view: RunView) -> dict[str, Any] | None:
    """Return the test accuracy of the final network, or of the run's own network if it was trained alone."""
    final = following(view.folder, FINAL)
    for run in (final, view):
        known = None if run is None else known_test(run)
        if run is not None and known is not None:
            top1, trial = known.measured.top1, run.trials.get(known.trial)
            return {
                "name": "" if trial is None else trial.name,
                "images": known.measured.images,
                "accuracy": top1.value,
                "low": top1.low,
                "high": top1.high,
            }
    return None


def _scores(view: RunView) -> dict[str, dict[float, Trial]]:
    """Return, by candidate (architecture and varying recipe values), the trial that ended at each number of epochs."""
    found: dict[str, dict[float, Trial]] = {}
    for trial in view.trials.values():
        if trial.status == COMPLETED:
            found.setdefault(_key([trial.architecture, trial.recipe]), {})[trial.epochs] = trial
    return found


def _unlike(settings: Sequence[dict[str, Any]], bests: Sequence[dict[str, Any] | None]) -> str | None:
    """Return why the best scores of two runs cannot be compared; None if they can."""
    if not _same(settings, _DATA):
        return "images"
    if not _same(settings, _DATA + _SPLIT):
        return "split"
    found = [best for best in bests if best is not None]
    if len(found) < len(bests):
        return "no result"
    if not all(best["full_budget"] for best in found):
        return "so far"
    return "epochs" if len({best["epochs"] for best in found}) > 1 else None


def _pair(
    views: Sequence[RunView],
    runs: Sequence[dict[str, Any]],
    scores: Sequence[dict[str, dict[float, Trial]]],
    unlike: str | None,
) -> dict[str, Any]:
    one, other = (run["best"] for run in runs)
    difference = error = p = test = None
    if one is not None and other is not None:
        difference = one["score"] - other["score"]
        if one["standard_error"] is not None and other["standard_error"] is not None:
            error = math.hypot(one["standard_error"], other["standard_error"])
        if not unlike and all(best["images"] > 0 and 0 <= best["score"] <= 1 for best in (one, other)):
            trials = (views[0].trials[one["trial"]], views[1].trials[other["trial"]])
            p, test = p_of((views[0], views[1]), trials)
    return {
        "runs": [run["run"] for run in runs],
        "difference": difference,
        "standard_error": error,
        "unlike": unlike,
        "test": test,
        "p": p,
        "larger": None if p is None else p <= LEVEL,
        "ranks": _ranks(*scores),
    }


def _ranks(first: dict[str, dict[float, Trial]], second: dict[str, dict[float, Trial]]) -> dict[str, Any]:
    """Return Spearman's correlation over the candidates that both runs trained, at the epochs that most reached."""
    pairs: dict[float, list[tuple[float, float]]] = {}
    for candidate in first.keys() & second.keys():
        for epochs in first[candidate].keys() & second[candidate].keys():
            pair = (first[candidate][epochs].score or 0.0, second[candidate][epochs].score or 0.0)
            pairs.setdefault(epochs, []).append(pair)
    if not pairs:
        return {"epochs": None, "candidates": 0, "correlation": None}
    epochs = max(pairs, key=lambda epochs: (len(pairs[epochs]), epochs))
    ones, others = zip(*pairs[epochs], strict=True)
    correlation = None
    if len(ones) >= FEWEST and len(set(ones)) > 1 and len(set(others)) > 1:
        from scipy.stats import spearmanr

        correlation = float(spearmanr(ones, others).statistic)
    return {"epochs": epochs, "candidates": len(ones), "correlation": correlation}


def _sampled(curve: Sequence[tuple[float, float]], longest: float) -> list[float | None]:
    """Return the curve's value at each of `POINTS`; None before its first trial and after its last."""
    places = [round(longest * point / POINTS) for point in range(1, POINTS + 1)] if longest else []
    last = curve[-1][0] if curve else 0
    return [at(curve, place) if place <= last else None for place in places]


def _common(scores: Sequence[dict[str, dict[float, Trial]]]) -> list[dict[str, Any]]:
    """List the candidates that every run trained equally long, at the most epochs; the first run's best comes first."""
    found = []
    for candidate in [key for key in scores[0] if all(key in each for each in scores[1:])]:
        epochs = set.intersection(*(set(each[candidate]) for each in scores))
        if epochs:
            trials = [each[candidate][max(epochs)] for each in scores]
            found.append(
                {
                    "name": trials[0].name,
                    "epochs": max(epochs),
                    "trials": [trial.trial for trial in trials],
                    "scores": [trial.score for trial in trials],
                }
            )
    return sorted(found, key=lambda one: (-one["epochs"], -(one["scores"][0] or 0.0)))
