"""Training one trial: it learns, goes on exactly where it was, and keeps what is on disk."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from resnet_search.files import read_lines, write_lines
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.model import build_model
from resnet_search.networks.precision import WIDE
from resnet_search.training import augmentation
from resnet_search.training.job import ANSWERS, Epoch, Job, TrialFailure
from resnet_search.training.kept import KEPT
from resnet_search.training.train import HISTORY, STATE, WEIGHTS, Trainer, train


def ignore(_) -> None:
    """A report that nobody reads."""


def state(folder: str) -> list[np.ndarray]:
    with h5py.File(f"{folder}/{STATE}", "r") as file:
        return [file[group][key][()] for group in sorted(file) for key in sorted(file[group])]


def equal(one: list[np.ndarray], two: list[np.ndarray]) -> bool:
    return len(one) == len(two) and all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def untimed(history: list[Epoch]) -> list[Epoch]:
    return [replace(line, train_seconds=0.0, validation_seconds=0.0) for line in history]


def test_every_named_recipe_trains(make_job, arrays):
    """Those with everything that the default has switched off too."""
    for name in ("he", "adam"):
        history = train(make_job(trial=name, epochs=1, recipe={"name": name, "weight_decay": 0.0}), arrays, ignore)
        assert history[0].val_loss > 0


def test_it_learns_and_reports_each_epoch_once_it_is_on_disk(reference):
    assert reference.heard == [(epoch, epoch) for epoch in range(1, 5)]
    assert reference.history[-1].val_accuracy > 0.9
    assert reference.history[-1].loss < reference.history[0].loss


def test_images_that_are_not_on_the_device_train_the_same_network(make_job, arrays, reference, monkeypatch):
    monkeypatch.setattr(augmentation, "_memory", lambda: 0)
    others = replace(arrays)  # another data set to the cache, which has one entry
    job = make_job(epochs=1)
    assert untimed(train(job, others, ignore)) == untimed(reference.history[:1])
    assert equal(state(job.folder), state(str(reference.folder / "epoch_1")))


def test_the_answers_of_the_scored_weights_are_kept(make_job, arrays):
    """Whatever the weights get right, image by image, also after the last batch, which is smaller."""
    some = replace(arrays, x_validation=arrays.x_validation[:37], y_validation=np.roll(arrays.y_validation[:37], 1))
    job = make_job(trial="answers", epochs=1)
    [line] = train(job, some, ignore)
    bits = int.from_bytes((Path(job.folder) / ANSWERS).read_bytes(), "little")
    assert bits.bit_count() == round(37 * line.val_accuracy)
    network = Trainer(job, some).network
    network.load_weights(f"{job.folder}/{WEIGHTS}")
    right = network.predict(some.x_validation, verbose=0).argmax(axis=1) == some.y_validation
    assert [bits >> image & 1 for image in range(37)] == right.astype(int).tolist()
    assert 0 < bits.bit_count() < 37


@pytest.mark.parametrize("rungs", [[1, 2, 4], [0.2, 0.6, 1, 3.4, 4]])
def test_rungs_are_one_training_bit_for_bit(make_job, arrays, reference, rungs):
    parent, initial = None, 0
    for number, epochs in enumerate(rungs):
        job = make_job(trial=str(number), parent=parent, initial_epoch=initial, epochs=epochs)
        history = train(job, arrays, ignore)
        assert history[-1].epoch == epochs
        if epochs in range(1, 5):
            assert equal(state(job.folder), state(reference.at(epochs)))
            assert history[-1].val_accuracy == reference.history[epochs - 1].val_accuracy
        parent, initial = job.folder, epochs


def test_the_length_of_a_training_can_be_chosen_while_the_rate_is_constant(make_job, arrays):
    """The state at that moment is the same whatever length was planned, and so is all that follows."""
    first = make_job(trial="1", epochs=2, horizon=9, constant_until=9)
    train(first, arrays, ignore)
    chosen = make_job(trial="2", epochs=4, horizon=4, constant_until=2, parent=first.folder, initial_epoch=2)
    *_, line = train(chosen, arrays, ignore)
    KEPT.forget()
    at_once = make_job(trial="3", epochs=4, horizon=4, constant_until=2)
    *_, same = train(at_once, arrays, ignore)
    assert equal(state(at_once.folder), state(chosen.folder))
    assert (same.val_loss, same.learning_rate) == (line.val_loss, line.learning_rate)


def test_a_part_of_an_epoch_scores_the_same_after_any_start(make_job, arrays, reference):
    """From the start, from another part of the epoch, and from the end of the epoch before, in a new process."""
    first = make_job(trial="1", epochs=1.2)
    train(first, arrays, ignore)
    second = make_job(trial="2", epochs=1.6, parent=first.folder, initial_epoch=1.2)
    [line] = train(second, arrays, ignore)
    for number, start in enumerate((0, 1)):
        KEPT.forget()
        parent = None if start == 0 else str(reference.at(1))
        job = make_job(trial=f"9{number}", epochs=1.6, parent=parent, initial_epoch=start)
        *_, same = train(job, arrays, ignore)
        assert equal(state(job.folder), state(second.folder))
        assert (same.epoch, same.val_loss, same.val_accuracy) == (1.6, line.val_loss, line.val_accuracy)


def test_two_rungs_in_half_precision_are_one_training_bit_for_bit(make_job, arrays):
    """The second in a new process."""
    values = {"architecture": Architecture(block="basic", blocks=(1,), width=16).to_dict(), "precision": WIDE}
    whole, first = make_job(trial="9", **values), make_job(trial="1", **values)

    def copy_first(line: Epoch) -> None:
        if line.epoch == 1:
            shutil.copytree(whole.folder, first.folder)

    history = train(whole, arrays, copy_first)
    KEPT.forget()
    second = make_job(trial="2", parent=first.folder, initial_epoch=1, **values)
    [line] = train(second, arrays, ignore)
    assert equal(state(second.folder), state(whole.folder))
    assert line.val_accuracy == history[-1].val_accuracy


def test_a_trial_that_was_cut_off_goes_on_from_its_last_epoch(make_job, arrays, reference):
    """In a new process."""
    job = make_job(epochs=3)
    shutil.copytree(reference.at(2), job.folder)
    heard = []
    history = train(job, arrays, lambda line: heard.append(line.epoch))
    assert heard == [3]
    assert history[:2] == reference.history[:2]
    assert untimed(history) == untimed(reference.history[:3])
    assert equal(state(job.folder), state(reference.at(3)))


def test_an_error_in_a_report_ends_the_training_with_the_epoch_on_disk(make_job, arrays, reference, kept):
    """As Ctrl-C does."""
    job = make_job(epochs=3, parent=str(reference.at(1)), initial_epoch=1)

    def cut_off(_) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(job, arrays, cut_off)
    assert [line["epoch"] for line in read_lines(Path(job.folder, HISTORY))] == [2]
    assert equal(state(job.folder), state(reference.at(2)))


def test_a_history_ahead_of_the_state_is_cut_back(make_job, arrays, reference, kept):
    """As after a kill between the history and the state."""
    job = make_job()
    shutil.copytree(reference.at(1), job.folder)
    with Path(job.folder, HISTORY).open("a") as file:
        file.write('{"epoch": 2, "loss": 1.0, "accuracy": 1.0, "val_loss": 1.0, "val_accuracy": 1.0, '
                   '"learning_rate": 0.1, "train_seconds": 1.0, "validation_seconds": 1.0}\n{"epo')  # fmt: skip
    lines = train(job, arrays, ignore)
    assert [line.epoch for line in lines] == [1, 2]
    assert lines[0] == reference.history[0]
    assert lines[1].loss == reference.history[1].loss


@pytest.fixture
def promoted(make_job, reference) -> Job:
    """The reference from its first epoch to its third as a trial of its own, complete."""
    job = make_job(parent=str(reference.at(1)), initial_epoch=1, epochs=3)
    shutil.copytree(reference.at(3), job.folder)
    write_lines(Path(job.folder, HISTORY), [line.to_dict() for line in reference.history[1:3]])
    return job


@pytest.mark.parametrize("history", ["", "{\n[1]\n"], ids=["empty", "damaged"])
def test_a_history_behind_the_state_trains_the_rung_again(arrays, reference, kept, promoted, history):
    """Nobody would know the scores of epochs without a line; the weights that the state holds are not begun from."""
    Path(promoted.folder, HISTORY).write_text(history)
    heard = []
    lines = train(promoted, arrays, lambda line: heard.append(line.epoch))
    assert heard == [line.epoch for line in lines] == [2, 3]
    assert equal(state(promoted.folder), state(reference.at(3)))


@pytest.mark.parametrize("damage", [b"", b"nonsense"])
def test_a_damaged_state_of_its_own_costs_the_rung_and_no_more(arrays, reference, kept, promoted, damage):
    Path(promoted.folder, STATE).write_bytes(damage)
    heard = []
    train(promoted, arrays, lambda line: heard.append(line.epoch))
    assert heard == [2, 3]
    assert equal(state(promoted.folder), state(reference.at(3)))


def test_without_its_parents_state_a_trial_trains_from_the_beginning_to_the_same(make_job, arrays, reference, kept):
    """Nor does it start from the trained weights of the network that is kept."""
    job = make_job(parent=str(reference.folder / "gone"), initial_epoch=1)
    heard = []
    history = train(job, arrays, lambda line: heard.append(line.epoch))
    assert heard == [1, 2]
    assert untimed(history) == untimed(reference.history[:2])
    assert equal(state(job.folder), state(reference.at(2)))


def test_what_a_trial_begins_anew_from_is_as_it_was_drawn(make_job, arrays, reference):
    """Whatever is wrong with its parent's state, or with its own where it has no parent."""
    damaged, of_another_epoch, own = (make_job(trial=name) for name in ("damaged", "another", "own"))
    for job, epoch in ((damaged, 1), (of_another_epoch, 2), (own, 3)):
        shutil.copytree(reference.at(epoch), job.folder)
    Path(damaged.folder, STATE).write_bytes(b"nonsense")
    child = make_job(trial="child", parent=damaged.folder, initial_epoch=1)
    trainer = Trainer(child, arrays)
    drawn = [keras.ops.convert_to_numpy(variable) for group in trainer.state.values() for variable in group]
    jobs = {
        "the parent's is damaged": child,
        "the parent's is of another epoch": replace(child, parent=of_another_epoch.folder),
        "the history has no line of its own": own,
    }
    for name, job in jobs.items():
        trainer.serve(job, lambda: None)
        assert trainer.restore([]) == 0, name
        now = [keras.ops.convert_to_numpy(variable) for group in trainer.state.values() for variable in group]
        assert equal(now, drawn), name
    assert trainer.restore([1, 2, 3]) == 3, "with its history it is used"


