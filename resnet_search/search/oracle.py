"""Hyperband as an oracle of Keras Tuner, rebuilt from a run's events.

`search.store` keeps the objective, the hyperparameters and the trials for Keras Tuner; `search.schedule` decides what
comes next, since Keras Tuner's own rules lose rungs when a trial fails and end early on a small space.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from keras_tuner.engine.trial import Trial as TunerTrial

from resnet_search.errors import RunError
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.networks.presets import PRESETS
from resnet_search.runs.events import Event
from resnet_search.runs.trials import COMPLETED, FAILED, RunView, Trial
from resnet_search.search.candidates import Candidate, Candidates, Numbered
from resnet_search.search.hypermodel import architecture_values
from resnet_search.search.reuse import parent_of, trains_now
from resnet_search.search.sampling import ModelSampler
from resnet_search.search.schedule import Draw, Finished, Promote, Schedule, Wait
from resnet_search.search.store import OBJECTIVE, TunerStore
from resnet_search.spaces.brackets import Bracket
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.job import Epoch


class HyperbandOracle(TunerStore):
    """`create_trial` asks it, `complete` and `fail` report results; `created` describes the last created trial."""

    def __init__(self, space: SearchSpace, view: RunView, brackets: Sequence[Bracket], seed: int) -> None:
        data = view.content["data"]
        shape, classes = tuple(data["image_shape"]), len(data["classes"])
        self.created: dict[str, Any] = {}
        self._space, self._view, self._by_loss = space, view, view.promotes_by_loss
        self._names = {PRESETS[name].architecture: name for name in space.axes.models}
        self._cost = partial(complexity, input_shape=shape, classes=classes)
        self._known = {
            (known["iteration"], known["bracket"]): [
                _candidate(one["architecture"], one["recipe"], one.get("repeat", 0)) for one in known["candidates"]
            ]
            for known in view.content.get("known", ())
        }
        self._presets = {
            (known["iteration"], known["bracket"]): known["presets"] for known in view.content.get("known", ())
        }
        drawing = [bracket for bracket in brackets if (bracket.iteration, bracket.number) not in self._known]
        self._draws = Candidates(space, space.feasible(shape, classes), drawing, seed)
        self._sampler = (
            ModelSampler(space.axes, self._cost, self._draws, drawing, view)
            if space.hyperband.sampler == "model"
            else None
        )
        # In brackets with given candidates, scores are known, and no trial waits.
        waiting = drawing if space.hyperband.promotion == "async" else ()
        asynchronous = {(bracket.iteration, bracket.number) for bracket in waiting}
        self._schedule = Schedule(tuple(brackets), self._cost_of_draw, asynchronous, view.closed)
        self._by_number = {(bracket.iteration, bracket.number): bracket for bracket in brackets}
        self._candidates = Numbered()
        # Drawn architectures, by iteration and bracket, and by iteration.
        self._in_bracket: defaultdict[tuple[int, int], set[Architecture]] = defaultdict(set)
        self._in_iteration: defaultdict[int, set[Architecture]] = defaultdict(set)
        super().__init__(space, shape, classes, seed)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Answer Keras Tuner's question for the values of the next trial."""
        step = self._next()
        if isinstance(step, Wait | Finished):
            return {"status": "IDLE" if isinstance(step, Wait) else "STOPPED"}
        return self._start(trial_id, *step)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to start, now or later."""
        return isinstance(self._next(), Finished)

    def _next(self) -> tuple[Draw | Promote, Candidate] | Wait | Finished:
        """Return the next step that can start, with its candidate; close slots if no candidate is left for them."""
        while True:
            step = self._schedule.next(self._waits)
            if isinstance(step, Wait | Finished):
                return step
            if isinstance(step, Promote):
                return step, self._candidates[self._view.trials[step.trial].candidate]
            candidate = self._draw(step)
            if candidate is not None:
                return step, candidate
            self._schedule.close(step)

    def complete(self, trial: str, history: Sequence[Epoch]) -> float:
        """Record that a trial has reached its last epoch; return its score, the validation accuracy there."""
        tracker = self.trials[trial].metrics
        # Keras Tuner's own `update_trial` searches all epochs for the best at every epoch.
        for metric, direction in _METRICS.items():
            tracker.register(metric, direction)
            for line in history:
                tracker.metrics[metric].update(getattr(line, metric), self._ticks(line.epoch))
        return self._end_completed(trial, history[-1].val_loss)

    def _end_completed(self, trial: str, loss: float) -> float:
        self._end(trial, "COMPLETED", None)
        score = float(self.trials[trial].score)
        self._schedule.completed(trial, -loss if self._by_loss and not self._is_given(trial) else score)
        return score

    def _is_given(self, trial: str) -> bool:
        """Return whether a trial is in a bracket of given candidates."""
        placed = self._view.trials[trial]
        return (placed.iteration, placed.bracket) in self._known

    def fail(self, trial: str, reason: str) -> None:
        """Record that a trial cannot be trained."""
        self._end(trial, "FAILED", reason)
        self._schedule.failed(trial)

    def restore(self, events: Iterable[Event]) -> None:
        """Restore the state from earlier events, which `view` already includes."""
        for event in events:
            if event["event"] == "created":
                self._restore_created(self._view.trials[event["trial"]])
            elif event["event"] == COMPLETED:
                trial = self._view.trials[event["trial"]]
                # A reopened trial runs again, or has completed twice.
                if trial.status == COMPLETED and self.trials[trial.trial].status == "RUNNING":
                    self._restore_completed(trial)
            elif event["event"] == "dropped":
                # Keras Tuner numbers trials by their count.
                self.trials[event["trial"]] = TunerTrial(hyperparameters=self.hyperparameters, status="INVALID")
            elif event["event"] == FAILED:
                # A trial that is tried again runs, or has failed twice.
                trial = self._view.trials[event["trial"]]
                if trial.status == FAILED and self.trials[trial.trial].status == "RUNNING":
                    self.fail(trial.trial, trial.reason)
        self.release()

    def _draw(self, draw: Draw) -> Candidate | None:
        bracket = draw.bracket
        known = self._known.get((bracket.iteration, bracket.number))
        if known is not None:  # A failed known candidate has no replacement.
            return known[draw.slot] if draw.replacement == 0 else None
        in_bracket = self._in_bracket[bracket.iteration, bracket.number]
        candidate = self._draws.draw(draw, in_bracket, self._in_iteration[bracket.iteration])
        if self._sampler is None or candidate is None:
            return candidate
        return self._sampler.choose(draw, candidate)

    def _cost_of_draw(self, draw: Draw) -> float:
        """Return the multiply-adds of a slot's first draw; given networks, and those of a model, keep their order."""
        if (
            self._space.method == "grid"
            or self._sampler is not None
            or (draw.bracket.iteration, draw.bracket.number) in self._known
        ):
            return 0.0
        return float(self._cost(self._draws.planned(draw)).macs)

    def _start(self, trial_id: str, step: Draw | Promote, candidate: Candidate) -> dict[str, Any]:
        """Register the trial of a step and describe it for the run's events."""
        number = self._candidates.number(candidate)
        parent, reused = parent_of(self._view, number, step.rung.epochs)
        promoted_from = step.trial if isinstance(step, Promote) else None
        cost = self._cost(candidate.architecture)
        self.created = {
            "trial": trial_id,
            "candidate": number,
            "iteration": step.bracket.iteration,
            "bracket": step.bracket.number,
            "rung": step.rung.index,
            "slot": step.slot,
            "replacement": step.replacement if isinstance(step, Draw) else 0,
            "promoted_from": promoted_from,
            "parent": None if parent is None else parent.trial,
            "initial_epoch": min(parent.epochs, step.rung.epochs) if parent else 0,
            "epochs": step.rung.epochs,
            "reused": reused,
            "name": self._names.get(candidate.architecture, candidate.architecture.name),
            "depth": candidate.architecture.depth,
            "architecture": candidate.architecture.to_dict(),
            "recipe": dict(candidate.recipe),
            "repeat": candidate.repeat,
            "params": cost.trainable,
            "macs": cost.macs,
        }
        self._register(trial_id, step, candidate)
        return {"status": "RUNNING", "values": self._values(step, candidate)}

    def _values(self, step: Draw | Promote, candidate: Candidate) -> dict[str, Any]:
        """Return a trial's hyperparameters with the names of Keras Tuner's Hyperband."""
        bracket = step.bracket
        presets = self._presets.get((bracket.iteration, bracket.number))
        values: dict[str, Any] = {
            **(
                self._named(presets[step.slot]) if presets else architecture_values(self._space, candidate.architecture)
            ),
            **dict(candidate.recipe),
            "tuner/epochs": self._ticks(step.rung.epochs),
            "tuner/initial_epoch": self._ticks(step.rung.initial_epoch),
            "tuner/bracket": step.bracket.number,
            "tuner/round": step.rung.index,
        }
        if isinstance(step, Promote):
            values["tuner/trial_id"] = step.trial
        return values

    def _ticks(self, epochs: float) -> int:
        """Return epochs as an integer, as Keras Tuner needs them: in hundredths if rungs may end inside an epoch."""
        return round(self._space.hyperband.ticks * epochs)

    def _named(self, preset: str) -> dict[str, Any]:
        """Return the values of a network outside the space; Keras Tuner would draw missing ones."""
        return {**{each.name: each.default for each in self.hyperparameters.space}, "preset": preset}

    def _waits(self, step: Draw | Promote) -> bool:
        """Return whether a step's candidate is training in another trial."""
        if isinstance(step, Draw):
            is_given = (step.bracket.iteration, step.bracket.number) in self._known
            if self._sampler is not None and not is_given and not self._sampler.is_ready(step, self._schedule):
                return True
            candidate = self._draw(step)
            number = None if candidate is None else self._candidates.known(candidate)
        else:
            number = self._view.trials[step.trial].candidate
        return number is not None and trains_now(self._view, number, step.rung.epochs)

    def _register(self, trial_id: str, step: Draw | Promote, candidate: Candidate) -> None:
        if isinstance(step, Draw):
            self._schedule.drawn(trial_id, step)
            self._in_bracket[step.bracket.iteration, step.bracket.number].add(candidate.architecture)
            self._in_iteration[step.bracket.iteration].add(candidate.architecture)
        else:
            self._schedule.promoted(trial_id, step)

    def _restore_created(self, trial: Trial) -> None:
        bracket = self._by_number[trial.iteration, trial.bracket]
        candidate = _candidate(trial.architecture, trial.recipe, trial.repeat)
        step: Draw | Promote = (
            Draw(bracket, trial.slot, trial.replacement)
            if trial.promoted_from is None
            else Promote(bracket, bracket.rungs[trial.rung], trial.promoted_from, trial.slot)
        )
        self._register(trial.trial, step, candidate)
        self._candidates.add(trial.candidate, candidate)
        hyperparameters = self.hyperparameters.copy()
        hyperparameters.values = self._values(step, candidate)
        restored = TunerTrial(hyperparameters=hyperparameters, trial_id=trial.trial, status="RUNNING")
        self.trials[trial.trial] = restored
        self.ongoing_trials[f"restored{trial.trial}"] = restored
        self.start_order.append(trial.trial)
        self._save_trial(restored)

    def _restore_completed(self, trial: Trial) -> None:
        """Restore a completed trial from its history, or if that is gone or damaged, from its score, which suffices."""
        try:
            lines = [Epoch(**line) for line in self._view.history(trial)]
        except (RunError, TypeError):
            lines = []
        own = [line for line in lines if trial.reused or line.epoch > trial.initial_epoch]
        if own and own[-1].val_accuracy == trial.score:
            self.complete(trial.trial, own)
            return
        tracker = self.trials[trial.trial].metrics
        tracker.register(OBJECTIVE, "max")
        tracker.metrics[OBJECTIVE].update(trial.score, self._ticks(trial.epochs))
        self._end_completed(trial.trial, math.inf if trial.val_loss is None else trial.val_loss)


def _candidate(architecture: dict[str, Any], recipe: dict[str, Any], repeat: int) -> Candidate:
    return Candidate(Architecture.from_dict(architecture), tuple(sorted(recipe.items())), repeat)


_METRICS = {"loss": "min", "accuracy": "max", "val_loss": "min", "val_accuracy": "max"}
