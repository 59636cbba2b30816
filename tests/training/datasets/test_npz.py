from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnet_search.errors import DataError
from resnet_search.training.datasets import ImageData, load_data
from resnet_search.training.datasets.npz import load_npz
from resnet_search.training.datasets.values import Values
from tests.faults.table import fault

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 8, 8, 3), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def _arrays(**changes: Any) -> dict[str, Any]:
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:3], "y_test": LABELS[:3], **changes}
    return {name: array for name, array in arrays.items() if array is not None}


def _write(folder: Path, **changes: Any) -> Path:
    path = folder / "images.npz"
    np.savez(path, **_arrays(**changes))
    return path


def _load(folder: Path, **changes: Any) -> ImageData:
    return load_npz(_write(folder, **changes))


def test_bytes_are_read_as_they_are(tmp_path: Path) -> None:
    data = _load(tmp_path)
    assert np.array_equal(data.x_train, IMAGES)
    assert np.array_equal(data.y_train, LABELS)
    assert data.y_train.dtype == np.int64
    assert data.classes == ("0", "1", "2")
    assert data.notes == ()


def test_compressed_and_through_load_data(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "c.npz", **_arrays())
    assert np.array_equal(load_data(str(tmp_path / "c.npz"), image_size=None).x_train, IMAGES)
    assert load_data(str(tmp_path / "c.npz")).x_test.shape == (3, 32, 32, 3)


def test_grey_becomes_rgb(tmp_path: Path) -> None:
    for grey in (IMAGES[..., 0], IMAGES[..., :1]):
        data = _load(tmp_path, x_train=grey, x_test=grey[:3])
        assert data.x_train.shape == (6, 8, 8, 3)
        assert all(np.array_equal(data.x_train[..., channel], IMAGES[..., 0]) for channel in range(3))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64])
def test_labels_in_a_column_and_of_any_whole_type(tmp_path: Path, dtype: Any) -> None:
    data = _load(tmp_path, y_train=LABELS[:, None].astype(dtype), y_test=LABELS[:3].astype(dtype))
    assert np.array_equal(data.y_train, LABELS)


def test_names_of_classes(tmp_path: Path) -> None:
    assert _load(tmp_path, classes=np.array(["a", "b\x1b", "c"])).classes == ("a", "b\\x1b", "c")


@pytest.mark.parametrize("names", [["a", "b", "a"], ["a\n", "b", "a\\n"], ["\u00e9", "b", "e\u0301"]])
def test_names_of_classes_that_are_shown_alike_are_refused(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(DataError, match="classes"):
        _load(tmp_path, classes=np.array(names))


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.uint16, ">f8"])
def test_whole_numbers_of_0_to_255_mean_bytes(tmp_path: Path, dtype: Any) -> None:
    data = _load(tmp_path, x_train=IMAGES.astype(dtype), x_test=IMAGES[:3].astype(dtype))
    assert np.array_equal(data.x_train, IMAGES)
    assert "0..255" in data.notes[0]


def test_whole_numbers_may_have_a_rounding_error_on_either_side(tmp_path: Path) -> None:
    numbers = IMAGES.astype(np.float64)
    numbers[0, 0, 0], numbers[0, 0, 1] = -1e-6, 255.0001
    data = _load(tmp_path, x_train=numbers)
    assert data.x_train[0, 0, :2, 0].tolist() == [0, 255]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fractions_of_0_to_1_are_scaled(tmp_path: Path, dtype: Any) -> None:
    data = _load(tmp_path, x_train=(IMAGES / 255).astype(dtype), x_test=(IMAGES[:3] / 255).astype(dtype))
    assert np.array_equal(data.x_train, IMAGES)
    assert "0..1" in data.notes[0]


