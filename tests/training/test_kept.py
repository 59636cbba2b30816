"""Compiled networks kept for promotions: fewer traces, the same results."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import keras
import pytest

from resnet_search.networks.architecture import Architecture
from resnet_search.training import steps
from resnet_search.training import train as training
from resnet_search.training.job import TrialFailure
from resnet_search.training.kept import KEPT, Kept
from resnet_search.training.steps import InTrainingMode
from resnet_search.training.train import Trainer, train
from tests.training.conftest import job_in
from tests.training.test_train import equal, ignore, state, untimed

pytestmark = pytest.mark.interface

# With dropout, whose random numbers are a state of their own.
WIDE = Architecture(block="wide", blocks=(1,), width=4, dropout=0.3).to_dict()


def count_traces(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each kind of step is traced: Keras calls the Python of a step for nothing else on TensorFlow."""
    counts: Counter[str] = Counter()

    def count(kind: str) -> None:
        own = getattr(keras.Model, kind)

        def step(self, data):
            counts[kind] += 1
            return own(self, data)

        monkeypatch.setattr(keras.Model, kind, step)

    for kind in ("train_step", "test_step", "predict_step"):
        count(kind)
    return counts


@pytest.fixture(scope="module")
def watched(arrays, tmp_path_factory) -> tuple[Counter[str], list[bool]]:
    """Of a training of 3 epochs: how often each kind of step was traced, and whether statistics ran eagerly."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("counts how TensorFlow traces")
    import tensorflow as tf

    own, eager = InTrainingMode.call, []

    def call(self, images):
        eager.append(tf.executing_eagerly())
        return own(self, images)

    arrays = replace(arrays, x_validation=arrays.x_validation[:37], y_validation=arrays.y_validation[:37])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InTrainingMode, "call", call)
        patch.setattr(steps, "_VALIDATION_BATCH", 3)  # of 32 x 32, so 21 of 12 x 12: 21 and 16 of 37
        counts = count_traces(patch)
        train(job_in(tmp_path_factory.mktemp("watched"), epochs=3), arrays, ignore)
    return counts, eager


_KERAS = tuple(int(part) for part in keras.__version__.split(".")[:2])


def test_a_trial_traces_each_kind_of_step_once_however_long_it_is(watched):
    """Even where a last batch of validation is smaller."""
    traces, _ = watched
    # Keras 3.16.0.dev beside TensorFlow 2.20 traces a batch of another size once; it does not so in later epochs.
    assert 1 <= traces.pop("test_step") <= (1 if _KERAS == (3, 15) else 2)
    assert traces == {"train_step": 1, "predict_step": 1}


def test_estimating_statistics_runs_nothing_one_operation_at_a_time(watched):
    _, eager = watched
    assert eager == [False]


def test_steps_in_one_call_are_the_same_steps(make_job, arrays, reference, monkeypatch):
    """As on a GPU with TensorFlow; 5 steps in threes, so some are left over in each epoch."""
    monkeypatch.setattr(training, "steps_per_execution", lambda: 3)
    assert untimed(train(make_job(), arrays, ignore)) == untimed(reference.history[:2])


@pytest.mark.slow
def test_steps_of_parts_in_one_call_are_the_same_steps(make_job, arrays, monkeypatch):
    histories = []
    for number, together in enumerate((1, 3)):
        monkeypatch.setattr(training, "steps_per_execution", lambda together=together: together)
        histories.append(untimed(train(make_job(trial=str(number), epochs=3, parts=2), arrays, ignore)))
    assert histories[0] == histories[1]


def test_a_promotion_traces_nothing(make_job, arrays, reference, kept, monkeypatch):
    """Whatever was built since."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("counts how TensorFlow traces")
    Trainer(make_job(seed=4), arrays)
    traces = count_traces(monkeypatch)
    history = train(make_job(parent=str(reference.at(1)), initial_epoch=1, epochs=3), arrays, ignore)
    assert untimed(history) == untimed(reference.history[1:3])
    assert not traces


@pytest.mark.parametrize(
    "recipe",
    [
        {"optimizer": "adam", "learning_rate": 0.001},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"average_fraction": 0.0}, marks=pytest.mark.slow),
    ],
)
def test_a_promotion_is_the_same_bit_for_bit_on_a_kept_network_and_on_a_new_one(make_job, arrays, recipe):
    first = make_job(trial="1", epochs=1, architecture=WIDE, recipe=recipe)
    train(first, arrays, ignore)
    assert KEPT._trainers
    rest = {"parent": first.folder, "initial_epoch": 1, "epochs": 3, "architecture": WIDE, "recipe": recipe}
    kept = make_job(trial="2", **rest)
    on_kept = train(kept, arrays, ignore)
    KEPT.forget()
    new = make_job(trial="3", **rest)
    assert untimed(train(new, arrays, ignore)) == untimed(on_kept)
    assert equal(state(kept.folder), state(new.folder))


def test_what_will_not_be_promoted_is_not_kept(make_job, arrays, reference, kept):
    at_the_end = make_job(parent=str(reference.at(4)), initial_epoch=4, epochs=5)
    train(at_the_end, arrays, ignore)
    assert not KEPT.forget()


def test_what_has_failed_is_not_kept(make_job, arrays, reference, kept):
    def fail(_) -> None:
        raise TrialFailure("planted")

    with pytest.raises(TrialFailure):
        train(make_job(parent=str(reference.at(1)), initial_epoch=1), arrays, fail)
    assert not KEPT.forget()


def test_only_as_many_are_kept_as_there_is_room_for(make_job):
    arrays = SimpleNamespace()
    few = Kept(most=2, most_bytes=100)
    jobs = [make_job(seed=seed) for seed in range(4)]
    for job in jobs[:3]:
        few.keep(job, arrays, job.seed, size=40)
    assert [few.take(job, arrays) for job in jobs[:3]] == [None, 1, 2]
    for job in jobs[:2]:
        few.keep(job, arrays, job.seed, size=60)
    few.keep(jobs[2], arrays, "too large", size=101)
    assert [few.take(job, arrays) for job in jobs] == [None] * 4


def test_a_trainer_is_of_its_candidate_and_its_arrays(make_job):
    arrays = SimpleNamespace()
    few = Kept()
    few.keep(make_job(trial="1"), arrays, "kept", size=1)
    others = [
        make_job(seed=9),
        make_job(recipe={"flip": True}),
        make_job(parts=2),
        make_job(horizon=4),
        make_job(architecture=WIDE),
    ]
    assert [few.take(job, arrays) for job in others] == [None] * 5
    assert few.take(make_job(), SimpleNamespace()) is None
    assert few.take(make_job(trial="7", parent="elsewhere", initial_epoch=1, epochs=3), arrays) == "kept"
