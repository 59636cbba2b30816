from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnet_search.errors import DataError
from resnet_search.training.datasets import describe_source, load_data, source, tfds_source
from resnet_search.training.datasets.locate import prepared
from resnet_search.training.datasets.reading import Reading
from resnet_search.training.datasets.tfds_source import load_prepared
from tests.faults.table import fault

tfds = pytest.importorskip("tensorflow_datasets")

COLOURS = ((250, 0, 0), (0, 250, 0))


def _prepare(
    folder: Path, name: str, splits: dict[str, list[dict[str, Any]]], features: dict[str, Any], **info: Any
) -> Path:
    """Have TFDS write a small data set named `name` into `folder`; gives its version's folder."""
    with tfds.core.registered.skip_registration():

        class Builder(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self) -> Any:
                return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features), **info)

            def _split_generators(self, _: Any) -> dict[str, Any]:
                return {key: self._generate_examples(rows) for key, rows in splits.items()}

            def _generate_examples(self, rows: list[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
                yield from enumerate(rows)

    Builder.name = name
    builder = Builder(data_dir=folder)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    return Path(str(builder.data_dir))


def _rows(count: int, size: Any = lambda i: (8, 8), channels: int = 3, dtype: Any = np.uint8) -> list[dict[str, Any]]:
    return [
        {"image": np.full((*size(i), channels), COLOURS[i % 2][:channels], dtype), "label": i % 2} for i in range(count)
    ]


def _differing(count: int) -> list[dict[str, Any]]:
    """Rows with images that all differ."""
    rows = _rows(count)
    for number, row in enumerate(rows):
        row["image"][0, 0, 2] = number
    return rows


def _features(shape: tuple[int | None, int | None, int] = (8, 8, 3), dtype: Any = np.uint8) -> dict[str, Any]:
    return {
        "image": tfds.features.Image(shape=shape, dtype=dtype),
        "label": tfds.features.ClassLabel(names=["red", "gr\x1been"]),
    }


def test_a_prepared_set_is_read_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = _prepare(tmp_path, "little", {"train": _rows(10), "test": _rows(4)}, _features())
    monkeypatch.setattr(tfds_source, "unreachable", lambda url: pytest.fail("a network was asked"))
    data = load_data("tfds:little", data_dir=tmp_path, image_size=None)
    assert data.x_train.shape == (10, 8, 8, 3)
    assert data.x_test.shape == (4, 8, 8, 3)
    assert data.classes == ("red", "gr\\x1been")
    assert (data.source, data.location, data.notes) == ("tfds:little", str(place), ())
    for image, label in zip(data.x_train, data.y_train, strict=True):
        assert image[0, 0].tolist() == list(COLOURS[label])
    assert load_data("tfds:little:1.0.0", data_dir=tmp_path).x_train.shape == (10, 32, 32, 3)
    assert load_data(str(place)).x_train.shape == (10, 32, 32, 3)
    assert describe_source("tfds:little", tmp_path).location == str(place)
    assert not describe_source("tfds:little:2.0.0", tmp_path).found


def test_images_of_different_sizes_are_resized(tmp_path: Path) -> None:
    rows = _rows(6, lambda i: (8 + i, 20 - i))
    _prepare(tmp_path, "uneven", {"train": rows, "test": rows[:2]}, _features((None, None, 3)))
    data = load_data("tfds:uneven", data_dir=tmp_path)
    assert data.x_train.shape == (6, 32, 32, 3)
    assert sorted(data.x_train[:, 0, 0, 0].tolist()) == [0, 0, 0, 250, 250, 250]
    with pytest.raises(DataError, match="tfds:uneven"):
        load_data("tfds:uneven", data_dir=tmp_path, image_size=None)


@pytest.mark.parametrize(("channels", "dtype", "brightest"), [(1, np.uint8, 250), (3, np.uint16, 250)])
def test_grey_and_16_bits_become_rgb_bytes(tmp_path: Path, channels: int, dtype: Any, brightest: int) -> None:
    rows = _rows(4, channels=channels, dtype=dtype)
    _prepare(tmp_path, "odd", {"train": rows, "test": rows}, _features((8, 8, channels), dtype))
    data = load_data("tfds:odd", data_dir=tmp_path)
    assert data.x_train.shape == (4, 32, 32, 3)
    assert data.x_train.max() == brightest


def test_validation_serves_where_test_has_no_labels(tmp_path: Path) -> None:
    secret = [{**row, "label": -1} for row in _rows(4)]
    _prepare(tmp_path, "secret", {"train": _rows(8), "test": secret, "validation": _rows(6)}, _features())
    data = load_data("tfds:secret", data_dir=tmp_path)
    assert len(data.y_test) == 6
    [note] = data.notes
    assert "'validation'" in note


def test_a_fifth_of_train_serves_where_there_is_nothing_else(tmp_path: Path) -> None:
    _prepare(tmp_path, "alone", {"train": _differing(20)}, _features())
    data = load_data("tfds:alone", data_dir=tmp_path)
    assert np.bincount(data.y_train).tolist() == [8, 8]
    assert np.bincount(data.y_test).tolist() == [2, 2]
    assert data.notes


def test_equal_images_are_not_divided_between_train_and_test(tmp_path: Path) -> None:
    rows = [row for row in _differing(8) for _ in range(5)]
    _prepare(tmp_path, "copies", {"train": rows}, _features())
    data = load_data("tfds:copies", data_dir=tmp_path)
    assert len(data.x_test) == 10
    assert not {image.tobytes() for image in data.x_train} & {image.tobytes() for image in data.x_test}
    before = load_data("tfds:copies", data_dir=tmp_path, rule=1)
    assert {image.tobytes() for image in before.x_train} & {image.tobytes() for image in before.x_test}


def test_the_only_image_and_label_are_found_without_being_named_so(tmp_path: Path) -> None:
    features = {"photo": _features()["image"], "kind": _features()["label"], "id": tfds.features.Text()}
    rows = [{"photo": row["image"], "kind": row["label"], "id": "x"} for row in _rows(4)]
    _prepare(tmp_path, "named", {"train": rows, "test": rows}, features)
    assert load_data("tfds:named", data_dir=tmp_path).y_train.shape == (4,)


def test_what_is_no_image_classification_is_named(tmp_path: Path) -> None:
    features = {"text": tfds.features.Text(), "label": _features()["label"]}
    _prepare(tmp_path, "words", {"train": [{"text": "x", "label": 0}]}, features)
    with pytest.raises(DataError, match=r"text \(Text\)"):
        load_data("tfds:words", data_dir=tmp_path)


def test_a_set_without_train_is_named(tmp_path: Path) -> None:
    _prepare(tmp_path, "examined", {"test": _rows(4)}, _features())
    with pytest.raises(DataError, match=r"'train'.* test"):
        load_data("tfds:examined", data_dir=tmp_path)


def test_damaged_records_are_named(tmp_path: Path) -> None:
    place = _prepare(tmp_path, "broken", {"train": _rows(10), "test": _rows(4)}, _features())
    records = next(place.glob("*train.tfrecord*"))
    records.write_bytes(records.read_bytes()[:-30])
    with pytest.raises(DataError, match="tfds:broken"):
        load_data("tfds:broken", data_dir=tmp_path)
    records.unlink()
    with pytest.raises(DataError, match="tfds:broken"):
        load_data("tfds:broken", data_dir=tmp_path)
    (place / "dataset_info.json").write_text("{")
    with pytest.raises(DataError, match="broken"):
        load_prepared(place, Reading())


@fault(
    "images",
    "Images of a TensorFlow Datasets set have no label, or a class that is only in test",
    here="an error names them, as for folders and `.npz` files; classes without images are noted",
)
def test_labels_are_checked_as_those_of_other_sources(tmp_path: Path) -> None:
    def prepare(name: str, train: list[int], test: list[int]) -> None:
        rows = {}
        for split, labels in (("train", train), ("test", test)):
            rows[split] = [row | {"label": label} for row, label in zip(_rows(len(labels)), labels, strict=True)]
        features = _features() | {"label": tfds.features.ClassLabel(names=["red", "green", "blue", "grey"])}
        _prepare(tmp_path, name, rows, features)

    prepare("unlabelled", [0, 1, 0, 1, -1], [0, 1])
    with pytest.raises(DataError, match="1 of 5 images"):
        load_data("tfds:unlabelled", data_dir=tmp_path)
    prepare("unlearnt", [0, 1, 0, 1], [0, 1, 2])
    with pytest.raises(DataError, match="blue"):
        load_data("tfds:unlearnt", data_dir=tmp_path)
    prepare("unused", [0, 1, 0, 1, 3, 3], [0, 1])
    notes = load_data("tfds:unused", data_dir=tmp_path).notes
    assert [word in note for word, note in zip(("blue", "grey"), notes, strict=True)] == [True, True]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_transparent_lies_on_white_as_in_predict(tmp_path: Path, dtype: Any) -> None:
    rows = _rows(4, channels=3, dtype=dtype)
    full = np.iinfo(dtype).max
    for row, opacity in zip(rows, (0, full, full, full), strict=True):
        row["image"] = np.dstack([row["image"] // 250 * full, np.full((8, 8), opacity, dtype)])
    _prepare(tmp_path, "clear", {"train": rows, "test": rows}, _features((8, 8, 4), dtype))
    images = load_data("tfds:clear", data_dir=tmp_path, image_size=8).x_train
    assert sorted(map(tuple, images[:, 0, 0].tolist())) == [(0, 255, 0)] * 2 + [(255, 0, 0), (255, 255, 255)]


def test_bytes_are_as_uncertain_as_in_an_npz(tmp_path: Path) -> None:
    rows = [row | {"image": row["image"] // 20} for row in _rows(4)]
    _prepare(tmp_path, "dim", {"train": rows, "test": rows}, _features())
    with pytest.raises(DataError, match="0 to 12"):
        load_data("tfds:dim", data_dir=tmp_path)
    assert load_data("tfds:dim", data_dir=tmp_path, value_range=(0, 12)).x_train.max() == 255


def test_one_configuration_is_taken_and_several_are_asked_about(tmp_path: Path) -> None:
    place = _prepare(tmp_path / "x", "small", {"train": _rows(4), "test": _rows(4)}, _features())
    shutil.copytree(place, tmp_path / "set" / "blurred" / "1.0.0")
    assert prepared("set", tmp_path)[0] == tmp_path / "set" / "blurred" / "1.0.0"
    shutil.copytree(place, tmp_path / "set" / "sharp" / "1.0.0")
    with pytest.raises(DataError, match="tfds:set") as error:
        prepared("set", tmp_path)
    assert "tfds:set/blurred, tfds:set/sharp" in error.value.cure
    assert prepared("set/sharp", tmp_path)[0] == tmp_path / "set" / "sharp" / "1.0.0"


def test_an_unknown_set_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="tfds:mnsit") as error:
        load_data("tfds:mnsit", data_dir=tmp_path)
    assert "tfds:mnist" in error.value.cure


def test_a_configuration_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cifar10_corrupted/none"):
        load_data("tfds:cifar10_corrupted/none", data_dir=tmp_path)


def test_a_set_of_text_is_refused_before_it_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfds_source, "unreachable", lambda url: pytest.fail("a network was asked"))
    with pytest.raises(DataError, match="imdb_reviews"):
        load_data("tfds:imdb_reviews", data_dir=tmp_path)


def test_no_network_and_no_copy_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfds_source, "unreachable", lambda url: "Name or service not known")
    with pytest.raises(DataError, match=f"{tmp_path}.*Name or service not known") as error:
        load_data("tfds:mnist", data_dir=tmp_path)
    assert "t.load('mnist'" in error.value.cure


def test_a_download_that_fails_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any, **_: Any) -> None:
        raise ConnectionError("reset by peer")

    for module in (source, tfds_source):
        monkeypatch.setattr(module, "unreachable", lambda url: None)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(DataError, match="ConnectionError: reset by peer"):
        load_data("cifar10", data_dir=tmp_path)