FLOATS = IMAGES.astype(np.float32)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "not a number": ({"x_train": FLOATS * np.nan}, "x_train "),
    "infinite": ({"x_test": FLOATS[:3] + np.inf}, "x_test "),
    "complex": ({"x_train": IMAGES * 1j}, "complex128"),
    "text": ({"x_train": np.full((6, 8, 8, 3), "a")}, "<U1"),
    "true and false": ({"x_train": IMAGES > 9}, "bool"),
    "dates": ({"x_train": IMAGES.astype("datetime64[s]")}, "datetime64"),
    "channels first": ({"x_train": IMAGES.transpose(0, 3, 1, 2)}, "(6, 3, 8, 8)"),
    "alpha": ({"x_train": np.zeros((6, 8, 8, 4), np.uint8)}, "(6, 8, 8, 4)"),
    "flat": ({"x_train": IMAGES.reshape(6, -1)}, "(6, 192)"),
    "one image": ({"x_train": IMAGES[0, :, :, 0]}, "(8, 8)"),
    "five axes": ({"x_train": IMAGES[None]}, "(1, 6, 8, 8, 3)"),
    "no image": ({"x_test": IMAGES[:0], "y_test": LABELS[:0]}, "(0, 8, 8, 3)"),
    "no pixel": ({"x_test": IMAGES[:3, :0]}, "(3, 0, 8, 3)"),
    "two sizes": ({"x_test": IMAGES[:3, :4]}, "8, 8"),
    "fewer labels": ({"y_train": LABELS[:5]}, "5 labels in y_train"),
    "one-hot labels": ({"y_train": np.eye(3, dtype=int)[LABELS]}, "(6, 3)"),
    "labels as floats": ({"y_train": LABELS * 1.0}, "float64"),
    "labels as text": ({"y_test": np.array(["a", "b", "c"])}, "<U1"),
    "negative labels": ({"y_train": LABELS - 1}, "-1 to "),
    "labels from 1": ({"y_train": LABELS + 1, "y_test": LABELS[:3] + 1}, "label 0 "),
    "a gap": ({"y_train": LABELS * 2}, "label 1 "),
    "huge labels": ({"y_train": LABELS.astype(np.uint64) + np.uint64(2**63)}, "y_train"),
    "a test class alone": ({"y_test": np.array([0, 1, 3])}, "label 3 "),
    "few names": ({"classes": np.array(["a", "b"])}, "classes"),
    "names that are numbers": ({"classes": np.arange(3)}, "int64"),
    "names as numbers": ({"classes": np.arange(3)}, "classes"),
    "no x_test": ({"x_test": None}, "x_test"),
    "nothing": (dict.fromkeys(("x_train", "y_train", "x_test", "y_test")), "x_train"),
    "another name": ({"y_test": None, "y_tset": LABELS[:3]}, "y_tset"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, case: str) -> None:
    changes, words = WRONG[case]
    with pytest.raises(DataError) as error:
        _load(tmp_path, **changes)
    assert words in error.value.message
    assert "images.npz" in error.value.message
    assert "numpy.savez" in error.value.cure


DIGITS = RNG.integers(0, 17, (6, 8, 8)).astype(float)
DIGITS[:, 0, 0] = 16
# As scikit-learn's digits, whole numbers of 0 to 16 in floats: nothing says whether 255 or 16 is white.
UNCERTAIN: dict[str, dict[str, Any]] = {
    "digits": {"x_train": DIGITS, "x_test": DIGITS[:3]},
    "digits in bytes": {"x_train": DIGITS.astype(np.uint8), "x_test": DIGITS[:3].astype(np.uint8)},
    "digits as test": {"x_test": np.repeat(DIGITS[:3, ..., None], 3, 3).astype(np.uint8)},
    "dark fractions": {"x_train": FLOATS / 1000, "x_test": FLOATS[:3] / 1000},
    "standardised": {"x_train": (FLOATS - 128) / 64, "x_test": (FLOATS[:3] - 128) / 64},
    "fractions beyond 1": {"x_train": FLOATS / 2 + 0.25, "x_test": FLOATS[:3] / 2 + 0.25},
    "more than 16 bits": {"x_train": IMAGES.astype(np.int32) * 510},
    "bytes beside fractions": {"x_test": FLOATS[:3] / 255},
    "fractions beside bytes": {"x_train": FLOATS / 255},
    "12 bits beside 8": {"x_train": IMAGES.astype(np.uint16) * 16},
    "zeros and ones": {"x_train": IMAGES // 128 * 1.0, "x_test": IMAGES[:3] // 128 * 1.0},
}


@fault(
    "images",
    "Images are numbers of an unknown range, such as 0 to 16, or of one range in train and another in test",
    here="an error that names `--value-range LOW,HIGH`; the range is kept with the run and its export",
)
@pytest.mark.parametrize("case", UNCERTAIN)
def test_a_range_that_is_not_certain_asks_for_the_option(tmp_path: Path, case: str) -> None:
    with pytest.raises(DataError) as error:
        _load(tmp_path, **UNCERTAIN[case])
    assert "--value-range" in error.value.cure
    assert "images.npz" in error.value.message


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float64])
def test_a_stated_range_is_black_to_white(tmp_path: Path, dtype: Any) -> None:
    data = load_npz(_write(tmp_path, x_train=DIGITS.astype(dtype), x_test=DIGITS[:3].astype(dtype)), (0, 16))
    assert np.array_equal(data.x_train[..., 0], np.rint(DIGITS * 255 / 16))
    assert data.values == Values(0, 16, "arrays")


