"""Training one trial: it learns, goes on exactly where it was, and keeps what is on disk."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from resnet_search.files import read_lines
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.model import build_model
from resnet_search.networks.precision import WIDE
from resnet_search.training.job import TrialFailure
from resnet_search.training.train import HISTORY, STATE, WEIGHTS, Trainer, train


def ignore(_) -> None:
    """A report that nobody reads."""


def state(folder: str) -> list[np.ndarray]:
    with h5py.File(f"{folder}/{STATE}", "r") as file:
        return [file[group][key][()] for group in sorted(file) for key in sorted(file[group])]


def equal(one: list[np.ndarray], two: list[np.ndarray]) -> bool:
    return len(one) == len(two) and all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_every_named_recipe_trains(make_job, arrays):
    """Those with everything that the default has switched off too."""
    for name in ("he", "adam"):
        history = train(make_job(trial=name, epochs=1, recipe={"name": name, "weight_decay": 0.0}), arrays, ignore)
        assert history[0].val_loss > 0


def test_it_learns_and_reports_each_epoch_once_it_is_on_disk(make_job, arrays):
    job = make_job(epochs=6, horizon=6)
    heard = []
    history = train(job, arrays, lambda line: heard.append((line.epoch, len(read_lines(Path(job.folder, HISTORY))))))
    assert heard == [(epoch, epoch) for epoch in range(1, 7)]
    assert history[-1].val_accuracy > 0.9
    assert history[-1].loss < history[0].loss


WIDE_BLOCKS = {
    "architecture": Architecture.from_axes(block="bottleneck", n=1, width=16).to_dict(), "precision": WIDE
}  # fmt: skip


@pytest.mark.parametrize("values", [{}, WIDE_BLOCKS], ids=["float32", "wide_bfloat16"])
def test_three_rungs_are_one_training_bit_for_bit(make_job, arrays, values):
    whole = make_job(trial="9", epochs=4, **values)
    train(whole, arrays, ignore)
    parent, initial = None, 0
    for number, epochs in enumerate([1, 2, 4]):
        job = make_job(trial=str(number), parent=parent, initial_epoch=initial, epochs=epochs, **values)
        history = train(job, arrays, ignore)
        parent, initial = job.folder, epochs
    assert equal(state(job.folder), state(whole.folder))
    assert history[-1].val_accuracy == read_lines(Path(whole.folder, HISTORY))[-1]["val_accuracy"]


def test_a_trial_that_was_cut_off_goes_on_from_its_last_epoch(make_job, arrays):
    whole = make_job(trial="9", epochs=3)
    train(whole, arrays, ignore)
    job = make_job(epochs=3)

    def cut_off(line) -> None:
        if line.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(job, arrays, cut_off)
    heard = []
    history = train(job, arrays, lambda line: heard.append(line.epoch))
    assert heard == [3]
    assert [line.epoch for line in history] == [1, 2, 3]
    assert equal(state(job.folder), state(whole.folder))


def test_a_history_ahead_of_the_state_is_cut_back(make_job, arrays):
    """As after a kill between the history and the state."""
    job = make_job(epochs=1)
    train(job, arrays, ignore)
    history = read_lines(Path(job.folder, HISTORY))
    with Path(job.folder, HISTORY).open("a") as file:
        file.write('{"epoch": 2, "loss": 1.0, "accuracy": 1.0, "val_loss": 1.0, "val_accuracy": 1.0, '
                   '"learning_rate": 0.1, "train_seconds": 1.0, "validation_seconds": 1.0}\n{"epo')  # fmt: skip
    lines = train(make_job(epochs=2), arrays, ignore)
    assert [line.epoch for line in lines] == [1, 2]
    assert lines[0].to_dict() == history[0]


@pytest.mark.parametrize("of_parent", [False, True])
def test_a_history_behind_the_state_trains_the_rung_again(make_job, arrays, of_parent):
    """Nobody would know the scores of epochs without a line; the weights that the state holds are not begun from."""
    parent = make_job(trial="1", epochs=1)
    train(parent, arrays, ignore)
    rest = {"parent": parent.folder, "initial_epoch": 1} if of_parent else {}
    job = make_job(trial="2", epochs=3, **rest)
    train(job, arrays, ignore)
    kept = state(job.folder)
    Path(job.folder, HISTORY).write_text("")
    lines = train(job, arrays, ignore)
    assert [line.epoch for line in lines] == list(range(1 + of_parent, 4))
    assert equal(state(job.folder), kept)


@pytest.mark.parametrize("damage", [b"", b"nonsense"])
def test_a_damaged_state_of_its_own_costs_the_rung_and_no_more(make_job, arrays, damage):
    train(make_job(trial="1", epochs=1), arrays, ignore)
    job = make_job(trial="2", parent=make_job(trial="1").folder, initial_epoch=1, epochs=3)
    train(job, arrays, ignore)
    kept = state(job.folder)
    Path(job.folder, STATE).write_bytes(damage)
    train(job, arrays, ignore)
    assert equal(state(job.folder), kept)


def test_without_its_parents_state_a_trial_trains_from_the_beginning_to_the_same(make_job, arrays):
    parent = make_job(trial="1", epochs=1)
    train(parent, arrays, ignore)
    job = make_job(trial="2", parent=parent.folder, initial_epoch=1)
    whole = train(job, arrays, ignore)
    of_parent = Path(parent.folder, STATE)
    damages = {
        "gone": of_parent.unlink,
        "damaged": lambda: of_parent.write_bytes(b"nonsense"),
        "of another epoch": lambda: shutil.copyfile(Path(job.folder, STATE), of_parent),
    }
    for name, damage in damages.items():
        damage()
        again = make_job(trial=name, parent=parent.folder, initial_epoch=1)
        heard = []
        history = train(again, arrays, lambda line, heard=heard: heard.append(line.epoch))
        assert heard == [line.epoch for line in history] == [1, 2], name
        assert history[-1].val_accuracy == whole[-1].val_accuracy, name
        assert equal(state(again.folder), state(job.folder)), name


def test_a_damaged_history_costs_the_rung_and_no_more(make_job, arrays):
    job = make_job(epochs=2)
    train(job, arrays, ignore)
    kept = state(job.folder)
    Path(job.folder, HISTORY).write_text("{\n[1]\n")
    assert [line.epoch for line in train(job, arrays, ignore)] == [1, 2]
    assert equal(state(job.folder), kept)


def test_weights_that_are_gone_come_back_from_the_state(make_job, arrays):
    job = make_job(epochs=2)
    train(job, arrays, ignore)
    path = Path(job.folder, WEIGHTS)
    with h5py.File(path) as file:
        kept = [value[()] for value in _datasets(file)]
    path.unlink()
    heard = []
    train(job, arrays, heard.append)
    assert heard == []
    with h5py.File(path) as file:
        assert equal(kept, [value[()] for value in _datasets(file)])


def _datasets(file: h5py.File) -> list[h5py.Dataset]:
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return found


def test_a_loss_that_is_not_finite_fails_with_epoch_and_rate(make_job, arrays):
    # A standard deviation so small that the first step overflows.
    broken = dataclasses.replace(arrays, std=(1e-38,) * 3)
    with pytest.raises(TrialFailure, match=r"loss was (nan|inf) (in|after) epoch 1 \(learning rate"):
        train(make_job(), broken, ignore)


def test_the_kept_weights_give_the_score(make_job, arrays):
    job = make_job(epochs=3)
    history = train(job, arrays, ignore)
    network = build_model(
        Architecture.from_dict(job.architecture),
        input_shape=arrays.image_shape,
        classes=4,
        mean=arrays.mean,
        std=arrays.std,
    )
    network.load_weights(f"{job.folder}/{WEIGHTS}")
    predicted = np.argmax(network.predict(arrays.x_validation, verbose=0), axis=1)
    assert np.mean(predicted == arrays.y_validation) == pytest.approx(history[-1].val_accuracy, abs=1e-6)


def test_validation_changes_nothing_that_training_goes_on_from(make_job, arrays):
    trainer = Trainer(make_job(), arrays)
    trainer.run(0, last=False)
    before = [keras.ops.convert_to_numpy(v) for v in trainer.network.variables]
    trainer._validate(0, keep=False)
    assert equal(before, [keras.ops.convert_to_numpy(v) for v in trainer.network.variables])


def test_statistics_are_of_the_present_weights_even_after_one_step(make_job, arrays):
    """Keras's moving statistics would still be 90 % those of initialisation."""
    job = make_job(recipe={"batch_size": 80, "bn_batches": 16, "crop_padding": 0})
    trainer = Trainer(job, arrays)
    trainer._train(0)
    trainer._estimate_statistics(0)
    first = trainer.normalisations[0]
    convolution = trainer.network.layers[trainer.network.layers.index(first) - 1]
    seen = keras.Model(trainer.network.input, convolution.output).predict(arrays.x_train, verbose=0)
    assert keras.ops.convert_to_numpy(first.moving_mean) == pytest.approx(seen.mean(axis=(0, 1, 2)), abs=1e-4)
    assert keras.ops.convert_to_numpy(first.moving_variance) == pytest.approx(seen.var(axis=(0, 1, 2)), rel=1e-3)


