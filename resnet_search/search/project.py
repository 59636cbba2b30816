"""Read a project of plain Keras Tuner from its folder: hyperparameters, trials, and what is known of its search.

Keras Tuner is not imported, so the intact part of a project that it cannot open can still be read. The files are
untrusted: any fault is a `RunError` that names the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from resnet_search.errors import RunError
from resnet_search.reading import read_text
from resnet_search.spaces.schema import Range
from resnet_search.spaces.wording import escape

COMPLETED = "COMPLETED"
MOST_BYTES = 2**25  # largest file: oracle.json has about 105 bytes a trial
MOST_VALUES = 1_000  # most values of one hyperparameter
_DAMAGE = (LookupError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """One hyperparameter of a project; `values`: all its values, or the range they are drawn from.

    `default`: its value in a trial that lacks it; None if it may be absent because it is conditional.
    """

    name: str
    values: tuple[Any, ...] | Range
    default: Any


@dataclass(frozen=True, slots=True)
class ProjectTrial:
    """One trial. `epochs` and `initial_epoch` are absolute, None if the tuner does not record them.

    `metrics`: the best value of each. `reason`: why it failed, in a line; `message`: the full text. `began`, `ended`:
    seconds since 1970, None if not recorded.
    """

    trial: str
    values: Mapping[str, Any]
    metrics: Mapping[str, float]
    completed: bool
    reason: str
    message: str
    epochs: int | None
    initial_epoch: int
    parent: str | None
    began: float | None
    ended: float
    path: Path


@dataclass(frozen=True, slots=True)
class Project:
    """The content of a project's folder. `max_epochs` and `factor` are None if the tuner is not Hyperband."""

    path: Path
    tuner: str
    hyperparameters: tuple[Hyperparameter, ...]
    trials: tuple[ProjectTrial, ...]
    max_epochs: int | None
    factor: int | None
    iterations: int


def read_project(path: Path) -> Project:
    """Read a project's folder, its trials in the order of their start; `RunError` if it is not one."""
    oracle_file = path / "oracle.json"
    if not oracle_file.is_file():
        inside = sorted(str(found.parent.relative_to(path)) for found in path.glob("*/oracle.json"))[:5]
        cure = (
            f"Name a project inside it: {', '.join(map(escape, inside))}."
            if inside
            else "Name the folder directory/project_name of your tuner."
        )
        raise RunError(f"PROJECT: got {escape(str(path), 300)!r}, which has no oracle.json", cure)
    oracle = _load(oracle_file)
    try:
        # Versions before 1.4.5 have no display, and those before 1.2 no order either.
        display = oracle.get("display", {})
        began = {str(trial): _moment(text) for trial, text in display.get("trial_start", {}).items()}
        order = {str(trial): place for place, trial in enumerate(oracle.get("start_order", ()))}
        hyperparameters = _merged(_hyperparameter(one) for one in oracle["hyperparameters"]["space"])
        is_hyperband = "hyperband_iterations" in oracle
        max_epochs, factor = (_whole(oracle[key]) if is_hyperband else None for key in ("max_epochs", "factor"))
        iterations = oracle.get("hyperband_iterations", 1)
    except _DAMAGE as error:
        raise _damaged(oracle_file, error) from error
    trials = [_read_trial(file, began) for file in path.glob("trial_*/trial.json")]
    if not trials:
        raise RunError(f"{escape(str(path), 300)}: has no trials", "Nothing was searched in this project yet.")
    # Without an order, a trial still comes before those that continue it.
    trials.sort(
        key=lambda trial: (
            order.get(trial.trial, len(order)),
            trial.initial_epoch if not order else 0,
            len(trial.trial),
            trial.trial,
        )
    )
    _check_family(trials, oracle_file)
    return Project(
        path,
        "Hyperband" if is_hyperband else "BayesianOptimization" if "beta" in oracle else "RandomSearch or GridSearch",
        hyperparameters,
        tuple(trials),
        max_epochs,
        factor,
        # Keras Tuner writes Infinity if there is no limit.
        iterations if isinstance(iterations, int) and iterations > 0 else 1,
    )


def _load(path: Path) -> Any:
    try:
        return json.loads(read_text(path, MOST_BYTES))
    except OSError as error:
        raise _damaged(path, OSError(error.strerror or str(error))) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> RunError:
    what = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    cure = "Restore it from a copy."
    if path.name == "trial.json":
        cure = f"Restore it from a copy, or move {escape(path.parent.name)} away to import the other trials."
    return RunError(f"{escape(str(path), 300)}: is incomplete or not a Keras Tuner file: {escape(what, 200)}", cure)


