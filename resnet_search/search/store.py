"""Keras Tuner's part of an oracle: its data about a search, and its files, written on request."""

from __future__ import annotations

import sys
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial as TunerTrial
from keras_tuner.oracles import HyperbandOracle as KerasTunerHyperband

from resnet_search.files import make_folder, write_json
from resnet_search.runs.folder import RunFolder
from resnet_search.search.hypermodel import ResNetHyperModel
from resnet_search.spaces.space import SearchSpace

OBJECTIVE = "val_accuracy"


class TunerStore(KerasTunerHyperband):
    """`keras_tuner.oracles.HyperbandOracle` that writes no files during a search.

    events.jsonl is the truth of a run; `project` writes the files that Keras Tuner needs to open the run.
    """

    def __init__(self, space: SearchSpace, input_shape: tuple[int, int, int], classes: int, seed: int) -> None:
        self.build_config = {"input_shape": [None, *input_shape]}
        self._unsaved: set[str] = set()
        hyperparameters = keras_tuner.HyperParameters()
        ResNetHyperModel(space, input_shape=input_shape, classes=classes).declare_hyperparameters(hyperparameters)
        super().__init__(
            objective=keras_tuner.Objective(OBJECTIVE, "max"),
            max_epochs=space.hyperband.max_epochs * space.hyperband.ticks,
            factor=space.hyperband.factor,
            hyperband_iterations=space.hyperband.iterations,
            seed=seed,
            hyperparameters=hyperparameters,
            # Keras Tuner's own limit raises while it holds a lock; `search.loop` has another.
            max_consecutive_failed_trials=None,
        )
        self.min_epochs = space.hyperband.min_epochs * space.hyperband.ticks  # its constructor does not take it
        self.seed = self._seed_state = seed  # Keras Tuner treats 0 as no seed.
        self.verbose = 0
        # Keras Tuner's own search, if continued after this one, is at its end.
        self._brackets: list[Any] = []
        self._current_bracket = 0
        self._current_iteration = space.hyperband.iterations - 1

    def score_trial(self, trial: TunerTrial) -> None:
        """Use the score of the last epoch, whose weights are continued and exported."""
        last = trial.metrics.get_history(OBJECTIVE)[-1]
        trial.score, trial.best_step = last.mean(), last.step

    def project(self, folder: RunFolder) -> None:
        """Write oracle.json, tuner0.json and outdated files of trials, so that Keras Tuner can open the run."""
        for trial in sorted(self._unsaved):
            path = folder.trial(trial)
            make_folder(path)
            write_json(path / "trial.json", self.trials[trial].get_state(), durable=False, indent=None)
            # Keras Tuner's Hyperband builds a promoted trial's parent from this.
            write_json(path / "build_config.json", self.build_config, durable=False)
        self._unsaved.clear()
        write_json(folder.path / "oracle.json", self.get_state(), durable=False, indent=None)
        write_json(folder.path / "tuner0.json", {}, durable=False)

    def save(self) -> None:
        """Do nothing: Keras Tuner would save in place at every step; `project` replaces that."""

    def _check_consecutive_failures(self) -> None:
        """Do nothing: Keras Tuner would scan all trials for a limit that is not set."""

    def _save_trial(self, trial: TunerTrial) -> None:
        self._unsaved.add(trial.trial_id)

    def _end(self, trial: str, status: str, message: str | None) -> None:
        ended = self.trials[trial]
        ended.status, ended.message = status, message
        self.end_trial(ended)

    def release(self) -> None:
        """Let Keras Tuner forget this oracle: it keeps every oracle that it has locked, with all trials, for ever."""
        engine = sys.modules[keras_tuner.Oracle.__module__]
        for kept in ("LOCKS", "THREADS"):
            getattr(engine, kept, {}).pop(self, None)
