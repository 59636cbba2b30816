from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resnet_search.errors import DataError
from resnet_search.training.datasets import ImageCount, count_images, load_data, shapes, split
from tests.faults.table import fault


def _save(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (value % 256, value // 256, 0)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    value = 0
    for part, count in (("train", 3), ("test", 2)):
        for name in ("zebra", "ant"):
            for i in range(count):
                value += 1
                _save(tmp_path / "images" / part / name / f"{i}.png", value)
    return tmp_path / "images"


def read(source: object) -> ImageCount:
    """The count by reading."""
    data = load_data(str(source))
    return ImageCount(len(data.x_train), len(data.x_test), len(data.classes), data.notes)


def test_a_folder_is_counted_as_it_is_read(folder: Path) -> None:
    _save(folder / "train" / "ant" / "more" / "deep" / "x.PNG", 90)
    _save(folder / "train" / "ant" / ".thumbs" / "0.png", 91)
    (folder / "train" / "ant" / "labels.csv").write_text("x")
    (folder / "train" / ".cache").mkdir()
    (folder / "test" / "ant" / "again.png").symlink_to(folder / "test" / "ant" / "0.png")
    counted = count_images(str(folder))
    assert counted == read(folder)
    assert counted is not None
    assert (counted.train, counted.test, counted.classes) == (7, 5, 2)


def test_nothing_is_decoded(folder: Path) -> None:
    for file in folder.rglob("*.png"):
        file.write_bytes(b"no image")
    assert count_images(str(folder)) == ImageCount(6, 4, 2)


def _without(part: str) -> Callable[[Path], object]:
    return lambda folder: (folder / part).rename(folder / "valid")


def _emptied(part: str) -> Callable[[Path], object]:
    return lambda folder: [file.unlink() for file in (folder / part).rglob("*.png")]


WRONG: dict[str, Callable[[Path], object]] = {
    "absent": lambda folder: folder.rename(folder.with_name("elsewhere")),
    "no train": _without("train"),
    "no test": _without("test"),
    "no classes": lambda folder: [(folder / "train" / name).rename(folder / name) for name in ("ant", "zebra")],
    "a class of test alone": lambda folder: _save(folder / "test" / "bee" / "0.png", 92),
    "a class without images": lambda folder: (folder / "train" / "bee").mkdir(),
    "other files": lambda folder: [f.rename(f.with_suffix(".txt")) for f in (folder / "train" / "ant").iterdir()],
    "nothing to test": _emptied("test"),
    "one of a class": lambda folder: [(folder / "train" / "ant" / f"{i}.png").unlink() for i in (0, 1)],
    "a file": lambda folder: (folder.rename(folder.with_name("elsewhere")), folder.write_text("x")),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_names_show_to_be_wrong_is_told_in_the_words_of_reading_it(case: str, folder: Path) -> None:
    WRONG[case](folder)
    with pytest.raises(DataError) as told:
        count_images(str(folder))
    with pytest.raises(DataError) as later:
        split(load_data(str(folder)), validation=2, seed=0)
    assert str(told.value) == str(later.value)


@pytest.mark.parametrize("lacking", ["", "nothing", "tfds:no name", "tfds:a/b/c"])
def test_names_of_nothing(lacking: str, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        count_images(lacking, tmp_path)


def test_sources_of_known_size(pickled: Path, pack: Callable[[Path, str], Path]) -> None:
    assert count_images("shapes") == ImageCount(shapes.TRAIN, shapes.TEST, len(shapes.FIGURES))
    official = ImageCount(50_000, 10_000, 10)
    assert count_images("cifar10") == official, "downloaded or not, and without a look inside"
    small = [str(pickled), str(pack(pickled, "cifar-10-python.tar.gz"))]
    assert [count_images(source) for source in small] == [None, None], "pickled batches of another size"


def test_binary_batches_are_counted_by_their_sizes(binary: Path, pack: Callable[[Path, str], Path]) -> None:
    expected = read(binary)
    assert count_images(str(binary)) == count_images(str(pack(binary, "cifar-10-binary.tar.gz"))) == expected


def test_a_set_that_has_to_be_downloaded_is_not_counted(tmp_path: Path) -> None:
    assert count_images("tfds:mnist", tmp_path) is None


@given(
    counts=st.tuples(st.integers(4, 30), st.integers(2, 9)),
    kind=st.sampled_from(["u1", "i1", "<i2", "<u4", "<i8", ">i4"]),
    save=st.sampled_from([np.savez, np.savez_compressed]),
)
def test_arrays_are_counted_as_they_are_read(
    counts: tuple[int, int], kind: str, save: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("arrays") / "a.npz"
    parts: dict[str, Any] = {}
    for part, count in zip(("train", "test"), counts, strict=True):
        parts[f"x_{part}"] = np.full((count, 8, 8, 3), 200, np.uint8)
        parts[f"y_{part}"] = (np.arange(count) % 2).astype(kind)
    save(path, **parts)
    assert count_images(str(path)) == read(path)


X, Y = np.full((20, 8, 8, 3), 200, np.uint8), np.arange(20) % 2
ARRAYS: dict[str, dict[str, Any]] = {
    "labels from 1": {"y_train": Y + 1, "y_test": Y + 1},
    "a gap": {"y_train": Y * 2},
    "a label of test alone": {"y_test": Y + 1},
    "one image of a class": {"y_train": np.where(np.arange(20), 0, 1)},
    "one-hot": {"y_train": np.eye(2)[Y]},
    "one-hot whole numbers": {"y_train": np.eye(2, dtype=np.int64)[Y]},
    "text": {"y_train": Y.astype(str)},
    "fractions": {"y_train": Y.astype(float)},
    "objects": {"y_train": Y.astype(object)},
    "negative labels": {"y_train": Y - 1},
    "fewer labels": {"y_train": Y[:-1]},
    "fewer images": {"x_test": X[:-1]},
    "channels first": {"x_train": X.transpose(0, 3, 1, 2), "x_test": X.transpose(0, 3, 1, 2)},
    "no images": {"x_train": X[:0], "y_train": Y[:0]},
    "nothing to test": {"x_test": X[:0], "y_test": Y[:0]},
    "another size": {"x_test": X[:, :4]},
    "truth values": {"x_train": X > 0},
    "complex numbers": {"x_test": X.astype(complex)},
    "a number": {"x_test": np.array(3)},
    "names of fewer classes": {"classes": np.array(["a"])},
}


@fault(
    "use",
    "Labels start at 1 or are one-hot, channels come first, arrays differ in length",
    here="`plan` and `run` report the same error before an image is read",
)
@pytest.mark.parametrize("case", ARRAYS)
def test_what_headers_and_labels_show_to_be_wrong_is_an_error_of_both(case: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **{"x_train": X, "y_train": Y, "x_test": X, "y_test": Y, **ARRAYS[case]})
    with pytest.raises(DataError) as planned:
        count_images(str(path))
    with pytest.raises(DataError) as later:
        split(load_data(str(path)), validation=2, seed=0)
    assert str(planned.value) == str(later.value)


@pytest.mark.parametrize("end", [0, 4, 1000, -100])
def test_a_cut_npz_is_an_error_of_both(end: int, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x_train=X, y_train=Y, x_test=X, y_test=Y)
    path.write_bytes(path.read_bytes()[:end])
    _same_error(path)


def test_an_npz_without_an_array_is_an_error_of_both(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=X, y_train=Y, x_test=X)
    _same_error(tmp_path / "a.npz")


def _same_error(path: Path) -> None:
    with pytest.raises(DataError) as planned:
        count_images(str(path))
    with pytest.raises(DataError) as later:
        load_data(str(path))
    first, second = (re.sub("0x[0-9a-f]+", "", str(error.value)) for error in (planned, later))
    assert first == second


@fault(
    "use",
    "A CIFAR-10 folder lacks a batch, or the archive is truncated or one of CIFAR-100",
    here="`plan` and `run` report the same error",
)
@pytest.mark.parametrize("case", ["missing", "cut", "empty", "CIFAR-100", "cut archive"])
def test_wrong_batches_are_an_error_of_both(case: str, binary: Path, pack: Callable[[Path, str], Path]) -> None:
    batch, path = binary / "data_batch_3.bin", binary
    if case == "missing":
        batch.unlink()
    elif case == "cut":
        batch.write_bytes(batch.read_bytes()[:-1])
    elif case == "empty":
        batch.write_bytes(b"")
    elif case == "CIFAR-100":
        for file in binary.iterdir():
            file.rename(file.with_name(f"fine_{file.name}"))
        path = pack(binary, "cifar-100-python.tar.gz")
    else:
        path = pack(binary, "cifar-10-binary.tar.gz")
        path.write_bytes(path.read_bytes()[:-50])
    _same_error(path)


def test_a_truncated_pickle_is_an_error_of_both(pickled: Path, pack: Callable[[Path, str], Path]) -> None:
    batch = pickled / "data_batch_2"
    batch.write_bytes(batch.read_bytes()[:-500] + b"\0")
    _same_error(pickled)
    _same_error(pack(pickled, "cifar-10-python.tar.gz"))


def _prepared(folder: Path, splits: dict[str, list[str]], **labels: str) -> Path:
    """What TensorFlow Datasets 4.9 writes beside its records."""
    named = "tensorflow_datasets.core.features"
    features: dict[str, Any] = {"image": {"image": {}, "pythonClassName": f"{named}.image_feature.Image"}}
    for key, number in labels.items():
        label = {"numClasses": number}
        features[key] = {"classLabel": label, "pythonClassName": f"{named}.class_label_feature.ClassLabel"}
    place = folder / "little" / "1.0.0"
    place.mkdir(parents=True)
    listed = [{"name": name, "shardLengths": lengths} for name, lengths in splits.items()]
    for name, lengths in splits.items():
        for shard in range(len(lengths)):
            (place / f"little-{name}.tfrecord-{shard:05}-of-{len(lengths):05}").touch()
    (place / "dataset_info.json").write_text(json.dumps({"name": "little", "splits": listed}))
    (place / "features.json").write_text(json.dumps({"featuresDict": {"features": features}}))
    return place


def test_a_prepared_set_is_counted_by_what_was_written_beside_it(tmp_path: Path) -> None:
    place = _prepared(tmp_path, {"train": ["70", "30"], "test": ["20"]}, label="7")
    assert count_images("tfds:little", tmp_path) == count_images(str(place)) == ImageCount(100, 20, 7)


def test_validation_serves_as_test_and_a_part_of_train_is_not_foretold(tmp_path: Path) -> None:
    _prepared(tmp_path / "a", {"train": ["70"], "validation": ["20"]}, label="7")
    assert count_images("tfds:little", tmp_path / "a") == ImageCount(70, 20, 7)
    _prepared(tmp_path / "b", {"train": ["70"]}, label="7")
    assert count_images("tfds:little", tmp_path / "b") is None


def _rewritten(name: str, *path: str | int, to: object = None) -> Callable[[Path], object]:
    """Set a value in a file of JSON, or without `to`, remove it."""

    def rewrite(place: Path) -> None:
        content = inner = json.loads((place / name).read_text())
        for key in path[:-1]:
            inner = inner[key]
        inner.pop(path[-1]) if to is None else inner.update({path[-1]: to})
        (place / name).write_text(json.dumps(content))

    return rewrite


INFO, FEATURES, COLUMNS = "dataset_info.json", "features.json", ("featuresDict", "features")
PREPARED: dict[str, Callable[[Path], object]] = {
    "no JSON": lambda place: (place / FEATURES).write_text("{"),
    "another's class": _rewritten(FEATURES, *COLUMNS, "image", "pythonClassName", to="evil.mod.Image"),
    "no columns": _rewritten(FEATURES, "featuresDict"),
    "no label": _rewritten(FEATURES, *COLUMNS, "label"),
    "two images": _rewritten(
        FEATURES, *COLUMNS, "b", to={"pythonClassName": "tensorflow_datasets.core.features.image_feature.Image"}
    ),
    "no train": _rewritten(INFO, "splits", 0, "name", to="valid"),
    "an empty split": _rewritten(INFO, "splits", 1, "shardLengths"),
    "no record": lambda place: next(place.glob("*train*")).unlink(),
    "a truncated record": _rewritten(INFO, "splits", 0, "numBytes", to="99"),
    "two names that are the same": lambda place: (place / "label.labels.txt").write_text("a\nb\na\n"),
}  # fmt: skip


@fault(
    "use",
    "A prepared TensorFlow Datasets set is damaged, or is not for image classification",
    here="`plan` and `run` report the same error",
)
@pytest.mark.parametrize("case", PREPARED)
def test_what_the_files_of_a_prepared_set_show_to_be_wrong_is_an_error_of_both(case: str, tmp_path: Path) -> None:
    place = _prepared(tmp_path, {"train": ["70", "30"], "test": ["20"]}, label="7")
    PREPARED[case](place)
    _same_error(place)


@pytest.mark.slow
def test_a_set_that_tfds_prepared(full_cifar10: Path) -> None:
    assert count_images("tfds:cifar10", full_cifar10 / "tfds") == ImageCount(50_000, 10_000, 10)
    assert count_images(str(full_cifar10 / "cifar10.npz")) == ImageCount(50_000, 10_000, 10)


@pytest.mark.parametrize("shape", ["(print(), 8, 8, 3)", "()", "4", "(-4, 8, 8, 3)", "(1000000000, 8, 8, 3)"])
def test_a_header_that_numpy_does_not_write_is_an_error_of_both(shape: str, tmp_path: Path) -> None:
    arrays = {"x_train": shape, "y_train": "(2,)", "x_test": "(4, 8, 8, 3)", "y_test": "(2,)"}
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        for name, size in arrays.items():
            header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {size}, }}\n".encode()
            content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes([0, 1])
            file.writestr(f"{name}.npy", content)
    _same_error(tmp_path / "a.npz")
