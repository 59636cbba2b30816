from __future__ import annotations

import errno

import h5py
import keras
import numpy as np
import pytest

from resnet_search.training import checkpoint
from resnet_search.training.checkpoint import BadCheckpointError, load_state, read_epoch, save_state

pytestmark = pytest.mark.interface


class Slot:
    """What `load_state` needs of a variable."""

    def __init__(self, *shape: int) -> None:
        self.shape, self.value = shape, None

    def assign(self, value: np.ndarray) -> None:
        assert value.shape == self.shape
        self.value = value


def slots(*shapes: tuple[int, ...]) -> list[Slot]:
    return [Slot(*shape) for shape in shapes]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.h5"


def test_every_variable_comes_back(path):
    normal = np.random.default_rng(0).normal
    saved = {
        "network": [keras.Variable(normal(size=shape), dtype="float32") for shape in ((2, 3), ())],
        "optimizer": [keras.Variable(7, dtype="int64")],
    }
    save_state(path, 4, saved)
    fresh = {
        "network": [keras.Variable(np.zeros(variable.shape), dtype="float32") for variable in saved["network"]],
        "optimizer": [keras.Variable(0, dtype="int64")],
    }
    assert load_state(path, fresh) == 4
    assert read_epoch(path) == 4
    for name, variables in saved.items():
        for variable, loaded in zip(variables, fresh[name], strict=True):
            assert np.array_equal(variable.numpy(), loaded.numpy())


def test_numbers_keep_their_type(path):
    values = [np.float32(0.1), np.int64(2**53 + 1), np.uint8(255), np.bool_(True), np.float64(0.1)]
    save_state(path, 1, {"a": values})
    loaded = slots(*[()] * len(values))
    load_state(path, {"a": loaded})
    assert [(slot.value.dtype, slot.value) for slot in loaded] == [(value.dtype, value) for value in values]


def test_half_precision_is_stored_as_float32(path):
    """HDF5 has no bfloat16; float32 holds each of its numbers."""
    variable = keras.Variable([1.0, 0.1, -3e38], dtype="bfloat16")
    save_state(path, 1, {"a": [variable]})
    [loaded] = slots((3,))
    load_state(path, {"a": [loaded]})
    assert loaded.value.dtype == np.float32
    assert np.array_equal(loaded.value, keras.ops.convert_to_numpy(variable).astype(np.float32))


def test_variables_are_read_by_their_names_in_whatever_order_they_were_written(path):
    with h5py.File(path, "w", track_order=True) as file:
        file.attrs["epoch"] = 1
        group = file.create_group("a", track_order=True)
        group["01"], group["00"] = np.array([1]), np.array([0])
    loaded = slots((1,), (1,))
    load_state(path, {"a": loaded})
    assert [int(slot.value[0]) for slot in loaded] == [0, 1]


def test_more_than_ten_variables_keep_their_order(path):
    save_state(path, 1, {"a": [np.array([number]) for number in range(120)]})
    loaded = slots(*[(1,)] * 120)
    load_state(path, {"a": loaded})
    assert [int(slot.value[0]) for slot in loaded] == list(range(120))


def test_some_groups_of_a_file_can_be_loaded(path):
    save_state(path, 3, {"a": [np.ones(2)], "b": [np.ones(3)]})
    [loaded] = slots((3,))
    assert load_state(path, {"b": [loaded]}) == 3
    assert loaded.value.tolist() == [1, 1, 1]


@pytest.mark.parametrize("content", [b"", b"not hdf5", None])
def test_a_damaged_file_is_named(path, content):
    save_state(path, 1, {"a": [np.ones((100, 100))]})
    path.write_bytes(path.read_bytes()[:3000] if content is None else content)
    for read in (lambda: load_state(path, {"a": slots((100, 100))}), lambda: read_epoch(path)):
        with pytest.raises(BadCheckpointError, match=r"state\.h5"):
            read()


def no_epoch(file) -> None:
    del file.attrs["epoch"]


