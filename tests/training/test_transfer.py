"""Training from weights of ImageNet: what is frozen stays as it is, to the bit, and the rest learns."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from resnet_search.networks import imagenet
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.imagenet import SOURCES
from resnet_search.networks.presets import preset
from resnet_search.training import train as module
from resnet_search.training.job import TrialFailure
from resnet_search.training.kept import KEPT
from resnet_search.training.train import STATE, WEIGHTS, Trainer, train
from tests.networks.test_pretrained import random_source, save_as_keras_does
from tests.training.test_train import equal, ignore, state

pytestmark = pytest.mark.interface

SMALL = Architecture.from_dict({"block": "preact_basic", "blocks": [1, 1], "width": 4})


@pytest.fixture
def loads(monkeypatch):
    """A small network that has weights too; the models that they were loaded into."""
    loaded = []

    def load_imagenet(model, architecture):
        assert architecture == SMALL
        loaded.append(model)
        rng = np.random.default_rng(5)
        for weight in model.weights:
            if not weight.path.startswith("logits"):
                low = 0.5 if weight.name == "moving_variance" else -0.2
                weight.assign(rng.uniform(low, low + 0.4, weight.shape))

    monkeypatch.setitem(imagenet._BY_ARCHITECTURE, SMALL, SOURCES["resnet-50-v2"])
    monkeypatch.setattr(module, "load_imagenet", load_imagenet)
    return loaded


def transfer_job(make_job, stages=1, **values):
    recipe = {"init": "imagenet", "frozen_stages": stages, **values.pop("recipe", {})}
    return make_job(architecture=SMALL.to_dict(), recipe=recipe, **values)


def values_of(model):
    return {weight.path: np.array(weight) for weight in model.weights}


def of_stages(paths, stages):
    frozen = ("stem", *(f"stage{stage}_" for stage in range(1, stages + 1))) if stages else ("none",)
    return {path for path in paths if path.startswith(frozen)}


@pytest.mark.parametrize(
    ("stages", "recipe"),
    [
        (1, {}),
        pytest.param(0, {}, marks=pytest.mark.slow),
        pytest.param(1, {"name": "he"}, marks=pytest.mark.slow),
        pytest.param(2, {}, marks=pytest.mark.slow),
    ],
)
def test_what_is_frozen_stays_to_the_bit_and_the_rest_learns(make_job, arrays, loads, stages, recipe):
    trainer = Trainer(transfer_job(make_job, stages, recipe=recipe, epochs=1), arrays)
    Path(trainer.job.folder).mkdir()
    assert trainer.restore(()) == 0
    assert loads == [trainer.network]
    before = values_of(trainer.network)
    trainer.run(0, 1)
    after = values_of(trainer.network)
    same = {path for path in before if np.array_equal(before[path], after[path])}
    assert same == of_stages(before, stages)
    assert any("moving_variance" in path for path in same) is (stages > 0)
    # What is scored and kept differs from what goes on training, but not where it is frozen.
    trainer.network.load_weights(f"{trainer.job.folder}/{WEIGHTS}")
    kept = values_of(trainer.network)
    assert all(np.array_equal(before[path], kept[path]) for path in same)


def test_the_score_is_of_images_normalised_as_the_weights_expect(make_job, arrays, loads):
    trainer = Trainer(transfer_job(make_job), arrays)
    layer = trainer.network.get_layer("standardize")
    assert (layer.mean, layer.std) == ([127.5] * 3, [127.5] * 3)


def test_frozen_weights_add_nothing_to_the_loss(make_job, arrays, loads):
    losses = [
        sum(
            float(loss)
            for loss in Trainer(transfer_job(make_job, stages, recipe={"optimizer": "sgd"}), arrays).network.losses
        )
        for stages in (0, 2)
    ]
    assert losses[0] > losses[1] > 0


def test_cut_off_and_gone_on_with_is_the_same_and_needs_no_weights_again(make_job, arrays, loads):
    """In a new process, and so does a promotion."""
    whole = transfer_job(make_job, trial="9")
    job = transfer_job(make_job)

    def copy_first(line):
        if line.epoch == 1:
            shutil.copytree(whole.folder, job.folder)

    train(whole, arrays, copy_first)
    KEPT.forget()
    del loads[:]
    train(job, arrays, ignore)
    promoted = transfer_job(make_job, trial="8", parent=job.folder, initial_epoch=2, epochs=3)
    train(promoted, arrays, ignore)
    assert loads == []
    assert equal(state(job.folder), state(whole.folder))


def test_weights_that_cannot_be_read_fail_the_trial_with_the_reason(make_job, arrays, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setitem(imagenet._BY_ARCHITECTURE, SMALL, SOURCES["resnet-50-v2"])
    with pytest.raises(TrialFailure, match=r"ImageNet.*resnet50v2_weights"):
        train(transfer_job(make_job), arrays, ignore)


@pytest.mark.slow
def test_a_network_of_keras_applications_is_tuned(make_job, arrays, tmp_path, monkeypatch):
    """All of it: the file as Keras keeps it, a new head, two frozen stages, a cut, and no file any more."""
    name = "keras-resnet-50"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    source = random_source(name, include_top=False)
    save_as_keras_does(source, SOURCES[name].path)
    job = make_job(
        architecture=preset(name).architecture.to_dict(),
        recipe={"name": "finetune", "init": "imagenet", "frozen_stages": 2, "batch_size": 40, "bn_batches": 2},
        epochs=1,
    )
    trainer = Trainer(job, arrays)
    trainer.restore(())
    before = values_of(trainer.network)
    bare = {path: value for path, value in before.items() if path.startswith("stem_conv1/kernel")}
    (kernel,) = bare.values()
    expected = source.get_layer("conv1_conv").get_weights()[0]
    assert np.array_equal(kernel, expected[:, :, ::-1])
    train(job, arrays, ignore)
    shutil.rmtree(tmp_path / "keras")
    history = train(make_job(**{**job.to_dict(), "epochs": 2, "recipe": job.recipe}), arrays, ignore)
    assert [line.epoch for line in history] == [1, 2]
    trainer = Trainer(job, arrays)
    trainer.restore([1, 2])
    after = values_of(trainer.network)
    same = {path for path in before if np.array_equal(before[path], after[path])}
    assert of_stages(before, 2) <= same
    assert not any(path.startswith("logits") for path in same)
    assert Path(job.folder, STATE).is_file()
    keras.backend.clear_session()
