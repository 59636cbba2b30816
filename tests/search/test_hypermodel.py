"""The space under Keras Tuner's own tuners, with real trials, and a finished run in Keras Tuner."""

from __future__ import annotations

import itertools

import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.presets import PRESETS
from resnet_search.runs.trials import open_run
from resnet_search.search import hypermodel as module
from resnet_search.search.hypermodel import ResNetHyperModel, architecture_values
from resnet_search.spaces import feasible
from resnet_search.spaces.load import load_space, parse_space, shipped_spaces

from .conftest import KnownWorkers, make_space

pytestmark = pytest.mark.interface

TINY = """
[axes]
blocks = [[1, 1]]
width = [3, 4]
block = ["basic", "resnext"]
cardinality = [2, 4]
[limits]
max_params = 3_000
"""


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return random.integers(0, 256, (48, 8, 8, 3), dtype=np.uint8), np.arange(48) % 3


@pytest.fixture
def eager():
    """No graphs: to trace one takes ten times as long as to train this little."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def hypermodel():
    return ResNetHyperModel(parse_space(TINY, "tiny"), input_shape=(8, 8, 3), classes=3)


@pytest.mark.usefixtures("eager")
@pytest.mark.filterwarnings("ignore:Even though")
@pytest.mark.parametrize(
    ("tuner", "settings"),
    [
        (keras_tuner.Hyperband, {"max_epochs": 2}),
        pytest.param(keras_tuner.RandomSearch, {"max_trials": 3}, marks=pytest.mark.slow),
        pytest.param(keras_tuner.BayesianOptimization, {"max_trials": 3}, marks=pytest.mark.slow),
    ],
)
def test_unmodified_tuners_train_it(tuner, settings, hypermodel, images, tmp_path):
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


class Drawn(ResNetHyperModel):
    """Makes no network of an architecture."""

    build = ResNetHyperModel.architecture


@pytest.mark.parametrize(
    ("tuner", "settings"),
    [
        (keras_tuner.Hyperband, {"max_epochs": 27}),
        (keras_tuner.RandomSearch, {"max_trials": 60}),
        (keras_tuner.BayesianOptimization, {"max_trials": 12, "num_initial_points": 8}),
    ],
)
def test_tuners_draw_every_axis_and_go_on_after_an_infeasible_draw(tuner, settings, tmp_path):
    class Fast(tuner):
        def run_trial(self, trial, *_, **__):
            return {"val_accuracy": self.hypermodel.build(trial.hyperparameters).depth / 100}

    space = parse_space(EVERY_AXIS + "[limits]\nmax_params = 3_000", "every")
    search = Fast(
        Drawn(space, input_shape=(8, 8, 3), classes=3), objective=keras_tuner.Objective("val_accuracy", "max"),
        directory=tmp_path, project_name="p", seed=3, max_consecutive_failed_trials=50, **settings,
    )  # fmt: skip
    search.search(verbose=0)
    inside = set(space.feasible((8, 8, 3), 3).architectures)
    failed, drawn = [], set()
    for trial in search.oracle.trials.values():
        if trial.status == "COMPLETED":
            drawn.add(search.hypermodel.architecture(trial.hyperparameters))
        else:
            failed.append(trial.message)
    assert drawn <= inside
    assert len(drawn) > 3
    assert all("FailedTrialError" in message for message in failed)
    assert any("outside the limits" in message for message in failed)


@pytest.mark.parametrize("name", shipped_spaces())
def test_the_defaults_are_feasible_in_every_space_that_ships(name):
    space = load_space(name)
    architecture = ResNetHyperModel(space).architecture(keras_tuner.HyperParameters())
    assert architecture in space.feasible().architectures


EVERY_AXIS = """
[axes]
blocks = [[1, 1], [2, 1]]
width = [4, 8]
block = ["plain", "basic", "resnext", "wide"]
cardinality = [1, 2]
base_width = 4
shortcut = ["identity", "avgpool"]
attention = ["none", "se"]
attention_ratio = [2, 4]
stem = ["cifar", "deep"]
multiples = [[1, 1.5], [1, 2]]
activation = ["relu", "silu"]
dropout = [0, 0.5]
stochastic_depth = [0, 0.25]
zero_gamma = [false, true]
[recipe]
nesterov = [true, false]
batch_size = [32, 64]
"""


def test_every_axis_is_a_hyperparameter_where_it_means_something():
    hypermodel = ResNetHyperModel(parse_space(EVERY_AXIS, "every"))
    hp = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    always = {"blocks", "width", "stem", "multiples", "activation", "nesterov", "batch_size"}
    branch = {"shortcut", "attention"}
    active = {
        ("plain", "none"): set(),
        ("basic", "none"): branch | {"stochastic_depth", "zero_gamma"},
        ("basic", "se"): branch | {"stochastic_depth", "zero_gamma", "attention_ratio"},
        ("resnext", "none"): branch | {"stochastic_depth", "zero_gamma", "cardinality", "base_width"},
        ("wide", "se"): branch | {"stochastic_depth", "dropout", "attention_ratio"},
    }
    for (block, attention), conditional in active.items():
        hp.values |= {"block": block, "attention": attention}
        assert set(hypermodel.declare(hp)) == {"block", *always, *conditional}
        assert {known.name for known in hp.space if hp.is_active(known)} == {"block", *always, *conditional}
    kinds = {known.name: type(known).__name__ for known in hp.space}
    assert kinds["blocks"] == kinds["multiples"] == kinds["dropout"] == "Choice"
    assert kinds["zero_gamma"] == kinds["nesterov"] == "Boolean"
    assert kinds["base_width"] == "Choice"
    values = next(known.values for known in hp.space if known.name == "multiples")
    assert values == ["1x1.5", "1x2"]


def test_recipe_values_reach_the_optimizer():
    hypermodel = ResNetHyperModel(parse_space(EVERY_AXIS, "every"), input_shape=(8, 8, 3), classes=3)
    for nesterov in (True, False):
        hp = keras_tuner.HyperParameters()
        hp.values = {"nesterov": nesterov, "block": "basic"}
        assert hypermodel.build(hp).optimizer.nesterov is nesterov


@pytest.mark.slow
def test_a_tuner_trains_every_axis(images, tmp_path):
    limited = EVERY_AXIS.replace("width = [4, 8]", "width = 4") + "[limits]\nmax_params = 3_000"
    space = parse_space(limited, "every")
    search = keras_tuner.RandomSearch(
        ResNetHyperModel(space, input_shape=(8, 8, 3), classes=3), objective="val_accuracy", directory=tmp_path,
        project_name="p", seed=3, max_trials=2, max_consecutive_failed_trials=50,
    )  # fmt: skip
    search.search(*images, validation_data=images, epochs=1, verbose=0)
    found = set(space.feasible((8, 8, 3), 3).architectures)
    completed = [trial for trial in search.oracle.trials.values() if trial.status == "COMPLETED"]
    assert completed
    for trial in completed:
        assert search.hypermodel.architecture(trial.hyperparameters) in found


def test_models_are_one_hyperparameter():
    space = parse_space('[axes]\nmodels = ["resnet-20", "plain-20"]\n', "named")
    hypermodel = ResNetHyperModel(space)
    hp = keras_tuner.HyperParameters()
    assert hypermodel.declare(hp) == {"models": "resnet-20"}
    hp.values = {"models": "plain-20"}
    assert hypermodel.architecture(hp) == PRESETS["plain-20"].architecture


def test_a_space_too_large_to_list_is_a_hypermodel(monkeypatch):
    monkeypatch.setattr(feasible, "CAP", 1_000)
    monkeypatch.setattr(feasible, "SAMPLE", 500)
    axes = {"width": range(8, 108), "n": range(1, 11), "attention_ratio": range(1, 21)}
    text = "\n".join(f"{name} = {list(values)}" for name, values in axes.items())
    space = parse_space(
        f'[axes]\n{text}\nblock = "basic"\nattention = "se"\n[limits]\nmax_params = 10_000_000', "large"
    )
    assert not space.feasible().exact
    hypermodel = ResNetHyperModel(space)
    assert hypermodel.architecture(keras_tuner.HyperParameters()) == space.feasible().architectures[0]


def test_an_infeasible_draw_fails_with_its_reason(hypermodel):
    hp = keras_tuner.HyperParameters()
    hypermodel.declare(hp)
    hp.values |= {"block": "resnext", "width": 4, "cardinality": 2}
    with pytest.raises(keras_tuner.errors.FailedTrialError, match=r"resnext8-w4-b1x1-c2 .* tiny"):
        hypermodel.build(hp)


@pytest.mark.parametrize("name", ["quickstart", "degradation", "baselines", "folder"])
def test_values_and_architectures_are_one_to_one(name):
    space = load_space(name)
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


def test_a_network_starts_from_the_weights_that_its_recipe_says(monkeypatch):
    from resnet_search.networks import pretrained
    from resnet_search.networks.imagenet import SYMMETRIC

    text = '[axes]\nmodels = "resnet-50-v2"\n[recipe]\ninit = "imagenet"\nfrozen_stages = 1'
    called = []
    monkeypatch.setattr(module, "provide", lambda sources: called.append([source.model for source in sources]))
    monkeypatch.setattr(pretrained, "load_imagenet", lambda model, _: called.append(model))
    built = ResNetHyperModel(parse_space(text, "tuned"), classes=3)
    hp = keras_tuner.HyperParameters()
    built.declare_hyperparameters(hp)
    model = built.build(hp)
    assert called == [["resnet-50-v2"], model]
    layer = model.get_layer("standardize")
    assert (tuple(layer.mean), tuple(layer.std)) == SYMMETRIC
    assert not model.get_layer("stage1_block1_conv1").trainable
    assert model.get_layer("stage2_block1_conv1").trainable


def test_keras_tuner_builds_the_best_model_of_a_run(make_search):
    """That of a promoted trial, for which its Hyperband loads the parent's weights first."""
    space = parse_space(TINY.replace("3_000", "5_000") + "[hyperband]\nmax_epochs = 3", "tiny")
    search = make_search(space)
    search.drive(KnownWorkers(1))
    hypermodel = ResNetHyperModel(space)
    tuner = keras_tuner.Hyperband(
        hypermodel, objective="val_accuracy", max_epochs=3,
        directory=search.folder.path.parent, project_name=search.folder.name,
    )  # fmt: skip
    promoted = next(trial for trial in tuner.oracle.trials.values() if "tuner/trial_id" in trial.hyperparameters.values)
    network = hypermodel.build(promoted.hyperparameters)
    for trial in (promoted.hyperparameters.values["tuner/trial_id"], promoted.trial_id):
        network.set_weights([weights + 1 for weights in network.get_weights()])
        network.save_weights(search.folder.trial(trial) / "checkpoint.weights.h5")
    built = tuner.load_model(promoted)
    for weights, saved in zip(built.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(weights, saved)
