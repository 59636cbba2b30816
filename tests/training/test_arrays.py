from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from resnet_search.training import arrays as arrays_module
from resnet_search.training.arrays import channel_statistics, intact, read_arrays, whole, write_arrays
from tests.faults.table import fault


def test_statistics_are_those_of_numpy():
    images = np.random.default_rng(0).integers(0, 256, size=(7, 5, 4, 3), dtype=np.uint8)
    mean, std = channel_statistics(images)
    assert mean == pytest.approx(images.reshape(-1, 3).mean(axis=0))
    assert std == pytest.approx(images.reshape(-1, 3).std(axis=0))


def test_an_empty_channel_does_not_divide_by_zero():
    assert channel_statistics(np.zeros((2, 2, 2, 1), np.uint8)) == ((0.0,), (1.0,))


def test_what_is_written_is_read_and_cannot_be_changed(arrays, tmp_path):
    write_arrays(tmp_path / "a", arrays)
    again = read_arrays(tmp_path / "a")
    assert again.classes == arrays.classes
    assert again.mean == arrays.mean
    assert np.array_equal(again.x_validation, arrays.x_validation)
    assert again.image_shape == (12, 12, 3)
    with pytest.raises(ValueError, match="read-only"):
        again.x_train[0] = 0
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_test_images_are_not_among_them(arrays, tmp_path):
    write_arrays(tmp_path / "a", arrays)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "meta.json", "x_train.npy", "x_validation.npy", "y_train.npy", "y_validation.npy",
    ]  # fmt: skip


@pytest.fixture
def another_process(monkeypatch):
    """Forgets which folders were compared with their digests, as a new process would."""
    return lambda: monkeypatch.setattr(arrays_module, "_checked", set())


def _zero_half(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)


@fault(
    "files",
    "Images in `.data` are damaged, with their size unchanged",
    here="once per session they are compared with their digest; `doctor` names them, and `resume` and new runs "
    "write them again from the source",
)
@pytest.mark.parametrize("name", ["x_train", "y_train", "x_validation", "y_validation"])
def test_a_damaged_array_is_found_by_its_digest(arrays, tmp_path, another_process, name):
    write_arrays(tmp_path / "a", arrays)
    another_process()
    assert intact(tmp_path / "a")
    (_zero_half if name.startswith("x") else _change_last)(tmp_path / "a" / f"{name}.npy")
    another_process()
    assert whole(tmp_path / "a")
    assert not intact(tmp_path / "a")


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_validation", "y_validation"])
def test_an_array_without_its_beginning_is_damage(arrays, tmp_path, name):
    """NumPy reads a header as Python, so damage ends in errors of many kinds; an empty file is left by power loss."""
    write_arrays(tmp_path / "a", arrays)
    path = tmp_path / "a" / f"{name}.npy"
    good = path.read_bytes()
    flipped = [good[:n] + bytes([good[n] ^ 1 << bit]) + good[n + 1 :] for n in range(128) for bit in (0, 3, 6)]
    for damaged in (b"", b"PK\3\4" + good[4:], *flipped):
        path.write_bytes(damaged)
        assert whole(tmp_path / "a") in (True, False)
    path.write_bytes(b"")
    assert not whole(tmp_path / "a")


def _change_last(path):
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)


def test_a_damaged_folder_is_written_again_from_right_images(arrays, tmp_path, another_process):
    write_arrays(tmp_path / "a", arrays)
    _zero_half(tmp_path / "a" / "x_train.npy")
    another_process()
    write_arrays(tmp_path / "a", arrays)
    another_process()
    assert intact(tmp_path / "a")
    assert np.array_equal(read_arrays(tmp_path / "a").x_train, arrays.x_train)


def test_other_images_under_the_same_name_are_replaced(arrays, tmp_path):
    write_arrays(tmp_path / "a", dataclasses.replace(arrays, x_train=255 - arrays.x_train))
    write_arrays(tmp_path / "a", arrays)
    assert np.array_equal(read_arrays.__wrapped__(tmp_path / "a").x_train, arrays.x_train)


def test_a_folder_is_read_once_in_a_process(arrays, tmp_path, monkeypatch, another_process):
    write_arrays(tmp_path / "a", arrays)
    another_process()
    read = []
    real = arrays_module._file_digest
    monkeypatch.setattr(arrays_module, "_file_digest", lambda path: read.append(path.name) or real(path))
    assert intact(tmp_path / "a")
    assert intact(tmp_path / "a")
    assert sorted(read) == ["x_train.npy", "x_validation.npy", "y_train.npy", "y_validation.npy"]


def test_a_folder_of_earlier_versions_without_digests_counts_as_intact(arrays, tmp_path, another_process):
    write_arrays(tmp_path / "a", arrays)
    meta = json.loads((tmp_path / "a" / "meta.json").read_text())
    del meta["sha256"]
    (tmp_path / "a" / "meta.json").write_text(json.dumps(meta))
    another_process()
    assert intact(tmp_path / "a")


@pytest.mark.parametrize("change", [{"mean": [1.0, 2.0, 3.0]}, {"std": [9.0, 9.0, 9.0]}, {"classes": ["x", "y", "z"]}])
def test_other_statistics_are_damage_as_well(arrays, tmp_path, another_process, change):
    write_arrays(tmp_path / "a", arrays)
    meta = json.loads((tmp_path / "a" / "meta.json").read_text())
    (tmp_path / "a" / "meta.json").write_text(json.dumps(meta | change))
    another_process()
    assert not intact(tmp_path / "a")


@pytest.mark.parametrize("digests", [3, {}, [], {"x_train.npy": 1}])
def test_damaged_digests_are_no_digests(arrays, tmp_path, another_process, digests):
    write_arrays(tmp_path / "a", arrays)
    meta = json.loads((tmp_path / "a" / "meta.json").read_text())
    (tmp_path / "a" / "meta.json").write_text(json.dumps(meta | {"sha256": digests}))
    another_process()
    assert not intact(tmp_path / "a")
