"""Image-classification sets of TensorFlow Datasets: those prepared on this machine, and downloads."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from resnet_search.errors import DataError
from resnet_search.reading import read_json
from resnet_search.training.datasets import locate
from resnet_search.training.datasets.image_data import ImageData, Images, Labels, printable, resized
from resnet_search.training.datasets.network import unreachable
from resnet_search.training.datasets.reading import Reading
from resnet_search.training.datasets.split import split
from resnet_search.training.datasets.values import Extent, Values, check_within, range_of

_STORE = "https://storage.googleapis.com/tfds-data"
_TEST_SPLITS = ("test", "validation")  # the first whose labels are given
_FEATURES = "features.json"
_FEATURE = re.compile(r"tensorflow_datasets\.[\w.]+", re.ASCII)
_HELD_OUT = 0.2  # of train, where a set has no test split
_CURE = (
    "Prepare it where there is a network, with `python -c \"import tensorflow_datasets as t; t.load('NAME', "
    "data_dir='FOLDER')\"`, copy FOLDER here and pass --data-dir FOLDER. `--data shapes` needs no download."
)
_NOT_INSTALLED = (
    "Install them: pip install tensorflow tensorflow-datasets importlib-resources. Without: an archive of CIFAR-10, an "
    ".npz, a folder of images, or `--data shapes`."
)
_DAMAGED = "Check the name and its configuration; remove a damaged or half-made copy, to have it prepared again."


def load_tfds(name: str, data_dir: Path | None, reading: Reading) -> ImageData:
    """The TFDS set `name`, from `data_dir` or TFDS's own folder, downloaded if it is not there."""
    place, _ = locate.prepared(name, data_dir)
    return load_prepared(place, reading) if place else download(name, data_dir, reading)


def download(name: str, data_dir: Path | None, reading: Reading) -> ImageData:
    """Have TFDS download and prepare `name` in `data_dir` or its own folder, then read it."""
    tfds = _tfds(f"tfds:{name}")
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    folder = locate.tfds_folder(data_dir)
    known = tfds.list_builders(with_community_datasets=False)
    if locate.tfds_parts(name)["set"] not in known:
        near = difflib.get_close_matches(locate.tfds_parts(name)["set"], known, 3)
        hint = f"Is it {' or '.join(f'tfds:{other}' for other in near)}? " if near else ""
        cure = f"{hint}https://www.tensorflow.org/datasets/catalog/overview lists all."
        raise DataError(f"tfds:{name}: TensorFlow Datasets has no such set", cure)
    try:
        builder = tfds.builder(name, data_dir=folder)
    except Exception as error:  # an unknown configuration, or any other fault
        raise _failure(name, folder, error) from error
    _columns(name, builder.info.features, builder.info.supervised_keys)  # before hours of downloading
    url = next(iter(_addresses(builder)), _STORE)
    if reason := unreachable(url):
        place = printable(folder / locate.tfds_parts(name)["set"])
        raise DataError(
            f"tfds:{name}: not prepared in {place}, and none can be downloaded: {printable(url)}: {reason}",
            _CURE.replace("NAME", name),
        )
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise _failure(name, folder, error) from error
    return _load(builder, name, reading)


def load_prepared(folder: Path, reading: Reading) -> ImageData:
    """The set in `folder`, a prepared version's; asks no network."""
    check_features(folder)
    tfds = _tfds(str(folder))
    try:
        builder = tfds.builder_from_directory(folder)
    except Exception as error:  # whatever a damaged folder leads TFDS to
        raise _failure(folder.parent.name, folder, error) from error
    return _load(builder, builder.info.name, reading)


