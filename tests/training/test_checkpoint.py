from __future__ import annotations

import keras
import numpy as np
import pytest

from resnet_search.training.checkpoint import BadCheckpointError, load_state, read_epoch, save_state


def variables(*shapes: tuple[int, ...]) -> list:
    return [
        keras.Variable(np.random.default_rng(i).normal(size=shape), dtype="float32") for i, shape in enumerate(shapes)
    ]


def test_every_variable_comes_back(tmp_path):
    saved = {"network": variables((2, 3), ()), "optimizer": [keras.Variable(7, dtype="int64")]}
    save_state(tmp_path / "state.h5", 4, saved)
    fresh = {
        "network": [keras.Variable(np.zeros(v.shape), dtype="float32") for v in saved["network"]],
        "optimizer": [keras.Variable(0, dtype="int64")],
    }
    assert load_state(tmp_path / "state.h5", fresh) == 4
    assert read_epoch(tmp_path / "state.h5") == 4
    for name, variables_saved in saved.items():
        for one, two in zip(variables_saved, fresh[name], strict=True):
            assert np.array_equal(one.numpy(), two.numpy())


def test_more_than_ten_variables_keep_their_order(tmp_path):
    many = variables(*[(1,)] * 120)
    save_state(tmp_path / "state.h5", 1, {"a": many})
    fresh = [keras.Variable([0.0]) for _ in many]
    load_state(tmp_path / "state.h5", {"a": fresh})
    assert [float(v.numpy()[0]) for v in fresh] == [float(v.numpy()[0]) for v in many]


@pytest.mark.parametrize("content", [b"", b"not hdf5", None])
def test_a_damaged_file_is_said_to_be(tmp_path, content):
    path = tmp_path / "state.h5"
    save_state(path, 1, {"a": variables((100, 100))})
    path.write_bytes(path.read_bytes()[:3000] if content is None else content)
    with pytest.raises(BadCheckpointError, match=r"state\.h5"):
        load_state(path, {"a": variables((100, 100))})


def test_another_network_is_refused_and_nothing_assigned(tmp_path):
    save_state(tmp_path / "state.h5", 1, {"a": variables((2,), (3,))})
    target = [keras.Variable(np.zeros(2)), keras.Variable(np.zeros(4))]
    with pytest.raises(BadCheckpointError, match="other shapes"):
        load_state(tmp_path / "state.h5", {"a": target})
    assert not target[0].numpy().any()


def test_no_file_is_epoch_zero(tmp_path):
    assert read_epoch(tmp_path / "absent.h5") == 0