def test_the_average_is_over_the_last_part_of_training(make_job, arrays):
    trainer = Trainer(make_job(recipe={"average_fraction": 0.5}), arrays)
    trainer._train(0)
    raw = keras.ops.convert_to_numpy(trainer.network.trainable_variables[0])
    trainer.optimizer.load_average(trainer.network.trainable_variables)
    averaged = keras.ops.convert_to_numpy(trainer.network.trainable_variables[0])
    assert not np.array_equal(raw, averaged)
    assert np.abs(raw - averaged).max() < np.abs(raw).max()


def test_the_images_are_on_the_device_once_for_all_trials(make_job, arrays):
    one, two = Trainer(make_job(), arrays), Trainer(make_job(trial="1"), arrays)
    assert one.model.get_layer("images").images is two.model.get_layer("images").images
    assert all(variable is not one.model.get_layer("images").images for variable in one.state["network"])


def test_weight_averages_equal_the_formula():
    from resnet_search.training.optimizer import build_optimizer
    from resnet_search.training.recipe import Recipe

    variable = keras.Variable([0.0])
    recipe = Recipe(average_fraction=0.5, average_epochs=3.0)
    optimizer = build_optimizer(recipe, horizon=10, steps_per_epoch=2)
    optimizer.build([variable])
    average, values = None, []
    for step in range(12):
        optimizer.apply([keras.ops.convert_to_tensor([np.sin(step)])])
        value = float(keras.ops.convert_to_numpy(variable)[0])
        values.append(value)
        window = max(1.0, min((step + 1) * 0.5, 6.0))
        average = value if average is None else average + (value - average) / window
    optimizer.load_average([variable])
    assert float(keras.ops.convert_to_numpy(variable)[0]) == pytest.approx(average, rel=1e-3)