def _hyperparameter(described: Any) -> Hyperparameter:
    kind, config = described["class_name"], described["config"]
    name = config["name"]
    if not isinstance(name, str):
        raise TypeError(f"a hyperparameter is called {name!r:.100}")
    values: tuple[Any, ...] | Range
    if kind == "Choice":
        values = tuple(config["values"])
    elif kind == "Boolean":
        values = (False, True)
    elif kind == "Fixed":
        values = (config["value"],)
    elif kind in {"Int", "Float"}:
        values = _numbers(config, whole=kind == "Int")
    else:
        raise ValueError(f"hyperparameter {name!r:.100} is a {kind!r:.100}")
    for value in values if isinstance(values, tuple) else (values.min, values.max):
        if not isinstance(value, str | int | float):
            raise TypeError(f"hyperparameter {name!r:.100} has the value {value!r:.100}")
    default = None
    if not config["conditions"] and isinstance(values, tuple):
        default = config.get("default") if config.get("default") is not None else values[0]
    return Hyperparameter(name, values, default)


def _merged(described: Iterable[Hyperparameter]) -> tuple[Hyperparameter, ...]:
    """Merge hyperparameters of the same name: Keras Tuner allows a name again under another condition."""
    found: dict[str, Hyperparameter] = {}
    for one in described:
        before = found.get(one.name)
        if before is not None and before.values != one.values:
            if isinstance(before.values, Range) or isinstance(one.values, Range):
                raise ValueError(f"hyperparameter {one.name!r:.100} has two ranges")
            one = replace(one, values=tuple(dict.fromkeys((*before.values, *one.values))))  # noqa: PLW2901
        found[one.name] = one
    return tuple(found.values())


def _numbers(config: Any, *, whole: bool) -> tuple[Any, ...] | Range:
    """Return the values of an Int or a Float: those that its steps reach, or a range."""
    low, high, step = config["min_value"], config["max_value"], config["step"]
    factor = config["sampling"] in {"log", "reverse_log"}
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"hyperparameter {config['name']!r:.100} goes from {low!r:.100} to {high!r:.100}")
    if step is None or (whole and step == 1 and high - low >= MOST_VALUES):
        return Range(low, high, log=factor)
    if not (step > 1 if factor else step > 0):
        # In old files, a logarithmic Int without a step has a step of 1.
        return Range(low, high, log=factor)
    values = [low]
    while len(values) <= MOST_VALUES:
        # Multiplied, not added up, so that steps of 0.1 end exactly.
        value = low * step ** len(values) if factor else low + step * len(values)
        if value > high * (1 + 1e-9):
            return tuple(values)
        values.append(value if whole else float(f"{value:.12g}"))
    raise ValueError(f"hyperparameter {config['name']!r:.100} has more than {MOST_VALUES:,} values")


def _read_trial(path: Path, began: Mapping[str, float]) -> ProjectTrial:
    state = _load(path)
    try:
        trial, values = state["trial_id"], state["hyperparameters"]["values"]
        if not isinstance(trial, str) or not isinstance(values, dict):
            raise TypeError(f"trial_id is {trial!r:.100}, the values are {values!r:.100}")
        completed = state["status"] == COMPLETED
        message = str(state.get("message") or "")
        epochs = values.get("tuner/epochs")
        parent = values.get("tuner/trial_id")
        return ProjectTrial(
            trial,
            values,
            {str(name): _best(metric) for name, metric in state["metrics"]["metrics"].items() if metric["observations"]}
            if completed
            else {},
            completed,
            "" if completed else _last_words(message) or f"the project says {state['status']!s:.50}, and not why",
            message,
            None if epochs is None else _whole(epochs),
            int(values.get("tuner/initial_epoch", 0)),
            None if parent is None else str(parent),
            began.get(trial),
            path.stat().st_mtime,
            path,
        )
    except (*_DAMAGE, OSError) as error:
        raise _damaged(path, error) from error


def _best(metric: Any) -> float:
    values = [math.fsum(one["value"]) / len(one["value"]) for one in metric["observations"]]
    return float(min(values) if metric["direction"] == "min" else max(values))


def _last_words(message: str) -> str:
    """Return the end of a traceback, the error and its text, in one line."""
    words: list[str] = []
    for line in reversed(message.strip().splitlines()):
        if line.startswith((" ", "Traceback")):
            break
        words.insert(0, line.strip())
    return " ".join(words)[:500]


def _check_family(trials: list[ProjectTrial], where: Path) -> None:
    """Check that each trial appears once and continues an earlier trial."""
    seen: dict[str, ProjectTrial] = {}
    for trial in trials:
        if trial.trial in seen:
            raise _damaged(trial.path, ValueError(f"trial {trial.trial!r:.100} appears twice"))
        if trial.parent is not None and trial.parent not in seen:
            raise _damaged(
                where, ValueError(f"trial {trial.trial} continues {trial.parent!r:.100}, which does not come before it")
            )
        first = 0 if trial.parent is None else seen[trial.parent].epochs
        if trial.epochs is not None and not (trial.initial_epoch == first and trial.initial_epoch < trial.epochs):
            what = f"it trains from {trial.initial_epoch} to {trial.epochs}, and its parent to {first}"
            raise _damaged(trial.path, ValueError(what))
        seen[trial.trial] = trial


def _whole(value: Any) -> int:
    if not isinstance(value, int) or not 1 <= value < 2**31:
        raise ValueError(f"{value!r:.100} is not an integer from 1 up")
    return value


def _moment(text: Any) -> float:
    """Parse a time of Keras Tuner, which is local and has no zone."""
    return datetime.fromisoformat(text).timestamp()
