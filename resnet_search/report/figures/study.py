"""Convert a run to an Optuna study, for Optuna's plots and importances."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from resnet_search.report.figures.plot import label
from resnet_search.report.figures.reading import Reading
from resnet_search.runs.axes import in_order, space_of, values_on_axes
from resnet_search.runs.trials import Trial
from resnet_search.spaces.space import SearchSpace

Values = dict[str, Any]


def varying(reading: Reading) -> dict[int, Values]:
    """Return each candidate's values of the axes and recipe entries that differ between candidates.

    Axes that do not apply to a candidate's block are left out, such as the cardinality of a block without groups.
    """
    space = space_of(reading.view)
    found = {number: _values(space, trial) for number, trial in reading.trials.items()}
    seen: dict[str, set[Any]] = {}
    for values in found.values():
        for axis, value in values.items():
            seen.setdefault(axis, set()).add(value)
    # An axis that only some candidates have differs too, but then the block that decides it differs as well.
    kept = [axis for axis, choices in seen.items() if len(choices) > 1]
    return {number: {axis: values[axis] for axis in kept if axis in values} for number, values in found.items()}


def study_of(values: Mapping[int, Values], scores: Mapping[int, float]) -> Any:
    """Make an Optuna study that maximises the scores of candidates, by number."""
    import optuna

    distributions = _distributions(values)
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            optuna.trial.create_trial(
                params=values[number],
                distributions={axis: distributions[axis] for axis in values[number]},
                value=score,
            )
            for number, score in scores.items()
        ]
    )
    return study


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's log and warnings; the report itself warns about few trials."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _values(space: SearchSpace | None, trial: Trial) -> Values:
    """Escape text for Plotly's labels."""
    values = values_on_axes(space, trial)
    return {axis: label(value) if isinstance(value, str) else value for axis, value in values.items()}


def _distributions(values: Mapping[int, Values]) -> dict[str, Any]:
    """Return categories ordered by size; a recipe value drawn from a range is a number."""
    import optuna

    seen: dict[str, set[Any]] = {}
    for candidate in values.values():
        for axis, value in candidate.items():
            seen.setdefault(axis, set()).add(value)
    made: dict[str, Any] = {}
    for axis, found in seen.items():
        if all(type(value) is float for value in found) and len(found) > _MOST_CATEGORIES:
            low, high = min(found), max(found)
            made[axis] = optuna.distributions.FloatDistribution(low, high, log=low > 0 and high / low > 10)  # noqa: PLR2004
        else:
            made[axis] = optuna.distributions.CategoricalDistribution(in_order(found))
    return made


_MOST_CATEGORIES = 12