def test_the_rate_of_every_step_is_the_recipes():
    from resnet_search.training.optimizer import TableSchedule
    from resnet_search.training.recipe import RECIPES

    schedule = TableSchedule(RECIPES["he"], 10, 4)
    for step in (0, 19, 20, 30, 39):
        assert float(schedule(step)) == pytest.approx(RECIPES["he"].learning_rate_at((step + 0.5) / 4, 10))
    assert float(schedule(1000)) == pytest.approx(0.001), "beyond the horizon the last rate stays"


@pytest.mark.parametrize("options", [{}, {"nesterov": False}, {"momentum": 0.0}, {"average_fraction": 0.0}])
def test_sgd_is_keras_own(options):
    """In one operation a variable on TensorFlow; to rounding."""
    from resnet_search.training.optimizer import build_optimizer
    from resnet_search.training.recipe import Recipe

    recipe = Recipe(**options)
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=(5, 3)), random.normal(size=(6, 5, 3)).astype("float32")
    own = build_optimizer(recipe, horizon=2, steps_per_epoch=3)
    keras_own = keras.optimizers.SGD(own._learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov)
    values = []
    for optimizer in (own, keras_own):
        variable = keras.Variable(start, dtype="float32")
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)])
        momentums = [keras.ops.convert_to_numpy(one) for one in optimizer.variables if "momentum" in one.name]
        values.append([keras.ops.convert_to_numpy(variable), *momentums])
    for one, other in zip(*values, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_worker_trains_in_the_precision_that_was_set(make_job, arrays):
    before = keras.config.dtype_policy()
    for number in range(2):
        trainer = Trainer(make_job(trial=str(number), precision="mixed_bfloat16"), arrays)
        computes = {layer.compute_dtype for layer in trainer.network.layers if "conv" in layer.name}
        assert computes == {"bfloat16"}
    line = trainer.run(0, last=False)
    assert line.val_loss > 0
    assert {variable.dtype for variable in trainer.network.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy() == before