def test_weights_that_are_gone_come_back_from_the_state(make_job, arrays, reference, kept):
    job = make_job(epochs=4)
    shutil.copytree(reference.at(4), job.folder, ignore=shutil.ignore_patterns(WEIGHTS))
    heard = []
    train(job, arrays, heard.append)
    assert heard == []
    with h5py.File(reference.at(4) / WEIGHTS) as file, h5py.File(Path(job.folder, WEIGHTS)) as again:
        assert equal([value[()] for value in _datasets(file)], [value[()] for value in _datasets(again)])


def _datasets(file: h5py.File) -> list[h5py.Dataset]:
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return found


def test_a_loss_that_is_not_finite_fails_with_epoch_and_rate(make_job, arrays):
    # A standard deviation so small that the first step overflows.
    broken = replace(arrays, std=(1e-38,) * 3)
    with pytest.raises(TrialFailure, match=r"(nan|inf) .*epoch 1 \(learning rate"):
        train(make_job(epochs=1), broken, ignore)


def test_the_kept_weights_give_the_score(arrays, reference):
    network = build_model(
        reference.trainer.architecture,
        input_shape=arrays.image_shape,
        classes=4,
        mean=arrays.mean,
        std=arrays.std,
    )
    network.load_weights(reference.at(4) / WEIGHTS)
    predicted = np.argmax(network(arrays.x_validation, training=False), axis=1)
    assert np.mean(predicted == arrays.y_validation) == pytest.approx(reference.history[-1].val_accuracy, abs=1e-6)