def test_a_stated_range_may_start_below_zero(tmp_path: Path) -> None:
    path = _write(tmp_path, x_train=FLOATS / 127.5 - 1, x_test=FLOATS[:3] / 127.5 - 1)
    assert np.array_equal(load_npz(path, (-1, 1)).x_train, IMAGES)


def test_values_outside_a_stated_range_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x_train .*--value-range 0,15") as error:
        load_npz(_write(tmp_path, x_train=DIGITS, x_test=DIGITS[:3]), (0, 15))
    assert "--value-range" in error.value.cure


@pytest.mark.parametrize("bits", [9, 12, 16])
def test_whole_numbers_of_more_bits_are_brought_to_8(tmp_path: Path, bits: int) -> None:
    deep = IMAGES.astype(np.uint16) << (bits - 8) | 1
    data = _load(tmp_path, x_train=deep, x_test=deep[:3])
    assert np.array_equal(data.x_train, IMAGES)
    assert data.values == Values(0, 2**bits - 1, "arrays")


def test_a_rounding_error_above_1_is_white(tmp_path: Path) -> None:
    fractions = (FLOATS / 255).astype(np.float32)
    fractions[0, 0, 0] = np.nextafter(np.float32(1), np.float32(2))
    fractions[0, 0, 1] = -1e-9
    data = _load(tmp_path, x_train=fractions, x_test=np.float16(fractions[:3]))
    assert (data.x_train[0, 0, 0] == 255).all()
    assert (data.x_train[0, 0, 1] == 0).all()
    assert np.array_equal(data.x_train[1:], IMAGES[1:])


def test_runs_of_earlier_versions_read_whole_numbers_as_bytes(tmp_path: Path) -> None:
    data = load_npz(_write(tmp_path, x_train=DIGITS, x_test=DIGITS[:3]), certain=False)
    assert np.array_equal(data.x_train[..., 0], DIGITS)


class _Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return open, ("touched", "w")


@pytest.mark.parametrize("name", ["x_train", "y_test", "classes"])
def test_pickled_objects_are_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = _write(tmp_path, **{name: np.array([_Evil()], object)})
    with pytest.raises(DataError, match=f"{name} "):
        load_npz(path)
    assert not (tmp_path / "touched").exists()


def _header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n"


@pytest.mark.parametrize(
    "content",
    [
        _header((10**12, 32, 32, 3)),
        _header((6, 8, 8, 3)) + b"short",
        _header((2**40, 2**40)),
        b"",
        b"\x93NUMPY\x09\x09",
        b"x" * 99,
    ],
)
def test_an_array_that_lies_about_its_size_takes_no_memory(tmp_path: Path, content: bytes) -> None:
    path = _write(tmp_path, x_train=None)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("x_train.npy", content)
    with pytest.raises(DataError, match=r"images.npz"):
        load_npz(path)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 0.999])
def test_a_truncated_file_is_named(tmp_path: Path, share: float) -> None:
    path = _write(tmp_path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=r"images.npz"):
        load_npz(path)


def test_one_array_alone_is_no_npz(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, IMAGES)
    (tmp_path / "images.npz").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match=r"images.npz"):
        load_data(str(tmp_path / "images.npz"))
