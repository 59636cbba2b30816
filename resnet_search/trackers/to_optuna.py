"""Optuna's journal, which optuna-dashboard shows: a trial per candidate, with a value per epoch."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_search.files import make_folder, remove
from resnet_search.runs.axes import in_order, plain
from resnet_search.spaces.schema import Range
from resnet_search.spaces.space import SearchSpace
from resnet_search.trackers.contract import COMPLETE, FAILED, PRUNED, RUNNING, SCORE, Point, Record, Search, Stored

if TYPE_CHECKING:
    from optuna.storages import JournalStorage

JOURNAL = "journal.log"
_KEY, _CANDIDATE = "key", "candidate"


def open_store(search: Search, place: Path, space: SearchSpace | None) -> Journal:
    """Open the journal of a run; replace it if it cannot be read or belongs to another run of this name."""
    import optuna

    optuna.logging.set_verbosity(logging.ERROR)
    make_folder(place)
    try:
        return Journal(search, storage_of(place), space)
    except OSError:
        raise
    except Exception:  # noqa: BLE001 - a damaged file makes Optuna raise anything
        remove(place / JOURNAL)
        return Journal(search, storage_of(place), space)


def storage_of(place: Path) -> JournalStorage:
    """Return Optuna's storage for the journal in a folder."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    path = str(place / JOURNAL)
    # Symbolic links, Optuna's default, need a privilege on Windows.
    return JournalStorage(JournalFileBackend(path, JournalFileOpenLock(path)))


def has_study(place: Path, key: str) -> bool:
    """Return whether a folder has a journal that belongs to the run with this key."""
    try:
        return (place / JOURNAL).is_file() and any(
            study.user_attrs.get(_KEY) == key for study in storage_of(place).get_all_studies()
        )
    except Exception:  # noqa: BLE001 - damaged, and about to be replaced
        return False


class Journal:
    """`trackers.contract.Tracker`. Optuna cannot reopen a finished trial: a candidate that continues gets a new one."""

    def __init__(self, search: Search, storage: JournalStorage, space: SearchSpace | None) -> None:
        self._storage = storage
        self._distributions = distributions(space)
        self._study = self._open(search)
        self._trials: dict[int, int] = {}  # the last trial of each candidate

    def _open(self, search: Search) -> int:
        from optuna.study import StudyDirection

        for study in self._storage.get_all_studies():
            if study.user_attrs.get(_KEY) != search.key:
                raise ValueError("the journal belongs to another run")
            return self._storage.get_study_id_from_name(study.study_name)
        made = self._storage.create_new_study([StudyDirection.MAXIMIZE], search.name)
        for name, value in {**search.tags, _KEY: search.key}.items():
            self._storage.set_study_user_attr(made, name, value)
        self._storage.set_study_system_attr(made, "study:metric_names", [SCORE])
        return made

    def stored(self) -> dict[int, Stored]:
        found = {}
        for trial in self._storage.get_all_trials(self._study, deepcopy=False):
            candidate = trial.user_attrs[_CANDIDATE]
            self._trials[candidate] = self._storage.get_trial_id_from_study_id_trial_number(self._study, trial.number)
            found[candidate] = Stored(max(trial.intermediate_values, default=0), _STATE_OF[trial.state.name])
        return found

    def write(self, record: Record, before: Stored | None) -> None:
        news = [point for point in record.curve if before is None or point.step > before.step]
        if before is None or (before.state != RUNNING and news):
            self._create(record)
        elif before.state == RUNNING:
            self._go_on(self._trials[record.candidate], record, news)

    def _go_on(self, trial: int, record: Record, news: list[Point]) -> None:
        for point in news:
            if SCORE in point.metrics:
                self._storage.set_trial_intermediate_value(trial, point.step, point.metrics[SCORE])
        if record.state != RUNNING:
            known = self._storage.get_trial(trial).user_attrs
            for name, value in record.tags.items():
                if known.get(name) != value:
                    self._storage.set_trial_user_attr(trial, name, value)
            value = _value(record)
            self._storage.set_trial_state_values(trial, _state(record), None if value is None else [value])

    def _create(self, record: Record) -> None:
        """Return everything about a candidate, as one line of the journal."""
        from optuna.trial import FrozenTrial

        params = {
            name: value
            for name, value in record.params.items()
            if name in self._distributions and _has(self._distributions[name], value)
        }
        trial = FrozenTrial(
            number=-1,
            trial_id=-1,
            state=_state(record),
            value=_value(record),
            datetime_start=_moment(record.started),
            datetime_complete=None if record.state == RUNNING else _moment(record.ended),
            params=params,
            distributions={name: self._distributions[name] for name in params},
            user_attrs=dict(record.tags),
            system_attrs={},
            intermediate_values={p.step: p.metrics[SCORE] for p in record.curve if SCORE in p.metrics},
        )
        self._trials[record.candidate] = self._storage.create_new_trial(self._study, template_trial=trial)

    def close(self) -> None:
        """Do nothing: every write is complete."""


def distributions(space: SearchSpace | None) -> dict[str, Any]:
    """Return Optuna's distribution for each axis and recipe value: categories ordered by size, or a range."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if space is None:
        return {}
    made: dict[str, Any] = {}
    axes = {name: getattr(space.axes, name) for name in space.axes.__dataclass_fields__}
    for name, values in {**axes, **space.recipe}.items():
        if isinstance(values, Range):
            if isinstance(values.min, int) and isinstance(values.max, int):
                made[name] = IntDistribution(values.min, values.max, log=values.log)
            else:
                made[name] = FloatDistribution(values.min, values.max, log=values.log)
        elif isinstance(values, tuple) and values:
            made[name] = CategoricalDistribution(in_order({plain(value) for value in values}))
    return made


def _has(distribution: Any, value: Any) -> bool:
    """Return whether a value fits; those of a known network may lie outside the search space."""
    choices = getattr(distribution, "choices", None)
    return value in choices if choices is not None else distribution.low <= value <= distribution.high


def _state(record: Record) -> Any:
    from optuna.trial import TrialState

    if record.state == COMPLETE and _value(record) is None:  # Its history is damaged, and Optuna requires a value.
        return TrialState.FAIL
    states = {RUNNING: TrialState.RUNNING, COMPLETE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED}
    return states.get(record.state, TrialState.FAIL)


def _value(record: Record) -> float | None:
    """Return the last score of a trial that ended with one."""
    scores = [point.metrics[SCORE] for point in record.curve if SCORE in point.metrics]
    return scores[-1] if scores and record.state in {COMPLETE, PRUNED} else None


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


_STATE_OF = {"RUNNING": RUNNING, "WAITING": RUNNING, "COMPLETE": COMPLETE, "PRUNED": PRUNED, "FAIL": FAILED}