def test_validation_changes_nothing_that_training_goes_on_from(reference):
    trainer = reference.trainer
    before = [keras.ops.convert_to_numpy(v) for v in trainer.network.variables]
    trainer._validate(1, keep=False)
    assert equal(before, [keras.ops.convert_to_numpy(v) for v in trainer.network.variables])


def test_validation_copies_no_weights_to_the_host(reference, monkeypatch):
    copied = []
    own = keras.ops.convert_to_numpy
    monkeypatch.setattr(keras.ops, "convert_to_numpy", lambda values: copied.append(values) or own(values))
    reference.trainer._validate(1, keep=False)
    assert copied == []


def test_statistics_are_of_the_present_weights_even_after_one_step(make_job, arrays):
    """Keras's moving statistics would still be 90 % those of initialisation."""
    job = make_job(recipe={"batch_size": 80, "bn_batches": 16, "crop_padding": 0})
    trainer = Trainer(job, arrays)
    trainer._train(0, 1)
    trainer._estimate_statistics(1)
    first = trainer.normalisations[0]
    convolution = trainer.network.layers[trainer.network.layers.index(first) - 1]
    seen = np.asarray(keras.Model(trainer.network.input, convolution.output)(arrays.x_train, training=False))
    assert keras.ops.convert_to_numpy(first.moving_mean) == pytest.approx(seen.mean(axis=(0, 1, 2)), abs=1e-4)
    assert keras.ops.convert_to_numpy(first.moving_variance) == pytest.approx(seen.var(axis=(0, 1, 2)), rel=1e-3)


def test_the_average_is_over_the_last_part_of_training(reference):
    trainer = reference.trainer
    trainer._load(reference.at(4) / STATE)
    raw = keras.ops.convert_to_numpy(trainer.network.trainable_variables[0])
    trainer.optimizer.load_average(trainer.network.trainable_variables)
    averaged = keras.ops.convert_to_numpy(trainer.network.trainable_variables[0])
    assert not np.array_equal(raw, averaged)
    assert np.abs(raw - averaged).max() < np.abs(raw).max()


def test_the_images_are_on_the_device_once_for_all_trials(make_job, arrays):
    one, two = Trainer(make_job(), arrays), Trainer(make_job(trial="1"), arrays)
    assert one.model.get_layer("images").images is two.model.get_layer("images").images
    assert all(variable is not one.model.get_layer("images").images for variable in one.state["network"])


def test_a_worker_trains_in_the_precision_that_was_set(make_job, arrays):
    before = keras.config.dtype_policy()
    for number in range(2):
        trainer = Trainer(make_job(trial=str(number), precision="mixed_bfloat16"), arrays)
        computes = {layer.compute_dtype for layer in trainer.network.layers if "conv" in layer.name}
        assert computes == {"bfloat16"}
    line = trainer.run(0, 1)
    assert line.val_loss > 0
    assert {variable.dtype for variable in trainer.network.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy() == before
