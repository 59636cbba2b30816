"""A run as an Optuna study, for what Optuna computes and plots of one."""

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
    """Of each candidate its values on the axes, and of the recipe, that differ between candidates.

    An axis that means nothing beside a candidate's block, as the cardinality of a block without groups, it has not.
    """
    space = space_of(reading.view)
    found = {number: _values(space, trial) for number, trial in reading.trials.items()}
    seen: dict[str, set[Any]] = {}
    for values in found.values():
        for axis, value in values.items():
            seen.setdefault(axis, set()).add(value)
    # One that some have and others have not differs too, but then so does the block that decides it.
    kept = [axis for axis, choices in seen.items() if len(choices) > 1]
    return {number: {axis: values[axis] for axis in kept if axis in values} for number, values in found.items()}


def study_of(values: Mapping[int, Values], scores: Mapping[int, float]) -> Any:
    """An Optuna study that maximises the scores of candidates, by number."""
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
    """Optuna without its log and its warnings: what they say of few trials, the report says."""
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
    """What Plotly takes for text is text in its labels."""
    values = values_on_axes(space, trial)
    return {axis: label(value) if isinstance(value, str) else value for axis, value in values.items()}


def _distributions(values: Mapping[int, Values]) -> dict[str, Any]:
    """Categories, in the order of their size; a quantity of the recipe that was drawn from a range is a number."""
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