def words_for_an_epoch(file) -> None:
    file.attrs["epoch"] = "four"


def several_epochs(file) -> None:
    file.attrs["epoch"] = [1, 2]


@pytest.mark.parametrize("change", [no_epoch, words_for_an_epoch, several_epochs])
def test_a_file_without_its_epoch_is_damaged(path, change):
    save_state(path, 1, {"a": [np.ones(2)]})
    with h5py.File(path, "r+") as file:
        change(file)
    [loaded] = slots((2,))
    with pytest.raises(BadCheckpointError, match=r"state\.h5"):
        load_state(path, {"a": [loaded]})
    assert loaded.value is None
    with pytest.raises(BadCheckpointError, match=r"state\.h5"):
        read_epoch(path)


def no_group(file) -> None:
    del file["b"]


def array_in_place_of_a_group(file) -> None:
    del file["b"]
    file["b"] = np.ones(3)


def group_in_place_of_an_array(file) -> None:
    del file["b/00000"]
    file.create_group("b/00000")


def words(file) -> None:
    del file["b/00000"]
    file["b/00000"] = ["x", "y", "z"]


def records(file) -> None:
    del file["b/00000"]
    file["b/00000"] = np.zeros(3, dtype=[("x", "f4")])


def one_more(file) -> None:
    file["b/00002"] = np.ones(3)


def one_less(file) -> None:
    del file["b/00000"]


def another_shape(file) -> None:
    del file["b/00000"]
    file["b/00000"] = np.ones((3, 1))


@pytest.mark.parametrize(
    "change",
    [
        no_group,
        array_in_place_of_a_group,
        group_in_place_of_an_array,
        words,
        records,
        one_more,
        one_less,
        another_shape,
    ],
)
def test_nothing_is_assigned_from_a_file_that_does_not_fit(path, change):
    """Not even the first group, which does."""
    save_state(path, 1, {"a": [np.ones(2)], "b": [np.ones(3), np.ones(4)]})
    with h5py.File(path, "r+") as file:
        change(file)
    first, second, third = slots((2,), (3,), (4,))
    with pytest.raises(BadCheckpointError, match=r"state\.h5"):
        load_state(path, {"a": [first], "b": [second, third]})
    assert (first.value, second.value, third.value) == (None, None, None)


def test_shapes_are_compared_before_anything_is_read(path, monkeypatch):
    """A file may claim any size."""
    with h5py.File(path, "w") as file:
        file.attrs["epoch"] = 1
        file.create_dataset("a/00000", (2**40,), "f4", chunks=(1024,))
    with pytest.raises(BadCheckpointError, match="claims 4,398,046,511,104 bytes"):
        load_state(path, {"a": slots((2,))})


@pytest.mark.parametrize("error", [OSError, KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError])
def test_whatever_h5py_raises_is_damage(path, monkeypatch, error):
    path.touch()

    def damaged(*_):
        raise error("inside")

    monkeypatch.setattr(checkpoint.h5py, "File", damaged)
    for read in (lambda: load_state(path, {"a": slots((2,))}), lambda: read_epoch(path)):
        with pytest.raises(BadCheckpointError, match=r"state\.h5.*inside"):
            read()


def test_running_out_of_memory_is_not_damage(path, monkeypatch):
    path.touch()

    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(checkpoint.h5py, "File", exhausted)
    with pytest.raises(MemoryError):
        load_state(path, {"a": slots((2,))})


def test_no_file_is_epoch_zero(path):
    assert read_epoch(path) == 0
    with pytest.raises(BadCheckpointError):
        load_state(path, {"a": slots((2,))})


def test_a_file_that_cannot_be_written_leaves_the_old_one(path, monkeypatch):
    save_state(path, 1, {"a": [np.ones(2)]})

    def full(*_):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(checkpoint, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        save_state(path, 2, {"a": [np.zeros(2)]})
    [loaded] = slots((2,))
    assert load_state(path, {"a": [loaded]}) == 1
    assert loaded.value.tolist() == [1, 1]
