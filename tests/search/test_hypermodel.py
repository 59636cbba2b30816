"""The space under Keras Tuner's own tuners, with real trials, and a finished run in Keras Tuner."""

from __future__ import annotations

import itertools

import keras_tuner
import numpy as np
import pytest

from resnet_search.networks.architecture import Architecture
from resnet_search.runs.trials import open_run
from resnet_search.search.hypermodel import ResNetHyperModel, architecture_values
from resnet_search.spaces.load import load_space, parse_space

from .conftest import KnownWorkers, make_space

TINY = """
[axes]
n = [1]
width = [3, 4]
block = ["basic", "resnext"]
cardinality = [2, 4]
[limits]
max_params = 7_000
"""


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return random.integers(0, 256, (48, 8, 8, 3), dtype=np.uint8), np.arange(48) % 3


@pytest.fixture(scope="module")
def hypermodel():
    return ResNetHyperModel(parse_space(TINY, "tiny"), input_shape=(8, 8, 3), classes=3)


@pytest.mark.parametrize(
    ("tuner", "settings"),
    [
        (keras_tuner.Hyperband, {"max_epochs": 2}),
        (keras_tuner.RandomSearch, {"max_trials": 3}),
        (keras_tuner.BayesianOptimization, {"max_trials": 3}),
    ],
)
def test_unmodified_tuners_search_it(tuner, settings, hypermodel, images, tmp_path):
    search = tuner(
        hypermodel, objective="val_accuracy", directory=tmp_path, project_name="p", seed=1, **settings,
        max_consecutive_failed_trials=50,
    )  # fmt: skip
    search.search(*images, validation_data=images, epochs=1, batch_size=24, verbose=0)
    trials = search.oracle.trials.values()
    completed = [trial for trial in trials if trial.status == "COMPLETED"]
    assert completed
    for trial in trials:
        assert trial.status == "COMPLETED" or "outside the limits" in trial.message
    assert search.get_best_hyperparameters()[0].values["block"] in {"basic", "resnext"}


def test_the_defaults_are_feasible_in_every_space_that_ships():
    for name in ("quickstart", "cifar_small", "cifar_full"):
        space = load_space(name)
        architecture = ResNetHyperModel(space).architecture(keras_tuner.HyperParameters())
        assert architecture in space.feasible().architectures


def test_an_infeasible_draw_fails_with_its_reason(hypermodel):
    hp = keras_tuner.HyperParameters()
    hypermodel.declare(hp)
    hp.values |= {"block": "resnext", "width": 4, "cardinality": 4}
    with pytest.raises(keras_tuner.errors.FailedTrialError, match="resnext11-w4-c4 is outside the limits of tiny"):
        hypermodel.build(hp)


def test_values_and_architectures_are_one_to_one():
    space = load_space("quickstart")
    hypermodel = ResNetHyperModel(space)
    for architecture in space.feasible().architectures:
        hp = keras_tuner.HyperParameters()
        hp.values = architecture_values(space, architecture)
        assert hypermodel.architecture(hp) == architecture


def test_cardinality_is_conditional_on_resnext(hypermodel):
    hp = keras_tuner.HyperParameters()
    hp.values["block"] = "basic"
    assert "cardinality" not in hypermodel.declare(hp)
    hp = keras_tuner.HyperParameters()
    hp.values["block"] = "resnext"
    assert "cardinality" in hypermodel.declare(hp)


def test_a_finished_run_opens_in_keras_tuner(make_search):
    space = make_space(max_epochs=9)
    search = make_search(space)
    view = search.drive(KnownWorkers(2))
    tuner = keras_tuner.Hyperband(
        ResNetHyperModel(space), objective="val_accuracy", max_epochs=9,
        directory=search.folder.path.parent, project_name=search.folder.name,
    )  # fmt: skip
    assert len(tuner.oracle.trials) == len(view.trials) == 23
    for trial in view.trials.values():
        theirs = tuner.oracle.trials[trial.trial]
        assert theirs.status == "COMPLETED"
        assert theirs.score == pytest.approx(trial.score)
        assert theirs.hyperparameters.values["width"] == trial.architecture["width"]
        assert theirs.hyperparameters.values.get("tuner/trial_id") == trial.promoted_from
        assert theirs.hyperparameters.values["tuner/epochs"] == trial.epochs
    best = tuner.get_best_hyperparameters(30)
    full = [hp for hp in best if hp.values["tuner/epochs"] == 9]
    winner = view.winner
    assert winner is not None
    expected = architecture_values(space, Architecture.from_dict(winner.architecture))
    assert expected.items() <= full[0].values.items()
    tuner.reload()
    assert open_run(search.folder.path).winner == winner


def test_keras_tuner_opens_a_run_that_failed_trials_and_was_cut_off(make_search):
    space = make_space()
    search = make_search(space)
    calls = itertools.count()
    with pytest.raises(KeyboardInterrupt):
        search.drive(KnownWorkers(2, lambda *_: "failed" if next(calls) % 3 == 0 else "done", stop_after=20))
    tuner = keras_tuner.Hyperband(
        ResNetHyperModel(space), objective="val_accuracy", max_epochs=9,
        directory=search.folder.path.parent, project_name=search.folder.name,
    )  # fmt: skip
    statuses = {trial.status for trial in tuner.oracle.trials.values()}
    assert {"COMPLETED", "FAILED"} <= statuses