def check_features(folder: Path) -> None:
    """Raise `DataError` if features.json names a class outside TensorFlow Datasets, whose module TFDS would import."""
    try:
        strange = sorted(name for name in _named_classes(read_json(folder / _FEATURES)) if not _FEATURE.fullmatch(name))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{printable(folder / _FEATURES)}: cannot be read: {printable(error)}", _DAMAGED) from error
    if strange:
        raise DataError(
            f"{printable(folder / _FEATURES)}: names {printable(strange[0][:100])}; allowed: features of "
            "tensorflow_datasets, since reading another would import its module",
            "Convert the images to a folder or an .npz file.",
        )


def _named_classes(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        named = (value.get(key) for key in ("pythonClassName", "python_class_name", "type"))
        yield from (name for name in named if isinstance(name, str) and "." in name)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _named_classes(inner)


def _tfds(what: str) -> Any:
    """TensorFlow Datasets; `DataError` where it, or TensorFlow, is not installed."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        missing = "TensorFlow Datasets" if error.name == "tensorflow_datasets" else str(error.name or error)
        raise DataError(
            f"{printable(what)}: read with TensorFlow Datasets, but {missing} is not installed", _NOT_INSTALLED
        ) from error
    _share_gpu_memory()
    return tfds


def _load(builder: Any, name: str, reading: Reading) -> ImageData:
    image, label = _columns(name, builder.info.features, builder.info.supervised_keys)
    classes = tuple(printable(text) for text in builder.info.features[label].names)
    splits = builder.info.splits
    if "train" not in splits:
        raise DataError(f"tfds:{name}: no split 'train'; it has {', '.join(splits)}", "Choose another set.")
    notes: list[str] = []
    size = reading.image_size
    try:
        values = _values(builder, image, label, reading)
        x_train, y_train = _read(builder, "train", (image, label), size, values)
        for split_name in _TEST_SPLITS:
            if split_name not in splits:
                continue
            x_test, y_test = _read(builder, split_name, (image, label), size, values)
            if len(y_test) and y_test.min() >= 0:  # some sets keep the labels of their test images secret
                break
        else:
            split_name, x_test, y_test = "", x_train[:0], y_train[:0]
    except DataError:
        raise
    except Exception as error:  # whatever damaged records lead TensorFlow to
        raise _failure(name, Path(str(builder.data_dir)), error) from error
    data = ImageData(x_train, y_train, x_test, y_test, classes, f"tfds:{name}", (), str(builder.data_dir))
    if not split_name:
        alone = None if reading.rule > 1 else np.arange(len(y_train))  # the first rules divided equal images
        parts = split(data, validation=_HELD_OUT, seed=0, groups=alone)
        train, test = parts.train_index, parts.validation_index
        notes.append(f"no labelled test split: {len(test):,} images of train, {_HELD_OUT:.0%}, are held out as test")
        data = dataclasses.replace(
            data, x_train=x_train[train], y_train=y_train[train], x_test=x_train[test], y_test=y_train[test]
        )
    elif split_name != "test":
        notes.append(f"its split {split_name!r} serves as test")
    if values is not None:
        notes.append(f"the values {values.low:g} and {values.high:g} are black and white")
    return dataclasses.replace(data, notes=tuple(notes), values=values)


def _values(builder: Any, image: str, label: str, reading: Reading) -> Values | None:
    """What the numbers in the images mean; None for bytes as they are."""
    given, kind = reading.value_range, np.dtype(builder.info.features[image].np_dtype)
    if given is None and kind == np.uint8:
        return None
    if given is None and not reading.certain:
        return Values(0, 0xFFFF, "arrays")
    extents: dict[str, Extent] = {}
    for split_name in ("train", *_TEST_SPLITS):
        if split_name in builder.info.splits:
            for batch in _batches(builder, split_name, (image, label)):
                found = Extent.of(batch[image])
                extents[split_name] = extents[split_name] | found if split_name in extents else found
    where = f"tfds:{builder.info.name}"
    values = Values(*(given or range_of(extents, where)), "arrays")
    check_within(extents, values, where)
    return values


def _batches(builder: Any, split_name: str, columns: tuple[str, str]) -> Any:
    import tensorflow_datasets as tfds

    dataset = builder.as_dataset(
        split=split_name,
        decoders=tfds.decode.PartialDecoding(dict.fromkeys(columns, True)),
        shuffle_files=False,
    )
    return tfds.as_numpy(dataset.batch(1 if None in builder.info.features[columns[0]].shape else 1_000))


def _read(
    builder: Any, split_name: str, columns: tuple[str, str], size: int | None, values: Values | None
) -> tuple[Images, Labels]:
    image_column, label_column = columns
    info = builder.info
    count = info.splits[split_name].num_examples
    if not count:
        raise DataError(f"tfds:{info.name}: its split {split_name!r} is empty", "Choose another set.")
    images: Images | None = None
    labels = np.empty(count, np.int64)
    done = 0
    for batch in _batches(builder, split_name, columns):
        read = resized(_to_rgb(batch[image_column], info.name, values), size)
        if images is None:
            images = np.empty((count, *read.shape[1:]), np.uint8)
        if read.shape[1:] != images.shape[1:]:
            raise DataError(
                f"tfds:{info.name}: images of different sizes, such as {images.shape[1:3]} and {read.shape[1:3]}",
                "Give an image size, such as 32; all images are resized to it.",
            )
        part = slice(done, done + len(read))
        images[part], labels[part] = read, batch[label_column]
        done += len(read)
    if images is None or done != count:
        raise DataError(f"tfds:{info.name}: {done:,} of {count:,} images in {split_name!r}", _DAMAGED)
    return images, labels


def _to_rgb(images: Any, name: str, values: Values | None) -> Images:
    if images.dtype not in (np.uint8, np.uint16, np.float32) or images.shape[-1] not in (1, 3, 4):
        raise DataError(f"tfds:{name}: images of {images.dtype} {images.shape[1:]}", "Choose grey or RGB images.")
    images = images[..., :3]  # beneath what is transparent, the colour stored there
    read = images if values is None else values.to_bytes(images)
    return np.ascontiguousarray(np.broadcast_to(read, (*read.shape[:3], 3)))


def _columns(name: str, features: Any, supervised: Any) -> tuple[str, str]:
    """The names of the image and of the label among `features`."""
    import tensorflow_datasets as tfds

    kinds = dict(features.items()) if hasattr(features, "items") else {}
    images = [key for key, feature in kinds.items() if type(feature) is tfds.features.Image]
    labels = [key for key, feature in kinds.items() if isinstance(feature, tfds.features.ClassLabel)]
    pair = tuple(supervised) if isinstance(supervised, tuple | list) and len(supervised) == 2 else ()  # noqa: PLR2004
    if pair and pair[0] in images and pair[1] in labels:
        return pair[0], pair[1]
    if len(images) == 1 and len(labels) == 1:
        return images[0], labels[0]
    held = ", ".join(f"{key} ({type(feature).__name__})" for key, feature in kinds.items())
    raise DataError(
        f"tfds:{name}: not a set for image classification; it holds {held or type(features).__name__}",
        "Choose a set with one image and one class label.",
    )


def _addresses(builder: Any) -> list[str]:
    with contextlib.suppress(Exception):  # sets made from local files have none
        return [str(url) for url in builder.url_infos if str(url).startswith("http")]
    return []


def _failure(name: str, place: Path, error: Exception) -> DataError:
    lines = str(error).strip().splitlines() or [""]
    return DataError(
        f"tfds:{name}: TensorFlow Datasets failed on {printable(place)}: {type(error).__name__}: {lines[0][:300]}",
        _DAMAGED,
    )


def _share_gpu_memory() -> None:
    """Keep TensorFlow, which only reads and prepares images here, from taking all of a GPU's memory.

    Call it first: once TensorFlow has started it is too late.
    """
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # in use already, as somebody else set it
            tf.config.experimental.set_memory_growth(gpu, True)
